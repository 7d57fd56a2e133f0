// SPDX-License-Identifier: GPL-2.0-only
/* One tenant's packets through all layers, made up so that every join is known. */
#include <stdlib.h>
#include <string.h>

#include "correlate/lane.h"
#include "correlate/tally.h"

#include "cm.h"

#define US 1000ull
#define MS 1000000ull
#define CLIENT 0xac100015u /* 172.16.0.21 */
#define L2 0xac100014u
#define PACKETS_MAX 4096

static struct hs_lane *lane;
static struct hs_causality causality;
static struct hs_packet packets[PACKETS_MAX];
static size_t packet_nr;
static uint64_t next_number;

static void on_packet(void *ctx, const struct hs_packet *packet)
{
	(void)ctx;
	assert_true(packet_nr < PACKETS_MAX);
	packets[packet_nr++] = *packet;
}

static bool l2_tells_arrivals = true;

static void open_lane(bool has_guests)
{
	struct hs_lane_config config = { .tenant = 3,
					 .has_dma = true,
					 .has_client = has_guests,
					 .has_l2 = has_guests,
					 .client_tells_arrivals = has_guests,
					 .l2_tells_arrivals = has_guests && l2_tells_arrivals,
					 .on_packet = on_packet,
					 .causality = &causality };

	memset(&causality, 0, sizeof(causality));
	packet_nr = 0;
	next_number = 1;
	assert_int_equal(hs_lane_open(&config, &lane), 0);
}

static struct hs_event_net_dev_start_xmit tcp(uint64_t time_ns, uint32_t saddr, uint32_t daddr, uint32_t seq,
					      uint32_t len)
{
	return (struct hs_event_net_dev_start_xmit){
		.header = { .ts = time_ns, .tid = 50 },
		.tenant = 3,
		.ip_proto = 6,
		.protocol = 0x800,
		.ip_id = (uint16_t)(seq / 100),
		.saddr = saddr,
		.daddr = daddr,
		.sport = 1000,
		.dport = 5201,
		.seq = seq,
		.frag_off = 0x4000,
		.tcp_flags = 0x8010,
		.len = len,
	};
}

static void tap(struct hs_event_net_dev_start_xmit record, enum hs_role role, bool to_guest)
{
	int err;

	record.role = role;
	record.header.id = to_guest ? HS_EVENT_net_dev_start_xmit : HS_EVENT_netif_receive_skb;
	next_number += hs_lane_tap(lane, &record.header, to_guest, next_number, &err);
	assert_int_equal(err, 0);
}

static void dma(uint64_t begin_ns, uint64_t end_ns, uint32_t tid, bool to_guest)
{
	struct hs_dma dma = {
		.begin_ns = begin_ns, .end_ns = end_ns, .error_ns = 500, .tid = tid, .to_guest = to_guest
	};

	dma.kinds[HS_DMA_DESCRIPTOR_READ] = 1;
	assert_int_equal(hs_lane_dma(lane, &dma), 0);
}

static void guest(bool is_l2, int what, uint64_t time_ns, uint64_t skb, uint32_t len, uint16_t segs)
{
	struct hs_lane_guest_event event = {
		.what = what, .sight = { time_ns, 5 * US }, .skb = skb, .len = len, .gso_segs = segs
	};

	assert_int_equal(hs_lane_guest(lane, is_l2, &event), 0);
}

static void close_lane(void)
{
	hs_lane_finish(lane);
	hs_lane_free(lane);
}

static void assert_at(const struct hs_packet *packet, enum hs_layer layer, uint64_t time_ns)
{
	if (packet->sights[layer].time_ns != time_ns)
		print_message("# %s\n", hs_layer_names[layer]);
	assert_int_equal(packet->sights[layer].time_ns, time_ns);
}

