/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol between hsbpf and the agent in each machine, over a virtio-serial port (or a socket pair):
 * frames of a 24-byte little-endian header and a payload. L1's init routes by `machine`: 0 is the machine at
 * the other end of the link, 1 + X is L2 machine X behind it. What a guest sends is not trusted: a wrong
 * magic or length ends the link.
 */
#ifndef HS_ORCHESTRATE_FRAME_H
#define HS_ORCHESTRATE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#define HS_FRAME_MAGIC 0x46425348u /* "HSBF" */
#define HS_FRAME_MAX_PAYLOAD (256u << 10)
#define HS_AGENT_PORT "org.hsbpf.agent.0"

enum hs_frame_type {
	HS_FRAME_STATE = 1, /* to host: value = enum hs_state; text */
	HS_FRAME_CONSOLE,   /* to host: bytes that an L2 machine wrote on its console */
	HS_FRAME_START, /* to L1: argv of an L2's QEMU, see hs_frame_pack_argv(); id = restarts allowed, value = its PCI
			   device */
	HS_FRAME_EXEC,	/* to machine: id = run number, value = TCP port to wait for or 0, argv */
	HS_FRAME_EXEC_IN,    /* to machine: id, bytes for stdin; empty payload: end of file */
	HS_FRAME_EXEC_KILL,  /* to machine: id; value = signal */
	HS_FRAME_EXEC_READY, /* to host: id; the port is being listened on */
	HS_FRAME_EXEC_OUT,   /* to host: id, bytes of stdout */
	HS_FRAME_EXEC_ERR,   /* to host: id, bytes of stderr */
	HS_FRAME_EXEC_EXIT,  /* to host: id, value = wait status; the run is over and its output complete */
	HS_FRAME_POKE,	     /* to L1: every CPU shall take an interrupt, see lab.c; and back: they have */
	/* Only on a lab's control socket (ctl.h), never from a guest: */
	HS_FRAME_STATUS, /* ask: what runs */
	HS_FRAME_TEST,	 /* ask: run the test; payload: JSON */
	HS_FRAME_DOWN,	 /* ask: take the lab down; answered by the end of the connection */
	HS_FRAME_REPLY,	 /* value = exit code; payload: JSON */
	HS_FRAME_TYPE_NR,
};

/* What a machine says of itself, in the order it happens. */
enum hs_state {
	HS_STATE_OFF,	    /* not started, or its process has ended */
	HS_STATE_STARTED,   /* its process runs */
	HS_STATE_BOOTED,    /* its init runs */
	HS_STATE_NET_UP,    /* its NIC has an address and a link */
	HS_STATE_READY,	    /* takes orders */
	HS_STATE_RESTARTED, /* died while booting and was started again; the text says why */
	HS_STATE_FAILED,    /* gave up; the text says why */
	HS_STATE_NR,
};

const char *hs_state_name(enum hs_state state);

struct hs_frame {
	uint32_t magic;
	uint32_t len; /* of the payload, at most HS_FRAME_MAX_PAYLOAD */
	uint16_t type;
	uint16_t machine;
	uint32_t id;
	uint32_t value;
	uint32_t reserved;
};

struct hs_link;

/* payload is valid during the call; NUL-terminated one byte past len. The callback may close the link. */
typedef void (*hs_link_on_frame)(void *ctx, const struct hs_frame *frame, const char *payload);
/* The other end is gone, or sent nonsense (reason says so). The link stays until it is freed. */
typedef void (*hs_link_on_close)(void *ctx, const char *reason);

/* Takes fd (made non-blocking). */
int hs_link_open(struct hs_loop *loop, int fd, hs_link_on_frame on_frame, hs_link_on_close on_close, void *ctx,
		 struct hs_link **out);
void hs_link_free(struct hs_link *link);

/* Queues a frame (header's magic and len are filled in). -ENOMEM, -EPIPE on a closed link, -EMSGSIZE. */
int hs_link_send(struct hs_link *link, struct hs_frame frame, const void *payload, size_t len);
/* Blocks until no more than `bytes` are queued: back pressure for senders of bulk data. */
void hs_link_wait_below(struct hs_link *link, size_t bytes);

/* argv as NUL-terminated strings one after the other. Packing returns the length, or -E2BIG. */
int hs_frame_pack_argv(char *buf, size_t size, char *const *argv);
/* Splits such a payload in place: malloc'd vector of pointers into it, NULL-terminated; NULL if malformed. */
char **hs_frame_unpack_argv(const char *payload, size_t len);

#endif
