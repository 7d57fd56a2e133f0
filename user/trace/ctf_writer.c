// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CTF writer: collects one packet in memory, in time order, and writes it with one call at the end of its
 * CPU's file. Called from one thread: the collector of that machine's records.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "trace/ctf_file.h"
#include "trace/ctf_metadata.h"
#include "trace/ctf_writer.h"

#define PACKET_BYTES (1u << 20)
#define HEADER_BYTES sizeof(struct hs_event_header)
/* The fields are copied in one size where the record is long enough; the next one covers what was too much. */
#define COPY_BYTES (64 - HEADER_BYTES)
#define RECORDS_MAX (PACKET_BYTES / HS_CTF_STAMP_BYTES)
/* How far back a late record may move. Interrupts displace records by one or two; this is for bad guests. */
#define SORT_REACH 1024

_Static_assert(HS_EVENT_ID_NR <= 1u << HS_CTF_STAMP_ID_BITS, "a stamp holds every id");
/* Bytes of a record in memory by event id, 0 where there is none: all that the hot path wants of the event table. */
static const uint8_t record_bytes[HS_EVENT_ID_NR] = {
#define EVENT(id, system, name, doc) [id] = sizeof(struct hs_event_##name),
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"
};

struct stream {
	struct hs_ctf_file file;
	uint64_t last_ts;		   /* of what is written */
	uint64_t lost;			   /* before the records came here, as the caller last said */
	uint64_t disk_lost;		   /* in packets that were not written */
	uint64_t discarded;		   /* the sum, as the last packet says it */
	uint64_t recorded[HS_EVENT_ID_NR]; /* in the file */
};

struct hs_ctf_writer {
	int dir_fd;
	struct hs_ctf_output output; /* put is NULL: files */
	struct hs_ctf_info info;
	struct hs_ctf_writer_counts counts;
	bool write_failed; /* said already */
	uint64_t start_ns;

	struct stream *streams;
	uint32_t stream_nr;

	/* The open packet: bytes with room for the header in front, and where each record starts. */
	struct stream *stream;
	uint32_t cpu;
	uint32_t used;
	uint32_t record_nr;
	uint64_t newest_ts; /* of its records and of what is written */
	uint64_t first_ts;  /* of its records */
	uint32_t *starts;
	uint32_t by_id[HS_EVENT_ID_NR]; /* its records */
	uint8_t *buffer;
};

static uint64_t stamp_at(const struct hs_ctf_writer *writer, uint32_t index)
{
	return *(const uint64_t *)(const void *)(writer->buffer + writer->starts[index]);
}

static uint64_t time_at(const struct hs_ctf_writer *writer, uint32_t index)
{
	return hs_ctf_stamp_ts(stamp_at(writer, index), writer->newest_ts);
}

