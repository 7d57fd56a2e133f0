#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Traces of the guests' own kernels: every machine of a run has its events and loses none; single guests are recorded,
# stopped, found again after their host side was killed and after they booted again.
. tests/lib/tap.sh
before=$(remains)

# check_folder NAME DIR COUNT: babeltrace2 reads it without a word and counts as we do
check_folder() {
	babeltrace2 "$2" >"$work/bt" 2>"$work/bt.err"
	equal "$1: babeltrace2 has nothing to say" "$(cat "$work/bt.err")" ""
	equal "$1: babeltrace2 counts every event" "$(wc -l <"$work/bt")" "$3"
}

# ---- a whole run ----
out=$work/run
run "$hsbpf" collect --l2vm 2 --iperf3time 1 --log-prefix log -o "$out"
equal "collect --l2vm 2 succeeds" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
cp "$work/out" "$work/summary"
doc=$out/log_0/run.json
check "run.json fits its schema" tests/lib/schema.sh "$doc"
equal "every machine has a trace" "$(jq -c '.trace | keys' "$doc")" '["client-0","client-1","host","l1","l2-0","l2-1"]'
equal "nothing is left out" "$(jq -c '.not_recorded | map(select(.machine))' "$doc")" "[]"
for machine in l1 l2-0 l2-1 client-0 client-1; do
	trace=".trace[\"$machine\"]"
	equal "$machine: recorded to its end, nothing lost anywhere" \
		"$(jq -c "$trace | [.complete, .lost, .transport.guest_dropped_bytes, .transport.host_dropped_bytes]" "$doc")" "[true,0,0,0]"
	events="sched_switch net_dev_start_xmit netif_receive_skb"
	[ "$machine" = l1 ] && events="sched_switch irq_handler_entry kvm_exit kvm_entry"
	for event in $events; do
		check "$machine: has $event" jq -e "$trace.events.$event.recorded > 0" "$doc"
	done
	check_folder "$machine" "$out/log_0/trace/$machine" "$(jq "$trace.recorded" "$doc")"
	check "$machine: its clock is known within a bound" \
		jq -e "$trace.guest_clock | .bound_ns > 0 and (.bursts | length) >= 2" "$doc"
	check "the summary has $machine" grep -qE "^$machine +[0-9]+ events of its kernel" "$work/summary"
