/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The document of a run, schema "hsbpf.run/1": what run.json holds, what --json prints, and what the summary
 * table is made from. Built part by part as a run goes on; every function takes it as a json_object.
 */
#ifndef HS_RUN_DOCUMENT_H
#define HS_RUN_DOCUMENT_H

#include "base/json.h"
#include "capture/capture.h"
#include "orchestrate/lab.h"
#include "orchestrate/workload.h"
#include "qemulog/qemulog.h"
#include "timeline/clock.h"

#define HS_DOCUMENT_SCHEMA "hsbpf.run/1"

/* Packets and events as counted live by the capture, or read back from the trace. */
struct hs_trace_counts {
	struct {
		uint64_t recorded, lost, missed;
	} events[HS_EVENT_ID_NR];
	struct hs_tap_counts {
		uint64_t to_guest_packets, to_guest_bytes, from_guest_packets, from_guest_bytes, refused_packets;
	} taps[HS_PAIRS_MAX][2]; /* by tenant and enum hs_role */
};

void hs_trace_counts_from_capture(const struct hs_capture *capture, struct hs_trace_counts *counts);
/* Reads DIR, one machine's trace. 0 or -errno after a message. */
int hs_trace_counts_from_disk(const char *dir, struct hs_trace_counts *counts);

/* A new document of run `number`, outcome "running", with the topology of `pairs` tenants. */
json_object *hs_document_new(unsigned number, unsigned pairs, const char *nic, bool client_netns);

/*
 * Of one that was read from a file: 0 when its tenants, traces, log and phases have the shapes that a summary and a
 * recount take for granted, else -EBADMSG. No message.
 */
int hs_document_check(json_object *document);

/* outcome: "ok", "failed" or "interrupted"; error NULL or the sentence. */
void hs_document_set_outcome(json_object *document, const char *outcome, const char *error);
void hs_document_add_lab(json_object *document, const struct hs_lab *lab);
void hs_document_add_results(json_object *document, const char *test, unsigned seconds,
			     const struct hs_workload_result *results, unsigned pairs);
/* The kernel's own counters of every tap, final once the machines have ended, gone with the network. */
void hs_document_add_interfaces(json_object *document, struct hs_net *net, unsigned pairs);
void hs_document_add_trace(json_object *document, const struct hs_trace_counts *counts);
/*
 * Counts DIR, a guest's trace, into its member of the document's `trace`, in place of what the guest told of itself.
 * 0 or -errno after a message.
 */
int hs_document_recount_guest(json_object *part, const char *dir);
/* What is not recorded and why; why_no_trace "" or the reason that nothing is. */
void hs_document_add_missing(json_object *document, const struct hs_capture *capture, const char *why_no_trace);
void hs_document_add_log(json_object *document, const struct hs_qemulog_counts *counts);
/* Samples, and the error bound between QEMU's clock and the trace's at the log's first and last line. */
void hs_document_add_clocks(json_object *document, struct hs_clock_list *clocks, const struct hs_qemulog_counts *log);
/* Ratios that follow from the parts: translations per received packet, miss ratio. Call it last. */
void hs_document_derive(json_object *document);

/* All losses of the run: events that found no room in a ring or on the disk. */
uint64_t hs_document_lost(json_object *document);

#endif
