# SPDX-License-Identifier: GPL-2.0-only
# The guest of `make check-vm`: L1 of a lab of its own, with Debian's kernel under TCG, what we built under /tmp/hs, the
# modules tun and vhost_net, and on demand a nested guest with virtio-net on vhost. Source it after tests/lib/tap.sh.
vm_lab=vm$$
vm_dir=/tmp/hs # in L1

vm_down() { "$hsbpf" lab down --lab "$vm_lab" >"$work/down.txt" 2>&1; }
trap 'vm_down; rm -rf "$work"' EXIT

# in_l1 COMMAND...: runs it in L1 in the folder with our files; output, exit status and stdin are its own. Status 124: it
# took longer than any test may. With a thread for each CPU, QEMU's TCG sometimes goes on executing an int3 that the kernel
# put into its code and took out again, which attaching a probe does: memory has the nop, the CPU traps for ever. Seen once
# in some 40 attachments by fentry under traffic, never in 180 without; the guest's console then tells of a soft lockup.
in_l1() { timeout 150 "$hsbpf" lab exec --lab "$vm_lab" l1 -- bash -c 'cd /tmp/hs 2>/dev/null; "$@"' - "$@"; }

# The modules of the guest's kernel in the order in which they load; they lie where hsbpf unpacked the kernel, or here.
vm_modules() {
	local release=$1 root
	shift
	for root in "${HSBPF_CACHE:-/var/cache/hsbpf}/kernels/$release" /; do
		[ -d "$root/lib/modules/$release" ] || continue
		printf '%s\n' "$@" | xargs -n1 /sbin/modprobe -d "$root" -S "$release" --show-depends | awk '/^insmod/ && !seen[$2]++ {print $2}'
		return
	done
	echo "no modules of $release" >&2
	return 1
}

# What L1 is given: our programs and scripts, modules, and the overlay that makes the lab's L2 initramfs a vhost guest.
vm_stage() {
	local release=$1 file number=10
	mkdir -p "$work/stage/modules" "$work/overlay/lib/modules-vm"
	cp --parents build/hsbpf build/tests/lab/test_* build/tests/bench/kvmgen tests/vm/*.sh tests/lab/*.sh tests/lab/*.py \
		tests/lib/*.sh user/schema/*.json "$work/stage" || return 1
	rm -f "$work"/stage/build/tests/lab/*.[od]
	for file in $(vm_modules "$release" tun vhost_net bridge veth); do
		cp "$file" "$work/stage/modules/$((number++))-${file##*/}"
	done
	for file in $(vm_modules "$release" virtio_net); do
		cp "$file" "$work/overlay/lib/modules-vm/$((number++))-${file##*/}"
	done
	cp tests/vm/l2-init.sh "$work/overlay/init"
	(cd "$work/overlay" && find . | busybox cpio -o -H newc >"$work/stage/overlay.cpio" 2>/dev/null)
}

# Raises L1 and puts everything into it. 0, or 1 with the reason on stdout.
vm_up() {
	"$hsbpf" lab up --l2vm 1 --client netns --no-trace --l1-mem 2G --l1-cpus 1 --lab "$vm_lab" -o "$work/lab" >"$work/up.txt" 2>&1 ||
		{ cat "$work/up.txt"; return 1; }
	vm_release=$(in_l1 uname -r)
	vm_stage "$vm_release" || return 1
	in_l1 mkdir "$vm_dir"
	# Its clock is a moment behind: tar's words about that are no news.
	tar c -C "$work/stage" . | in_l1 tar x --warning=no-timestamp
	# awk is a link into /etc, of which it has none.
	in_l1 bash -c 'mkdir /etc/alternatives && ln -s "$1" /etc/alternatives/awk' - "$(readlink -f "$(command -v awk)")"
	in_l1 bash -c 'ln -sf /proc/self/fd /dev/fd; for m in modules/*; do insmod $m || exit; done; cat /boot/l2.cpio overlay.cpio >l2.cpio'
}

# vm_fetch PATH: copies a folder below /tmp/hs to $work.
vm_fetch() { in_l1 tar c "$1" | tar x -C "$work"; }

# Lines of a kernel log on stdin that tell of a fault.
vm_splats() {
	grep -E '\] (BUG|WARNING|INFO: task|UBSAN|KASAN|Oops|general protection|refcount_t|INFO: possible|Kernel panic|Call Trace|RIP: 0010)|rcu.*(stall|starved)|soft lockup|hard LOCKUP|scheduling while atomic|hung_task|unregister_netdevice: waiting'
}
