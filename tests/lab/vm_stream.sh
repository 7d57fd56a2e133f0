#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf vm` between two of ours, and each end with one of mig_mon's that is written from a description of its bytes:
# every page and request is counted at both ends, ends that die or do not fit are told, limits hold. A network of its own.
[ -n "${HS_OWN_NET:-}" ] || HS_OWN_NET=1 exec unshare --net "$0"
. tests/lib/tap.sh
ip link set lo up
peer=(/usr/bin/python3 -I tests/lab/stream_peer.py)
small=(-S 2M) # 512 pages, as the peer emulates

# listen ARGUMENT...: a destination of ours that listens; its number in $destination, its document in $work/dst
listen() {
	: >"$work/dst.err" # or what the one before said is taken for its own
	setpriv --pdeathsig KILL "$hsbpf" vm -d --json "$@" >"$work/dst" 2>"$work/dst.err" &
	destination=$!
	until_true 10 grep -q "Start emulation of dst VM" "$work/dst.err"
}
# listen_peer MODE COUNT: a destination of mig_mon's
listen_peer() {
	: >"$work/dst.err"
	setpriv --pdeathsig KILL "${peer[@]}" destination "$1" "$2" 12323 >"$work/dst" 2>"$work/dst.err" &
	destination=$!
	until_true 10 grep -q ready "$work/dst.err"
}
# ended: waits for the destination; its status in $dst_status
ended() { wait "$destination"; dst_status=$?; }
stop_listening() { kill -INT "$destination"; ended; }
# send ARGUMENT...: a source of ours; status in $status, document in $work/out
send() { run "$hsbpf" vm -s -H 127.0.0.1 --json "$@"; }
of_src() { jq -c "$1" "$work/out"; }
of_dst() { jq -c "$1" "$work/dst"; }
says() { grep -qF -- "$2" "$work/$1"; }

# ---- two of ours ----
listen --once
send -S 400M -t precopy -t postcopy --max-bandwidth 200 --dirty-rate 1
ended
equal "both ends end well" "$status $dst_status" "0 0"
check "their documents fit the schema" tests/lib/schema.sh "$work/out" "$work/dst"
equal "they know each other" "$(of_src .peer) $(of_dst '[.connections[].peer]')" '"hsbpf" ["hsbpf"]'
equal "every byte and page that left has arrived" \
	"$(of_dst '.connections[0] | [.bytes, .pages, .latency.total.count]')" "$(of_src '[.bytes, .pages + .answers, .answers]')"
equal "pages stream and requests are answered" "$(of_src '[.pages > 512, .answers > 10]')" "[true,true]"
# The times of the last answer have no answer after them to travel with.
equal "a request's time is known in four parts that add up to it" \
	"$(of_dst '.connections[0].latency | .total as $t | [.source_program, .source_socket, .network, .receive_socket] |
		(map(.average_ns) | add) as $sum | [all(.[]; .count >= $t.count * 0.9 - 1), ($sum - $t.average_ns | fabs) < $t.average_ns * 0.1 + 5]')" \
	"[true,true]"
equal "quantiles rise" "$(of_dst '.connections[0].latency.total | [.min_ns, .p50_ns, .p90_ns, .p99_ns, .p999_ns, .max_ns] | . == sort')" true
check "progress is told in mig_mon's words" grep -qE '^Speed: [0-9]+ \(MB/s\)$' "$work/err"
check "at the destination, too" grep -qE '^Latency: average [0-9]+ \(us\), max: [0-9]+ \(us\)$' "$work/dst.err"

listen --once
send -S 128M -t precopy -t postcopy --streams 3 --request-stream --fill random --max-bandwidth 200 --dirty-rate 1
ended
equal "several streams are one session" \
	"$(of_dst '[([.connections[].session] | unique | length), ([.connections[].stream] | sort), (.connections | all(.streams == 4))]')" \
	"[1,[0,1,2,3],true]"
equal "requests have their own stream" \
	"$(of_dst '[.connections | sort_by(.stream)[] | .latency != null]') $(of_src '[.streams[].sends_memory]')" \
	"[false,false,false,true] [true,true,true,false]"
equal "of several streams, too, everything arrives" \
	"$(of_dst '[.connections[].bytes] | add') $(of_dst '[.connections[].pages] | add')" "$(of_src .bytes) $(of_src '.pages + .answers')"

listen
for address in ::1 localhost; do
	run "$hsbpf" vm -s -H $address "${small[@]}" -t precopy --duration 50ms
	equal "the destination may be $address" "$status" 0
done
run build/hsbpf-migtools vm -s -H 127.0.0.1 -t precopy --duration 50ms
equal "the static program is a source as well" "$status" 0
run timeout --foreground -s INT 1 "$hsbpf" vm -s -H 127.0.0.1 -t precopy
check "Ctrl-C ends with a summary" grep -qE '^sent .* pages of 4096 bytes; answered 0 requests$' "$work/out"
stop_listening
equal "one destination serves many sources, and Ctrl-C ends it with its document" \
	"$dst_status $(of_dst '[.connections[].outcome]')" '0 ["closed","closed","closed","closed"]'

