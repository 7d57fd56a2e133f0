/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sends numbered probes to one peer at a steady pace and hands over what comes back, until the time is up, enough were
 * sent or somebody interrupts it. What client and client_rr share. Nothing that the network does ends it: what cannot
 * be sent is told and the next probe is tried at its time. One thread, one loop.
 */
#ifndef HS_MIGTOOLS_PROBER_H
#define HS_MIGTOOLS_PROBER_H

#include "base/histogram.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/opt.h"
#include "migtools/probe.h"
#include "migtools/udp.h"

struct hs_prober_config {
	const char *host; /* set by hs_prober_parse() */
	uint32_t port, count;
	uint64_t interval_ns, duration_ns;
};

/* Rows for a verb whose config has a struct hs_prober_config `prober`. */
#define HS_PROBER_OPTIONS(config_struct)                                                                               \
	HS_OPT(config_struct, prober.port, "port", 'p', HS_OPT_U32, "PORT", "9008",                                    \
	       "UDP port of the server; mig_mon's is 12323 on a big-endian machine", .min = 1, .max = 65535),          \
		HS_OPT(config_struct, prober.interval_ns, "interval", 'i', HS_OPT_DURATION, "TIME", "1s",              \
		       "from one probe to the next, 10us at least; the operand INTERVAL_MS goes before it"),           \
		HS_OPT(config_struct, prober.duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL,              \
		       "end after that time; else Ctrl-C ends it"),                                                    \
		HS_OPT(config_struct, prober.count, "count", 'n', HS_OPT_U32, "N", NULL, "end after N probes")

/* Takes the operands IP [INTERVAL_MS]; what follows them is the caller's. 0, or an exit code after a message. */
int hs_prober_parse(struct hs_prober_config *config, int argc, char **argv);

struct hs_prober;

struct hs_prober_ops {
	/* A probe was sent or, with an error, was not. Numbers are in order and leave none out. */
	int (*on_sent)(void *ctx, uint64_t sent_ns, int error);
	/* Something came from the peer. */
	int (*on_probe)(void *ctx, const struct hs_probe *probe, uint64_t arrival_ns);
	/* The network told an error (negative): of no probe in particular. */
	void (*on_error)(void *ctx, uint64_t now_ns, int error);
	/* Everything that arrived before settled_ns has been handed over. */
	int (*on_settled)(void *ctx, uint64_t settled_ns);
	/* Nothing more is sent: whether what may still come is worth waiting for. */
	bool (*is_waiting)(void *ctx);
};

struct hs_prober {
	const struct hs_prober_config *config;
	const struct hs_prober_ops *ops; /* all of them */
	void *ctx;
	struct hs_address peer;
	struct hs_loop *loop;
	struct hs_watch socket, timer;
	bool is_connected, is_stopped;
	int error;		    /* why it ended early */
	uint64_t start_ns, end_ns;  /* BOOTTIME; end: the last probe's time */
	uint64_t start_realtime_ns; /* the other clock at start_ns */
	uint64_t session, seq, tick;
	uint64_t skipped;	      /* probes whose time had passed before this process got to them */
	uint64_t foreign;	      /* datagrams that are no probe of this run */
	uint32_t dropped;	      /* found no room in the socket */
	struct hs_histogram lateness; /* from when a probe was due to when it was sent */
};

/* Runs to the end. 0, or -errno after a message. */
int hs_prober_run(struct hs_prober *prober, const struct hs_prober_config *config, const struct hs_prober_ops *ops,
		  void *ctx);
void hs_prober_clear(struct hs_prober *prober);

/* Members that both documents share: target, interval_ns, duration_ns, clock, pacing, foreign, dropped. */
void hs_prober_add_json(const struct hs_prober *prober, json_object *document);
/* The head line of both summaries, on stdout. */
void hs_prober_print(const struct hs_prober *prober);

#endif
