#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf print` of a real recording: babeltrace2 is the judge; filters, forms, templates, exit codes.
. tests/lib/tap.sh
. tests/lib/kvm.sh
needs_kvm "hsbpf print"
dir=$work/rec
record_vm "$dir" 5000
total=$(jq '[.events[].recorded] | add' "$dir/record.json")
pio=$(jq '.events[] | select(.event == "kvm_pio") | .recorded' "$dir/record.json")

"$hsbpf" print --jsonl "$dir" >"$work/ours"
babeltrace2 --clock-cycles --no-delta "$dir/trace/host" >"$work/theirs" 2>/dev/null
equal "every event agrees with babeltrace2, in time, CPU, thread and fields" \
	"$(tests/lab/print_agrees.py "$work/ours" "$work/theirs" 2>&1)" "$total"
equal "the text has a line for each" "$("$hsbpf" print "$dir" | grep -cE '^ +[^ ]+-[0-9]+ +\[[0-9]{3}\] [0-9]+\.[0-9]{9}: kvm_')" "$total"
equal "the trace's own folder will do" "$("$hsbpf" print "$dir/trace/host" | wc -l)" "$total"
check "a VM is named" grep -q '"vm":"kvmgen","vcpu":0,' "$work/ours"
run "$hsbpf" print --json -e kvm_pio "$dir"
check "the document fits its schema" tests/lib/schema.sh "$work/out"
equal "-e takes that event" "$(jq -c '[(.events | length), .counts]' "$work/out")" "[$pio,{\"kvm_pio\":$pio}]"
equal "--count counts" "$("$hsbpf" print --count -e 'kvm_p*' "$dir")" "$pio kvm_pio"
run "$hsbpf" print --count --json "$dir"
check "and as a document fits the schema" tests/lib/schema.sh "$work/out"
equal "--csv of one event has its fields as columns" "$("$hsbpf" print --csv -e kvm_pio "$dir" | head -1)" \
	time_ns,machine,cpu,tid,vm,vcpu,event,rw,port,size,count,val,tgid
equal "--vm takes a name" "$("$hsbpf" print --vm kvmgen -e kvm_pio "$dir" | grep -c 'kvm_pio: .*tgid=')" \
	"$(grep -c '"vm":"kvmgen".*"kvm_pio"' "$work/ours")"
equal "--vcpu takes its vCPUs only" "$("$hsbpf" print --vcpu 7 "$dir" | wc -l)" 0
cut=$(jq -s '.[0].time_ns + 2000000' <(head -1 "$work/ours"))
# A part that begins in the middle may not have heard yet which vCPU a thread runs.
equal "--from and --to part the trace in two" \
	"$(("$hsbpf" print --to 2ms --jsonl "$dir"; "$hsbpf" print --from 2ms --jsonl "$dir") | sed 's/"vcpu":[^,]*,//' | cksum)" \
	"$(sed 's/"vcpu":[^,]*,//' "$work/ours" | cksum)"
equal "--to is where the time says" "$("$hsbpf" print --to 2ms "$dir" | wc -l)" \
	"$(jq --argjson cut "$cut" 'select(.time_ns < $cut) | 1' "$work/ours" | wc -l)"
equal "relative times begin at 0" "$("$hsbpf" print --time relative --jsonl "$dir" | head -1 | jq .time_ns)" 0
real=$("$hsbpf" print --time real --jsonl "$dir" | head -1 | jq -r '.time_ns / 1e9 | floor')
check "real times are those of the day" test "$(($(date +%s) - real))" -ge 0 -a "$(($(date +%s) - real))" -lt 600
"$hsbpf" print "$dir" 2>"$work/err" | head -1 >/dev/null
equal "a pipe that is closed early is no complaint" "$(cat "$work/err")" ""

run "$hsbpf" info --json "$dir"
check "what info finds fits its schema" tests/lib/schema.sh "$work/out"
equal "info counts what was recorded" "$(jq -c '[.kind, .outcome, (.machines[] | .machine, .recorded, .silent)]' "$work/out")" \
	"[\"recording\",\"$(jq -r .outcome "$dir/record.json")\",\"host\",$total,false]"
equal "and shows each event" "$("$hsbpf" info "$dir" | grep -oE '[0-9]+ kvm:kvm_pio \(bpf\)$')" "$pio kvm:kvm_pio (bpf)"
mkdir -p "$work/silent/trace/l1"
sed 's/= "host"/= "l1"/' "$dir/trace/host/metadata" >"$work/silent/trace/l1/metadata"
fails "a machine that sent nothing" 1 "l1 sent nothing" "$hsbpf" info "$work/silent"
fails "info of no folder" 2 "needs one folder" "$hsbpf" info

cat >"$work/formats" <<'END'
# as acrntrace_format has them
kvm_pio replaced
4 CPU%(cpu)d 0x%(event)016x port = 0x%(2)04x, direction = %(rw)s, size = %(3)-3d| 100%%
END
run "$hsbpf" print --formats "$work/formats" "$dir"
equal "templates print what they say" "$(sed 's/^CPU[0-9]*/CPU/' "$work/out" | sort | uniq -c | sort -rn | sed -E 's/^ +[0-9]+ //' | grep 0x0080)" \
	'CPU 0x0000000000000004 port = 0x0080, direction = out, size = 1  | 100%'
equal "for each of the events" "$(wc -l <"$work/out")" "$pio"
check "events without a template are counted" grep -qF "$((total - pio)) events have no line" "$work/err"
printf 'kvm_pio %%(port)d\nnosuch x\nkvm_pio %%(nosuch)d\nkvm_pio %%(port)q\nkvm_pio\n' >"$work/formats"
run "$hsbpf" print --formats "$work/formats" "$dir"
equal "faults of the file are a usage error" "$status" 2
equal "each with its line" "$(grep -oE 'formats:[0-9]+' "$work/err" | tr '\n' ' ')" "formats:2 formats:3 formats:4 formats:5 "
fails "an event that is not there" 2 "no event is called 'nosuch'" "$hsbpf" print -e nosuch "$dir"
fails "two forms" 2 "one form" "$hsbpf" print --csv --jsonl "$dir"
fails "no such folder" 1 "" "$hsbpf" print "$work/nosuch"
fails "no folder" 2 "needs one folder" "$hsbpf" print
fails "a full disk" 1 "cannot write" sh -c "'$hsbpf' print '$dir' >/dev/full"

"$hsbpf" record --buffer 4K -o "$work/small" -- "$kvmgen" 100000 >/dev/null 2>&1
"$hsbpf" print --jsonl "$work/small" >"$work/ours" 2>"$work/err"
equal "what was lost is in the lines, exactly" "$(jq -s 'map(.lost_events // 0) | add' "$work/ours")" \
	"$(jq '[.events[] | .ring_lost + .disk_lost] | add' "$work/small/record.json")"
check "and is said" grep -q "events were lost" "$work/err"
mkdir -m 700 "$work/private"
fails "a folder of somebody else" 4 "cannot open $work/private: Permission denied" \
	setpriv --reuid 65534 --clear-groups --inh-caps=-all "$hsbpf" print "$work/private"
fails "a file is no recording" 1 "cannot open $work/out: Not a directory" "$hsbpf" print "$work/out"
plan
