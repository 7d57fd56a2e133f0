#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf migrate` as a user runs it: real migrations, their measures against each other, and everything that can break.
. tests/lib/tap.sh

before=$(remains; ip -o addr)
nothing_left() { equal "$1: nothing is left behind" "$(remains; ip -o addr)" "$before"; }
trials() { jq -r "[.trials[] | $1] | join(\" \")" "$work/out"; }

out=$work/smoke
run "$hsbpf" migrate --plan smoke --json --max-net-downtime 1h --max-tap-gap 1h --max-brownout 1h -o "$out"
equal "the smoke plan succeeds" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
check "its document fits its schema" tests/lib/schema.sh "$work/out"
check "it is migrate.json" diff <(jq -S . "$work/out") <(jq -S . "$out/migrate.json")
equal "precopy and postcopy were completed" "$(trials '.mode + ":" + .outcome')" "precopy:completed precopy-postcopy:completed"
equal "the guest runs at the destination" "$(trials .guest_runs_at)" "destination destination"
check "QEMU's account is whole: the total is no less than what it is made of" jq -e \
	'all(.trials[].qemu; .total_ms > 0 and .total_ms >= .downtime_ms + .setup_ms)' "$work/out"
equal "no page of the guest is wrong" "$(trials '.seen.guest_wrong_pages | tostring')" "0 0"
check "after postcopy the guest read all of its 16384 pages, none is wrong" jq -e \
	'.verification.wrong == 0 and .verification.pages_read >= 16384 and .config.memory_bytes / 4096 == 16384' "$out/trial-001/mm_dirty.json"
equal "precopy had no postcopy, the other had" \
	"$(trials '(.postcopy_boottime_ns > 0) | tostring')" "false true"
check "the network gap agrees with the tap gap within the probe interval" jq -e \
	'(.limits.probe_interval_ns / 1e6) as $interval | all(.trials[].seen;
	.tap_gap_ms > 0 and (.network_gap_ms - .tap_gap_ms | fabs) <= $interval)' "$work/out"
# A probe can be answered right before STOP and right after RESUME: what lies between is a lower bound.
check "no gap outside is shorter than STOP to RESUME" jq -e \
	'all(.trials[].seen; .stop_resume_ms > 0 and .tap_gap_ms >= .stop_resume_ms * 0.99)' "$work/out"
check "the longest silence is no shorter than the one at the switch" jq -e \
	'all(.trials[].seen; .network_longest_ms >= .network_gap_ms)' "$work/out"
check "QEMU announced the guest's new place" jq -e 'all(.trials[].seen; .stop_to_announcement_ms > 0)' "$work/out"
check "the rest to send was seen to shrink" jq -e \
	'all(.trials[]; [.polls[].remaining_bytes] | length > 3 and max > last)' "$work/out"
equal "the CSV has a line for each trial" "$(wc -l <"$out/migrate.csv")" 3
for trial in "$out"/trial-*; do
	name=${trial##*/}
	check "$name: everything is on one time line" sh -c "'$hsbpf' print --jsonl '$trial' >'$work/line' 2>'$work/bounds'"
	check "$name: the time line is in order" sh -c "jq .time_ns '$work/line' | sort -nc"
	equal "$name: both ends, both taps, the probes and the guest are on it" "$(jq -r .machine "$work/line" | sort -u | xargs)" \
		"client destination guest host source"
	equal "$name: STOP at the source is before RESUME at the destination" \
		"$(jq -r 'select(.event == "STOP" or .event == "RESUME") | .machine + ":" + .event' "$work/line" | xargs)" \
		"source:STOP destination:RESUME"
	check "$name: how far QEMU's times may be off is said" grep -q "times of source are the host's within" "$work/bounds"
	check "$name: a document says what is in it" sh -c "'$hsbpf' info --json '$trial' >'$work/info'"
	check "$name: that document fits its schema" tests/lib/schema.sh "$work/info"
	for machine in "$trial"/trace/*; do
		equal "$name: babeltrace2 reads as many events of ${machine##*/}" "$(babeltrace2 "$machine" | wc -l)" \
			"$(jq --arg machine "${machine##*/}" '.machines[] | select(.machine == $machine).recorded' "$work/info")"
	done
	check "$name: mm_dirty's document fits its schema" tests/lib/schema.sh "$trial/mm_dirty.json" "$trial/client_rr.json"
done
check "the page loads nothing from elsewhere" sh -c "! grep -nE '(src|href)=|url\\(|@import|fetch\\(' $out/migrate.html"
browse() {
	timeout 60 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$work/chromium" --virtual-time-budget=5000 \
		--dump-dom "file://$1" 2>/dev/null
}
browse "$out/migrate.html" >"$work/dom"
sed '/<script/,/<\/script>/d' "$work/dom" >"$work/drawn"
check "a browser draws the page to its end" grep -q 'data-ready="yes"' "$work/dom"
equal "a browser sees a plot of each gap, of each kind's rest and of each trial's probes" "$(grep -o '<svg' "$work/drawn" | wc -l)" 9
equal "the page's plots hold no number that is none" "$(grep -cE 'NaN|Infinity|undefined' "$work/drawn")" 0
fails "the same folder again is refused" 1 "is there already" "$hsbpf" migrate --plan smoke -o "$out"
nothing_left smoke

