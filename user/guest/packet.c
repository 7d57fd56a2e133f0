// SPDX-License-Identifier: GPL-2.0-only
/* Checks a packet's header against its length, then walks its records. */
#include "packet.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "trace/ctf.h"
#include "trace_events/events.h"

/* The records' bytes: content after the header, within the packet, within what came. 0: it makes no sense. */
static uint64_t content_bytes(const struct hs_ctf_packet *packet, uint64_t len)
{
	uint64_t content = packet->content_bits / 8;

	if (packet->magic != HS_CTF_MAGIC || packet->content_bits % 8 || packet->packet_bits != len * 8 ||
	    content < sizeof(*packet) || content > len)
		return 0;
	return content;
}

static int add_records(struct hs_ctf_writer *writer, uint64_t begin_ns, const char *at, const char *end)
{
	struct hs_ctf_record_room record = { .header.ts = begin_ns };

	while (at < end) {
		const struct hs_event *event;
		uint64_t stamp;
		uint32_t bytes;

		if (end - at < (ptrdiff_t)sizeof(stamp))
			return -EBADMSG;
		memcpy(&stamp, at, sizeof(stamp)); /* aligned, whatever the frame was */
		event = hs_event_find(hs_ctf_stamp_id(stamp));
		bytes = event ? hs_ctf_record_bytes(event->size) : 0;
		if (!event || bytes > (uint64_t)(end - at))
			return -EBADMSG;
		hs_ctf_unpack(&record, at, bytes, record.header.ts);
		if (hs_ctf_writer_add(writer, &record, event->size))
			return -EBADMSG;
		at += bytes;
	}
	return 0;
}

int hs_guest_packet_add(struct hs_ctf_writer *writer, struct hs_guest_packet_stream *stream, uint32_t cpu,
			const void *bytes, uint64_t len, uint64_t lost)
{
	struct hs_ctf_packet packet;
	uint64_t content;
	int err, written;

	if (len < sizeof(packet))
		return -EBADMSG;
	memcpy(&packet, bytes, sizeof(packet));
	content = content_bytes(&packet, len);
	if (!content || packet.cpu_id != cpu)
		return -EBADMSG;
	err = hs_ctf_writer_begin(writer, cpu);
	if (err)
		return err;
	if (packet.packet_seq_num > stream->next_seq)
		stream->missing_packets += packet.packet_seq_num - stream->next_seq;
	stream->next_seq = packet.packet_seq_num + 1;
	if (packet.events_discarded > stream->discarded)
		stream->discarded = packet.events_discarded;
	err = add_records(writer, packet.timestamp_begin, (const char *)bytes + sizeof(packet),
			  (const char *)bytes + content);
	written = hs_ctf_writer_end(writer, stream->discarded + lost);
	return err ? err : written;
}
