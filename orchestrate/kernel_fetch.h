/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Debian's kernel package, fetched and unpacked into the cache, and nothing installed. Called by kernel.c;
 * several processes may call it at once, one of them fetches and the others wait.
 */
#ifndef HS_ORCHESTRATE_KERNEL_FETCH_H
#define HS_ORCHESTRATE_KERNEL_FETCH_H

/*
 * Makes kernels_dir/<release>, whole or not at all: boot/vmlinuz-<release>, lib/modules/<release> with
 * depmod's files, boot/vmlinux-<release> (hs_vmlinux_image_write; missing when -ENOTSUP). The caller frees
 * *release. -ENOENT when apt does not give one, or its kernel lacks a module of `needed`; told in any case.
 */
int hs_kernel_fetch(const char *kernels_dir, const char *const *needed, char **release);

/* Writes depmod's files for modules_dir/lib/modules/<release>. A failure has been told. */
int hs_kernel_depmod(const char *modules_dir, const char *release);

/*
 * root, or root/usr where that holds lib/modules/<release>: packages of a merged /usr. NULL when neither
 * does. The caller frees it.
 */
char *hs_kernel_modules_dir(const char *root, const char *release);

/* mkdir -p. A failure has been told. */
int hs_kernel_folder_make(const char *path);

#endif
