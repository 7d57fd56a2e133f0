/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Builds a guest's initramfs on the spot: cpio "newc", not packed, since a guest under TCG unpacks slower
 * than it copies. The same calls with the same files give the same bytes. One builder per thread.
 */
#ifndef HS_ORCHESTRATE_INITRAMFS_H
#define HS_ORCHESTRATE_INITRAMFS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/scoped.h"

/* Where _add_modules puts the modules: NNN-name.ko, to be loaded in the order of their file names. */
#define HS_INITRAMFS_MODULES_DIR "/lib/modules-ordered"

struct hs_initramfs;

/* Writes beside out_path; out_path itself appears, whole and readable by the owner only, in _close(). */
int hs_initramfs_open(const char *out_path, struct hs_initramfs **out);

/*
 * Paths are the guest's; missing parents are made as folders of mode 0755. Adding the same thing twice
 * does nothing; something else at a path that is taken is -EEXIST. Failures have been told. After a
 * failure the builder takes nothing more, and _close() returns that failure.
 */
int hs_initramfs_add_dir(struct hs_initramfs *ramfs, const char *path, mode_t mode);
int hs_initramfs_add_file(struct hs_initramfs *ramfs, const char *path, const char *source_path, mode_t mode);
int hs_initramfs_add_bytes(struct hs_initramfs *ramfs, const char *path, const void *bytes, size_t len,
			   mode_t mode);
int hs_initramfs_add_symlink(struct hs_initramfs *ramfs, const char *path, const char *target);
/* A character device. */
int hs_initramfs_add_node(struct hs_initramfs *ramfs, const char *path, mode_t mode, unsigned int major,
			  unsigned int minor);

/* A program of this machine with its interpreter and libraries, at the same path in the guest. */
int hs_initramfs_add_program(struct hs_initramfs *ramfs, const char *program_path);

/*
 * The modules and what they need (hs_modules_closure), unpacked, in HS_INITRAMFS_MODULES_DIR. Can be called
 * again: numbers go on, a module that is there already is left out.
 */
int hs_initramfs_add_modules(struct hs_initramfs *ramfs, const char *modules_dir, const char *release,
			     const char *const *names);

/* Finishes the archive and gives it its name. The builder can only be freed afterwards. */
int hs_initramfs_close(struct hs_initramfs *ramfs);

/* Without _close(): abandons the archive and removes what was written. */
void hs_initramfs_free(struct hs_initramfs *ramfs);

HS_SCOPED(initramfs, struct hs_initramfs *, hs_initramfs_free)

#endif