small="--mem 160M --dirty-mem 32M --settle 300ms --trials 1"
# broken NAME STATUS OPTION...: one small migration; the document is in $work/out
broken() {
	local name=$1 expected=$2
	shift 2
	run "$hsbpf" migrate --json $small -o "$work/$((++broken_n))" "$@"
	equal "$name: exit code" "$status" "$expected"
	check "$name: the document fits its schema" tests/lib/schema.sh "$work/out"
	nothing_left "$name"
}
broken_n=0
broken "does not converge" 5 --bandwidth 50M --dirty 100 --limit 3s --max-total 20s
equal "does not converge: cancelled, and the guest lives on at the source" "$(trials '.outcome + " " + .guest_runs_at')" "cancelled source"
check "does not converge: says so" jq -e '.trials[0].why | test("does not converge")' "$work/out"
equal "does not converge: is not averaged" "$(jq -c '.cells[0] | [.valid, .invalid, .figures]' "$work/out")" '[[],[1],{}]'
broken "the source dies" 0 --bandwidth 50M --fault source-dies
equal "the source dies: failed, and the guest is gone" "$(trials '.outcome + " " + (.guest_runs_at | tostring)')" "failed null"
broken "the source dies in postcopy" 0 --bandwidth 50M --mode postcopy --fault source-dies
equal "the source dies in postcopy: failed, and the guest is gone" "$(trials '.outcome + " " + (.guest_runs_at | tostring)')" "failed null"
check "the source dies in postcopy: says so" jq -e '.trials[0].why == "the source'"'"'s QEMU died"' "$work/out"
broken "the destination dies" 5 --max-net-downtime 1h --bandwidth 50M --fault destination-dies
equal "the destination dies: failed, and the guest lives on at the source" "$(trials '.outcome + " " + .guest_runs_at')" "failed source"
broken "the link goes down in precopy" 0 --bandwidth 50M --fault link-down --limit 3s
equal "the link goes down in precopy: cancelled, and the guest lives on at the source" \
	"$(trials '.outcome + " " + .guest_runs_at')" "cancelled source"
broken "the link goes down in postcopy" 0 --bandwidth 100M --delay 15ms --mode postcopy --fault link-down
equal "the link goes down in postcopy: recovered, no page is wrong" \
	"$(trials '"\(.outcome) \(.recovered) \(.guest_runs_at) \(.seen.guest_wrong_pages)"')" "completed true destination 0"

check "the link goes down in postcopy: a page waits for its request's way there and its own way back" jq -e \
	'.limits.link_delay_ns == 15e6 and .trials[0].seen.postcopy_wait_max_ms >= 30' "$work/out"

for plan in smoke convergence postcopy; do
	check "the plan $plan is found and makes sense" sh -c "'$hsbpf' migrate --plan $plan --list-modes >'$work/modes'"
done
missing=$(awk '$2 == "no" { print $1; exit }' "$work/modes")
if [ "$missing" ]; then
	fails "a mode that this QEMU has not is said before anything starts" 4 "this QEMU has no mode $missing" \
		"$hsbpf" migrate --mode "precopy,$missing" -o "$work/none"
	check "and nothing was made" test ! -e "$work/none"
else
	skip "a mode that this QEMU has not is said before anything starts" "it has all"
fi
fails "an unknown mode" 2 "there is no such mode" "$hsbpf" migrate --mode faster -o "$work/none"
echo 'dirt = 3' >"$work/bad.plan"
fails "a plan with a line that is none" 2 "bad.plan:1: 'dirt' is no line of a plan" "$hsbpf" migrate --plan "$work/bad.plan" -o "$work/none"

booting() { pgrep --ns $$ --nslist mnt -f 'qemu-system.* -name source'; }
"$hsbpf" migrate --json $small --trials 2 --max-total 1h -o "$work/unborn" >"$work/out" 2>"$work/err" &
unborn=$!
check "a guest boots" until_true 60 booting
kill -KILL "$(booting)"
wait "$unborn"
equal "a guest dies while it boots: exit code, with a threshold" $? 5
equal "a guest dies while it boots: its trial is listed, the next one goes on" \
	"$(trials '.outcome + ":" + (.why | tostring)')" "failed:the source did not boot its guest completed:null"
check "a guest dies while it boots: the document fits its schema" tests/lib/schema.sh "$work/out"
nothing_left "a guest dies while it boots"

# begun NAME: one of a slow link, in the background, until pages are sent; its process is $!
begun() {
	"$hsbpf" migrate $small --bandwidth 50M -v -o "$work/$1" >/dev/null 2>"$work/err" &
	check "$1: a migration has begun" until_true 60 grep -q "source: QMP event MIGRATION_PASS" "$work/err"
}
begun interrupted
kill -INT $!
wait $!
equal "an interrupt in the middle: exit code" $? 130
equal "an interrupt in the middle: what there is is written" "$(jq -r .outcome "$work/interrupted/migrate.json")" interrupted
check "an interrupt in the middle: that fits the schema" tests/lib/schema.sh "$work/interrupted/migrate.json"
nothing_left "an interrupt in the middle"
begun killed
kill -KILL $!
wait $! 2>/dev/null
run "$hsbpf" lab status
nothing_left "killed in the middle, then the next verb"
plan
