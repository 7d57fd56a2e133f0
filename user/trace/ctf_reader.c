// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CTF reader: a heap over the streams' next records gives them in the order of time. Records come in runs, so
 * the stream on top is walked along until the time of the second is reached. Called from one thread.
 */
#include "trace/ctf_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "trace/ctf_stream.h"

struct hs_ctf_reader {
	struct hs_ctf_source source;
	const struct hs_event *events[HS_EVENT_ID_NR]; /* by id */
	struct hs_ctf_events *foreign;		       /* of ftrace; NULL when nobody wants them */
	uint64_t *foreign_read;			       /* by their index */
	struct hs_ctf_info info;
	char *dir;
	struct hs_ctf_stream *streams;
	uint32_t stream_nr;
	struct hs_ctf_stream **heap; /* the earliest next record on top */
	uint32_t heap_nr;
	bool started;

	struct hs_ctf_record_room record; /* of ours, given out last */
	struct hs_ctf_stream *current;	  /* top of the heap, whose record at `at` was given out; NULL: none was */
	uint64_t limit_ns;		  /* its records before this time, or at it ... */
	uint32_t limit_rank;		  /* ... of a rank below this one, come before those of all others */
};

/* Which of two streams is first at one time. */
static uint32_t rank_of(const struct hs_ctf_stream *stream)
{
	return 2 * stream->cpu + stream->class;
}

static bool is_earlier(const struct hs_ctf_stream *one, const struct hs_ctf_stream *other)
{
	uint64_t ns = one->next_ns, other_ns = other->next_ns;

	return ns < other_ns || (ns == other_ns && rank_of(one) < rank_of(other));
}

static void sift_down(struct hs_ctf_reader *reader, uint32_t at)
{
	struct hs_ctf_stream **heap = reader->heap;

	for (;;) {
		uint32_t child = 2 * at + 1;
		struct hs_ctf_stream *moved = heap[at];

		if (child >= reader->heap_nr)
			return;
		if (child + 1 < reader->heap_nr && is_earlier(heap[child + 1], heap[child]))
			child++;
		if (!is_earlier(heap[child], moved))
			return;
		heap[at] = heap[child];
		heap[child] = moved;
		at = child;
	}
}

/* How far the stream on top may be walked along. */
static void set_limit(struct hs_ctf_reader *reader)
{
	const struct hs_ctf_stream *second = NULL;

	if (reader->heap_nr > 1)
		second = reader->heap[1];
	if (reader->heap_nr > 2 && is_earlier(reader->heap[2], second))
		second = reader->heap[2];
	reader->limit_ns = second ? second->next_ns : UINT64_MAX;
	reader->limit_rank = second ? rank_of(second) : UINT32_MAX;
}

static int start_reading(struct hs_ctf_reader *reader)
{
	for (uint32_t i = 0; i < reader->stream_nr; i++) {
		int loaded = hs_ctf_stream_load(&reader->streams[i], &reader->source);

		if (loaded < 0)
			return loaded;
		if (loaded)
			reader->heap[reader->heap_nr++] = &reader->streams[i];
	}
	for (uint32_t i = reader->heap_nr / 2; i-- > 0;)
		sift_down(reader, i);
	reader->started = true;
	return 0;
}

/* Puts the stream with the earliest next record on top. 0 or -errno. */
static int find_top(struct hs_ctf_reader *reader)
{
	struct hs_ctf_stream *top = reader->heap_nr ? reader->heap[0] : NULL;

	reader->current = NULL;
	if (!reader->started) {
		int err = start_reading(reader);

		if (err)
			return err;
	} else if (top) {
		int loaded = top->at < top->end ? 1 : hs_ctf_stream_load(top, &reader->source);

		if (loaded < 0)
			return loaded;
		if (!loaded)
			reader->heap[0] = reader->heap[--reader->heap_nr];
		sift_down(reader, 0);
	}
	set_limit(reader);
	return 0;
}