static int write_metadata(struct hs_ctf_writer *writer, const char *dir)
{
	scoped(fd) int fd = openat(writer->dir_fd, "metadata", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	scoped(file) FILE *file = NULL;

	if (fd < 0)
		return hs_fail(-errno, "cannot create %s/metadata:", dir);
	file = fdopen(fd, "w");
	if (!file)
		return hs_fail(-errno, "cannot write %s/metadata:", dir);
	take_fd(&fd);
	hs_ctf_metadata_print(file, &writer->info);
	if (fflush(file) || ferror(file))
		return hs_fail(-EIO, "cannot write %s/metadata:", dir);
	return 0;
}

static int open_dir(struct hs_ctf_writer *writer, const struct hs_ctf_writer_config *config)
{
	if (mkdir(config->dir, 0755) && errno != EEXIST)
		return hs_fail(-errno, "cannot make the trace folder %s:", config->dir);
	writer->dir_fd = open(config->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (writer->dir_fd < 0)
		return hs_fail(-errno, "cannot open the trace folder %s:", config->dir);
	return write_metadata(writer, config->dir);
}

int hs_ctf_writer_open(const struct hs_ctf_writer_config *config, struct hs_ctf_writer **out)
{
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = calloc(1, sizeof(*writer));
	int err;

	if (!writer)
		return -ENOMEM;
	writer->dir_fd = -1;
	writer->start_ns = config->start_ns;
	writer->buffer = malloc(PACKET_BYTES + COPY_BYTES);
	writer->starts = malloc(RECORDS_MAX * sizeof(*writer->starts));
	if (!writer->buffer || !writer->starts)
		return -ENOMEM;
	err = hs_ctf_info_init(&writer->info, config->machine, HS_CTF_CLOCK, config->clock_offset_ns);
	if (!err && config->output)
		writer->output = *config->output;
	else if (!err)
		err = open_dir(writer, config);
	if (!err)
		*out = take(writer);
	return err;
}

static int grow_streams(struct hs_ctf_writer *writer, uint32_t stream_nr)
{
	struct stream *streams = reallocarray(writer->streams, stream_nr, sizeof(*streams));

	if (!streams)
		return -ENOMEM;
	for (uint32_t i = writer->stream_nr; i < stream_nr; i++) {
		streams[i] = (struct stream){ .last_ts = writer->start_ns };
		hs_ctf_file_init(&streams[i].file, writer->dir_fd, "cpu", i);
		streams[i].file.output = writer->output.put ? &writer->output : NULL;
	}
	writer->streams = streams;
	writer->stream_nr = stream_nr;
	return 0;
}

static void empty_packet(struct hs_ctf_writer *writer)
{
	writer->used = sizeof(struct hs_ctf_packet);
	writer->record_nr = 0;
	memset(writer->by_id, 0, sizeof(writer->by_id));
}

int hs_ctf_writer_begin(struct hs_ctf_writer *writer, uint32_t cpu)
{
	int err;

	if (cpu >= HS_CTF_CPU_MAX)
		return -EINVAL;
	if (cpu >= writer->stream_nr) {
		err = grow_streams(writer, cpu + 1);
		if (err)
			return err;
	}
	writer->stream = &writer->streams[cpu];
	writer->cpu = cpu;
	empty_packet(writer);
	writer->newest_ts = writer->stream->last_ts;
	return 0;
}

static void say_once(struct hs_ctf_writer *writer, int err)
{
	if (!writer->write_failed)
		hs_fail(err, "cannot write the trace of %s (counted as lost from here on):", writer->info.machine);
	writer->write_failed = true;
}

static void packet_failed(struct hs_ctf_writer *writer, uint32_t record_nr, int err)
{
	say_once(writer, err);
	writer->stream->disk_lost += record_nr;
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		writer->counts.disk_lost[id] += writer->by_id[id];
	if (record_nr) /* a packet that says so later needs a time */
		writer->stream->last_ts = time_at(writer, record_nr - 1);
}

/* What is written into a deleted file is gone with it: then all that was recorded there is lost. */
static void check_deleted(struct hs_ctf_writer *writer, struct stream *stream)
{
	if (!hs_ctf_file_was_deleted(&stream->file))
		return;
	say_once(writer, -ENOENT);
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++) {
		writer->counts.recorded[id] -= stream->recorded[id];
		writer->counts.disk_lost[id] += stream->recorded[id];
		stream->disk_lost += stream->recorded[id];
		stream->recorded[id] = 0;
	}
	writer->counts.bytes -= stream->file.bytes;
}

/* Writes the first `record_nr` records, which take the first `used` bytes and are those of by_id. */
static int flush(struct hs_ctf_writer *writer, uint32_t record_nr, uint32_t used)
{
	struct stream *stream = writer->stream;
	struct hs_ctf_packet packet = {
		.magic = HS_CTF_MAGIC,
		.timestamp_begin = record_nr ? time_at(writer, 0) : stream->last_ts,
		.timestamp_end = record_nr ? time_at(writer, record_nr - 1) : stream->last_ts,
		.content_bits = used * 8ull,
		.packet_bits = used * 8ull,
		.events_discarded = stream->lost + stream->disk_lost,
		.cpu_id = writer->cpu,
	};
	uint64_t bytes_before = stream->file.bytes;
	int err = 0;

	memcpy(packet.uuid, writer->info.uuid, sizeof(packet.uuid));
	if (!stream->file.packets && packet.events_discarded)
		err = hs_ctf_file_put_first(&stream->file, &packet, writer->start_ns);
	packet.packet_seq_num = stream->file.packets;
	memcpy(writer->buffer, &packet, sizeof(packet));
	if (!err)
		err = hs_ctf_file_put(&stream->file, writer->buffer, used);
	writer->counts.bytes += stream->file.bytes - bytes_before;
	if (err) {
		packet_failed(writer, record_nr, err);
		return err;
	}
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++) {
		writer->counts.recorded[id] += writer->by_id[id];
		stream->recorded[id] += writer->by_id[id];
	}
	stream->last_ts = packet.timestamp_end;
	stream->discarded = packet.events_discarded;
	return 0;
}

