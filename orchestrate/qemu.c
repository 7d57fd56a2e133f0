// SPDX-License-Identifier: GPL-2.0-only
/*
 * Builds argument vectors, nothing else. Choices that look odd were measured: the kernel is an
 * uncompressed ELF (PVH boot, no decompression under TCG), option ROMs are off (their scan costs seconds),
 * no_timer_check keeps a loaded guest from panicking over its interrupt-remapped timer, and the crypto self
 * tests are skipped (0.2 s a boot). What an L2 costs is its exits, each some 100 us under TCG: Linux's
 * search for old AMD bridges (family 15 only) and for peer buses made 50 000 of its 60 000.
 */
#include "qemu.h"

#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "frame.h"
#include "ports.h"

#define KERNEL_ARGS "console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests pci=lastbus=0"

/*
 * A dying kernel prints its ftrace ring, if that is on, before its log is kept: the log is large enough that the words
 * before it are kept too (init keeps the ring small).
 */
#define CRASH_ARGS " ftrace_dump_on_oops log_buf_len=256K hsbpf.crash="
#define L1_CRASH_ADDR "03.1" /* beside the serial device */
#define CRASH_ADDR "1e.0"

/* The emulated negotiation ends between two looks of Linux's driver, which are 2 s apart. */
#define E1000_OPTIONS ",autonegotiation=off"

static void add_machine(struct hs_argv *argv, const char *name, const char *machine, uint64_t memory_bytes)
{
	hs_argv_add(argv, HS_QEMU);
	hs_argv_add_pair(argv, "-name", "%s", name);
	hs_argv_add_pair(argv, "-M", "%s", machine);
	hs_argv_add_pair(argv, "-m", "%lluM", (unsigned long long)(memory_bytes >> 20));
	hs_argv_add_words(argv, "-nodefaults -no-user-config -display none -no-reboot");
}

/* A device with as many ports as it needs: the guest's driver sets up queues for every port that there could be. */
static void add_serial_device(struct hs_argv *argv, unsigned ports, const char *addr)
{
	hs_argv_add_pair(argv, "-device", "virtio-serial-pci,max_ports=%u%s", 1 + ports, addr); /* 0 is a console's */
}

static void add_agent_port(struct hs_argv *argv, const char *chardev_path)
{
	hs_argv_add_pair(argv, "-chardev", "socket,id=agent,path=%s", chardev_path);
	hs_argv_add_words(argv, "-device virtserialport,chardev=agent,nr=1,name=" HS_AGENT_PORT);
}

/* One port; QEMU listens, so that whoever wants the trace comes and goes as he likes. */
static unsigned add_trace_port(struct hs_argv *argv, unsigned nr, const char *dir, const char *machine,
			       const char *port, const char *name)
{
	hs_argv_add_pair(argv, "-chardev", "socket,id=trace%u,path=%s/%s.%s,server=on,wait=off", nr, dir, machine,
			 port);
	hs_argv_add_pair(argv, "-device", "virtserialport,chardev=trace%u,nr=%u,name=%s", nr, nr, name);
	return nr + 1;
}

static unsigned trace_ports(unsigned cpus)
{
	return cpus ? cpus + 2 : 0;
}

/*
 * A machine's trace ports: one for each CPU, orders and the kernel's log, from port number `nr` on. Returns the next
 * free number. In a machine itself they have their plain names; passed on through L1, L2's name stands before them.
 */
static unsigned add_trace_ports(struct hs_argv *argv, unsigned nr, const char *dir, const char *machine, unsigned cpus,
				bool is_passed_on)
{
	char port[48], name[HS_NAME_SIZE + 56];

	for (unsigned i = 0; i < trace_ports(cpus); i++) {
		if (i == cpus)
			snprintf(port, sizeof(port), HS_TRACE_ORDERS_PORT);
		else if (i > cpus)
			snprintf(port, sizeof(port), HS_LOG_PORT);
		else
			snprintf(port, sizeof(port), HS_TRACE_DATA_PORT "%u", i);
		snprintf(name, sizeof(name), "%s%s%s", is_passed_on ? machine : "", is_passed_on ? "." : "", port);
		nr = add_trace_port(argv, nr, dir, machine, port, name);
	}
	return nr;
}

