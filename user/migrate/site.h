/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one migration happens between: two hosts and a client, each a network namespace, a limited link between the
 * hosts for the migration, a bridge that spans all three for the guest, and a QEMU at each end. Main thread; a trial
 * owns one. Everything goes with it.
 *
 *     source host               client                 destination host
 *     tap0 - br0 - up0 ------ sw0 - br0 - sw1 ------ up0 - br0 - tap0       172.16.0.x
 *     mig0 ------------------------------------------------------ mig0      172.16.1.x, limited
 */
#ifndef HS_MIGRATE_SITE_H
#define HS_MIGRATE_SITE_H

#include "migrate/plan.h"
#include "orchestrate/accel.h"
#include "orchestrate/delay.h"
#include "orchestrate/images.h"
#include "orchestrate/labdir.h"
#include "orchestrate/machine.h"
#include "orchestrate/netns.h"

#define HS_SITE_GUEST_IP "172.16.0.20"
#define HS_SITE_CLIENT_IP "172.16.0.21"
#define HS_SITE_DESTINATION_IP "172.16.1.2"
#define HS_SITE_LINK "mig0"
#define HS_SITE_TAP "tap0"

enum hs_end { HS_SOURCE, HS_DESTINATION, HS_END_NR };

/* What all trials of an experiment share; borrowed. */
struct hs_site_config {
	struct hs_loop *loop;
	struct hs_labdir *labdir;
	const char *lab;
	const struct hs_images *images;
	bool kvm;
	const char *events_file;
	const struct hs_plan_options *options;
	uint64_t bandwidth_bps;
	const char *dir; /* of the trial: DIR/console/ and DIR/END.qemu.log are written */
};

struct hs_site {
	struct hs_site_config config;
	struct hs_netns *hosts[HS_END_NR], *client;
	struct hs_delay *link; /* NULL: a veth, without delay */
	struct hs_machine machines[HS_END_NR];
	char *logs[HS_END_NR]; /* QEMU's trace events */
};

const char *hs_end_name(enum hs_end end); /* "source", "destination" */

/* Makes the network, with taps and link down. ops and ctx are the machines'. Message on failure. */
int hs_site_open(const struct hs_site_config *config, const struct hs_machine_ops *ops, void *ctx,
		 struct hs_site **out);
/* Brings every interface up: packets flow. */
int hs_site_up(struct hs_site *site);
int hs_site_start(struct hs_site *site, enum hs_end end);
/* The link of the migration alone. */
int hs_site_link_set_up(struct hs_site *site, bool up);
/* Ends both machines, first nicely. */
void hs_site_stop(struct hs_site *site);
void hs_site_free(struct hs_site *site);
HS_SCOPED(hs_site, struct hs_site *, hs_site_free)

#endif
