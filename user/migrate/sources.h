/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads back what a trial left in its folder: probes, packets on both taps, QEMU's logs. Each function hands over one
 * thing after the other, all times CLOCK_BOOTTIME of this host in ns. Files that are not there are empty. Any thread.
 */
#ifndef HS_MIGRATE_SOURCES_H
#define HS_MIGRATE_SOURCES_H

#include "migrate/site.h"
#include "timeline/clock.h"

struct hs_seen_probe {
	uint64_t seq, sent_ns, rtt_ns; /* rtt 0: never answered */
	char what[12];		       /* ok, late, duplicate, lost, unsent */
};
typedef void (*hs_on_probe)(void *ctx, const struct hs_seen_probe *probe);
/* DIR/probes.csv. 0 or -errno after a message. */
int hs_sources_read_probes(const char *dir, hs_on_probe on_probe, void *ctx);
/* One line of it; false: it is no probe's. Pure. */
bool hs_sources_parse_probe(const char *line, struct hs_seen_probe *probe);

struct hs_seen_packet {
	uint64_t ns;
	enum hs_end end;
	bool from_guest;
	uint16_t protocol; /* ethertype */
	uint32_t len;
};
typedef void (*hs_on_packet)(void *ctx, const struct hs_seen_packet *packet);
/* DIR/trace/host, taps watched with HS_ROLE_L2 at the source, HS_ROLE_CLIENT at the destination. */
int hs_sources_read_packets(const char *dir, hs_on_packet on_packet, void *ctx);

struct hs_seen_entry {
	uint64_t ns, error_ns; /* ns is off by error_ns at most */
	uint32_t tid;	       /* of QEMU's thread */
	const char *event, *text;
};
typedef void (*hs_on_entry)(void *ctx, const struct hs_seen_entry *entry);
int hs_sources_read_log(const char *path, struct hs_clock_list *clocks, hs_on_entry on_entry, void *ctx);
/* One line "tid@sec.usec:event text"; event and text point into it, which is cut. realtime in us. Pure. */
bool hs_sources_parse_entry(char *line, uint64_t *realtime_us, struct hs_seen_entry *entry);

#define HS_ETHERTYPE_IPV4 0x0800
#define HS_ETHERTYPE_ARP 0x0806
#define HS_ETHERTYPE_RARP 0x8035 /* QEMU's announcement of a guest's new place */

#endif