/* Console to a file, agent port and QMP to sockets on which hsbpf listens; trace ports, on which QEMU does. */
static void add_host_channels(struct hs_argv *argv, const char *name, const struct hs_qemu_common *common,
			      unsigned passed_on, const char *serial_addr)
{
	unsigned l2_ports = common->trace_cpus ? trace_ports(HS_L2_CPUS) : 0, nr;
	char agent[256];

	hs_argv_add_pair(argv, "-chardev", "file,id=console,path=%s,append=on", common->console);
	hs_argv_add_words(argv, "-serial chardev:console");
	hs_argv_add_pair(argv, "-chardev", "socket,id=qmp,path=%s/%s.qmp", common->run_dir, name);
	hs_argv_add_words(argv, "-mon chardev=qmp,mode=control");
	add_serial_device(argv, 1 + trace_ports(common->trace_cpus) + passed_on * l2_ports, serial_addr);
	nr = add_trace_ports(argv, 2, common->run_dir, name, common->trace_cpus, false);
	for (unsigned tenant = 0; l2_ports && tenant < passed_on; tenant++)
		nr = add_trace_ports(argv, nr, common->run_dir, hs_pair_of(tenant).l2, HS_L2_CPUS, true);
	snprintf(agent, sizeof(agent), "%s/%s.agent", common->run_dir, name);
	add_agent_port(argv, agent);
}

static void add_l1_share(struct hs_argv *argv, const char *tag, const char *path, unsigned slot)
{
	hs_argv_add_pair(argv, "-fsdev", "local,id=%s,path=%s,security_model=none,readonly=on,multidevs=remap", tag,
			 path);
	hs_argv_add_pair(argv, "-device", "virtio-9p-pci,fsdev=%s,mount_tag=%s,addr=%u", tag, tag, slot);
}

/* Every other slot of L1's root bus is taken: eight L2s' crash memories share one. */
#define CRASH_FIRST_SLOT 0x1cu
#define CRASH_SLOT(tenant) (CRASH_FIRST_SLOT + (tenant) / 8)
#define CRASH_FUNCTION(tenant) ((tenant) % 8)

/* addr: SLOT.FUNCTION as QEMU has it, then what else the device needs. */
static void add_crash_memory(struct hs_argv *argv, const char *path, unsigned nr, const char *addr)
{
	hs_argv_add_pair(argv, "-object", "memory-backend-file,id=crash%u,mem-path=%s,size=%u,share=on", nr, path,
			 HS_CRASH_BYTES);
	hs_argv_add_pair(argv, "-device", "ivshmem-plain,memdev=crash%u,addr=%s", nr, addr);
}

static void add_own_crash_memory(struct hs_argv *argv, const char *dir, const char *machine, const char *addr)
{
	char path[512];

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s" HS_CRASH_SUFFIX, dir, machine);
	add_crash_memory(argv, path, 0, addr);
}

/* L1's devices for its L2s. */
static void add_l2_crash_memory(struct hs_argv *argv, const char *dir, unsigned pairs)
{
	for (unsigned tenant = 0; dir && tenant < pairs; tenant++) {
		char path[512], addr[48];

		snprintf(path, sizeof(path), "%s/%s" HS_CRASH_SUFFIX, dir, hs_pair_of(tenant).l2);
		snprintf(addr, sizeof(addr), "%x.%u%s", CRASH_SLOT(tenant), CRASH_FUNCTION(tenant),
			 CRASH_FUNCTION(tenant) ? "" : ",multifunction=on");
		add_crash_memory(argv, path, 1 + tenant, addr);
	}
}

static void add_log(struct hs_argv *argv, const char *events_file, const char *log_file)
{
	hs_argv_add_pair(argv, "-trace", "events=%s", events_file);
	hs_argv_add_pair(argv, "-D", "%s", log_file);
	hs_argv_add_words(argv, "-msg timestamp=on");
}

void hs_qemu_l1_argv(struct hs_argv *argv, const struct hs_qemu_l1 *l1)
{
	const struct hs_qemu_common *common = &l1->common;

	add_machine(argv, "l1", common->kvm ? "q35,kernel-irqchip=split" : "q35", common->memory_bytes);
	if (common->kvm)
		hs_argv_add_words(argv, "-accel kvm -cpu host");
	else
		hs_argv_add_words(argv, "-accel tcg,thread=multi -cpu max,+svm,+npt");
	hs_argv_add_pair(argv, "-smp", "%u", l1->cpus);
	hs_argv_add_words(argv, "-device intel-iommu,caching-mode=on");
	add_l1_share(argv, "usr", "/usr", 1);
	add_l1_share(argv, "boot", l1->boot_dir, 2);
	add_host_channels(argv, "l1", common, l1->pairs, common->crash_dir ? ",addr=3,multifunction=on" : ",addr=3");
	add_own_crash_memory(argv, common->crash_dir, "l1", L1_CRASH_ADDR);
	add_l2_crash_memory(argv, common->crash_dir, l1->pairs);
	for (unsigned tenant = 0; tenant < l1->pairs; tenant++) {
		struct hs_pair pair = hs_pair_of(tenant);

		hs_argv_add_pair(argv, "-netdev", "tap,id=net%u,ifname=%s,script=no,downscript=no", tenant,
				 pair.l2_tap);
		hs_argv_add_pair(argv, "-device", "%s,netdev=net%u,addr=%x,mac=%s,romfile=%s", l1->nic, tenant,
				 pair.slot, pair.l2_mac, strcmp(l1->nic, "e1000") == 0 ? E1000_OPTIONS : "");
	}
	if (l1->events_file)
		add_log(argv, l1->events_file, l1->log_file);
	hs_argv_add_pair(argv, "-kernel", "%s", common->kernel);
	hs_argv_add_pair(argv, "-initrd", "%s", common->initramfs);
	hs_argv_add_pair(argv, "-append", KERNEL_ARGS " intel_iommu=on hsbpf.role=l1 hsbpf.boots=%u%s",
			 common->kvm ? l1->cpus : 1,
			 common->crash_dir ? CRASH_ARGS L1_CRASH_ADDR : ""); /* see l1_can_be_tried() in lab.c */
}

