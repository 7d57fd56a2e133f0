#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# The guest's side of a tap, for stat.sh: makes the interface, sends FROM frames through it, lets the kernel send TO
# datagrams, of which it reads none, so that those over the queue's length are refused. Prints the interface's counters.
# Usage: tap_traffic.py NAME FROM TO GO-FIFO END-FIFO, in a network namespace of its own
import fcntl, os, socket, struct, subprocess, sys

name, frames, datagrams, go, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
TUNSETIFF, IFF_TAP_NO_PI = 0x400454CA, 0x1002
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
for command in (
    f"ip link set {name} txqueuelen 50 up",
    f"ip addr add 172.16.9.10/24 dev {name}",
    f"ip neigh add 172.16.9.20 lladdr 52:54:00:12:09:20 dev {name}",
):
    subprocess.run(command.split(), check=True)


def counters():
    """Packets and bytes from the guest, packets to it that were dropped."""
    for line in open("/proc/net/dev"):
        if line.strip().startswith(name + ":"):
            words = line.split(":")[1].split()
            return int(words[1]), int(words[0]), int(words[11])


open(go).read()
before = counters()
for i in range(frames):
    os.write(tap, bytes(6 * [0xFF]) + bytes.fromhex("525400120920") + b"\x88\xb5" + bytes(46 + i % 1000))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(datagrams):
    try:
        sender.sendto(b"x" * 100, ("172.16.9.20", 9))
    except OSError:
        pass  # refused: that is counted
print(*(after - was for after, was in zip(counters(), before)), flush=True)
open(end).read()
