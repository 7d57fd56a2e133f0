#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf top` in a real terminal (tmux): keys, a new size, the terminal given back; and as tables without one.
. tests/lib/tap.sh
kvmgen=$PWD/build/tests/bench/kvmgen

run "$hsbpf" top -i 20ms -n 2
equal "without a terminal it prints tables" "$status $(grep -c '^VM  *vCPU  *exits/s' "$work/out")" "0 2"
fails "an operand" 2 "takes no operand" "$hsbpf" top x
fails "no interval" 2 "an interval is 10ms at least" "$hsbpf" top -i 0
fails "a VM that is not there" 1 "no running KVM guest is called 'nosuch'" "$hsbpf" top --vm nosuch

if ! command -v tmux >/dev/null; then
	skip "hsbpf top on a terminal" "the package tmux is not installed"
	plan
	exit 0
fi
# A server of its own for each terminal: one that is being killed answers no more.
terminal=0
tmux() { command tmux -S "$work/tmux$terminal" -f /dev/null "$@"; }
# open COLUMNS LINES TERM ARGUMENT...: hsbpf top in a new terminal
open() {
	local columns=$1 lines=$2 term=$3
	shift 3
	terminal=$((terminal + 1))
	tmux new-session -d -x "$columns" -y "$lines" "env TERM=$term $hsbpf top $*; echo ended with \$?; exec cat"
}
screen() { tmux capture-pane -p; }
shows() { screen | grep -qE -- "$1"; }
# eventually NAME REGEX: the screen comes to show it
eventually() {
	if until_true 10 shows "$2"; then ok "$1"; else not_ok "$1"; note "$(screen)"; fi
}
# gone NAME REGEX
hides() { ! shows "$1"; }
gone() {
	if until_true 10 hides "$2"; then ok "$1"; else not_ok "$1"; note "$(screen)"; fi
}

vm=
if "$kvmgen" 10 >/dev/null 2>&1; then
	"$kvmgen" 40000000 >/dev/null &
	vm=$!
	until_true 10 grep -q . <(ls -l /proc/$vm/fd 2>/dev/null | grep kvm-vcpu)
	only="--vm $vm"
fi
open 130 12 screen -i 100ms ${only:-}
eventually "it takes the screen" "^hsbpf top .* by exits$"
eventually "it tells its keys at the bottom" "^q quit"
if [ -n "$vm" ]; then
	eventually "the VM is there" "^kvmgen +x1 .* [1-9][0-9]{3,} "
	tmux send-keys v
	eventually "v: its vCPU" "^kvmgen +0 "
	tmux send-keys v
	eventually "v again: the VM" "^kvmgen +x1 "
else
	skip "the VM is there" "KVM cannot run the tiny guest here"
fi
for sort in "exit time" kicks packets exits; do
	tmux send-keys s
	eventually "s: by $sort" "^hsbpf top .* by $sort$"
done
tmux send-keys p
eventually "p: paused" "\(paused\)"
tmux send-keys p
gone "p again: goes on" "\(paused\)"
tmux send-keys h
eventually "h: help" "^v +VMs or vCPUs"
tmux resize-window -x 70 -y 8
eventually "a new size is taken" "^q quit"
equal "... to the last line" "$(screen | tail -1 | cut -c1-6)" "q quit"
tmux send-keys h
gone "h again: no help" "^v +VMs or vCPUs"
tmux send-keys q
eventually "q: the terminal is given back, exit code 0" "^ended with 0"
gone "... with nothing of ours on it" "hsbpf top"
tmux kill-server

open 130 12 screen -i 100ms
eventually "another one starts" "^hsbpf top "
tmux send-keys C-c
eventually "Ctrl-C ends it as q does" "^ended with 0"
tmux kill-server

for term in "" dumb nosuch; do
	open 200 20 "$term" -n 1 -i 50ms
	eventually "TERM='$term': says so" "cannot be drawn on \(TERM is '$term'\): tables instead"
	eventually "TERM='$term': a table" "^ended with 0"
	tmux kill-server
done
if [ -n "$vm" ]; then
	kill "$vm"
	wait "$vm" 2>/dev/null
fi
plan
