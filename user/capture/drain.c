// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk over a ring. Where may a packet end? An interrupt's records stand behind the one that it interrupted, with
 * earlier times, and are complete before that one is: so before any record that is not earlier than all before it.
 * A packet that ends there never needs another one's records, and times never step back between packets.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "capture/drain.h"

/* Records of a packet, about; 256 KiB at most stay in the cache between the walk and the write. */
#define PACKET_RECORDS 4096
#define PREFETCH_SLOTS 8

static int begin_packet(struct hs_ctf_writer *writer, uint32_t cpu)
{
	int err = hs_ctf_writer_begin(writer, cpu);

	return err ? hs_fail(err, "the trace of CPU %u cannot be written:", cpu) : 0;
}

static void add_record(struct hs_ctf_writer *writer, uint32_t cpu, const struct hs_event_header *record)
{
	int err = hs_ctf_writer_add(writer, record, HS_SLOT_BYTES);

	if (err) /* a bug: our own programs write only records of the table */
		hs_fail(err, "a record of CPU %u makes no sense:", cpu);
}

/* Fills the open packet; the answer is the position behind its last record. */
static uint64_t fill_packet(const struct hs_rings *rings, uint32_t cpu, struct hs_ctf_writer *writer)
{
	uint64_t start = rings->controls[cpu].consumed, end = start, newest = 0, first_ns = 0, at;

	for (at = start;; at++) {
		const struct hs_event_header *slot = hs_ring_slot(rings, cpu, at);

		if (at == end)
			end = hs_ring_head(rings, cpu);
		if (at == end || !hs_ring_is_published(rings, cpu, slot, at))
			break;
		__builtin_prefetch((const uint8_t *)slot + PREFETCH_SLOTS * HS_SLOT_BYTES);
		if (at == start)
			first_ns = slot->ts;
		/* What an interrupt displaces at the begin is within the other half of what a packet may span. */
		if (slot->ts >= newest && at > start &&
		    (at - start >= PACKET_RECORDS || slot->ts - first_ns > HS_CTF_SPAN_NS / 2))
			break;
		if (slot->ts > newest)
			newest = slot->ts;
		add_record(writer, cpu, slot);
	}
	return at;
}

/* Writes the packet, so that at any moment it can be told from outside which records are in the file. */
static void put_packet(struct hs_rings *rings, uint32_t cpu, struct hs_ctf_writer *writer, uint64_t at)
{
	struct hs_ring_control *control = &rings->controls[cpu];
	uint64_t *telling = hs_rings_lost(rings, HS_LOST_TELLING, cpu);
	uint64_t lost;

	memcpy(telling, hs_rings_lost(rings, HS_LOST_NOW, cpu), HS_EVENT_ID_NR * sizeof(*telling));
	lost = hs_rings_lost_sum(rings, HS_LOST_TELLING, cpu);
	control->next_consumed = at;
	control->file_bytes = hs_ctf_writer_stream_bytes(writer);
	__atomic_store_n(&control->next_bytes, hs_ctf_writer_bytes_after(writer, lost), __ATOMIC_SEQ_CST);
	if (!hs_ctf_writer_end(writer, lost)) {
		memcpy(hs_rings_lost(rings, HS_LOST_TOLD, cpu), telling, HS_EVENT_ID_NR * sizeof(*telling));
		control->told_disk_lost = control->disk_lost;
	}
	control->disk_lost = hs_ctf_writer_disk_lost(writer, cpu);
	__atomic_store_n(&control->consumed, at, __ATOMIC_RELEASE);
	__atomic_store_n(&control->next_bytes, 0, __ATOMIC_SEQ_CST);
}

void hs_drain_cpu(struct hs_rings *rings, uint32_t cpu, struct hs_ctf_writer *writer)
{
	uint64_t end = hs_ring_head(rings, cpu), start, at;

	/* A CPU that came later has no ring, and losses to tell. */
	if (!rings->controls[cpu].slot_nr && !hs_rings_lost_sum(rings, HS_LOST_NOW, cpu))
		return;
	do {
		start = rings->controls[cpu].consumed;
		if (begin_packet(writer, cpu))
			return;
		at = fill_packet(rings, cpu, writer);
		put_packet(rings, cpu, writer, at);
	} while (at > start && at < end);
}

uint64_t hs_drain_snapshot(const struct hs_rings *rings, uint32_t cpu, struct hs_ctf_writer *writer)
{
	uint64_t copy[HS_SLOT_BYTES / sizeof(uint64_t)];
	const struct hs_event_header *record = (const void *)copy;
	uint64_t end = hs_ring_head(rings, cpu), newest = 0, lost, at;
	unsigned int record_nr = 0;
	int held = 1;

	if (!rings->controls[cpu].slot_nr || begin_packet(writer, cpu))
		return 0;
	lost = end > rings->controls[cpu].slot_nr ? end - rings->controls[cpu].slot_nr : 0;
	for (at = lost;; at++) {
		held = at < hs_ring_head(rings, cpu) ? hs_ring_copy(rings, cpu, at, copy) : 0;
		if (!held || (held > 0 && at >= end && record->ts >= newest))
			break;
		/* A gap belongs between two packets. */
		if (record_nr && (held < 0 || (record_nr >= PACKET_RECORDS && record->ts >= newest))) {
			hs_ctf_writer_end(writer, lost);
			record_nr = 0;
			if (begin_packet(writer, cpu))
				return lost;
		}
		if (held < 0) {
			lost++;
			continue;
		}
		if (record->ts > newest)
			newest = record->ts;
		add_record(writer, cpu, record);
		record_nr++;
	}
	hs_ctf_writer_end(writer, lost);
	return lost;
}
