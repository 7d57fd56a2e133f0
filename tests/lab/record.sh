#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf record` beside a guest that makes a known number of events: what is recorded, what is refused, what is counted
# when room or disk are too small, and what an interruption leaves.
. tests/lib/tap.sh
. tests/lib/kvm.sh
needs_kvm "hsbpf record"

count() { jq -r --arg event "$2" --arg what "$3" '.events[] | select(.event == $event) | .[$what]' "$1/record.json"; }
# every_event NAME DIR N: recorded + lost is what N outs and a hlt make, and the trace holds what is recorded
every_event() {
	local name=$1 dir=$2 made=$3 event recorded lost expected=$3
	check "$name: record.json fits its schema" tests/lib/schema.sh "$dir/record.json"
	babeltrace2 "$dir/trace/host" >"$work/text" 2>"$work/complaints"
	discarded=$(grep -oE 'Tracer discarded [0-9]+' "$work/complaints" | awk '{sum += $3} END {print sum + 0}')
	for event in kvm_pio kvm_userspace_exit; do
		recorded=$(count "$dir" $event recorded)
		lost=$(($(count "$dir" $event ring_lost) + $(count "$dir" $event disk_lost)))
		equal "$name: $event: recorded + lost = produced" $((recorded + lost)) "$expected"
		equal "$name: $event: babeltrace2 finds what was recorded" "$(grep -c " $event:" "$work/text")" "$recorded"
		expected=$((made + 1))
	done
}

run "$hsbpf" record -o "$work/all" -- "$kvmgen" 20000
equal "a command is recorded and its exit code is ours" "$status" 0
every_event "beside a command" "$work/all" 20000
equal "nothing is lost" "$(jq '[.events[] | .ring_lost + .disk_lost] | add' "$work/all/record.json")" 0
check "the table has the events" grep -qE '^kvm_pio +20000 +0 +0$' "$work/out"
check "files are their owner's" test "$(stat -c %a "$work/all" "$work/all/record.json" "$work/all/trace/host/metadata" | tr '\n' ' ')" = "700 600 600 "

record_vm "$work/named" 1000
equal "a VM is recorded to its end" "$status" 0
every_event "one VM" "$work/named" 1000
equal "the VM is named" "$(jq -c '[.vms[].name]' "$work/named/record.json")" '["kvmgen"]'

run "$hsbpf" record --json -e kvm_pio -o "$work/one" -- "$kvmgen" 1000
equal "-e takes one event" "$(jq -c '[.events[] | [.event, .recorded]]' "$work/out")" '[["kvm_pio",1000]]'
run "$hsbpf" record --buffer 4K --fail-on-loss -o "$work/small" -- "$kvmgen" 200000
equal "--fail-on-loss is exit code 3" "$status" 3
every_event "a ring too small" "$work/small" 200000
equal "babeltrace2 finds as many discarded" "$discarded" \
	"$(jq '[.events[] | .ring_lost + .disk_lost] | add' "$work/small/record.json")"

run "$hsbpf" record -o "$work/fail" -- bash -c 'exit 7'
equal "the command's exit code" "$status" 7
run "$hsbpf" record -d 1s -o "$work/time" -- sleep 100
equal "--duration ends the command" "$status" 143

fails "a folder that holds a recording" 1 "already holds a recording" "$hsbpf" record -o "$work/all" -- true
fails "a command that is not there" 1 "cannot run nosuch" "$hsbpf" record -o "$work/none" -- nosuch
check "and leaves no folder" test ! -e "$work/none"
fails "an event that is not there" 2 "no event is called 'nosuch*'" "$hsbpf" record -e 'nosuch*' -o "$work/none"
fails "a profile that is not there" 2 "there is no profile 'nosuch'" "$hsbpf" record -P nosuch -o "$work/none"
fails "a VM that is not there" 1 "no running KVM guest is called 'nosuch'" "$hsbpf" record --vm nosuch -o "$work/none"
fails "a process that is no VM" 1 "runs no KVM guest" "$hsbpf" record --vm $$ -o "$work/none"
fails "an interface that is not there" 1 "there is no interface 'nosuch'" "$hsbpf" record --tap nosuch -o "$work/none"
fails "a folder without a name" 2 "--out '' is not a value" "$hsbpf" record -o "" -- true
fails "no time at all" 2 "--duration '0' is not a time above 0" "$hsbpf" record -d 0 -o "$work/none"
fails "long exits without a bound" 2 "--min-exit TIME, which is not given" "$hsbpf" record -e kvm_exit_long -o "$work/none"
fails "a CPU that is not there" 1 "this machine has none of the CPUs 1000" "$hsbpf" record --cpu 1000 -o "$work/none"
fails "no privilege" 4 "needs root or CAP_BPF" setpriv --bounding-set=-all --inh-caps=-all "$hsbpf" record -o "$work/none" -- true
check "none of them leaves a folder" test ! -e "$work/none"

