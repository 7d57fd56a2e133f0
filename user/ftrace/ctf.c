// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a guest's ftrace to packets of its CTF trace. One packet is collected at a time; it ends where it is large
 * enough, where the ring lost events (so that the loss stands in its place) and with the call. Called from one thread.
 */
#include "ftrace/ctf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "ftrace/format.h"
#include "ftrace/page.h"
#include "trace/ctf_events.h"
#include "trace/ctf_file.h"
#include "trace/ctf_metadata.h"

#define PACKET_BYTES (256u << 10) /* a packet that has reached it is written */
#define ID_NR (UINT16_MAX + 1u)

struct stream {
	struct hs_ctf_file file;
	uint64_t last_ts;   /* of its newest event or page; 0: none yet */
	uint64_t lost;	    /* before events came here, as far as known */
	uint64_t refused;   /* without a format, or not fitting it */
	uint64_t disk_lost; /* in packets that were not written, or in a file that was deleted */
	uint64_t discarded; /* the sum, as the newest packet says it */
	uint64_t recorded;
	uint64_t *by_event; /* of recorded */
	size_t by_event_nr;
};

struct hs_ftrace {
	int dir_fd, metadata_fd;
	uint64_t metadata_bytes;
	struct hs_ctf_info info;
	struct hs_ftrace_layout layout;
	uint64_t start_ns;
	struct hs_ftrace_counts counts;
	bool write_failed; /* said already */

	struct hs_ftrace_format **formats;
	char **texts; /* that they were made of */
	size_t format_nr;
	uint32_t *format_of_id; /* 1 + index into formats; 0: none */

	struct stream *streams;
	uint32_t stream_nr;

	/* The open packet. */
	struct stream *stream;
	uint8_t *buffer; /* with room for the header in front */
	size_t used;	 /* a multiple of 8 */
	size_t content;	 /* without what fills up the last record */
	uint32_t cpu;
	uint32_t event_nr;
	uint64_t begin_ts;
	uint32_t *by_event; /* its events, by index of format */
};

/* ---- the folder -------------------------------------------------------------------------------- */
static bool counts_ns(const char *clock)
{
	static const char *const clocks[] = { "boot", "mono", "mono_raw", "local", "global", "perf", "tai" };

	for (size_t i = 0; i < HS_ARRAY_SIZE(clocks); i++) {
		if (!strcmp(clocks[i], clock))
			return true;
	}
	return false;
}

/* Appends to `metadata`, whole or not at all. */
static int append_metadata(struct hs_ftrace *ftrace, const char *text, size_t bytes)
{
	int err = hs_write_all(ftrace->metadata_fd, text, bytes);

	if (err) {
		if (ftruncate(ftrace->metadata_fd, (off_t)ftrace->metadata_bytes))
			hs_dbg("cannot cut off a torn metadata");
		return hs_fail(err, "cannot write the metadata of %s:", ftrace->info.machine);
	}
	ftrace->metadata_bytes += bytes;
	return 0;
}

static int start_metadata(struct hs_ftrace *ftrace, bool with_head)
{
	scoped(mem) char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);

	if (!file)
		return -ENOMEM;
	if (with_head)
		hs_ctf_metadata_print_head(file, &ftrace->info);
	hs_ctf_events_print_stream(file);
	if (fclose(file))
		return -ENOMEM;
	return append_metadata(ftrace, text, bytes);
}

/* The folder has a trace: of this machine and clock, without ftrace? Then it is ours to go on with. */
static int check_metadata(struct hs_ftrace *ftrace, const struct hs_ftrace_config *config, const char *text)
{
	scoped(hs_ctf_events) struct hs_ctf_events *events = NULL;
	unsigned int line;

	if (hs_ctf_metadata_parse(text, &ftrace->info))
		return hs_fail(-EBADMSG, "%s has a trace that is not of hsbpf", config->dir);
	if (hs_ctf_events_parse(text, &events, &line))
		return hs_fail(-EBADMSG, "%s/metadata, line %u: nothing that hsbpf writes", config->dir, line);
	if (strcmp(ftrace->info.machine, config->machine) != 0)
		return hs_fail(-EINVAL, "%s has a trace of %s, not of %s", config->dir, ftrace->info.machine,
			       config->machine);
	if (strcmp(ftrace->info.clock, config->clock) != 0)
		return hs_fail(-EINVAL, "%s has a trace with the clock %s: ftrace with the clock %s cannot join it",
			       config->dir, ftrace->info.clock, config->clock);
	if (hs_ctf_events_has_stream(text))
		return hs_fail(-EINVAL, "%s has a trace with ftrace already", config->dir);
	return 0;
}