# ---- what does not fit ----
listen -S 1
send -S 2 -t precopy
stop_listening
equal "memory larger than the destination's is refused" "$status $(of_src .outcome) $(of_dst '[.connections[].outcome]')" '1 "refused" ["refused"]'
check "the source says why" says err "the destination emulates 1 GiB, this source 2 GiB"
check "so does the destination" says dst.err "it emulates 2 GiB, and only 1 GiB are emulated here"
listen --page-size 64K
send --page-size 16K -t precopy
equal "two page sizes that both insist on are refused" "$status $(of_src .outcome)" '1 "refused"'
check "and named" says err "the destination insists on pages of 65536 bytes, this source on 16384"
send -S 32M -t precopy -t postcopy --dirty-rate 1
equal "one that only one end insists on is agreed on" "$status $(of_src .page_bytes)" "0 65536"
stop_listening
equal "at both ends" "$(of_dst '.connections[1] | [.page_bytes, .outcome]') $(of_dst '.connections[1].bytes')" \
	"[65536,\"closed\"] $(of_src .bytes)"
fails "nobody listens" 1 "cannot connect to 127.0.0.1, TCP port 12323: Connection refused" \
	"$hsbpf" vm -s -H 127.0.0.1 -t precopy
listen
fails "the port is taken" 1 "cannot listen on TCP port 12323: Address already in use" "$hsbpf" vm -d
stop_listening

# ---- a destination of mig_mon's ----
for mode in "" --legacy; do
	listen_peer precopy 2000
	send "${small[@]}" -t precopy $mode
	ended
	equal "a mig_mon destination takes our pages${mode:+ ($mode)}" "$dst_status $(of_dst .frames)" "0 2000"
	listen_peer postcopy$([ -z $mode ] || echo -legacy) 300
	send "${small[@]}" -t postcopy $mode
	ended
	equal "each of its requests gets its page, 4112 bytes${mode:+ ($mode)}" "$dst_status $(of_dst .answers) $(of_src .answers)" "0 300 300"
done
listen_peer precopy 1000
send "${small[@]}" -t precopy --fill zero --legacy
ended
equal "--legacy sends mig_mon's own bytes from the first page on" "$(of_dst '[.hello, .zeros]')" "[false,true]"
equal "a destination that goes away mid-stream is told, and a failure" "$status $(of_src .outcome)" '1 "lost"'
listen_peer both 200
send "${small[@]}" -t precopy -t postcopy
ended
equal "requests are answered in the middle of the stream, which goes on behind" "$dst_status $(of_dst .answers)" "0 200"
listen_peer overflow 100
send "${small[@]}" -t precopy
ended
equal "one that emulates less drops us where its memory ends" "$status $(of_dst .frames)" "1 100"
check "and it is told what that may be" says err "one of mig_mon's does so when its -S is smaller"

# ---- a source of mig_mon's ----
listen "${small[@]}"
for mode in "precopy 5000" "postcopy 300" "both 20" "large-pages 40" "garbage 1" "half 3"; do
	run "${peer[@]}" source $mode 12323
	equal "our destination keeps mig_mon's protocol: $mode" "$status" 0
	[ $status = 0 ] || note "$(cat "$work/err")"
done
until_true 10 eval '[ $(grep -c "Dropped connection" "$work/dst.err") = 6 ]'
stop_listening
check "its document fits the schema" tests/lib/schema.sh "$work/dst"
equal "it tells how each ended" "$(of_dst '[.connections[] | .outcome]')" '["closed","closed","closed","invalid","invalid","lost"]'
equal "pages are counted" "$(of_dst '.connections[0].pages')" 5000
equal "answers are counted" "$(of_dst '.connections[1].latency.total.count')" 300
equal "a page of the stream is not taken for the answer that it precedes" \
	"$(of_dst '.connections[2] | [.latency.total.count, .pages]')" "[20,$((20 * 513))]"
check "pages of another size are named as such" says dst.err "its pages are of another size than 4096 bytes"

# ---- ends that die or stand still ----
listen
"$hsbpf" vm -s -H 127.0.0.1 -t precopy -t postcopy --json >"$work/out" 2>"$work/err" &
source=$!
until_true 10 says dst.err "Starting POSTCOPY"
{ kill -KILL $destination; wait $destination; } 2>/dev/null # bash tells of it
wait $source
equal "a destination killed mid-stream is a failure of the source, no silent death" "$? $(of_src .outcome)" '1 "lost"'
check "it says so" says err "the destination closed the connection after"

listen
: >"$work/err"
"$hsbpf" vm -s -H 127.0.0.1 -t precopy --json >"$work/out" 2>"$work/err" &
source=$!
until_true 10 says err "Speed:"
kill -STOP $destination
kill -INT $source
wait $source
equal "a source ends although its destination stands still" "$? $(of_src .outcome)" '0 "interrupted"'
kill -CONT $destination
stop_listening

