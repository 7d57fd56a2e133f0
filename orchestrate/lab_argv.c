// SPDX-License-Identifier: GPL-2.0-only
/* The command lines of a lab's machines, from its config and what it found: what is run and what a dry run prints. */
#include <unistd.h>

#include "lab_internal.h"
#include "ports.h"
#include "qemu.h"

/* Under TCG one: QEMU's threads for several do not always see each other's patched code, see l1_can_be_tried(). */
static unsigned l1_cpus(const struct hs_lab *lab)
{
	long cpus = lab->accel.l1_kvm ? sysconf(_SC_NPROCESSORS_ONLN) : 1;

	return lab->config.l1_cpus ?: cpus > 0 ? (unsigned)cpus : 1;
}

static struct hs_qemu_common common_of(const struct hs_lab *lab, const struct hs_machine *machine)
{
	bool is_l1 = machine->kind == HS_MACHINE_L1;

	return (struct hs_qemu_common){
		.kvm = is_l1 ? lab->accel.l1_kvm : lab->accel.client_kvm,
		.kernel = lab->images ? lab->images->kernel : "KERNEL",
		.initramfs = !lab->images ? (is_l1 ? "l1.cpio" : "client.cpio")
			     : is_l1	  ? lab->images->l1
					  : lab->images->client,
		.run_dir = lab->dir ? hs_labdir_path(lab->dir) : HS_LAB_ROOT "/LAB",
		.console = machine->console_path,
		.memory_bytes = is_l1 ? lab->memory.l1_bytes : lab->memory.client_bytes,
		.crash_dir = lab->config.crash_dir,
		.trace_cpus = !lab->config.guest_trace ? 0
			      : is_l1		       ? l1_cpus(lab)
						       : HS_CLIENT_CPUS,
	};
}

void hs_lab_l1_argv(const struct hs_lab *lab, struct hs_argv *argv)
{
	struct hs_qemu_l1 l1 = { .common = common_of(lab, &lab->machines[0]),
				 .pairs = lab->config.pairs,
				 .cpus = l1_cpus(lab),
				 .nic = lab->config.nic,
				 .boot_dir = lab->images ? lab->images->boot_dir : "BOOT_DIR",
				 .events_file = lab->config.events_file,
				 .log_file = lab->config.log_file };

	hs_qemu_l1_argv(argv, &l1);
}

void hs_lab_client_argv(const struct hs_lab *lab, const struct hs_machine *machine, struct hs_argv *argv)
{
	struct hs_qemu_common common = common_of(lab, machine);
	struct hs_pair pair = hs_pair_of(machine->tenant);

	hs_qemu_client_argv(argv, &pair, &common);
}

void hs_lab_l2_argv(const struct hs_lab *lab, unsigned tenant, struct hs_argv *argv)
{
	struct hs_pair pair = hs_pair_of(tenant);

	struct hs_qemu_l2 l2 = { .kernel = "/boot/kernel",
				 .initramfs = "/boot/l2.cpio",
				 .memory_bytes = lab->memory.l2_bytes,
				 .under_tcg = !lab->accel.l1_kvm,
				 .has_trace = lab->config.guest_trace,
				 .has_crash = lab->config.crash_dir };

	hs_qemu_l2_argv(argv, &pair, &l2);
}
