#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# hsbpf iommu-sim as a user meets it, on a trace of the repository's real IOMMU log: documents, exit codes, and the Mb/s
# that hypersio 1.0 printed for the files that trace-gen --format hypersio makes of the same log.
. tests/lib/tap.sh

cp tests/data/qemu_iommu_2vm_20k.txt.xz "$work/log_0.txt.xz"
run "$hsbpf" trace-gen --log-prefix "$work/log" -o "$work/trace"
equal "a trace of the log" "$status" 0

run "$hsbpf" iommu-sim "$work/trace" --json
equal "exit code" "$status" 0
cp "$work/out" "$work/base.json"
check "the document fits its schema" tests/lib/schema.sh "$work/base.json"
equal "the whole trace was run" "$(jq .translations "$work/base.json")" \
	"$("$hsbpf" trace-gen --info "$work/trace" --json | jq .translations)"
equal "the parts of the time are all of it" "$(jq '[.time_pct[]] | add | . * 100 | round' "$work/base.json")" 10000

"$hsbpf" iommu-sim "$work/trace" --config hypertrio --link 400G --json >"$work/trio.json"
equal "options weigh more than a file, a file more than base" \
	"$(jq -c '[.config | .name, .link_bps, .queue, .pcie]' "$work/trio.json")" '["hypertrio",400000000000,32,450]'
printf 'queue = 7 # as many\ndtlb-size = 0\n' >"$work/mine.conf"
equal "a file of one's own, a zero in it included" \
	"$("$hsbpf" iommu-sim "$work/trace" --config "$work/mine.conf" --json | jq -c '[.config.name, .config.queue, .caches.dtlb.hits]')" \
	'["mine",7,0]'

"$hsbpf" iommu-sim "$work/trace" --tenants-csv "$work/tenants.csv" >"$work/text"
check "people read the use of the link first" grep -q '^link use [0-9.]* %' "$work/text"
equal "a row for each tenant, which add up" "$(awk -F, 'NR > 1 {n++; t += $5} END {print n, t}' "$work/tenants.csv")" \
	"2 $(jq .translations "$work/base.json")"

mbps() { "$hsbpf" iommu-sim "$work/trace" --compat hypersio --json "$@" | tee "$work/compat.json" | jq .mbps; }
equal "hypersio: unasked" "$(mbps)" 197224
equal "hypersio: prefetching, 32 at a time" "$(mbps --queue 32 --dtlb-size 8 --dtlb-ways 8 --prefetch-size 4 \
	--prefetch-history 2 --prefetch-distance 8)" 201561
equal "hypersio: its oracle, in order" "$(mbps --queue 8 --order in --dtlb-policy optimum --dtlb-size 4 --dtlb-ways 4 \
	--l2-size 8 --l2-ways 4)" 90524
check "the document of that model fits its schema" tests/lib/schema.sh "$work/compat.json"
equal "what is corrected is no fault" "$(mbps --correct walk,arrival >/dev/null; jq -c .faults "$work/compat.json")" \
	'["giant","prefetch","successor","page-size","packet"]'

fails "no trace" 2 "needs one trace" "$hsbpf" iommu-sim
fails "no such trace" 1 "nowhere" "$hsbpf" iommu-sim "$work/nowhere"
fails "a file that is no trace" 1 "trace" "$hsbpf" iommu-sim "$work/log_0.txt.xz"
fails "no such configuration" 2 "there is no configuration fast" "$hsbpf" iommu-sim "$work/trace" --config fast
fails "what does not fit together" 2 "cannot be 8 ways" "$hsbpf" iommu-sim "$work/trace" --dtlb-size 63
fails "a value that is none" 2 "'best' is no value for dtlb-policy" "$hsbpf" iommu-sim "$work/trace" --dtlb-policy best
fails "no such fault" 2 "has no such fault" "$hsbpf" iommu-sim "$work/trace" --compat hypersio --correct everything
fails "a correction of our own model" 2 "are for --compat" "$hsbpf" iommu-sim "$work/trace" --correct walk
fails "a full disk" 1 "cannot write to standard output: No space left" \
	sh -c "'$hsbpf' iommu-sim '$work/trace' --json >/dev/full"
fails "a full disk for the tenants" 1 "cannot write /dev/full: No space left" "$hsbpf" iommu-sim "$work/trace" --tenants-csv /dev/full
fails "times in seconds that were meant in ns" 2 "pcie: more than a second" "$hsbpf" iommu-sim "$work/trace" --pcie 450
plan
