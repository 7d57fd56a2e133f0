#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `server_rr` answers mig_mon's probes, byte by byte, on both of its ports, IPv4 and IPv6. In a network of its own.
[ -n "${HS_OWN_NET:-}" ] || HS_OWN_NET=1 exec unshare --net "$0"
. tests/lib/tap.sh
peer=tests/lab/udp_peer.py
ip link set lo up

# start PROGRAM ARGUMENT...: a server that is ready; its number in $server, its document in $work/out
start() {
	: >"$work/err" # now: what it said the last time is not taken for what it says
	setpriv --pdeathsig KILL "$@" >"$work/out" 2>"$work/err" &
	server=$!
	until_true 10 grep -q "listening on UDP port 12323" "$work/err"
}
# finish SIGNAL: its exit code in $status
finish() {
	kill "-$1" "$server"
	wait "$server"
	status=$?
}
bytes() { printf "$2%.0s" $(seq "$1"); }

for program in "$hsbpf" "$PWD/build/hsbpf-migtools"; do
	name=$(basename "$program")
	start "$program" server_rr --json
	for address in 127.0.0.1 127.0.0.7 ::1; do
		for port in 9008 12323; do
			equal "$name, $address port $port: mig_mon's probe comes back as it was" \
				"$($peer ask $address $port 6563686f)" 6563686f
		done
	done
	equal "$name: 1024 bytes come back whole, more is cut as mig_mon cuts it, none is answered with none" \
		"$($peer ask 127.0.0.1 9008 "$(bytes 1024 5a)" "$(bytes 1200 5b)" "" 00)" \
		"$(bytes 1024 5a)
$(bytes 1024 5b)

00"
	finish INT
	equal "$name: Ctrl-C ends it well" "$status" 0
	check "$name: its document has its schema's shape" tests/lib/schema.sh "$work/out"
	equal "$name: it counts what it answered, port by port" \
		"$(jq -c '[.answered, .bytes, .not_sent, [.ports[] | [.port, .received, .refused, .dropped]]]' "$work/out")" \
		"[10,$((7 * 4 - 4 + 1024 + 1024 + 1)),0,[[9008,7,0,0],[12323,3,0,0]]]"
done

start "$hsbpf" server_rr -p 7001 -p 12323
equal "a port of one's own" "$($peer ask 127.0.0.1 7001 6563686f)" 6563686f
equal "another echo server is not answered: that would never end" "$($peer ask-from 9008 127.0.0.1 7001 6563686f)" "-"
finish TERM
equal "the summary counts it" "$(grep 7001 "$work/out")" "port 7001: received 2, refused 1, found no room 0"
check "the progress line is mig_mon's" grep -qE '^\[[0-9]+\] responding to client$' "$work/out"

run "$hsbpf" server_rr -d 200ms
equal "--duration ends it" "$status" 0
fails "an operand" 2 "takes no operand" "$hsbpf" server_rr x
fails "a port that is none" 2 "'65536' is no port" "$hsbpf" server_rr -p 65536
start "$hsbpf" server_rr
fails "a port that is taken" 1 "cannot listen on UDP port 9008: Address already in use" "$hsbpf" server_rr
finish INT
plan
