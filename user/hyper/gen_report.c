// SPDX-License-Identifier: GPL-2.0-only
/* Prints a trace's header and tables. Called by `hsbpf trace-gen`. Pure; any thread. */
#include "hyper/gen_report.h"

#include <inttypes.h>

#include "base/unit.h"

#define TENANTS_SHOWN 8 /* of the first, for people; the document has all */

static const char *const ignored_keys[HS_DMATRACE_IGNORED_NR] = {
	[HS_DMATRACE_IGNORED_FOREIGN] = "foreign_lines",
	[HS_DMATRACE_IGNORED_TORN] = "torn_lines",
	[HS_DMATRACE_IGNORED_EVENT] = "unused_lines",
	[HS_DMATRACE_IGNORED_STRAY] = "stray_translations",
	[HS_DMATRACE_IGNORED_OPEN] = "open_translations",
	[HS_DMATRACE_IGNORED_ADDRESS] = "bad_translations",
	[HS_DMATRACE_IGNORED_TENANT] = "unused_tenants_translations",
	[HS_DMATRACE_IGNORED_INVALIDATION] = "unused_invalidations",
};

static void format_sha256(char text[2 * HS_DMATRACE_SHA256_BYTES + 1], const uint8_t *hash)
{
	for (int i = 0; i < HS_DMATRACE_SHA256_BYTES; i++)
		sprintf(text + 2 * i, "%02x", hash[i]);
}

static uint32_t count_copies(const struct hs_dmatrace *trace)
{
	uint32_t copies = 0;

	for (uint32_t i = 0; i < trace->header->tenant_nr; i++)
		copies += trace->tenants[i].flags & HS_DMATRACE_IS_COPY ? 1 : 0;
	return copies;
}

static void add_source(json_object *array, const struct hs_dmatrace_source *source)
{
	json_object *row = hs_json_append_object(array), *ignored;
	char hash[2 * HS_DMATRACE_SHA256_BYTES + 1];

	format_sha256(hash, source->sha256);
	hs_json_add_string(row, "name", source->name);
	hs_json_add_string(row, "sha256", hash);
	hs_json_add_u64(row, "file_bytes", source->file_bytes);
	hs_json_add_u64(row, "text_bytes", source->text_bytes);
	hs_json_add_u64(row, "lines", source->lines);
	hs_json_add_u64(row, "translations", source->translations);
	hs_json_add_u64(row, "packets", source->packets);
	hs_json_add_u64(row, "invalidations", source->invalidations);
	ignored = hs_json_add_object(row, "ignored");
	for (int i = 0; i < HS_DMATRACE_IGNORED_NR; i++)
		hs_json_add_u64(ignored, ignored_keys[i], source->ignored[i]);
}

static void add_tenant(json_object *array, const struct hs_dmatrace_tenant *tenant, uint32_t number)
{
	json_object *row = hs_json_append_object(array);
	bool is_copy = tenant->flags & HS_DMATRACE_IS_COPY;

	hs_json_add_u64(row, "tenant", number);
	hs_json_add_u64(row, "source", tenant->source);
	hs_json_add_u64(row, "sid", tenant->sid);
	hs_json_add_u64(row, "domain", tenant->domain);
	hs_json_add_u64(row, "epochs", tenant->epochs);
	hs_json_add_u64(row, "levels", tenant->levels);
	hs_json_add_bool(row, "levels_guessed", tenant->flags & HS_DMATRACE_LEVELS_GUESSED);
	if (is_copy)
		hs_json_add_u64(row, "copy_of", tenant->copy_of);
	hs_json_add_u64(row, "phase_packets", tenant->phase_packets);
	hs_json_add_u64(row, "translations", tenant->translations);
	hs_json_add_u64(row, "packets", tenant->packets);
	hs_json_add_u64(row, "invalidations", tenant->invalidations);
}

static void add_cut(json_object *document, const struct hs_dmatrace_header *header)
{
	json_object *cut = hs_json_add_object(document, "cut");

	hs_json_add_bool(cut, "is_cut", header->flags & HS_DMATRACE_CUT);
	hs_json_add_u64(cut, "packets_per_tenant", header->cut_packets);
	hs_json_add_u64(cut, "records_before_first_end", header->first_end);
}

json_object *hs_gen_report_to_json(const struct hs_dmatrace *trace, const char *path)
{
	const struct hs_dmatrace_header *header = trace->header;
	json_object *document = json_object_new_object(), *array;

	hs_json_add_string(document, "schema", "hsbpf.trace-gen/1");
	hs_json_add_string(document, "file", path);
	hs_json_add_u64(document, "bytes", header->records_at + header->record_nr * header->record_bytes);
	hs_json_add_string(document, "order", hs_dmatrace_order_name(header->order));
	hs_json_add_u64(document, "burst", header->burst);
	hs_json_add_u64(document, "seed", header->seed);
	hs_json_add_u64(document, "translations_per_packet", header->packet_rule);
	hs_json_add_u64(document, "tenants", header->tenant_nr);
	hs_json_add_u64(document, "copies", count_copies(trace));
	hs_json_add_u64(document, "records", header->record_nr);
	hs_json_add_u64(document, "translations", header->translation_nr);
	hs_json_add_u64(document, "packets", header->packet_nr);
	hs_json_add_u64(document, "invalidations", header->record_nr - header->translation_nr);
	add_cut(document, header);
	array = hs_json_add_array(document, "sources");
	for (uint32_t i = 0; i < header->source_nr; i++)
		add_source(array, &trace->sources[i]);
	array = hs_json_add_array(document, "tenant_list");
	for (uint32_t i = 0; i < header->tenant_nr; i++)
		add_tenant(array, &trace->tenants[i], i);
	return document;
}

