#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What `hsbpf stat` costs beside `hsbpf record`, in one run: a guest that makes a known number of events on one CPU, the
# watcher on another, alternating; CPU time added to the guest per event that was watched, medians. Root; needs two CPUs.
#   RUNS=5      repetitions of each
#   OUTS=500000 what the guest does; each makes 5 events of KVM
set -eu
RUNS=${RUNS:-5} OUTS=${OUTS:-500000} B=${B:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-bench.XXXXXX")
idle=
trap '[ -z "$idle" ] || kill -KILL $idle; rm -rf "$work"' EXIT

median() { sort -n | awk '{v[NR]=$1} END{print NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
# The guest on CPU 0, from a watcher on CPU 1: its CPU time in ns into $work/time, its number into $work/pid
guest=(bash -c 'echo $$ >"$1/pid"; exec taskset -c 0 "$2" "$3" >"$1/time"' - "$work" "$B/tests/bench/kvmgen" "$OUTS")
time_ns() { grep -oE 'cpu_ns=[0-9]+' "$work/time" | cut -d= -f2; }
watcher() { taskset -c 1 "$B/hsbpf" "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }; }

if ! "$B/tests/bench/kvmgen" 10 >/dev/null 2>&1 || [ "$(nproc)" -lt 2 ]; then
	echo "   left out: KVM cannot run the tiny guest here, or there is one CPU"
	exit 0
fi
# Another VM, stopped: to select it is to leave ours out.
"$B/tests/bench/kvmgen" 4000000000 >/dev/null &
idle=$!
disown $idle
until ls -l /proc/$idle/fd 2>/dev/null | grep -q kvm-vcpu; do read -rt 0.05 <> <(:) || true; done
kill -STOP $idle

# Events that were watched, of our guest alone.
stat_events() { jq --arg tgid "$(cat "$work/pid")" '[.rows[] | select(.tgid == ($tgid | tonumber)) | .count] | add // 0' "$work/stat.json"; }
record_events() { jq '[.events[] | .recorded + .ring_lost + .disk_lost] | add' "$work/record/record.json"; }
for _ in $(seq "$RUNS"); do
	"${guest[@]}"
	none=$(time_ns)
	echo "$none" >>"$work/none"
	watcher stat --json -o "$work/stat.json" -- "${guest[@]}"
	awk -v t="$(time_ns)" -v n="$none" -v e="$(stat_events)" 'BEGIN {print (t - n) / e}' >>"$work/stat"
	stat_events >"$work/stat-events"
	watcher record -P kvm -o "$work/record" -- "${guest[@]}"
	awk -v t="$(time_ns)" -v n="$none" -v e="$(record_events)" 'BEGIN {print (t - n) / e}' >>"$work/recorded"
	record_events >"$work/record-events"
	rm -rf "$work/record"
	watcher stat --vm "$idle" --json -o "$work/stat.json" -- "${guest[@]}"
	awk -v t="$(time_ns)" -v n="$none" -v e="$(cat "$work/stat-events")" 'BEGIN {print (t - n) / e}' >>"$work/filtered"
done
awk -v none="$(median <"$work/none")" -v outs="$OUTS" 'BEGIN {printf "   the guest alone: %.0f ns an out\n", none / outs}'

# Inside the handlers alone, as the kernel measures it (a clock reading included): what a noisy machine does not blur.
# inside NAME VERB-AND-OPTIONS...: ns a run, of the events that both watch, into $work/inside-NAME
sysctl -qw kernel.bpf_stats_enabled=1
inside() {
	local name=$1
	shift
	watcher "$@" -- bash -c 'taskset -c 0 "$1" "$2" >/dev/null; bpftool -j prog list >"$3"' - \
		"$B/tests/bench/kvmgen" "$OUTS" "$work/programs"
	jq '[.[] | select((.name // "" | test("^on_kvm_(pio|userspace_exi)")) and .run_cnt >= '"$OUTS"')] |
		([.[].run_time_ns] | add) / ([.[].run_cnt] | add)' "$work/programs" >"$work/inside-$name"
}
inside record record -P kvm -o "$work/record"
inside stat stat -o /dev/null
inside filtered stat --vm "$idle" -o /dev/null
sysctl -qw kernel.bpf_stats_enabled=0
line() {
	awk -v what="$1" -v added="$(median <"$work/$2")" -v inside="$(cat "$work/inside-$3")" \
		'BEGIN {printf "   %-24s %6.1f ns added per event, %5.1f ns of it inside the handler\n", what, added, inside}'
}
line "hsbpf record" recorded record
line "hsbpf stat" stat stat
line "stat of another VM" filtered filtered
awk -v s="$(cat "$work/inside-stat")" -v r="$(cat "$work/inside-record")" \
	'BEGIN {printf "   inside: stat / record %.2f (aim: below 1)\n", s / r}'
