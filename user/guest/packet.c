// SPDX-License-Identifier: GPL-2.0-only
/* Checks a packet's header against its length, then walks its records. */
#include "packet.h"

#include <errno.h>
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

static int add_records(struct hs_ctf_writer *writer, const char *at, const char *end)
{
	while (at < end) {
		uint64_t room = (uint64_t)(end - at), record[8];
		struct hs_event_header header;
		const struct hs_event *event;

		if (room < sizeof(header))
			return -EBADMSG;
		memcpy(&header, at, sizeof(header));
		event = hs_event_find(header.id);
		if (!event || event->size > room || event->size > sizeof(record))
			return -EBADMSG;
		memcpy(record, at, event->size); /* aligned, whatever the frame was */
		if (hs_ctf_writer_add(writer, record, event->size))
			return -EBADMSG;
		at += event->size;
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
	err = add_records(writer, (const char *)bytes + sizeof(packet), (const char *)bytes + content);
	written = hs_ctf_writer_end(writer, stream->discarded + lost);
	return err ? err : written;
}
