#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# How many events a second `hsbpf print` turns into text, beside babeltrace2 on the same recording. Root; one thread
# each, to /dev/null, the median of 5 runs in turn. Exit status 1 below a million events a second.
#   OUTS=200000   outs of the guest that is recorded; some five events each
set -eu
B=${B:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-bench-print.XXXXXX")
trap 'rm -rf "$work"' EXIT

"$B/hsbpf" record -o "$work/rec" -- "$B/tests/bench/kvmgen" "${OUTS:-200000}" >/dev/null 2>&1
events=$("$B/hsbpf" print --count "$work/rec" | awk '{sum += $1} END {print sum}')
wall() { local start end; start=$(date +%s%N); "$@" >/dev/null 2>&1; end=$(date +%s%N); echo $((end - start)); }
for _ in 1 2 3 4 5; do
	wall "$B/hsbpf" print "$work/rec" >>"$work/text"
	wall "$B/hsbpf" print --jsonl "$work/rec" >>"$work/jsonl"
	wall babeltrace2 "$work/rec/trace/host" >>"$work/babeltrace2"
done
rate() { sort -n "$work/$1" | awk -v events="$events" 'NR == 3 {printf "%.2f", events / $1 * 1000}'; }
echo "   $events events: hsbpf print $(rate text) M/s, --jsonl $(rate jsonl) M/s, babeltrace2 $(rate babeltrace2) M/s"
awk -v rate="$(rate text)" 'BEGIN {exit rate < 1}'
