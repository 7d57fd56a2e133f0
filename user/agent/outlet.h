/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes into a port: one frame at a time, or raw pages without frames, as far as the port takes it. Ring pages pass
 * through a pipe and are never in user space. Belongs to one thread (a mover's); only the counts are read by others.
 */
#ifndef HS_AGENT_OUTLET_H
#define HS_AGENT_OUTLET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/wire.h"

struct hs_outlet {
	int fd, epoll_fd; /* -1: no port; epoll tells of it with data.u32 = epoll_tag */
	int err;	  /* why a write ended the last port; 0: none did */
	uint32_t epoll_tag;
	bool is_blocked; /* takes nothing until epoll says so */
	bool is_socket;
	pthread_mutex_t *turns; /* of movers that share the output, or NULL */
	bool has_turn;
	int pipe[2];
	size_t pipe_bytes;

	bool framed;
	uint16_t cpu;
	uint32_t session, seq, page_bytes;

	/* Under way. */
	struct hs_wire_frame header;
	size_t header_left, len, left;
	uint16_t type;
	const uint8_t *bytes; /* NULL: it is in the pipe */
	void *owned;	      /* freed when the frame is over */

	struct hs_wire_cpu_status counts; /* only what is sent and dropped */
};

/* 0 or -errno (said). turns and epoll_fd stay the caller's. */
int hs_outlet_open(struct hs_outlet *outlet, uint32_t cpu, size_t pipe_bytes, int epoll_fd, uint32_t epoll_tag);
void hs_outlet_close(struct hs_outlet *outlet);

/* Takes fd and closes the old port; what was under way is dropped. */
void hs_outlet_set_port(struct hs_outlet *outlet, int fd);
/* Counts begin at 0. */
void hs_outlet_reset(struct hs_outlet *outlet, bool framed, uint32_t session, uint32_t page_bytes);

static inline bool hs_outlet_is_open(const struct hs_outlet *outlet)
{
	return outlet->fd >= 0;
}

static inline bool hs_outlet_is_ready(const struct hs_outlet *outlet)
{
	return outlet->fd >= 0 && !outlet->is_blocked;
}

/* A frame is under way: push it before the next one begins. */
static inline bool hs_outlet_is_busy(const struct hs_outlet *outlet)
{
	return outlet->header_left || outlet->left;
}

/* Whole pages of the ring into the pipe: bytes, or -errno. */
ssize_t hs_outlet_splice_in(struct hs_outlet *outlet, int ring_fd);
/* A frame of what the pipe has now. */
void hs_outlet_begin_pages(struct hs_outlet *outlet, size_t len);
/* A frame of bytes that stay until it is over; `owned` is freed then. */
void hs_outlet_begin_bytes(struct hs_outlet *outlet, enum hs_wire_type type, const void *bytes, size_t len,
			   void *owned);

/* Writes on. True when something happened; false when the port takes nothing now. A port that is gone is closed. */
bool hs_outlet_push(struct hs_outlet *outlet);
/* What epoll said of the port. */
void hs_outlet_on_event(struct hs_outlet *outlet, uint32_t events);
/* Gives up what is under way, counted. */
void hs_outlet_drop(struct hs_outlet *outlet);
/* Counts a payload that never got under way. */
void hs_outlet_count_dropped(struct hs_outlet *outlet, enum hs_wire_type type, size_t len);

/* Any thread: fills what is sent and dropped. */
void hs_outlet_counts(const struct hs_outlet *outlet, struct hs_wire_cpu_status *status);

#endif
