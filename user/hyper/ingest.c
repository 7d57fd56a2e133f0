// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads one log: splits it into lines, keeps what is known of each device, and hands its translations to the cutter of
 * packets, from which they go to the device's stream. Called by the generator, log after log. One thread.
 */
#include "hyper/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "hyper/ingest_file.h"
#include "hyper/ingest_line.h"
#include "hyper/ingest_packets.h"

#define LINE_MAX_BYTES 4096 /* longer lines are foreign */
#define GIANTS_MAX 512	    /* pages of one device that can turn out to have 1 GiB */
#define PAGE_SIZE_BIT (1ULL << 7)
#define GIANT_OFFSET 0x3ffff000ULL /* frame bits of a 2 MiB page inside 1 GiB */

/* A leaf that is one of 2 MiB at the begin of 1 GiB, or one of 1 GiB. */
struct giant {
	uint64_t frame, region; /* region: iova >> 21 where it was seen first */
	bool is_giant;
};

struct device {
	struct hs_ingest *ingest;
	struct hs_ingest_device known; /* what the result gets */
	struct hs_ingest_packets *packets;
	bool has_domain, has_context, is_forgotten; /* forgotten: no translation since the last change was told */
	uint64_t iova_bits;			    /* all that were seen in an iova */
	struct giant *giants;
	uint32_t giant_nr;
};

struct hs_ingest {
	struct hs_ingest_config config;
	const char *name;
	struct hs_dmatrace_source source;
	enum hs_ingest_format format;
	bool is_skipping; /* inside a line that is too long */
	char last_byte;
	uint32_t order_stream;
	struct device *held; /* its page line waits for the vtd_dmar_translate behind it; NULL: none does */
	struct hs_ingest_line held_line;
	uint32_t device_nr;
	struct device devices[HS_INGEST_DEVICES_MAX];
	uint16_t device_of_sid[1 << 16]; /* 0: none; else 1 + index */
	size_t carry_len;
	char carry[LINE_MAX_BYTES];
};

const char *hs_ingest_format_name(enum hs_ingest_format format)
{
	static const char *const names[HS_INGEST_FORMAT_NR] = {
		[HS_INGEST_NO_FORMAT] = "no lines of translations",
		[HS_INGEST_STOCK] = "stock QEMU's lines",
		[HS_INGEST_PATCHED] = "the lines of hypersio's QEMU",
	};

	return format < HS_INGEST_FORMAT_NR ? names[format] : NULL;
}

/* ---- devices ------------------------------------------------------------------------------------- */

static void on_record(void *ctx, const struct hs_dmatrace_record *record)
{
	struct device *device = ctx;

	hs_gen_spool_put(device->ingest->config.spool, device->known.stream, record);
}

static void on_packet(void *ctx)
{
	struct device *device = ctx;
	struct hs_ingest *ingest = device->ingest;
	struct hs_dmatrace_record record =
		hs_dmatrace_make_translation(0, (uint64_t)(device - ingest->devices), 0, 0, true, false);

	hs_gen_spool_put(ingest->config.spool, ingest->order_stream, &record);
}

static int add_device(struct hs_ingest *ingest, uint16_t sid, struct device **out)
{
	struct device *device = &ingest->devices[ingest->device_nr];
	struct hs_ingest_packets_config config = {
		.fixed = ingest->config.packet_translations,
		.on_record = on_record,
		.on_packet = ingest->config.keeps_order ? on_packet : NULL,
		.ctx = device,
	};
	int err;

	if (ingest->device_nr == HS_INGEST_DEVICES_MAX)
		return hs_fail(-E2BIG, "%s has more than %d devices: it is damaged, or no log of one machine",
			       ingest->name, HS_INGEST_DEVICES_MAX);
	memset(device, 0, sizeof(*device));
	device->ingest = ingest;
	device->known.sid = sid;
	device->known.epochs = 1;
	err = hs_gen_spool_add(ingest->config.spool, &device->known.stream);
	if (!err)
		err = hs_ingest_packets_open(&config, &device->packets);
	if (err)
		return err;
	ingest->device_of_sid[sid] = (uint16_t)++ingest->device_nr;
	*out = device;
	return 0;
}