/* The packet is full: writes it without its last records, which a late record may still want to go before. */
static void flush_full(struct hs_ctf_writer *writer)
{
	uint32_t kept = SORT_REACH, written = writer->record_nr - kept;
	uint32_t kept_start = writer->starts[written], move = kept_start - sizeof(struct hs_ctf_packet);

	for (uint32_t i = written; i < writer->record_nr; i++)
		writer->by_id[hs_ctf_stamp_id(stamp_at(writer, i))]--;
	flush(writer, written, kept_start);
	memmove(writer->buffer + sizeof(struct hs_ctf_packet), writer->buffer + kept_start, writer->used - kept_start);
	for (uint32_t i = 0; i < kept; i++)
		writer->starts[i] = writer->starts[written + i] - move;
	writer->record_nr = kept;
	writer->used -= move;
	writer->first_ts = time_at(writer, 0);
	memset(writer->by_id, 0, sizeof(writer->by_id));
	for (uint32_t i = 0; i < kept; i++)
		writer->by_id[hs_ctf_stamp_id(stamp_at(writer, i))]++;
}

/* Where a record of time ts belongs: after everything that is not later. */
static uint32_t find_place(const struct hs_ctf_writer *writer, uint64_t ts)
{
	uint32_t place = writer->record_nr;
	uint32_t first = place > SORT_REACH ? place - SORT_REACH : 0;

	while (place > first && time_at(writer, place - 1) > ts)
		place--;
	return place;
}

/* Makes a gap for `bytes` before the record at `place` and returns it. */
static uint8_t *make_gap(struct hs_ctf_writer *writer, uint32_t place, uint32_t bytes)
{
	uint32_t start = place < writer->record_nr ? writer->starts[place] : writer->used;

	memmove(writer->buffer + start + bytes, writer->buffer + start, writer->used - start);
	for (uint32_t i = writer->record_nr; i > place; i--)
		writer->starts[i] = writer->starts[i - 1] + bytes;
	writer->starts[place] = start;
	return writer->buffer + start;
}

static void put_record(uint8_t *to, const struct hs_event_header *record, uint64_t ts, uint32_t field_bytes)
{
	*(uint64_t *)(void *)to = hs_ctf_stamp(ts, record->id, record->tid);
	memcpy(to + HS_CTF_STAMP_BYTES, record + 1, field_bytes);
}

/* A record that is earlier than the newest: goes before the later ones, or gets the time of the last written one. */
static void add_late(struct hs_ctf_writer *writer, const struct hs_event_header *record, uint32_t bytes)
{
	uint32_t place = find_place(writer, record->ts);
	uint64_t earliest = place ? time_at(writer, place - 1) : writer->stream->last_ts, ts = record->ts;

	if (!place && writer->newest_ts - earliest > HS_CTF_SPAN_NS)
		earliest = writer->newest_ts - HS_CTF_SPAN_NS;
	if (ts < earliest) {
		ts = earliest;
		writer->counts.clamped++;
	}
	writer->counts.sorted += place < writer->record_nr;
	put_record(make_gap(writer, place, bytes), record, ts, bytes - HS_CTF_STAMP_BYTES);
	if (!place)
		writer->first_ts = ts;
}

