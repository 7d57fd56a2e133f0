/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM or TCG. That /dev/kvm opens says little: KVM is used only where a kernel was seen to boot under it.
 * The answer is cached by host kernel, guest kernel and QEMU.
 */
#ifndef HS_ORCHESTRATE_ACCEL_H
#define HS_ORCHESTRATE_ACCEL_H

#include <stdbool.h>

enum hs_accel { HS_ACCEL_AUTO, HS_ACCEL_KVM, HS_ACCEL_TCG };

struct hs_accel_answer {
	bool l1_kvm;	  /* L1, which must itself offer virtualization */
	bool client_kvm;
	char reason[256]; /* why not, or what was seen */
};

struct hs_accel_query {
	const char *cache_dir;
	const char *kernel;   /* image and release of the guests' kernel */
	const char *release;
	const char *initramfs; /* any whose init powers off when it gets no role: ours */
	const char *work_dir; /* for the probe's console */
};

/* With HS_ACCEL_KVM the answer is the user's, unprobed. 0 or -errno after a message. Blocks up to 30 s. */
int hs_accel_choose(enum hs_accel wish, const struct hs_accel_query *query, struct hs_accel_answer *answer);

#endif
