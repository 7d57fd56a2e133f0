// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stream file through a window of memory. Read with pread: a file that shrinks under us ends early instead of
 * faulting. What is no packet is passed over to the next place where magic number and UUID stand, which no record
 * holds by chance.
 */
#include "trace/ctf_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define WINDOW_BYTES (256u << 10)
#define PACKET_BYTES_MAX (64u << 20) /* the writer's have 1 MiB */
#define SIGNATURE_BYTES (sizeof(uint32_t) + HS_CTF_UUID_BYTES)
#define MESSAGES_MAX 8

/* Reads up to `bytes`; fewer only at the end of the file. */
static ssize_t read_at(int fd, void *to, size_t bytes, uint64_t offset)
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

static int make_room(struct hs_ctf_stream *stream, uint64_t bytes)
{
	uint8_t *window;

	if (bytes <= stream->room)
		return 0;
	window = realloc(stream->window, bytes);
	if (!window)
		return -ENOMEM;
	stream->window = window;
	stream->room = bytes;
	return 0;
}

/* The file's bytes from `offset` on, 8-aligned: at least `bytes` of them unless the file ends, *got says how many. */
static int see(struct hs_ctf_stream *stream, uint64_t offset, uint64_t bytes, const uint8_t **out, uint64_t *got)
{
	uint64_t end = stream->window_offset + stream->window_bytes, kept = 0, want, left = stream->file_bytes - offset;
	ssize_t read;
	int err;

	bytes = bytes < left ? bytes : left;
	if (offset < stream->window_offset || offset + bytes > end || (offset - stream->window_offset) % 8) {
		err = make_room(stream, bytes > WINDOW_BYTES ? bytes : WINDOW_BYTES);
		if (err)
			return err;
		if (offset >= stream->window_offset && offset < end)
			kept = end - offset;
		memmove(stream->window, stream->window + (kept ? offset - stream->window_offset : 0), kept);
		want = stream->room < left ? stream->room : left;
		read = kept < want ? read_at(stream->fd, stream->window + kept, want - kept, offset + kept) : 0;
		stream->window_offset = offset;
		stream->window_bytes = kept + (read > 0 ? read : 0);
		if (read < 0)
			return read;
	}
	*out = stream->window + (offset - stream->window_offset);
	*got = stream->window_offset + stream->window_bytes - offset;
	return 0;
}

/* A header alone: passing over packets should not read what is in them. */
static int see_header(struct hs_ctf_stream *stream, struct hs_ctf_packet *packet)
{
	uint64_t start = stream->window_offset, end = start + stream->window_bytes;
	ssize_t got;

	if (stream->offset >= start && stream->offset + sizeof(*packet) <= end) {
		memcpy(packet, stream->window + (stream->offset - start), sizeof(*packet));
		return 0;
	}
	got = read_at(stream->fd, packet, sizeof(*packet), stream->offset);
	if (got >= 0 && got < (ssize_t)sizeof(*packet))
		stream->file_bytes = stream->offset + got; /* it shrank */
	return got < 0 ? got : 0;
}

/*
 * One size confirms the other: our own records fill a packet to its end, behind the last one of ftrace are less than 8
 * bytes.
 */
static bool is_packet(const struct hs_ctf_stream *stream, const struct hs_ctf_source *source,
		      const struct hs_ctf_packet *packet)
{
	uint64_t unused_bits = packet->packet_bits - packet->content_bits;

	return packet->magic == HS_CTF_MAGIC && !memcmp(packet->uuid, source->uuid, HS_CTF_UUID_BYTES) &&
	       packet->stream_id == stream->class && packet->packet_bits % 64 == 0 && packet->content_bits % 8 == 0 &&
	       unused_bits < (stream->class ? 64 : 1) && packet->packet_bits / 8 >= sizeof(*packet) &&
	       packet->packet_bits / 8 <= PACKET_BYTES_MAX && packet->timestamp_begin <= packet->timestamp_end &&
	       packet->cpu_id < HS_CTF_CPU_MAX;
}

/* Where the next packet seems to start at `from` or behind; the file's end when there is none. */
static int find_packet(struct hs_ctf_stream *stream, const struct hs_ctf_source *source, uint64_t from, uint64_t *found)
{
	const uint32_t magic = HS_CTF_MAGIC;
	uint8_t signature[SIGNATURE_BYTES];

	memcpy(signature, &magic, sizeof(magic));
	memcpy(signature + sizeof(magic), source->uuid, HS_CTF_UUID_BYTES);
	while (from + SIGNATURE_BYTES <= stream->file_bytes) {
		const uint8_t *bytes, *place;
		uint64_t got;
		int err = see(stream, from, SIGNATURE_BYTES, &bytes, &got);

		if (err)
			return err;
		if (got < SIGNATURE_BYTES)
			break;
		place = memmem(bytes, got, signature, SIGNATURE_BYTES);
		if (place) {
			*found = from + (place - bytes);
			return 0;
		}
		from += got - SIGNATURE_BYTES + 1;
	}
	*found = stream->file_bytes;
	return 0;
}

