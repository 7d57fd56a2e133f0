#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in L1: COMMAND sees vhost's modules as if they had been built without BTF. Usage: no_module_types.sh COMMAND...
set -eu
[ -n "${HIDDEN:-}" ] || HIDDEN=1 exec unshare --mount "$0" "$@"
for module in vhost vhost_net vhost_iotlb; do
	mount --bind /dev/null "/sys/kernel/btf/$module"
done
exec "$@"
