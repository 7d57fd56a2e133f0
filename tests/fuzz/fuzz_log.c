// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as records of /dev/kmsg, as records that come to a merge in any order, and as lines of a log that goes on.
 * What is printed of a record is one line without control characters, JSON that a parser takes, and inside a machine
 * every number comes out once or is told as missing. Run for N seconds:
 *     build/tests/fuzz/fuzz_log -max_total_time=N
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/scoped.h"
#include "journal/kmsg.h"
#include "journal/merge.h"
#include "journal/resume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NUMBERS 64

static struct {
	struct hs_journal_buffer line, json;
	unsigned seen[2][NUMBERS], missing[2][NUMBERS];
	uint64_t newest_ns;
} out;

/* One line that a terminal shows as it is. */
static void check_line(const struct hs_journal_record *record)
{
	json_object *document;

	out.line.len = out.json.len = 0;
	hs_journal_record_print(record, &out.line);
	hs_journal_record_print_json(record, &out.json);
	if (out.line.err || out.json.err)
		abort();
	for (size_t i = 0; i + 1 < out.line.len; i++)
		if ((unsigned char)out.line.bytes[i] < ' ' || out.line.bytes[i] == 0x7f)
			abort();
	if (out.line.bytes[out.line.len - 1] != '\n' || memchr(out.json.bytes, '\n', out.json.len - 1))
		abort();
	hs_journal_buffer_add(&out.json, "", 1);
	document = json_tokener_parse(out.json.bytes);
	if (!document)
		abort();
	json_object_put(document);
}

static void on_record(void *ctx, const struct hs_journal_record *record)
{
	unsigned machine = record->machine[0] == 'b';

	(void)ctx;
	check_line(record);
	if (record->kind == HS_JOURNAL_GAP) {
		for (uint64_t seq = record->seq; seq <= record->last_seq && seq < NUMBERS; seq++)
			out.missing[machine][seq]++;
		return;
	}
	if (!record->late_ns && record->boot_ns < out.newest_ns && !record->has_seq)
		abort(); /* out of order, and not said */
	out.newest_ns = record->boot_ns > out.newest_ns ? record->boot_ns : out.newest_ns;
	if (!record->has_seq)
		return;
	for (uint64_t seq = record->seq; seq <= record->last_seq; seq++)
		if (out.seen[machine][seq]++)
			abort(); /* twice */
}

static void fuzz_kmsg(const uint8_t *data, size_t size)
{
	scoped(mem) char *text = malloc(size + 1);
	struct hs_journal_record record = hs_journal_record_new("x", HS_JOURNAL_KERNEL);
	struct hs_kmsg kmsg;

	if (!text || hs_kmsg_parse((const char *)data, size, text, &kmsg))
		return;
	if (kmsg.len > size || kmsg.severity < 0 || kmsg.severity > 7)
		abort();
	record.text = text;
	record.len = kmsg.len;
	record.seq = record.last_seq = kmsg.seq;
	record.has_seq = true;
	record.real_ns = kmsg.time_us;
	check_line(&record);
}

/* Four bytes a record: machine, number and kind; number; time; how long until the next. */
static void fuzz_merge(const uint8_t *data, size_t size)
{
	struct hs_merge_config config = { .window_ns = 100, .memory_bytes = 4096, .on_record = on_record };
	scoped(hs_merge) struct hs_merge *merge = NULL;
	uint64_t now_ns = 1000;

	memset(out.seen, 0, sizeof(out.seen));
	memset(out.missing, 0, sizeof(out.missing));
	out.newest_ns = 0;
	if (hs_merge_open(&config, &merge) || hs_merge_add_stream(merge, "a", HS_JOURNAL_KERNEL) != 0 ||
	    hs_merge_add_stream(merge, "b", HS_JOURNAL_KERNEL) != 1)
		return;
	for (; size >= 4; data += 4, size -= 4) {
		struct hs_journal_record record = hs_journal_record_new(NULL, HS_JOURNAL_KERNEL);

		record.has_seq = true;
		record.seq = record.last_seq = data[1] % NUMBERS;
		record.severity = data[0] >> 5;
		record.boot_ns = now_ns + data[2] - 200;
		record.tid = data[0] & 2 ? data[0] & 4 : HS_JOURNAL_UNKNOWN;
		record.text = (const char *)data;
		record.len = 4;
		if (hs_merge_put(merge, data[0] & 1, &record, data[0] & 8, now_ns))
			abort();
		now_ns += data[3];
		hs_merge_advance(merge, now_ns);
		if (data[0] & 16)
			hs_merge_set_level(merge, "a", data[2] & 7);
	}
	hs_merge_flush(merge);
	if (hs_merge_advance(merge, UINT64_MAX / 2))
		abort(); /* something was kept */
}

static void fuzz_resume(const uint8_t *data, size_t size)
{
	scoped(mem) struct hs_resume *resume = calloc(1, sizeof(*resume));
	struct hs_journal_buffer text = { 0 };
	const uint8_t *newline;

	while (resume && (newline = memchr(data, '\n', size))) {
		hs_resume_take_line(resume, (const char *)data, (size_t)(newline - data));
		size -= (size_t)(newline - data) + 1;
		data = newline + 1;
	}
	if (resume)
		hs_resume_print(resume, &text);
	hs_journal_buffer_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	fuzz_kmsg(data, size);
	fuzz_resume(data, size);
	fuzz_merge(data, size);
	return 0;
}
