// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines of the table in the order wanted, and how each form prints them. Columns have the same meaning everywhere:
 * share is of the vCPU's time, percentiles are the middles of buckets (12.5 % at most off).
 */
#include "stat/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/unit.h"
#include "trace_events/events.h"
#if __has_include("trace_events/exit_reason.h")
#include "trace_events/exit_reason.h"
#else
#define hs_exit_reason_text(isa, reason) NULL
#endif

static const char *const kind_texts[HS_STAT_KIND_NR] = {
	[HS_STAT_EXIT] = "exit", [HS_STAT_USER] = "user exit", [HS_STAT_EMULATE] = "emulation", [HS_STAT_PIO] = "pio",
	[HS_STAT_MMIO] = "mmio", [HS_STAT_MSR] = "msr",	       [HS_STAT_VIRQ] = "interrupt",
};

const char *hs_stat_kind_text(uint16_t kind)
{
	return kind < HS_STAT_KIND_NR ? kind_texts[kind] : "?";
}

static const char *user_reason(uint32_t reason)
{
	const struct hs_event *event = hs_event_find(HS_EVENT_kvm_userspace_exit);

	return hs_enum_text(event->fields[0].list, reason);
}

const char *hs_stat_reason_text(const struct hs_stat_key *key, char *text, size_t text_bytes)
{
	const char *name = NULL;

	switch (key->kind) {
	case HS_STAT_EXIT:
		name = hs_exit_reason_text(key->detail, key->reason);
		break;
	case HS_STAT_USER:
		name = user_reason(key->reason);
		break;
	case HS_STAT_EMULATE:
		name = key->detail ? "failed" : "ok";
		break;
	case HS_STAT_PIO:
		snprintf(text, text_bytes, "%s 0x%" PRIx32, key->detail ? "out" : "in", key->reason);
		return text;
	case HS_STAT_MMIO:
		snprintf(text, text_bytes, "%s 0x%" PRIx64, key->detail == 2 ? "write" : "read",
			 (uint64_t)key->reason << 12);
		return text;
	case HS_STAT_MSR:
		snprintf(text, text_bytes, "%s 0x%" PRIx32, key->detail ? "write" : "read", key->reason);
		return text;
	case HS_STAT_VIRQ:
		snprintf(text, text_bytes, "0x%02" PRIx32, key->reason);
		return text;
	default:
		break;
	}
	if (name)
		snprintf(text, text_bytes, "%s", name);
	else
		snprintf(text, text_bytes, "0x%" PRIx32, key->reason);
	return text;
}

uint64_t hs_stat_report_duration_ns(const struct hs_stat_report *report)
{
	const struct hs_stat_table *table = &report->monitor->table;
	uint64_t begin_ns = report->is_total ? table->start_ns : table->begin_ns;

	return table->end_ns > begin_ns ? table->end_ns - begin_ns : 1;
}

/* ---- what is printed, in which order ---- */

static const struct hs_stat_sums *sums_of(const struct hs_stat_report *report, const struct hs_stat_line *line)
{
	return report->is_total ? &line->total : &line->interval;
}

static const struct hs_stat_vcpu_sums *vcpu_sums_of(const struct hs_stat_report *report,
						    const struct hs_stat_vcpu_line *line)
{
	return report->is_total ? &line->total : &line->interval;
}

static const struct hs_stat_vhost *vhost_sums_of(const struct hs_stat_report *report,
						 const struct hs_stat_vhost_line *line)
{
	return report->is_total ? &line->total : &line->interval;
}