static int find_device(struct hs_ingest *ingest, uint16_t sid, struct device **out)
{
	uint16_t number = ingest->device_of_sid[sid];

	if (!number)
		return add_device(ingest, sid, out);
	*out = &ingest->devices[number - 1];
	return 0;
}

/* ---- translations -------------------------------------------------------------------------------- */

/* Remembers where a leaf was seen that has 2 MiB or 1 GiB. */
static void watch_giant(struct device *device, uint64_t frame, uint64_t region)
{
	struct giant *giant;

	for (uint32_t i = device->giant_nr; i-- > 0;) {
		giant = &device->giants[i];
		if (giant->frame != frame)
			continue;
		giant->is_giant |= giant->region != region;
		return;
	}
	if (!device->giants)
		device->giants = calloc(GIANTS_MAX, sizeof(*device->giants));
	if (device->giants && device->giant_nr < GIANTS_MAX)
		device->giants[device->giant_nr++] = (struct giant){ .frame = frame, .region = region };
}

/* The page's size, from the line or else from its leaf entry, of which bit 7 says that it is no table of 4 KiB pages.
 */
static unsigned int size_of(struct device *device, const struct hs_ingest_line *line)
{
	uint64_t frame = line->slpte & HS_DMATRACE_FRAME_MASK;

	if (line->size_class != HS_INGEST_SIZE_UNKNOWN)
		return line->size_class;
	if (!(line->slpte & PAGE_SIZE_BIT))
		return 0;
	if (!(frame & GIANT_OFFSET))
		watch_giant(device, frame, line->iova >> 21);
	return 1;
}

static int put_translation(struct device *device, const struct hs_ingest_line *line)
{
	unsigned int size_class = size_of(device, line);

	if (size_class >= HS_INGEST_SIZE_UNKNOWN || line->iova > HS_DMATRACE_IOVA_MASK) {
		device->ingest->source.ignored[HS_DMATRACE_IGNORED_ADDRESS]++;
		return 0;
	}
	device->iova_bits |= line->iova;
	device->is_forgotten = false;
	return hs_ingest_packets_feed(
		device->packets, hs_dmatrace_make_translation(0, line->iova, line->slpte, size_class, false, false));
}

/* Nothing comes that could tell the size of the page that waits. */
static int release(struct hs_ingest *ingest)
{
	struct device *device = ingest->held;

	if (!device)
		return 0;
	ingest->held = NULL;
	return put_translation(device, &ingest->held_line);
}

static int invalidate(struct device *device, enum hs_dmatrace_kind kind, uint64_t iova, unsigned int order)
{
	int err = release(device->ingest);

	if (err)
		return err;
	return hs_ingest_packets_feed(device->packets, hs_dmatrace_make_invalidation(0, kind, iova, order));
}

/* Another domain or context entry: what was translated by the former is worth nothing. */
static int forget(struct device *device)
{
	if (device->is_forgotten)
		return 0;
	device->is_forgotten = true;
	return invalidate(device, HS_DMATRACE_INV_CONTEXT, 0, 0);
}

static int note_domain(struct device *device, uint16_t domain)
{
	if (device->has_domain && device->known.domain == domain)
		return 0;
	if (device->has_domain && device->known.epochs < UINT16_MAX)
		device->known.epochs++;
	device->known.domain = domain;
	if (!device->has_domain) {
		device->has_domain = true;
		return 0;
	}
	return forget(device);
}

static int note_format(struct hs_ingest *ingest, enum hs_ingest_format format)
{
	if (ingest->format == HS_INGEST_NO_FORMAT)
		ingest->format = format;
	if (ingest->format == format)
		return 0;
	return hs_fail(-EINVAL,
		       "%s has mixed formats: %s and, at line %" PRIu64 ", %s; was it put together of several?",
		       ingest->name, hs_ingest_format_name(ingest->format), ingest->source.lines,
		       hs_ingest_format_name(format));
}