static void say_damage(const struct hs_ctf_stream *stream, struct hs_ctf_source *source, uint64_t at, const char *why)
{
	if (source->message_nr++ < MESSAGES_MAX)
		hs_err("%s/%s: damaged packet at byte %" PRIu64 ": %s; %" PRIu64 " bytes are not read%s", source->dir,
		       stream->name, at, why, stream->offset - at,
		       stream->offset < stream->file_bytes ? ", reading goes on behind them" : " (to the file's end)");
	if (source->message_nr == MESSAGES_MAX)
		hs_err("%s: further damaged packets are counted without a message", source->dir);
}

/* What lies at stream->offset makes no sense: goes on at the first packet at `from` or behind. */
static int pass_damage(struct hs_ctf_stream *stream, struct hs_ctf_source *source, uint64_t from, const char *why)
{
	uint64_t at = stream->offset;
	int err = find_packet(stream, source, from, &stream->offset);

	if (err)
		return err;
	source->counts.damaged_packets++;
	source->counts.unread_bytes += stream->offset - at;
	stream->damage_bytes += stream->offset - at;
	say_damage(stream, source, at, why);
	return 0;
}

/* The file may have grown since it was opened: then a packet that did not fit is whole now. */
static bool has_grown_to(struct hs_ctf_stream *stream, uint64_t bytes)
{
	struct stat status;

	if (fstat(stream->fd, &status) || (uint64_t)status.st_size < bytes)
		return false;
	stream->file_bytes = bytes;
	return true;
}

static void tell_loss(const struct hs_ctf_source *source, const struct hs_ctf_loss *loss)
{
	if (source->on_loss && (loss->events || loss->packets || loss->bytes))
		source->on_loss(source->loss_ctx, loss);
}

/* What is missing between the newest packet and this one, and what this one says was lost. */
static void note_packet(struct hs_ctf_stream *stream, struct hs_ctf_source *source, const struct hs_ctf_packet *packet)
{
	struct hs_ctf_loss loss = { .cpu = packet->cpu_id,
				    .begin_ns = stream->has_packet ? stream->packet_end_ns : 0,
				    .end_ns = packet->timestamp_end,
				    .bytes = stream->damage_bytes };

	if (packet->events_discarded > stream->discarded)
		loss.events = packet->events_discarded - stream->discarded;
	if (stream->has_packet && packet->packet_seq_num > stream->sequence + 1)
		loss.packets = packet->packet_seq_num - stream->sequence - 1;
	if (!stream->has_packet || packet->events_discarded > stream->discarded)
		stream->discarded = packet->events_discarded;
	stream->has_packet = true;
	stream->sequence = packet->packet_seq_num;
	stream->packet_end_ns = packet->timestamp_end;
	stream->damage_bytes = 0;
	stream->cpu = packet->cpu_id;
	if (loss.begin_ns > source->to_ns || loss.end_ns < source->from_ns)
		return;
	source->counts.discarded += loss.events;
	source->counts.missing_packets += loss.packets;
	tell_loss(source, &loss);
}

static void note_end(struct hs_ctf_stream *stream, struct hs_ctf_source *source)
{
	struct hs_ctf_loss loss = { .cpu = stream->cpu,
				    .begin_ns = stream->has_packet ? stream->packet_end_ns : 0,
				    .end_ns = UINT64_MAX,
				    .bytes = stream->damage_bytes };

	stream->damage_bytes = 0;
	if (loss.begin_ns <= source->to_ns)
		tell_loss(source, &loss);
}

static bool is_known(const struct hs_ctf_stream *stream, const struct hs_ctf_source *source, uint16_t id)
{
	if (stream->class)
		return hs_ctf_events_find(source->events, id);
	return id < HS_EVENT_ID_NR && source->size[id];
}

/*
 * Walks over the records in [at, end) and sets stream->at and ->end around those of the range. Returns where the walk
 * ended: at `end`, or before at what is no whole record of the packet's time; *why is set then, to NULL when the
 * bytes just end.
 */
static const uint8_t *check_records(struct hs_ctf_stream *stream, struct hs_ctf_source *source,
				    const struct hs_ctf_packet *packet, const uint8_t *at, const uint8_t *end,
				    const char **why)
{
	const size_t shortest = stream->class ? sizeof(struct hs_event_header) : HS_CTF_STAMP_BYTES;
	const uint8_t *first = NULL, *last = at;
	uint64_t last_ns = stream->last_ns, near_ns = packet->timestamp_begin, steps_back = 0;

	*why = NULL;
	while (at < end) {
		uint64_t ns;
		size_t size;

		if ((size_t)(end - at) < shortest)
			break;
		ns = hs_ctf_stream_ns(stream, at, near_ns);
		size = hs_ctf_stream_record_bytes(stream, source, at, (size_t)(end - at));
		if (!size && !is_known(stream, source, hs_ctf_stream_id(stream, at)))
			*why = "an event that does not exist";
		else if (ns < packet->timestamp_begin || ns > packet->timestamp_end)
			*why = "a record outside the packet's time";
		if (*why || !size)
			break;
		steps_back += ns < last_ns;
		last_ns = near_ns = ns;
		if (ns >= source->from_ns && ns <= source->to_ns) {
			if (!first) {
				first = at;
				stream->next_ns = ns;
			}
			last = at + size;
		}
		at += size;
	}
	source->counts.steps_back += steps_back;
	stream->last_ns = last_ns;
	stream->at = first ? first : last;
	stream->end = last;
	return at;
}

