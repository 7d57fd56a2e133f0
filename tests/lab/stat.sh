#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf stat` beside guests that make a known number of events, and on a tap whose interface counts too: exact sums in
# each form, VMs that come, go and are left out.
. tests/lib/tap.sh
kvmgen=$PWD/build/tests/bench/kvmgen

# A process that notes its number and becomes kvmgen: vm FILE N
vm=(bash -c 'echo $$ >"$1"; exec "$2" "$3" >"$1.out"' -)
# count FILE VM-FILE EVENT REASON: of a document
count() {
	jq --arg tgid "$(cat "$2")" --arg event "$3" --arg reason "$4" \
		'[.rows[] | select(.tgid == ($tgid | tonumber) and .event == $event and .reason == $reason) | .count] | add // 0' "$1"
}
# exact NAME FILE VM-FILE N: the guest's N outs and its hlt, in one document
exact() {
	equal "$1: N outs are N pio" "$(count "$2" "$3" pio "out 0x80")" "$4"
	equal "$1: N outs are N user exits" "$(count "$2" "$3" "user exit" io)" "$4"
	equal "$1: the hlt is one" "$(count "$2" "$3" "user exit" hlt)" 1
}

if "$kvmgen" 10 >/dev/null 2>&1; then
	run "$hsbpf" stat --json -- "${vm[@]}" "$work/vm" "$kvmgen" 100000
	equal "a command is counted and its exit code is ours" "$status" 0
	check "the document fits its schema" tests/lib/schema.sh "$work/out"
	exact "beside a command" "$work/out" "$work/vm" 100000
	equal "the VM is named, its vCPU numbered" \
		"$(jq -c --arg tgid "$(cat "$work/vm")" '[.vcpus[] | select(.tgid == ($tgid | tonumber)) | [.vm, .vcpu_id, .has_ended]]' "$work/out")" \
		'[["kvmgen",0,true]]'
	equal "every time is in a bucket" \
		"$(jq '[.rows[] | select(.timed) | .timed - ([.buckets[].count] | add // 0)] | map(select(. != 0)) | length' "$work/out")" 0
	equal "nothing was left out" "$(jq .uncounted "$work/out")" 0
	check "a kernel that does not tell exits is said once" \
		test "$(grep -c 'without VMX or SVM' "$work/err")" = "$(jq 'if [.vcpus[].entries] | add > 0 then 0 else 1 end' "$work/out")"

	# Intervals add up to the total, for a VM that starts and ends while counting.
	run "$hsbpf" stat --jsonl -i 20ms -- "${vm[@]}" "$work/vm" "$kvmgen" 20000
	check "a command has intervals where they are asked for" test "$(wc -l <"$work/out")" -gt 2
	tail -1 "$work/out" >"$work/total"
	exact "a total of intervals" "$work/total" "$work/vm" 20000
	"$hsbpf" stat --jsonl -i 100ms </dev/null >"$work/lines" 2>"$work/err" &
	stat=$!
	until_true 10 test -s "$work/lines"
	"${vm[@]}" "$work/vm1" "$kvmgen" 200000
	"${vm[@]}" "$work/vm2" "$kvmgen" 30000
	kill -INT $stat
	wait $stat
	equal "Ctrl-C ends with the total" "$? $(tail -1 "$work/lines" | jq .total)" "0 true"
	for n in 1 2; do
		equal "the intervals of VM $n add up to its total" \
			"$(jq -s --arg tgid "$(cat "$work/vm$n")" '[.[] | select(.total | not) | .rows[] | select(.tgid == ($tgid | tonumber) and .event == "pio") | .count] | add' "$work/lines")" \
			"$([ $n = 1 ] && echo 200000 || echo 30000)"
	done
	tail -1 "$work/lines" >"$work/total"
	exact "a VM that is gone keeps its total" "$work/total" "$work/vm1" 200000
	head -1 "$work/lines" >"$work/first"
	check "each line fits the schema" tests/lib/schema.sh "$work/first" "$work/total"

	# Only one VM of two.
	"$kvmgen" 3000000 >/dev/null &
	other=$!
	until_true 10 grep -q . <(ls -l /proc/$other/fd 2>/dev/null | grep kvm-vcpu)
	run "$hsbpf" stat --json --vm $other -- "${vm[@]}" "$work/vm" "$kvmgen" 5000
	kill $other
	wait $other 2>/dev/null
	equal "a VM that was not selected is not counted" "$(jq -c '[.rows[].tgid] | unique' "$work/out")" "[$other]"

	# A hundred VMs at once, each of which ends.
	run "$hsbpf" stat --json -- bash -c 'for _ in {1..100}; do "$1" 1000 >/dev/null & pids+=($!); done; echo "${pids[@]}" >"$2"; wait' - "$kvmgen" "$work/pids"
	equal "a hundred VMs are counted exactly, each" \
		"$(jq -c --arg pids "$(cat "$work/pids")" '($pids | split(" ") | map({(.): 1}) | add) as $ours |
			[.rows[] | select($ours[.tgid | tostring] and .event == "pio") | .count] | [length, add, min]' "$work/out")" \
		"[100,100000,1000]"
	run "$hsbpf" stat --csv -- "${vm[@]}" "$work/vm" "$kvmgen" 1000
	check "CSV has the counts" grep -qE '^[0-9.]+,total,"kvmgen",0,pio,out 0x80,1000,' "$work/out"
	equal "every line has as many columns" "$(awk -F, '{print NF}' "$work/out" | sort -u)" 14
	run "$hsbpf" stat -- "${vm[@]}" "$work/vm" "$kvmgen" 1000
	check "the table has the counts" grep -qE '^kvmgen +0 +pio +out 0x80 +1000 ' "$work/out"
