/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that are shipped with hsbpf: beside the build, or installed. Any thread. */
#ifndef HS_BASE_DATADIR_H
#define HS_BASE_DATADIR_H

/*
 * What a user names: a file is taken as it is; a bare name is the shipped NAME.SUFFIX, in `folder` of the source tree
 * that hsbpf was built in, or installed. An absolute path, malloc'd; NULL when there is none. No message.
 */
char *hs_datadir_find(const char *name, const char *folder, const char *suffix);

#endif
