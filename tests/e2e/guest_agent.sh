#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The agent in a real guest, on real virtio-serial ports: a small guest of its own under TCG, with the kernel that the
# lab uses, and a host in Python (guest_agent.py) that speaks the protocol from its description alone.
. tests/lib/tap.sh
root=$(ls -d "${HSBPF_CACHE:-/var/cache/hsbpf}"/kernels/*/lib/modules/* 2>/dev/null | head -1)
if [ -z "$root" ]; then
	skip "the agent in a guest" "no guest kernel has been fetched yet: run \`hsbpf collect\` once"
	plan
	exit 0
fi
release=${root##*/}
root=${root%/lib/modules/*}
mkdir -p "$work/initramfs"/{bin,dev,m,proc,sys}
cp "$(command -v busybox)" build/hsbpf-agent "$work/initramfs/bin"
# The kernel's own agent, where its source is: shown beside ours.
for source in ${KERNEL_SOURCE:+"$KERNEL_SOURCE"} /usr/src/linux-source-*.tar.xz; do
	case $source in
	*.tar.xz) [ -f "$source" ] && tar -C "$work" --strip-components=1 --wildcards -xf "$source" '*/tools/virtio/virtio-trace' && source=$work ;;
	esac
	gcc -O2 -static -pthread -o "$work/initramfs/bin/trace-agent" "$source"/tools/virtio/virtio-trace/*.c 2>/dev/null && break
done
n=10
for module in virtio_pci virtio_console; do
	for file in $(/sbin/modprobe -d "$root" -S "$release" --show-depends $module | awk '/^insmod/ {print $2}'); do
		ls "$work/initramfs/m" | grep -q -- "-${file##*/}\$" || cp "$file" "$work/initramfs/m/$((n++))-${file##*/}"
	done
done
cat >"$work/initramfs/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs d /dev; mount -t proc p /proc; mount -t sysfs s /sys; mount -t tracefs t /sys/kernel/tracing
mount -t debugfs d /sys/kernel/debug
for m in /m/*; do insmod $m; done
dmesg -n 1
agent() { hsbpf-agent >/dev/ttyS0 2>&1 & }
ring() { echo /sys/kernel/tracing/instances/hsbpf-agent-*; }
# mark CPU N: N events on that CPU; each echo is a write
mark() { taskset $((1 << $1)) sh -c "i=0; while [ \$i -lt $2 ]; do echo a-mark; i=\$((i + 1)); done" >$(ring)/trace_marker; }
ticks() { awk '{print $14 + $15}' /proc/$(pidof hsbpf-agent)/stat; }
# start_agent NAME: either agent. The kernel's knows its ports by the names that udev gives them.
start_agent() {
	mkdir -p /dev/virtio-ports
	for p in /sys/class/virtio-ports/*; do ln -sf ../${p##*/} /dev/virtio-ports/$(cat $p/name); done
	$1 -s 64K >/agent.err 2>&1 &
}
agent
stty -echo </dev/ttyS0
echo guest-ready
while read -r line; do eval "$line"; echo "did $?"; done </dev/ttyS0
INIT
chmod +x "$work/initramfs/init"
(cd "$work/initramfs" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$work/initramfs.gz")
python3 tests/e2e/guest_agent.py "$work" "$root/boot/vmlinuz-$release"
