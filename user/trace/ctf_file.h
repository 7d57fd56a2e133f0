/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One stream file that is written: whole packets or nothing, so that it can be read at any time and after any end.
 * For the writers of traces; one file belongs to one thread.
 */
#ifndef HS_TRACE_CTF_FILE_H
#define HS_TRACE_CTF_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "trace/ctf.h"

struct hs_ctf_file {
	int dir_fd; /* borrowed */
	char name[24];
	int fd; /* -1 before the first packet */
	uint64_t bytes;
	uint64_t packets;
	bool is_deleted; /* by somebody who wants no more of it: nothing is made again */
};

/* Nothing is made yet. `prefix` and the CPU are the file's name. */
void hs_ctf_file_init(struct hs_ctf_file *file, int dir_fd, const char *prefix, uint32_t cpu);

/* Appends a packet, or leaves the file as it was: -errno without a message. */
int hs_ctf_file_put(struct hs_ctf_file *file, const void *packet, size_t bytes);

/*
 * Appends an empty packet that says 0 lost, with what `next` says otherwise, at start_ns if that is known (not 0):
 * viewers count losses between two packets, so a loss at the very begin needs one before it.
 */
int hs_ctf_file_put_first(struct hs_ctf_file *file, const struct hs_ctf_packet *next, uint64_t start_ns);

/* Whether somebody has deleted it since the last call: what was in it is gone. */
bool hs_ctf_file_was_deleted(struct hs_ctf_file *file);

void hs_ctf_file_close(struct hs_ctf_file *file);

#endif