static void test_segments_belong_to_the_packet_that_was_cut(void **state)
{
	struct hs_event_net_dev_start_xmit whole = tcp(10 * US, CLIENT, L2, 10000, 66 + 3 * 1448), part;

	(void)state;
	open_lane(false);
	whole.gso_size = 1448;
	tap(whole, HS_ROLE_CLIENT, false);
	for (unsigned int i = 0; i < 3; i++) {
		part = tcp((20 + i) * US, CLIENT, L2, 10000 + i * 1448, 1514);
		part.ip_id = (uint16_t)(whole.ip_id + i);
		tap(part, HS_ROLE_L2, true);
	}
	part = tcp(30 * US, CLIENT, L2, 10000 + 3 * 1448, 1514); /* another packet's */
	tap(part, HS_ROLE_L2, true);
	for (unsigned int i = 0; i < 4; i++)
		dma((100 + 10 * i) * US, (105 + 10 * i) * US, 60, true);
	close_lane();
	assert_int_equal(packet_nr, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(packets[i].number, i + 1);
		assert_int_equal(packets[i].tenant, 3);
		assert_int_equal(packets[i].fate, HS_FATE_JOINED);
		assert_at(&packets[i], HS_LAYER_CLIENT_TAP, i < 3 ? 10 * US : 0);
		assert_at(&packets[i], HS_LAYER_DMA_BEGIN, (100 + 10 * i) * US);
		assert_at(&packets[i], HS_LAYER_DMA_END, (105 + 10 * i) * US);
	}
}

static void test_packets_without_translations_say_why(void **state)
{
	struct hs_event_net_dev_start_xmit multicast = tcp(200 * US, CLIENT, 0xe0000016, 1, 54);
	struct hs_event_net_dev_xmit refused = { .header = { .ts = 401 * US, .tid = 50 }, .rc = 1, .role = HS_ROLE_L2 };

	(void)state;
	open_lane(false);
	multicast.sport = 0;
	tap(multicast, HS_ROLE_L2, true); /* the driver is not there yet */
	tap(tcp(300 * US, CLIENT, L2, 100, 100), HS_ROLE_L2, true);
	dma(310 * US, 311 * US, 60, true);
	tap(tcp(400 * US, CLIENT, L2, 200, 100), HS_ROLE_L2, true);
	hs_lane_refused(lane, &refused);
	multicast.header.ts = 500 * US;
	tap(multicast, HS_ROLE_L2, true);
	tap(tcp(510 * US, CLIENT, L2, 300, 100), HS_ROLE_L2, true);
	dma(600 * US, 601 * US, 60, true);
	tap(tcp(700 * US, CLIENT, L2, 400, 100), HS_ROLE_L2, true);  /* the driver is gone */
	tap(tcp(800 * US, L2, CLIENT, 400, 100), HS_ROLE_L2, false); /* not sent by the NIC */
	close_lane();
	assert_int_equal(packet_nr, 7);
	assert_int_equal(packets[0].fate, HS_FATE_BEFORE_LOG);
	assert_int_equal(packets[1].fate, HS_FATE_JOINED);
	assert_int_equal(packets[2].fate, HS_FATE_REFUSED);
	assert_int_equal(packets[3].fate, HS_FATE_MULTICAST);
	assert_int_equal(packets[4].fate, HS_FATE_JOINED);
	assert_int_equal(packets[4].sights[HS_LAYER_DMA_BEGIN].time_ns, 600 * US);
	assert_int_equal(packets[5].fate, HS_FATE_AFTER_LOG);
	assert_int_equal(packets[6].fate, HS_FATE_NO_DMA);
}

