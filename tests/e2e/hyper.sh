#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# From a lab's IOMMU logs to a sweep of the model, as a user goes: collect, trace-gen, iommu-sim, explore.
. tests/lib/tap.sh

before=$(remains)
run "$hsbpf" collect --l2vm 2 --runs 2 --iperf3time 1 -o "$work/lab"
equal "two runs with two tenants each" "$status" 0
[ "$status" = 0 ] || note "$(tail -20 "$work/err")"
prefix=$work/lab/hsbpf_iperf3_vm_2_log

run "$hsbpf" trace-gen --log-prefix "$prefix" --tenants 64 --order rr -o "$work/64.dma"
equal "a trace of 64 tenants out of four" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
check "it says that tenants are used again" grep -qi "again\|reuse\|copies\|phase" "$work/err" "$work/out"

run "$hsbpf" iommu-sim --json --tenants 64 "$work/64.dma"
equal "it is simulated" "$status" 0
check "the simulation's document fits its schema" tests/lib/schema.sh "$work/out"
cp "$work/out" "$work/simulated"

cat >"$work/eight.plan" <<-END
	trace = $work/64.dma
	config = base, hypertrio
	tenants = 8..64    # doubles
END
results=$work/eight
run "$hsbpf" explore "$work/eight.plan" --json -o "$results"
equal "eight points are simulated" "$status $(jq -c .counts "$work/out")" \
	'0 {"points":8,"ok":8,"failed":0,"missing":0,"simulated_now":8}'
[ "$status" = 0 ] || note "$(cat "$work/err")"
check "the sweep's document fits its schema" tests/lib/schema.sh "$work/out"
check "it is explore.json" diff <(jq -S . "$work/out") <(jq -S . "$results/explore.json")
equal "the CSV has a line for each point" "$(wc -l <"$results/explore.csv")" 9
equal "a point finds what iommu-sim finds" \
	"$(jq -S '.points[] | select(.point.config == "base" and .point.tenants == 64).result' "$work/out" | md5sum)" \
	"$(jq -S . "$work/simulated" | md5sum)"
check "the link is used between nothing and all of it, by hypertrio more than by base" jq -e \
	'[.points[].result.link_pct] | all(. > 0 and . <= 100) and .[7] > .[3]' "$work/out"

# Points are known by what is simulated: nothing is simulated twice, whatever the plan is called or where its trace lies.
mv "$work/64.dma" "$work/moved.dma"
fails "a trace that is not there" 1 "64.dma" "$hsbpf" explore "$work/eight.plan" -o "$results"
sed "s/64.dma/moved.dma/; s/8..64 /4..128/" "$work/eight.plan" >"$work/grown.plan"
run "$hsbpf" explore "$work/grown.plan" --json -o "$results"
equal "a plan that has grown: only its new points; those that cannot be are rows with their reason" \
	"$status $(jq -c .counts "$work/out")" '1 {"points":12,"ok":10,"failed":2,"missing":0,"simulated_now":4}'
check "the document with failed points fits its schema" tests/lib/schema.sh "$work/out"
equal "the reason" "$(jq -r '[.points[].why | strings] | unique[]' "$work/out")" "the trace has 64 tenants, not 128"
check "the reason is in the CSV" grep -q '128,failed,"the trace has 64 tenants, not 128"' "$results/explore.csv"

# A sweep that is long enough to be interrupted, whatever the machine.
cat >"$work/long.plan" <<-END
	trace = $work/moved.dma
	dtlb-size = 8..65536
	dtlb-ways = 8
	queue = 1..1024
	tenants = 4..64
END
results=$work/long # not $out, which check has for itself
rows() { [ "$(wc -l <"$results/explore.jsonl")" -ge "$1" ]; }
"$hsbpf" explore "$work/long.plan" -j 2 -o "$results" >/dev/null 2>"$work/err" &
sweep=$!
check "results come one by one" until_true 60 rows 3
worker=$(pgrep -P "$sweep" | head -1)
check "there are two workers" test "$(pgrep -P "$sweep" | wc -l)" = 2
kill -KILL "$worker"
check "a sweep goes on without a worker that was killed" until_true 60 rows 8
workers=$(pgrep -P "$sweep")
kill -INT "$sweep"
wait "$sweep"
equal "interrupted: exit code" "$?" 130
check "interrupted: its two workers are gone" sh -c "set -- $(echo $workers); [ \$# = 2 ] && ! kill -0 \$1 && ! kill -0 \$2"
done=$(jq .counts.ok "$results/explore.json")
equal "interrupted: said in the document" "$(jq -r .outcome "$results/explore.json")" interrupted
equal "the killed worker's point is a row with its reason" \
	"$(jq -r '.points[].why | strings' "$results/explore.json")" "its process was killed by signal 9 (Killed)"
check "not all was simulated" test "$done" -lt "$(jq .counts.points "$results/explore.json")"
printf '{"id":"0123456789abcdef","poi' >>"$results/explore.jsonl"
before_again=$(wc -l <"$results/explore.jsonl")
"$hsbpf" explore "$work/long.plan" -j 1 --json -o "$results" >"$work/again" 2>"$work/err" &
sweep=$!
check "it goes on where it stopped" until_true 60 rows $((before_again + 5))
kill -INT "$sweep"
wait "$sweep"
check "nothing was simulated twice, and the point that had failed was tried again" \
	jq -e --argjson done "$done" '.counts.simulated_now >= 5 and .counts.failed == 0 and
	.counts.ok == $done + .counts.simulated_now' "$work/again"
check "and says so" grep -q "points are in $results already" "$work/err"
check "the unfinished line was said" grep -q "the last line was not finished" "$work/err"

browse() {
	timeout 60 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$work/chromium" --virtual-time-budget=5000 \
		--dump-dom "file://$1" 2>/dev/null
}
for page in eight long; do
	check "$page: the page loads nothing from elsewhere" sh -c "! grep -nE '(src|href)=|url\\(|@import|fetch\\(' $work/$page/explore.html"
	browse "$work/$page/explore.html" >"$work/dom"
	sed '/<script/,/<\/script>/d' "$work/dom" >"$work/drawn-$page"
	check "$page: a browser draws the page to its end" grep -q 'data-ready="yes"' "$work/dom"
	equal "$page: its plots hold no number that is none" "$(grep -cE 'NaN|Infinity|undefined' "$work/drawn-$page")" 0
done
equal "a browser sees link use by tenants and a heat map; with sizes varied, misses as well" \
	"$(grep -o '<svg' "$work/drawn-eight" | wc -l) $(grep -o '<svg' "$work/drawn-long" | wc -l)" "2 3"
equal "nothing is left behind" "$(remains)" "$before"
plan