done
for tenant in 0 1; do
	# The client's driver hands each packet to a tap on which BPF counts it: in the guest's trace are those of the
	# test, on the tap some more of before and after it.
	check "tenant $tenant: what the client's kernel sent is what came out of it" jq -e \
		".tenants[$tenant].client.packets.from_guest as \$tap |
		.trace[\"client-$tenant\"].events.net_dev_start_xmit.recorded as \$guest |
		\$guest <= \$tap and \$guest > \$tap * 0.5" "$doc"
done

run "$hsbpf" collect --l2vm 1 --no-guest-trace --dry-run
equal "--no-guest-trace: no machine has a trace port" "$status $(grep -c 'trace-path-cpu' "$work/out")" "0 0"

# ---- single guests of a lab that stays up ----
run "$hsbpf" lab up --l2vm 1 --lab guests -o "$work/lab"
equal "lab up succeeds" "$status" 0
run "$hsbpf" guest list --json
check "guest list fits its schema" tests/lib/schema.sh "$work/out"
equal "guest list has the lab's machines" "$(jq -c '[.guests[] | select(.where == "guests") | .guest] | sort' "$work/out")" '["client-0","l1","l2-0"]'
run "$hsbpf" guest status --lab guests --wait 20s --json client-0
equal "guest status of a machine that is not recorded: its agent answers" "$status $(jq -r .guest.state "$work/out")" "0 idle"
check "it fits its schema" tests/lib/schema.sh "$work/out"
fails "a guest that does not exist" 1 "there is no guest nosuch" "$hsbpf" guest status --lab guests nosuch

run "$hsbpf" guest start --lab guests -o "$work/l2" -e sched:sched_switch,syscalls:sys_enter_write l2-0
equal "guest start of an L2, through L1" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
fails "it cannot be started twice" 1 "is being recorded" "$hsbpf" guest start --lab guests -o "$work/l2b" l2-0
run "$hsbpf" lab exec --lab guests l2-0 -- sh -c 'i=0; while [ $i -lt 500 ]; do echo $i; i=$((i + 1)); done'
run "$hsbpf" guest status l2-0
check "guest status says that it records" grep -q '^guest l2-0: recording' "$work/out"
run "$hsbpf" guest stop --json l2-0
equal "guest stop" "$status $(jq -r '.outcome, .trace["l2-0"].complete, .trace["l2-0"].lost' "$work/out" | xargs)" "0 ok true 0"
check "its document fits its schema" tests/lib/schema.sh "$work/out"
check "every write of the program is there" jq -e '.trace["l2-0"].events.sys_enter_write.recorded >= 500' "$work/out"
fails "it does not run any more" 1 "not being recorded" "$hsbpf" guest stop l2-0

run "$hsbpf" guest start --lab guests -o "$work/l1" -e kvm_exit l1
equal "guest start of L1, by BPF" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
kill -9 "$(jq .pid "$work/l1/guest.json")"
run "$hsbpf" guest attach --lab guests -o "$work/l1b" -e kvm_exit -d 1s l1
equal "after its host side was killed it is recorded again" "$status $(jq -r .trace.l1.complete "$work/l1b/guest.json")" "0 true"
run "$hsbpf" guest attach --lab guests -o "$work/refused" -e nosuch:nosuch -d 1s client-0
check "an event that the guest's kernel does not have is named" grep -q "nosuch:nosuch" "$work/err" "$work/out"

# ---- FIFOs, as the kernel's trace-agent has them ----
mkdir "$work/fifos"
mkfifo "$work"/fifos/{agent-ctl-path,trace-path-cpu0}.{in,out}
exec 7<>"$work/fifos/agent-ctl-path.in" 8<>"$work/fifos/trace-path-cpu0.out"
head -c 8192 /dev/urandom >&8
run "$hsbpf" guest attach --agent kernel --name fifos -d 500ms -o "$work/raw" "$work/fifos"
equal "guest attach --agent kernel" "$status" 0
read -rt 10 start <&7
read -rt 10 stop <&7
equal "gives the kernel agent's orders" "$start $stop" "1 0"
equal "and keeps its pages" "$(stat -c %s "$work/raw/trace/fifos/cpu0.raw")" 8192
exec 7>&- 8>&-

# ---- a VM of our own, which boots again in the middle; its ports are a folder ----
ports=$work/vm
mkdir "$ports"
qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 160M -nodefaults -no-user-config -display none \
	-serial "file:$work/vm.console" -device virtio-serial-pci \
	-chardev file,id=init,path=/dev/null -device virtserialport,chardev=init,nr=1,name=org.hsbpf.agent.0 \
	-chardev "socket,id=d,path=$ports/trace-path-cpu0,server=on,wait=off" -device virtserialport,chardev=d,nr=2,name=trace-path-cpu0 \
	-chardev "socket,id=c,path=$ports/agent-ctl-path,server=on,wait=off" -device virtserialport,chardev=c,nr=3,name=agent-ctl-path \
	-chardev "socket,id=m,path=$work/monitor,server=on,wait=off" -mon chardev=m \
	-kernel /run/hsbpf/guests/boot/kernel -initrd /run/hsbpf/guests/client.cpio \
	-append "console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests hsbpf.role=client" &
vm=$!
check "QEMU has made its sockets" until_true 30 test -S "$work/monitor"
run "$hsbpf" guest start --name vm -o "$work/again" -e sched:sched_switch --wait 100s "$ports"
equal "guest start of any VM, by the folder of its ports" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err" "$work/vm.console")"
python3 -c "
import socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
monitor.sendall(b'system_reset\n')
said = b''
while said.count(b'(qemu)') < 2:  # it reads byte by byte, and no more when we have gone
    said += monitor.recv(4096) or sys.exit('the monitor has gone')" "$work/monitor"
parts() { [ "$("$hsbpf" guest status --json vm | jq '.guest.state == "recording" and (.trace | length) == 2')" = true ]; }
check "it boots again and is recorded again" until_true 100 parts
run "$hsbpf" guest stop --json vm
equal "the first boot's trace has its end said, the second's is whole" \
	"$(jq -c '[.trace.vm.complete, .trace["vm.2"].complete, .trace["vm.2"].lost]' "$work/out")" "[false,true,0]"
equal "why it ended" "$(jq -r .trace.vm.ended "$work/out")" "the guest has booted again"
check_folder "the second boot" "$work/again/trace/vm.2" "$(jq '.trace["vm.2"].recorded' "$work/out")"
check_folder "the first boot" "$work/again/trace/vm" "$(jq '.trace.vm.recorded' "$work/out")"
kill "$vm"
wait "$vm" 2>/dev/null

run "$hsbpf" lab down --lab guests
equal "nothing is left behind" "$(remains; ls /run/hsbpf-guests 2>/dev/null)" "$before"
plan