/* ---- for people ---------------------------------------------------------------------------------- */

static void print_source(const struct hs_dmatrace_source *source, FILE *out)
{
	char hash[2 * HS_DMATRACE_SHA256_BYTES + 1], bytes[32];

	format_sha256(hash, source->sha256);
	fprintf(out, "  %s: %s, %" PRIu64 " lines, %" PRIu64 " translations, %" PRIu64 " packets", source->name,
		hs_format_bytes(bytes, sizeof(bytes), source->file_bytes), source->lines, source->translations,
		source->packets);
	if (source->invalidations)
		fprintf(out, ", %" PRIu64 " invalidations", source->invalidations);
	fprintf(out, "\n    sha256 %s\n", hash);
	for (int i = 0; i < HS_DMATRACE_IGNORED_NR; i++)
		if (source->ignored[i])
			fprintf(out, "    ignored: %" PRIu64 " %s\n", source->ignored[i],
				hs_dmatrace_ignored_name((enum hs_dmatrace_ignored)i));
}

static void print_tenants(const struct hs_dmatrace *trace, FILE *out)
{
	uint32_t nr = trace->header->tenant_nr, shown = nr < TENANTS_SHOWN ? nr : TENANTS_SHOWN;
	char copy[16];

	fprintf(out, "\n%6s  %4s  %6s  %6s  %6s  %6s  %5s  %10s  %8s  %12s\n", "tenant", "log", "sid", "domain",
		"epochs", "levels", "as", "from", "packets", "translations");
	for (uint32_t i = 0; i < shown; i++) {
		const struct hs_dmatrace_tenant *tenant = &trace->tenants[i];

		snprintf(copy, sizeof(copy), tenant->flags & HS_DMATRACE_IS_COPY ? "%u" : "-", tenant->copy_of);
		fprintf(out, "%6u  %4u  0x%04x  0x%04x  %6u  %5u%c  %5s  %10" PRIu64 "  %8" PRIu64 "  %12" PRIu64 "\n",
			i, tenant->source, tenant->sid, tenant->domain, tenant->epochs, tenant->levels,
			tenant->flags & HS_DMATRACE_LEVELS_GUESSED ? '?' : ' ', copy, tenant->phase_packets,
			tenant->packets, tenant->translations);
	}
	if (shown < nr)
		fprintf(out, "   ... and %u more; --json has all\n", nr - shown);
}

static void print_order(const struct hs_dmatrace_header *header, FILE *out)
{
	fprintf(out, "order %s", hs_dmatrace_order_name(header->order));
	if (header->order != HS_DMATRACE_ORIG)
		fprintf(out, ", %u packet%s of a tenant in a row", header->burst, header->burst == 1 ? "" : "s");
	if (header->order == HS_DMATRACE_RAND)
		fprintf(out, ", seed %" PRIu64, header->seed);
	if (header->packet_rule)
		fprintf(out, "; a packet is %u translations", header->packet_rule);
	else
		fprintf(out, "; packets as found in the log");
	if (header->cut_packets)
		fprintf(out, "; cut after %" PRIu64 " packets of each tenant", header->cut_packets);
	else if (header->flags & HS_DMATRACE_CUT)
		fprintf(out, "; cut: not all packets of the logs are in it");
	fprintf(out, "\n");
}

void hs_gen_report_print(const struct hs_dmatrace *trace, const char *path, FILE *out)
{
	const struct hs_dmatrace_header *header = trace->header;
	uint32_t copies = count_copies(trace);
	char bytes[32];

	fprintf(out, "%s: %s, %" PRIu64 " translations in %" PRIu64 " packets (%.2f each) of %u tenants", path,
		hs_format_bytes(bytes, sizeof(bytes), header->records_at + header->record_nr * header->record_bytes),
		header->translation_nr, header->packet_nr,
		header->packet_nr ? (double)header->translation_nr / (double)header->packet_nr : 0.0,
		header->tenant_nr);
	if (copies)
		fprintf(out, ", %u of them copies", copies);
	fprintf(out, ", %" PRIu64 " invalidations\n", header->record_nr - header->translation_nr);
	print_order(header, out);
	fprintf(out, "the first tenant runs out after %.1f %% of the trace\n",
		header->record_nr ? 100.0 * (double)header->first_end / (double)header->record_nr : 100.0);
	fprintf(out, "\nlogs:\n");
	for (uint32_t i = 0; i < header->source_nr; i++)
		print_source(&trace->sources[i], out);
	print_tenants(trace, out);
}
