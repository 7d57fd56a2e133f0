#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `client_rr` against an echo server that is stopped, links that go down, ports that nobody listens on and a link that
# is too slow: outages against the test's own clock. Two networks of its own, joined by a veth pair: ours and guest's.
[ -n "${HS_OWN_NET:-}" ] || HS_OWN_NET=1 exec unshare --net "$0"
. tests/lib/tap.sh
peer=$PWD/tests/lab/udp_peer.py
guest() { ip netns exec guest "$@"; }
ip link set lo up
ip netns add guest
guest ip link set lo up
ip link add outside type veth peer name inside netns guest
ip address add 172.16.77.1/24 dev outside
ip -6 address add fd77::1/64 dev outside nodad
ip link set outside up
guest ip address add 172.16.77.2/24 dev inside
guest ip -6 address add fd77::2/64 dev inside nodad
guest ip link set inside up

# start NAME COMMAND...: in the background; what it prints in $work/NAME.out and .err, its number in ${pid[NAME]}
declare -A pid
start() {
	local name=$1
	shift
	: >"$work/$name.out" # now: what it said the last time is not taken for what it says
	: >"$work/$name.err"
	setpriv --pdeathsig KILL "$@" >"$work/$name.out" 2>"$work/$name.err" &
	pid[$name]=$!
}
# finish NAME SIGNAL: its exit code in $status
finish() {
	kill "-$2" "${pid[$1]}"
	wait "${pid[$1]}" 2>/dev/null
	status=$?
}
# The server of a name is ready.
mig_mon_ready() { grep -q ready "$work/$1.out"; }
ours_ready() { grep -q "port 12323" "$work/$1.err"; }
# client NAME OPTION...: client_rr with a document
client() {
	local name=$1
	shift
	start "$name" "$hsbpf" client_rr --json --probes "$work/$name.csv" "$@" "$work/$name.spikes"
}
# The client of a name has been answered.
answered() { grep -q "max_delay" "$work/$1.err"; }
# holds NAME CLIENT JQ-FILTER ARGUMENT...: numbers are $a, $b, ... in the filter
holds() {
	local name=$1 document=$work/$2.out filter=$3 letters=({a..h}) args=() n=0 value
	shift 3
	for value in "$@"; do args+=(--argjson "${letters[n++]}" "$value"); done
	if jq -e "${args[@]}" "$filter" "$document" >/dev/null; then
		ok "$name"
	else
		not_ok "$name"
		note "${args[*]} $(jq -c 'del(.clock, .target)' "$document")"
	fi
}
# Numbers that must add up in every document, and its line for every probe.
adds_up() {
	check "$1: its document has its schema's shape" tests/lib/schema.sh "$work/$1.out"
	holds "$1: every probe is accounted for" "$1" '.sent == .answered + .lost and .round_trip.count == .answered and
		.delay.count == ([.answered - 1, 0] | max) and .dropped == 0 and .foreign == 0 and .unknown == 0 and
		.pacing.lateness.count == .sent + .not_sent and
		(.outages | all(.at_least_ns <= .length_ns and .length_ns <= .at_most_ns and .length_ns == .end_ns - .start_ns))'
	equal "$1: --probes has each once, with what became of it" \
		"$(awk -F, 'NR > 1 {n[$4]++} END {print n["ok"] + 0, n["late"] + 0, n["lost"] + 0, n["unsent"] + 0}' "$work/$1.csv")" \
		"$(jq -r '"\(.answered - .late) \(.late) \(.lost) \(.not_sent)"' "$work/$1.out")"
}
# What the client's own pace and the answers themselves leave open: measured in the same run.
slack='(.interval_ns * (1 + .pacing.skipped) + .pacing.lateness.max_ns) as $slack |'
# outage_is NAME CLIENT INDEX ASKED SEEN END-ASKED FIRST: the outage began between the first two times and was over
# between the last two, FIRST being when the server answered again. A busy machine may be late with answers just then:
# it began after the last probe that was answered before.
outage_is() {
	local began
	began=$(awk -F, -v asked="$4" '$4 == "ok" && $2 + $3 < asked {last = $2} END {printf "%.0f", last}' "$work/${1%%,*}.csv")
	holds "$1: where and how long it was" "$2" "$slack .outages[$3] as \$o | (.round_trip.p50_ns + 1000000) as \$usual |
		\$o.start_ns > \$a and \$o.start_ns <= \$b + \$slack and
		\$o.end_ns >= \$c - \$usual and \$o.end_ns <= \$d + \$slack and
		\$o.at_least_ns <= \$d - \$a + \$slack and \$o.at_most_ns >= \$c - \$b - \$usual" "$began" "${@:5}"
}
# first_echo AFTER FILE: the server's first answer after that time
first_echo() { awk -v after="$1" '$1 > after {print; exit}' "$2"; }

