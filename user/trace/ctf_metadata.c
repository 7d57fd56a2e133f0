// SPDX-License-Identifier: GPL-2.0-only
/*
 * TSDL (CTF 1.8) for our streams: babeltrace2 and Trace Compass read this, our own reader only the few facts
 * in hs_ctf_info. Event header fields other than timestamp and id would earn a warning from babeltrace2 at
 * every open, so the thread id is the event's context. Pure functions over stdio.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/scoped.h"
#include "trace/ctf_metadata.h"
#include "trace_events/events.h"

#define SIGNATURE "/* CTF 1.8 */\n"
#define NS_PER_S 1000000000

static bool is_plain_name(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	}
	return length > 0 && length < HS_CTF_MACHINE_BYTES;
}

int hs_ctf_info_init(struct hs_ctf_info *out, const char *machine, const char *clock, int64_t clock_offset_ns)
{
	struct hs_ctf_info info = { .clock_offset_ns = clock_offset_ns, .schema = HS_EVENTS_SCHEMA };

	if (!is_plain_name(machine))
		return hs_fail(-EINVAL, "'%s' cannot name a machine: letters, digits and ._- only", machine);
	strcpy(info.machine, machine);
	snprintf(info.clock, sizeof(info.clock), "%s", clock);
	if (getrandom(info.uuid, sizeof(info.uuid), 0) != sizeof(info.uuid))
		return hs_fail(-errno, "no random number for the trace's UUID:");
	info.uuid[6] = (info.uuid[6] & 0x0f) | 0x40; /* RFC 4122: version 4, random */
	info.uuid[8] = (info.uuid[8] & 0x3f) | 0x80;
	*out = info;
	return 0;
}