run "$hsbpf" record -d 10ms -P net --tap lo --tap lo -o "$work/twice"
equal "an interface may be named twice" "$status" 0

# A signal that only a flight knows ends no recording, and a CPU that comes later loses nothing unsaid.
vm 0 1000
start "$work/signal" -e kvm_pio
kill -USR1 $recorder
go 0
end INT
equal "SIGUSR1 ends no recording" "$status $(count "$work/signal" kvm_pio recorded)" "0 1000"
check "and is answered" grep -q "SIGUSR1 is for a flight" "$work/err"
if [ "$(nproc)" -gt 1 ]; then
	echo 0 >"$work/online"
	mount --bind "$work/online" /sys/devices/system/cpu/online
	run "$hsbpf" record -e kvm_pio --fail-on-loss -o "$work/late" -- taskset -c 1 "$kvmgen" 1000
	umount /sys/devices/system/cpu/online
	equal "events of a CPU that had no ring are lost" "$status $(count "$work/late" kvm_pio ring_lost)" "3 1000"
	check "that is said" grep -q "CPU 1 came after the recording began and has no ring" "$work/err"
	babeltrace2 "$work/late/trace/host" >/dev/null 2>"$work/complaints"
	check "and in the trace" grep -q "Tracer discarded 1000 events" "$work/complaints"
fi

# A tap that comes after the recording began.
mkfifo "$work/tap-go" "$work/tap-end"
cat >"$work/tap.sh" <<-'X'
	sysctl -qw net.ipv6.conf.default.disable_ipv6=1 2>/dev/null
	"$2" record -v -P tap -o "$1/tap" >"$1/tap-out" 2>"$1/tap-err" &
	recorder=$!
	until [ -s "$1/tap/record.json" ]; do read -rt 0.02 <> <(:); done
	tests/lab/tap_traffic.py tap0 300 200 "$1/tap-go" "$1/tap-end" >"$1/counters" 2>>"$1/tap-err" &
	until grep -q 172.16.9.20 /proc/net/arp; do read -rt 0.02 <> <(:); done
	until grep -q "watches tap0" "$1/tap-err"; do read -rt 0.02 <> <(:); done
	echo >"$1/tap-go"
	until [ -s "$1/counters" ]; do read -rt 0.02 <> <(:); done
	kill -INT $recorder
	wait $recorder
	echo >"$1/tap-end"
X
if timeout 60 unshare -n bash "$work/tap.sh" "$work" "$hsbpf"; then
	read -r rx rx_bytes dropped <"$work/counters"
	equal "packets of a tap that comes later are recorded, each" \
		"$(count "$work/tap" netif_receive_skb recorded) $(count "$work/tap" net_dev_start_xmit recorded)" "$rx 200"
else
	not_ok "packets of a tap that comes later are recorded, each"
	note "$(cat "$work/tap-err")"
fi

# A disk that fills up: what did not fit is counted, what did is readable.
mkdir "$work/disk"
mount -t tmpfs -o size=1M tmpfs "$work/disk"
run "$hsbpf" record -o "$work/disk/full" -- "$kvmgen" 100000
check "a full disk is said once" test "$(grep -c 'cannot write the trace' "$work/err")" = 1
check "a full disk is counted" test "$(jq '[.events[].disk_lost] | add' "$work/disk/full/record.json" 2>/dev/null || grep -c 'record.json' "$work/err")" -gt 0
babeltrace2 "$work/disk/full/trace/host" >"$work/text" 2>/dev/null
check "what is on a full disk is readable" test "$(grep -c kvm_ "$work/text")" -gt 1000
umount "$work/disk"

# A flight: nothing on the disk before it is asked, then the newest, exactly.
run "$hsbpf" record --flight --buffer 64K --trigger 'exit>soon' -o "$work/none"
equal "a trigger that is none is a usage error" "$status" 2
run "$hsbpf" record --flight --buffer 4K --fail-on-loss -e kvm_pio -o "$work/newest" -- "$kvmgen" 10000
equal "what a flight writes over is no failure" "$status $(jq '[.events[].ring_lost] | add > 9000' "$work/newest/record.json")" "0 true"
run "$hsbpf" record --trigger panic -o "$work/none"
equal "a trigger without a flight is a usage error" "$status" 2
"$hsbpf" record --flight --buffer 64K --trigger panic -e kvm_pio -e kvm_userspace_exit -o "$work/flight" >"$work/out" 2>"$work/err" &
recorder=$!
until_true 10 test -s "$work/flight/record.json"
"$kvmgen" 20000 >/dev/null
check "a flight writes nothing by itself" test ! -e "$work/flight/snapshot-1" -a ! -e "$work/flight/trace"
run "$hsbpf" snapshot "$work/flight"
equal "snapshot says where it is" "$(cat "$work/out")" "$work/flight/snapshot-1"
dir=$work/flight/snapshot-1
check "the snapshot's record.json fits its schema" tests/lib/schema.sh "$dir/record.json"
babeltrace2 "$dir/trace/host" >"$work/text" 2>/dev/null
check "the snapshot has the newest" test "$(grep -c "tgid = " "$work/text")" -ge 900
equal "and babeltrace2 finds as many kvm_pio" "$(grep -c ' kvm_pio:' "$work/text")" "$(count "$dir" kvm_pio recorded)"
"$kvmgen" 10 0x505 >/dev/null
check "a guest's panic is a trigger" until_true 10 test -s "$work/flight/snapshot-2/record.json"
kill -INT $recorder
wait $recorder
equal "a flight ends well" $? 0
check "its end is a snapshot too" test -s "$work/flight/snapshot-3/record.json"
fails "a flight that has ended takes no snapshot" 1 "does not run any more" "$hsbpf" snapshot "$work/flight"
fails "a recording takes no snapshot" 1 "is not a flight" "$hsbpf" snapshot "$work/all"

