/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs beside a migration: mm_dirty and server_rr in the guest, ordered through its agent, and client_rr in the
 * client's namespace, a child. Main thread; a trial owns one. Frames of both ends come here, for the guest's agent
 * speaks through whichever QEMU it runs in.
 */
#ifndef HS_MIGRATE_LOAD_H
#define HS_MIGRATE_LOAD_H

#include "migrate/site.h"

/* One line of the guest's, when it came and through which end. */
struct hs_guest_line {
	uint64_t ns;  /* BOOTTIME */
	uint64_t mib; /* dirtied a second, says the line */
	enum hs_end end;
};

struct hs_load {
	struct hs_loop *loop;
	const char *dir;
	/* mm_dirty */
	char *document, line[256];
	size_t document_len, line_len;
	bool is_heated, has_ended;
	int dirty_status;
	struct hs_guest_line *lines;
	size_t line_nr, line_room;
	/* client_rr */
	pid_t prober;
	struct hs_watch prober_exit;
	int prober_status;
};

void hs_load_init(struct hs_load *load, struct hs_loop *loop, const char *dir);
void hs_load_clear(struct hs_load *load);

/* Starts both programs in the guest, which is at `machine`; dirty_mib 0: it fills its memory and is idle. */
int hs_load_start_guest(struct hs_load *load, struct hs_machine *machine, const struct hs_plan_options *options,
			uint64_t dirty_mib);
void hs_load_on_frame(struct hs_load *load, enum hs_end end, const struct hs_frame *frame, const char *payload);
/* Asks mm_dirty for its document; load->has_ended tells when that is there. */
int hs_load_stop_guest(struct hs_load *load, struct hs_machine *machine);
/* Writes DIR/mm_dirty.json and DIR/guest_lines.csv. */
int hs_load_write(const struct hs_load *load);

/* DIR/client_rr.json, DIR/probes.csv. */
int hs_load_start_prober(struct hs_load *load, const struct hs_site *site);
/* Asks it to end; load->prober is 0 when it has. */
void hs_load_stop_prober(struct hs_load *load);

/* What the guest prints that often. */
#define HS_GUEST_LINE_MS 20

#endif
