#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf report` of recordings of a guest that makes a known number of events, on this kernel.
. tests/lib/tap.sh
. tests/lib/kvm.sh
needs_kvm "hsbpf report"

run "$hsbpf" record -e kvm_userspace_exit -e kvm_pio -o "$work/all" -- bash -c "'$kvmgen' 20000; '$kvmgen' 1000"
equal "recorded" "$status" 0
run "$hsbpf" report vm_exit --json --histogram "$work/all"
cp "$work/out" "$work/vm_exit.json"
equal "vm_exit: exit code" "$status" 0
check "vm_exit: the document fits its schema" tests/lib/schema.sh "$work/vm_exit.json"
equal "vm_exit: every exit of every guest" \
	"$(jq -c '[.userspace_exits | sort_by(-.count)[] | [.reason, .count]]' "$work/vm_exit.json")" \
	'[["io",20000],["io",1000],["hlt",1],["hlt",1]]'
equal "vm_exit: nothing is lost" "$(jq .loss.events "$work/vm_exit.json")" 0
check "vm_exit: that kvm_exit was not recorded is said" grep -q 'The trace has no kvm_exit' "$work/vm_exit.json"

equal "one VM by its PID" "$("$hsbpf" report vm_exit --json --vm "$(jq '.userspace_exits | max_by(.count).tgid' "$work/vm_exit.json")" \
	"$work/all" | jq -c '[.userspace_exits[].count] | sort')" '[1,20000]'
equal "all VMs in one row" "$("$hsbpf" report vm_exit --json --by all "$work/all" |
	jq -c '[.userspace_exits[] | [.reason, .count]] | sort')" '[["hlt",2],["io",21000]]'
equal "a vCPU that there is not" "$("$hsbpf" report vm_exit --json --vcpu 1-3 "$work/all" | jq -c .userspace_exits)" '[]'
equal "CPUs add up" "$(for cpus in 0 "1-$(nproc --all)"; do
	"$hsbpf" report vm_exit --json --by all --cpu "$cpus" "$work/all" | jq '[.userspace_exits[].count] | add // 0'
done | awk '{sum += $1} END {print sum}')" 21002
equal "stretches add up" "$(for stretch in "--to 20ms" "--from 20ms"; do
	"$hsbpf" report vm_exit --json --by all $stretch "$work/all" | jq '[.userspace_exits[].count] | add // 0'
done | awk '{sum += $1} END {print sum}')" 21002
equal "CSV begins as acrnalyze's" "$("$hsbpf" report vm_exit --csv "$work/all" 2>/dev/null | sed -n '1p; 3p' | cut -d, -f1-5 | paste -sd' ')" \
	"Run time(cycles),Run time(Sec),Freq(MHz) Exit_Reason,NR_Exit,NR_Exit/Sec,Time Consumed(cycles),Time Percentage"
for kind in irq cpu; do
	run "$hsbpf" report $kind --json "$work/all"
	equal "$kind: exit code" "$status" 0
	check "$kind: the document fits its schema" tests/lib/schema.sh "$work/out"
done

# The recorder may miss a guest that lives for milliseconds; what it named must be named so here.
jq -c '[.vms[] | [.tgid, .name]] | sort' "$work/all/record.json" >"$work/named"
equal "VMs have the names of record.json" "$(jq -c --slurpfile named "$work/named" \
	'($named[0] | map(.[0])) as $pids | [.userspace_exits[] | [.tgid, .vm] | select(.[0] | IN($pids[]))] | unique' \
	"$work/vm_exit.json")" "$(cat "$work/named")"
rm "$work/all/record.json"
run "$hsbpf" report vm_exit --json "$work/all"
equal "without record.json VMs have their PID for a name" \
	"$(jq -c '[.userspace_exits[] | .vm == (.tgid | tostring)] | unique' "$work/out")" '[true]'

run "$hsbpf" record --buffer 4K -e kvm_pio -e kvm_userspace_exit -o "$work/small" -- "$kvmgen" 200000
run "$hsbpf" report vm_exit "$work/small"
lost=$(jq '[.events[] | .ring_lost + .disk_lost] | add' "$work/small/record.json")
check "something was lost" test "$lost" -gt 0
equal "and the report begins with it" "$(head -1 "$work/out" | grep -oE 'LOST in this stretch: [0-9]+ events')" \
	"LOST in this stretch: $lost events"

fails "no folder" 2 "needs one folder" "$hsbpf" report vm_exit
fails "a folder without a trace" 1 "$work" "$hsbpf" report cpu "$work"
fails "a list that is none" 2 "--vcpu takes a list" "$hsbpf" report irq --vcpu x "$work/all"
fails "a VM that is not in the recording" 1 "names no VM 'nosuch'" "$hsbpf" report cpu --vm nosuch "$work/all"
run "$hsbpf" record -P kvm -P sched -o "$work/steal" -- "$kvmgen" 100000
run "$hsbpf" report cpu --json "$work/steal"
equal "steal is known in both units, or in none" "$(jq -c '[.. | objects | select(has("steal_pct")) | (.steal_ns == null) == (.steal_pct == null)] | unique' "$work/out")" "[true]"
fails "two forms at once" 2 "report vm_exit has one form" "$hsbpf" report vm_exit --json --csv "$work"
run "$hsbpf" report --help
equal "the reports are listed" "$status $(grep -c '^  report ' "$work/out")" "0 3"
fails "a report of nothing" 2 "report irq" "$hsbpf" report
plan
