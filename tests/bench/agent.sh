#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Moving ftrace pages out of a machine: the agent into a FIFO against `cat trace_pipe_raw` into a pipe, in turns, with
# the same reader at the other end. A full ring is emptied: MB/s, and CPU time of the mover for each MB; the best of RUNS,
# for what else the machine does meanwhile only ever adds.
# Usage: agent.sh, as root. MIB=48 is what the ring holds.
set -eu
RUNS=${RUNS:-7} MIB=${MIB:-48} B=${B:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/hsbpf-bench.XXXXXX")
tracefs=/sys/kernel/tracing
[ -d $tracefs/events ] || { tracefs=$work/tracefs; mkdir "$tracefs"; mount -t tracefs tracefs "$tracefs"; }
ring=$tracefs/instances/hsbpf-bench-$$
mkdir "$ring"
cleanup() {
	rmdir "$ring" 2>/dev/null || true
	[ "$tracefs" = /sys/kernel/tracing ] || umount "$tracefs"
	rm -rf "$work"
}
trap cleanup EXIT
[ "$(nproc)" -ge 2 ] || { echo "   one CPU is not enough to measure"; exit 0; }
echo $((MIB * 1024 * 5 / 4)) >"$ring/per_cpu/cpu0/buffer_size_kb"
python3 - "$ring" "$work" "$B" "$RUNS" "$MIB" <<'PYTHON'
import fcntl
import os
import subprocess
import sys
import time

ring, work, build, runs, mib = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
PAGE, PIPE_BYTES = 4096, 1 << 20
os.sched_setaffinity(0, {1})


def fill():
    """MIB of pages in CPU 0's ring; how many events"""
    os.sched_setaffinity(0, {0})
    marker = os.open(ring + "/trace_marker", os.O_WRONLY)
    events = mib * 1024 * 1024 // PAGE * 4
    for _ in range(events):
        os.write(marker, b"x" * 960)
    os.close(marker)
    os.sched_setaffinity(0, {1})
    return events


def stat(name):
    for line in open(ring + "/per_cpu/cpu0/stats"):
        if line.startswith(name + ": "):
            return int(line.split(": ")[1])


def cpu_ns(pid):
    return sum(int(open("/proc/%d/task/%s/schedstat" % (pid, task)).read().split()[0])
               for task in os.listdir("/proc/%d/task" % pid))


def drain(fd):
    """reads until the ring has been empty and a while nothing came; bytes, and when 95 % of them were there: the last page
    is not full, for which the agent waits"""
    got, last, most = 0, time.monotonic(), None
    os.set_blocking(fd, False)
    while time.monotonic() - last < 0.3 or stat("entries"):
        try:
            data = os.read(fd, PIPE_BYTES)
        except BlockingIOError:
            continue
        got += len(data)
        last = time.monotonic()
        most = most or (last if got >= mib * (1 << 20) * 0.95 else None)
    return got, most or last


def by_agent():
    ports = work + "/ports"
    subprocess.run(["rm", "-rf", ports], check=True)
    os.mkdir(ports)
    for name in ("agent-ctl-path", "trace-path-cpu0"):
        os.mkfifo(ports + "/" + name)
    agent = subprocess.Popen([build + "/hsbpf-agent", "--ports", ports, "--tracefs", ring], stderr=subprocess.PIPE)
    while b"agent-ctl-path" not in agent.stderr.readline():
        pass
    fd = os.open(ports + "/trace-path-cpu0", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(fd, 1031, PIPE_BYTES)  # F_SETPIPE_SZ
    before, start = cpu_ns(agent.pid), time.monotonic()
    control = os.open(ports + "/agent-ctl-path", os.O_WRONLY)
    os.write(control, b"1\n")
    got, most = drain(fd)
    used = cpu_ns(agent.pid) - before
    agent.terminate()
    agent.wait()
    os.close(fd)
    os.close(control)
    return got, most - start, used


def by_cat():
    read_fd, write_fd = os.pipe()
    fcntl.fcntl(read_fd, 1031, PIPE_BYTES)
    start = time.monotonic()
    cat = subprocess.Popen(["taskset", "-c", "0", "cat", ring + "/per_cpu/cpu0/trace_pipe_raw"], stdout=write_fd)
    os.close(write_fd)
    got, most = drain(read_fd)
    used = cpu_ns(cat.pid)
    cat.kill()
    cat.wait()
    os.close(read_fd)
    return got, most - start, used


results = {by_agent: [], by_cat: []}
for _ in range(runs):
    for mover in results:
        open(ring + "/trace", "w").close()
        events = fill()
        lost = stat("overrun")
        got, wall, used = mover()
        if lost or stat("read events") != events or got < mib * (1 << 20) * 0.9:
            sys.exit("   %s: %d of %d events, %d bytes" % (mover.__name__, stat("read events"), events, got))
        results[mover].append((got / wall / 1e6, used / (got / 1e6) / 1e3))
names = {by_agent: "hsbpf agent into a FIFO", by_cat: "cat trace_pipe_raw"}
for mover, rows in results.items():
    print("   %-24s %6.0f MB/s, %5.0f us of CPU for each MB" %
          (names[mover], max(r[0] for r in rows), min(r[1] for r in rows)))
PYTHON
