#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What an event costs: a guest on one CPU makes a known number of them, recorders take turns on another. Added time is
# CPU time of the vCPU's thread with a recorder less that without one, which is measured right before and right after:
# lower quartiles of PIECES pieces, for the machine drifts and what else it does only ever adds. All figures are medians
# of RUNS rounds.
# Usage: record.sh, as root. OUTS=300000 is how often the guest uses its port in a round.
set -eu
RUNS=${RUNS:-5} OUTS=${OUTS:-300000} PIECES=${PIECES:-30} B=${B:-build}
# What the guest makes each time it uses its port (out, dec, jnz are emulated).
EVENTS="kvm_pio kvm_userspace_exit kvm_emulate_insn" PER_OUT=5
kvmgen=$B/tests/bench/kvmgen
work=$(mktemp -d "${TMPDIR:-/var/tmp}/hsbpf-bench.XXXXXX")
instance= spinner=
tracefs=/sys/kernel/tracing
[ -d $tracefs/events ] || { tracefs=$work/tracefs; mkdir "$tracefs"; mount -t tracefs tracefs "$tracefs"; }
cleanup() {
	[ -z "$instance" ] || rmdir "$instance" 2>/dev/null || true
	[ "$tracefs" = /sys/kernel/tracing ] || umount "$tracefs"
	[ -z "$spinner" ] || kill "$spinner"
	rm -rf "$work"
}
trap cleanup EXIT

if ! "$kvmgen" 10 >/dev/null 2>&1; then
	echo "   KVM cannot run the tiny guest here: nothing is measured"
	exit 0
fi
[ "$(nproc)" -ge 2 ] || { echo "   one CPU is not enough to measure"; exit 0; }
produced=$((OUTS * PER_OUT))

# ---- recorders: start_X leaves their processes in $pids, stop_X their file sizes in $bytes ----
# until_ready CONDITION: a recorder that ends before, or is not ready after 20 s, ends the bench
until_ready() {
	local tries=0
	until eval "$1" 2>/dev/null; do
		tries=$((tries + 1))
		if [ $tries -gt 1000 ] || ! kill -0 "${pids%% *}" 2>/dev/null; then
			echo "   a recorder does not start (waiting for: $1)" >&2
			exit 1
		fi
		read -rt 0.02 <> <(:) || true
	done
}
options() { local event; for event in $EVENTS; do echo "$1$event"; done; }
size() { du -bc "$@" 2>/dev/null | tail -1 | cut -f1; }
end() { kill -INT $pids 2>/dev/null || true; wait $pids 2>/dev/null || true; }

