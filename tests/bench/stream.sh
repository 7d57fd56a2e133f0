#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# How fast `hsbpf vm` streams and answers, between two network namespaces joined by a veth pair, beside iperf3 (which only
# streams: the upper bound) and, if MIG_MON names its program, mig_mon. They take turns; medians of RUNS rounds of
# SECONDS_ each. Usage: stream.sh, as root.
set -eu
[ -n "${HS_OWN_MOUNTS:-}" ] || HS_OWN_MOUNTS=1 exec unshare --mount --propagation slave "$0" "$@"
RUNS=${RUNS:-3} SECONDS_=${SECONDS_:-2} B=${B:-build} MIG_MON=${MIG_MON:-}
export LC_ALL=C TIMEFORMAT='%U %S'
mount -t tmpfs -o mode=755 hsbpf-bench-run /run # where ip(8) keeps namespaces
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-bench.XXXXXX")
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	ip netns del stream-src 2>/dev/null || true
	ip netns del stream-dst 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
ip netns add stream-src
ip netns add stream-dst
ip link add veth0 netns stream-src type veth peer name veth0 netns stream-dst
ip -n stream-src addr add 172.16.0.1/24 dev veth0
ip -n stream-dst addr add 172.16.0.2/24 dev veth0
ip -n stream-src link set veth0 up
ip -n stream-dst link set veth0 up
src() { ip netns exec stream-src "$@"; }

# serve PORT COMMAND...: a server that listens; its number in $server
serve() {
	local port=$1
	shift
	ip netns exec stream-dst "$@" >"$work/dst" 2>"$work/dst.err" &
	server=$!
	until ip netns exec stream-dst ss -ltnH | grep -q ":$port "; do read -rt 0.02 <> <(:) || true; done
}
served() { wait "$server" 2>/dev/null || true; server=; }
# timed FILE COMMAND...: its CPU time in FILE
timed() {
	local file=$1
	shift
	{ time "$@" 2>/dev/null; } 2>"$file"
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
# note NAME MiB/S BYTES: with the CPU time of both ends from $work/*.time, in s per GB
note() {
	echo "$2" >>"$work/$1.speed"
	cat "$work"/{src,dst}.time | awk -v bytes="$3" '{s += $1 + $2} END {if (bytes > 0) print s / bytes * 1e9}' >>"$work/$1.cpu"
}
export -f timed
export work TIMEFORMAT

iperf3_run() {
	serve 5201 bash -c 'timed "$work/dst.time" iperf3 -s -1'
	timed "$work/src.time" src iperf3 -J -c 172.16.0.2 -t "$SECONDS_" >"$work/src"
	served
	note iperf3 "$(jq '.end.sum_received.bits_per_second / 8 / 1048576' "$work/src")" "$(jq .end.sum_sent.bytes "$work/src")"
}
# hsbpf_run NAME OPTION...: in $work/NAME.*
hsbpf_run() {
	local name=$1
	shift
	serve 12323 bash -c 'timed "$work/dst.time" "$1" vm -d --once --json' - "$B/hsbpf"
	timed "$work/src.time" src "$B/hsbpf" vm -s -H 172.16.0.2 --duration "${SECONDS_}s" --json "$@" >"$work/src"
	served
	note "$name" "$(jq .mib_per_s "$work/src")" "$(jq .bytes "$work/src")"
	jq -r '[.connections[].latency.total // empty][0] // empty | "\(.average_ns / 1000) \(.max_ns / 1000)"' "$work/dst" >>"$work/$name.latency"
}
# It tells its speed once a second, and ends only by a signal.
mig_mon_run() {
	local name=$1 speed seconds=$SECONDS_.2
	shift
	serve 12323 stdbuf -oL "$MIG_MON" vm -d
	timed "$work/src.time" src timeout "$seconds" stdbuf -oL "$MIG_MON" vm -s -H 172.16.0.2 "$@" >"$work/src" || true
	# Its children are not waited for: they tell their times as zombies.
	awk -v hz="$(getconf CLK_TCK)" '{print $14 / hz, $15 / hz}' "/proc/$(pgrep -P "$server")/stat" >"$work/dst.time"
	kill "$server"
	served
	speed=$(awk '/^Speed:/ {s += $2; n++} END {print n ? s / n : 0}' "$work/src")
	note "$name" "$speed" "$(awk -v speed="$speed" -v s="$seconds" 'BEGIN {print speed * 1048576 * s}')"
	awk '/^Latency:/ {gsub(/,/, ""); sum += $3; n++; if ($6 > max) max = $6} END {if (n) print sum / n, max}' "$work/dst" >>"$work/$name.latency"
}

round() {
	iperf3_run
	hsbpf_run hsbpf.precopy -t precopy
	[ -z "$MIG_MON" ] || mig_mon_run mig_mon.precopy -t precopy
	hsbpf_run hsbpf.postcopy -t postcopy
	[ -z "$MIG_MON" ] || mig_mon_run mig_mon.postcopy -t postcopy
	hsbpf_run hsbpf.both -t precopy -t postcopy
	[ -z "$MIG_MON" ] || mig_mon_run mig_mon.both -t precopy -t postcopy
	hsbpf_run hsbpf.preempt -t precopy -t postcopy --request-stream
}
for _ in $(seq "$RUNS"); do round; done

figure() { [ -s "$work/$1" ] && cut -d' ' -f"${2:-1}" "$work/$1" | median || echo -; }
row() { printf '   %-36s %10s %16s %14s %12s\n' "$@"; }
number() { [ "$2" = - ] && echo - || printf "$1" "$2"; }
line() { # NAME LABEL
	[ -s "$work/$1.speed" ] || return 0
	row "$2" "$(number %.0f "$(figure "$1.speed")")" "$(number %.2f "$(figure "$1.cpu")")" \
		"$(number %.1f "$(figure "$1.latency")")" "$(number %.0f "$(figure "$1.latency" 2)")"
}
row "" "MiB/s" "CPU s/GB" "request us" "longest us"
line iperf3 "iperf3"
line hsbpf.precopy "hsbpf, precopy"
line mig_mon.precopy "mig_mon, precopy"
line hsbpf.postcopy "hsbpf, postcopy"
line mig_mon.postcopy "mig_mon, postcopy"
line hsbpf.both "hsbpf, both"
line mig_mon.both "mig_mon, both"
line hsbpf.preempt "hsbpf, both, --request-stream"
ratio() { # LABEL OURS THEIRS AIM
	[ "$2" = - ] || [ "$3" = - ] || awk -v label="$1" -v a="$2" -v b="$3" -v aim="$4" \
		'BEGIN {printf "   %s: %.2f (aim: %s)\n", label, a / b, aim}'
}
ratio "speed, hsbpf / iperf3" "$(figure hsbpf.precopy.speed)" "$(figure iperf3.speed)" "1, the upper bound"
ratio "speed, hsbpf / mig_mon" "$(figure hsbpf.precopy.speed)" "$(figure mig_mon.precopy.speed)" "1 or more"
ratio "latency, hsbpf / mig_mon" "$(figure hsbpf.postcopy.latency)" "$(figure mig_mon.postcopy.latency)" "1 or less"
ratio "latency in a stream, hsbpf / mig_mon" "$(figure hsbpf.both.latency)" "$(figure mig_mon.both.latency)" "below 1"
[ -n "$MIG_MON" ] || echo "   MIG_MON names no program: mig_mon is left out"
