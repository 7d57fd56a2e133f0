#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `client_rr` and `server_rr` beside `ping -i`, in turns on the same veth pair: round trips (ping is answered by the
# kernel itself: the floor), how well the pace is held, and how fast it can be. Medians over the runs. Root.
#   RUNS=5       repetitions
#   PROBES=1000  in each
set -eu
RUNS=${RUNS:-5} PROBES=${PROBES:-1000} B=${B:-build}
if [ -z "${HS_OWN_NET:-}" ]; then
	export B RUNS PROBES
	HS_OWN_NET=1 exec unshare --net --mount --propagation slave "$0"
fi
mount -t tmpfs hsbpf-bench-run /run
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-bench.XXXXXX")
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$work"' EXIT
median() { sort -n | awk '{v[NR]=$1} END{print NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }

ip netns add guest
ip link add outside type veth peer name inside netns guest
ip address add 172.16.79.1/24 dev outside
ip link set outside up
ip netns exec guest ip address add 172.16.79.2/24 dev inside
ip netns exec guest ip link set inside up
ip netns exec guest "$B/hsbpf-migtools" server_rr >/dev/null 2>"$work/server" &
server=$!
until grep -q "port 12323" "$work/server"; do read -rt 0.05 <> <(:) || true; done

# figure NAME FILE: the run's figure for the median over the runs
figure() { cat >>"$work/$1"; }
probe() {
	"$B/hsbpf" client_rr --json -n "$PROBES" 172.16.79.2 "$1" "$work/spikes" >"$work/doc" 2>/dev/null
	jq .round_trip.p50_ns/1000 "$work/doc" | figure "probe50-$1"
	jq .round_trip.p99_ns/1000 "$work/doc" | figure "probe99-$1"
	jq .pacing.lateness.p99_ns/1000 "$work/doc" | figure "late99-$1"
	jq '.answered / (.duration_ns / 1e9)' "$work/doc" | figure "rate-$1"
	jq '.lost' "$work/doc" | figure "lost-$1"
}
# percentile SHARE FILE: of the numbers in it
percentile() { sort -n "$2" | awk -v p="$1" '{v[NR]=$1} END{i = int(p * NR + 0.999999); print v[i < 1 ? 1 : i]}'; }
ping_() {
	ping -n -c "$PROBES" -i "$(awk -v ms="$1" 'BEGIN {print ms / 1000}')" 172.16.79.2 >"$work/ping"
	sed -nE 's/.*time=([0-9.]+) ms/\1/p' "$work/ping" | awk '{print $1 * 1000}' >"$work/times"
	percentile 0.5 "$work/times" | figure "ping50-$1"
	percentile 0.99 "$work/times" | figure "ping99-$1"
	sed -nE 's/.* ([0-9]+) received.* time ([0-9]+)ms/\1 \2/p' "$work/ping" | awk '{print $1 / ($2 / 1000)}' | figure "pingrate-$1"
}
for ms in 10 1 0.2; do
	for _ in $(seq "$RUNS"); do
		probe "$ms"
		ping_ "$ms"
	done
	for name in probe50 probe99 late99 rate lost ping50 ping99 pingrate; do median <"$work/$name-$ms" >"$work/m-$name"; done
	awk -v ms="$ms" -v p50="$(cat "$work/m-probe50")" -v p99="$(cat "$work/m-probe99")" -v late="$(cat "$work/m-late99")" \
		-v rate="$(cat "$work/m-rate")" -v lost="$(cat "$work/m-lost")" -v q50="$(cat "$work/m-ping50")" \
		-v q99="$(cat "$work/m-ping99")" -v qrate="$(cat "$work/m-pingrate")" 'BEGIN {
		printf "   every %s ms: client_rr p50 %.1f us, p99 %.1f us, %.0f/s, lost %d, p99 of its lateness %.1f us\n", ms, p50, p99, rate, lost, late
		printf "   %*s ping -i    p50 %.1f us, p99 %.1f us, %.0f/s; client_rr adds %.1f us\n", length(ms) + 10, "", q50, q99, qrate, p50 - q50}'
done

# As fast as it goes: 10 us apart, for half a second.
for _ in $(seq "$RUNS"); do
	TIMEFORMAT='%U %S'
	{ time "$B/hsbpf" client_rr --json -i 10us -d 500ms 172.16.79.2 >"$work/doc" 2>/dev/null; } 2>"$work/cpu"
	jq '.answered / (.duration_ns / 1e9)' "$work/doc" | figure fast
	jq --argjson cpu "$(awk '{print $1 + $2}' "$work/cpu")" '$cpu * 1e6 / .sent' "$work/doc" | figure cpu
done
awk -v rate="$(median <"$work/fast")" -v cpu="$(median <"$work/cpu")" \
	'BEGIN {printf "   every 10 us: %.0f answered a second, %.1f us of CPU each\n", rate, cpu}'
