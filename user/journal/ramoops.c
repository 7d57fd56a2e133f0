// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zone by zone: put right what parity can, take the ring apart, unpack a dump. A zone whose header is beyond repair is
 * read from its begin: dumps always begin there.
 */
#include "journal/ramoops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "journal/ecc.h"

#define SIGNATURE 0x43474244u /* "DBGC" */
#define HEADER_BYTES 12
#define BLOCK_BYTES 128
#define ZONE_BYTES_MIN 256
#define ZONES_MAX 4096
#define SECOND_NS 1000000000ull
/* A text is packed 20 times at best, zeros more: no region makes more of one record than this. */
#define TEXT_BYTES_MAX (4u << 20)
#define FTRACE_CPUS_MAX 256

struct zone {
	enum hs_ramoops_kind kind;
	unsigned number;
	uint8_t *bytes; /* a copy, put right */
	size_t capacity;
	size_t start, size;
	bool has_bad_header;
	bool *is_bad; /* of each block */
	size_t blocks;
	unsigned corrected;
};

const char *hs_ramoops_kind_name(enum hs_ramoops_kind kind)
{
	static const char *const names[] = { "dmesg", "console", "ftrace", "pmsg" };

	return names[kind];
}

static size_t parity_blocks(size_t zone_bytes)
{
	size_t room = zone_bytes - HEADER_BYTES - HS_ECC_PARITY, unit = BLOCK_BYTES + HS_ECC_PARITY;

	return (room + unit - 1) / unit;
}

static size_t capacity_of(size_t zone_bytes)
{
	return zone_bytes - HEADER_BYTES - (parity_blocks(zone_bytes) + 1) * HS_ECC_PARITY;
}

