/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Are depmod's binary indexes sound? libkmod follows their offsets unchecked, so that a file truncated by a
 * full disk ends the program with SIGSEGV. Called by modules.c before libkmod sees a folder.
 */
#ifndef HS_ORCHESTRATE_KMOD_INDEX_H
#define HS_ORCHESTRATE_KMOD_INDEX_H

/* 0 when every node of the index lies inside the file; -EBADMSG, silently, when not. */
int hs_kmod_index_check(const char *path);

#endif
