#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Writes vmlinux.h anew from a kernel's BTF: of every type in fields.txt the members named there and no
# others. CO-RE finds each member by its name on the kernel at hand, so one header serves every kernel; run
# this when a BPF program needs one member more.
# Usage: vmlinux/renew.sh [BTF-FILE...]  (a module's BTF after vmlinux's)
set -euo pipefail
cd "$(dirname "$0")"
btf=${1:-/sys/kernel/btf/vmlinux}
bpftool=$(command -v bpftool || echo /usr/sbin/bpftool)
dump=$(mktemp) new=$(mktemp)
trap 'rm -f "$dump" "$new"' EXIT
"$bpftool" btf dump file "$btf" format c >"$dump"
for module in "${@:2}"; do
	"$bpftool" -B "$btf" btf dump file "$module" format c >>"$dump"
done
awk -f renew.awk "$dump" fields.txt >"$new"
cat "$new" >vmlinux.h
