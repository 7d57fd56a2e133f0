/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BPF programs: which of them this kernel can run, loading those, attaching and detaching them. A program is called
 * on_<event>, its alternatives on_<event>__tp and __kprobe: the first way that works is taken, in the order of enum
 * hs_way. Whatever cannot run is listed with its reason. One thread.
 */
#ifndef HS_CAPTURE_PROBES_H
#define HS_CAPTURE_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"
#include "trace_events/event_set.h"

struct hsbpf_bpf;
struct hs_probes;

enum hs_way { HS_WAY_TP_BTF, HS_WAY_TRACEPOINT, HS_WAY_FENTRY, HS_WAY_KPROBE, HS_WAY_NR };

struct hs_probes_config {
	struct hs_event_set wanted;
	bool host_wide;
	/* Sizes maps and sets constants before each try to load; 0 or -errno. */
	int (*prepare)(void *ctx, struct hsbpf_bpf *bpf);
	void *ctx;
};

struct hs_probe_missing {
	const struct hs_event *event;
	char reason[256];
};

/*
 * Loads what is wanted and possible. -EPERM: not allowed here; -EOPNOTSUPP: this kernel can run none of it.
 * Says nothing; one line of explanation is in `reason`.
 */
int hs_probes_load(const struct hs_probes_config *config, char *reason, size_t reason_bytes, struct hs_probes **out);

/* Attaches what was loaded; the same errors. */
int hs_probes_attach(struct hs_probes *probes, char *reason, size_t reason_bytes);

/* When this returns no handler runs any more. */
void hs_probes_detach(struct hs_probes *probes);

/* "tp_btf", "tracepoint", "fentry" or "kprobe"; NULL when the event is not attached. */
const char *hs_probes_how(const struct hs_probes *probes, uint16_t event_id);

struct hsbpf_bpf *hs_probes_bpf(struct hs_probes *probes);
const struct hs_probe_missing *hs_probes_missing(const struct hs_probes *probes, size_t *missing_nr);

/* Runs that the kernel left out because the program was running on that CPU already. */
uint64_t hs_probes_missed(const struct hs_probes *probes, uint16_t event_id);

void hs_probes_free(struct hs_probes *probes);
HS_SCOPED(hs_probes, struct hs_probes *, hs_probes_free)

#endif
