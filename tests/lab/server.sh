#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `server` hears clients that only send, ours and mig_mon's: how much came, and when it did not. In two networks of its
# own, joined by a veth pair: ours, where the server is, and that of a guest.
[ -n "${HS_OWN_NET:-}" ] || HS_OWN_NET=1 exec unshare --net "$0"
. tests/lib/tap.sh
peer=$PWD/tests/lab/udp_peer.py
guest() { ip netns exec guest "$@"; }
ip link set lo up
ip netns add guest
ip link add outside type veth peer name inside netns guest
ip address add 172.16.78.1/24 dev outside
ip link set outside up
guest ip address add 172.16.78.2/24 dev inside
guest ip link set inside up

start() {
	: >"$work/server.err" # now: what it said the last time is not taken for what it says
	setpriv --pdeathsig KILL "$@" >"$work/server.out" 2>"$work/server.err" &
	server=$!
	until_true 10 grep -q "port 12323" "$work/server.err"
}
finish() {
	kill "-$1" "$server"
	wait "$server"
	status=$?
}
holds() {
	if jq -e "${@:3}" "$2" "$work/server.out" >/dev/null; then ok "$1"; else not_ok "$1"; note "$(jq -c . "$work/server.out")"; fi
}
heard() { [ "$(grep -c "^hsbpf: client " "$work/server.err")" -ge "$1" ]; }

# ---- a client of ours is stopped, and its link goes down ------------------------------------------------
start "$hsbpf" server --json "$work/spikes"
setpriv --pdeathsig KILL ip netns exec guest "$PWD/build/hsbpf-migtools" client --json 172.16.78.1 10 >"$work/client.out" 2>"$work/client.err" &
client=$!
until_true 10 heard 1
lasting() { read -rt "$1" <> <(:) || true; }
lasting 0.5
"$peer" clocked ip link set outside down >"$work/down"
lasting 0.6
"$peer" clocked ip link set outside up >"$work/up"
lasting 1.5
"$peer" stop "$client" 0.7 >"$work/stop"
lasting 0.5
kill -INT "$client"
wait "$client"
equal "the client ends well" $? 0
finish INT
equal "Ctrl-C ends it well" "$status" 0
check "its document has its schema's shape" tests/lib/schema.sh "$work/server.out"
read -r _ down_done <"$work/down"
read -r up_asked _ <"$work/up"
sent=$(jq .sent "$work/client.out")
holds "what was sent and did not come is lost, to the number" '.clients | length == 1 and .[0].numbered and
	.[0].received + .[0].lost == $sent and .[0].lost + .[0].late > 20 and .[0].duplicates == 0 and .[0].refused == 0' --argjson sent "$sent"
# How soon a neighbour is found again is the kernel's: 3 s at most. The client's own lateness is known.
holds "a link that was down is an outage, at its time" '.clients[0] | ((1 + $skipped) * .interval_ns + $late) as $slack |
	[.outages[] | select(.length_ns > 300000000)] | length == 1 and (.[0] |
	.start_ns <= $b + $slack and .end_ns >= $c and .end_ns <= $c + 3000000000 and
	.at_most_ns >= $c - $b)' \
	--argjson b "$down_done" --argjson c "$up_asked" \
	--argjson late "$(jq .pacing.lateness.max_ns "$work/client.out")" --argjson skipped "$(jq .pacing.skipped "$work/client.out")"
holds "a client that stood still sent nothing: a delay, and no outage of the network" \
	'.clients[0].delay.max_ns >= 600000000 and .clients[0].interval_ns == 10000000'
equal "the spike log has \"seconds,ms\"" "$(head -1 "$work/spikes" | cut -d, -f2) $(grep -cvE '^[0-9]{10},[0-9]+$' "$work/spikes")" "0 0"
check "... and both" [ "$(awk -F, '$2 >= 500' "$work/spikes" | wc -l)" -ge 2 ]
check "progress is in mig_mon's words" grep -qE '^\[[0-9]+\] max_delay: [0-9]+ \(ms\), cur: [0-9]+ \(ms\)$' "$work/server.err"

# ---- mig_mon's client, on either port; ours beside it -----------------------------------------------------
start "$PWD/build/hsbpf-migtools" server --json "$work/spikes"
guest "$peer" tick 172.16.78.1 12323 10 40 800 60 >"$work/ticks" &
ticks=$!
run guest "$hsbpf" client -n 50 172.16.78.1 5
wait "$ticks"
finish INT
check "two clients: the document has its schema's shape" tests/lib/schema.sh "$work/server.out"
holds "two clients are told apart, each with all that it sent" \
	'[.clients[] | [.numbered, .received, .lost]] | sort == [[false, 100, 0], [true, 50, 0]]'
read -r before after <"$work/ticks"
holds "mig_mon's ticks: their interval is learned, their pause is an outage" '.clients[] | select(.numbered | not) |
	.interval_ns as $i | $i >= 10000000 and ([.outages[] | select(.length_ns > 500000000)] | length == 1 and (.[0] |
	.start_ns >= $b and .start_ns <= $b + 2 * $i + 50000000 and .end_ns <= $a and .end_ns >= $b + 800000000))' \
	--argjson b "$before" --argjson a "$after"
equal "both ports" "$(jq -c '[.ports[] | [.port, .received, .refused]]' "$work/server.out")" "[[9008,50,0],[12323,100,0]]"

start "$hsbpf" server -d 700ms "$work/spikes"
run guest "$hsbpf" client -n 20 172.16.78.1 10
wait "$server"
equal "--duration ends it, with a summary for people" \
	"$? $(grep -cE '^172.16.78.2 port [0-9]+: a probe every 10 ms$|^received 20 \(late [0-9]+\), lost 0, twice 0, out of order 0$|^port 9008: received 20, refused 0, found no room 0$' "$work/server.out")" "0 3"
fails "too many words" 2 "one operand at most" "$hsbpf" server log more
fails "a log that cannot be written" 1 "cannot write the spike log $work/no/log" "$hsbpf" server "$work/no/log"
plan
