#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The ends of mig_mon's UDP protocol, byte by byte, as they were seen on the wire, and a clock for tests of outages.
Every datagram is the four bytes "echo"; an echo server returns up to 1024 bytes as they are; a client's socket is
connected and reads four bytes. Times are CLOCK_BOOTTIME in ns.

echo LOG [PORT]              answers until SIGTERM; says "ready" first; LOG gets the time of each answer at the end
slow MS [PORT]               the same, MS after what it answers came; no LOG
sink N [PORT]                a one-way server: says "ready", then the length of each of N datagrams
ask ADDRESS PORT HEX...      sends each, prints what came back in hex ("-" for nothing)
ask-from PORT ADDRESS PORT HEX...   the same from a port of ours
tick ADDRESS PORT MS N [PAUSE_MS N]...   a one-way client: N datagrams MS apart, a pause, N more...; prints the time
                             of the last one before each pause and of the first one after it
stop PID SECONDS [RUN_SECONDS STOP_SECONDS]...   stops the process, lets it run, stops it...; each stop prints when it
                             was asked for, when it was seen, when the end was asked for, when that was seen
clocked COMMAND...           runs it and prints the time before and after
"""
import os
import select
import signal
import socket
import subprocess
import sys
import time


def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    print("ready", flush=True)
    return server


def echo(log, port=9008):
    times = []

    def end(signum, frame):
        with open(log, "w") as file:
            file.writelines(f"{t}\n" for t in times)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    server = listen(int(port))
    while True:
        data, peer = server.recvfrom(1024)
        times.append(now())
        server.sendto(data, peer)


def slow(delay_ms, port=9008):
    server = listen(int(port))
    waiting = []
    while True:
        left = (waiting[0][0] - now()) / 1e9 if waiting else None
        if not waiting or (left > 0 and select.select([server], [], [], left)[0]):
            data, peer = server.recvfrom(1024)
            waiting.append((now() + int(delay_ms) * 1000000, data, peer))
        else:
            server.sendto(*waiting.pop(0)[1:])


def sink(count, port=9008):
    server = listen(int(port))
    for _ in range(int(count)):
        print(len(server.recv(1024)), flush=True)


def ask(address, port, *payloads, source_port=None):
    client = socket.socket(family(address), socket.SOCK_DGRAM)
    client.settimeout(0.5 if source_port else 5)
    if source_port:
        client.bind(("", int(source_port)))
    client.connect((address, int(port)))
    for payload in payloads:
        client.send(bytes.fromhex(payload))
        try:
            print(client.recv(4096).hex())
        except TimeoutError:
            print("-")


def ask_from(source_port, *rest):
    ask(*rest, source_port=source_port)


def tick(address, port, interval_ms, count, *pauses):
    client = socket.socket(family(address), socket.SOCK_DGRAM)
    for step, number in enumerate((count,) + pauses):
        if step % 2:
            before = now()
            time.sleep(int(number) / 1000)
            continue
        for i in range(int(number)):
            if i:
                time.sleep(int(interval_ms) / 1000)
            client.sendto(b"echo", (address, int(port)))
            if not i and step:
                print(before, now(), flush=True)


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def send(pid, number, stopped):
    before = now()
    signal.pidfd_send_signal(pid[1], number)
    while is_stopped(pid[0]) != stopped:
        time.sleep(0.001)
    return before, now()


def stop(pid, *seconds):
    target = (int(pid), os.pidfd_open(int(pid)))
    for step, length in enumerate(seconds):
        if step % 2:
            time.sleep(float(length))
            continue
        start = send(target, signal.SIGSTOP, True)
        time.sleep(float(length))
        print(*start, *send(target, signal.SIGCONT, False), flush=True)


def clocked(*command):
    before = now()
    subprocess.run(command, check=True)
    print(before, now())


globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
