# SPDX-License-Identifier: GPL-2.0-only
# TAP for shell tests: source it from the top directory. Each check prints one line; `plan` at the end.
set -u
export LC_ALL=C
# A /run of its own: labs that others raise on this machine meanwhile are neither seen nor swept.
if [ -z "${HS_TAP_MOUNTS:-}" ]; then
	HS_TAP_MOUNTS=1 exec unshare --mount --propagation slave "$0" "$@"
fi
unset HS_TAP_MOUNTS
mount -t tmpfs -o mode=755 hsbpf-test-run /run
hsbpf=$PWD/build/hsbpf
tap_n=0
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-e2e.XXXXXX")
trap 'rm -rf "$work"' EXIT

ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $*"; }
not_ok() { tap_n=$((tap_n + 1)); echo "not ok $tap_n - $*"; }
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1 # SKIP $2"; }
note() { sed 's/^/# /' <<<"$*"; }
plan() { echo "1..$tap_n"; }

# check NAME COMMAND...: passes when the command does; what it printed is shown when it does not.
check() {
	local tap_name=$1 out
	shift
	if out=$("$@" 2>&1); then ok "$tap_name"; else not_ok "$tap_name"; note "$out"; fi
}
# equal NAME ACTUAL EXPECTED
equal() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; note "got      $2"; note "expected $3"; fi
}
# run COMMAND...: status in $status, stdout in $work/out, stderr in $work/err
run() { "$@" >"$work/out" 2>"$work/err" </dev/null; status=$?; }
# fails NAME STATUS TEXT COMMAND...: exact exit status, and TEXT (a fixed string) on stderr
fails() {
	local tap_name=$1 expected=$2 text=$3
	shift 3
	run "$@"
	if [ "$status" = "$expected" ] && grep -qF -- "$text" "$work/err"; then
		ok "$tap_name"
	else
		not_ok "$tap_name"
		note "status $status, expected $expected; stderr should hold: $text"
		note "$(cat "$work/err")"
	fi
}
# until_true SECONDS COMMAND...: waits for a condition that only looking can tell, 20 times a second
until_true() {
	local left=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		read -rt 0.05 <> <(:) || true
	done
}
# What a lab must not leave behind, one line each.
remains() {
	pgrep -a --ns $$ --nslist mnt qemu-system
	ls /run/netns 2>/dev/null | grep '^hsbpf-'
	ls /run/hsbpf 2>/dev/null
	ip -o link | grep -oE '(tapc?|br)[0-9]+'
	true
}