int hs_ctf_reader_next(struct hs_ctf_reader *reader, struct hs_ctf_record *out)
{
	struct hs_ctf_stream *stream = reader->current;

	if (stream)
		hs_ctf_stream_advance(stream, &reader->source);
	if (!stream || stream->at == stream->end || stream->next_ns > reader->limit_ns ||
	    (stream->next_ns == reader->limit_ns && rank_of(stream) >= reader->limit_rank)) {
		int err = find_top(reader);

		if (err || !reader->heap_nr)
			return err;
		stream = reader->heap[0];
		reader->current = stream;
	}
	out->cpu = stream->cpu;
	if (stream->class) {
		uint32_t index;

		out->header = (const void *)stream->at;
		index = reader->foreign->index_of_id[out->header->id] - 1;
		out->event = reader->foreign->events[index];
		out->index = HS_EVENT_ID_NR + index;
		reader->foreign_read[index]++;
		return 1;
	}
	out->index = hs_ctf_stream_id(stream, stream->at);
	hs_ctf_unpack(&reader->record, stream->at, reader->source.size[out->index], stream->next_ns);
	out->header = &reader->record.header;
	out->event = reader->events[out->index];
	reader->source.counts.read[out->index]++;
	return 1;
}

static int read_foreign(struct hs_ctf_reader *reader, const char *dir, const char *text)
{
	unsigned int line = 0;
	int err = hs_ctf_events_parse(text, &reader->foreign, &line);

	if (err == -EBADMSG)
		return hs_fail(err, "%s/metadata, line %u: nothing that hsbpf writes (babeltrace2 may read it)", dir,
			       line);
	if (err)
		return err;
	reader->source.events = reader->foreign;
	reader->foreign_read = calloc(reader->foreign->event_nr + 1, sizeof(*reader->foreign_read));
	return reader->foreign_read ? 0 : -ENOMEM;
}

static int read_metadata(struct hs_ctf_reader *reader, const char *dir, bool with_ftrace)
{
	scoped(mem) char *path = hs_format("%s/metadata", dir), *text = NULL;
	int err = path ? hs_read_file(path, HS_CTF_METADATA_BYTES_MAX, &text, NULL) : -ENOMEM;

	if (err)
		return hs_fail(err, "%s holds no trace: cannot read its metadata:", dir);
	err = hs_ctf_metadata_parse(text, &reader->info);
	if (err)
		return hs_fail(err, "%s is not a trace of hsbpf (babeltrace2 may read it)", dir);
	if (reader->info.schema > HS_EVENTS_SCHEMA)
		return hs_fail(-EPROTO, "%s was made by a newer hsbpf (schema %u, this one knows %u)", dir,
			       reader->info.schema, HS_EVENTS_SCHEMA);
	if (reader->info.schema < HS_EVENTS_SCHEMA_OLDEST)
		return hs_fail(-EPROTO,
			       "%s was made by an older hsbpf, whose records were laid out otherwise (schema %u)", dir,
			       reader->info.schema);
	memcpy(reader->source.uuid, reader->info.uuid, HS_CTF_UUID_BYTES);
	return with_ftrace ? read_foreign(reader, dir, text) : 0;
}

static int add_stream(struct hs_ctf_reader *reader, int dir_fd, const char *name, uint32_t class, uint32_t cpu)
{
	struct hs_ctf_stream *streams = reallocarray(reader->streams, reader->stream_nr + 1, sizeof(*streams));
	int err;

	if (!streams)
		return -ENOMEM;
	reader->streams = streams;
	err = hs_ctf_stream_open(&streams[reader->stream_nr], &reader->source, dir_fd, name, class, cpu);
	if (err)
		return hs_fail(err, "cannot open %s/%s:", reader->dir, name);
	reader->stream_nr++;
	return 0;
}