static int on_page(struct hs_ingest *ingest, const struct hs_ingest_line *line)
{
	struct device *device;
	int err = find_device(ingest, line->sid, &device);

	if (!err)
		err = note_format(ingest, line->is_patched ? HS_INGEST_PATCHED : HS_INGEST_STOCK);
	if (!err)
		err = release(ingest);
	if (!err)
		err = note_domain(device, line->domain);
	if (err)
		return err;
	ingest->source.translations++;
	if (line->is_patched)
		return put_translation(device, line);
	ingest->held_line = *line;
	ingest->held = device;
	return 0;
}

static int on_context(struct hs_ingest *ingest, const struct hs_ingest_line *line)
{
	struct device *device;
	int err = find_device(ingest, line->sid, &device);
	bool is_new;

	if (err)
		return err;
	is_new = !device->has_context || device->known.context_high != line->high ||
		 device->known.context_low != line->low;
	if (is_new && device->has_context)
		err = forget(device);
	device->has_context = true;
	device->known.context_high = line->high;
	device->known.context_low = line->low;
	return err;
}

/*
 * vtd_dmar_translate follows the page line that it is of, and says its size. In a log without page lines it is the
 * translation itself; in one that has some it is one that passed through, which nothing had to look up.
 */
static int on_translated(struct hs_ingest *ingest, const struct hs_ingest_line *line)
{
	struct hs_ingest_line alone = *line;
	struct device *device;
	int err = find_device(ingest, line->sid, &device);

	if (err)
		return err;
	if (ingest->held == device && line->size_class < HS_INGEST_SIZE_UNKNOWN &&
	    (ingest->held_line.iova ^ line->iova) >> (12 + 9 * line->size_class) == 0) {
		ingest->held_line.size_class = line->size_class;
		return release(ingest);
	}
	if (ingest->format != HS_INGEST_NO_FORMAT) {
		ingest->source.ignored[HS_DMATRACE_IGNORED_EVENT]++;
		return 0;
	}
	ingest->source.translations++;
	alone.slpte = (line->slpte & HS_DMATRACE_FRAME_MASK) | 3 | (line->size_class ? PAGE_SIZE_BIT : 0);
	err = note_domain(device, (uint16_t)(device->known.context_high >> 8));
	return err ? err : put_translation(device, &alone);
}

/* ---- invalidations ------------------------------------------------------------------------------- */

static bool concerns(const struct hs_ingest_line *line, const struct device *device)
{
	switch (line->scope) {
	case HS_INGEST_OF_DOMAIN:
		return device->has_domain && device->known.domain == line->domain;
	case HS_INGEST_OF_DEVICE:
		return (device->known.sid | line->function_mask) == (line->sid | line->function_mask);
	case HS_INGEST_OF_ALL:
		return true;
	}
	return false;
}

static int on_invalidation(struct hs_ingest *ingest, const struct hs_ingest_line *line)
{
	bool concerns_any = false;
	int err = 0;

	if (line->invalidation == HS_DMATRACE_INV_PAGES && line->iova > HS_DMATRACE_IOVA_MASK) {
		ingest->source.ignored[HS_DMATRACE_IGNORED_INVALIDATION]++;
		return 0;
	}
	for (uint32_t i = 0; i < ingest->device_nr && !err; i++) {
		if (!concerns(line, &ingest->devices[i]))
			continue;
		concerns_any = true;
		err = invalidate(&ingest->devices[i], line->invalidation, line->iova, line->order);
	}
	ingest->source.ignored[HS_DMATRACE_IGNORED_INVALIDATION] += !concerns_any;
	return err;
}

