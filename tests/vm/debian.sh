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

if ! vm_up >"$work/up.err" 2>&1; then
	not_ok "a Debian guest comes up"
	note "$(cat "$work/up.err")"
	plan
	exit 1
fi
ok "a Debian guest comes up (kernel $vm_release)"
note "$(grep accelerator "$work/up.txt")"
equal "hsbpf check: all probes can run" "$(in_l1 build/hsbpf check 2>/dev/null | grep -c '^yes .*bpf ')" 1

for program in test_capture_kvm test_capture_tap; do
	inner "build/tests/lab/$program"
done

check "a nested guest with virtio-net on vhost comes up" in_l1 tests/vm/nested.sh up
check "it answers" in_l1 busybox ping -c 20 -i 0.05 -s 1000 172.16.200.20
check "it is sent data" in_l1 iperf3 -c 172.16.200.20 -t 1
check "it sends data" in_l1 iperf3 -c 172.16.200.20 -t 1 -R
check "it ends" in_l1 tests/vm/nested.sh down

equal "no program of ours stays in the kernel" "$(programs)" 0
in_l1 dmesg >"$work/dmesg"
equal "the guest's kernel log has no splat" "$(vm_splats <"$work/dmesg")" ""
in_l1 bash -c 'echo "<4>BUG: planted" >/dev/kmsg; dmesg' >"$work/dmesg"
equal "... and one would be seen" "$(vm_splats <"$work/dmesg" | grep -c planted)" 1
check "the guest goes down" vm_down
plan
