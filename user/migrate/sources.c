// SPDX-License-Identifier: GPL-2.0-only
/* Line by line, and the trace through its reader. What does not parse is left out: a killed QEMU cuts its last line. */
#include "migrate/sources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "trace/ctf_reader.h"

typedef void (*on_line)(void *ctx, char *line);

static int read_lines(const char *path, on_line take_line, void *ctx)
{
	scoped(file) FILE *file = fopen(path, "re");
	scoped(mem) char *line = NULL;
	size_t room = 0;

	if (!file)
		return errno == ENOENT ? 0 : hs_fail(-errno, "cannot read %s:", path);
	while (getline(&line, &room, file) > 0)
		take_line(ctx, line);
	return ferror(file) ? hs_fail(-EIO, "cannot read %s", path) : 0;
}

bool hs_sources_parse_probe(const char *line, struct hs_seen_probe *probe)
{
	char rtt[32] = "";
	struct hs_seen_probe read = { 0 };

	/* rtt is empty for what was never answered, which no %[ takes. */
	if (sscanf(line, "%" SCNu64 ",%" SCNu64 ",%31[0-9],%11[a-z]", &read.seq, &read.sent_ns, rtt, read.what) != 4 &&
	    sscanf(line, "%" SCNu64 ",%" SCNu64 ",,%11[a-z]", &read.seq, &read.sent_ns, read.what) != 3)
		return false;
	read.rtt_ns = strtoull(rtt, NULL, 10);
	*probe = read;
	return true;
}

struct probe_reading {
	hs_on_probe on_probe;
	void *ctx;
};

static void on_probe_line(void *ctx, char *line)
{
	const struct probe_reading *reading = ctx;
	struct hs_seen_probe probe;

	if (hs_sources_parse_probe(line, &probe))
		reading->on_probe(reading->ctx, &probe);
}

int hs_sources_read_probes(const char *dir, hs_on_probe on_probe, void *ctx)
{
	scoped(mem) char *path = hs_format("%s/probes.csv", dir);
	struct probe_reading reading = { on_probe, ctx };

	return path ? read_lines(path, on_probe_line, &reading) : -ENOMEM;
}

int hs_sources_read_packets(const char *dir, hs_on_packet on_packet, void *ctx)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	scoped(mem) char *path = hs_format("%s/trace/host", dir);
	struct hs_ctf_record record;
	int result;

	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) < 0)
		return 0;
	result = hs_ctf_reader_open(path, &reader);
	if (result)
		return result;
	while ((result = hs_ctf_reader_next(reader, &record)) > 0) {
		const struct hs_event_netif_receive_skb *event = (const void *)record.header;
		bool from_guest = record.event->id == HS_EVENT_netif_receive_skb;

		if (from_guest || record.event->id == HS_EVENT_net_dev_start_xmit) {
			struct hs_seen_packet packet = { record.header->ts,
							 event->role == HS_ROLE_CLIENT ? HS_DESTINATION : HS_SOURCE,
							 from_guest, event->protocol, event->len };

			on_packet(ctx, &packet);
		}
	}
	return result;
}

bool hs_sources_parse_entry(char *line, uint64_t *realtime_us, struct hs_seen_entry *entry)
{
	uint64_t seconds, micros;
	uint32_t tid;
	int at = 0;
	char *event, *blank;

	if (sscanf(line, "%" SCNu32 "@%" SCNu64 ".%6" SCNu64 ":%n", &tid, &seconds, &micros, &at) != 3 || !at)
		return false;
	event = line + at;
	event[strcspn(event, "\r\n")] = '\0';
	blank = strchr(event, ' ');
	if (blank)
		*blank = '\0';
	*realtime_us = seconds * 1000000 + micros;
	*entry = (struct hs_seen_entry){ .tid = tid, .event = event, .text = blank ? blank + 1 : "" };
	return *event != '\0';
}

struct log_reading {
	hs_on_entry on_entry;
	struct hs_clock_list *clocks;
	void *ctx;
};

static void on_log_line(void *ctx, char *line)
{
	const struct log_reading *reading = ctx;
	struct hs_seen_entry entry;
	uint64_t realtime_us;

	if (hs_sources_parse_entry(line, &realtime_us, &entry) &&
	    !hs_clock_real_to_boot(reading->clocks, realtime_us * 1000, 1000, &entry.ns, &entry.error_ns))
		reading->on_entry(reading->ctx, &entry);
}

int hs_sources_read_log(const char *path, struct hs_clock_list *clocks, hs_on_entry on_entry, void *ctx)
{
	struct log_reading reading = { on_entry, clocks, ctx };

	return read_lines(path, on_log_line, &reading);
}
