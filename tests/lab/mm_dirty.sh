#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf mm_dirty` as people run it: mig_mon's words, a stopped process, pages that somebody else changes, what it needs
# and does not get. What the threads write is judged in test_mm_dirty.c.
. tests/lib/tap.sh
migtools=$PWD/build/hsbpf-migtools
pid=

# begin ARGUMENT...: starts it, and waits until it writes
begin() {
	rm -f "$work/out" "$work/err" # what the last one said is not what this one says
	"$hsbpf" mm_dirty -i 50ms "$@" >"$work/out" 2>"$work/err" </dev/null &
	pid=$!
	until_true 60 grep -q '^dirty-rate' "$work/out" "$work/err"
}
# finish: waits for its end; status in $status
finish() { wait "$pid"; status=$?; }
# stop, go: it is stopped when stop returns; said REGEX: on either output
is_stopped() { grep -q '^State:.*T (stopped)' "/proc/$pid/status"; }
stop() { kill -STOP "$pid" && until_true 30 is_stopped; }
said() { grep -q "$1" "$work/err" "$work/out"; }
go() { kill -CONT "$pid"; }
json() { jq -r "$1" "$work/json"; }
document() { cp "$work/out" "$work/json" && tests/lib/schema.sh "$work/json"; }

# ---- words and exit codes ----------------------------------------------------------------------
run "$hsbpf" mm_dirty -m 16 -r 100 -p random -L -d 500ms -i 100ms
equal "mig_mon's options are taken" "$status" 0
line='^dirty-rate: [0-9]+ \(MB/s\), time \(ms\): [0-9]+, load: [0-9.]+%, lat \(us\): p50=[0-9]+ p99=[0-9]+ max=[0-9]+$'
check "its progress is in mig_mon's words" grep -qE "$line" "$work/out"
check "... its header too" grep -qP '^Dirty memory rate:\s+100 \(MB/s\)$' "$work/out"
equal "... and its 21 lines of latencies" "$(grep -cE '^ *[0-9]+ \(us\): [0-9]+$' "$work/out")" 21
equal "... which count every write" \
	"$(awk '/\(us\): [0-9]+$/ && !/dirty-rate/ {sum += $3} END {print sum}' "$work/out")" \
	"$(sed -nE 's/^dirtied: ([0-9]+) pages.*/\1/p' "$work/out")"
fails "an operand" 2 "takes no operand" "$hsbpf" mm_dirty 512
fails "contents that there are not" 2 "--fill 'ones' is not one of" "$hsbpf" mm_dirty --fill ones
fails "a working set that is none" 2 "--hot '10:90' is not like" "$hsbpf" mm_dirty --hot 10:90
fails "a ramp to nowhere" 2 "--ramp needs the --rate" "$hsbpf" mm_dirty --ramp 1s
fails "more threads than pages" 2 "more than the memory has pages" "$hsbpf" mm_dirty -m 8K -j 3
fails "no whole number of huge pages" 2 "are no multiple of pages of 2 MiB" "$hsbpf" mm_dirty -m 3M -P 2m
fails "more memory than there is" 1 "are available: give --memory less" "$hsbpf" mm_dirty -m 1000T
fails "more huge pages than there are" 1 "huge pages of 2 MiB are wanted and" "$hsbpf" mm_dirty -m 1T -P 2m
fails "more locked memory than is allowed" 4 "cannot lock 16 MiB of memory: the limit is lower" \
	setpriv --reuid 65534 --clear-groups --bounding-set=-all --inh-caps=-all prlimit --memlock=65536 \
	"$hsbpf" mm_dirty -m 16 --mlock -d 100ms
run "$migtools" mm_dirty -m 16 -r 10 -d 200ms --json
equal "the static program has it" "$status $(jq -r .config.rate_bytes_per_second "$work/out")" "0 10485760"

begin -m 16 -r 1T --json
check "a rate beyond the machine: it says so" until_true 60 \
	said 'warning: the machine cannot dirty 1048576 MB/s: it did [0-9]* '
kill -INT "$pid"
finish
check "... in a document that fits" document
equal "... and no window is said to hold it" "$(json '.windows | .held + .over')" 0

# ---- ends --------------------------------------------------------------------------------------
begin -m 16 -r 10
kill -INT "$pid"
finish
equal "Ctrl-C ends it well" "$status $(grep -c '^dirtied: ' "$work/out")" "0 1"
begin -m 16 -p random
kill -TERM "$pid"
finish
equal "... so does SIGTERM" "$status $(grep -c '^dirtied: ' "$work/out")" "0 1"

# ---- a stalled process -------------------------------------------------------------------------
begin -m 16 -r 100 -j 2 -d 4500ms --json
stop
from=${EPOCHREALTIME/./}
read -rt 3 <> <(:) || true
to=${EPOCHREALTIME/./}
go
finish
check "stopped for 3 s: its document fits" document
check "... it knows how long it was stopped" [ "$(json .stalls.longest_ns)" -ge $(((to - from) * 1000)) ]
# Nothing could be written in windows that lie within the longest stall.
json '. as $d | .stalls.longest[0] as $s | [range(.windows.count)
	| select(. * 1e8 > $s.start_ns and (. + 1) * 1e8 < $s.start_ns + $s.length_ns)] as $in
	| [($in | length), ([$in[] | $d.windows.done_pages[.]] | add)] | join(" ")' >"$work/inside"