static int on_walk(struct hs_ingest *ingest, const struct hs_ingest_line *line)
{
	struct hs_ingest_walk walk = {
		.table = line->table,
		.iova = line->iova,
		.slpte = line->slpte,
		.source = ingest->config.source,
		.domain = (uint16_t)(line->high >> 8),
		.level = (uint8_t)line->level,
	};
	int err;

	if (!ingest->config.walks) {
		ingest->source.ignored[HS_DMATRACE_IGNORED_EVENT]++;
		return 0;
	}
	err = hs_ingest_walks_put(ingest->config.walks, walk);
	return err ? hs_fail(err, "cannot keep the page table entries of %s:", ingest->name) : 0;
}

/* ---- lines --------------------------------------------------------------------------------------- */

static SHAPE_INLINE int on_line(struct hs_ingest *ingest, const struct hs_ingest_line *line)
{
	ingest->source.lines++;
	switch (line->kind) {
	case HS_INGEST_PAGE:
		return on_page(ingest, line);
	case HS_INGEST_CONTEXT:
		return on_context(ingest, line);
	case HS_INGEST_TRANSLATED:
		return on_translated(ingest, line);
	case HS_INGEST_INVALIDATION:
		return on_invalidation(ingest, line);
	case HS_INGEST_WALK:
		return on_walk(ingest, line);
	case HS_INGEST_UNUSED:
		ingest->source.ignored[HS_DMATRACE_IGNORED_EVENT]++;
		return 0;
	case HS_INGEST_TORN:
		ingest->source.ignored[HS_DMATRACE_IGNORED_TORN]++;
		return 0;
	case HS_INGEST_FOREIGN:
		break;
	}
	ingest->source.ignored[HS_DMATRACE_IGNORED_FOREIGN]++;
	return 0;
}

static int take_line(struct hs_ingest *ingest, const char *text, size_t len)
{
	struct hs_ingest_line line = { .kind = HS_INGEST_FOREIGN };

	if (len <= LINE_MAX_BYTES)
		hs_ingest_line_decode(text, len, &line);
	return on_line(ingest, &line);
}

/* Appends to the line that has no end yet. */
static void keep(struct hs_ingest *ingest, const char *text, size_t len)
{
	if (ingest->is_skipping || len > sizeof(ingest->carry) - ingest->carry_len) {
		ingest->is_skipping = true;
		ingest->carry_len = 0;
		return;
	}
	memcpy(ingest->carry + ingest->carry_len, text, len);
	ingest->carry_len += len;
}

/* Ends the line that was kept. */
static int take_kept(struct hs_ingest *ingest)
{
	size_t len = ingest->is_skipping ? LINE_MAX_BYTES + 1 : ingest->carry_len;

	ingest->is_skipping = false;
	ingest->carry_len = 0;
	return take_line(ingest, ingest->carry, len);
}

/* All hot lines from *at on, as far as they come one after another and away from the end. */
static int feed_hot(struct hs_ingest *ingest, const char **at, const char *end)
{
	struct hs_ingest_line line = { 0 };

	while (end - *at >= SHAPE_SPAN) {
		const char *next = ingest_match_hot(*at, &line);
		int err;

		if (!next)
			return 0;
		*at = next;
		err = on_line(ingest, &line);
		if (err)
			return err;
	}
	return 0;
}

int hs_ingest_feed(struct hs_ingest *ingest, const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len, *newline;
	int err = 0;

	if (!len)
		return 0;
	ingest->last_byte = end[-1];
	if (ingest->carry_len || ingest->is_skipping) {
		newline = memchr(at, '\n', len);
		keep(ingest, at, (size_t)((newline ? newline : end) - at));
		if (!newline)
			return 0;
		err = take_kept(ingest);
		at = newline + 1;
	}
	while (!err && at < end) {
		err = feed_hot(ingest, &at, end);
		if (err)
			return err;
		newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline) {
			keep(ingest, at, (size_t)(end - at));
			return 0;
		}
		err = take_line(ingest, at, (size_t)(newline - at));
		at = newline + 1;
	}
	return err;
}

/* ---- begin and end ------------------------------------------------------------------------------- */

