#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# How fast `hsbpf mm_dirty` dirties memory with one thread, beside the barest loops and stress-ng, and how well it holds
# rates, alone and beside a busy thread on each CPU.
#   RUNS=3    repetitions, in turn; medians are printed
#   MIB=512   memory
set -eu
RUNS=${RUNS:-3} MIB=${MIB:-512} B=${B:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-bench.XXXXXX")
hogs=
trap '[ -z "$hogs" ] || kill $hogs; rm -rf "$work"' EXIT

median() { sort -n | awk '{v[NR]=$1} END{print NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
dirty() { "$B/hsbpf" mm_dirty -m "$MIB" --json "$@" 2>/dev/null; }
rate() { dirty -d 1s "$@" | jq .dirty_rate_mib_per_second; }
line() { printf '   %-42s %8.0f MiB/s' "$1" "$(median <"$work/$2")"; }
# against NAME FILE PEER: a line with the ratio
against() {
	line "$1" "$2"
	paste <(median <"$work/$2") <(median <"$work/$3") | awk '{printf ", ratio %.2f\n", $1 / $2}'
}

for _ in $(seq "$RUNS"); do
	"$B/tests/bench/bench_touch" "$MIB" | while read -r loop mib; do echo "$mib" >>"$work/$loop"; done
	rate -p sequential >>"$work/sequential"
	rate -p random >>"$work/random"
	rate -p random -L >>"$work/timed"
	if command -v stress-ng >/dev/null; then
		stress-ng --memrate 1 --memrate-bytes "${MIB}M" --timeout 4 --metrics 2>&1 |
			sed -nE 's/.*memrate +([0-9.]+) memset MB per sec.*/\1/p' >>"$work/stress-ng"
	fi
done
line "a byte of each page, no account" byte-sequential && echo
against "mm_dirty, sequential" sequential byte-sequential
line "a byte of random pages, no account" byte-random && echo
against "mm_dirty, random" random byte-random
against "mm_dirty, random, each write timed" timed byte-random
line "memset of whole pages" memset && echo
if [ -s "$work/stress-ng" ]; then line "stress-ng --memrate, memset" stress-ng && echo; fi

held() {
	dirty -d 3s -r "$1" -p random |
		jq -r '.windows | "   \(.held) of \(.count) windows within 1 %, \(.stalled) short by stalls, \(.limited) by the machine, \(.over) over"'
}
for mib in 1 100 1000 10000; do
	echo "   -r $mib: $(held "$mib")"
done
for _ in $(seq "$(nproc)"); do
	while :; do :; done &
	hogs="$hogs $!"
done
echo "   -r 1000, each CPU busy: $(held 1000)"