static int open_metadata(struct hs_ftrace *ftrace, const struct hs_ftrace_config *config)
{
	scoped(mem) char *path = hs_format("%s/metadata", config->dir), *text = NULL;
	size_t bytes;
	int err = path ? hs_read_file(path, HS_CTF_METADATA_BYTES_MAX, &text, &bytes) : -ENOMEM;
	bool is_new = err == -ENOENT;

	if (err && !is_new)
		return hs_fail(err, "cannot read %s/metadata:", config->dir);
	err = is_new ? hs_ctf_info_init(&ftrace->info, config->machine, config->clock, config->clock_offset_ns)
		     : check_metadata(ftrace, config, text);
	if (err)
		return err;
	ftrace->metadata_bytes = is_new ? 0 : bytes;
	ftrace->metadata_fd = openat(ftrace->dir_fd, "metadata",
				     O_WRONLY | O_APPEND | O_CLOEXEC | (is_new ? O_CREAT | O_EXCL : 0), 0644);
	if (ftrace->metadata_fd < 0)
		return hs_fail(-errno, "cannot write %s/metadata:", config->dir);
	return start_metadata(ftrace, is_new);
}

static int open_dir(struct hs_ftrace *ftrace, const struct hs_ftrace_config *config)
{
	if (!counts_ns(config->clock))
		return hs_fail(-EOPNOTSUPP,
			       "ftrace of %s runs on the clock '%s', which does not count nanoseconds: "
			       "choose boot in its trace_clock",
			       config->machine, config->clock);
	if (mkdir(config->dir, 0755) && errno != EEXIST)
		return hs_fail(-errno, "cannot make the trace folder %s:", config->dir);
	ftrace->dir_fd = open(config->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (ftrace->dir_fd < 0)
		return hs_fail(-errno, "cannot open the trace folder %s:", config->dir);
	return open_metadata(ftrace, config);
}

static int set_layout(struct hs_ftrace *ftrace, const struct hs_ftrace_layout *layout)
{
	size_t room = PACKET_BYTES + HS_FTRACE_RECORD_BYTES_MAX(layout->page_bytes);
	uint8_t *buffer = malloc(room);

	if (!buffer)
		return -ENOMEM;
	free(ftrace->buffer);
	ftrace->buffer = buffer;
	ftrace->layout = *layout;
	return 0;
}

int hs_ftrace_open(const struct hs_ftrace_config *config, struct hs_ftrace **out)
{
	scoped(hs_ftrace) struct hs_ftrace *ftrace = calloc(1, sizeof(*ftrace));
	int err;

	if (!ftrace)
		return -ENOMEM;
	ftrace->dir_fd = ftrace->metadata_fd = -1;
	ftrace->start_ns = config->start_ns;
	ftrace->format_of_id = calloc(ID_NR, sizeof(*ftrace->format_of_id));
	err = ftrace->format_of_id ? set_layout(ftrace, &hs_ftrace_layout_x86_64) : -ENOMEM;
	if (!err)
		err = open_dir(ftrace, config);
	if (err)
		return err;
	*out = take(ftrace);
	return 0;
}

int hs_ftrace_set_header_page(struct hs_ftrace *ftrace, const char *text, size_t bytes)
{
	struct hs_ftrace_layout layout;

	if (hs_ftrace_layout_parse(text, bytes, &layout))
		return hs_fail(-EBADMSG, "%s tells a layout of ftrace's pages that makes no sense",
			       ftrace->info.machine);
	return set_layout(ftrace, &layout);
}

uint32_t hs_ftrace_page_bytes(const struct hs_ftrace *ftrace)
{
	return ftrace->layout.page_bytes;
}

/* ---- formats ----------------------------------------------------------------------------------- */
static int grow_formats(struct hs_ftrace *ftrace)
{
	size_t room = ftrace->format_nr + 1;
	struct hs_ftrace_format **formats = reallocarray(ftrace->formats, room, sizeof(struct hs_ftrace_format *));
	char **texts = formats ? reallocarray(ftrace->texts, room, sizeof(char *)) : NULL;
	uint32_t *by_event = texts ? reallocarray(ftrace->by_event, room, sizeof(*by_event)) : NULL;

	ftrace->formats = formats ? formats : ftrace->formats;
	ftrace->texts = texts ? texts : ftrace->texts;
	if (!by_event)
		return -ENOMEM;
	by_event[ftrace->format_nr] = 0;
	ftrace->by_event = by_event;
	return 0;
}

static int declare(struct hs_ftrace *ftrace, const struct hs_event *event)
{
	scoped(mem) char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);

	if (!file)
		return -ENOMEM;
	hs_ctf_event_print(file, event);
	if (fclose(file))
		return -ENOMEM;
	if (ftrace->metadata_bytes + bytes > HS_CTF_METADATA_BYTES_MAX)
		return hs_fail(-ENOSPC, "%s has more formats of events than fit into the metadata",
			       ftrace->info.machine);
	return append_metadata(ftrace, text, bytes);
}

