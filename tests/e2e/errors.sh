#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Everything that can be refused before a machine is started: one sentence, the right exit code, nothing left behind.
. tests/lib/tap.sh
before=$(remains)
collect=("$hsbpf" collect -o "$work/out1")
# refused NAME STATUS TEXT COMMAND...: as `fails`, in one line and with nothing in the output folder
refused() {
	fails "$@"
	equal "$1: one sentence, no file" "$(wc -l <"$work/err") $(find "$work/out1" -mindepth 1 2>/dev/null)" "1 "
}

refused "a test that does not exist" 2 "there is no such test; the tests are iperf3" "${collect[@]}" --test nosuch
refused "--l2vm 0" 2 "at least one pair" "${collect[@]}" --l2vm 0
refused "--l2vm 25, with the reason" 2 "slots 0x4 to 0x1b of L1's root bus" "${collect[@]}" --l2vm 25
refused "--l2vm x" 2 "--l2vm 'x' is not a number" "${collect[@]}" --l2vm x
refused "--l2vm -1" 2 "is not a number" "${collect[@]}" --l2vm=-1
refused "an operand" 2 "takes no operand" "${collect[@]}" something
refused "--qemu-events of a file that is not there" 2 "--qemu-events nosuch" "${collect[@]}" --qemu-events nosuch
refused "a lab's name that is none" 2 "a lab's name is" "${collect[@]}" --lab a/b
refused "a comma in --out" 2 "a comma cannot be in the path" "$hsbpf" collect -o "$work/a,b"
refused "a prefix with a slash" 2 "is not a file name" "${collect[@]}" --log-prefix a/b
refused "an empty --out" 2 "--out '' is not a value" "$hsbpf" collect --out=
refused "--qemu-events of a folder" 2 "there is no such file" "${collect[@]}" --qemu-events "$work"
refused "memory that L1's machines do not fit into" 2 "L1 needs" "${collect[@]}" --l2vm 4 --l1-mem 512M
refused "memory that is no size" 2 "is not a size such as" "${collect[@]}" --l2-mem much
: >"$work/file"
refused "an output folder below a file" 1 "cannot create the folder" "$hsbpf" collect -o "$work/file/out"
refused "an output folder that is read-only" 1 "Read-only file system" \
	unshare -m bash -c 'mkdir "$1" && mount -t tmpfs -o ro none "$1" && exec "$2" collect -o "$1/x"' - "$work/ro" "$hsbpf"
refused "a disk that is too full to start" 1 "is too full" \
	unshare -m bash -c 'mkdir "$1" && mount -t tmpfs -o size=8M none "$1" && exec "$2" collect -o "$1"' - "$work/small" "$hsbpf"
refused "too little memory, computed before anything starts" 1 "too little memory: this lab needs" "${collect[@]}" --l1-mem 500G
refused "a kernel that is not there" 1 "nosuch" "${collect[@]}" --kernel /nosuch
echo nonsense >"$work/kernel"
refused "a kernel that is none" 1 "$work/kernel" "${collect[@]}" --kernel "$work/kernel"
hide() { unshare -m bash -c 'mount --bind /dev/null "$1"; shift; exec "$@"' - "$@"; }
refused "no /dev/net/tun" 4 "/dev/net/tun" unshare -m bash -c 'mount -t tmpfs none /dev/net; exec "$@"' - "${collect[@]}"
refused "no QEMU" 1 "install the package qemu-system-x86" hide /usr/bin/qemu-system-x86_64 "${collect[@]}"
refused "no iperf3" 1 "iperf3" hide /usr/bin/iperf3 "${collect[@]}"
refused "no CAP_NET_ADMIN" 4 "CAP_NET_ADMIN" setpriv --bounding-set -net_admin --inh-caps -net_admin \
	"${collect[@]}"
refused "no CAP_SYS_ADMIN" 4 "CAP_SYS_ADMIN" setpriv --bounding-set -sys_admin --inh-caps -sys_admin "${collect[@]}"
refused "no root" 4 "run it as root" setpriv --reuid=65534 --regid=65534 --clear-groups "${collect[@]}"
refused "a cache that cannot be written" 1 "set HSBPF_CACHE" env HSBPF_CACHE=/proc/nowhere "${collect[@]}"
fails "no such run" 1 "is not a run" "$hsbpf" show "$work/nosuch"
# Documents that no run wrote: one sentence, and neither a crash nor the exit code of a privilege.
mkdir "$work/other"
echo '{"schema":"hsbpf.run/9"}' >"$work/other/run.json"
fails "show of a newer run" 1 "has the schema 'hsbpf.run/9'" "$hsbpf" show "$work/other"
fails "correlate of a newer run" 1 "has the schema 'hsbpf.run/9'" "$hsbpf" correlate "$work/other"
echo '{"schema":"hsbpf.run/1","outcome":"running","pairs":99999,"trace":5}' >"$work/other/run.json"
fails "show of a document that no run wrote" 1 "is damaged" "$hsbpf" show "$work/other"
fails "no such verb" 2 "there is no verb 'colect'" "$hsbpf" colect
fails "no lab is up" 1 "no lab 'lab' is up" "$hsbpf" lab exec l1 -- true

run "$hsbpf" collect --dry-run --l2vm 2 -o "$work/dry"
equal "--dry-run succeeds and makes no file" "$status $(ls -d "$work/dry" 2>&1 | grep -c 'No such')" "0 1"
equal "--dry-run prints 4 taps, 3 QEMUs on the host and 2 in l1" \
	"$(grep -c 'tuntap add' "$work/out") $(grep -c '^ip netns exec .*qemu-system' "$work/out") $(grep -c '^# in l1: qemu' "$work/out")" "4 3 2"
run "$hsbpf" --help
equal "help goes to stdout" "$status $(cat "$work/err")" "0 "
for verb in collect check show gen "lab up" "lab test" "lab exec" "lab console" "lab status" "lab down"; do
	run "$hsbpf" $verb --help
	help=$(cat "$work/out")
	equal "$verb --help" "$status $(cat "$work/err")" "0 "
	run "$hsbpf" gen man "$verb"
	check "$verb: man accepts its page" bash -c 'MANWIDTH=200 man --warnings -l "$1" 2>&1 >/dev/null | (! grep .)' - "$work/out"
	missing=
	for option in $(grep -oE -- '--[a-z0-9-]+' <<<"$help" | sort -u); do
		grep -qF -- "${option//-/\\-}" "$work/out" || [ "$option" = --help ] || missing+="$option "
	done
	equal "$verb: every option of --help is in the man page" "$missing" ""
done
run "$hsbpf" check --json
check "check --json fits its schema" tests/lib/schema.sh "$work/out"
equal "nothing is left behind" "$(remains)" "$before"
plan
