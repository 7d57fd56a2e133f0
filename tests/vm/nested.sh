#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in L1: the nested guest on tap vt0. Usage: nested.sh tap | nested.sh up | nested.sh down FILE
# tap makes the interface; up starts the guest and waits until it serves; down ends it, leaves in FILE what the interface
# counted, and removes it. Its virtio-net speaks through vhost and a device IOTLB. Under TCG a nested guest now and then
# dies in its first instructions: it is started again, at most three times, and each time is told.
set -u
cd /tmp/hs || exit 1
name=vhost-guest

start() {
	rm -f console.txt
	setsid qemu-system-x86_64 -name "$name" -M q35 -accel kvm -cpu host,family=23,-tsc-deadline -m 160M -pidfile qemu.pid \
		-nodefaults -no-user-config -display none -no-reboot -serial file:console.txt \
		-device intel-iommu,intremap=off,device-iotlb=on \
		-netdev tap,id=net,ifname=vt0,script=no,downscript=no,vhost=on \
		-device virtio-net-pci,netdev=net,romfile=,disable-legacy=on,iommu_platform=on,ats=on \
		-kernel /boot/kernel -initrd l2.cpio \
		-append "console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests pci=lastbus=0 intel_iommu=on iommu=pt" \
		>qemu.txt 2>&1 </dev/null &
	qemu=$!
}

# 40 s, looked at 10 times a second; 1 as soon as its QEMU has ended.
is_served() {
	local left=400
	until grep -q READY console.txt 2>/dev/null; do
		[ -d "/proc/$qemu" ] && [ $((left--)) -gt 0 ] || return 1
		read -rt 0.1 <> <(:)
	done
	return 0
}

case $1 in
tap)
	ip tuntap add dev vt0 mode tap && ip addr add 172.16.200.1/24 dev vt0 && ip link set vt0 up
	;;
up)
	for try in 1 2 3; do
		start
		is_served && exit 0
		echo "the nested guest died at start $try: $(tail -n 2 qemu.txt console.txt 2>/dev/null | tr '\n' ' ')"
		kill "$qemu" 2>/dev/null
		wait "$qemu"
	done
	exit 1
	;;
down)
	pid=$(<qemu.pid)
	kill "$pid"
	while [ -d "/proc/$pid" ]; do read -rt 0.1 <> <(:); done
	ip -j -s link show vt0 >"$2" # nobody sends any more
	ip link del vt0
	;;
esac