int hs_ingest_open(const struct hs_ingest_config *config, const char *name, struct hs_ingest **out)
{
	scoped(hs_ingest) struct hs_ingest *ingest = calloc(1, sizeof(*ingest));
	int err = 0;

	if (!ingest)
		return -ENOMEM;
	ingest->config = *config;
	ingest->name = name;
	ingest->last_byte = '\n';
	if (config->keeps_order)
		err = hs_gen_spool_add(config->spool, &ingest->order_stream);
	if (!err)
		*out = take(ingest);
	return err;
}

void hs_ingest_free(struct hs_ingest *ingest)
{
	if (!ingest)
		return;
	for (uint32_t i = 0; i < ingest->device_nr; i++) {
		hs_ingest_packets_free(ingest->devices[i].packets);
		free(ingest->devices[i].giants);
		free(ingest->devices[i].known.giants.frames);
	}
	free(ingest);
}

void hs_ingest_result_clear(struct hs_ingest_result *result)
{
	for (uint32_t i = 0; i < result->device_nr; i++)
		free(result->devices[i].giants.frames);
	free(take(result->devices));
	result->device_nr = 0;
}

static int compare_frames(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static int list_giants(struct device *device)
{
	struct hs_ingest_giants *giants = &device->known.giants;

	for (uint32_t i = 0; i < device->giant_nr; i++) {
		if (!device->giants[i].is_giant)
			continue;
		if (!giants->frames)
			giants->frames = calloc(device->giant_nr, sizeof(*giants->frames));
		if (!giants->frames)
			return -ENOMEM;
		giants->frames[giants->nr++] = device->giants[i].frame;
	}
	if (giants->nr)
		qsort(giants->frames, giants->nr, sizeof(*giants->frames), compare_frames);
	return 0;
}

/* AGAW 0..3 of the context entry (VT-d 9.3) are 2 to 5 levels; without an entry as many as the iovas need, QEMU's least
 * being 3. */
static void tell_levels(struct device *device)
{
	unsigned int bits = device->iova_bits ? 64 - (unsigned int)__builtin_clzll(device->iova_bits) : 0;
	unsigned int agaw = device->known.context_high & 7;

	device->known.levels_guessed = !device->has_context || agaw > 3;
	if (!device->known.levels_guessed)
		device->known.levels = (uint8_t)(agaw + 2);
	else
		device->known.levels = bits <= 39 ? 3 : bits <= 48 ? 4 : 5;
}

static int finish_device(struct hs_ingest *ingest, struct device *device)
{
	const struct hs_ingest_packets_counts *counts = hs_ingest_packets_counts(device->packets);
	uint64_t *ignored = ingest->source.ignored;
	int err;

	ignored[HS_DMATRACE_IGNORED_OPEN] += hs_ingest_packets_finish(device->packets);
	ignored[HS_DMATRACE_IGNORED_STRAY] += counts->stray;
	device->known.packets = counts->packets;
	device->known.translations = counts->translations;
	device->known.invalidations = counts->invalidations;
	ingest->source.packets += counts->packets;
	ingest->source.invalidations += counts->packets ? counts->invalidations : 0;
	if (!counts->packets)
		ignored[HS_DMATRACE_IGNORED_INVALIDATION] += counts->invalidations;
	tell_levels(device);
	err = list_giants(device);
	return err ? err : hs_gen_spool_seal(ingest->config.spool, device->known.stream);
}

/* What makes a log unusable although each of its lines was fine. */
static int judge(const struct hs_ingest *ingest)
{
	const struct hs_dmatrace_source *source = &ingest->source;

	if (ingest->last_byte != '\n' && !ingest->config.accepts_truncated)
		return hs_fail(-EINVAL,
			       "%s is truncated: its last line has no end; --accept-truncated uses what is there",
			       ingest->name);
	if (!source->translations)
		return hs_fail(-EINVAL,
			       "%s has no translation in %" PRIu64 " lines (%" PRIu64 " of other events, %" PRIu64
			       " torn, %" PRIu64 " foreign); QEMU logs them with -trace 'vtd_iotlb*'",
			       ingest->name, source->lines, source->ignored[HS_DMATRACE_IGNORED_EVENT],
			       source->ignored[HS_DMATRACE_IGNORED_TORN], source->ignored[HS_DMATRACE_IGNORED_FOREIGN]);
	if (ingest->format == HS_INGEST_NO_FORMAT && !ingest->config.packet_translations)
		return hs_fail(-EINVAL,
			       "%s has its translations as vtd_dmar_translate alone, which says pages, not addresses: "
			       "packets cannot be found; give --packets fixed=N",
			       ingest->name);
	if (!source->packets && ingest->config.packet_translations)
		return hs_fail(-EINVAL, "%s has %" PRIu64 " translations and no device with the %u of a packet",
			       ingest->name, source->translations, ingest->config.packet_translations);
	if (!source->packets)
		return hs_fail(-EINVAL,
			       "%s has %" PRIu64 " translations and no packet that an e1000 or e1000e would make of "
			       "them; give --packets fixed=N",
			       ingest->name, source->translations);
	return 0;
}

static int list_devices(struct hs_ingest *ingest, struct hs_ingest_result *result)
{
	result->devices = calloc(ingest->device_nr, sizeof(*result->devices));
	if (!result->devices)
		return -ENOMEM;
	for (uint32_t i = 0; i < ingest->device_nr; i++) {
		struct hs_ingest_device *known = &ingest->devices[i].known;

		result->devices[i] = *known;
		known->giants = (struct hs_ingest_giants){ 0 };
	}
	result->device_nr = ingest->device_nr;
	return 0;
}

int hs_ingest_finish(struct hs_ingest *ingest, struct hs_ingest_result *result)
{
	int err;

	if (ingest->carry_len || ingest->is_skipping) {
		/* Even if it looks whole: nobody knows what its last number was. */
		ingest->source.lines++;
		ingest->source.ignored[HS_DMATRACE_IGNORED_TORN]++;
		ingest->carry_len = 0;
	}
	err = release(ingest);
	for (uint32_t i = 0; i < ingest->device_nr && !err; i++)
		err = finish_device(ingest, &ingest->devices[i]);
	if (!err && ingest->config.keeps_order)
		err = hs_gen_spool_seal(ingest->config.spool, ingest->order_stream);
	if (!err)
		err = judge(ingest);
	if (err)
		return err;
	ingest->source.translations -= ingest->source.ignored[HS_DMATRACE_IGNORED_ADDRESS] +
				       ingest->source.ignored[HS_DMATRACE_IGNORED_STRAY] +
				       ingest->source.ignored[HS_DMATRACE_IGNORED_OPEN];
	result->source = ingest->source;
	result->format = ingest->format;
	result->order_stream = ingest->order_stream;
	return list_devices(ingest, result);
}

/* ---- files --------------------------------------------------------------------------------------- */

static int on_block(void *ctx, const void *bytes, size_t len)
{
	return hs_ingest_feed(ctx, bytes, len);
}

/* The last part of the path, cut from the left if it is too long. */
static void name_source(struct hs_dmatrace_source *source, const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t len = strlen(name);

	if (len >= sizeof(source->name)) {
		name += len - sizeof(source->name) + 1;
		len = sizeof(source->name) - 1;
	}
	memcpy(source->name, name, len + 1);
}

int hs_ingest_log(const struct hs_ingest_config *config, const char *path, struct hs_gen_watch *watch,
		  struct hs_ingest_result *result)
{
	scoped(hs_ingest) struct hs_ingest *ingest = NULL;
	struct hs_ingest_result done = { 0 };
	struct hs_ingest_file file;
	int err = hs_ingest_open(config, path, &ingest);

	if (!err)
		err = hs_ingest_file_read(path, watch, on_block, ingest, &file);
	if (!err)
		err = hs_ingest_finish(ingest, &done);
	if (err)
		return err;
	name_source(&done.source, path);
	memcpy(done.source.sha256, file.sha256, sizeof(done.source.sha256));
	done.source.file_bytes = file.file_bytes;
	done.source.text_bytes = file.text_bytes;
	*result = done;
	return 0;
}