# ---- mig_mon's echo server is stopped twice ----------------------------------------------------------
start server ip netns exec guest "$peer" echo "$work/echoes"
until_true 10 mig_mon_ready server
client slow 172.16.77.2 50
client fast 172.16.77.2 5
until_true 10 answered slow
until_true 10 answered fast
"$peer" stop "${pid[server]}" 2 1 1.5 >"$work/stops"
# Answered after the second stop, and then some.
before=$(wc -l <"$work/slow.csv")
later() { [ "$(wc -l <"$work/slow.csv")" -gt $((before + 10)) ]; }
until_true 10 later
finish slow INT
equal "slow: Ctrl-C ends it well" "$status" 0
finish fast TERM
equal "fast: SIGTERM too" "$status" 0
finish server TERM
mapfile -t stops <"$work/stops"
equal "what the server answered is what was answered" \
	"$(jq -s 'map(.answered) | add' "$work/slow.out" "$work/fast.out")" "$(wc -l <"$work/echoes")"
for name in slow fast; do
	adds_up "$name"
	# A busy machine may add short ones, and must not hide these.
	jq '.outages |= map(select(.length_ns > 1000000000))' "$work/$name.out" >"$work/long.out"
	holds "$name: two outages, although the echoes of the first came when it was over" long '.outages | length == 2'
	for i in 0 1; do
		read -r asked seen end_asked _ <<<"${stops[i]}"
		outage_is "$name, outage $i" long $i "$asked" "$seen" "$end_asked" "$(first_echo "$end_asked" "$work/echoes")"
	done
	holds "$name: what was not lost was late" "$name" '.late > 0 and .late + .lost > 3000000000 / .interval_ns and .duplicates == 0'
	equal "$name: the spike log is mig_mon's: a start, then \"seconds,ms\"" \
		"$(grep -cvE '^[0-9]{10},[0-9]+$' "$work/$name.spikes") $(head -1 "$work/$name.spikes" | cut -d, -f2)" "0 0"
	equal "$name: ... with both outages" \
		"$(awk -F, '$2 >= 1900 && $2 < 10000 {a++} $2 >= 1400 && $2 < 1900 {b++} END {print a, b}' "$work/$name.spikes")" "1 1"
	check "$name: progress is in mig_mon's words" grep -qE '^\[[0-9]+\] max_delay: [0-9]+ \(ms\), cur: [0-9]+ \(ms\)$' "$work/$name.err"
	equal "$name: mig_mon's first words" "$(grep -cE \
		'^1st and 2nd packet latency: [0-9]+ \(ms\)$|^Setting spike throttle to: 1?00? \(ms\)$|^Updating spike log initial timestamp$' \
		"$work/$name.err")" 3
done

