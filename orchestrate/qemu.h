/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's command lines for the kinds of machine. Pure: what is printed in a dry run is what runs. */
#ifndef HS_ORCHESTRATE_QEMU_H
#define HS_ORCHESTRATE_QEMU_H

#include <stdbool.h>

#include "base/argv.h"
#include "topology.h"

#define HS_QEMU "qemu-system-x86_64"

struct hs_qemu_common {
	bool kvm;	       /* accelerator; false: TCG */
	const char *kernel;    /* image for -kernel */
	const char *initramfs; /* of this machine */
	const char *run_dir;   /* holds MACHINE.agent and MACHINE.qmp, sockets that we listen on */
	const char *console;   /* file for the serial console */
	uint64_t memory_bytes;
	unsigned trace_cpus;   /* trace ports: sockets RUN_DIR/MACHINE.PORT that QEMU listens on (ports.h); 0: none */
	const char *crash_dir; /* holds MACHINE.ramoops, its crash memory (crash.h); NULL: none */
};

struct hs_qemu_l1 {
	struct hs_qemu_common common;
	unsigned pairs, cpus;
	const char *nic;	 /* device model: "e1000" or "e1000e" */
	const char *boot_dir;	 /* shared with L1 as /boot, read-only */
	const char *events_file; /* QEMU trace events, or NULL: no log */
	const char *log_file;
};

void hs_qemu_l1_argv(struct hs_argv *argv, const struct hs_qemu_l1 *l1);
/* An L2's command line inside L1 (which may run under TCG): paths are L1's, the console is stdout. */
struct hs_qemu_l2 {
	const char *kernel, *initramfs;
	uint64_t memory_bytes;
	bool under_tcg, has_trace; /* has_trace: trace ports, sockets /run/MACHINE.PORT in L1 */
	bool has_crash;		   /* crash memory: L1's device for it, passed on */
};

void hs_qemu_l2_argv(struct hs_argv *argv, const struct hs_pair *pair, const struct hs_qemu_l2 *l2);
void hs_qemu_client_argv(struct hs_argv *argv, const struct hs_pair *pair, const struct hs_qemu_common *common);

/* A guest that migrates: the same machine at both ends. */
struct hs_qemu_migrating {
	struct hs_qemu_common common;
	const char *name; /* of the process, its sockets and its end of the migration */
	const char *tap, *mac, *ip;
	unsigned cpus;
	bool incoming;		 /* waits for migrate-incoming instead of booting */
	const char *events_file; /* QEMU trace events */
	const char *log_file;
};
void hs_qemu_migrating_argv(struct hs_argv *argv, const struct hs_qemu_migrating *guest);

#endif
