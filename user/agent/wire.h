/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol between the agent in a guest and the host, over one control port (agent-ctl-path) and one data port per
 * CPU (trace-path-cpu<N>), and one for the kernel's log (agent-log-path), which another process on the host may hold:
 * frames of a 32-byte little-endian header and a payload. The host gives orders, the agent
 * answers each; it never speaks first on the control port, so that a host that knows only the kernel agent's `1` and
 * `0` is not bothered. Data ports carry frames only while a START of this protocol is in force, raw pages otherwise.
 *
 * How a session goes: HELLO (who are you) - START - FORMATS (ALL but symbols early, symbols when there is time), PING
 * in bursts, STATUS - STOP. The answer to STOP comes when every CPU's END is sent or was given up. Frames carry
 * `session`, which START's answer tells: what is left of an older one in a port is thrown away. When an agent is
 * restarted PONG and every RESULT have another agent_id: begin with HELLO again; after a reboot boot_id is another one
 * too, and the guest's clocks began again.
 *
 * Nothing that comes out of a port is trusted. Decoders belong to one thread each.
 */
#ifndef HS_AGENT_WIRE_H
#define HS_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"

#define HS_WIRE_VERSION 1
#define HS_WIRE_MAGIC 0x46575348u /* "HSWF" */
#define HS_WIRE_PAYLOAD_MAX (1u << 20)
#define HS_WIRE_CPU_MAX 4096 /* CPU numbers are below */

#define HS_WIRE_CONTROL_PORT "agent-ctl-path"
#define HS_WIRE_DATA_PORT "trace-path-cpu%u"
#define HS_WIRE_LOG_PORT "agent-log-path" /* PING and LOG alone, so that a log needs nobody who records */

enum hs_wire_type {
	/* Orders. Payload: fields, see hs_wire_put(); of PING struct hs_wire_ping. */
	HS_WIRE_HELLO = 1, /* nothing */
	HS_WIRE_FORMATS,   /* WHAT */
	HS_WIRE_START,	   /* SOURCES, EVENT..., FILTER..., BPF_EVENT..., BUFFER_KIB, CLOCK: all may be left out */
	HS_WIRE_STOP,
	HS_WIRE_STATUS,
	HS_WIRE_PING,
	HS_WIRE_LOG, /* nothing; on the log's port: the kernel's log from its oldest record on, and live */

	/* Answers on the control port; `id` is the order's. Each order ends with one RESULT or PONG. */
	HS_WIRE_RESULT = 64, /* AGENT_ID, ERROR (0: done), TEXT when there is something to say, and, after
			      * HELLO: VERSION, BOOT_ID, MACHINE, KERNEL, CPUS, PORTS, PAGE_BYTES, CLOCKS, SCHEMA,
			      *        SOURCES, BOOT_NS, REAL_NS
			      * START: SESSION, CLOCK, BOOT_NS and REAL_NS when it began, MISSING..., CPUS, PAGE_BYTES
			      * STATUS and STOP: SESSION (0: none), CPU_STATUS... of its CPUs, and with a BPF
			      *        recording BPF_COUNTS...
			      * LOG: BOOT_ID */
	HS_WIRE_TEXT, /* before FORMATS' RESULT: WHAT (one bit), NAME, OFFSET, BYTES, LAST on the last part of a text */
	HS_WIRE_PONG, /* struct hs_wire_pong */
	HS_WIRE_RECORDS, /* after LOG's RESULT, again and again: LOG_CLOCK, LOG_RECORD... */

	/* On data ports; `cpu` says whose, `session` which run's. */
	HS_WIRE_PAGES = 128, /* whole ftrace ring pages, as trace_pipe_raw gives them; payload_crc is 0 */
	HS_WIRE_PACKET,	     /* one CTF packet (struct hs_ctf_packet and records) of the BPF recording */
	HS_WIRE_END,	     /* struct hs_wire_cpu_status; nothing follows in this session */
};

struct hs_wire_frame {
	uint32_t magic;
	uint32_t len; /* of the payload */
	uint16_t type;
	uint16_t cpu;	      /* of data */
	uint32_t seq;	      /* counts the frames of this port, direction and session; a gap is a loss */
	uint32_t id;	      /* of an order, chosen by the host */
	uint32_t session;     /* of data; 0 in orders and answers */
	uint32_t payload_crc; /* CRC-32 (zlib's) */
	uint32_t header_crc;  /* of the bytes before */
};

/* ---- payloads that are structs ---- */

struct hs_wire_ping {
	uint64_t host_ns; /* the host's CLOCK_BOOTTIME, as late before the write as can be */
};

struct hs_wire_pong {
	uint64_t host_ns;	/* from the ping */
	uint64_t guest_recv_ns; /* the guest's CLOCK_BOOTTIME when it had read the ping */
	uint64_t guest_send_ns; /* and just before it wrote this */
	uint64_t guest_real_ns; /* CLOCK_REALTIME between the two */
	uint64_t guest_tsc;	/* time stamp counter there, 0 where there is none */
	uint64_t agent_id;
};