read -r windows pages <"$work/inside"
check "... at least 28 windows lie within" [ "$windows" -ge 28 ]
equal "... with no page in them" "$pages" 0
equal "... and no window makes up for it" "$(json .windows.over)" 0
equal "... what is missing is missing because of stalls" "$(json .windows.limited)" 0
check "... after it the rate is held again" [ "$(json '.stalls.longest[0] as $s | .windows as $w
	| [range($w.count) | select(. * 1e8 > $s.start_ns + $s.length_ns and $w.done_pages[.] == $w.due_pages[.])] | length')" -gt 0 ]
equal "... every page is in its window, but for the unfinished one" \
	"$(json '(.dirtied_pages - ([.windows.done_pages[]] | add)) as $rest | $rest >= 0 and $rest <= 2590')" true

# ---- pages that somebody else changes ----------------------------------------------------------
page=4096
pages=16384
# Where its memory begins: the first stamp in the one mapping that has room for it (and may have a stack beside it).
memory() {
	local range from to rest at
	while read -r range rest; do
		from=$((16#${range%-*})) to=$((16#${range#*-}))
		[ $((to - from)) -ge $((pages * page)) ] || continue
		at=$(dd if="/proc/$pid/mem" bs=$page skip=$((from / page)) count=$(((to - from) / page)) status=none |
			grep -obUaF hsbpf.mm | head -1)
		[ -n "$at" ] && echo $((from + ${at%%:*}))
	done <"/proc/$pid/maps"
}
fetch() { dd if="/proc/$pid/mem" of="$2" bs=$page skip=$((base / page + $1)) count=1 status=none; }
store() { dd if="$2" of="/proc/$pid/mem" bs=$page seek=$((base / page + $1)) count=1 conv=notrunc status=none; }
generation() { fetch "$1" "$work/now" && od -An -tu8 -j16 -N8 "$work/now" | tr -d ' '; }
is_past() { [ "$(generation "$1")" -gt "$2" ]; }

begin -m 64 -r 400 --fill random
base=$(memory)
kill -USR1 "$pid"
check "SIGUSR1 has all 16384 pages read" until_true 60 said '^verified: all 16384 pages, 0 wrong so far$'
stop
fetch 500 "$work/old"
old=$(generation 500)
go
until_true 60 is_past 500 "$old"
stop
new=$(generation 500)
store 500 "$work/old"
store 100 /dev/zero
fetch 200 "$work/page"
store 300 "$work/page"
fetch 400 "$work/page"
printf X | dd of="$work/page" bs=1 seek=2000 conv=notrunc status=none
printf Y | dd of="$work/page" bs=1 seek=2001 conv=notrunc status=none
store 400 "$work/page"
kill -USR1 "$pid"
go
check "a changed page is named: one of zeros" until_true 60 said 'hsbpf: page 100 is lost: zeros where generation [0-9]* was written$'
check "... another page's" until_true 60 said 'hsbpf: page 300 is swapped: it holds page 200 of generation [0-9]*$'
check "... its own of earlier" until_true 60 said "hsbpf: page 500 is stale: generation $old where $new was written\$"
check "... one with a wrong byte" until_true 60 said 'hsbpf: page 400 is damaged from byte 200[01] on$'
check "... and all others are good" until_true 60 said '^verified: all 16384 pages, 4 wrong so far$'
kill -INT "$pid"
finish
equal "... the exit code tells" "$status $(grep -c 'hsbpf: 4 pages were not as they were written' "$work/err")" "1 1"

begin -m 64 --verify --fill compressible=50% --json -d 1s -r 10
stop
base=$(memory)
store 16000 /dev/zero # beyond what is written in that time
go
finish
check "the last verification finds what no write came to: its document fits" document
equal "... and names the page" "$status $(json '.verification | "\(.wrong) \(.faults[0].page) \(.faults[0].state)"')" \
	"1 1 16000 lost"
check "... having read all of them" [ "$(json .verification.pages_read)" -ge 16384 ]

begin -m 64 -p random -j 2 -r 200 --verify --fill zero --json -d 500ms
finish
equal "what nobody changed is found good: 16384 pages of zeros" \
	"$status $(jq -r '.verification | "\(.wrong) \(.pages_read >= 16384)"' "$work/out")" "0 0 true"

# ---- huge pages --------------------------------------------------------------------------------
pool=/sys/kernel/mm/hugepages/hugepages-2048kB
if [ -w $pool/nr_hugepages ] && had=$(cat $pool/nr_hugepages) && echo $((had + 8)) >$pool/nr_hugepages &&
	[ "$(cat $pool/free_hugepages)" -ge 8 ]; then
	run "$hsbpf" mm_dirty -m 16 -P 2m -r 10 -d 200ms --verify --json
	equal "huge pages back the memory" "$status $(jq -r .config.backing_page_bytes "$work/out")" "0 2097152"
else
	skip "huge pages back the memory" "this kernel gives no 8 huge pages of 2 MiB"
fi
[ -z "${had:-}" ] || echo "$had" >$pool/nr_hugepages
plan