else
	skip "hsbpf stat of a VM" "KVM cannot run the tiny guest here"
fi

run "$hsbpf" stat --json -o "$work/document" -- echo words of the command
equal "--out keeps both apart" "$(cat "$work/out") $(jq .total "$work/document")" "words of the command true"
fails "a file that cannot be written" 1 "cannot write $work/no/file" "$hsbpf" stat -o "$work/no/file" -- true
run "$hsbpf" stat -- bash -c 'exit 7'
equal "the command's exit code" "$status" 7
run "$hsbpf" stat -d 100ms -- sleep 100
equal "--duration ends the command" "$status" 143
run "$hsbpf" stat -i 50ms -n 3 --jsonl
equal "--count ends after that many tables" "$status $(jq -s -c 'map(.total)' "$work/out")" "0 [false,false,false,true]"
fails "a command that is not there" 1 "cannot run nosuch" "$hsbpf" stat -- nosuch
fails "a VM that is not there" 1 "no running KVM guest is called 'nosuch'" "$hsbpf" stat --vm nosuch
fails "an interface that is not there" 1 "there is no interface 'nosuch'" "$hsbpf" stat --tap nosuch
fails "two forms at once" 2 "stat has one form" "$hsbpf" stat --json --csv -- true
fails "no interval" 2 "an interval is 1ms at least" "$hsbpf" stat -i 10us
fails "no privilege" 4 "needs root or CAP_BPF" setpriv --bounding-set=-all --inh-caps=-all "$hsbpf" stat -- true

# A tap in a namespace: packets each way and refused ones against the interface's own counters.
mkfifo "$work/tap-go" "$work/tap-end"
cat >"$work/tap.sh" <<-'X'
	sysctl -qw net.ipv6.conf.default.disable_ipv6=1 2>/dev/null
	tests/lab/tap_traffic.py tap0 300 200 "$1/tap-go" "$1/tap-end" >"$1/counters" 2>"$1/tap-err" &
	until grep -q 172.16.9.20 /proc/net/arp; do read -rt 0.02 <> <(:); done
	"$2" stat --jsonl -i 50ms >"$1/tap-lines" 2>>"$1/tap-err" &
	stat=$!
	until [ -s "$1/tap-lines" ]; do read -rt 0.02 <> <(:); done
	echo >"$1/tap-go"
	until [ -s "$1/counters" ]; do read -rt 0.02 <> <(:); done
	kill -INT $stat
	wait $stat
	echo >"$1/tap-end"
X
if timeout 60 unshare -n bash "$work/tap.sh" "$work" "$hsbpf"; then
	tail -1 "$work/tap-lines" >"$work/total"
	read -r rx rx_bytes dropped <"$work/counters"
	check "a document with taps fits its schema" tests/lib/schema.sh "$work/total"
	equal "from the guest: what the interface counts" \
		"$(jq -c '.taps[] | [.tap, .from_guest_packets, .from_guest_bytes]' "$work/total")" "[\"tap0\",$rx,$rx_bytes]"
	equal "to the guest: every datagram" "$(jq -c '.taps[] | [.to_guest_packets, .to_guest_bytes]' "$work/total")" "[200,$((200 * 142))]"
	equal "refused: what the interface dropped" "$(jq '.taps[].refused_packets' "$work/total") $((dropped > 0))" "$dropped 1"
else
	not_ok "a tap in a namespace"
	note "$(cat "$work/tap-err")"
fi
plan