/* How many characters of a file's name say that events of stream class 1 are in it. */
static size_t foreign_prefix(const char *name)
{
	static const char *const prefixes[] = { "ftrace_", HS_CTF_TOLD_PREFIX };

	for (size_t i = 0; i < HS_ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return strlen(prefixes[i]);
	return 0;
}

static int add_streams(struct hs_ctf_reader *reader)
{
	scoped(dir) DIR *dir = opendir(reader->dir);
	const struct dirent *entry;

	if (!dir)
		return hs_fail(-errno, "cannot list %s:", reader->dir);
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;
		size_t prefix = reader->foreign ? foreign_prefix(name) : 0;
		uint32_t cpu;
		int used = 0, err;

		if (sscanf(name + prefix, "cpu%4u%n", &cpu, &used) != 1 || name[prefix + (size_t)used])
			continue;
		err = add_stream(reader, dirfd(dir), name, prefix ? HS_CTF_FTRACE_STREAM : 0, cpu);
		if (err)
			return err;
	}
	reader->heap = calloc(reader->stream_nr + 1, sizeof(struct hs_ctf_stream *));
	return reader->heap ? 0 : -ENOMEM;
}

static int open_reader(const char *dir, bool with_ftrace, struct hs_ctf_reader **out)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = calloc(1, sizeof(*reader));
	int err;

	if (!reader)
		return -ENOMEM;
	reader->dir = strdup(dir);
	if (!reader->dir)
		return -ENOMEM;
	reader->source.dir = reader->dir;
	reader->source.to_ns = UINT64_MAX;
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		reader->events[hs_events[i].id] = &hs_events[i];
		reader->source.size[hs_events[i].id] = (uint16_t)hs_ctf_record_bytes(hs_events[i].size);
	}
	err = read_metadata(reader, dir, with_ftrace);
	if (!err)
		err = add_streams(reader);
	if (err)
		return err;
	*out = take(reader);
	return 0;
}

int hs_ctf_reader_open(const char *dir, struct hs_ctf_reader **out)
{
	return open_reader(dir, false, out);
}

int hs_ctf_reader_open_all(const char *dir, struct hs_ctf_reader **out)
{
	return open_reader(dir, true, out);
}

uint32_t hs_ctf_reader_event_nr(const struct hs_ctf_reader *reader)
{
	return HS_EVENT_ID_NR + (reader->foreign ? (uint32_t)reader->foreign->event_nr : 0);
}

const struct hs_event *hs_ctf_reader_event(const struct hs_ctf_reader *reader, uint32_t index)
{
	return index < HS_EVENT_ID_NR ? reader->events[index] : reader->foreign->events[index - HS_EVENT_ID_NR];
}

uint64_t hs_ctf_reader_read_nr(const struct hs_ctf_reader *reader, uint32_t index)
{
	return index < HS_EVENT_ID_NR ? reader->source.counts.read[index]
				      : reader->foreign_read[index - HS_EVENT_ID_NR];
}

void hs_ctf_reader_set_range(struct hs_ctf_reader *reader, uint64_t from_ns, uint64_t to_ns)
{
	reader->source.from_ns = from_ns;
	reader->source.to_ns = to_ns;
}

void hs_ctf_reader_on_loss(struct hs_ctf_reader *reader, hs_ctf_loss_fn fn, void *ctx)
{
	reader->source.on_loss = fn;
	reader->source.loss_ctx = ctx;
}

const struct hs_ctf_info *hs_ctf_reader_info(const struct hs_ctf_reader *reader)
{
	return &reader->info;
}

uint64_t hs_ctf_reader_begin_ns(const struct hs_ctf_reader *reader)
{
	uint64_t begin_ns = 0;

	for (uint32_t i = 0; i < reader->stream_nr; i++) {
		uint64_t ns = reader->streams[i].begin_ns;

		if (ns && (!begin_ns || ns < begin_ns))
			begin_ns = ns;
	}
	return begin_ns;
}

const struct hs_ctf_reader_counts *hs_ctf_reader_counts(const struct hs_ctf_reader *reader)
{
	return &reader->source.counts;
}

void hs_ctf_reader_free(struct hs_ctf_reader *reader)
{
	if (!reader)
		return;
	for (uint32_t i = 0; i < reader->stream_nr; i++)
		hs_ctf_stream_close(&reader->streams[i]);
	hs_ctf_events_free(reader->foreign);
	free(reader->foreign_read);
	free(reader->streams);
	free(reader->heap);
	free(reader->dir);
	free(reader);
}