static const struct hs_tap_value *tap_sums_of(const struct hs_stat_report *report, const struct hs_stat_tap_line *line)
{
	return report->is_total ? &line->total : &line->interval;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

/* Of a whole VM. */
static uint64_t kicks_of(const struct hs_stat_report *report, uint32_t tgid)
{
	const struct hs_stat_table *table = &report->monitor->table;
	uint64_t kicks = 0;

	for (size_t i = 0; i < table->vhost_nr; i++) {
		if (table->vhosts[i]->tgid == tgid)
			kicks += vhost_sums_of(report, table->vhosts[i])->tx_kicks +
				 vhost_sums_of(report, table->vhosts[i])->rx_kicks;
	}
	return kicks;
}

static uint64_t packets_of(const struct hs_stat_report *report, uint32_t tgid)
{
	const struct hs_stat_table *table = &report->monitor->table;
	uint64_t packets = 0;

	for (size_t i = 0; i < table->tap_nr; i++) {
		const struct hs_tap_value *sums = tap_sums_of(report, table->taps[i]);

		if (hs_stat_monitor_tap_owner(report->monitor, &table->taps[i]->key) == tgid)
			packets += sums->to_guest_packets + sums->from_guest_packets;
	}
	return packets;
}

/* Largest first; equals stay by VM and thread, so that a table does not dance. */
static int compare_lines(const void *left, const void *right, void *ctx)
{
	const struct hs_stat_line *a = *(struct hs_stat_line *const *)left, *b = *(struct hs_stat_line *const *)right;
	const struct hs_stat_report *report = ctx;
	const struct hs_stat_sums *sa = sums_of(report, a), *sb = sums_of(report, b);
	int order = 0;

	if (report->sort == HS_STAT_SORT_TIME)
		order = compare_u64(sa->total_ns, sb->total_ns);
	if (report->sort == HS_STAT_SORT_KICKS && a->tgid != b->tgid)
		order = compare_u64(kicks_of(report, a->tgid), kicks_of(report, b->tgid));
	if (report->sort == HS_STAT_SORT_PACKETS && a->tgid != b->tgid)
		order = compare_u64(packets_of(report, a->tgid), packets_of(report, b->tgid));
	if (!order)
		order = compare_u64(sa->count, sb->count);
	if (!order)
		order = a->tgid != b->tgid ? (a->tgid < b->tgid ? -1 : 1) : 0;
	return order ? order : memcmp(&a->key, &b->key, sizeof(a->key));
}

/* Lines that counted something, sorted; malloc'd. NULL without memory or lines. */
static struct hs_stat_line **sorted_lines(const struct hs_stat_report *report, size_t *nr)
{
	const struct hs_stat_table *table = &report->monitor->table;
	struct hs_stat_line **lines = calloc(table->line_nr ? table->line_nr : 1, sizeof(*lines));

	*nr = 0;
	for (size_t i = 0; lines && i < table->line_nr; i++) {
		if (sums_of(report, table->lines[i])->count)
			lines[(*nr)++] = table->lines[i];
	}
	if (lines)
		qsort_r(lines, *nr, sizeof(*lines), compare_lines, (void *)report);
	return lines;
}

static bool has_any(const void *sums, size_t sums_bytes)
{
	const uint64_t *words = sums;

	for (size_t i = 0; i < sums_bytes / sizeof(*words); i++) {
		if (words[i])
			return true;
	}
	return false;
}

static double rate(const struct hs_stat_report *report, uint64_t count)
{
	return (double)count * 1e9 / (double)hs_stat_report_duration_ns(report);
}

static double percent(const struct hs_stat_report *report, uint64_t ns)
{
	return (double)ns * 100.0 / (double)hs_stat_report_duration_ns(report);
}

static uint64_t average(const struct hs_stat_sums *sums)
{
	return sums->timed ? sums->total_ns / sums->timed : 0;
}

static const char *vcpu_text(const struct hs_stat_report *report, uint32_t tgid, uint32_t tid, char *text, size_t bytes)
{
	uint32_t vcpu_id = hs_stat_monitor_vcpu_id(report->monitor, tgid, tid);

	if (vcpu_id == HS_STAT_VCPU_UNKNOWN)
		snprintf(text, bytes, "?");
	else
		snprintf(text, bytes, "%" PRIu32, vcpu_id);
	return text;
}

/* ---- text ---- */

static const char *ns_text(const struct hs_stat_sums *sums, uint64_t ns, char *text, size_t bytes)
{
	if (!sums->timed)
		snprintf(text, bytes, "-");
	else
		hs_format_ns(text, bytes, ns);
	return text;
}

static void print_line(FILE *out, const struct hs_stat_report *report, const struct hs_stat_line *line)
{
	const struct hs_stat_sums *sums = sums_of(report, line);
	char vcpu[16], reason[40], total[24], share[16] = "-", times[4][24];

	if (sums->timed)
		snprintf(share, sizeof(share), "%.2f%%", percent(report, sums->total_ns));
	fprintf(out, "%-16.16s %4s %-9s %-20s %12" PRIu64 " %12.1f %10s %8s %9s %9s %9s %9s\n",
		hs_stat_monitor_vm_name(report->monitor, line->tgid, line->key.tid),
		vcpu_text(report, line->tgid, line->key.tid, vcpu, sizeof(vcpu)), hs_stat_kind_text(line->key.kind),
		hs_stat_reason_text(&line->key, reason, sizeof(reason)), sums->count, rate(report, sums->count),
		ns_text(sums, sums->total_ns, total, sizeof(total)), share,
		ns_text(sums, average(sums), times[0], sizeof(times[0])),
		ns_text(sums, hs_stat_sums_percentile(sums, 50), times[1], sizeof(times[1])),
		ns_text(sums, hs_stat_sums_percentile(sums, 99), times[2], sizeof(times[2])),
		ns_text(sums, sums->max_ns, times[3], sizeof(times[3])));
}

static void print_vcpus(FILE *out, const struct hs_stat_report *report)
{
	const struct hs_stat_table *table = &report->monitor->table;
	bool has_head = false;

	for (size_t i = 0; i < table->vcpu_nr; i++) {
		const struct hs_stat_vcpu_line *line = table->vcpus[i];
		const struct hs_stat_vcpu_sums *sums = vcpu_sums_of(report, line);
		char vcpu[16], guest[16] = "-";

		if (!has_any(sums, sizeof(*sums)))
			continue;
		if (!has_head)
			fprintf(out, "\n%-16s %4s %8s %8s %8s %12s\n", "VM", "vCPU", "on CPU", "steal", "guest",
				"switches/s");
		has_head = true;
		if (line->total.entries)
			snprintf(guest, sizeof(guest), "%.1f%%", percent(report, sums->guest_ns));
		fprintf(out, "%-16.16s %4s %7.1f%% %7.1f%% %8s %12.1f\n",
			hs_stat_monitor_vm_name(report->monitor, line->tgid, line->tid),
			vcpu_text(report, line->tgid, line->tid, vcpu, sizeof(vcpu)), percent(report, sums->cpu_ns),
			percent(report, sums->wait_ns), guest, rate(report, sums->switches));
	}
}

static void print_vhosts(FILE *out, const struct hs_stat_report *report)
{
	const struct hs_stat_table *table = &report->monitor->table;
	bool has_head = false;

	for (size_t i = 0; i < table->vhost_nr; i++) {
		const struct hs_stat_vhost *sums = vhost_sums_of(report, table->vhosts[i]);

		if (!has_any(sums, sizeof(*sums)))
			continue;
		if (!has_head)
			fprintf(out, "\n%-16s %12s %12s %12s %12s\n", "vhost of", "tx kicks/s", "rx kicks/s",
				"signals/s", "buffers/s");
		has_head = true;
		fprintf(out, "%-16.16s %12.1f %12.1f %12.1f %12.1f\n",
			hs_stat_monitor_vm_name(report->monitor, table->vhosts[i]->tgid, table->vhosts[i]->tgid),
			rate(report, sums->tx_kicks), rate(report, sums->rx_kicks), rate(report, sums->signals),
			rate(report, sums->buffers));
	}
}

static void print_taps(FILE *out, const struct hs_stat_report *report)
{
	const struct hs_stat_table *table = &report->monitor->table;
	bool has_head = false;

	for (size_t i = 0; i < table->tap_nr; i++) {
		const struct hs_tap_value *sums = tap_sums_of(report, table->taps[i]);
		char to[32], from[32];

		if (!has_any(sums, sizeof(*sums)))
			continue;
		if (!has_head)
			fprintf(out, "\n%-16s %12s %12s %12s %12s %10s\n", "tap", "to guest/s", "bytes/s",
				"from guest/s", "bytes/s", "refused/s");
		has_head = true;
		fprintf(out, "%-16s %12.1f %12s %12.1f %12s %10.1f\n",
			hs_stat_monitor_tap_name(report->monitor, &table->taps[i]->key),
			rate(report, sums->to_guest_packets),
			hs_format_bytes(to, sizeof(to), (uint64_t)rate(report, sums->to_guest_bytes)),
			rate(report, sums->from_guest_packets),
			hs_format_bytes(from, sizeof(from), (uint64_t)rate(report, sums->from_guest_bytes)),
			rate(report, sums->refused_packets));
	}
}

void hs_stat_report_print(FILE *out, const struct hs_stat_report *report)
{
	size_t nr;
	struct hs_stat_line **lines = sorted_lines(report, &nr);
	double seconds = (double)hs_stat_report_duration_ns(report) / 1e9;

	fprintf(out, "%s%.2f s\n", report->is_total ? "total of " : "", seconds);
	if (nr)
		fprintf(out, "%-16s %4s %-9s %-20s %12s %12s %10s %8s %9s %9s %9s %9s\n", "VM", "vCPU", "event",
			"reason", "count", "per second", "time", "share", "avg", "p50", "p99", "max");
	for (size_t i = 0; i < nr; i++)
		print_line(out, report, lines[i]);
	free(lines);
	print_vcpus(out, report);
	print_vhosts(out, report);
	print_taps(out, report);
}

/* ---- JSON ---- */

static void add_buckets(json_object *row, const struct hs_stat_sums *sums)
{
	json_object *buckets = hs_json_add_array(row, "buckets");
	uint64_t from_ns, to_ns;

	for (uint32_t i = 0; i < HS_STAT_BUCKET_NR; i++) {
		json_object *bucket;

		if (!sums->buckets[i])
			continue;
		hs_stat_bucket_range(i, &from_ns, &to_ns);
		bucket = hs_json_append_object(buckets);
		hs_json_add_u64(bucket, "from_ns", from_ns);
		hs_json_add_u64(bucket, "to_ns", to_ns);
		hs_json_add_u64(bucket, "count", sums->buckets[i]);
	}
}

/* Who: VM, process, thread, vCPU. */
static void add_thread(const struct hs_stat_report *report, json_object *row, uint32_t tgid, uint32_t tid)
{
	uint32_t vcpu_id = hs_stat_monitor_vcpu_id(report->monitor, tgid, tid);

	hs_json_add_string(row, "vm", hs_stat_monitor_vm_name(report->monitor, tgid, tid));
	hs_json_add_u64(row, "tgid", tgid);
	hs_json_add_u64(row, "tid", tid);
	if (vcpu_id == HS_STAT_VCPU_UNKNOWN)
		hs_json_add_string(row, "vcpu_id", NULL);
	else
		hs_json_add_u64(row, "vcpu_id", vcpu_id);
}

static void add_line(const struct hs_stat_report *report, json_object *rows, const struct hs_stat_line *line)
{
	const struct hs_stat_sums *sums = sums_of(report, line);
	json_object *row = hs_json_append_object(rows);
	char reason[40];

	add_thread(report, row, line->tgid, line->key.tid);
	hs_json_add_string(row, "event", hs_stat_kind_text(line->key.kind));
	hs_json_add_string(row, "reason", hs_stat_reason_text(&line->key, reason, sizeof(reason)));
	hs_json_add_u64(row, "code", line->key.reason);
	hs_json_add_u64(row, "count", sums->count);
	hs_json_add_double(row, "rate", rate(report, sums->count), 1);
	if (!sums->buckets)
		return;
	hs_json_add_u64(row, "timed", sums->timed);
	hs_json_add_u64(row, "total_ns", sums->total_ns);
	hs_json_add_double(row, "share_pct", percent(report, sums->total_ns), 3);
	hs_json_add_u64(row, "avg_ns", average(sums));
	hs_json_add_u64(row, "p50_ns", hs_stat_sums_percentile(sums, 50));
	hs_json_add_u64(row, "p99_ns", hs_stat_sums_percentile(sums, 99));
	hs_json_add_u64(row, "max_ns", sums->max_ns);
	add_buckets(row, sums);
}

static void add_vcpus(const struct hs_stat_report *report, json_object *document)
{
	const struct hs_stat_table *table = &report->monitor->table;
	json_object *rows = hs_json_add_array(document, "vcpus");

	for (size_t i = 0; i < table->vcpu_nr; i++) {
		const struct hs_stat_vcpu_line *line = table->vcpus[i];
		const struct hs_stat_vcpu_sums *sums = vcpu_sums_of(report, line);
		json_object *row;

		if (!has_any(sums, sizeof(*sums)))
			continue;
		row = hs_json_append_object(rows);
		add_thread(report, row, line->tgid, line->tid);
		hs_json_add_bool(row, "has_ended", line->has_ended);
		hs_json_add_u64(row, "entries", sums->entries);
		hs_json_add_u64(row, "guest_ns", sums->guest_ns);
		hs_json_add_u64(row, "cpu_ns", sums->cpu_ns);
		hs_json_add_u64(row, "steal_ns", sums->wait_ns);
		hs_json_add_u64(row, "switches", sums->switches);
	}
}

static void add_vhosts(const struct hs_stat_report *report, json_object *document)
{
	const struct hs_stat_table *table = &report->monitor->table;
	json_object *rows = hs_json_add_array(document, "vhosts");

	for (size_t i = 0; i < table->vhost_nr; i++) {
		const struct hs_stat_vhost_line *line = table->vhosts[i];
		const struct hs_stat_vhost *sums = vhost_sums_of(report, line);
		json_object *row = hs_json_append_object(rows);

		hs_json_add_string(row, "vm", hs_stat_monitor_vm_name(report->monitor, line->tgid, line->tgid));
		hs_json_add_u64(row, "tgid", line->tgid);
		hs_json_add_u64(row, "tx_kicks", sums->tx_kicks);
		hs_json_add_u64(row, "rx_kicks", sums->rx_kicks);
		hs_json_add_u64(row, "signals", sums->signals);
		hs_json_add_u64(row, "buffers", sums->buffers);
	}
}

static void add_taps(const struct hs_stat_report *report, json_object *document)
{
	const struct hs_stat_table *table = &report->monitor->table;
	json_object *rows = hs_json_add_array(document, "taps");

	for (size_t i = 0; i < table->tap_nr; i++) {
		const struct hs_tap_value *sums = tap_sums_of(report, table->taps[i]);
		json_object *row = hs_json_append_object(rows);

		hs_json_add_string(row, "tap", hs_stat_monitor_tap_name(report->monitor, &table->taps[i]->key));
		hs_json_add_u64(row, "ifindex", table->taps[i]->key.ifindex);
		hs_json_add_u64(row, "to_guest_packets", sums->to_guest_packets);
		hs_json_add_u64(row, "to_guest_bytes", sums->to_guest_bytes);
		hs_json_add_u64(row, "from_guest_packets", sums->from_guest_packets);
		hs_json_add_u64(row, "from_guest_bytes", sums->from_guest_bytes);
		hs_json_add_u64(row, "refused_packets", sums->refused_packets);
		hs_json_add_u64(row, "refused_bytes", sums->refused_bytes);
	}
}

static void add_missing(const struct hs_stat_report *report, json_object *document)
{
	json_object *rows = hs_json_add_array(document, "missing");
	size_t missing_nr;
	const struct hs_stat_missing *missing = hs_stat_source_missing(report->monitor->source, &missing_nr);

	for (size_t i = 0; i < missing_nr; i++) {
		json_object *row = hs_json_append_object(rows);

		hs_json_add_string(row, "event", missing[i].event);
		hs_json_add_string(row, "reason", missing[i].reason);
	}
}

json_object *hs_stat_report_to_json(const struct hs_stat_report *report)
{
	json_object *document = json_object_new_object(), *rows;
	struct hs_stat_line **lines;
	struct utsname host;
	size_t nr;

	uname(&host);
	hs_json_add_string(document, "schema", HS_STAT_SCHEMA);
	hs_json_add_string(document, "version", HS_VERSION);
	hs_json_add_string(document, "kernel", host.release);
	hs_json_add_bool(document, "total", report->is_total);
	hs_json_add_u64(document, "boot_ns", report->monitor->table.end_ns);
	hs_json_add_u64(document, "duration_ns", hs_stat_report_duration_ns(report));
	hs_json_add_u64(document, "uncounted", hs_stat_table_uncounted(&report->monitor->table));
	rows = hs_json_add_array(document, "rows");
	lines = sorted_lines(report, &nr);
	for (size_t i = 0; i < nr; i++)
		add_line(report, rows, lines[i]);
	free(lines);
	add_vcpus(report, document);
	add_vhosts(report, document);
	add_taps(report, document);
	add_missing(report, document);
	return document;
}

/* ---- CSV ---- */

void hs_stat_report_print_csv_header(FILE *out)
{
	fputs("time_s,scope,vm,vcpu_id,event,reason,count,rate,total_ns,share_pct,avg_ns,p50_ns,p99_ns,max_ns\n", out);
}

/* Names come from others' command lines: quoted, quotes doubled. */
static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

void hs_stat_report_print_csv(FILE *out, const struct hs_stat_report *report)
{
	const struct hs_stat_table *table = &report->monitor->table;
	size_t nr;
	struct hs_stat_line **lines = sorted_lines(report, &nr);

	for (size_t i = 0; i < nr; i++) {
		const struct hs_stat_sums *sums = sums_of(report, lines[i]);
		char vcpu[16], reason[40];

		fprintf(out, "%.3f,%s,", (double)(table->end_ns - table->start_ns) / 1e9,
			report->is_total ? "total" : "interval");
		print_quoted(out, hs_stat_monitor_vm_name(report->monitor, lines[i]->tgid, lines[i]->key.tid));
		fprintf(out,
			",%s,%s,%s,%" PRIu64 ",%.1f,%" PRIu64 ",%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
			vcpu_text(report, lines[i]->tgid, lines[i]->key.tid, vcpu, sizeof(vcpu)),
			hs_stat_kind_text(lines[i]->key.kind),
			hs_stat_reason_text(&lines[i]->key, reason, sizeof(reason)), sums->count,
			rate(report, sums->count), sums->total_ns, percent(report, sums->total_ns), average(sums),
			hs_stat_sums_percentile(sums, 50), hs_stat_sums_percentile(sums, 99), sums->max_ns);
	}
	free(lines);
}
