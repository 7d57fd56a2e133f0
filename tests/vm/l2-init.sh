#!/sbin/sh
# SPDX-License-Identifier: GPL-2.0-only
# PID 1 of the nested guest of `make check-vm`: its virtio NIC comes up as 172.16.200.20, iperf3 serves on it, and the
# console says READY. Lies over the lab's own L2 initramfs, whose busybox and iperf3 it uses.
export PATH=/sbin:/usr/sbin:/bin:/usr/bin
mkdir -p /proc /sys /dev
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /lib/modules-ordered/* /lib/modules-vm/*; do
	busybox insmod "$module" 2>/dev/null
done
ip link set lo up
ip addr add 172.16.200.20/24 dev eth0
ip link set eth0 up
echo READY
exec iperf3 -s
