#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A host of one guest: boots it, speaks the agent's protocol as user/agent/wire.h describes it, without hsbpf's code, and
prints TAP. Usage: guest_agent.py FOLDER KERNEL; FOLDER has initramfs.gz (guest_agent.sh makes it)."""
import ctypes
import glob
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../lab")
import ring_pages  # noqa: E402

MAGIC, HEADER = 0x46575348, struct.Struct("<IIHHIIIII")
HELLO, FORMATS, START, STOP, STATUS, PING = range(1, 7)
RESULT, TEXT, PONG, PAGES, PACKET, END = 64, 65, 66, 128, 129, 130
K_AGENT_ID, K_ERROR, K_BOOT_ID, K_CPUS, K_PORTS, K_CLOCK, K_SOURCES = 2, 3, 5, 8, 9, 12, 14
K_EVENT, K_BUFFER_KIB, K_SESSION, K_CPU_STATUS = 22, 25, 26, 28
WAIT_S, CPUS = 60, 2
COUNTS = ("sent_pages sent_packets sent_bytes dropped_pages dropped_bytes dropped_packets entries overrun commit_overrun "
          "dropped_events read bpf_lost").split()
tests = 0


def ok(passed, name, told=""):
    global tests
    tests += 1
    print("%sok %d - %s" % ("" if passed else "not ", tests, name), flush=True)
    if not passed:
        print("# %s" % (told,), flush=True)


def equal(got, expected, name):
    ok(got == expected, name, "got %s, expected %s" % (got, expected))


def put(key, value):
    if isinstance(value, int):
        value = struct.pack("<Q", value)
    if isinstance(value, str):
        value = value.encode()
    return struct.pack("<HHI", key, 0, len(value)) + value + bytes(-len(value) % 8)


def fields(payload):
    at = 0
    while at < len(payload):
        key, zero, length = struct.unpack_from("<HHI", payload, at)
        assert zero == 0 and at + 8 + length <= len(payload)
        yield key, payload[at + 8:at + 8 + length]
        at += 8 + length + -length % 8


class Channel:
    """One port: bytes in, frames out; what is no frame is counted"""

    def __init__(self, path):
        self.path, self.sock, self.is_held = path, None, False
        self.buf, self.frames, self.skipped = b"", [], 0

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)
        self.sock.setblocking(False)
        self.buf = b""

    def hang_up(self):
        self.sock.close()
        self.sock = None

    def read(self):
        try:
            while self.sock and not self.is_held:
                data = self.sock.recv(1 << 20)
                if not data:
                    break
                self.buf += data
        except BlockingIOError:
            pass

    def take(self):
        self.read()
        while len(self.buf) >= 4:
            start = self.buf.find(struct.pack("<I", MAGIC))
            if start < 0:
                self.skipped += len(self.buf) - 3
                self.buf = self.buf[-3:]
                return
            self.skipped += start
            self.buf = self.buf[start:]
            if len(self.buf) < HEADER.size:
                return
            frame = HEADER.unpack_from(self.buf)
            if frame[8] != zlib.crc32(self.buf[:28]):
                self.skipped += 1
                self.buf = self.buf[1:]
                continue
            if len(self.buf) < HEADER.size + frame[1]:
                if not self.skip_to_next_session(frame[6]):
                    return
                continue
            payload = self.buf[HEADER.size:HEADER.size + frame[1]]
            self.buf = self.buf[HEADER.size + frame[1]:]
            self.frames.append(frame + (payload,))


    def skip_to_next_session(self, session):
        """a frame that is not all here may be a killed agent's, and the next one writes behind its rest"""
        at = 1
        while (at := self.buf.find(struct.pack("<I", MAGIC), at)) > 0 and len(self.buf) - at >= HEADER.size:
            frame = HEADER.unpack_from(self.buf, at)
            if frame[8] == zlib.crc32(self.buf[at:at + 28]) and frame[6] != session:
                self.skipped += at
                self.buf = self.buf[at:]
                return True
            at += 1
        return False


