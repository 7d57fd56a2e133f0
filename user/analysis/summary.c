// SPDX-License-Identifier: GPL-2.0-only
/* Prints hsbpf.run/1: one row per tenant, one line per machine that has something to tell, phases, clocks. */
#include "summary.h"

#include <stdint.h>
#include <string.h>

#include "base/unit.h"

#define CELL 32

/* A number with its thousands apart, or "-" where the document has none. */
static const char *count_cell(json_object *object, const char *path, char *cell)
{
	char digits[CELL];
	size_t len, used = 0;

	if (!hs_json_get(object, path))
		return strcpy(cell, "-");
	len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)hs_json_get_u64(object, path));
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			cell[used++] = ' ';
		cell[used++] = digits[i];
	}
	cell[used] = '\0';
	return cell;
}

static const char *ratio_cell(json_object *object, const char *path, double factor, const char *unit, char *cell)
{
	if (!hs_json_get(object, path))
		return strcpy(cell, "-");
	snprintf(cell, CELL, "%.2f%s", hs_json_get_double(object, path) * factor, unit);
	return cell;
}

static const char *throughput_cell(json_object *result, char *cell)
{
	if (!result)
		return strcpy(cell, "-");
	if (!hs_json_get_bool(result, "ok"))
		return strcpy(cell, "no result");
	if (hs_json_get(result, "rtt_avg_ms"))
		snprintf(cell, CELL, "%.2f ms rtt", hs_json_get_double(result, "rtt_avg_ms"));
	else if (!hs_json_get_u64(result, "bytes"))
		return strcpy(cell, "-"); /* a test that measures nothing */
	else
		hs_format_rate(cell, CELL, hs_json_get_double(result, "bits_per_second"));
	return cell;
}

static void print_tenant(FILE *out, json_object *tenant)
{
	char c[9][CELL];

	fprintf(out, "%6llu  %-8s %14s %8s  %12s %12s  %12s %10s %8s  %7s %8s\n",
		(unsigned long long)hs_json_get_u64(tenant, "tenant"), hs_json_get_string(tenant, "l2.machine"),
		throughput_cell(hs_json_get(tenant, "result"), c[0]), count_cell(tenant, "result.retransmits", c[1]),
		count_cell(tenant, "l2.packets.to_guest", c[2]), count_cell(tenant, "l2.packets.from_guest", c[3]),
		count_cell(tenant, "translations.hit", c[4]), count_cell(tenant, "translations.update", c[5]),
		count_cell(tenant, "translations.context_update", c[6]),
		ratio_cell(tenant, "translations.per_received_packet", 1, "", c[7]),
		ratio_cell(tenant, "translations.miss_ratio", 100, " %", c[8]));
}

static void print_taps(FILE *out, json_object *tenant, const char *side)
{
	json_object *machine = hs_json_get(tenant, side);
	char to[CELL], from[CELL], bytes_to[CELL], bytes_from[CELL], refused[CELL], unseen[CELL];

	if (!hs_json_get(machine, "packets"))
		return;
	hs_format_bytes(bytes_to, sizeof(bytes_to), hs_json_get_u64(machine, "packets.to_guest_bytes"));
	hs_format_bytes(bytes_from, sizeof(bytes_from), hs_json_get_u64(machine, "packets.from_guest_bytes"));
	fprintf(out, "%6llu  %-8s %-10s %12s %11s  %12s %11s  %8s %7s\n",
		(unsigned long long)hs_json_get_u64(tenant, "tenant"), hs_json_get_string(machine, "tap"),
		hs_json_get_string(machine, "machine"), count_cell(machine, "packets.to_guest", to), bytes_to,
		count_cell(machine, "packets.from_guest", from), bytes_from,
		count_cell(machine, "packets.refused", refused), count_cell(machine, "packets.unseen", unseen));
}

static void print_tenants(FILE *out, json_object *tenants)
{
	size_t count = json_object_is_type(tenants, json_type_array) ? json_object_array_length(tenants) : 0;

	fprintf(out, "\n%6s  %-8s %14s %8s  %12s %12s  %12s %10s %8s  %7s %8s\n", "tenant", "machine", "throughput",
		"retrans", "pkts to L2", "pkts from L2", "IOTLB hit", "update", "context", "per pkt", "miss");
	for (size_t i = 0; i < count; i++)
		print_tenant(out, json_object_array_get_idx(tenants, i));
	if (count && !hs_json_get(json_object_array_get_idx(tenants, 0), "l2.packets"))
		return;
	fprintf(out, "\n%6s  %-8s %-10s %12s %11s  %12s %11s  %8s %7s\n", "tenant", "tap", "machine", "to guest",
		"bytes", "from guest", "bytes", "refused", "unseen");
	for (size_t i = 0; i < count; i++) {
		print_taps(out, json_object_array_get_idx(tenants, i), "l2");
		print_taps(out, json_object_array_get_idx(tenants, i), "client");
	}
}