# A source that was stopped for 3 s makes up for no more than a burst.
rate=20 burst=1
listen --once
: >"$work/err"
"$hsbpf" vm -s -H 127.0.0.1 -t precopy --max-bandwidth $rate --burst ${burst}M --json >"$work/out" 2>"$work/err" &
source=$!
until_true 10 says err "Speed:"
kill -STOP $source
until_true 10 grep -q '^State:.*T' /proc/$source/status
before=${EPOCHREALTIME/./}
read -rt 3 <> <(:) || true
stopped_us=$((${EPOCHREALTIME/./} - before))
kill -CONT $source
lines=$(grep -c Speed: "$work/err")
until_true 10 eval '[ $(grep -c Speed: "$work/err") -gt $((lines + 1)) ]'
kill -INT $source
wait $source
ended
# within JQ-OF-BYTES-AND-NS: one burst is there at the beginning, another one after the stop
within() {
	of_src "$1" | jq --argjson stopped $stopped_us --argjson rate $((rate << 20)) --argjson burst $((burst << 20)) \
		'.bytes <= $rate * (.duration_ns / 1e9 - $stopped / 1e6) + 2 * $burst'
}
equal "a limit holds over the whole time" "$(within '{bytes, duration_ns}')" true
equal "in the interval with the stop, too" "$(within '.intervals | max_by(.duration_ns)')" true
equal "and in every other one" "$(of_src '.intervals[]' | jq -s --argjson rate $((rate << 20)) --argjson burst $((burst << 20)) \
	'all(.[]; .bytes <= $rate * .duration_ns / 1e9 + $burst)')" true
equal "it goes on afterwards" "$(of_src '.intervals[-1].bytes > 0')" true
equal "what it sent has arrived" "$(of_dst '.connections[0].bytes')" "$(of_src .bytes)"

# ---- rounds ----
listen --once
send -S 64M -t precopy -t postcopy --max-bandwidth 200 --dirty-rate 20 --working-set 32M --downtime-limit 10ms
ended
check "a migration's document fits the schema" tests/lib/schema.sh "$work/out"
equal "a guest that writes slower than the stream is migrated" "$status $(of_src '[.outcome, .migration.converged]')" '0 ["migrated",true]'
equal "each round sends exactly what was written in the one before, the first one all" \
	"$(of_src '[.rounds[].pages]')" "$(of_src '[16384] + [.rounds[:-1][].dirty_pages]')"
equal "the last one is the stop-and-copy, in which nothing is written" \
	"$(of_src '[(.rounds[:-1] | any(.stop_and_copy)), (.rounds[-1] | .stop_and_copy, .dirty_pages)]')" "[false,true,0]"
equal "no round writes outside the working set" "$(of_src 'all(.rounds[]; .dirty_pages <= 8192)')" true
equal "everything of it has arrived" "$(of_dst '.connections[0] | [.bytes, .pages]')" "$(of_src '[.bytes, .pages + .answers]')"
equal "what is left for the stop-and-copy is what the round before told" \
	"$(of_src '.rounds[-2].forecast | [.converges, .rounds]') $(of_src '.rounds[-1].pages * 4112 - .rounds[-2].forecast.stop_bytes | fabs <= 1')" \
	"[true,0] true"
equal "more rounds are foreseen before it" "$(of_src 'all(.rounds[:-2][]; .forecast.rounds > 0)')" true
listen --once
send -S 16M -t precopy --max-bandwidth 100 --dirty-rate 1000 --downtime-limit 1ms --max-rounds 3 --streams 2
ended
equal "one that writes faster is stopped after the last round that is allowed" \
	"$status $(of_src '[.outcome, .migration.converged, (.rounds | length)]')" '0 ["migrated",false,4]'
equal "and was foreseen not to converge" "$(of_src 'all(.rounds[:-1][]; .forecast.converges | not)')" true
listen_peer any 512
send "${small[@]}" -t precopy --dirty-rate 1
ended
equal "rounds go to a mig_mon destination as well" "$status $dst_status $(of_src '[.peer, .outcome, .rounds[0].pages]')" \
	'0 0 ["mig_mon","migrated",512]'
# The hello is a page, too.
equal "and all of them arrive" "$(of_dst .frames)" "$(of_src '1 + ([.rounds[].pages] | add)')"

# ---- usage ----
fails "neither end" 2 "either -d, the destination, or -s, the source" "$hsbpf" vm
fails "both ends" 2 "either -d, the destination, or -s, the source" "$hsbpf" vm -d -s
fails "no destination" 2 "a source needs the destination's address: -H" "$hsbpf" vm -s -t precopy
fails "no test" 2 "a source needs -t precopy, -t postcopy or both" "$hsbpf" vm -s -H 127.0.0.1
fails "an unknown test" 2 "-t takes precopy or postcopy" "$hsbpf" vm -s -H 127.0.0.1 -t copy
fails "a test at the destination" 2 "precopy and postcopy are said at the source" "$hsbpf" vm -d -t precopy
fails "contents that do not exist" 2 "--fill 'x' is none of" "$hsbpf" vm -s -H 127.0.0.1 -t precopy --fill x
plan