static void test_a_sent_packet_has_the_dma_of_its_thread(void **state)
{
	struct hs_event_net_dev_start_xmit first = tcp(105 * US, L2, CLIENT, 100, 66),
					   second = tcp(205 * US, L2, CLIENT, 200, 66);

	(void)state;
	open_lane(false);
	first.header.tid = second.header.tid = 61;
	dma(90 * US, 92 * US, 61, false); /* a descriptor without data comes before it */
	tap(first, HS_ROLE_L2, false);
	tap(first, HS_ROLE_CLIENT, true);
	dma(100 * US, 110 * US, 61, false);
	dma(195 * US, 210 * US, 62, false); /* another thread's */
	tap(second, HS_ROLE_L2, false);
	dma(200 * US, 220 * US, 61, false);
	hs_lane_settle(lane, 5000 * MS);
	assert_int_equal(packet_nr, 2);
	close_lane();
	assert_int_equal(packets[0].fate, HS_FATE_JOINED);
	assert_int_equal(packets[0].dma.kinds[HS_DMA_DESCRIPTOR_READ], 2);
	assert_at(&packets[0], HS_LAYER_DMA_BEGIN, 90 * US);
	assert_at(&packets[0], HS_LAYER_TAP, 105 * US);
	assert_at(&packets[0], HS_LAYER_CLIENT_TAP, 105 * US);
	assert_int_equal(packets[1].fate, HS_FATE_NO_DMA);
}

/* 1000 packets to the L2 and 100 back, each seen by everybody. */
static void play_whole_path(uint64_t l2_clock_error_ns)
{
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t at = (1000 + i * 100) * US;
		uint32_t len = i % 7 ? 1514 : 100 + (uint32_t)i;
		struct hs_event_net_dev_start_xmit record = tcp(at, CLIENT, L2, (uint32_t)i * 1500, len);

		guest(false, HS_GUEST_QUEUE, at - 20 * US, i, len, 0);
		guest(false, HS_GUEST_XMIT, at - 10 * US, i, len, 0);
		tap(record, HS_ROLE_CLIENT, false);
		record.header.ts = at + US;
		tap(record, HS_ROLE_L2, true);
		dma(at + 10 * US, at + 12 * US, 60, true);
		hs_lane_interrupt(lane, &(struct hs_sight){ at + 15 * US, 3 * US });
		hs_lane_exit(lane, &(struct hs_sight){ at + 16 * US, 3 * US });
		hs_lane_entry(lane, &(struct hs_sight){ at + 18 * US, 3 * US });
		guest(true, HS_GUEST_ARRIVE, at + 30 * US - l2_clock_error_ns, i, len - 14, 0);
		guest(true, HS_GUEST_STACK, at + 33 * US - l2_clock_error_ns, i, len - 14, 0);
		if (i % 10 == 0) {
			record = tcp(at + 60 * US, L2, CLIENT, (uint32_t)i, 66);
			record.header.tid = 61;
			guest(true, HS_GUEST_QUEUE, at + 50 * US - l2_clock_error_ns, i, 66, 0);
			guest(true, HS_GUEST_XMIT, at + 51 * US - l2_clock_error_ns, i, 66, 0);
			tap(record, HS_ROLE_L2, false);
			record.header.ts = at + 61 * US;
			tap(record, HS_ROLE_CLIENT, true);
			dma(at + 55 * US, at + 65 * US, 61, false);
			guest(false, HS_GUEST_ARRIVE, at + 70 * US, i, 52, 0);
			guest(false, HS_GUEST_STACK, at + 71 * US, i, 52, 0);
		}
		hs_lane_settle(lane, at + 80 * US);
	}
}

