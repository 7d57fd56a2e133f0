# SPDX-License-Identifier: GPL-2.0-only
# Tiny guests for shell tests: source it after tap.sh. A guest is there before it is recorded and starts when it is told,
# so neither its name nor a single event depends on who was quicker; other guests of the machine are not recorded.
kvmgen=$PWD/build/tests/bench/kvmgen
vms=()

# needs_kvm TITLE: ends the test as skipped where KVM cannot run them
needs_kvm() {
	"$kvmgen" 10 >/dev/null 2>&1 && return
	skip "$1" "KVM cannot run the tiny guest here"
	plan
	exit 0
}
# vm NUMBER OUTS: guest NUMBER is there and waits for go; its process is ${vms[NUMBER]}
vm() {
	mkfifo "$work/go$1"
	"$kvmgen" "$2" wait <>"$work/go$1" >/dev/null &
	vms[$1]=$!
	until_true 10 eval "ls -l /proc/${vms[$1]}/fd | grep -q kvm-vcpu"
}
# go NUMBER: runs it to its end
go() {
	echo >"$work/go$1"
	wait "${vms[$1]}"
	rm "$work/go$1"
}
# start DIR OPTION...: a recorder of all guests that are waiting, in $recorder; it records already
start() {
	local dir=$1 options=() pid
	shift
	for pid in "${vms[@]}"; do options+=(--vm "$pid"); done
	"$hsbpf" record -o "$dir" "${options[@]}" "$@" >"$work/out" 2>"$work/err" &
	recorder=$!
	until_true 10 test -s "$dir/record.json" || note "$(cat "$work/err")"
}
# end SIGNAL: ends the recorder; its exit status in $status
end() { kill "-$1" $recorder 2>/dev/null; wait $recorder 2>/dev/null; status=$?; vms=(); }
# record_vm DIR OUTS OPTION...: records one guest from before its first instruction to its end
record_vm() {
	local dir=$1 outs=$2
	shift 2
	vm 0 "$outs"
	start "$dir" "$@"
	go 0
	end INT
}
