#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Our binaries inside a Debian guest (L1 of a lab, under TCG where this machine needs it): its kernel is older, has KVM,
# vhost and tun as modules, fentry and kprobes, and enters its guests through SVM. Nothing may be left in its log.
. tests/lib/tap.sh
. tests/vm/guest.sh

# inner PROGRAM: a test program in L1; its lines become ours.
inner() {
	local line status
	in_l1 "$1" >"$work/inner" 2>&1
	status=$?
	while IFS= read -r line; do
		case $line in
		"ok "*"# SKIP "*) line=${line#ok * - }; skip "${1##*/}: ${line%% # SKIP*}" "${line##*# SKIP }" ;;
		"ok "*) ok "${1##*/}: ${line#ok * - }" ;;
		"not ok "*) not_ok "${1##*/}: ${line#not ok * - }" ;;
		"1.."*) ;;
		*) echo "# ${line#\# }" ;;
		esac
	done <"$work/inner"
	equal "${1##*/} ends well" "$status" 0
}
programs() { in_l1 bpftool -j prog list | jq -c '[.[] | select(.name // "" | startswith("on_"))] | length'; }

# A nested guest under TCG may starve on a busy machine: the guest is raised once more before that counts, and it is told.
up() {
	vm_up >"$work/up.err" 2>&1 && return
	note "the guest did not come up at first: $(tail -n 3 "$work/up.err" | tr '\n' ' ')"
	vm_down
	vm_up >"$work/up.err" 2>&1
}
if ! up; then
	not_ok "a Debian guest comes up"
	note "$(cat "$work/up.err")"
	plan
	exit 1
fi
ok "a Debian guest comes up (kernel $vm_release)"
note "$(grep accelerator "$work/up.txt")"
equal "hsbpf check: all probes can run" "$(in_l1 build/hsbpf check 2>/dev/null | grep -c '^yes .*bpf ')" 1

for program in build/tests/lab/test_capture_kvm build/tests/lab/test_capture_tap; do
	inner "$program"
done

# One recording of everything while the nested guest boots, is pinged, is sent data, sends data, and ends.
check "a tap for it" in_l1 tests/vm/nested.sh tap
run in_l1 build/hsbpf record -P all --json -o rec -- tests/vm/workload.sh link.json
equal "everything is recorded beside a nested guest with virtio-net on vhost" "$status" 0
note "$(cat "$work/err")"
vm_fetch rec
vm_fetch link.json
recording=$work/rec/record.json
recorded() { jq ".events[] | select(.event == \"$1\").recorded" "$recording"; }
# events SYSTEM: what we have under that name
events() { "$hsbpf" gen events | sed -n "s/^## $1://p"; }
equal "its document is whole" "$(jq -r .outcome "$recording")" ok
equal "every event can be recorded" "$(jq -c '[.missing[] | .event + ": " + .reason]' "$recording")" "[]"
equal "nothing is lost" "$(jq '[.events[] | .ring_lost + .disk_lost] | add' "$recording")" 0
for event in $(events vhost) $(events net) $(events tap); do
	check "$event fires" test "$(recorded "$event")" -gt 0
done

check "babeltrace2 reads the trace of the guest here" babeltrace2 "$work/rec/trace/host" -o text -w "$work/trace.txt" --no-delta
equal "... every event of it" "$(grep -c . "$work/trace.txt")" "$(jq '[.events[].recorded] | add' "$recording")"
run babeltrace2 "$work/rec/trace/host" -o dummy
equal "... without a warning" "$(cat "$work/err")" ""

# What a vCPU does: an exit only after an entry. (Entries without an exit are there: this kernel leaves kvm_exit out where
# it handles an exit of SVM with interrupts off and goes straight back. Probes are taken off one after the other: after the
# last kvm_entry of a vCPU there may be more exits.)
awk '{ match($0, /tgid = [0-9]+/); vcpu = substr($0, RSTART, RLENGTH); match($0, /vcpu_id = [0-9]+/); vcpu = vcpu substr($0, RSTART, RLENGTH) }
	/ kvm_exit: / { if (last[vcpu] == "exit") open[vcpu]++; last[vcpu] = "exit"; exits++ }
	/ kvm_entry: / { bad += open[vcpu]; open[vcpu] = 0; last[vcpu] = "entry"; entries++ }
	END { print (exits > 0 && entries > 0) " " bad + 0 }' "$work/trace.txt" >"$work/pairs"
