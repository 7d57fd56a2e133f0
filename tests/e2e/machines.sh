#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# One machine of a run ends when it should not: a panic at boot, a client's QEMU or an L2 that is killed. And who else
# may end a run: a second Ctrl-C, `hsbpf lab down`. Without BPF a run goes on and says what is missing.
. tests/lib/tap.sh
before=$(remains)

# start LAB ARG...: collect in the background; its pid in $pid
start() {
	lab=$1
	shift
	"$hsbpf" collect --l2vm 1 --lab "$lab" -o "$work/$lab" --log-prefix log "$@" \
		>"$work/$lab.out" 2>"$work/$lab.err" </dev/null &
	pid=$!
}
finish() { wait "$pid"; status=$?; }
# machine NAME FIELD: what `lab status` says of it
machine() {
	"$hsbpf" lab status --json 2>/dev/null |
		jq -er --arg lab "$lab" --arg name "$1" ".labs[] | select(.lab == \$lab) | .machines[] | select(.machine == \$name) | .$2"
}
is() { [ "$(machine "$1" state)" = "$2" ]; }
moving() { [ "$(stat -c %s "$work/$lab/log_0.txt")" -gt 500000 ]; }
document() { jq -r "$1" "$work/$lab/log_0/run.json"; }
said() { grep -qF -- "$1" "$work/$lab.err"; }

# L1 panics while it boots: an init that ends at once, beside a copy of the program.
mkdir "$work/bin"
cp "$hsbpf" build/hsbpf-agent build/hsbpf-migtools "$work/bin/"
ln -s "$PWD/trace_events" "$work/trace_events"
lab=panic
if echo 'int main(void) { return 0; }' | "${CC:-gcc}" -static -o "$work/bin/hsbpf-init" -x c -; then
	run "$work/bin/hsbpf" collect --client netns --lab panic -o "$work/panic" --log-prefix log
	cp "$work/err" "$work/panic.err"
	equal "L1 panics at boot: exit code 1, outcome failed" "$status $(document .outcome)" "1 failed"
	check "the sentence names l1 and the panic" said "l1 failed: its QEMU exited with 0 (guest-reset); its kernel said: Kernel panic - not syncing: Attempted to kill init!"
	check "the last lines of its console follow" said "last lines of its console:"
	check "its console is kept" grep -q "Kernel panic" "$work/panic/log_0/console/l1.txt"
	equal "no packet was on a tap: nobody was there to send one" \
		"$(document '[.tenants[] | .l2, .client | .packets | .to_guest, .from_guest] | add')" 0
	equal "the error is in the document" "$(document '.error | startswith("l1 failed")') $(document .complete)" "true false"
else
	skip "L1 panics at boot" "no compiler"
fi

# A client VM is killed, first while it boots, then during the test.
start client --iperf3time 60
check "the client starts" until_true 60 is client-0 started
kill -9 "$(machine client-0 pid)"
check "a client that dies while booting is started again" until_true 60 said "client-0 was restarted: its QEMU was killed by signal 9"
check "the test moves data" until_true 90 moving
fails "another test is refused meanwhile" 1 "takes no tests now" "$hsbpf" lab test --lab client
fails "the lab's name is taken" 1 "the lab 'client' is up already" "$hsbpf" lab up --lab client -o "$work/again"
kill -9 "$(machine client-0 pid)"
finish
equal "a client is killed during the test: exit code 1, outcome failed" "$status $(document .outcome)" "1 failed"
check "the message names machine and cause" said "client-0 failed: its QEMU was killed by signal 9"
check "... and the pair" said "pair 0 has no result: client-0 went away during the test"
equal "the restart is in the document" "$(document '.machines[] | select(.machine == "client-0") | .restarts')" 1
equal "what was counted is whole" "$(document .iommu_log.lines)" "$(wc -l <"$work/client/log_0.txt")"

# An L2 panics during the test; L1 and everything else are well.
start l2 --client netns --iperf3time 60
check "the test moves data" until_true 90 moving
"$hsbpf" lab exec --lab l2 l2-0 -- sh -c 'echo c >/proc/sysrq-trigger' 2>/dev/null
finish
equal "an L2 panics during the test: exit code 1, outcome failed" "$status $(document .outcome)" "1 failed"
equal "... at once" "$(document '.phases_seconds.test < 60')" true
check "the message names l2-0 and its panic" grep -qE 'l2-0 failed: .*Kernel panic - not syncing: sysrq triggered crash' "$work/l2.err"
check "... and the pair" said "pair 0 has no result: l2-0 went away during the test (client-0 to 172.16.0.20)"

start down --client netns --iperf3time 60
check "the test moves data" until_true 90 moving
run "$hsbpf" lab down --lab down
finish
equal "lab down ends a run: outcome interrupted" "$status $(document .outcome)" "1 interrupted"
check "... and says so" said "asks for the end"

start twice --client netns --iperf3time 60
check "the test moves data" until_true 90 moving
qemu=$(machine l1 pid)
kill -INT "$pid"
kill -INT "$pid" 2>/dev/null
finish
equal "Ctrl-C twice: exit code 130" "$status" 130
check "its QEMU is gone within a second" until_true 1 bash -c '! grep -q "State:[^Z]*[RSDT] " "/proc/$1/status"' - "$qemu"
run "$hsbpf" lab status
equal "the next command leaves no lab" "$(cat "$work/out")" "no lab is up"
run "$hsbpf" show "$work/twice/log_0.txt"
equal "show tells the figures of what it left" "$status $(grep -cE '^(l1 +vtd_iotlb_page_hit|host +net_dev_start_xmit) +[0-9]' "$work/out")" "0 2"

# A user namespace of our own: root in it, but the kernel refuses BPF, as it does without CAP_BPF.
if unshare -rmn true 2>/dev/null; then
	lab=nobpf
	run unshare -rmn "$hsbpf" collect --client netns --iperf3time 1 --lab nobpf -o "$work/nobpf" --log-prefix log
	cp "$work/err" "$work/nobpf.err"
	equal "without CAP_BPF the run goes on" "$status $(document .outcome)" "0 ok"
	equal "what is missing is said once, with the reason" "$(grep -cE 'not traced: .*CAP_BPF' "$work/nobpf.err")" 1
	equal "... and again in the summary" "$(grep -cE '^not recorded: all events of the host.s kernel: .*CAP_BPF' "$work/out")" 1
	check "... and in the document" jq -e '.not_recorded | length == 1' "$work/nobpf/log_0/run.json"
	equal "the IOMMU log is whole" "$(document .iommu_log.lines)" "$(wc -l <"$work/nobpf/log_0.txt")"
	check "its document fits its schema" tests/lib/schema.sh "$work/nobpf/log_0/run.json"
else
	skip "without CAP_BPF the run goes on" "user namespaces are not allowed here"
fi

# Events that QEMU does not know are passed on; L1's log has the others.
printf 'vtd_iotlb_page_hit\nvtd_no_such_event\n' >"$work/list"
lab=events
run "$hsbpf" collect --client netns --test ping --iperf3time 1 --lab events --qemu-events "$work/list" -o "$work/events" --log-prefix log
equal "a list with an event that QEMU does not know still works" "$status" 0
check "... and the event is named" grep -q "trace event 'vtd_no_such_event' does not exist" "$work/err"
equal "... and the log has the other one alone" "$(document '.iommu_log.events | keys | join(" ")')" vtd_iotlb_page_hit
equal "nothing is left behind" "$(remains)" "$before"
plan