static void test_every_layer_is_joined_both_ways(void **state)
{
	size_t both[HS_DIRECTION_NR] = { 0 };

	(void)state;
	open_lane(true);
	play_whole_path(0);
	close_lane();
	assert_int_equal(packet_nr, 1100);
	for (size_t i = 0; i < packet_nr; i++) {
		const struct hs_packet *packet = &packets[i];
		uint64_t at = packet->sights[HS_LAYER_TAP].time_ns / (100 * US) * (100 * US);

		assert_int_equal(packet->number, i + 1);
		assert_int_equal(packet->fate, HS_FATE_JOINED);
		both[packet->direction]++;
		if (packet->direction == HS_TO_L2) {
			assert_at(packet, HS_LAYER_CLIENT_STACK, at - 20 * US);
			assert_at(packet, HS_LAYER_CLIENT_NIC, at - 10 * US);
			assert_at(packet, HS_LAYER_CLIENT_TAP, at);
			assert_at(packet, HS_LAYER_TAP, at + US);
			assert_at(packet, HS_LAYER_DMA_BEGIN, at + 10 * US);
			assert_at(packet, HS_LAYER_L1_IRQ, at + 15 * US);
			assert_at(packet, HS_LAYER_L1_ENTRY, at + 18 * US);
			assert_int_equal(packet->sights[HS_LAYER_L1_IRQ].error_ns, 3 * US);
			assert_int_equal(packet->sights[HS_LAYER_L2_NIC].error_ns, 5 * US);
			assert_at(packet, HS_LAYER_L2_NIC, at + 30 * US);
			assert_at(packet, HS_LAYER_L2_STACK, at + 33 * US);
			assert_int_equal(packet->exit_nr, 1);
			assert_int_equal(hs_packet_duration_ns(packet), 53 * US);
		} else {
			assert_at(packet, HS_LAYER_L2_STACK, at + 50 * US);
			assert_at(packet, HS_LAYER_L2_NIC, at + 51 * US);
			assert_at(packet, HS_LAYER_DMA_BEGIN, at + 55 * US);
			assert_at(packet, HS_LAYER_CLIENT_TAP, at + 61 * US);
			assert_at(packet, HS_LAYER_CLIENT_NIC, at + 70 * US);
			assert_at(packet, HS_LAYER_CLIENT_STACK, at + 71 * US);
			assert_int_equal(hs_packet_duration_ns(packet), 21 * US);
		}
	}
	assert_int_equal(both[HS_TO_L2], 1000);
	assert_int_equal(both[HS_FROM_L2], 100);
	assert_int_equal(hs_causality_beyond_bound(&causality), 0);
	assert_true(causality.pairs[HS_PAIR_DMA_TO_L2].in_order > 100);
	assert_int_equal(causality.pairs[HS_PAIR_TAP_TO_DMA].in_order, 1000);
}

static void test_a_clock_that_is_wrong_is_seen(void **state)
{
	(void)state;
	/* The L2 receives 18 us after the DMA; within 5 us and 0.5 us of that nothing can be said. */
	open_lane(true);
	play_whole_path(20 * US);
	close_lane();
	assert_int_equal(hs_causality_beyond_bound(&causality), 0);
	assert_true(causality.pairs[HS_PAIR_DMA_TO_L2].within_bound > 100);
	open_lane(true);
	play_whole_path(40 * US);
	close_lane();
	assert_int_equal(packet_nr, 1100);
	assert_true(causality.pairs[HS_PAIR_DMA_TO_L2].beyond_bound > 100);
	assert_int_equal(causality.pairs[HS_PAIR_DMA_TO_L2].worst_ns, 22 * US);
	assert_int_equal(causality.pairs[HS_PAIR_DMA_TO_L2].worst_error_ns, 5500);
}

static void test_what_was_merged_reaches_the_stack_together(void **state)
{
	(void)state;
	open_lane(true);
	for (uint64_t i = 0; i < 4; i++) {
		tap(tcp((100 + i) * US, CLIENT, L2, 1000 + (uint32_t)i * 1448, 1514), HS_ROLE_L2, true);
		dma((200 + i) * US, (200 + i) * US + 500, 60, true);
		guest(true, HS_GUEST_ARRIVE, (300 + i) * US, 0x1000 + i, 1500, 0);
	}
	guest(true, HS_GUEST_STACK, 310 * US, 0x1000, 52 + 3 * 1448, 0);
	guest(true, HS_GUEST_STACK, 311 * US, 0x1003, 1500, 0);
	close_lane();
	assert_int_equal(packet_nr, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_at(&packets[i], HS_LAYER_L2_NIC, (300 + i) * US);
		assert_at(&packets[i], HS_LAYER_L2_STACK, (i < 3 ? 310 : 311) * US);
	}
}

