#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in L1 beside a recorder: the nested guest boots, moves data both ways, does not read for a moment, so that its tap
# refuses packets, and ends. Leaves in FILE what its tap counted. The tap must be there. Usage: workload.sh FILE
set -eu
cd /tmp/hs
tests/vm/nested.sh up
busybox ping -c 20 -i 0.05 -s 1000 172.16.200.20
iperf3 -c 172.16.200.20 -t 1
iperf3 -c 172.16.200.20 -t 1 -R
kill -STOP "$(<qemu.pid)"
exec 3>/dev/udp/172.16.200.20/9
for _ in {1..2000}; do echo more than the virtqueue and the queue of the tap hold >&3; done
kill -CONT "$(<qemu.pid)"
busybox ping -c 20 -i 0.1 172.16.200.20 # the first find no room; the last are answered after all that stood before them
tests/vm/nested.sh down "$1"