class Guest:
    def __init__(self, folder, kernel):
        self.folder, self.kernel, self.vm_nr = folder, kernel, 0
        self.console, self.last_id, self.answer = b"", 0, {}
        self.raise_vm()

    def raise_vm(self, *more):
        ports = self.folder + "/vm%d" % self.vm_nr
        self.vm_nr += 1
        os.mkdir(ports)
        self.control = Channel(ports + "/agent-ctl-path")
        self.data = [Channel(ports + "/trace-path-cpu%d" % cpu) for cpu in range(CPUS)]
        devices = []
        for port in [self.control] + self.data:
            name = os.path.basename(port.path)
            devices += ["-chardev", "socket,id=%s,path=%s,server=on,wait=off" % (name, port.path),
                        "-device", "virtserialport,chardev=%s,name=%s,id=%s" % (name, name, name)]
        self.qmp_path, self.qmp, self.qmp_told = ports + "/qmp", None, b""
        self.qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(CPUS), "-m", "320",
             "-nodefaults", "-nographic", "-serial", "stdio", "-kernel", self.kernel, "-initrd", self.folder + "/initramfs.gz",
             "-append", "console=ttyS0 quiet no_timer_check", "-qmp",
             "unix:%s,server=on,wait=off" % self.qmp_path, "-device", "virtio-serial"] + devices +
            list(more), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))
        os.set_blocking(self.qemu.stdout.fileno(), False)

    def connect(self):
        for port in self.ports():
            port.connect()
        self.qmp = socket.socket(socket.AF_UNIX)
        self.qmp.connect(self.qmp_path)
        self.qmp.sendall(b'{"execute": "qmp_capabilities"}')
        self.qmp.setblocking(False)

    def migrate(self):
        """to another QEMU, whose ports nobody has connected to yet"""
        incoming, qemu, ports, qmp = "unix:" + self.folder + "/migration", self.qemu, self.ports(), self.qmp
        self.raise_vm("-incoming", incoming)
        self.until(lambda: os.path.exists(self.folder + "/migration"), "the destination")
        for command, arguments in (("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]}),
                                   ("migrate", {"uri": incoming})):
            qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        told = b""
        while b'"status": "completed"' not in told:
            if b'"status": "failed"' in told or qemu.poll() is not None:
                print("Bail out! the guest does not migrate\n# %s" % told[-800:], flush=True)
                sys.exit(1)
            readable = select.select([qmp] + [port.sock for port in ports], [], [], 1)[0]
            for port in ports:
                port.take()
            told += qmp.recv(65536) if qmp in readable else b""
        for port in ports:
            port.take()
            port.hang_up()
        qemu.kill()
        qemu.wait()

    def kill(self):
        self.qemu.kill()
        self.qemu.wait()

    def ports(self):
        return [self.control] + self.data

    def pump(self):
        for port in self.ports():
            port.take()
        try:
            self.qmp_told += self.qmp.recv(65536) if self.qmp else b""
        except BlockingIOError:
            pass
        try:
            self.console += os.read(self.qemu.stdout.fileno(), 65536)
        except BlockingIOError:
            pass

    def until(self, done, what):
        deadline = time.monotonic() + WAIT_S
        while not done():
            if time.monotonic() > deadline or self.qemu.poll() is not None:
                print("Bail out! waited in vain for %s\n# %s" % (what, self.console[-800:]), flush=True)
                sys.exit(1)
            self.pump()
            time.sleep(0.002)

    def attempt(self, command, seconds):
        """on the guest's console; how long it took, None: it did not end in that time"""
        self.console, start = b"", time.monotonic()
        self.qemu.stdin.write(command.encode() + b"\n")
        self.qemu.stdin.flush()
        while time.monotonic() - start < seconds:
            self.pump()
            if b"did " in self.console:
                return time.monotonic() - start
            time.sleep(0.002)
        return None

    def until_said(self, text):
        self.until(lambda: text in self.console, text)

    def run(self, command):
        """on the guest's console; what it printed"""
        self.console = b""
        self.qemu.stdin.write(command.encode() + b"\n")
        self.qemu.stdin.flush()
        self.until_said(b"did 0" if not command.startswith("!") else b"did")
        return self.console.decode(errors="replace").split("did ")[0]

    def has_opened(self, port):
        """since qmp_told was emptied; QEMU tells"""
        events = [json.loads(line) for line in self.qmp_told.splitlines(keepends=True) if line.endswith(b"\n")]
        return any(e.get("event") == "VSERPORT_CHANGE" and e["data"] == {"id": port, "open": True} for e in events)

    def start_agent(self, agent):
        self.pump()
        self.qmp_told = b""
        self.run("start_agent %s" % agent)
        self.until(lambda: self.has_opened("agent-ctl-path"), "%s to open its ports" % agent)

    def order(self, kind, payload=b""):
        self.last_id += 1
        head = HEADER.pack(MAGIC, len(payload), kind, 0, self.last_id, self.last_id, 0, zlib.crc32(payload), 0)[:28]
        self.control.sock.sendall(head + struct.pack("<I", zlib.crc32(head)) + payload)
        self.control.frames = []
        self.until(lambda: any(f[2] in (RESULT, PONG) and f[5] == self.last_id for f in self.control.frames),
                   "the answer to order %d" % kind)
        self.answer = {}
        for key, value in fields(self.control.frames[-1][-1]):
            self.answer.setdefault(key, []).append(value)
        return self.number(K_ERROR)

    def number(self, key):
        return struct.unpack("<Q", self.answer[key][0])[0] if key in self.answer else 0

    def text(self, key):
        return self.answer.get(key, [b""])[0].decode()

    def sums(self):
        """the counts of the newest answer, all CPUs together; the flags of each"""
        rows = [struct.unpack("<II12Q", row) for row in self.answer.get(K_CPU_STATUS, [])]
        return dict(zip(COUNTS, (sum(column) for column in list(zip(*rows))[2:]))), [row[1] for row in rows]

    def forget(self):
        self.pump()
        for port in self.data:
            port.frames, port.skipped = [], 0

    def start(self, *events, buffer_kib=1024):
        self.forget()
        error = self.order(START, put(K_SOURCES, 1) + put(K_BUFFER_KIB, buffer_kib) +
                           b"".join(put(K_EVENT, event) for event in events))
        self.session = self.number(K_SESSION)
        return error

    def stop(self):
        error = self.order(STOP)
        self.until(lambda: all(port.is_held or any(f[2] == END and f[6] == self.session for f in port.frames)
                               for port in self.data), "every END")
        return error

    def events(self):
        """of this session: how many came, and whether all frames did"""
        count, whole = 0, True
        for cpu, port in enumerate(self.data):
            frames = [f for f in port.frames if f[6] == self.session]
            whole = whole and [f[4] for f in frames] == list(range(len(frames))) and all(f[3] == cpu for f in frames)
            for frame in frames:
                if frame[2] == PAGES:
                    count += sum(ring_pages.count_page(frame[-1][at:at + 4096])[0] for at in range(0, frame[1], 4096))
        return count, whole

    def wait_boot(self):
        self.until_said(b"guest-ready")
        self.until_said(b"port agent-ctl-path")


def produced(sums):
    return sums["read"] + sums["entries"] + sums["overrun"] + sums["dropped_events"]


def test_recording(guest):
    equal(guest.order(HELLO), 0, "HELLO is answered from the guest")
    equal((guest.text(K_CPUS), guest.text(K_PORTS)), ("0-1", "0,1"), "both CPUs have their port")
    equal(guest.start("syscalls:*", "sched:sched_switch", buffer_kib=8192), 0, "START")
    equal(guest.text(K_CLOCK), "boot", "the clock is boot")
    guest.run("dd if=/dev/zero of=/dev/null bs=1 count=20000 2>/dev/null; mark 0 1000; mark 1 1000")
    equal(guest.stop(), 0, "STOP")
    sums, _ = guest.sums()
    count, whole = guest.events()
    ok(sums["read"] > 42000, "system calls and marks are recorded", sums)
    equal((sums["entries"], sums["overrun"], sums["dropped_pages"]), (0, 0, 0), "nothing is lost")
    equal((count, whole), (sums["read"], True), "and every event arrives, in unbroken frames of its CPU")


def test_hang_up(guest):
    equal(guest.start(buffer_kib=256), 0, "START, then the host hangs up")
    guest.run("mark 0 500")
    for port in guest.ports():
        port.hang_up()
    guest.run("mark 0 20000; mark 1 500")
    used = guest.run("a=$(ticks); sleep 2; echo $(($(ticks) - a)) ticks").split(" ticks")[0].split()[-1]
    ok(int(used) < 50, "the agent does not spin meanwhile", "%s ticks of 200" % used)
    guest.connect()
    equal(guest.order(STATUS), 0, "a host that comes back is answered")
    equal(guest.number(K_SESSION), guest.session, "and finds the recording")
    guest.run("mark 1 500")
    guest.stop()
    sums, _ = guest.sums()
    equal(produced(sums), 21500, "every event is counted")
    ok(sums["overrun"] > 1000 and sums["read"] >= 1000, "as sent or as written over", sums)
    ok(guest.events()[0] >= 500, "what came after the hang-up arrives", guest.events())


def test_host_that_does_not_read(guest):
    equal(guest.start("syscalls:*", buffer_kib=256), 0, "START, and CPU 0's port is not read")
    guest.data[0].is_held = True
    guest.run("taskset 1 dd if=/dev/zero of=/dev/null bs=1 count=60000 2>/dev/null")
    ok(True, "a workload goes on")
    guest.order(STATUS)
    sums, flags = guest.sums()
    ok(flags[0] & 2, "the port is known to be stuck", flags)
    ok(sums["overrun"] > 10000, "what is written over is counted", sums)
    equal(guest.stop(), 0, "STOP is answered all the same")
    ok(produced(guest.sums()[0]) > 240000, "recorded and lost make what was produced", guest.sums())
    guest.data[0].is_held = False


def test_hotplug(guest):
    equal(guest.start(), 0, "START, then CPU 1 goes and comes back")
    guest.run("echo 0 >/sys/devices/system/cpu/cpu1/online; mark 0 100; echo 1 >/sys/devices/system/cpu/cpu1/online")
    guest.run("n=0; until grep -l 'Cpus_allowed_list:.1$' /proc/$(pidof hsbpf-agent)/task/*/status || [ $n = 50 ]; do "
              "n=$((n + 1)); sleep 0.1; done; [ $n -lt 50 ]")
    ok(True, "its thread is pinned to it again")
    guest.run("mark 1 100")
    guest.stop()
    equal((guest.events()[0], produced(guest.sums()[0])), (200, 200), "events before and after arrive")


def test_killed(guest):
    guest.order(HELLO)
    agent_id = guest.number(K_AGENT_ID)
    equal(guest.start("sched:sched_switch"), 0, "START, then the agent is killed")
    guest.run("kill -9 $(pidof hsbpf-agent); wait")
    guest.run("agent")
    equal(guest.order(HELLO), 0, "another one answers")
    ok(guest.number(K_AGENT_ID) != agent_id, "as another")
    equal(guest.start(), 0, "and records")
    guest.run("mark 0 100")
    guest.stop()
    equal(guest.events(), (100, True), "what it records arrives")
    equal(guest.run("kill $(pidof hsbpf-agent); wait; ls /sys/kernel/tracing/instances | wc -l").split()[-1], "0",
          "SIGTERM leaves nothing behind")
    guest.run("agent")


def test_plain_orders(guest):
    guest.forget()
    guest.run("T=/sys/kernel/tracing; echo 1 >$T/tracing_on; i=0; "
              "while [ $i -lt 300 ]; do echo a-mark; i=$((i + 1)); done >$T/trace_marker")
    guest.control.sock.sendall(b"1\n")
    guest.until(lambda: sum(len(port.buf) + port.skipped for port in guest.data), "raw pages")
    guest.console = b""
    guest.control.sock.sendall(b"0\n")
    guest.until_said(b"recorded:")
    guest.pump()
    equal(sum(len(port.frames) for port in guest.data), 0, "the kernel agent's orders give raw pages, no frames")
    ok(all((len(port.buf) + port.skipped) % 4096 == 0 for port in guest.data), "whole ones")
    for port in guest.data:
        port.buf = b""


def test_reboot(guest):
    guest.order(HELLO)
    boot_id = guest.text(K_BOOT_ID)
    equal(guest.start("syscalls:*"), 0, "START, then the guest reboots")
    guest.console = b""
    guest.qemu.stdin.write(b"dd if=/dev/zero of=/dev/null bs=1 count=5000 2>/dev/null; reboot -f\n")
    guest.qemu.stdin.flush()
    guest.wait_boot()
    equal(guest.order(HELLO), 0, "the agent of the next boot answers on the same connection")
    ok(guest.text(K_BOOT_ID) != boot_id, "and tells of another boot")
    equal(guest.start(), 0, "it records")
    guest.run("mark 1 100")
    guest.stop()
    equal(guest.events(), (100, True), "and what it records arrives")


def test_live_migration(guest):
    guest.order(HELLO)
    agent_id = guest.number(K_AGENT_ID)
    equal(guest.start(), 0, "START, then the guest migrates to another QEMU")
    guest.run("mark 0 500")
    guest.migrate()
    guest.run("mark 0 100")
    guest.connect()
    equal(guest.order(HELLO), 0, "the agent answers there")
    equal(guest.number(K_AGENT_ID), agent_id, "it is the same one")
    equal((guest.order(STATUS), guest.number(K_SESSION)), (0, guest.session), "and still records")
    guest.run("mark 0 100; mark 1 100")
    equal(guest.stop(), 0, "STOP")
    sums, _ = guest.sums()
    equal((produced(sums), sums["overrun"]), (800, 0), "every event is counted, none was written over")
    ok(guest.events()[0] >= 200, "what came after the migration arrives", guest.events())


def stop_reading(guest, agent):
    """a workload on CPU 0, whose port nobody reads: what becomes of it, of SIGTERM, and what is told of losses. A queue of
    virtio holds 128 times what the agent's pipe does: the pipe is small, so that it fills up"""
    guest.run("cd /sys/kernel/tracing; echo >trace; echo 1024 >buffer_size_kb; echo 1 >events/syscalls/enable; cd /")
    guest.start_agent(agent)
    guest.pump()
    guest.data[0].is_held = True
    guest.control.sock.sendall(b"1\n")
    took = guest.attempt("taskset 1 dd if=/dev/zero of=/dev/null bs=1 count=200000 2>/dev/null", 30)
    is_there = took and guest.attempt("[ -z \"$(pidof %s)\" ] || echo is-there" % agent, 5) and b"is-there" in guest.console
    ended = took and guest.attempt("kill $(pidof %s); wait" % agent, 10)
    told = guest.run("cat /agent.err").splitlines()[-1:] if ended else []
    print("# %s and a host that does not read: the workload %s, %s, it says: %s" %
          (agent, "took %.1f s" % took if took else "stood still for 30 s",
           "it ended by itself" if not is_there else "SIGTERM ended it in %.1f s" % ended if ended else "SIGTERM does not end it",
           " ".join(told).strip() or "nothing"), flush=True)
    guest.data[0].is_held = False
    return took, ended, told


def test_beside_the_kernels_agent(guest):
    guest.run("kill $(pidof hsbpf-agent); wait")
    took, ended, told = stop_reading(guest, "hsbpf-agent")
    ok(took and ended, "a workload goes on that nobody reads of by the kernel's ring, and SIGTERM ends the agent")
    ok(re.search("the rings lost [1-9]", " ".join(told)), "which says what was lost", told)
    if not guest.run("ls /bin").count("trace-agent"):
        ok(True, "beside the kernel's agent # SKIP its source is not here: apt-get install linux-source")
        return
    ok("lost" not in " ".join(stop_reading(guest, "trace-agent")[2]), "the kernel's agent does not say it")
    record_by_the_kernels_agent(guest)


def record_by_the_kernels_agent(guest):
    """`hsbpf guest` is its host. On a kernel like Debian's 6.1 it ends at once when a CPU's ring has no full page (EAGAIN)"""
    out = guest.folder + "/by-the-kernels-agent"
    guest.run("cd /sys/kernel/tracing; echo 0 >events/syscalls/enable; echo >trace; echo 1 >tracing_on; cd /; "
              "for cpu in 1 2; do taskset $cpu sh -c 'i=0; while [ $i -lt 10000 ]; do echo a-mark; i=$((i + 1)); done' "
              ">/sys/kernel/tracing/trace_marker; done")
    guest.start_agent("trace-agent")
    for port in guest.ports():
        port.hang_up()
    folder = os.path.dirname(guest.control.path)
    host = subprocess.run(["build/hsbpf", "guest", "attach", "--agent", "kernel", "--name", "kernels", "-d", "1s", "-o", out,
                           folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    equal(host.returncode, 0, "`hsbpf guest attach` is its host")
    names = glob.glob(out + "/trace/kernels/cpu*.raw")
    pages = b"".join(open(name, "rb").read() for name in names)
    ok(pages and len(pages) % 4096 == 0 and pages.count(b"a-mark\n"), "which it sends whole pages of its ring",
       "%d bytes in %s" % (len(pages), names))


def main():
    guest = Guest(sys.argv[1], sys.argv[2])
    try:
        guest.wait_boot()
        guest.connect()
        for test in (test_recording, test_hang_up, test_host_that_does_not_read, test_hotplug, test_killed, test_plain_orders,
                     test_reboot, test_live_migration, test_beside_the_kernels_agent):
            test(guest)
        print("1..%d" % tests)
    finally:
        guest.kill()


main()