static void test_a_guest_that_tells_merged_packets_only_is_joined_by_their_length(void **state)
{
	(void)state;
	l2_tells_arrivals = false;
	open_lane(true);
	for (uint64_t i = 0; i < 4; i++) {
		tap(tcp((100 + i) * US, CLIENT, L2, 1000 + (uint32_t)i * 1448, 1514), HS_ROLE_L2, true);
		dma((200 + i) * US, (200 + i) * US + 500, 60, true);
	}
	guest(true, HS_GUEST_STACK, 310 * US, 0x1000, 52 + 3 * 1448, 0);
	guest(true, HS_GUEST_STACK, 311 * US, 0x1003, 1500, 0);
	close_lane();
	l2_tells_arrivals = true;
	assert_int_equal(packet_nr, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_at(&packets[i], HS_LAYER_L2_NIC, 0);
		assert_at(&packets[i], HS_LAYER_L2_STACK, (i < 3 ? 310 : 311) * US);
	}
}

static void test_the_tally_adds_up(void **state)
{
	static struct hs_tally tally;
	uint64_t whole = 0;

	(void)state;
	memset(&tally, 0, sizeof(tally));
	tally.scope = (struct hs_tally_scope){ true, true, true };
	open_lane(true);
	play_whole_path(0);
	close_lane();
	for (size_t i = 0; i < packet_nr; i++)
		if (packets[i].direction == HS_TO_L2)
			assert_int_equal(hs_tally_add(&tally, &packets[i]), 0);
	assert_int_equal(tally.packet_nr, 1000);
	assert_int_equal(tally.fates[HS_FATE_JOINED], 1000);
	assert_int_equal(tally.ends[HS_END_WHOLE], 1000);
	assert_int_equal(tally.kinds[HS_DMA_DESCRIPTOR_READ], 1000);
	assert_int_equal(tally.exit_nr, 1000);
	assert_int_equal(tally.hops[HS_LAYER_TAP][HS_LAYER_DMA_BEGIN].count, 1000);
	assert_int_equal(tally.hops[HS_LAYER_TAP][HS_LAYER_DMA_BEGIN].min, 9 * US);
	assert_int_equal(tally.hops[HS_LAYER_TAP][HS_LAYER_DMA_BEGIN].max, 9 * US);
	for (int i = 0; i < HS_LAYER_NR; i++)
		for (int j = 0; j < HS_LAYER_NR; j++)
			whole += tally.hops[i][j].sum;
	assert_int_equal(whole, tally.total.sum);
	assert_int_equal(tally.slowest[0].number, 1); /* all take as long: the first */
	hs_tally_clear(&tally);
}

static void test_a_lane_that_is_left_frees_everything(void **state)
{
	(void)state;
	open_lane(true);
	play_whole_path(0);
	packet_nr = 0;
	hs_lane_free(lane);
	assert_int_equal(packet_nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments_belong_to_the_packet_that_was_cut),
		cmocka_unit_test(test_packets_without_translations_say_why),
		cmocka_unit_test(test_a_sent_packet_has_the_dma_of_its_thread),
		cmocka_unit_test(test_every_layer_is_joined_both_ways),
		cmocka_unit_test(test_a_clock_that_is_wrong_is_seen),
		cmocka_unit_test(test_what_was_merged_reaches_the_stack_together),
		cmocka_unit_test(test_a_guest_that_tells_merged_packets_only_is_joined_by_their_length),
		cmocka_unit_test(test_the_tally_adds_up),
		cmocka_unit_test(test_a_lane_that_is_left_frees_everything),
	};

	return RUN_TESTS("correlate_lane", tests);
}