void hs_qemu_l2_argv(struct hs_argv *argv, const struct hs_pair *pair, const struct hs_qemu_l2 *l2)
{
	unsigned cpus = l2->has_trace ? HS_L2_CPUS : 0;
	char agent[HS_NAME_SIZE + 16], name[2 * HS_NAME_SIZE + 16];

	/* Its threads carry its name: in L1's traces they tell whose they are. */
	snprintf(name, sizeof(name), "%s,process=%s", pair->l2, pair->l2);
	add_machine(argv, name, "q35", l2->memory_bytes);
	/*
	 * An L2's clock under TCG is now and then read as if L2 had started with L1: a deadline in it is minutes late,
	 * and an L2 that idles hangs. Timers that count down from now are right.
	 */
	hs_argv_add_pair(argv, "-cpu", "host%s", l2->under_tcg ? ",family=23,-tsc-deadline" : "");
	hs_argv_add_words(argv, "-accel kvm -serial stdio");
	add_serial_device(argv, 1 + trace_ports(cpus), "");
	add_trace_ports(argv, 2, "/run", pair->l2, cpus, false);
	snprintf(agent, sizeof(agent), "/run/%s.agent", pair->l2);
	add_agent_port(argv, agent);
	hs_argv_add_pair(argv, "-device", "vfio-pci,host=00:%02x.0,rombar=0", pair->slot);
	if (l2->has_crash) {
		char bar[64];

		snprintf(bar, sizeof(bar), "/sys/bus/pci/devices/0000:00:%x.%u/resource2", CRASH_SLOT(pair->tenant),
			 CRASH_FUNCTION(pair->tenant));
		add_crash_memory(argv, bar, 0, CRASH_ADDR);
	}
	hs_argv_add_pair(argv, "-kernel", "%s", l2->kernel);
	hs_argv_add_pair(argv, "-initrd", "%s", l2->initramfs);
	hs_argv_add_pair(argv, "-append", KERNEL_ARGS " hsbpf.role=l2 hsbpf.ip=%s/24%s", pair->l2_ip,
			 l2->has_crash ? CRASH_ARGS CRASH_ADDR : "");
}

/* A plain guest with one NIC on a tap. */
static void add_client(struct hs_argv *argv, const char *name, const struct hs_qemu_common *common, const char *tap,
		       const char *mac, const char *ip)
{
	add_machine(argv, name, "q35", common->memory_bytes);
	hs_argv_add_words(argv, common->kvm ? "-accel kvm -cpu host" : "-accel tcg -cpu max");
	add_host_channels(argv, name, common, 0, "");
	add_own_crash_memory(argv, common->crash_dir, name, CRASH_ADDR);
	hs_argv_add_pair(argv, "-netdev", "tap,id=net,ifname=%s,script=no,downscript=no", tap);
	hs_argv_add_pair(argv, "-device", "virtio-net-pci,netdev=net,romfile=,mac=%s", mac);
	hs_argv_add_pair(argv, "-kernel", "%s", common->kernel);
	hs_argv_add_pair(argv, "-initrd", "%s", common->initramfs);
	hs_argv_add_pair(argv, "-append", KERNEL_ARGS " hsbpf.role=client hsbpf.ip=%s/24%s", ip,
			 common->crash_dir ? CRASH_ARGS CRASH_ADDR : "");
}

void hs_qemu_client_argv(struct hs_argv *argv, const struct hs_pair *pair, const struct hs_qemu_common *common)
{
	add_client(argv, pair->client, common, pair->client_tap, pair->client_mac, pair->client_ip);
}

void hs_qemu_migrating_argv(struct hs_argv *argv, const struct hs_qemu_migrating *guest)
{
	add_client(argv, guest->name, &guest->common, guest->tap, guest->mac, guest->ip);
	hs_argv_add_pair(argv, "-smp", "%u", guest->cpus);
	add_log(argv, guest->events_file, guest->log_file);
	if (guest->incoming)
		hs_argv_add_words(argv, "-incoming defer");
}
