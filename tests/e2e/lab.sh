#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The parts of `collect` one by one, on a lab that stays up; two labs side by side; clients as plain processes.
. tests/lib/tap.sh
before=$(remains)

run "$hsbpf" lab up --l2vm 1 --client netns --lab e2e -o "$work/up"
equal "lab up succeeds" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
up() { "$hsbpf" lab status --json | jq "[.labs[] | select(.lab == \"$1\")] | length"; }
equal "its three machines are ready" \
	"$("$hsbpf" lab status --json | jq -c '.labs[] | select(.lab == "e2e") | [.machines[].state]')" '["ready","ready","ready"]'
"$hsbpf" lab status --json >"$work/status.json"
check "status --json fits its schema" tests/lib/schema.sh "$work/status.json"

run "$hsbpf" lab exec --lab e2e l1 -- lspci
equal "exec in l1: the host's lspci shows the NIC" "$(grep -c 82540EM "$work/out")" 1
equal "exec: stderr is apart" "$(cat "$work/err")" ""
run "$hsbpf" lab exec --lab e2e l1 -- bash -c 'echo out; echo err >&2; exit 7'
equal "exec: exit status and both outputs come back" "$status $(cat "$work/out") $(cat "$work/err")" "7 out err"
run "$hsbpf" lab exec --lab e2e l1 -- bash -c 'kill -9 $$'
equal "exec: a signal is told as a shell tells it" "$status" 137
run "$hsbpf" lab exec --lab e2e l1 -- no-such-program
equal "exec: a program that is not there" "$status $(grep -c 'No such file' "$work/err")" "127 1"
head -c 3000000 /dev/urandom >"$work/data"
equal "exec: stdin goes in and comes back whole" "$("$hsbpf" lab exec --lab e2e l1 -- cat <"$work/data" | md5sum)" "$(md5sum <"$work/data")"
check "l1 sees of the host's files only /usr" "$hsbpf" lab exec --lab e2e l1 -- \
	bash -c '[ -d /usr/bin ] && [ ! -e /etc/passwd ] && [ -z "$(ls -A /root)" ] && [ ! -e /home ]'
run "$hsbpf" lab exec --lab e2e l2-0 -- ip addr show eth0
equal "l2-0 has its address" "$(grep -c 'inet 172.16.0.20/24' "$work/out")" 1
run "$hsbpf" lab exec --lab e2e client-0 -- ip -o addr show eth0
equal "client-0 is a process with its address in a namespace of its own" "$(grep -c 'inet 172.16.0.21/24' "$work/out")" 1
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
equal "no file or socket of the lab is for other users" "$(find /run/hsbpf "$work/up" -perm /077 ! -type l)" ""
fails "another user cannot use it" 4 "Permission denied" "${nobody[@]}" "$hsbpf" lab exec --lab e2e l1 -- true
fails "... nor take it down" 4 "Permission denied" "${nobody[@]}" "$hsbpf" lab down --lab e2e
fails "... and is not told that there is none" 4 "root alone" "${nobody[@]}" "$hsbpf" lab status
fails "a machine that does not exist is named" 1 "no machine 'l2-7'" "$hsbpf" lab exec --lab e2e l2-7 -- true

run "$hsbpf" lab test --lab e2e --test ping --iperf3time 2 --json
equal "lab test --test ping gives a round trip time" "$status $(jq '.tenants[0].result | .ok and .rtt_avg_ms > 0' "$work/out")" "0 true"
check "its document fits its schema" tests/lib/schema.sh "$work/out"
run "$hsbpf" lab test --lab e2e --iperf3time 1
equal "lab test runs iperf3" "$status" 0

"$hsbpf" lab exec --lab e2e l2-0 -- ip link set eth0 down
fails "a client that cannot connect: pair and machines are named" 1 "pair 0 has no result: ping got no answer (client-0 to 172.16.0.20)" "$hsbpf" lab test --lab e2e --test ping --iperf3time 1
check "... in the answer" grep -q 'no result' "$work/out"
run "$hsbpf" lab console --lab e2e l2-0
equal "lab console shows what L2's QEMU wrote" "$status $(grep -c vfio "$work/out" | sed 's/[1-9].*/some/')" "0 some"
fails "the same name twice is refused" 1 "is up already" "$hsbpf" lab up --lab e2e --client netns -o "$work/again"

run "$hsbpf" lab up --l2vm 1 --client netns --lab second --test-nothing -o "$work/second"
equal "an unknown option is a usage error" "$status" 2
run "$hsbpf" collect --l2vm 1 --client netns --lab second --iperf3time 1 -o "$work/second"
equal "a second lab beside it, clients as processes" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
equal "the first is still up" "$(up e2e) $(up second)" "1 0"

run "$hsbpf" lab down --lab e2e
equal "lab down" "$status" 0
check "the lab that was up has a whole run" test "$(jq -r .outcome "$work"/up/*/run.json)" = ok
fails "down again: there is none" 1 "no lab 'e2e' is up" "$hsbpf" lab down --lab e2e
run "$hsbpf" collect --l2vm 1 --client netns --test none --keep --lab kept -o "$work/kept"
equal "collect --keep" "$status" 0
equal "leaves the lab up" "$("$hsbpf" lab exec --lab kept l1 -- uname -s)" Linux
"$hsbpf" lab down --all
equal "nothing is left behind" "$(remains)" "$before"
plan
