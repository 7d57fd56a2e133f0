/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One stream file that is written: whole packets or nothing, so that it can be read at any time and after any end.
 * For the writers of traces; one file belongs to one thread.
 */
#ifndef HS_TRACE_CTF_FILE_H
#define HS_TRACE_CTF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/ctf.h"

/* Where packets go instead of files. Called by the writer's thread. */
struct hs_ctf_output {
	/* Takes a copy of a packet, header first; each one whole. 0, or -errno: its records count as disk_lost. */
	int (*put)(void *ctx, uint32_t cpu, const void *packet, size_t bytes);
	/* For captures: whether a packet of that CPU is welcome, else its records wait in their ring. NULL: always. */
	bool (*is_ready)(void *ctx, uint32_t cpu);
	void *ctx;
};

struct hs_ctf_file {
	int dir_fd;			    /* borrowed */
	const struct hs_ctf_output *output; /* NULL: a file. Set it after hs_ctf_file_init() */
	uint32_t cpu;
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
