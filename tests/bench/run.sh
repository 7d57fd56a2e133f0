#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `make bench`: the figures that the README quotes, each beside its peer and measured in the same run. Root.
#   RUNS=3     repetitions of the lab, ours and the baseline in turn; medians are printed
#   PAIRS=24   also raise that many pairs once and tell the phases (5 minutes)
set -eu
RUNS=${RUNS:-3} SECONDS_=${IPERF_SECONDS:-2} B=${B:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

median() { sort -n | awk '{v[NR]=$1} END{print NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
wall() { local start end; start=$(date +%s.%N); "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
	end=$(date +%s.%N); echo "$end - $start" | awk "{print \$1 - \$3}"; }

echo "== parser of QEMU's IOMMU log (aim: 300 MB/s on one core)"
"$B/tests/bench/bench_qemulog"

echo "== hsbpf trace-gen, text to trace (aim: 300 MB/s on one core; hypersio-perf --build: 10 MB/s)"
"$B/tests/bench/bench_trace_gen"

echo "== hsbpf log: records of two kernels merged and written (aim: 200 k records/s on one core)"
"$B/tests/bench/bench_log"

echo "== hsbpf iommu-sim, synthetic tenants (aim: 5 M translations a CPU second with 64 tenants, half of that with 4096)"
"$B/tests/bench/bench_iommu_sim" || echo "   below the aim"

echo "== hsbpf report on a synthetic trace (aim: 1 M records/s)"
"$B/tests/bench/bench_report"

echo "== hsbpf print, against babeltrace2 (aim: 1 M events/s)"
tests/bench/print.sh

echo "== ftrace pages of a guest into its trace (aim: 1 M events/s)"
"$B/tests/bench/bench_ftrace"

echo "== hsbpf record and its peers: 2 million events of a guest on one CPU, recorders on another"
tests/bench/record.sh

echo "== hsbpf agent, against cat trace_pipe_raw"
tests/bench/agent.sh

echo "== collect --l2vm 1, --iperf3time $SECONDS_, against the bare script (aim: ratio 1.0 or less, better 0.7)"
"$B/hsbpf" collect --dry-run -o "$work/warm" >/dev/null
kernel=$(ls -d "${HSBPF_CACHE:-/var/cache/hsbpf}"/kernels/* 2>/dev/null | head -1 || true)
if [ -z "$kernel" ]; then
	"$B/hsbpf" collect --test none -o "$work/warm" >/dev/null
	kernel=$(ls -d "${HSBPF_CACHE:-/var/cache/hsbpf}"/kernels/* | head -1)
fi
for run in $(seq "$RUNS"); do
	wall "$B/hsbpf" collect --l2vm 1 --iperf3time "$SECONDS_" -o "$work/run$run" >>"$work/ours"
	rm -rf "$work/run$run"
	KROOT=$kernel W=$work/baseline wall tests/bench/baseline.sh 1 "$SECONDS_" >>"$work/theirs"
	rm -rf "$work/baseline"
	paste <(tail -1 "$work/ours") <(tail -1 "$work/theirs") | awk '{printf "   run: hsbpf %.1f s, script %.1f s, ratio %.2f\n", $1, $2, $1/$2}'
done
paste <(median <"$work/ours") <(median <"$work/theirs") |
	awk '{printf "   median: hsbpf %.1f s, script %.1f s, ratio %.2f\n", $1, $2, $1/$2}'

echo "== hsbpf stat, against hsbpf record on the same guest"
tests/bench/stat.sh

echo "== hsbpf mm_dirty, against bare loops and stress-ng"
tests/bench/mm_dirty.sh

echo "== client_rr and server_rr, against ping -i on the same link"
RUNS=5 tests/bench/probe.sh

echo "== hsbpf vm over a veth pair, against iperf3, and mig_mon if MIG_MON names its program"
tests/bench/stream.sh

if [ -n "${PAIRS:-}" ]; then
	echo "== collect --l2vm $PAIRS (aim: every pair with a result within 5 minutes)"
	"$B/hsbpf" collect --l2vm "$PAIRS" -o "$work/many" || true
fi