static void print_uuid(FILE *file, const uint8_t *uuid)
{
	for (int i = 0; i < HS_CTF_UUID_BYTES; i++)
		fprintf(file, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static void print_frame(FILE *file, const struct hs_ctf_info *info)
{
	static const struct {
		const char *name;
		int bits;
	} types[] = { { "uint8_t", 8 }, { "uint16_t", 16 }, { "uint32_t", 32 }, { "uint64_t", 64 } };

	for (size_t i = 0; i < HS_ARRAY_SIZE(types); i++)
		fprintf(file, "typealias integer { size = %d; align = %d; signed = false; } := %s;\n", types[i].bits,
			types[i].bits, types[i].name);
	fputs("\ntrace {\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"", file);
	print_uuid(file, info->uuid);
	fputs("\";\n\tbyte_order = le;\n\tpacket.header := struct {\n\t\tuint32_t magic;\n\t\tuint8_t "
	      "uuid[16];\n"
	      "\t\tuint32_t stream_id;\n\t};\n};\n\n",
	      file);
}

static void print_env_and_clock(FILE *file, const struct hs_ctf_info *info)
{
	int64_t seconds = info->clock_offset_ns / NS_PER_S, rest = info->clock_offset_ns % NS_PER_S;
	const char *clock = info->clock[0] ? info->clock : HS_CTF_CLOCK;

	if (rest < 0) {
		rest += NS_PER_S;
		seconds--;
	}
	fprintf(file,
		"env {\n\thostname = \"%s\";\n\tdomain = \"kernel\";\n\ttracer_name = \"hsbpf\";\n"
		"\thsbpf_machine = \"%s\";\n\thsbpf_schema = %" PRIu32 ";\n};\n\n",
		info->machine, info->machine, info->schema);
	fprintf(file,
		"clock {\n\tname = %s;\n\tdescription = \"%s; the offset gives CLOCK_REALTIME\";\n"
		"\tfreq = 1000000000;\n\toffset_s = %" PRId64 ";\n\toffset = %" PRId64 ";\n};\n\n",
		clock, strcmp(clock, HS_CTF_CLOCK) ? "a clock of ftrace" : "CLOCK_BOOTTIME", seconds, rest);
	fprintf(file,
		"typealias integer { size = 64; align = 64; signed = false; map = clock.%s.value; } := stamp_t;\n\n",
		clock);
}

void hs_ctf_metadata_print_stream(FILE *file, unsigned int id, const char *header, const char *context)
{
	fprintf(file,
		"stream {\n\tid = %u;\n\tpacket.context := struct {\n\t\tstamp_t timestamp_begin;\n"
		"\t\tstamp_t timestamp_end;\n\t\tuint64_t content_size;\n\t\tuint64_t packet_size;\n"
		"\t\tuint64_t events_discarded;\n\t\tuint64_t packet_seq_num;\n\t\tuint32_t cpu_id;\n"
		"\t\tuint32_t unused;\n\t};\n"
		"\tevent.header := struct { %s };\n\tevent.context := struct { %s };\n};\n\n",
		id, header, context);
}

static void print_field(FILE *file, const struct hs_field *field)
{
	int bits = 8 * field->size;

	if (field->list) {
		fprintf(file, "\t\tenum : uint%d_t {", bits);
		for (unsigned int i = 0; i < field->list->value_nr; i++)
			fprintf(file, "%s \"%s\" = %u", i ? "," : "", field->list->values[i].text,
				field->list->values[i].value);
		fprintf(file, " } %s;\n", field->name);
		return;
	}
	fprintf(file, "\t\tinteger { size = %d; align = %d; signed = %s; base = %s; } %s;\n", bits, bits,
		field->is_signed ? "true" : "false",
		field->format == HS_FORMAT_HEX || field->format == HS_FORMAT_IPV4 ? "hex" : "dec", field->name);
}

static void print_event(FILE *file, const struct hs_event *event)
{
	fprintf(file, "/* %s */\nevent {\n\tname = \"%s\";\n\tid = %u;\n\tstream_id = 0;\n\tfields := struct {\n",
		event->doc, event->name, event->id);
	for (unsigned int i = 0; i < event->field_nr; i++)
		print_field(file, &event->fields[i]);
	fputs("\t};\n};\n\n", file);
}

void hs_ctf_metadata_print_head(FILE *file, const struct hs_ctf_info *info)
{
	fputs(SIGNATURE, file);
	print_frame(file, info);
	print_env_and_clock(file, info);
}

/* The stamp of ctf.h, bit by bit. */
static void print_own_stream(FILE *file, const struct hs_ctf_info *info)
{
	char header[192], context[96];

	snprintf(header, sizeof(header),
		 "integer { size = 32; align = 64; signed = false; map = clock.%s.value; } timestamp; "
		 "integer { size = %d; align = 1; signed = false; } id;",
		 info->clock[0] ? info->clock : HS_CTF_CLOCK, HS_CTF_STAMP_ID_BITS);
	snprintf(context, sizeof(context), "integer { size = %d; align = 1; signed = false; } tid;",
		 HS_CTF_STAMP_TID_BITS);
	hs_ctf_metadata_print_stream(file, 0, header, context);
}

void hs_ctf_metadata_print(FILE *file, const struct hs_ctf_info *info)
{
	hs_ctf_metadata_print_head(file, info);
	print_own_stream(file, info);
	for (unsigned int i = 0; i < hs_event_nr; i++)
		print_event(file, &hs_events[i]);
}

/* What stands after "<key> = " at the start of a line, NULL when there is no such line. */
static const char *find_value(const char *text, const char *key)
{
	char line_start[64];
	const char *at;

	snprintf(line_start, sizeof(line_start), "\n\t%s = ", key);
	at = strstr(text, line_start);
	return at ? at + strlen(line_start) : NULL;
}

static int parse_number(const char *text, const char *key, int64_t *number)
{
	const char *at = find_value(text, key);
	char *end;

	if (!at)
		return -EBADMSG;
	errno = 0;
	*number = strtoll(at, &end, 10);
	return errno || end == at || *end != ';' ? -EBADMSG : 0;
}

static int parse_uuid(const char *text, uint8_t *uuid)
{
	const char *at = find_value(text, "uuid");

	if (!at || *at++ != '"')
		return -EBADMSG;
	for (int i = 0; i < HS_CTF_UUID_BYTES; i++) {
		char digits[3] = "";

		at += *at == '-';
		strncpy(digits, at, 2);
		if (strspn(digits, "0123456789abcdef") != 2)
			return -EBADMSG;
		uuid[i] = strtoul(digits, NULL, 16);
		at += 2;
	}
	return 0;
}

static int parse_machine(const char *text, char *machine)
{
	const char *at = find_value(text, "hsbpf_machine");
	size_t length;

	if (!at || *at++ != '"')
		return -EBADMSG;
	length = strcspn(at, "\"\n");
	if (at[length] != '"' || length >= HS_CTF_MACHINE_BYTES)
		return -EBADMSG;
	memcpy(machine, at, length);
	machine[length] = '\0';
	return 0;
}

static int parse_clock(const char *text, char *clock)
{
	const char *block = strstr(text, "\nclock {\n\tname = ");
	const char *at = block ? block + strlen("\nclock {\n\tname = ") : "";
	size_t length = strcspn(at, ";\n");

	if (at[length] != ';' || !length || length >= HS_CTF_CLOCK_BYTES)
		return -EBADMSG;
	memcpy(clock, at, length);
	clock[length] = '\0';
	return 0;
}

int hs_ctf_metadata_parse(const char *text, struct hs_ctf_info *info)
{
	struct hs_ctf_info parsed;
	int64_t seconds, rest, schema;

	if (strncmp(text, SIGNATURE, strlen(SIGNATURE)) || parse_machine(text, parsed.machine) ||
	    parse_clock(text, parsed.clock) || parse_uuid(text, parsed.uuid) ||
	    parse_number(text, "offset_s", &seconds) || parse_number(text, "offset", &rest) ||
	    parse_number(text, "hsbpf_schema", &schema))
		return -EBADMSG;
	if (schema < 1 || schema > UINT32_MAX || __builtin_mul_overflow(seconds, NS_PER_S, &parsed.clock_offset_ns) ||
	    __builtin_add_overflow(parsed.clock_offset_ns, rest, &parsed.clock_offset_ns))
		return -EBADMSG;
	parsed.schema = schema;
	*info = parsed;
	return 0;
}