static uint32_t word_at(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t long_at(const uint8_t *bytes)
{
	return word_at(bytes) | (uint64_t)word_at(bytes + 4) << 32;
}

/* ---- a zone's own bytes ---- */

/* The header put right in place; false: beyond repair. */
static bool mend_header(const struct hs_ecc *ecc, uint8_t *zone, size_t zone_bytes, unsigned *corrected)
{
	int wrong = hs_ecc_decode(ecc, zone, HEADER_BYTES, zone + zone_bytes - HS_ECC_PARITY);

	*corrected += wrong > 0 ? (unsigned)wrong : 0;
	return wrong >= 0;
}

static void mend_blocks(const struct hs_ecc *ecc, struct zone *zone)
{
	uint8_t *data = zone->bytes + HEADER_BYTES, *parity = data + zone->capacity;

	for (size_t i = 0; i < zone->blocks; i++) {
		size_t at = i * BLOCK_BYTES,
		       bytes = zone->capacity - at < BLOCK_BYTES ? zone->capacity - at : BLOCK_BYTES;
		int wrong = hs_ecc_decode(ecc, data + at, bytes, parity + i * HS_ECC_PARITY);

		zone->is_bad[i] = wrong < 0;
		zone->corrected += wrong > 0 ? (unsigned)wrong : 0;
	}
}

static bool has_signature(const struct zone *zone, uint32_t signature)
{
	/* Of ftrace zones it is mixed with the kernel's version: there, any that is not 0. */
	return zone->kind == HS_RAMOOPS_FTRACE ? signature != 0 : signature == SIGNATURE;
}

/* Of a zone whose header is gone: all up to the last byte that is not 0. */
static size_t guess_size(const struct zone *zone)
{
	size_t size = zone->capacity;

	while (size && !zone->bytes[HEADER_BYTES + size - 1])
		size--;
	return size;
}

/* 1: it holds something; 0: empty, never used, or nonsense that is intact; -errno. */
static int open_zone(const struct hs_ecc *ecc, const uint8_t *bytes, size_t zone_bytes, struct zone *zone)
{
	zone->bytes = malloc(zone_bytes);
	zone->capacity = capacity_of(zone_bytes);
	if (!zone->bytes)
		return -ENOMEM;
	memcpy(zone->bytes, bytes, zone_bytes);
	zone->has_bad_header = !mend_header(ecc, zone->bytes, zone_bytes, &zone->corrected);
	zone->start = word_at(zone->bytes + 4);
	zone->size = word_at(zone->bytes + 8);
	if (zone->has_bad_header) {
		zone->start = 0;
		zone->size = guess_size(zone);
	} else if (!has_signature(zone, word_at(zone->bytes)) || zone->size > zone->capacity ||
		   zone->start > zone->size) {
		return 0;
	}
	zone->blocks = (zone->size + BLOCK_BYTES - 1) / BLOCK_BYTES;
	zone->is_bad = calloc(zone->blocks + 1, sizeof(*zone->is_bad));
	if (!zone->is_bad)
		return -ENOMEM;
	mend_blocks(ecc, zone);
	return zone->size != 0;
}

static void close_zone(struct zone *zone)
{
	free(zone->bytes);
	free(zone->is_bad);
}

/* ---- from the ring to a text ---- */

struct text {
	char *bytes;
	size_t len;
	FILE *file;
};

static void text_scoped(struct text *text)
{
	if (text->file)
		fclose(text->file);
	free(text->bytes);
}

static int text_open(struct text *text)
{
	text->file = open_memstream(&text->bytes, &text->len);
	return text->file ? 0 : -ENOMEM;
}

/* The text and its length are the record's from now on. */
static int text_give(struct text *text, struct hs_ramoops_record *record)
{
	int err = fclose(take(text->file)) ? -ENOMEM : 0;

	record->text = take(text->bytes);
	record->len = text->len;
	return err || !record->text ? -ENOMEM : 0;
}

/* The byte at place `i` of the record lies at this place of the zone. */
static size_t place_of(const struct zone *zone, size_t i)
{
	return (zone->start + i) % zone->size;
}

static bool is_bad_at(const struct zone *zone, size_t i)
{
	return zone->is_bad[place_of(zone, i) / BLOCK_BYTES];
}

/* The next stretch from i on that is all good or all bad. */
static size_t stretch_end(const struct zone *zone, size_t i)
{
	bool is_bad = is_bad_at(zone, i);

	while (i < zone->size && is_bad_at(zone, i) == is_bad)
		i++;
	return i;
}

static void add_plain(const struct zone *zone, size_t from, struct text *text, struct hs_ramoops_record *record)
{
	for (size_t i = from, end; i < zone->size; i = end) {
		end = stretch_end(zone, i);
		if (is_bad_at(zone, i)) {
			fprintf(text->file, "\n[%zu bytes are damaged here]\n", end - i);
			record->lost_bytes += end - i;
			continue;
		}
		for (; i < end; i++)
			fputc(zone->bytes[HEADER_BYTES + place_of(zone, i)], text->file);
	}
}

/* inflate() up to the end of its input or to what makes no sense; what came out until then is right. */
static bool unpack(const uint8_t *packed, size_t bytes, struct text *text)
{
	z_stream stream = { .next_in = (uint8_t *)packed, .avail_in = (uInt)bytes };
	uint8_t room[16384];
	size_t total = 0;
	int result = inflateInit2(&stream, -MAX_WBITS);

	while (result == Z_OK && total < TEXT_BYTES_MAX) {
		size_t got;

		stream.next_out = room;
		stream.avail_out = sizeof(room);
		result = inflate(&stream, Z_NO_FLUSH);
		got = sizeof(room) - stream.avail_out;
		fwrite(room, 1, got, text->file);
		total += got;
		if (!got && !stream.avail_in)
			break;
	}
	inflateEnd(&stream);
	return result == Z_STREAM_END;
}

/* From `from` on, a deflate stream: what follows a damaged block cannot be told any more. */
static void add_packed(const struct zone *zone, size_t from, struct text *text, struct hs_ramoops_record *record)
{
	size_t end = from;

	while (end < zone->size && !zone->is_bad[end / BLOCK_BYTES])
		end++;
	record->was_packed = true;
	if (unpack(zone->bytes + HEADER_BYTES + from, end - from, text) || (zone->has_bad_header && end == zone->size))
		return;
	record->lost_bytes = zone->size - end;
	fprintf(text->file, "\n[the rest, %zu packed bytes, is damaged]\n", zone->size - end);
}

/* "====SECONDS.MICROSECONDS-C\n", -D for a plain text; older kernels have neither. Its length, 0: it is not there. */
static size_t parse_dump_header(const struct zone *zone, uint64_t *real_ns, bool *is_packed)
{
	unsigned long long seconds, us;
	char line[48], kind = 'D';
	size_t len = zone->size < sizeof(line) - 1 ? zone->size : sizeof(line) - 1;
	const char *end;

	if (zone->start % zone->size || zone->is_bad[0])
		return 0;
	memcpy(line, zone->bytes + HEADER_BYTES, len);
	line[len] = '\0';
	end = strchr(line, '\n');
	if (!end || sscanf(line, "====%llu.%llu-%c", &seconds, &us, &kind) < 2 ||
	    seconds > UINT64_MAX / SECOND_NS - 1 || us > 999999)
		return 0;
	*real_ns = seconds * SECOND_NS + us * 1000;
	*is_packed = kind == 'C';
	return (size_t)(end - line) + 1;
}

static int read_dump(const struct zone *zone, struct hs_ramoops_record *record)
{
	__attribute__((cleanup(text_scoped))) struct text text = { 0 };
	bool is_packed = false;
	size_t from = parse_dump_header(zone, &record->real_ns, &is_packed);
	int err = text_open(&text);

	if (err)
		return err;
	if (is_packed)
		add_packed(zone, from, &text, record);
	else
		add_plain(zone, from, &text, record);
	return text_give(&text, record);
}

static int read_plain(const struct zone *zone, struct hs_ramoops_record *record)
{
	__attribute__((cleanup(text_scoped))) struct text text = { 0 };
	int err = text_open(&text);

	if (err)
		return err;
	add_plain(zone, 0, &text, record);
	return text_give(&text, record);
}

/* struct pstore_ftrace_record of 64-bit kernels: ip, parent_ip, and a count of calls above the CPU's number. */
static int read_calls(const struct zone *zone, struct hs_ramoops_record *record)
{
	enum { CALL_BYTES = 24 };
	__attribute__((cleanup(text_scoped))) struct text text = { 0 };
	/* A ring of a size that is no multiple of a call's begins, once it is full, with a part of one. */
	size_t from = zone->start % zone->size ? zone->size % CALL_BYTES : 0;
	int err = text_open(&text);

	for (size_t i = from; !err && i + CALL_BYTES <= zone->size; i += CALL_BYTES) {
		uint8_t call[CALL_BYTES];
		bool is_bad = false;

		for (size_t k = 0; k < CALL_BYTES; k++) {
			call[k] = zone->bytes[HEADER_BYTES + place_of(zone, i + k)];
			is_bad |= is_bad_at(zone, i + k);
		}
		if (is_bad) {
			record->lost_bytes += CALL_BYTES;
			continue;
		}
		fprintf(text.file, "%" PRIu64 " cpu%" PRIu64 " %016" PRIx64 " <- %016" PRIx64 "\n",
			long_at(call + 16) >> 8, long_at(call + 16) & 0xff, long_at(call), long_at(call + 8));
	}
	if (!err && record->lost_bytes)
		fprintf(text.file, "[%zu bytes of calls are damaged]\n", record->lost_bytes);
	return err ? err : text_give(&text, record);
}

static int read_zone(const struct zone *zone, struct hs_ramoops_record *record)
{
	static int (*const readers[])(const struct zone *zone, struct hs_ramoops_record *record) = {
		[HS_RAMOOPS_DUMP] = read_dump,
		[HS_RAMOOPS_CONSOLE] = read_plain,
		[HS_RAMOOPS_FTRACE] = read_calls,
		[HS_RAMOOPS_PMSG] = read_plain,
	};

	record->kind = zone->kind;
	record->number = zone->number;
	record->has_bad_header = zone->has_bad_header;
	record->corrected_bytes = zone->corrected;
	record->blocks = (unsigned)zone->blocks;
	for (size_t i = 0; i < zone->blocks; i++)
		record->damaged_blocks += zone->is_bad[i];
	return readers[zone->kind](zone, record);
}

/* ---- all zones ---- */

static int add_zone(const struct hs_ecc *ecc, const uint8_t *bytes, size_t zone_bytes, enum hs_ramoops_kind kind,
		    unsigned number, struct hs_ramoops *ramoops)
{
	struct zone zone = { .kind = kind, .number = number };
	struct hs_ramoops_record record = { 0 }, *more;
	int err = open_zone(ecc, bytes, zone_bytes, &zone);

	if (err > 0)
		err = read_zone(&zone, &record) ?: 1;
	close_zone(&zone);
	if (err > 0 && record.damaged_blocks == record.blocks) { /* with its header or without: nothing is left of it */
		ramoops->damaged_zones++;
		err = 0;
	}
	more = err > 0 ? reallocarray(ramoops->record, ramoops->nr + 1, sizeof(*more)) : NULL;
	if (!more) {
		free(record.text);
		return err > 0 ? -ENOMEM : err;
	}
	ramoops->record = more;
	ramoops->record[ramoops->nr++] = record;
	return 0;
}

/* The kernel gives each possible CPU a part: the most parts by which the first header is right, since empty ones look
 * alike. */
static unsigned count_ftrace_cpus(const struct hs_ecc *ecc, const uint8_t *bytes, size_t ftrace_bytes)
{
	uint8_t parity[HS_ECC_PARITY];
	unsigned found = 1;

	hs_ecc_encode(ecc, bytes, HEADER_BYTES, parity);
	for (unsigned cpus = 1; cpus <= FTRACE_CPUS_MAX && ftrace_bytes / cpus >= ZONE_BYTES_MIN; cpus++)
		if (!memcmp(parity, bytes + ftrace_bytes / cpus - HS_ECC_PARITY, sizeof(parity)))
			found = cpus;
	return found;
}

static int by_time(const void *a, const void *b)
{
	const struct hs_ramoops_record *one = a, *other = b;

	if (one->kind != other->kind)
		return one->kind < other->kind ? -1 : 1;
	if (one->real_ns != other->real_ns)
		return one->real_ns < other->real_ns ? -1 : 1;
	return one->number < other->number ? -1 : one->number > other->number;
}

static bool is_layout(size_t bytes, const struct hs_ramoops_layout *layout)
{
	const size_t sizes[] = { layout->dump_bytes, layout->console_bytes, layout->ftrace_bytes, layout->pmsg_bytes };
	size_t others = 0;

	for (size_t i = 0; i < HS_ARRAY_SIZE(sizes); i++) {
		if (sizes[i] && (sizes[i] < ZONE_BYTES_MIN || sizes[i] > bytes))
			return false;
		others += i ? sizes[i] : 0;
	}
	return others <= bytes && (!layout->dump_bytes || (bytes - others) / layout->dump_bytes <= ZONES_MAX);
}

int hs_ramoops_decode(const void *region, size_t bytes, const struct hs_ramoops_layout *layout, struct hs_ramoops **out)
{
	scoped(hs_ramoops) struct hs_ramoops *ramoops = calloc(1, sizeof(*ramoops));
	size_t dumps = bytes - layout->console_bytes - layout->ftrace_bytes - layout->pmsg_bytes, at = 0;
	unsigned dump_nr, cpus;
	struct hs_ecc ecc;
	int err = 0;

	if (!ramoops)
		return -ENOMEM;
	if (!is_layout(bytes, layout))
		return -EINVAL;
	hs_ecc_init(&ecc);
	dump_nr = layout->dump_bytes ? (unsigned)(dumps / layout->dump_bytes) : 0;
	for (unsigned i = 0; !err && i < dump_nr; i++, at += dumps / dump_nr)
		err = add_zone(&ecc, (const uint8_t *)region + at, dumps / dump_nr, HS_RAMOOPS_DUMP, i, ramoops);
	if (!err && layout->console_bytes)
		err = add_zone(&ecc, (const uint8_t *)region + at, layout->console_bytes, HS_RAMOOPS_CONSOLE, 0,
			       ramoops);
	at += layout->console_bytes;
	cpus = layout->ftrace_bytes ? count_ftrace_cpus(&ecc, (const uint8_t *)region + at, layout->ftrace_bytes) : 0;
	for (unsigned i = 0; !err && i < cpus; i++, at += layout->ftrace_bytes / cpus)
		err = add_zone(&ecc, (const uint8_t *)region + at, layout->ftrace_bytes / cpus, HS_RAMOOPS_FTRACE, i,
			       ramoops);
	if (!err && layout->pmsg_bytes)
		err = add_zone(&ecc, (const uint8_t *)region + at, layout->pmsg_bytes, HS_RAMOOPS_PMSG, 0, ramoops);
	if (err)
		return err;
	if (ramoops->nr)
		qsort(ramoops->record, ramoops->nr, sizeof(*ramoops->record), by_time);
	*out = take(ramoops);
	return 0;
}

void hs_ramoops_free(struct hs_ramoops *ramoops)
{
	if (!ramoops)
		return;
	for (size_t i = 0; i < ramoops->nr; i++)
		free(ramoops->record[i].text);
	free(ramoops->record);
	free(ramoops);
}
