/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a bzImage to an ELF that QEMU boots through its PVH entry: the kernel is not unpacked by the guest,
 * which saves 2.5 s of every start under TCG. Called by kernel.c and kernel_fetch.c. No state.
 */
#ifndef HS_ORCHESTRATE_VMLINUX_IMAGE_H
#define HS_ORCHESTRATE_VMLINUX_IMAGE_H

/* "6.1.0-56-amd64" out of the kernel's setup header. The caller frees *release. Failures have been told. */
int hs_bzimage_release(const char *bzimage, char **release);

/*
 * Writes what the kernel in `bzimage` loads, and nothing else, to out_path, which appears only when whole.
 * -ENOTSUP when that cannot be had from this kernel (told as information): boot the bzImage then. Any
 * other error has been told as such.
 */
int hs_vmlinux_image_write(const char *bzimage, const char *out_path);

#endif