# ---- links go down -------------------------------------------------------------------------------
start server ip netns exec guest "$hsbpf" server_rr --json
until_true 10 ours_ready server
client link4 172.16.77.2 10
client link6 fd77::2 10
until_true 10 answered link4
until_true 10 answered link6
good() { [ "$(grep -c ,ok "$work/$1.csv")" -gt "$2" ]; }
# well NAME: twenty good answers more
well() { until_true 20 good "$1" $(($(grep -c ,ok "$work/$1.csv") + 20)); }
# lasting SECONDS: how long a state is to last
lasting() { read -rt "$1" <> <(:) || true; }
well link4
"$peer" clocked ip netns exec guest ip link set inside down >"$work/down1"
lasting 0.7
"$peer" clocked ip netns exec guest sh -c 'ip link set inside up && ip -6 address replace fd77::2/64 dev inside nodad' >"$work/up1"
well link4
well link6
"$peer" clocked ip link set outside down >"$work/down2"
lasting 0.5
"$peer" clocked sh -c 'ip link set outside up && ip -6 address replace fd77::1/64 dev outside nodad' >"$work/up2"
well link4
well link6
finish link4 INT
finish link6 INT
finish server INT
for name in link4 link6; do
	adds_up "$name"
	jq '.outages |= map(select(.length_ns >= 300000000))' "$work/$name.out" >"$work/long.out"
	holds "$name: a link that goes down at either end is an outage each, and ends nothing" long '.outages | length == 2'
	for i in 0 1; do
		read -r down_asked down_done <"$work/down$((i + 1))"
		read -r up_asked _ <"$work/up$((i + 1))"
		# How soon an address or a neighbour is found again is the kernel's: 3 s at most.
		outage_is "$name, outage $i" long $i "$down_asked" "$down_done" "$up_asked" $((up_asked + 3000000000))
	done
	holds "$name: the other end's link tells nothing or unreachable, one's own that there is no network" long \
		'.outages[1].error | IN("Network is unreachable", "Cannot assign requested address", "Network is down")'
done

# ---- nobody listens ------------------------------------------------------------------------------
client refused -p 9009 172.16.77.2 10
lasting 0.5
start server ip netns exec guest "$hsbpf" server_rr -p 9009 -p 12323
until_true 10 ours_ready server
well refused
finish server INT
lasting 0.5
finish refused INT
equal "refused: ended well" "$status" 0
adds_up refused
holds "refused: not there yet, and gone at the end, are outages with that reason" refused \
	'.outages[0].error == "Connection refused" and .outages[-1].open and .outages[-1].error == "Connection refused"'

# ---- the way back is so slow that echoes of the first stop arrive all through the second ------------------
guest tc qdisc add dev inside root tbf rate 100kbit burst 1600 limit 1000000
start server ip netns exec guest "$peer" echo "$work/echoes"
until_true 10 mig_mon_ready server
client shaped 172.16.77.2 10
until_true 10 answered shaped
"$peer" stop "${pid[server]}" 2 0.3 1 >"$work/stops"
well shaped
finish shaped INT
finish server TERM
guest tc qdisc del dev inside root
adds_up shaped
read -r asked seen end_asked _ < <(tail -1 "$work/stops")
holds "shaped: echoes kept coming during the second stop" shaped '.delay.p99_ns < 1000000000 and .late > 100'
holds "shaped: and it is covered by outages all the same" shaped "$slack"'
	[.outages[] | ([.end_ns, $b] | min) - ([.start_ns, $a] | max) | select(. > 0)] | add >= $b - $a - 2 * $slack' "$seen" "$end_asked"

# ---- the client itself stands still while answers come: ten are on their way at any time ----------------------
start server ip netns exec guest "$peer" slow 100
until_true 10 mig_mon_ready server
client stopped 172.16.77.2 10
until_true 10 answered stopped
"$peer" stop "${pid[stopped]}" 1.5 >/dev/null
well stopped
finish stopped INT
finish server KILL
adds_up stopped
holds "stopped: answers that came meanwhile count from when they came, not from when they were looked at" stopped \
	'.round_trip.max_ns < 1000000000 and .lost == 0'
holds "stopped: what was not sent for it is said, and is no outage" stopped \
	'.pacing.skipped >= 140 and .delay.max_ns >= 1300000000 and (.outages | all(.length_ns < 1000000000))'

