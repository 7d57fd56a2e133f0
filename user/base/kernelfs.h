/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * File systems of the kernel's (tracefs, debugfs, pstore) through a mount that is there, or through a detached one that
 * dies with its descriptor: nothing appears in anybody's mount table.
 */
#ifndef HS_BASE_KERNELFS_H
#define HS_BASE_KERNELFS_H

/* Its top folder: path if a file system of that magic number is mounted there. -errno without a message. */
int hs_kernelfs_open(const char *path, const char *type, long magic);

#endif
