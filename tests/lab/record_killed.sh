#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A recorder that is killed, at every stage of its writing: what its trace holds and what the next one saves as last/
# are together exactly what a guest produced. And what becomes of a deleted folder and a disk that has room again.
. tests/lib/tap.sh
. tests/lib/kvm.sh
needs_kvm "a killed recorder"
events="-e kvm_pio -e kvm_userspace_exit"

# events DIR: how many kvm_pio babeltrace2 finds there
events() { babeltrace2 "$1/trace/host" 2>"$work/complaints" | grep -c ' kvm_pio:'; }
discarded() { grep -oE 'Tracer discarded [0-9]+' "$work/complaints" | awk '{sum += $3} END {print sum + 0}'; }
sum() { jq --arg event "$2" --arg what "$3" '[.events[] | select(.event == $event) | .[$what]] | add // 0' "$1/record.json"; }
pinned() { find /run/hsbpf/.bpf/hsbpf /sys/fs/bpf/hsbpf -mindepth 1 2>/dev/null; }

vms=()
vm 0 40000
start "$work/stopped" $events
kill -STOP $recorder
go 0
end KILL
run "$hsbpf" record -e kvm_pio -e kvm_userspace_exit -o "$work/next" -- true
equal "the next recording goes on as ever" "$status" 0
check "it says what it saved" grep -qE "a recorder \(process $recorder\) was killed: its last [0-9]+ events are in $work/next/last" "$work/err"
check "last/record.json fits its schema" tests/lib/schema.sh "$work/next/last/record.json"
equal "killed before it wrote anything: everything is saved" "$(sum "$work/next/last" kvm_pio recorded)" 40000
equal "and babeltrace2 finds it" "$(events "$work/next/last")" 40000
equal "nothing stays pinned" "$(pinned)" ""
equal "the dead recorder's folder holds its trace and document" "$(ls -A "$work/stopped" | tr '\n' ' ')" "record.json trace "
run "$hsbpf" record -e kvm_pio -e kvm_userspace_exit -o "$work/after" -- true
check "what was saved is not saved again" test ! -e "$work/after/last"

# What was saved stays, also when the recording that saved it could not begin and its folder is used again; and where
# there is no room nothing is thrown away.
mkdir "$work/tiny"
mount -t tmpfs -o size=64K tmpfs "$work/tiny"
for outs in 3000 4000; do
	vm 0 $outs
	start "$work/lost$outs" $events
	kill -STOP $recorder
	go 0
	end KILL
	run "$hsbpf" record -o "$work/tiny/full" -e kvm_pio -- true
	check "$outs: a rest for which there is no room is said to stay" grep -q "is not saved, and stays there: No space left" "$work/err"
	check "$outs: and leaves no half" test ! -e "$work/tiny/full/last"
	rm -rf "$work/tiny/full"
	run "$hsbpf" record -o "$work/again" -- nosuch
	equal "$outs: a recording that cannot begin fails" "$status" 1
done
equal "and what each saved is there" "$(sum "$work/again/last" kvm_pio recorded) $(sum "$work/again/last2" kvm_pio recorded)" "3000 4000"
umount "$work/tiny"

# Killed while it drains: at another point of the file each time.
for bytes in 1 100000 200000 300000 400000 600000; do
	dir=$work/at$bytes
	vm 0 60000
	start "$dir" $events
	kill -STOP $recorder
	go 0
	kill -CONT $recorder
	deadline=$((SECONDS + 20))
	until [ "$(stat -c %s "$dir"/trace/host/cpu* 2>/dev/null | awk '{s += $1} END {print s + 0}')" -ge $bytes ] ||
		[ $SECONDS -gt $deadline ]; do :; done
	end KILL
	run "$hsbpf" record -e kvm_pio -e kvm_userspace_exit -o "$dir/next" -- true
	before=$(events "$dir")
	check "$bytes bytes written: the dead recorder's trace is whole" test ! -s "$work/complaints"
	saved=0
	[ ! -e "$dir/next/last" ] || saved=$(events "$dir/next/last")
	equal "$bytes bytes written: in the trace + saved = produced ($before + $saved)" $((before + saved)) 60000
done

# Killed with losses: each is told once.
vm 0 100000
vm 1 20000
start "$work/lossy" $events --buffer 4K
go 0
kill -STOP $recorder
go 1
end KILL
run "$hsbpf" record -e kvm_pio -e kvm_userspace_exit -o "$work/lossy/next" -- true
before=$(babeltrace2 "$work/lossy/trace/host" 2>"$work/complaints" | wc -l)
before=$((before + $(discarded)))
saved=$(babeltrace2 "$work/lossy/next/last/trace/host" 2>"$work/complaints" | wc -l)
saved=$((saved + $(discarded)))
equal "with losses: recorded + lost, before and after ($before + $saved) = produced" $((before + saved)) $((2 * 120000 + 2))

# A flight: its newest.
vm 0 20000
start "$work/flight" $events --flight --buffer 64K
go 0
end KILL
run "$hsbpf" record -o "$work/flight/next" -- true
check "a flight's last/record.json fits its schema" tests/lib/schema.sh "$work/flight/next/last/record.json"
equal "a flight's VM keeps its name" "$(jq -c '[.vms[].name]' "$work/flight/next/last/record.json")" '["kvmgen"]'
equal "a flight: what was in its rings + overwritten = produced" \
	$(($(sum "$work/flight/next/last" kvm_pio recorded) + $(sum "$work/flight/next/last" kvm_pio ring_lost))) 20000
equal "and babeltrace2 finds it" "$(events "$work/flight/next/last")" "$(sum "$work/flight/next/last" kvm_pio recorded)"
check "the guest's last event is in it" grep -q '"hlt"' <(babeltrace2 "$work/flight/next/last/trace/host" 2>/dev/null)

# A folder that somebody deletes.
vm 0 20000
vm 1 20000
start "$work/deleted" $events
go 0
rm -r "$work/deleted"
go 1
end INT
equal "a deleted folder is said once" "$(grep -c 'cannot write the trace of host' "$work/err")" 1

# A disk that is full, and then has room.
mkdir "$work/disk"
mount -t tmpfs -o size=8M tmpfs "$work/disk"
vm 0 100000
vm 1 10000
start "$work/disk/r" $events
head -c 6500000 /dev/zero >"$work/disk/ballast"
go 0
rm "$work/disk/ballast"
go 1
end INT
equal "a full disk is no end" $status 0
for event in kvm_pio:110000 kvm_userspace_exit:110002; do
	name=${event%:*}
	equal "$name: recorded + not on disk + lost = produced" \
		$(($(sum "$work/disk/r" $name recorded) + $(sum "$work/disk/r" $name disk_lost) + $(sum "$work/disk/r" $name ring_lost))) "${event#*:}"
done
equal "what is on the disk is what is counted" "$(events "$work/disk/r")" "$(sum "$work/disk/r" kvm_pio recorded)"
check "after the room came back recording went on" test "$(sum "$work/disk/r" kvm_pio recorded)" -gt 10000
check "some did not fit" test "$(sum "$work/disk/r" kvm_pio disk_lost)" -gt 0
umount "$work/disk"
plan
