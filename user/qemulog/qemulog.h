/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts QEMU's IOMMU log by event and tenant while QEMU still writes it. A struct hs_qemulog is fed the
 * bytes of the log in order, cut anywhere; its counts are complete for all whole lines fed so far. Memory is
 * bounded whatever the input is. The collector thread feeds it (tail.h reads a growing file); one thread at a
 * time uses an object.
 *
 * Every line is one of decoded, torn, foreign (line.h): decoded + torn + foreign = lines. Only decoded lines
 * are counted by event and by tenant.
 *
 * Against grep: an event's `decoded` + `torn` is what `grep -c 'EVENT ' FILE` says (with the space: a name
 * can begin another name), and without torn lines `decoded` alone is. They differ only by lines that hold the
 * name in another place than its own: foreign ones, and a line that swallowed the beginning of another, which
 * belongs to the first of the two while grep finds it under both.
 */
#ifndef HS_QEMULOG_H
#define HS_QEMULOG_H

#include <stdbool.h>

#include "base/scoped.h"
#include "qemulog/line.h"

#define HS_QEMULOG_NAMES_MAX 1024 /* distinct event names; QEMU has 5000, a log some dozen */
#define HS_QEMULOG_NAME_BYTES 64 /* the longest name in QEMU 7.2 has 52 */
#define HS_QEMULOG_LINE_MAX 4096 /* longer lines are foreign */

struct hs_qemulog;

struct hs_qemulog_tenant {
	uint16_t sid;
	uint32_t tenant;
};

struct hs_qemulog_config {
	/* A tenant may have several sids, a sid has one tenant. Copied. */
	const struct hs_qemulog_tenant *tenants;
	size_t tenant_nr;
	/* Called with every decoded line, in order, if not NULL; `line` lives until it returns. */
	void (*on_line)(void *ctx, const struct hs_qemulog_line *line);
	void *ctx;
};

struct hs_qemulog_event_count {
	char name[HS_QEMULOG_NAME_BYTES];
	uint64_t decoded;
	uint64_t torn; /* begins with this name, but is not whole */
};

struct hs_qemulog_tenant_count {
	uint32_t tenant;
	uint64_t decoded[HS_QEMULOG_EVENT_NR]; /* by enum hs_qemulog_event */
};

struct hs_qemulog_counts {
	uint64_t bytes; /* fed */
	uint64_t lines; /* ended by a newline, or by hs_qemulog_finish() */
	uint64_t decoded, torn, foreign;
	uint64_t over_long; /* of `foreign`: longer than HS_QEMULOG_LINE_MAX */

	/* The hot events in the order of the enum, even at 0, then others in order of appearance. */
	const struct hs_qemulog_event_count *events;
	size_t event_nr;
	uint64_t overflow; /* decoded lines of names that are too long or came when the table was full */

	/* By ascending tenant. decoded = all tenants' rows + unmapped + no_sid, which have no number. */
	const struct hs_qemulog_tenant_count *tenants;
	size_t tenant_nr;
	const struct hs_qemulog_tenant_count *unmapped; /* lines of sids that the config has not */
	const struct hs_qemulog_tenant_count *no_sid; /* lines that name no device */

	/* CLOCK_REALTIME of the first and last decoded line that has one, in file order. */
	bool has_time;
	uint64_t first_ns, last_ns;
};

/* 0, -ENOMEM, or -EINVAL (said) for a sid given to two tenants. */
int hs_qemulog_open(const struct hs_qemulog_config *config, struct hs_qemulog **out);
void hs_qemulog_free(struct hs_qemulog *log);
HS_SCOPED(hs_qemulog, struct hs_qemulog *, hs_qemulog_free)

void hs_qemulog_feed(struct hs_qemulog *log, const void *bytes, size_t len);

/*
 * The log has ended. A last line without newline is counted: as decoded if its shape proves it whole (a cut
 * inside its last number cannot be seen), else as torn or foreign; an event of HS_QEMULOG_OTHER is torn,
 * having no shape.
 */
void hs_qemulog_finish(struct hs_qemulog *log);

/* Valid, and its contents up to date, until the log is freed. */
const struct hs_qemulog_counts *hs_qemulog_counts(const struct hs_qemulog *log);

#endif
