/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel that guests boot: the user's, one fetched before, the host's, or Debian's fetched now. Found
 * once per run, before anything is started. Two runs may look and fetch at the same time.
 */
#ifndef HS_ORCHESTRATE_KERNEL_H
#define HS_ORCHESTRATE_KERNEL_H

#include "base/scoped.h"

struct hs_guest_kernel_config {
	const char *kernel; /* a vmlinuz, or a folder with an unpacked kernel package; NULL: find one */
	const char *cache_dir; /* NULL: $HSBPF_CACHE, else /var/cache/hsbpf */
	const char *host_root; /* where /boot and /lib/modules are looked for; NULL: "/" */
	const char *const *needed; /* modules that it must have, NULL at the end; NULL: none */
};

/* All paths are absolute. */
struct hs_guest_kernel {
	char *release; /* "6.1.0-56-amd64" */
	char *image; /* for qemu -kernel: an ELF with the PVH entry; the bzImage where there is none */
	char *bzimage;
	char *modules_dir; /* modules_dir/lib/modules/<release> exists, depmod has been run */
};

/*
 * Takes 10 ms, and some 10 s when Debian's kernel (70 MB to fetch, 400 MB on disk) has to be fetched first.
 * Nothing is installed on the host. -ENOENT when there is none to be had; failures have been told.
 */
int hs_guest_kernel_find(const struct hs_guest_kernel_config *config, struct hs_guest_kernel **out);
void hs_guest_kernel_free(struct hs_guest_kernel *kernel);

/* The cache folder: `given`, else $HSBPF_CACHE, else /var/cache/hsbpf. Not created here. */
const char *hs_cache_dir(const char *given);

HS_SCOPED(guest_kernel, struct hs_guest_kernel *, hs_guest_kernel_free)

#endif