# ---- as people type it ---------------------------------------------------------------------------
start server ip netns exec guest "$hsbpf" server_rr --json
until_true 10 ours_ready server
for program in "$hsbpf" "$PWD/build/hsbpf-migtools"; do
	name=$(basename "$program")
	run "$program" client -n 20 172.16.77.2 10 "$work/log"
	equal "$name client IP MS LOG: as mig_mon's README has it" \
		"$status $(grep -c '^sent 20, answered 20 (late [0-9]*), lost 0, not sent 0, twice 0, out of order 0$' "$work/out")" "0 1"
	equal "$name: LOG is begun" "$(head -1 "$work/log" | cut -d, -f2)" 0
	run "$program" client_rr --json -n 50 -i 200us localhost
	equal "$name: a name, 200us; nobody is there" \
		"$status $(jq -c '[.target.host, .interval_ns, .answered, .outages[0].error]' "$work/out")" \
		'0 ["localhost",200000,0,"Connection refused"]'
	run "$program" client_rr --json -n 200 172.16.77.2 0.5
	equal "$name: half a millisecond" "$(jq -c '[.interval_ns, .sent + .not_sent]' "$work/out")" "[500000,200]"
	cp "$work/out" "$work/half.out"
	holds "$name: each was sent in its time, or counted as skipped" half \
		'(.pacing.lateness.max_ns / .interval_ns) as $late |
		.duration_ns / .interval_ns - .sent - .pacing.skipped | . >= 0 and . <= 1 + $late'
done
start sink ip netns exec guest "$peer" sink 20 9010
until_true 10 mig_mon_ready sink
run "$hsbpf" client --json -p 9010 -n 20 172.16.77.2 2
wait "${pid[sink]}"
equal "client IP MS: one way, a one-way server gets every probe" \
	"$status $(jq -c '[.sent, .not_sent, .error]' "$work/out") $(grep -c '^40$' "$work/sink.out")" "0 [20,0,null] 20"
check "... its document has its schema's shape" tests/lib/schema.sh "$work/out"
run "$hsbpf" client -n 20 127.0.0.9 2
equal "... and what the network says ends nothing" \
	"$status $(grep -cE '^sent [0-9]+, not sent [0-9]+$' "$work/out") $(grep -c 'newest one: Connection refused' "$work/err")" "0 1 1"
check "... progress is in mig_mon's words" grep -qE '^\[[0-9]+\] sending packet to server$' "$work/out"
link_local=$(guest ip -6 -o address show dev inside scope link | grep -oE 'fe80::[0-9a-f:]+')
run "$hsbpf" client_rr --json -n 10 "$link_local%outside" 10
equal "a link-local address with its interface" "$(jq -c '[.target.address, .answered]' "$work/out")" "[\"$link_local%outside\",10]"
run "$hsbpf" client_rr 172.16.77.2 10 "$work/log" --json -n 10
equal "options may follow the address" "$status $(jq .answered "$work/out")" "0 10"
finish server INT
equal "both ends agree on how many were answered" "$(jq .answered "$work/server.out")" $((2 * (20 + 200) + 10 + 10))

fails "no address" 2 "which machine" "$hsbpf" client_rr
fails "an interval of 0" 2 "10us at least" "$hsbpf" client_rr 172.16.77.2 0
fails "an interval that is none" 2 "'fast' is no interval" "$hsbpf" client_rr 172.16.77.2 fast
fails "too many words" 2 "nothing after them" "$hsbpf" client_rr 172.16.77.2 50 log more
fails "a name that is none" 1 "'no such name' is no address" "$hsbpf" client_rr "no such name"
fails "a log that cannot be written" 1 "cannot write the spike log $work/no/log: No such file" "$hsbpf" client_rr 172.16.77.2 50 "$work/no/log"
fails "--probes that cannot be written" 1 "cannot write $work/no/csv: No such file" "$hsbpf" client_rr --probes "$work/no/csv" 172.16.77.2 50 "$work/log"
fails "a spike log on a full disk" 1 "the spike log /dev/full could not be written to its end" \
	"$hsbpf" client_rr -n 3 -p 9777 172.16.77.1 10 /dev/full
check "... its summary is printed all the same" grep -q '^sent 3, answered 0' "$work/out"
fails "--probes on a full disk" 1 "/dev/full could not be written to its end" \
	"$hsbpf" client_rr -n 3 -p 9777 --probes /dev/full 172.16.77.1 10 "$work/log"
check "... its summary is printed all the same" grep -q '^sent 3, answered 0' "$work/out"
fails "client hears nothing" 2 "use client_rr for --probes" "$hsbpf" client --probes x 172.16.77.2 50
plan