/* Of one CPU since START. After STOP what left the ring is sent or counted here: events_read tells of both. */
struct hs_wire_cpu_status {
	uint32_t cpu;
	uint32_t flags; /* HS_WIRE_CPU_... */
	uint64_t sent_pages, sent_packets, sent_bytes;
	uint64_t dropped_pages, dropped_bytes; /* left the ring and did not reach the port */
	uint64_t dropped_packets;	       /* of the BPF recording, the same */
	/* The ring's own: per_cpu/cpuN/stats. Produced: entries + overrun + dropped_events + read. */
	uint64_t ring_entries, ring_overrun, ring_commit_overrun, ring_dropped_events, ring_read;
	uint64_t bpf_ring_lost; /* records that found no room in the BPF ring */
};

enum hs_wire_cpu_flag {
	HS_WIRE_CPU_PORT = 1,	 /* its data port is open */
	HS_WIRE_CPU_BLOCKED = 2, /* and takes nothing at the moment: the host does not read */
	HS_WIRE_CPU_RING = 4,	 /* the ring's numbers are there */
};

/* Of one event of the BPF recording. */
struct hs_wire_bpf_counts {
	uint32_t event_id;
	uint32_t unused;
	uint64_t recorded; /* in packets made; what did not come is in dropped_packets of the CPUs, and seq has a gap */
	uint64_t ring_lost, disk_lost, missed;
};

/* The clock of the kernel's log, looked at between two looks at CLOCK_BOOTTIME. */
struct hs_wire_log_clock {
	uint64_t before_ns, log_ns, after_ns;
};

/* ---- payloads that are fields: {u16 key, u16 zero, u32 bytes, the bytes, zeros up to 8} in any order ---- */

enum hs_wire_key {
	HS_WIRE_VERSION_KEY = 1, /* number: HS_WIRE_VERSION */
	HS_WIRE_AGENT_ID,	 /* number, random, of this process */
	HS_WIRE_ERROR,		 /* number: errno, positive */
	HS_WIRE_TEXT_KEY,	 /* text: what happened, for people */
	HS_WIRE_BOOT_ID,	 /* text: /proc/sys/kernel/random/boot_id */
	HS_WIRE_MACHINE,	 /* text: host name */
	HS_WIRE_KERNEL,		 /* text: uname -r */
	HS_WIRE_CPUS,		 /* text: those that are online, "0-3" */
	HS_WIRE_PORTS,		 /* text: CPUs whose data port is open, "" none */
	HS_WIRE_PAGE_BYTES,	 /* number: of a ring page */
	HS_WIRE_CLOCKS,		 /* text: trace_clock's choices, "local boot ..." */
	HS_WIRE_CLOCK,	/* text: trace_clock to use, or that is used. The agent's choice: boot, else mono, else local */
	HS_WIRE_SCHEMA, /* number: HS_EVENTS_SCHEMA of its BPF recording */
	HS_WIRE_SOURCES,    /* number: HS_WIRE_SOURCE_... bits */
	HS_WIRE_BOOT_NS,    /* number: CLOCK_BOOTTIME */
	HS_WIRE_REAL_NS,    /* number: CLOCK_REALTIME at the same moment */
	HS_WIRE_WHAT,	    /* number: HS_WIRE_WHAT_... bits */
	HS_WIRE_NAME,	    /* text: "sched/sched_switch" of a format */
	HS_WIRE_OFFSET,	    /* number: where in the text BYTES belongs */
	HS_WIRE_BYTES,	    /* bytes */
	HS_WIRE_LAST,	    /* number: 1 */
	HS_WIRE_EVENT,	    /* text: "sched:sched_switch", "kvm:*" or "kvm:kvm_e*"; repeated */
	HS_WIRE_FILTER,	    /* text: "sched:sched_switch prev_pid != 0": event, blank, the kernel's filter; repeated */
	HS_WIRE_BPF_EVENT,  /* text: event, glob or profile of `hsbpf events`; repeated; none: the profile kvm */
	HS_WIRE_BUFFER_KIB, /* number: ring of each CPU */
	HS_WIRE_SESSION,    /* number */
	HS_WIRE_MISSING,    /* text: an event that cannot be had, ": ", why not; repeated */
	HS_WIRE_CPU_STATUS, /* struct hs_wire_cpu_status; repeated */
	HS_WIRE_BPF_COUNTS, /* struct hs_wire_bpf_counts; repeated */
	HS_WIRE_LOG_CLOCK,  /* struct hs_wire_log_clock */
	HS_WIRE_LOG_RECORD, /* bytes of one read of /dev/kmsg; repeated */
};

enum hs_wire_source { HS_WIRE_SOURCE_FTRACE = 1, HS_WIRE_SOURCE_BPF = 2 };

