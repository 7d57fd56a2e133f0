#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Each fuzzer for FUZZ_SECONDS; a crash, a leak or a mismatch fails, and its input is printed. FUZZ_SEED: the same inputs
# each time, for a check of a change; without, others each time.
set -u
seconds=${FUZZ_SECONDS:-10}
n=0
for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	work=$(mktemp -d)
	seeds=()
	[ "$name" = fuzz_qemulog ] && seeds=(-seed_inputs=tests/data/qemulog_lines.txt)
	[ "$name" = fuzz_formats ] && seeds=(-seed_inputs=tests/data/formats.txt)
	[ "$name" = fuzz_ingest ] && seeds=(-seed_inputs=tests/data/hyper_stock_0.txt,tests/data/hyper_patched_0.txt)
	[ "$name" = fuzz_ftrace ] && seeds=(-seed_inputs=tests/data/ftrace.bin)
	[ "$name" = fuzz_guest_log ] && printf '\3\1\4\0boot\4\1\20\0%016d\2\5\47\0006,0,1000,-,caller=T1;text\n4,2,2000,c;x\n' 0 >"$work/seed"
	n=$((n + 1))
	if "build/tests/fuzz/$name" -seed="${FUZZ_SEED:-0}" -max_total_time="$seconds" -max_len=6000 -artifact_prefix="$work/" \
		"${seeds[@]}" "$work" >"$work/log" 2>&1; then
		echo "ok $n - $name finds nothing in $seconds s"
	else
		echo "not ok $n - $name finds nothing in $seconds s"
		tail -30 "$work/log" | sed 's/^/# /'
		for artifact in "$work"/crash-* "$work"/leak-* "$work"/timeout-*; do
			[ -f "$artifact" ] && { echo "# $artifact:"; base64 "$artifact" | sed 's/^/#   /'; }
		done
	fi
	rm -rf "$work"
done