static int add_parsed(struct hs_ftrace *ftrace, struct hs_ftrace_format **format, char **text)
{
	const struct hs_event *event = hs_ftrace_format_event(*format);
	uint32_t known = ftrace->format_of_id[event->id];
	int err;

	if (known && !strcmp(ftrace->texts[known - 1], *text))
		return 0;
	if (known)
		return hs_fail(-EEXIST, "%s has two events with the number %u: %s is not recorded",
			       ftrace->info.machine, event->id, event->name);
	err = grow_formats(ftrace);
	if (!err)
		err = declare(ftrace, event);
	if (err)
		return err;
	ftrace->format_of_id[event->id] = (uint32_t)(ftrace->format_nr + 1);
	ftrace->texts[ftrace->format_nr] = take(*text);
	ftrace->formats[ftrace->format_nr++] = take(*format);
	return 0;
}

int hs_ftrace_add_format(struct hs_ftrace *ftrace, const char *system, const char *text, size_t bytes)
{
	scoped(hs_ftrace_format) struct hs_ftrace_format *format = NULL;
	scoped(mem) char *copy = NULL;
	const char *why;
	int err = hs_ftrace_format_parse(system, text, bytes, &format, &why);

	if (err == -EBADMSG)
		return hs_fail(err, "a format of %s makes no sense, its events are not recorded: %s",
			       ftrace->info.machine, why);
	if (err)
		return err;
	copy = strndup(text, bytes);
	return copy ? add_parsed(ftrace, &format, &copy) : -ENOMEM;
}

/* ---- packets ----------------------------------------------------------------------------------- */
static int begin_stream(struct hs_ftrace *ftrace, uint32_t cpu)
{
	if (cpu >= HS_CTF_CPU_MAX)
		return -EINVAL;
	if (cpu >= ftrace->stream_nr) {
		struct stream *streams = reallocarray(ftrace->streams, cpu + 1, sizeof(*streams));

		if (!streams)
			return -ENOMEM;
		for (uint32_t i = ftrace->stream_nr; i <= cpu; i++) {
			streams[i] = (struct stream){ .last_ts = ftrace->start_ns };
			hs_ctf_file_init(&streams[i].file, ftrace->dir_fd, "ftrace_cpu", i);
		}
		ftrace->streams = streams;
		ftrace->stream_nr = cpu + 1;
	}
	ftrace->cpu = cpu;
	ftrace->stream = &ftrace->streams[cpu];
	ftrace->used = ftrace->content = sizeof(struct hs_ctf_packet);
	ftrace->event_nr = 0;
	return 0;
}

static int grow_counts(struct stream *stream, size_t event_nr)
{
	uint64_t *by_event;

	if (stream->by_event_nr >= event_nr)
		return 0;
	by_event = reallocarray(stream->by_event, event_nr, sizeof(*by_event));
	if (!by_event)
		return -ENOMEM;
	memset(by_event + stream->by_event_nr, 0, (event_nr - stream->by_event_nr) * sizeof(*by_event));
	stream->by_event = by_event;
	stream->by_event_nr = event_nr;
	return 0;
}

static void say_once(struct hs_ftrace *ftrace, int err)
{
	if (!ftrace->write_failed)
		hs_fail(err, "cannot write the ftrace of %s (counted as lost from here on):", ftrace->info.machine);
	ftrace->write_failed = true;
}