# A VM ends and another one begins between two looks.
vm 0 1000
"$hsbpf" record --flight --trigger vm-end -e kvm_pio -o "$work/ends" >"$work/out" 2>"$work/err" &
recorder=$!
knows_vm() { "$hsbpf" snapshot "$work/ends" && jq -e --argjson pid "${vms[0]}" '.vms | any(.tgid == $pid)' "$work/ends/record.json"; }
until_true 10 knows_vm
kill -STOP $recorder
go 0
vm 1 1000
kill -CONT $recorder
check "a VM's end is a trigger, whatever begins meanwhile" \
	until_true 10 grep -rq --include=record.json '"a VM ended"' "$work/ends"
go 1
end INT

# Filters.
fails "a list of CPUs that is none" 2 "is not a list" "$hsbpf" record --cpu 0-x -o "$work/none"
fails "an exit reason that is none" 2 "is no exit reason" "$hsbpf" record --exit-reason HLT,nosuch -o "$work/none"
run taskset -c 0 "$hsbpf" record --cpu 0 -e kvm_pio -o "$work/cpu0" -- taskset -c 0 "$kvmgen" 1000
equal "--cpu takes that CPU's events" "$(count "$work/cpu0" kvm_pio recorded)" 1000
if [ "$(nproc)" -gt 1 ]; then
	run "$hsbpf" record --cpu 1 -e kvm_pio -o "$work/cpu1" -- taskset -c 0 "$kvmgen" 1000
	equal "and no other's" "$(babeltrace2 "$work/cpu1/trace/host" 2>/dev/null | grep -vc 'cpu_id = 1')" 0
fi

# A VM whose name is a number, which is no process's.
cp "$kvmgen" "$work/7777777"
kvmgen=$work/7777777 vm 0 1000
"$hsbpf" record --vm 7777777 -e kvm_pio -o "$work/digits" >"$work/out" 2>"$work/err" &
recorder=$!
until_true 10 test -s "$work/digits/record.json"
go 0
end INT
equal "a VM may be called by a number" "$(count "$work/digits" kvm_pio recorded)" 1000

# The events of this kernel.
run "$hsbpf" events --json
check "events fits its schema" tests/lib/schema.sh "$work/out"
equal "every event says how, or why not" "$(jq '[.events[] | select((.how == null) == (.missing == null))] | length' "$work/out")" 0
equal "what KVM offers here is attached" "$(jq -r '.events[] | select(.event == "kvm_pio") | .how' "$work/out")" tp_btf
run setpriv --bounding-set=-all --inh-caps=-all "$hsbpf" events kvm_exit
check "without privilege it is said" grep -q "not here: the kernel refuses BPF" "$work/out"
fails "an event that is none" 2 "no event and no profile" "$hsbpf" events nosuch

# Only one VM of two.
mkfifo "$work/go"
bash -c 'read -r <"$1"; exec "$2" 5000' - "$work/go" "$kvmgen" &
other=$!
"$kvmgen" 3000000 >/dev/null &
vm=$!
until_true 10 grep -q . <(ls -l /proc/$vm/fd 2>/dev/null | grep kvm-vcpu)
"$hsbpf" record --vm $vm -o "$work/vm" >"$work/out" 2>"$work/err" &
recorder=$!
until_true 10 test -s "$work/vm/record.json"
echo >"$work/go"
wait $other
kill -INT $recorder
wait $recorder
equal "Ctrl-C ends a recording well" $? 0
kill $vm
wait $vm 2>/dev/null
equal "a VM that runs is named with its vCPU" "$(jq -c '[.vms[] | [.name, (.vcpus | length)]]' "$work/vm/record.json")" '[["kvmgen",1]]'
equal "the outcome is known" "$(jq -r .outcome "$work/vm/record.json")" interrupted
babeltrace2 "$work/vm/trace/host" >"$work/text"
check "the selected VM is recorded" grep -q "tgid = $vm " "$work/text"
equal "no other VM is" "$(grep kvm_ "$work/text" | grep -vc "tgid = $vm ")" 0
plan