static void print_events(FILE *out, json_object *document)
{
	json_object *host = hs_json_get(document, "trace.host"), *log = hs_json_get(document, "iommu_log");
	char recorded[CELL], lost[CELL];

	if (!host && !log)
		return;
	fprintf(out, "\n%-8s %-24s %14s %10s\n", "machine", "event", "recorded", "lost");
	if (hs_json_get(host, "events")) {
		json_object_object_foreach (hs_json_get(host, "events"), name, event)
			fprintf(out, "%-8s %-24s %14s %10s\n", "host", name, count_cell(event, "recorded", recorded),
				count_cell(event, "lost", lost));
		if (!hs_json_get_u64(host, "recorded"))
			fprintf(out, "%-8s %-24s %14s %10s\n", "host", "(none)", "0", count_cell(host, "lost", lost));
	}
	if (hs_json_get(log, "events")) {
		json_object_object_foreach (hs_json_get(log, "events"), name, event)
			fprintf(out, "%-8s %-24s %14llu %10s\n", "l1", name,
				(unsigned long long)json_object_get_uint64(event), "0");
		fprintf(out, "%-8s %-24s %14s %10s  (torn %llu, foreign %llu)\n", "l1", "all lines of its IOMMU log",
			count_cell(log, "lines", recorded), "0", (unsigned long long)hs_json_get_u64(log, "torn"),
			(unsigned long long)hs_json_get_u64(log, "foreign"));
	}
}

/* What the guests' own kernels were recorded for: one line a machine, since `hsbpf info` has it event by event. */
static void print_guests(FILE *out, json_object *trace)
{
	char recorded[CELL], lost[CELL], bound[CELL];

	if (!trace)
		return;
	json_object_object_foreach (trace, machine, object) {
		json_object *events = hs_json_get(object, "events"); /* none of a machine whose formats never came */
		char what[48];

		if (!strcmp(machine, "host"))
			continue;
		snprintf(what, sizeof(what), "%d events of its kernel", events ? json_object_object_length(events) : 0);
		hs_format_ns(bound, sizeof(bound), hs_json_get_u64(object, "guest_clock.bound_ns"));
		fprintf(out, "%-8s %-24s %14s %10s  (clock within %s%s)\n", machine, what,
			count_cell(object, "recorded", recorded), count_cell(object, "lost", lost), bound,
			hs_json_get_bool(object, "complete") ? "" : "; not complete");
	}
}

static void print_missing(FILE *out, json_object *list)
{
	size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < count; i++) {
		json_object *row = json_object_array_get_idx(list, i);

		const char *machine = hs_json_get_string(row, "machine");

		fprintf(out, "not recorded: %s%s%s: %s\n", machine, *machine ? ": " : "",
			hs_json_get_string(row, "event"), hs_json_get_string(row, "reason"));
	}
}

static void print_restarts(FILE *out, json_object *machines)
{
	size_t count = json_object_is_type(machines, json_type_array) ? json_object_array_length(machines) : 0;

	for (size_t i = 0; i < count; i++) {
		json_object *machine = json_object_array_get_idx(machines, i);
		unsigned long long restarts = hs_json_get_u64(machine, "restarts");

		if (restarts)
			fprintf(out, "%s died while booting and was restarted %llu time%s\n",
				hs_json_get_string(machine, "machine"), restarts, restarts == 1 ? "" : "s");
	}
}

static void print_phases(FILE *out, json_object *phases)
{
	double total = 0;

	if (!phases)
		return;
	fputs("phases:", out);
	json_object_object_foreach (phases, name, seconds) {
		fprintf(out, " %s %.1f s,", name, json_object_get_double(seconds));
		total += json_object_get_double(seconds);
	}
	fprintf(out, " total %.1f s\n", total);
}

static void print_clock(FILE *out, json_object *document)
{
	char bound[CELL];

	if (!hs_json_get(document, "clock.error_bound_ns"))
		return;
	hs_format_ns(bound, sizeof(bound), hs_json_get_u64(document, "clock.error_bound_ns"));
	fprintf(out, "clocks: the IOMMU log (REALTIME) maps to the trace (BOOTTIME) within %s\n", bound);
}

/* ", LABEL VALUE", or nothing where the document does not know it (yet). */
static void print_fact(FILE *out, json_object *document, const char *label, const char *path)
{
	const char *value = hs_json_get_string(document, path);

	if (*value)
		fprintf(out, ", %s %s", label, value);
}

/* Of an error its first line: the others are a console's, and were shown when it happened. */
static void print_head(FILE *out, json_object *document)
{
	const char *outcome = hs_json_get_string(document, "outcome"), *error = hs_json_get_string(document, "error");
	unsigned long long pairs = hs_json_get_u64(document, "pairs");

	if (!strcmp(outcome, "running"))
		outcome = "not ended (it runs still, or was killed)";
	fprintf(out, "run %llu: %s%s%.*s; %llu pair%s", (unsigned long long)hs_json_get_u64(document, "run"), outcome,
		*error ? ": " : "", (int)strcspn(error, "\n"), error, pairs, pairs == 1 ? "" : "s");
	print_fact(out, document, "test", "test");
	print_fact(out, document, "NICs", "nic");
	print_fact(out, document, "L1 under", "accel_l1");
	print_fact(out, document, "kernel", "guest_kernel");
	fputc('\n', out);
}

void hs_summary_print(FILE *out, json_object *document)
{
	print_head(out, document);
	print_tenants(out, hs_json_get(document, "tenants"));
	print_events(out, document);
	print_guests(out, hs_json_get(document, "trace"));
	fputc('\n', out);
	print_restarts(out, hs_json_get(document, "machines"));
	print_missing(out, hs_json_get(document, "not_recorded"));
	print_phases(out, hs_json_get(document, "phases_seconds"));
	print_clock(out, document);
}
