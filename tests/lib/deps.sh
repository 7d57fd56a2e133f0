#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `make deps`: installs the packages of packages.txt that are missing. Costs nothing when all are there.
set -eu
list=${1:-packages.txt}
wanted=$(sed 's/#.*//' "$list" | awk 'NF {print $1}')
missing=()
for package in $wanted; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "hsbpf: these packages are missing and only root can install them: ${missing[*]}" >&2
	exit 1
fi
echo "hsbpf: installing ${#missing[@]} packages: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
	echo "hsbpf: apt-get could not install ${missing[*]}: $(grep -m1 '^E:' "$log" || tail -1 "$log")" >&2
	exit 1
fi