static uint64_t discarded(const struct stream *stream)
{
	return stream->lost + stream->refused + stream->disk_lost;
}

static void check_deleted(struct hs_ftrace *ftrace, struct stream *stream)
{
	if (!hs_ctf_file_was_deleted(&stream->file))
		return;
	say_once(ftrace, -ENOENT);
	ftrace->counts.recorded -= stream->recorded;
	ftrace->counts.disk_lost += stream->recorded;
	ftrace->counts.bytes -= stream->file.bytes;
	stream->disk_lost += stream->recorded;
	stream->recorded = 0;
	if (stream->by_event)
		memset(stream->by_event, 0, stream->by_event_nr * sizeof(*stream->by_event));
}

static int put_packet(struct hs_ftrace *ftrace)
{
	struct stream *stream = ftrace->stream;
	uint64_t bytes_before = stream->file.bytes;
	struct hs_ctf_packet packet = {
		.magic = HS_CTF_MAGIC,
		.stream_id = HS_CTF_FTRACE_STREAM,
		.timestamp_begin = ftrace->event_nr ? ftrace->begin_ts : stream->last_ts,
		.timestamp_end = stream->last_ts,
		.content_bits = ftrace->content * 8ull,
		.packet_bits = ftrace->used * 8ull,
		.events_discarded = discarded(stream),
		.cpu_id = ftrace->cpu,
	};
	int err = grow_counts(stream, ftrace->format_nr);

	memcpy(packet.uuid, ftrace->info.uuid, sizeof(packet.uuid));
	if (!err && !stream->file.packets && packet.events_discarded)
		err = hs_ctf_file_put_first(&stream->file, &packet, ftrace->start_ns);
	packet.packet_seq_num = stream->file.packets;
	memcpy(ftrace->buffer, &packet, sizeof(packet));
	if (!err)
		err = hs_ctf_file_put(&stream->file, ftrace->buffer, ftrace->used);
	ftrace->counts.bytes += stream->file.bytes - bytes_before;
	return err;
}

/* Writes the packet, an empty one only to tell a loss, and starts the next. 0 or -errno (said once, counted). */
static int flush(struct hs_ftrace *ftrace)
{
	struct stream *stream = ftrace->stream;
	int err;

	check_deleted(ftrace, stream);
	if (!ftrace->event_nr && (!stream->last_ts || discarded(stream) == stream->discarded))
		return 0;
	err = put_packet(ftrace);
	if (err) {
		say_once(ftrace, err);
		stream->disk_lost += ftrace->event_nr;
		ftrace->counts.disk_lost += ftrace->event_nr;
	} else {
		stream->discarded = discarded(stream);
		stream->recorded += ftrace->event_nr;
		ftrace->counts.recorded += ftrace->event_nr;
	}
	for (size_t i = 0; i < ftrace->format_nr && ftrace->event_nr; i++) {
		if (!err)
			stream->by_event[i] += ftrace->by_event[i];
		ftrace->by_event[i] = 0;
	}
	ftrace->event_nr = 0;
	ftrace->used = ftrace->content = sizeof(struct hs_ctf_packet);
	return err;
}

/* ---- pages ------------------------------------------------------------------------------------- */
/* Events are not here; 0: nobody knows how many. */
static void add_lost(struct hs_ftrace *ftrace, uint64_t events)
{
	ftrace->counts.unknown_losses += !events;
	ftrace->counts.lost += events ? events : 1;
	ftrace->stream->lost += events ? events : 1;
}

static void refuse(struct hs_ftrace *ftrace, uint64_t *count)
{
	(*count)++;
	ftrace->stream->refused++;
	ftrace->counts.lost++;
}

static void add_event(struct hs_ftrace *ftrace, const struct hs_ftrace_raw *raw)
{
	uint16_t id = raw->bytes >= sizeof(id) ? hs_ftrace_raw_id(raw->data) : 0;
	uint32_t index = ftrace->format_of_id[id];
	uint64_t ts = raw->ts;
	size_t bytes;

	if (!index) {
		refuse(ftrace, &ftrace->counts.no_format);
		return;
	}
	if (ts < ftrace->stream->last_ts) {
		ts = ftrace->stream->last_ts;
		ftrace->counts.clamped++;
	}
	bytes = hs_ftrace_format_encode(ftrace->formats[index - 1], raw->data, raw->bytes, ts,
					ftrace->buffer + ftrace->used);
	if (!bytes) {
		refuse(ftrace, &ftrace->counts.damaged_events);
		return;
	}
	if (!ftrace->event_nr++)
		ftrace->begin_ts = ts;
	ftrace->by_event[index - 1]++;
	ftrace->stream->last_ts = ts;
	ftrace->content = ftrace->used + bytes;
	for (ftrace->used = ftrace->content; ftrace->used % 8;)
		ftrace->buffer[ftrace->used++] = 0;
}

