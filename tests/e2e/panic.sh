#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Kernels of a lab's guests panic for real: what they said last is on the host, one machine after the other.
. tests/lib/tap.sh
before=$(remains)
run_dir=$work/up/log_0
last=$run_dir/last

panic() { # MACHINE: leaves words in its log and in its ftrace ring, then dies
	"$hsbpf" lab exec --lab panic "$1" -- sh -c "echo 'last words of $1' >/dev/kmsg
		[ $1 = l1 ] || echo 1 >/sys/kernel/tracing/events/sched/sched_switch/enable
		ls / >/dev/null; echo c >/proc/sysrq-trigger" 2>/dev/null
}
log_last() { "$hsbpf" log last "$@" 2>"$work/err"; }

run "$hsbpf" lab up --l2vm 1 --lab panic -o "$work/up" --log-prefix log
equal "lab up succeeds" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
rm -rf "$last/host" # of a crash of this machine itself, whenever that was
for machine in l1 l2-0 client-0; do
	check "the kernel of $machine has memory that outlives it" \
		bash -c '"$1" lab exec --lab panic "$2" -- dmesg | grep -q "Registered ramoops as persistent store backend"' - "$hsbpf" "$machine"
done
run "$hsbpf" log last --lab panic
equal "nobody crashed yet, and log last says so" "$status $(wc -c <"$work/out") $(grep -c 'there is nothing' "$work/err")" "0 0 1"
fails "... of one machine it fails" 1 "there is nothing of 'l1'" "$hsbpf" log last --lab panic l1

for machine in client-0 l2-0; do
	panic "$machine"
	check "$machine: saved while the lab is up" until_true 20 test -f "$last/$machine/dmesg-0.txt"
	log_last --lab panic "$machine" >"$work/$machine"
	check "... log last says what it is" grep -qE "^- - $machine - hsbpf -: dmesg 0: Panic#1 Part1, .* UTC by its own clock$" "$work/$machine"
	check "... its words" grep -qE "^- - $machine warning crash -: \[ *[0-9.]+\] last words of $machine$" "$work/$machine"
	check "... why" grep -qE "$machine emerg crash -: .*Kernel panic - not syncing: sysrq triggered crash" "$work/$machine"
	check "... and the end of its ftrace ring" grep -q "sched_switch: prev_comm=ls" "$work/$machine"
	check "... from its first line on" grep -qE "notice crash -: \[    0.000000\] Linux version" "$work/$machine"
done
panic l1
check "l1: the lab ends" until_true 20 bash -c '[ "$(jq -r .outcome "$1/run.json")" = failed ]' - "$run_dir"
check "... and is gone" until_true 20 test ! -e /run/hsbpf/panic
log_last -o "$run_dir" --json >"$work/all.json"
equal "log last of the run has all three" "$(jq -r 'select(.text | test("^last words of ")) | .machine + ": " + .text' "$work/all.json")" \
	"client-0: last words of client-0
l1: last words of l1
l2-0: last words of l2-0"
equal "... and without being told which run" "$(log_last --json l1)" "$(jq -c 'select(.machine == "l1")' "$work/all.json")"
check "... with severities and times of each machine's clock" jq -se \
	'[.[] | select(.kind == "message") | .severity != null and .machine_ns != null] | all' "$work/all.json"
jq -s . "$work/all.json" >"$work/list.json"
jq '{type: "array", items: .}' user/schema/hsbpf.log-1.json >"$work/schema.json"
check "... and every line as its schema says" /usr/bin/python3 -W ignore -m jsonschema -i "$work/list.json" "$work/schema.json"
equal "run.json counts them" "$(jq -c '[.machines[] | [.machine, .crashes]]' "$run_dir/run.json")" '[["l1",1],["l2-0",1],["client-0",1]]'
check "... as its schema says" tests/lib/schema.sh "$run_dir/run.json"
equal "the memories themselves are gone, what they held is kept" "$(ls "$last")" "client-0
l1
l2-0"

# A lab that is killed before it can save anything. The client dies when somebody connects to it.
run "$hsbpf" lab up --l2vm 1 --lab killed -o "$work/killed" --log-prefix log
equal "another lab is up" "$status" 0
owner=$("$hsbpf" lab status --json | jq '.labs[0].owner')
"$hsbpf" lab exec --lab killed client-0 -- sh -c 'sh -c "busybox nc -l -p 7 </dev/null
	echo words of an orphan >/dev/kmsg; echo c >/proc/sysrq-trigger" >/dev/null 2>&1 </dev/null &'
check "its client waits" until_true 20 "$hsbpf" lab exec --lab killed client-0 -- grep -qs ':0007 0*:0000 0A' /proc/net/tcp /proc/net/tcp6
kill -STOP "$owner"
ip netns exec hsbpf-killed bash -c 'echo >/dev/tcp/172.16.0.21/7'
check "what its kernel left is readable at once" until_true 20 bash -c '"$1" log last -o "$2" client-0 | grep -q "words of an orphan"' - "$hsbpf" "$work/killed/log_0"
kill -9 "$owner"
check "its folder goes with the next command" until_true 20 bash -c '"$1" lab status; [ ! -e /run/hsbpf/killed ]' - "$hsbpf"
equal "... and log last finds it" "$(log_last | grep -oE '(words of an orphan|not syncing: .*)')" "words of an orphan
not syncing: sysrq triggered crash"
equal "nothing is left behind" "$(remains)" "$before"
plan
