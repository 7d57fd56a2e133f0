/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which module files a guest must load, in which order, and their bytes as finit_module wants them. Any
 * kernel's modules can be asked about, the running one plays no part. Called by initramfs.c and kernel.c.
 */
#ifndef HS_ORCHESTRATE_MODULES_H
#define HS_ORCHESTRATE_MODULES_H

#include <stddef.h>

#include "bytes.h"

struct hs_module_file {
	char *name; /* as lsmod shows it: "kvm_amd" */
	char *path; /* .ko, perhaps packed: .ko.xz and so on */
};

struct hs_module_files {
	struct hs_module_file *file; /* in an order in which they can be loaded one by one */
	size_t nr;
};

/*
 * `names` (NULL at the end; names or aliases, - and _ alike) with all that they depend on and their soft
 * dependencies, each file once, from modules_dir/lib/modules/<release>. What is built into the kernel
 * is left out; a soft dependency that the kernel does not have, too. The host's modprobe.d is not read.
 * -ENOENT: the kernel lacks a module, -EBADMSG: depmod's files are damaged or missing; told in any case.
 */
int hs_modules_closure(const char *modules_dir, const char *release, const char *const *names,
		       struct hs_module_files **out);

/* Room for the reason that hs_modules_check() gives. */
#define HS_MODULES_WHY_BYTES 1024

/* The same question without the answer: returns what hs_modules_closure() would, and the reason instead of
 * telling it. */
int hs_modules_check(const char *modules_dir, const char *release, const char *const *names,
		     char why[HS_MODULES_WHY_BYTES]);
void hs_module_files_free(struct hs_module_files *files);

/* The module as plain ELF, unpacked where needed. A failure has been told. */
int hs_module_read(const char *path, struct hs_bytes *out);

#endif