/* 0 or -errno of writing. */
static int add_page(struct hs_ftrace *ftrace, const void *bytes)
{
	struct hs_ftrace_page page;
	struct hs_ftrace_raw raw;
	int err = hs_ftrace_page_open(&ftrace->layout, bytes, &page), more = 0, write_err = 0;

	ftrace->counts.pages++;
	if (!err && page.has_missed) {
		write_err = flush(ftrace);
		add_lost(ftrace, page.missed);
	}
	if (!err && page.ts > ftrace->stream->last_ts && !ftrace->event_nr)
		ftrace->stream->last_ts = page.ts; /* a loss that is told before any event needs a time */
	while (!err && (more = hs_ftrace_page_next(&page, &raw)) > 0) {
		int flushed;

		add_event(ftrace, &raw);
		flushed = ftrace->used >= PACKET_BYTES ? flush(ftrace) : 0;
		write_err = write_err ? write_err : flushed;
	}
	if (err || more < 0) {
		ftrace->counts.damaged_pages++;
		add_lost(ftrace, 0);
	}
	return write_err;
}

int hs_ftrace_add_pages(struct hs_ftrace *ftrace, uint32_t cpu, const void *pages, size_t bytes)
{
	int err = bytes % ftrace->layout.page_bytes ? -EINVAL : begin_stream(ftrace, cpu), page_err;

	if (err)
		return err;
	for (size_t at = 0; at < bytes; at += ftrace->layout.page_bytes) {
		page_err = add_page(ftrace, (const uint8_t *)pages + at);
		err = err ? err : page_err;
	}
	page_err = flush(ftrace);
	return err ? err : page_err;
}

int hs_ftrace_set_produced(struct hs_ftrace *ftrace, uint32_t cpu, uint64_t events)
{
	int err = begin_stream(ftrace, cpu);
	struct stream *stream = ftrace->stream;
	uint64_t known;

	if (err)
		return err;
	known = stream->recorded + discarded(stream);
	if (events > known) {
		ftrace->counts.lost += events - known;
		stream->lost += events - known;
	}
	return flush(ftrace);
}

const struct hs_ftrace_counts *hs_ftrace_counts(const struct hs_ftrace *ftrace)
{
	return &ftrace->counts;
}

int hs_ftrace_event_count(const struct hs_ftrace *ftrace, size_t index, struct hs_ftrace_event_count *out)
{
	const struct hs_event *event;

	if (index >= ftrace->format_nr)
		return -ENOENT;
	event = hs_ftrace_format_event(ftrace->formats[index]);
	*out = (struct hs_ftrace_event_count){ .system = event->system, .name = event->name };
	for (uint32_t i = 0; i < ftrace->stream_nr; i++)
		out->recorded += index < ftrace->streams[i].by_event_nr ? ftrace->streams[i].by_event[index] : 0;
	return 0;
}

void hs_ftrace_free(struct hs_ftrace *ftrace)
{
	if (!ftrace)
		return;
	for (size_t i = 0; i < ftrace->format_nr; i++) {
		hs_ftrace_format_free(ftrace->formats[i]);
		free(ftrace->texts[i]);
	}
	for (uint32_t i = 0; i < ftrace->stream_nr; i++) {
		hs_ctf_file_close(&ftrace->streams[i].file);
		free(ftrace->streams[i].by_event);
	}
	if (ftrace->dir_fd >= 0)
		close(ftrace->dir_fd);
	if (ftrace->metadata_fd >= 0)
		close(ftrace->metadata_fd);
	free(ftrace->formats);
	free(ftrace->texts);
	free(ftrace->format_of_id);
	free(ftrace->by_event);
	free(ftrace->streams);
	free(ftrace->buffer);
	free(ftrace);
}