static void add_newest(struct hs_ctf_writer *writer, const struct hs_event_header *record, uint32_t bytes,
		       uint32_t room_bytes)
{
	uint8_t *to = writer->buffer + writer->used;

	if (room_bytes >= HEADER_BYTES + COPY_BYTES)
		put_record(to, record, record->ts, COPY_BYTES); /* a known size: a handful of moves */
	else
		put_record(to, record, record->ts, bytes - HS_CTF_STAMP_BYTES);
	if (!writer->record_nr)
		writer->first_ts = record->ts;
	writer->starts[writer->record_nr] = writer->used;
	writer->newest_ts = record->ts;
}

int hs_ctf_writer_add(struct hs_ctf_writer *writer, const void *record, uint32_t bytes)
{
	const struct hs_event_header *header = record;
	uint32_t size;

	if (bytes < sizeof(*header) || header->id >= HS_EVENT_ID_NR)
		return -EBADMSG;
	size = record_bytes[header->id];
	if (!size || bytes < size)
		return -EBADMSG;
	size = hs_ctf_record_bytes(size);
	if (writer->used + size > PACKET_BYTES)
		flush_full(writer);
	if (writer->record_nr && header->ts > writer->newest_ts && header->ts - writer->first_ts > HS_CTF_SPAN_NS) {
		flush(writer, writer->record_nr, writer->used);
		empty_packet(writer);
	}
	if (header->ts >= writer->newest_ts)
		add_newest(writer, header, size, bytes);
	else
		add_late(writer, header, size);
	writer->by_id[header->id]++;
	writer->record_nr++;
	writer->used += size;
	return 0;
}

/* A stream that never had a record has no time yet at which an empty packet could stand. */
static bool is_worth_writing(const struct hs_ctf_writer *writer, uint64_t lost)
{
	const struct stream *stream = writer->stream;

	return writer->record_nr || (stream->last_ts && lost + stream->disk_lost != stream->discarded);
}

int hs_ctf_writer_end(struct hs_ctf_writer *writer, uint64_t lost)
{
	int err = 0;

	check_deleted(writer, writer->stream);
	writer->stream->lost = lost;
	if (is_worth_writing(writer, lost))
		err = flush(writer, writer->record_nr, writer->used);
	writer->stream = NULL;
	return err;
}

uint64_t hs_ctf_writer_stream_bytes(const struct hs_ctf_writer *writer)
{
	return writer->stream->file.bytes;
}

uint64_t hs_ctf_writer_bytes_after(const struct hs_ctf_writer *writer, uint64_t lost)
{
	const struct stream *stream = writer->stream;
	bool has_first = !stream->file.packets && lost + stream->disk_lost;

	if (!is_worth_writing(writer, lost))
		return stream->file.bytes;
	return stream->file.bytes + (has_first ? sizeof(struct hs_ctf_packet) : 0) + writer->used;
}

uint64_t hs_ctf_writer_disk_lost(const struct hs_ctf_writer *writer, uint32_t cpu)
{
	return cpu < writer->stream_nr ? writer->streams[cpu].disk_lost : 0;
}

const struct hs_ctf_writer_counts *hs_ctf_writer_counts(const struct hs_ctf_writer *writer)
{
	return &writer->counts;
}

void hs_ctf_writer_free(struct hs_ctf_writer *writer)
{
	if (!writer)
		return;
	for (uint32_t i = 0; i < writer->stream_nr; i++)
		hs_ctf_file_close(&writer->streams[i].file);
	if (writer->dir_fd >= 0)
		close(writer->dir_fd);
	free(writer->streams);
	free(writer->starts);
	free(writer->buffer);
	free(writer);
}