start_none() { pids=; }
stop_none() { :; }
start_empty() {
	mkfifo "$work/hold"
	"$B/tests/bench/bench_empty" $EVENTS <"$work/hold" >"$work/ready" & pids=$!
	exec 9>"$work/hold"
	until_ready "grep -q ready $work/ready"
}
stop_empty() { exec 9>&-; wait "$pids"; rm "$work/hold"; }
start_record() {
	taskset -c 0 "$B/hsbpf" record $(options "-e ") ${vm:-} -o "$work/record" >/dev/null 2>"$work/record.err" & pids=$!
	until_ready "test -s $work/record/record.json"
}
stop_record() {
	end
	bytes=$(size "$work"/record/trace/host/cpu*)
	recorded=$(jq '[.events[].recorded] | add' "$work/record/record.json")
	lost=$(jq '[.events[] | .ring_lost + .disk_lost] | add' "$work/record/record.json")
	rm -rf "$work/record"
}
start_flight() {
	taskset -c 0 "$B/hsbpf" record $(options "-e ") --flight -o "$work/record" >/dev/null 2>"$work/record.err" & pids=$!
	until_ready "test -s $work/record/record.json"
}
stop_flight() { end; rm -rf "$work/record"; }
start_filtered() {
	mkfifo "$work/other"
	"$kvmgen" 1 wait <>"$work/other" >/dev/null & other=$!
	until ls -l /proc/$other/fd 2>/dev/null | grep -q kvm-vcpu; do read -rt 0.02 <> <(:) || true; done
	vm="--vm $other" start_record
}
stop_filtered() { end; echo >"$work/other"; wait $other; rm -rf "$work/record" "$work/other"; }
start_stat() {
	taskset -c 0 "$B/hsbpf" stat -i 1s >"$work/stat" 2>&1 & pids=$!
	until_ready "test -s $work/stat"
}
stop_stat() { end; }
start_perf() {
	taskset -c 0 perf record -q -a $(options "-e kvm:") -m 2048 -o "$work/perf.data" >/dev/null 2>&1 & pids=$!
	until_ready "ls -l /proc/$!/fd | grep -q perf_event"
	read -rt 0.5 <> <(:) || true
}
stop_perf() {
	end
	bytes=$(size "$work/perf.data")
	rm "$work/perf.data"
}
start_ftrace() {
	local event
	instance=$tracefs/instances/hsbpf-bench
	mkdir "$instance" "$work/ftrace"
	echo 8192 >"$instance/buffer_size_kb"
	echo boot >"$instance/trace_clock"
	taskset -c 0 "$B/tests/bench/bench_tracefs" "$instance" "$work/ftrace" >"$work/ready" & pids=$!
	until_ready "grep -q ready $work/ready"
	pids="$pids $(pgrep -P "$pids" | paste -sd' ')"
	for event in $EVENTS; do echo 1 >"$instance/events/kvm/$event/enable"; done
}
stop_ftrace() {
	echo 0 >"$instance/events/enable"
	kill -INT ${pids#* }
	wait "${pids%% *}"
	rmdir "$instance"
	instance=
	bytes=$(size "$work"/ftrace/*)
	rm -r "$work/ftrace"
}
start_bpftrace() {
	local probes
	probes=$(options tracepoint:kvm: | paste -sd,)
	taskset -c 0 bpftrace -e "$probes { @[probe] = count(); } BEGIN { printf(\"ready\n\"); }" >"$work/bpftrace" 2>&1 & pids=$!
	until_ready "grep -q ready $work/bpftrace"
}
stop_bpftrace() { end; }

recorders="empty filtered record"
"$B/hsbpf" record --help | grep -q -- --flight && recorders="$recorders flight"
"$B/hsbpf" stat --help >/dev/null 2>&1 && recorders="$recorders stat"
for peer in perf bpftrace; do
	if command -v $peer >/dev/null; then recorders="$recorders $peer"; else echo "   no $peer here: left out"; fi
done
[ -d "$tracefs/instances" ] && recorders="$recorders ftrace"

# ---- measuring ----
cpu_ns() { local pid; for pid in $pids; do cat /proc/"$pid"/task/*/schedstat 2>/dev/null; done | awk '{s += $1} END {print s + 0}'; }
# measure RECORDER: one round; $quartile is CPU time per out in ns, the collector's time and bytes go to RECORDER.runs
measure() {
	local before after piece
	bytes=0 recorded= lost=
	"start_$1"
	before=$(cpu_ns)
	for ((piece = 0; piece < PIECES; piece++)); do
		taskset -c $(($(nproc) - 1)) "$kvmgen" $((OUTS / PIECES))
	done | sed -E 's/io=([0-9]+) ns=([0-9]+) cpu_ns=([0-9]+)/\1 \2 \3/' >"$work/pieces"
	read -rt 0.2 <> <(:) || true
	after=$(cpu_ns)
	"stop_$1"
	quartile=$(awk '{print $3 / $1}' "$work/pieces" | sort -n | sed -n "$(((PIECES + 3) / 4))p")
	rate=$(awk -v n=$PER_OUT '{outs += $1; ns += $2} END {printf "%.0f", outs * n / ns * 1e6}' "$work/pieces")
	echo "$((after - before)) $bytes" | awk -v n=$((OUTS / PIECES * PIECES * PER_OUT)) '{print $1 / n, $2 / n}' >>"$work/$1.runs"
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# Two CPUs may be one core: what the other one does then changes the guest's speed more than any recorder. So it is never
# idle, and a recorder takes its time from this loop.
taskset -c 0 nice -n 19 bash -c 'while :; do :; done' &
spinner=$!
disown $spinner
measure none
for run in $(seq "$RUNS"); do
	for recorder in $recorders; do
		without=$quartile
		measure "$recorder"
		with=$quartile
		if [ "$recorder" = record ]; then echo "$recorded $lost $rate" >>"$work/record.counts"; fi
		measure none
		echo "$without $with $quartile" | awk -v n=$PER_OUT '{print ($2 - ($1 + $3) / 2) / n}' >>"$work/$recorder.added"
	done
done

added() { median <"$work/$1.added"; }
figure() { cut -d' ' -f"$2" "$work/$1.runs" | median; }
printf '   %-10s %16s %22s %14s\n' "" "added ns/event" "collector ns/event" "bytes/event"
for recorder in $recorders; do
	printf '   %-10s %16.0f %22.0f %14.1f\n' "$recorder" "$(added "$recorder")" "$(figure "$recorder" 1)" "$(figure "$recorder" 2)"
done
ratio() { [ -s "$work/$2.runs" ] && echo "$(added "$1") $(added "$2")" | awk -v a="$1" -v b="$2" -v aim="$3" \
	'{printf "   added: %s / %s = %.2f (aim: %s)\n", a, b, $1 / $2, aim}' || true; }
ratio record ftrace "0.70 or less, better 0.50"
ratio record perf "0.25 or less"
ratio stat record "below 1"
ratio filtered record "next to nothing more than empty"
awk -v n=$produced '{recorded = $1; lost += $2; rate = $3} END {
	printf "   record: %d runs of %d events at %d k/s, the last one recorded %d; lost in all: %d (aim: 0)\n", NR, n, rate, recorded, lost}' \
	"$work/record.counts"

echo "   a ring too small:"
"$B/hsbpf" record --buffer 4K $(options "-e ") -o "$work/small" -- "$kvmgen" 200000 >/dev/null 2>&1 || true
recorded=$(jq '[.events[].recorded] | add' "$work/small/record.json")
lost=$(jq '[.events[].ring_lost] | add' "$work/small/record.json")
discarded=$(babeltrace2 "$work/small/trace/host" 2>&1 >/dev/null | grep -oE 'Tracer discarded [0-9]+' | awk '{s += $3} END {print s + 0}')
echo "   recorded $recorded + lost $lost = $((recorded + lost)) of $((200000 * PER_OUT + 3)) produced; babeltrace2: $discarded discarded"