equal "guests are entered and left, and no exit is without its entry" "$(cat "$work/pairs")" "1 0"
ifindex=$(jq '.[0].ifindex' "$work/link.json")
on_tap() { grep " $1: " "$work/trace.txt" | grep -c "ifindex = $ifindex,"; }
equal "packets from the guest: as many as the tap counted" "$(on_tap netif_receive_skb)" "$(jq '.[0].stats64.rx.packets' "$work/link.json")"
equal "packets to the guest: as many as the tap counted" "$(($(on_tap net_dev_start_xmit) - $(on_tap net_dev_xmit)))" \
	"$(jq '.[0].stats64.tx.packets' "$work/link.json")"

# Buffers that vhost gave back: each packet took at least one.
given=$(awk '/ vhost_add_used_and_signal_n: / { match($0, /[^_]count = [0-9]+/); sum += substr($0, RSTART + 9, RLENGTH - 9) } END { print sum + 0 }' "$work/trace.txt")
check "vhost gives back at least as many buffers as packets passed" test "$given" -ge \
	"$(jq '.[0].stats64 | .rx.packets + .tx.packets' "$work/link.json")"
check "scheduler: its vCPU goes on and off a CPU" test "$(recorded sched_switch)" -gt 0
check "scheduler: its vCPU is woken" test "$(recorded sched_wakeup)" -gt 0

# Once more by kprobe, as on a kernel whose modules are built without types.
vhost_ways() { in_l1 "$@" build/hsbpf events --json | jq -c '[.events[] | select(.profile == "vhost") | .how] | unique'; }
equal "vhost's events come by fentry" "$(vhost_ways)" '["fentry"]'
equal "... by kprobe where modules have no types" "$(vhost_ways tests/vm/no_module_types.sh)" '["kprobe"]'
check "a tap for it" in_l1 tests/vm/nested.sh tap
run in_l1 tests/vm/no_module_types.sh build/hsbpf record -P vhost --json -o kprobe -- tests/vm/workload.sh link.json
equal "vhost is recorded by kprobe" "$status" 0
cp "$work/out" "$work/kprobe.json"
for event in $(events vhost); do
	check "$event fires as a kprobe" jq -e ".events[] | select(.event == \"$event\").recorded > 0" "$work/kprobe.json"
done

# Filters that need kvm_exit: only `out`s (0x7b), then exits by their length, then a flight that a long one triggers.
run in_l1 build/hsbpf record --json --exit-reason io -e kvm_exit -o only -- build/tests/bench/kvmgen 1000
check "--exit-reason: every out is recorded" jq -e '.events[0] | .event == "kvm_exit" and .recorded >= 1000' "$work/out"
vm_fetch only
equal "... and nothing else" "$(babeltrace2 "$work/only/trace/host" | grep -c 'exit_reason = 0x7B')" \
	"$(jq '.events[0].recorded' "$work/out")"
run in_l1 build/hsbpf record --json --min-exit 1us -e kvm_exit -o long -- build/tests/bench/kvmgen 1000
check "--min-exit: exits with their length" jq -e '[.events[] | select(.recorded > 0) | .event] == ["kvm_exit_long"]' "$work/out"
check "... as many as there were" jq -e '.events[] | select(.event == "kvm_exit_long") | .recorded >= 1000' "$work/out"
run in_l1 build/hsbpf record --json --flight --trigger 'exit>1us' -o flight -- build/tests/bench/kvmgen 20000
check "a long exit triggers a flight's snapshot" in_l1 grep -q '"snapshot": *"trigger"' flight/snapshot-1/record.json

. tests/vm/stat.sh

equal "no program of ours stays in the kernel" "$(programs)" 0
in_l1 dmesg >"$work/dmesg"
check "the guest's kernel log is read" grep -q 'Linux version' "$work/dmesg"
equal "... and has no splat" "$(vm_splats <"$work/dmesg")" ""
in_l1 bash -c 'echo "<4>BUG: planted" >/dev/kmsg; dmesg' >"$work/dmesg"
equal "... and one would be seen" "$(vm_splats <"$work/dmesg" | grep -c planted)" 1
vm_splats <"$(echo "$work"/lab/*/console/l1.txt)" | grep -v planted >"$work/splats"
check "its console has none either" test ! -s "$work/splats"
[ ! -s "$work/splats" ] || note "$(tail -n 120 "$work"/lab/*/console/l1.txt)"
check "the guest goes down" vm_down
plan
