#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf agent` with a host that is FIFOs, `echo` and `cat`, as hosts of the kernel's trace-agent are. Nobody else's
# tracing is touched: an ftrace instance is the guest's ring.
. tests/lib/tap.sh
tracefs=/sys/kernel/tracing
[ -d $tracefs/events ] || { tracefs=$work/tracefs; mkdir "$tracefs"; mount -t tracefs tracefs "$tracefs"; }
ring=$tracefs/instances/hsbpf-test-$$
if ! mkdir "$ring" 2>"$work/err"; then
	skip "the agent with a host of FIFOs" "no ftrace instance: $(cat "$work/err")"
	plan
	exit 0
fi
agent= readers=
finish() {
	kill $agent $readers 2>/dev/null
	wait
	rmdir "$ring"
	[ "$tracefs" = /sys/kernel/tracing ] || umount "$tracefs"
	rm -rf "$work"
}
trap finish EXIT
cpus=$(($(getconf _NPROCESSORS_CONF) - 1))
ports=$work/ports

# make_ports: FIFOs for every CPU and orders
make_ports() {
	rm -rf "$ports"
	mkdir "$ports"
	mkfifo "$ports/agent-ctl-path" $(seq -f "$ports/trace-path-cpu%g" 0 $cpus)
}
# read_ports: a `cat` for each CPU into $work/cpuN
read_ports() {
	local cpu
	readers=
	for cpu in $(seq 0 $cpus); do
		cat "$ports/trace-path-cpu$cpu" >>"$work/cpu$cpu" &
		readers="$readers $!"
	done
}
start_agent() {
	build/hsbpf-agent --ports "$ports" --tracefs "$ring" "$@" 2>>"$work/agent.err" &
	agent=$!
	until_true 10 grep -q 'port agent-ctl-path' "$work/agent.err" || note "$(cat "$work/agent.err")"
}
# said N TEXT: the agent has said it that often
said() { [ "$(grep -c "$2" "$work/agent.err")" = "$1" ]; }
order() { printf "$1" >"$ports/agent-ctl-path"; }
ended() { until_true 10 said "$1" 'recorded:'; }
# The agent's end: it goes by itself. kill -0 finds a child that is not waited for: its state tells.
is_gone() { ! grep -q '^State:.*[RSD]' /proc/$agent/status 2>/dev/null; }
stop_agent() { kill -TERM $agent; until_true 5 is_gone; }
clean() { kill $readers 2>/dev/null; wait $readers 2>/dev/null; readers=; rm -f "$work"/cpu* "$work/agent.err"; echo >"$ring/trace"; }
# mark N: N events on CPU 0
mark() {
	taskset -c 0 python3 -c "
import os, sys
marker = os.open('$ring/trace_marker', os.O_WRONLY)
for i in range(int(sys.argv[1])):
    os.write(marker, b'event %d' % i)" "$1"
}
stat() { awk -F': ' -v name="$1" '$1 == name {print $2}' "$ring/per_cpu/cpu0/stats"; }
files_whole() { local cpu; for cpu in $(seq 0 $cpus); do [ $(($(stat_size "$work/cpu$cpu") % 4096)) = 0 ] || return 1; done; }
stat_size() { command stat -c %s "$1"; }

# ---- a million events ----
make_ports
echo 49152 >"$ring/per_cpu/cpu0/buffer_size_kb" # holds them all: what is lost is lost by the agent
read_ports
start_agent
order '1\n'
check "1 starts" until_true 10 said 1 'recording'
mark 1000000
order '0\n'
check "0 ends" ended 1
equal "a million events: every one has left the ring" "$(stat 'read events') $(stat entries) $(stat overrun)" "1000000 0 0"
check "SIGTERM ends the agent" stop_agent
wait $readers # end with the writer of their FIFO
equal "a million events: every one is at the host" "$(tests/lab/ring_pages.py "$work"/cpu* | cut -d' ' -f2-)" "1000000 0 0"
clean

# ---- orders as they come ----
echo 1408 >"$ring/per_cpu/cpu0/buffer_size_kb"
make_ports
read_ports
start_agent
order 1
check "1 without a newline starts" until_true 10 said 1 'recording'
order '0\n'
check "stop while idle ends" ended 1
order '1\n0\n'
check "two orders in one write are two" ended 2
order '1\n0\n1\n'
check "a start that follows a stop at once is not lost" until_true 10 said 4 'recording'
order '0'
check "and ends" ended 4
order 'hello\n'
check "garbage is said" until_true 10 said 1 '6 bytes on the control port are no order: ignored'
order 'x1'
check "and starts nothing" until_true 10 said 1 '2 bytes on the control port are no order'
equal "nor ends the agent" "$(kill -0 $agent && grep -c '^hsbpf: recording$' "$work/agent.err")" 4

