/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files behind guests.h share; nobody else includes it. A guest has a link (the draining thread's), a queue,
 * and a store (the writing thread's). `lock` covers what both threads and the caller see: it is held by a callback of
 * the draining thread, and for moments by the others, never while anything is written.
 */
#ifndef HS_GUEST_INTERNAL_H
#define HS_GUEST_INTERNAL_H

#include <pthread.h>

#include "agent/wire.h"
#include "base/loop.h"
#include "guests.h"
#include "spool.h"
#include "counter.h"
#include "timeline/guest_clock.h"

#define HS_GUEST_TEXTS_BYTES (32u << 20) /* of formats and the like that one session may tell */
#define HS_GUEST_TEXTS_MAX 20000u
#define HS_GUEST_BURST_MAX 16u /* pings of one burst */
#define HS_GUEST_WORDS 200     /* of a guest's names and errors */

/* A format or header page, in the order in which they were told. */
struct hs_guest_text {
	struct hs_guest_text *next;
	uint64_t what; /* one bit of enum hs_wire_what */
	char *name, *bytes;
	size_t len;
	bool is_whole;
};

/* What the host lost of one CPU, and what its agent and ring say of it. */
struct hs_guest_cpu {
	uint64_t missing_frames; /* by their numbers: lost on the way */
	uint64_t dropped_bytes;	 /* that found no room in the queue */
	bool has_status;
	struct hs_wire_cpu_status status;
};

/* One START of one boot: becomes a folder of its own. Made by the draining thread, ended by the writing one. */
struct hs_guest_session {
	struct hs_guest_session *next;
	uint32_t number; /* the agent's; 0: the kernel's agent */
	unsigned part;	 /* 1, 2, ... of its guest */
	bool is_ready;	 /* everything that the store needs is here; it does not change any more */
	bool is_over;	 /* nothing more is put into the queue */
	bool is_written;
	const char *why_over; /* NULL: its STOP was answered */
	char boot_id[HS_GUEST_WORDS], kernel[HS_GUEST_WORDS], clock[HS_GUEST_WORDS];
	uint64_t sources, page_bytes;
	int64_t clock_offset_ns;
	uint64_t start_ns;			   /* guest's clock */
	struct hs_guest_text *texts, *newest_text; /* oldest first */
	size_t texts_bytes;
	unsigned texts_nr;
	json_object *not_recorded; /* rows of event and reason */
	struct hs_guest_cpu cpus[HS_GUEST_CPUS_MAX];
	struct hs_wire_bpf_counts *bpf_counts;
	size_t bpf_counts_nr;
	json_object *guest_clock; /* of its boot; when it is over */
	json_object *counts;	  /* the store's part of the document */
};

struct hs_guest_port {
	struct hs_guest *guest;
	unsigned cpu;
	bool is_control;
	int fds[2];
	struct hs_watch watch;
	struct hs_wire_decoder *decoder;
	/* of data, since the session's first frame */
	unsigned part;
	uint32_t number, next_seq;
	bool has_end;
	uint64_t missing_frames, dropped_bytes;
};

struct hs_guest_order {
	enum hs_wire_type type; /* 0: none is under way */
	uint32_t id;
	uint64_t deadline_ns;
};

struct hs_guest_store;

struct hs_guest {
	struct hs_guests *all;
	char name[64];
	bool is_kernel_agent;
	char *events;
	bool has_ftrace, has_bpf; /* among the events */
	char **filters;
	uint32_t buffer_kib;
	struct hs_guest_place *place;
	struct hs_spool *spool;
	struct hs_guest_store *store;

	/* under the lock */
	enum hs_guest_state state;
	char error[400];
	struct hs_guest_session *sessions; /* newest first */
	char boot_id[HS_GUEST_WORDS], kernel[HS_GUEST_WORDS], machine[HS_GUEST_WORDS];
	uint64_t agent_id, schema, sources, page_bytes;
	uint64_t stale_frames, bad_frames;
	struct hs_guest_clock clock; /* of this boot */
	struct hs_guest_counter counter;

	/* the draining thread's */
	struct hs_guest_port control, *data;
	bool is_open, is_greeted;
	struct hs_guest_order order;
	uint32_t last_id, control_seq;
	struct hs_wire_payload unsent;
	size_t unsent_at;
	unsigned pings_left, burst_nr;
	uint64_t ping_ns; /* when the one under way was sent: not what the guest says of it */
	struct hs_guest_sample burst[HS_GUEST_BURST_MAX];
	uint64_t burst_tscs[HS_GUEST_BURST_MAX];
	bool has_aligned, has_final_burst; /* bursts before START and before STOP */
	bool must_stop;			   /* a recording of a host that is gone is in the way */
	unsigned busy_answers;
	uint64_t next_try_ns, next_burst_ns, stop_deadline_ns;
};

struct hs_guests {
	char *trace_dir;
	uint64_t memory_bytes, disk_bytes;
	int news_fd, wake_fd;
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the writing thread */
	pthread_t drainer, writer;
	bool drainer_runs, writer_runs;
	/* under the lock */
	bool is_wanted, is_ending;
	uint64_t work_nr; /* counts up with every reason for the writing thread to look */
	struct hs_guest **list;
	unsigned count;

	struct hs_loop *loop; /* the draining thread's */
	struct hs_watch wake, tick;
};

/* What stands in front of the bytes in a queue. */
struct hs_guest_record {
	uint32_t type; /* HS_WIRE_PAGES or HS_WIRE_PACKET; 0: raw bytes of the kernel's agent */
	uint32_t cpu;
	uint32_t part, number; /* its session, and what the agent called that: it may call another boot's the same */
};

/* guests.c */
void hs_guest_set_state(struct hs_guest *guest, enum hs_guest_state state);
void hs_guest_set_error(struct hs_guest *guest, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* There is something to write. Lock held. */
void hs_guests_has_work(struct hs_guests *guests);
struct hs_guest_session *hs_guest_session_find(struct hs_guest *guest, unsigned part);
/* How many sessions there were. */
unsigned hs_guest_session_count(const struct hs_guest *guest);

/* link.c: all in the draining thread with the lock held. */
void hs_guest_link_advance(struct hs_guest *guest, uint64_t now_ns);
void hs_guest_link_close(struct hs_guest *guest);

/* session.c: all with the lock held. */
struct hs_guest_session *hs_guest_session_new(struct hs_guest *guest, uint32_t number);
void hs_guest_session_free(struct hs_guest_session *session);
/* Nothing more comes: why NULL when it ended as it should. */
void hs_guest_session_end(struct hs_guest *guest, struct hs_guest_session *session, const char *why);
/* Takes what a RESULT of START, or of STOP or STATUS, says. */
void hs_guest_session_note_start(struct hs_guest_session *session, const void *payload, size_t len);
void hs_guest_session_note_status(struct hs_guest_session *session, const void *payload, size_t len);
/* One part of a text. -EMSGSIZE: more than may be told; -EBADMSG. */
int hs_guest_session_note_text(struct hs_guest_session *session, const void *payload, size_t len);
json_object *hs_guest_session_document(struct hs_guest *guest, const struct hs_guest_session *session);

/* store.c: the writing thread, without the lock. True when there may be more to do at once. */
int hs_guest_store_open(struct hs_guest *guest, struct hs_guest_store **out);
bool hs_guest_store_work(struct hs_guest_store *store);
void hs_guest_store_free(struct hs_guest_store *store);

#endif