/* Makes the packet's records the stream's. `bytes`: of content that the file has, fewer than it should when torn. */
static int read_records(struct hs_ctf_stream *stream, struct hs_ctf_source *source, const struct hs_ctf_packet *packet,
			uint64_t bytes)
{
	const uint8_t *start, *stopped;
	const char *why;
	uint64_t got;
	int err = see(stream, stream->offset, bytes, &start, &got);

	if (err)
		return err;
	bytes = got < bytes ? got : bytes;
	if (bytes < sizeof(*packet))
		return 0; /* it shrank: the next look at the file's end tells */
	note_packet(stream, source, packet);
	stopped = check_records(stream, source, packet, start + sizeof(*packet), start + bytes, &why);
	if (bytes < packet->packet_bits / 8 && !why) {
		source->counts.torn_packets++;
		source->counts.unread_bytes += start + bytes - stopped;
		stream->offset = stream->file_bytes;
	} else if (stopped < start + bytes) {
		/* Only told when the records before are used up: looking further on moves the window. */
		stream->damage = why ? why : "a record that does not fit into the packet";
		stream->offset += stopped - start;
		stream->packet_end_ns = stream->last_ns;
	} else {
		source->counts.packets++;
		stream->offset += packet->packet_bits / 8;
	}
	return 0;
}

/* A packet that is larger than what is left of the file: cut off, or what its header says of its size is wrong. */
static int read_torn(struct hs_ctf_stream *stream, struct hs_ctf_source *source, const struct hs_ctf_packet *packet)
{
	uint64_t next, left = stream->file_bytes - stream->offset;
	int err = find_packet(stream, source, stream->offset + 1, &next);

	if (err)
		return err;
	if (next < stream->file_bytes)
		return pass_damage(stream, source, next, "its size is wrong");
	return read_records(stream, source, packet, left);
}

static int load_packet(struct hs_ctf_stream *stream, struct hs_ctf_source *source)
{
	struct hs_ctf_packet packet;
	uint64_t end;
	int err = see_header(stream, &packet);

	if (err || stream->offset + sizeof(packet) > stream->file_bytes)
		return err;
	if (!is_packet(stream, source, &packet))
		return pass_damage(stream, source, stream->offset + 1, "there is no packet header");
	end = stream->offset + packet.packet_bits / 8;
	if (end > stream->file_bytes && !has_grown_to(stream, end))
		return read_torn(stream, source, &packet);
	if (packet.timestamp_begin <= source->to_ns && packet.timestamp_end >= source->from_ns)
		return read_records(stream, source, &packet, packet.packet_bits / 8);
	note_packet(stream, source, &packet);
	source->counts.skipped_packets++;
	stream->offset = end;
	return 0;
}

/* Goes one packet, one damaged place or the torn end further. 1; 0 when there is nothing more; -errno. */
static int step(struct hs_ctf_stream *stream, struct hs_ctf_source *source)
{
	uint64_t left = stream->file_bytes - stream->offset;
	const char *why = stream->damage;
	int err;

	if (why) {
		stream->damage = NULL;
		err = pass_damage(stream, source, stream->offset, why);
		return err ? err : 1;
	}
	if (!left)
		return 0;
	if (left < sizeof(struct hs_ctf_packet) &&
	    !has_grown_to(stream, stream->offset + sizeof(struct hs_ctf_packet))) {
		source->counts.torn_packets++;
		source->counts.unread_bytes += left;
		stream->offset = stream->file_bytes;
		return 0;
	}
	err = load_packet(stream, source);
	return err ? err : 1;
}

int hs_ctf_stream_load(struct hs_ctf_stream *stream, struct hs_ctf_source *source)
{
	int went = 1;

	while (stream->at == stream->end && went > 0)
		went = step(stream, source);
	if (went < 0)
		return hs_fail(went, "cannot read %s/%s:", source->dir, stream->name);
	if (!went)
		note_end(stream, source);
	return went;
}

int hs_ctf_stream_open(struct hs_ctf_stream *stream, const struct hs_ctf_source *source, int dir_fd, const char *name,
		       uint32_t class, uint32_t cpu)
{
	scoped(fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is not waited for */
	struct hs_ctf_packet packet;
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	*stream = (struct hs_ctf_stream){ .fd = fd, .cpu = cpu, .class = class, .file_bytes = status.st_size };
	snprintf(stream->name, sizeof(stream->name), "%s", name);
	if (read_at(fd, &packet, sizeof(packet), 0) == sizeof(packet) && is_packet(stream, source, &packet))
		stream->begin_ns = packet.timestamp_begin;
	take_fd(&fd);
	return 0;
}

void hs_ctf_stream_close(struct hs_ctf_stream *stream)
{
	close(stream->fd);
	free(stream->window);
}