# ---- the last page, and idle ends ----
order '1\n'
until_true 10 said 5 'recording'
mark 10
check "a page that is not full comes within a second or so" until_true 10 test -s "$work/cpu0"
check "SIGTERM while idle ends it" stop_agent
wait $agent
equal "well" $? 0
wait $readers
equal "what was there is at the host" "$(tests/lab/ring_pages.py "$work"/cpu* | cut -d' ' -f2-)" "10 0 0"
clean

# ---- killed and restarted; the host side restarted ----
make_ports
read_ports
start_agent
order '1\n'
mark 5000
check "data flows" until_true 10 test -s "$work/cpu0"
kill -KILL $agent
wait $agent 2>/dev/null
wait $readers
start_agent
order '1\n'
until_true 10 said 2 'recording'
read_ports
mark 5000
order '0\n'
ended 1
sent=$(($(stat 'read events') + $(stat entries)))
check "a restarted agent goes on" test "$sent" = 10000
kill $readers
wait $readers 2>/dev/null
order '1\n'
until_true 10 said 3 'recording'
mark 100
read_ports
order '0\n'
check "a host that comes back reads on" ended 2
stop_agent
wait $readers
equal "all events are read or counted" "$(tests/lab/ring_pages.py "$work"/cpu* | cut -d' ' -f2-)" "$(stat 'read events') 0 0"
check "in whole pages" files_whole
clean

# ---- a host that never reads ----
echo 256 >"$ring/per_cpu/cpu0/buffer_size_kb"
make_ports
start_agent
order '1\n'
until_true 10 said 1 'recording'
mark 200000
ok "a workload goes on although nobody reads"
produced=$(($(stat 'read events') + $(stat entries) + $(stat overrun)))
equal "every event is counted: read, there, or written over" "$produced" 200000
check "most were written over" test "$(stat overrun)" -gt 100000
check "SIGTERM ends an agent that is stuck" stop_agent
wait $agent
equal "well" $? 0
check "and it tells what it dropped" grep -qE "recorded: .* [1-9][0-9]* and 0 dropped; the rings lost $(stat overrun) events of ftrace" "$work/agent.err"
clean

# ---- standard output ----
echo 8192 >"$ring/per_cpu/cpu0/buffer_size_kb"
build/hsbpf agent -o --source ftrace --tracefs "$ring" >"$work/frames" 2>"$work/agent.err" &
agent=$!
until_true 10 said 1 'recording'
mark 100000
check "SIGTERM ends -o" stop_agent
equal "-o into a file: every event, in frames" "$(tests/lab/ring_pages.py --frames "$work/frames" | cut -d' ' -f2-)" "100000 0 0"
echo >"$ring/trace"
rm "$work/agent.err"
build/hsbpf agent -o --source ftrace --tracefs "$ring" 2>"$work/agent.err" >>"$work/appended" &
agent=$!
until_true 10 said 1 'recording'
mark 1000
stop_agent
equal "-o into a file that is appended to" "$(tests/lab/ring_pages.py --frames "$work/appended" | cut -d' ' -f2-)" "1000 0 0"
rm "$work/agent.err"
mkfifo "$work/fifo"
build/hsbpf agent -o --source ftrace --tracefs "$ring" 2>"$work/agent.err" >"$work/fifo" &
agent=$!
exec 8<"$work/fifo"
until_true 10 said 1 'recording'
exec 8<&-
mark 10
check "-o ends with its reader" until_true 10 is_gone
rm "$work/agent.err"
build/hsbpf agent -o --source ftrace --tracefs "$ring" 2>"$work/agent.err" >/dev/full &
agent=$!
until_true 10 said 1 'recording'
mark 10000
check "-o onto a disk that is full ends" until_true 10 is_gone
wait $agent
equal "... with exit code 1" $? 1
check "... and the reason" grep -q 'cannot write to standard output any more: No space left on device' "$work/agent.err"

# ---- what goes wrong ----
fails "no tracefs there" 1 "cannot open $work/none" build/hsbpf agent -o --source ftrace --tracefs "$work/none"
fails "a size that is none" 2 "--size '1K'" build/hsbpf agent -s 1K
fails "operands" 2 "takes no operands" build/hsbpf agent now
plan
