// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CTF reader: every stream holds one packet in memory, a heap over the streams' next records gives them
 * in the order of time. Files are read with pread, so one that shrinks under us ends early instead of
 * faulting. Called from one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "trace/ctf_reader.h"

#define METADATA_BYTES_MAX (1u << 20) /* ours has some 10 KB */

struct stream {
	int fd;
	uint64_t file_bytes; /* when opened */
	uint64_t offset;     /* of the next packet */
	uint32_t cpu;
	uint64_t last_ts;
	uint64_t discarded; /* as the newest packet says it */

	uint8_t *packet;	     /* the current one */
	uint64_t room;		     /* bytes allocated */
	uint64_t end;		     /* of its content */
	uint64_t at;		     /* of its next record */
	const struct hs_event *next; /* what lies at `at`; NULL: stream ended */
};

struct hs_ctf_reader {
	struct hs_ctf_info info;
	struct hs_ctf_reader_counts counts;
	int dir_fd;
	struct stream *streams;
	uint32_t stream_nr;
	uint32_t *heap; /* stream numbers, the earliest next record on top */
	uint32_t heap_nr;
	bool started;
	bool top_is_used; /* the record on top was given out */
};

static const struct hs_event_header *next_header(const struct stream *stream)
{
	return (const void *)(stream->packet + stream->at);
}

/* Reads up to `bytes`; fewer only at the end of the file. */
static ssize_t read_all(int fd, void *to, size_t bytes, uint64_t offset)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t got = pread(fd, (char *)to + done, bytes - done, offset + done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += got;
	}
	return done;
}

static void give_up(struct hs_ctf_reader *reader, struct stream *stream, uint64_t from)
{
	reader->counts.corrupt_streams++;
	if (stream->file_bytes > from)
		reader->counts.unread_bytes += stream->file_bytes - from;
	stream->offset = stream->file_bytes;
	stream->end = stream->at;
}

static bool is_packet(const struct hs_ctf_reader *reader, const struct hs_ctf_packet *packet)
{
	return packet->magic == HS_CTF_MAGIC && !memcmp(packet->uuid, reader->info.uuid, HS_CTF_UUID_BYTES) &&
	       packet->stream_id == 0 && packet->packet_bits % 64 == 0 && packet->content_bits % 64 == 0 &&
	       packet->content_bits <= packet->packet_bits && packet->content_bits / 8 >= sizeof(*packet);
}

static int make_room(struct stream *stream, uint64_t bytes)
{
	uint8_t *packet;

	if (bytes <= stream->room)
		return 0;
	packet = realloc(stream->packet, bytes);
	if (!packet)
		return -ENOMEM;
	stream->packet = packet;
	stream->room = bytes;
	return 0;
}

/* Loads the packet at `offset`. 1; 0 at the end of what can be read; -errno. */
static int load_packet(struct hs_ctf_reader *reader, struct stream *stream)
{
	uint64_t start = stream->offset, left = stream->file_bytes - start, bytes;
	struct hs_ctf_packet packet;
	ssize_t got;
	int err;

	stream->at = stream->end = 0;
	if (!left)
		return 0;
	if (left < sizeof(packet)) {
		reader->counts.torn_packets++;
		stream->offset = stream->file_bytes;
		return 0;
	}
	got = read_all(stream->fd, &packet, sizeof(packet), start);
	if (got < 0)
		return got;
	if (got < (ssize_t)sizeof(packet) || !is_packet(reader, &packet)) {
		give_up(reader, stream, start);
		return 0;
	}
	bytes = packet.content_bits / 8 < left ? packet.content_bits / 8 : left;
	err = make_room(stream, bytes);
	if (err)
		return err;
	got = read_all(stream->fd, stream->packet, bytes, start);
	if (got < 0)
		return got;
	if (packet.packet_bits / 8 > left || (uint64_t)got < bytes)
		reader->counts.torn_packets++;
	else
		reader->counts.packets++;
	stream->offset = packet.packet_bits / 8 < left ? start + packet.packet_bits / 8 : stream->file_bytes;
	stream->at = sizeof(packet);
	stream->end = got;
	stream->cpu = packet.cpu_id;
	if (packet.events_discarded > stream->discarded) {
		reader->counts.discarded += packet.events_discarded - stream->discarded;
		stream->discarded = packet.events_discarded;
	}
	return 1;
}

