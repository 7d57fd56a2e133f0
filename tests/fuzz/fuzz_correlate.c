// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as what a run tells of a tenant's packets: taps, translations, what guests say, clocks of guests. Nothing
 * is read out of bounds, every packet is given out once, in its order. Run for N seconds:
 *     build/tests/fuzz/fuzz_correlate -max_total_time=N
 */
#include <stdlib.h>
#include <string.h>

#include "correlate/injection.h"
#include "correlate/lane.h"
#include "correlate/tally.h"
#include "timeline/guest_clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at, *end;
};

static uint64_t given_out, last_number;
static struct hs_tally tally;

static uint64_t take_number(struct input *input, size_t bytes)
{
	uint64_t number = 0;

	if ((size_t)(input->end - input->at) < bytes)
		bytes = (size_t)(input->end - input->at);
	memcpy(&number, input->at, bytes);
	input->at += bytes;
	return number;
}

static void on_packet(void *ctx, const struct hs_packet *packet)
{
	(void)ctx;
	if (packet->number <= last_number)
		abort();
	last_number = packet->number;
	given_out++;
	hs_tally_add(&tally, packet);
}

static void feed_tap(struct hs_lane *lane, struct input *input, uint64_t now_ns, uint64_t *packet_nr)
{
	struct hs_event_net_dev_start_xmit record = { .header = { .ts = now_ns,
								  .tid = (uint32_t)take_number(input, 1) % 3 } };
	bool to_guest = take_number(input, 1) & 1;
	int err;

	record.len = (uint32_t)take_number(input, 2);
	record.role = (uint8_t)(take_number(input, 1) % 3);
	record.ip_proto = take_number(input, 1) & 1 ? 6 : 17;
	record.protocol = take_number(input, 1) & 1 ? 0x0800 : 0x86dd;
	record.seq = (uint32_t)take_number(input, 2);
	record.ip_id = (uint16_t)take_number(input, 1);
	record.tcp_flags = (uint16_t)take_number(input, 2);
	record.gso_size = (uint16_t)take_number(input, 1);
	record.sport = (uint16_t)take_number(input, 1);
	*packet_nr += hs_lane_tap(lane, &record.header, to_guest, *packet_nr + 1, &err);
}

static void feed_line(struct hs_lane *lane, struct hs_dma_parser *parser, struct input *input, uint64_t now_ns)
{
	struct hs_dma_line line = { .time_ns = now_ns, .error_ns = 500, .tid = (uint32_t)take_number(input, 1) % 3 };
	struct hs_dma dma;

	line.iova = take_number(input, 1) * 4;
	line.event = (enum hs_qemulog_event)(take_number(input, 1) % HS_QEMULOG_OTHER);
	if (hs_dma_parser_feed(parser, &line, &dma))
		hs_lane_dma(lane, &dma);
}

static void feed_guest(struct hs_lane *lane, struct hs_guest_clock *clock, struct input *input)
{
	struct hs_lane_guest_event event = { .what = (int)(take_number(input, 1) % 4) };
	bool is_l2 = take_number(input, 1) & 1;

	if (hs_guest_clock_to_host(clock, take_number(input, 8), &event.sight.time_ns, &event.sight.error_ns))
		return;
	event.skb = take_number(input, 1);
	event.len = (uint32_t)take_number(input, 2);
	event.gso_segs = (uint16_t)take_number(input, 1);
	hs_lane_guest(lane, is_l2, &event);
}

static void feed_clock(struct hs_guest_clock *clock, struct input *input)
{
	struct hs_guest_sample sample = { .host_send_ns = take_number(input, 5) };

	sample.host_recv_ns = sample.host_send_ns + take_number(input, 3);
	sample.guest_recv_ns = take_number(input, 8);
	sample.guest_send_ns = sample.guest_recv_ns + take_number(input, 2);
	hs_guest_clock_add_burst(clock, &sample, 1);
}

static void feed_l1(struct hs_lane *lane, struct hs_injections *injections, struct input *input, uint64_t now_ns)
{
	struct hs_sight sight = { now_ns - take_number(input, 2), take_number(input, 1) };
	uint8_t what = (uint8_t)take_number(input, 1);

	if (what % 4 == 0)
		hs_lane_interrupt(lane, &sight);
	else if (what % 4 == 1)
		hs_lane_exit(lane, &sight);
	else if (what % 4 == 2)
		hs_injections_add(injections, what, &sight);
	else
		hs_injections_handled(injections, what & 4 ? HS_INJECTION_TIMER : HS_INJECTION_DEVICE, &sight);
	hs_lane_entry(lane, &sight);
}

static void feed(struct hs_lane *lane, struct hs_dma_parser *parser, struct hs_injections *injections,
		 struct hs_guest_clock *clock, struct input *input, uint64_t *packet_nr)
{
	struct hs_event_net_dev_xmit refused = { .rc = 1, .role = HS_ROLE_L2 };
	uint64_t now_ns = 1000000000;

	while (input->at < input->end) {
		uint8_t what = (uint8_t)take_number(input, 1);

		now_ns += take_number(input, 2) << (what >> 5);
		switch (what % 8) {
		case 0:
			feed_tap(lane, input, now_ns, packet_nr);
			break;
		case 1:
			feed_line(lane, parser, input, now_ns);
			break;
		case 2:
			feed_guest(lane, clock, input);
			break;
		case 3:
			feed_clock(clock, input);
			break;
		case 4:
			refused.header.tid = (uint32_t)take_number(input, 1) % 3;
			hs_lane_refused(lane, &refused);
			break;
		case 5:
		case 6:
			feed_l1(lane, injections, input, now_ns);
			break;
		default:
			hs_lane_settle(lane, now_ns);
			hs_injections_settle(injections, now_ns);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(hs_guest_clock) struct hs_guest_clock clock = { 0 };
	scoped(hs_dma_parser) struct hs_dma_parser *parser = NULL;
	scoped(hs_injections) struct hs_injections *injections = NULL;
	scoped(hs_lane) struct hs_lane *lane = NULL;
	struct input input = { data, data + size };
	struct hs_causality causality = { 0 };
	uint8_t flags = (uint8_t)take_number(&input, 1);
	struct hs_lane_config config = { .has_dma = flags & 1,
					 .has_client = flags & 2,
					 .has_l2 = flags & 4,
					 .client_tells_arrivals = flags & 8,
					 .l2_tells_arrivals = flags & 16,
					 .on_packet = on_packet,
					 .causality = &causality };
	uint64_t packet_nr = 0;

	given_out = last_number = 0;
	tally.scope = (struct hs_tally_scope){ config.has_dma, config.has_client, config.has_l2 };
	if (hs_lane_open(&config, &lane) || hs_dma_parser_open(&parser) || hs_injections_open(&causality, &injections))
		return 0;
	feed(lane, parser, injections, &clock, &input, &packet_nr);
	hs_lane_finish(lane);
	hs_injections_settle(injections, UINT64_MAX);
	if (given_out != packet_nr)
		abort();
	hs_tally_clear(&tally);
	memset(&tally, 0, sizeof(tally));
	return 0;
}