enum hs_wire_what {
	HS_WIRE_WHAT_HEADER_PAGE = 1,	 /* events/header_page */
	HS_WIRE_WHAT_FORMATS = 2,	 /* events/SYSTEM/EVENT/format of those that are on */
	HS_WIRE_WHAT_KALLSYMS = 4,	 /* /proc/kallsyms; large */
	HS_WIRE_WHAT_PRINTK_FORMATS = 8, /* printk_formats */
	HS_WIRE_WHAT_CMDLINES = 16,	 /* saved_cmdlines: names of threads */
};

/* ---- writing ---- */

/* Fills magic, len and the checksums. payload may be NULL for PAGES, whose bytes nobody here has seen. */
void hs_wire_seal(struct hs_wire_frame *frame, const void *payload, size_t len);

/* Fields of a payload that grows. = {} is an empty one; err is kept (-ENOMEM, -EMSGSIZE): check it once, at the end. */
struct hs_wire_payload {
	uint8_t *bytes;
	size_t len, size;
	int err;
};

void hs_wire_put(struct hs_wire_payload *payload, enum hs_wire_key key, const void *bytes, size_t len);
void hs_wire_put_number(struct hs_wire_payload *payload, enum hs_wire_key key, uint64_t number);
void hs_wire_put_text(struct hs_wire_payload *payload, enum hs_wire_key key, const char *text);
void hs_wire_payload_clear(struct hs_wire_payload *payload);

/* scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 }; */
static inline void hs_wire_payload_scoped(struct hs_wire_payload *payload)
{
	hs_wire_payload_clear(payload);
}

/* ---- reading ---- */

struct hs_wire_field {
	uint16_t key;
	uint32_t len;
	const void *bytes; /* in the payload, 8-aligned where that is */
};

/* The field at *at, which moves on; start with 0. 1; 0 at the end; -EBADMSG: not fields. Unknown keys: skip them. */
int hs_wire_next_field(const void *payload, size_t len, size_t *at, struct hs_wire_field *field);

/* -EBADMSG: it is none. A text is malloc'd and has no control characters (they become '?') and no NUL inside. */
int hs_wire_field_number(const struct hs_wire_field *field, uint64_t *number);
int hs_wire_field_text(const struct hs_wire_field *field, char **text);
/* Copies it; another length than `bytes` is -EBADMSG. */
int hs_wire_field_struct(const struct hs_wire_field *field, void *out, size_t bytes);

/* The first field of that key; -ENOENT. */
int hs_wire_find(const void *payload, size_t len, enum hs_wire_key key, struct hs_wire_field *field);
/* 0 when there is none or it is no number. */
uint64_t hs_wire_find_number(const void *payload, size_t len, enum hs_wire_key key);

/*
 * Bytes into frames. What is no frame is skipped and counted, up to the next header whose checksum is right: after a
 * reconnection the first bytes may be the rest of a frame. PAGES has no checksum of its own: it is handed out once
 * the header behind it is seen, or by hs_wire_decoder_finish(); without one it is torn, and searched for headers. So is
 * a frame in whose payload one of another session begins: an agent was killed while it wrote, and the next one writes.
 */
struct hs_wire_decoder;

struct hs_wire_decoder_counts {
	uint64_t frames;
	uint64_t skipped_bytes; /* that belong to no frame, torn ones included */
	uint64_t torn;		/* frames that were cut short or changed */
};

/* Gets what is skipped, in order, in pieces; for the agent, to which bytes outside frames are the kernel's orders. */
typedef void (*hs_wire_on_skipped)(void *ctx, const void *bytes, size_t len);

/* on_skipped may be NULL. 0 or -ENOMEM. */
int hs_wire_decoder_open(hs_wire_on_skipped on_skipped, void *ctx, struct hs_wire_decoder **out);
/* Where the next bytes go, and for how many there is room, 1 at least once hs_wire_decoder_next() said 0. */
void *hs_wire_decoder_room(struct hs_wire_decoder *decoder, size_t *bytes);
void hs_wire_decoder_added(struct hs_wire_decoder *decoder, size_t bytes);
/*
 * 1 and a frame with its payload (valid until the next call, 8-aligned); 0: more bytes are needed. payload is followed
 * by no NUL. Of `frame` type, cpu (of data) and len are checked: known, below HS_WIRE_CPU_MAX, what the type can have.
 */
int hs_wire_decoder_next(struct hs_wire_decoder *decoder, struct hs_wire_frame *frame, const void **payload);
/* No more bytes come on this connection: call hs_wire_decoder_next() until 0; then it begins anew. */
void hs_wire_decoder_finish(struct hs_wire_decoder *decoder);
const struct hs_wire_decoder_counts *hs_wire_decoder_counts(const struct hs_wire_decoder *decoder);
void hs_wire_decoder_free(struct hs_wire_decoder *decoder);
HS_SCOPED(hs_wire_decoder, struct hs_wire_decoder *, hs_wire_decoder_free)

#endif