/* The event at `at`, NULL when no whole record is left in the packet. */
static const struct hs_event *peek_event(struct hs_ctf_reader *reader, struct stream *stream)
{
	uint64_t left = stream->end - stream->at;
	const struct hs_event *event;

	if (left >= sizeof(struct hs_event_header)) {
		event = hs_event_find(next_header(stream)->id);
		if (!event) {
			give_up(reader, stream, stream->offset - left);
			return NULL;
		}
		if (event->size <= left)
			return event;
	}
	reader->counts.unread_bytes += left; /* of a torn packet */
	stream->at = stream->end;
	return NULL;
}

/* Finds the stream's next record; stream->next is NULL at the end. 0 or -errno. */
static int find_next(struct hs_ctf_reader *reader, struct stream *stream)
{
	int loaded;

	for (;;) {
		stream->next = peek_event(reader, stream);
		if (stream->next)
			return 0;
		loaded = load_packet(reader, stream);
		if (loaded <= 0)
			return loaded;
	}
}

static bool is_earlier(const struct hs_ctf_reader *reader, uint32_t a, uint32_t b)
{
	const struct stream *one = &reader->streams[a], *other = &reader->streams[b];
	uint64_t ts = next_header(one)->ts, other_ts = next_header(other)->ts;

	return ts < other_ts || (ts == other_ts && one->cpu < other->cpu);
}

static void sift_down(struct hs_ctf_reader *reader, uint32_t at)
{
	uint32_t *heap = reader->heap;

	for (;;) {
		uint32_t child = 2 * at + 1, moved = heap[at];

		if (child >= reader->heap_nr)
			return;
		if (child + 1 < reader->heap_nr && is_earlier(reader, heap[child + 1], heap[child]))
			child++;
		if (!is_earlier(reader, heap[child], moved))
			return;
		heap[at] = heap[child];
		heap[child] = moved;
		at = child;
	}
}

static int start_reading(struct hs_ctf_reader *reader)
{
	for (uint32_t i = 0; i < reader->stream_nr; i++) {
		int err = find_next(reader, &reader->streams[i]);

		if (err)
			return hs_fail(err, "cannot read the trace of CPU %u:", reader->streams[i].cpu);
		if (reader->streams[i].next)
			reader->heap[reader->heap_nr++] = i;
	}
	for (uint32_t i = reader->heap_nr / 2; i-- > 0;)
		sift_down(reader, i);
	reader->started = true;
	return 0;
}

/* Steps over the record given out last. */
static int advance_top(struct hs_ctf_reader *reader)
{
	struct stream *stream = &reader->streams[reader->heap[0]];
	int err;

	stream->at += stream->next->size;
	err = find_next(reader, stream);
	if (err)
		return hs_fail(err, "cannot read the trace of CPU %u:", stream->cpu);
	if (!stream->next)
		reader->heap[0] = reader->heap[--reader->heap_nr];
	sift_down(reader, 0);
	reader->top_is_used = false;
	return 0;
}

int hs_ctf_reader_next(struct hs_ctf_reader *reader, struct hs_ctf_record *out)
{
	struct stream *stream;
	int err = 0;

	if (!reader->started)
		err = start_reading(reader);
	else if (reader->top_is_used)
		err = advance_top(reader);
	if (err)
		return err;
	if (!reader->heap_nr)
		return 0;
	stream = &reader->streams[reader->heap[0]];
	*out = (struct hs_ctf_record){ .event = stream->next,
				       .header = next_header(stream),
				       .cpu = stream->cpu };
	reader->counts.read[stream->next->id]++;
	reader->counts.steps_back += out->header->ts < stream->last_ts;
	stream->last_ts = out->header->ts;
	reader->top_is_used = true;
	return 1;
}

