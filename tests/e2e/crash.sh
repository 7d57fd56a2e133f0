#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Things go wrong in the middle of a run: it ends with the reason, keeps what it has, and leaves nothing behind.
. tests/lib/tap.sh
before=$(remains)

# start NAME ARG...: collect in the background; its pid in $pid, stderr in $work/NAME.err
start() {
	name=$1
	shift
	"$hsbpf" collect -v --l2vm 1 --client netns --lab "$name" -o "$work/$name" --log-prefix log "$@" \
		>"$work/$name.out" 2>"$work/$name.err" </dev/null &
	pid=$!
}
said() { grep -qE -- "$1" "$work/$name.err"; }
l1_pid() { "$hsbpf" lab status --json | jq -e ".labs[] | select(.lab == \"$name\") | .machines[0].pid"; }
# Some thousand translations: the test moves data.
moving() { [ "$(stat -c %s "$work/$name/log_0.txt")" -gt 500000 ]; }
finish() { wait "$pid"; status=$?; }
outcome() { jq -r .outcome "$work/$name/log_0/run.json"; }

start panic --iperf3time 30
check "l1 gets ready" until_true 60 said 'boot l1 took'
"$hsbpf" lab exec --lab panic l1 -- sh -c 'echo c > /proc/sysrq-trigger' 2>/dev/null
finish
equal "L1 panics: exit code 1, outcome failed" "$status $(outcome)" "1 failed"
check "the message names l1 and shows its console's last lines" bash -c 'grep -q "l1 failed" "$1" && grep -qi "panic" "$1"' - "$work/panic.err"
check "the log is kept" test -f "$work/panic/log_0.txt"

start reset --iperf3time 1
check "l1 gets ready" until_true 60 said 'boot l1 took'
"$hsbpf" lab exec --lab reset l1 -- sh -c 'echo b > /proc/sysrq-trigger' 2>/dev/null
finish
equal "L1 resets while its machines boot: it is started again" "$status $(outcome)" "0 ok"
equal "... and the run says so" "$(jq '.machines[0].restarts' "$work/reset/log_0/run.json") $(grep -c 'l1 was restarted' "$work/reset.err")" "1 1"
equal "... and counts the log of the one that lives" "$(wc -l <"$work/reset/log_0.txt")" "$(jq .iommu_log.lines "$work/reset/log_0/run.json")"

start killed --iperf3time 60
check "the test moves data" until_true 90 moving
kill -9 "$(l1_pid)"
finish
equal "QEMU of l1 is killed during the test: exit code 1, outcome failed" "$status $(outcome)" "1 failed"
check "the message says how it ended" grep -q 'l1 failed: its QEMU was killed by signal 9' "$work/killed.err"
check "the error is in the document" jq -e '.error | length > 0' "$work/killed/log_0/run.json"
check "what was collected is kept and counted" jq -e '.iommu_log.lines > 1000 and .trace.host.recorded > 100' "$work/killed/log_0/run.json"

start boot
check "l1 is started" until_true 60 said 'l1: started'
kill -INT "$pid"
finish
equal "Ctrl-C while booting: exit code 130, outcome interrupted" "$status $(outcome)" "130 interrupted"

start test --iperf3time 60
check "the test moves data" until_true 90 moving
kill -INT "$pid"
finish
equal "Ctrl-C during the test: exit code 130, outcome interrupted" "$status $(outcome)" "130 interrupted"
check "its figures are whole" tests/lib/schema.sh "$work/test/log_0/run.json"

start dead --iperf3time 60
check "the test moves data" until_true 90 moving
# Written once a second: from then on the run is known with its guests' clocks.
check "the guests' clocks are written while it runs" until_true 30 jq -e \
	'(.trace.l1.guest_clock.bursts | length >= 2) and (.trace["l2-0"].guest_clock.bursts | length >= 2)' "$work/dead/log_0/run.json"
qemu=$(l1_pid)
kill -9 "$pid"
wait "$pid" 2>/dev/null
check "kill -9 of hsbpf: its QEMU dies with it" until_true 2 bash -c '! kill -0 "$1"' - "$qemu"
equal "the run says that it was running" "$(outcome)" running
run "$hsbpf" show --json "$work/dead/log_0"
equal "show counts what it left" "$status $(jq '.iommu_log.lines > 1000 and .trace.host.recorded > 100' "$work/out")" "0 true"
equal "... its guests too" "$(jq '.trace.l1.recorded > 100 and .trace["l2-0"].recorded > 100' "$work/out")" true
equal "... and how far the clocks are apart" "$(jq '.clock.error_bound_ns > 0' "$work/out")" true
check "the document fits its schema" tests/lib/schema.sh "$work/out"
run "$hsbpf" info --json "$work/dead/log_0"
equal "info knows a bound for each machine's clock" \
	"$status $(jq -c '[.machines[] | select(.clock.error_bound_ns != null) | .machine] | sort' "$work/out")" '0 ["host","l1","l2-0"]'
run "$hsbpf" correlate --json "$work/dead/log_0"
equal "correlate follows its packets through every layer that it has" \
	"$status $(jq -c '.tenants[0].directions[0] | .joined_pct > 50 and any(.hops[]; .to == "L2 stack" and .packets > 100)' "$work/out")" "0 true"
check "the next command sweeps the rest" "$hsbpf" lab status
equal "nothing is left behind" "$(remains)" "$before"

mkdir "$work/disk"
fails "a disk that fills up ends the run before it is full" 1 "the disk is nearly full" unshare -m bash -c \
	'mount -t tmpfs -o size=80M none "$1" && "$2" collect --client netns --iperf3time 60 -o "$1" --log-prefix log
	status=$?; cp "$1/log_0/run.json" "$3"; exit $status' - "$work/disk" "$hsbpf" "$work/disk.json"
equal "its document says so" "$(jq -r '.outcome, .error' "$work/disk.json" | tr '\n' ' ')" "failed the disk is nearly full "
equal "nothing is left behind after all" "$(remains)" "$before"
plan