static int read_metadata(struct hs_ctf_reader *reader, const char *dir)
{
	scoped(fd) int fd = openat(reader->dir_fd, "metadata", O_RDONLY | O_CLOEXEC);
	scoped(mem) char *text = calloc(1, METADATA_BYTES_MAX + 1);
	ssize_t got;
	int err;

	if (!text)
		return -ENOMEM;
	if (fd < 0)
		return hs_fail(-errno, "%s holds no trace: cannot open its metadata:", dir);
	got = read_all(fd, text, METADATA_BYTES_MAX, 0);
	if (got < 0)
		return hs_fail(got, "cannot read %s/metadata:", dir);
	err = hs_ctf_metadata_parse(text, &reader->info);
	if (err)
		return hs_fail(err, "%s is not a trace of hsbpf (babeltrace2 may read it)", dir);
	if (reader->info.schema > HS_EVENTS_SCHEMA)
		return hs_fail(-EPROTO, "%s was made by a newer hsbpf (schema %u, this one knows %u)", dir,
			       reader->info.schema, HS_EVENTS_SCHEMA);
	return 0;
}

static int add_stream(struct hs_ctf_reader *reader, const char *name, uint32_t cpu)
{
	scoped(fd) int fd = openat(reader->dir_fd, name, O_RDONLY | O_CLOEXEC);
	struct stream *streams;
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return hs_fail(-errno, "cannot open the trace's %s:", name);
	streams = reallocarray(reader->streams, reader->stream_nr + 1, sizeof(*streams));
	if (!streams)
		return -ENOMEM;
	reader->streams = streams;
	streams[reader->stream_nr++] =
		(struct stream){ .fd = take_fd(&fd), .file_bytes = status.st_size, .cpu = cpu };
	return 0;
}

static int add_streams(struct hs_ctf_reader *reader, const char *dir_name)
{
	scoped(dir) DIR *dir = opendir(dir_name);
	const struct dirent *entry;

	if (!dir)
		return hs_fail(-errno, "cannot list %s:", dir_name);
	while ((entry = readdir(dir))) {
		uint32_t cpu;
		int used = 0, err;

		if (sscanf(entry->d_name, "cpu%u%n", &cpu, &used) != 1 || entry->d_name[used])
			continue;
		err = add_stream(reader, entry->d_name, cpu);
		if (err)
			return err;
	}
	reader->heap = calloc(reader->stream_nr + 1, sizeof(*reader->heap));
	return reader->heap ? 0 : -ENOMEM;
}

int hs_ctf_reader_open(const char *dir, struct hs_ctf_reader **out)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = calloc(1, sizeof(*reader));
	int err;

	if (!reader)
		return -ENOMEM;
	reader->dir_fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (reader->dir_fd < 0)
		return hs_fail(-errno, "cannot open the trace %s:", dir);
	err = read_metadata(reader, dir);
	if (!err)
		err = add_streams(reader, dir);
	if (err)
		return err;
	*out = take(reader);
	return 0;
}

const struct hs_ctf_info *hs_ctf_reader_info(const struct hs_ctf_reader *reader)
{
	return &reader->info;
}

const struct hs_ctf_reader_counts *hs_ctf_reader_counts(const struct hs_ctf_reader *reader)
{
	return &reader->counts;
}

void hs_ctf_reader_free(struct hs_ctf_reader *reader)
{
	if (!reader)
		return;
	for (uint32_t i = 0; i < reader->stream_nr; i++) {
		close(reader->streams[i].fd);
		free(reader->streams[i].packet);
	}
	if (reader->dir_fd >= 0)
		close(reader->dir_fd);
	free(reader->streams);
	free(reader->heap);
	free(reader);
}
