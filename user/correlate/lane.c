// SPDX-License-Identifier: GPL-2.0-only
/*
 * Joins what the layers saw of one tenant's packets. A packet is in a list from its tap event on, and held by each join
 * that is not decided; the oldest leaves when nobody holds it. Called by the correlator for everything in the order of
 * the host's time.
 */
#include <errno.h>
#include <string.h>

#include "correlate/lane.h"
#include "correlate/order.h"
#include "correlate/seen.h"
#include "correlate/times.h"

#define ETH_HLEN 14
#define FRAME_MIN 60 /* without its checksum: e1000 fills up shorter ones */
#define DMA_SLACK_NS 2000
#define DMA_MAX_AGE_NS 60000000000ull  /* packets wait in a tap until the NIC's driver is there */
#define GUEST_TOLERANCE_NS 20000000ull /* so that clocks that are wrong are seen */
#define GUEST_MAX_AGE_NS 2000000000ull
#define THREAD_MAX_AGE_NS 1000000000ull
#define LEAD_MAX_NS 10000000ull /* from a packet's first descriptors to that with which it is sent */
#define FORWARD_MAX_AGE_NS 100000000ull
#define FORWARD_UNKNOWN_NS 1000000ull /* the same, of packets that nothing tells from others */
#define FORWARD_MAX 64
#define SENDS_MAX 1024
#define REFUSED_MAX 256 /* newest packets among which the refused one is */

struct guest {
	struct hs_recent queued, arrivals;
	struct hs_order *sends, *receives; /* to and from the host */
};

struct hs_lane {
	struct hs_lane_config config;
	struct hs_lane_counts counts;
	struct hs_packet *first, *last; /* by time; not given out yet */
	struct hs_order *dma;		/* packets to the L2 and their DMA */
	struct guest client, l2;
	struct hs_recent shared;		 /* on the client's tap, from the client */
	struct hs_packet *forwards[FORWARD_MAX]; /* from the L2, not seen on the client's tap yet */
	uint64_t forward_nr;
	struct hs_packet *sends[SENDS_MAX]; /* from the L2, without DMA yet; a ring */
	size_t send_head, send_nr;
	struct hs_dma send_dmas[SENDS_MAX];
	size_t send_dma_head, send_dma_nr;
	struct hs_dma lead; /* of descriptors before the one with which a packet is sent */
	bool has_lead;
	uint64_t dma_nr; /* of packets to the L2 */
	bool is_finishing;
	struct hs_times interrupts, entries, exits;
	uint64_t l1_error_ns; /* the largest of them */
};

/* ---- packets come and go ---- */

static struct hs_packet *new_packet(struct hs_lane *lane, const struct hs_event_header *header, bool to_guest)
{
	const struct hs_event_net_dev_start_xmit *record = (const void *)header;
	struct hs_packet *packet = calloc(1, sizeof(*packet));

	if (!packet)
		return NULL;
	packet->tenant = lane->config.tenant;
	packet->direction = to_guest ? HS_TO_L2 : HS_FROM_L2;
	packet->ifindex = record->ifindex;
	packet->tid = header->tid;
	hs_identity_from_record(header, &packet->identity);
	packet->is_multicast = hs_identity_is_multicast(&packet->identity);
	packet->fate = HS_FATE_NO_DMA;
	packet->sights[HS_LAYER_TAP].time_ns = header->ts;
	packet->before = lane->last;
	if (lane->last)
		lane->last->next = packet;
	else
		lane->first = packet;
	lane->last = packet;
	return packet;
}

static void free_packet(struct hs_packet *packet)
{
	hs_seen_put(packet->sender);
	hs_seen_put(packet->receiver);
	free(packet);
}

static void copy_seen(struct hs_packet *packet, const struct hs_seen *seen, enum hs_layer stack, enum hs_layer nic)
{
	if (!seen)
		return;
	packet->sights[stack] = seen->stack;
	packet->sights[nic] = seen->nic;
	if (seen->tap.time_ns)
		packet->sights[HS_LAYER_CLIENT_TAP] = seen->tap;
}

/* What L1 did is told by time alone: the first that can be it. */
static void look_into_l1(struct hs_lane *lane, struct hs_packet *packet)
{
	struct hs_sight *sights = packet->sights;
	const struct hs_sight *from = &sights[HS_LAYER_DMA_END];
	const struct hs_sight *to = &sights[sights[HS_LAYER_L2_NIC].time_ns ? HS_LAYER_L2_NIC : HS_LAYER_L2_STACK];
	uint64_t time_ns, before;

	if (packet->direction == HS_TO_L2 && from->time_ns) {
		time_ns = hs_times_first_from(&lane->interrupts, from->time_ns);
		if (time_ns && (!to->time_ns || time_ns <= to->time_ns)) {
			sights[HS_LAYER_L1_IRQ] = (struct hs_sight){ time_ns, lane->l1_error_ns };
			time_ns = hs_times_first_from(&lane->entries, time_ns);
			if (time_ns && (!to->time_ns || time_ns <= to->time_ns))
				sights[HS_LAYER_L1_ENTRY] = (struct hs_sight){ time_ns, lane->l1_error_ns };
		}
	}
	if (packet->direction == HS_FROM_L2) {
		from = &sights[HS_LAYER_L2_NIC];
		to = &sights[HS_LAYER_TAP];
	}
	if (!from->time_ns || !to->time_ns || to->time_ns < from->time_ns)
		return;
	before = hs_times_before(&lane->exits, from->time_ns);
	packet->exit_nr = (uint32_t)(hs_times_before(&lane->exits, to->time_ns) - before);
}

static void give_out(struct hs_lane *lane, struct hs_packet *packet)
{
	if (packet->direction == HS_TO_L2) {
		copy_seen(packet, packet->sender, HS_LAYER_CLIENT_STACK, HS_LAYER_CLIENT_NIC);
		copy_seen(packet, packet->receiver, HS_LAYER_L2_STACK, HS_LAYER_L2_NIC);
	} else {
		copy_seen(packet, packet->sender, HS_LAYER_L2_STACK, HS_LAYER_L2_NIC);
		copy_seen(packet, packet->receiver, HS_LAYER_CLIENT_STACK, HS_LAYER_CLIENT_NIC);
	}
	look_into_l1(lane, packet);
	lane->config.on_packet(lane->config.ctx, packet);
}

static void give_out_settled(struct hs_lane *lane)
{
	while (lane->first && !lane->first->hold_nr && (!lane->first->sender || !lane->first->sender->hold_nr)) {
		struct hs_packet *packet = lane->first;

		lane->first = packet->next;
		if (lane->first)
			lane->first->before = NULL;
		else
			lane->last = NULL;
		give_out(lane, packet);
		free_packet(packet);
	}
}

/* ---- the NIC ---- */

static void take_dma(struct hs_packet *packet, const struct hs_dma *dma)
{
	packet->dma = *dma;
	packet->fate = HS_FATE_JOINED;
	packet->sights[HS_LAYER_DMA_BEGIN] = (struct hs_sight){ dma->begin_ns, dma->error_ns };
	packet->sights[HS_LAYER_DMA_END] = (struct hs_sight){ dma->end_ns, dma->error_ns };
}

static uint32_t length_in_l2(const struct hs_packet *packet)
{
	return packet->identity.len < FRAME_MIN ? FRAME_MIN : packet->identity.len;
}

static void on_dma_match(void *ctx, const struct hs_order_match *match)
{
	struct hs_lane *lane = ctx;
	struct hs_packet *packet = match->cause->ref;
	struct hs_dma *dma = match->effect->ref;

	take_dma(packet, dma);
	lane->dma_nr++;
	hs_causality_add(lane->config.causality, HS_PAIR_TAP_TO_DMA, &packet->sights[HS_LAYER_TAP],
			 &packet->sights[HS_LAYER_DMA_BEGIN]);
	if (lane->config.has_l2 &&
	    !hs_order_add_cause(lane->l2.receives,
				&(struct hs_order_item){ .time_ns = dma->end_ns,
							 .error_ns = dma->error_ns,
							 .key = length_in_l2(packet) - ETH_HLEN,
							 .merge_key = hs_identity_payload(&packet->identity),
							 .ref = packet }))
		packet->hold_nr++;
	packet->hold_nr--;
	free(dma);
}

static void on_dma_alone(void *ctx, const struct hs_order_item *item, bool is_cause)
{
	struct hs_lane *lane = ctx;
	struct hs_packet *packet = item->ref;

	if (!is_cause) {
		lane->counts.dma_alone++;
		free(item->ref);
		return;
	}
	packet->hold_nr--;
	if (!lane->dma_nr)
		packet->fate = HS_FATE_BEFORE_LOG;
	else if (packet->is_multicast)
		packet->fate = HS_FATE_MULTICAST;
	else if (lane->is_finishing)
		packet->fate = HS_FATE_AFTER_LOG;
}

/* Whether the packet was sent with it: by its thread, while it went on. */
static bool is_sent_by(const struct hs_packet *packet, const struct hs_dma *dma)
{
	uint64_t time_ns = packet->sights[HS_LAYER_TAP].time_ns, slack_ns = dma->error_ns + DMA_SLACK_NS;

	return packet->tid == dma->tid && time_ns + slack_ns >= dma->begin_ns && time_ns <= dma->end_ns + slack_ns;
}

static void give_up_send(struct hs_lane *lane)
{
	lane->sends[lane->send_head]->hold_nr--;
	lane->send_head = (lane->send_head + 1) % SENDS_MAX;
	lane->send_nr--;
}

static void drop_lead(struct hs_lane *lane)
{
	lane->counts.dma_alone += lane->has_lead;
	lane->has_lead = false;
}

/* The packets that were sent with it, which are the oldest. None: it prepares the next. */
static void match_send_dma(struct hs_lane *lane, struct hs_dma *dma)
{
	unsigned int packet_nr = 0;

	if (lane->has_lead && (lane->lead.tid != dma->tid || dma->begin_ns > lane->lead.end_ns + LEAD_MAX_NS))
		drop_lead(lane);
	while (lane->send_nr) {
		struct hs_packet *packet = lane->sends[lane->send_head];

		if (packet->sights[HS_LAYER_TAP].time_ns > dma->end_ns + dma->error_ns + DMA_SLACK_NS)
			break;
		if (is_sent_by(packet, dma)) {
			if (!packet_nr++ && lane->has_lead)
				hs_dma_prepend(dma, &lane->lead);
			take_dma(packet, dma);
			/* Those of a packet that the NIC cut are counted once. */
			if (packet_nr > 1)
				packet->dma = (struct hs_dma){ .begin_ns = dma->begin_ns, .end_ns = dma->end_ns };
		}
		give_up_send(lane);
	}
	if (packet_nr) {
		lane->has_lead = false;
		return;
	}
	if (lane->has_lead)
		hs_dma_prepend(dma, &lane->lead);
	lane->lead = *dma;
	lane->has_lead = true;
}

static void settle_sends(struct hs_lane *lane, uint64_t now_ns)
{
	while (lane->send_dma_nr) {
		struct hs_dma *dma = &lane->send_dmas[lane->send_dma_head];

		if (!lane->is_finishing && now_ns <= dma->end_ns + dma->error_ns + DMA_SLACK_NS)
			break;
		match_send_dma(lane, dma);
		lane->send_dma_head = (lane->send_dma_head + 1) % SENDS_MAX;
		lane->send_dma_nr--;
	}
	while (lane->send_nr &&
	       (lane->is_finishing ||
		lane->sends[lane->send_head]->sights[HS_LAYER_TAP].time_ns + THREAD_MAX_AGE_NS < now_ns))
		give_up_send(lane);
}

int hs_lane_dma(struct hs_lane *lane, const struct hs_dma *dma)
{
	struct hs_order_item item = { .time_ns = dma->begin_ns, .error_ns = dma->error_ns };
	struct hs_dma *copy;
	int err;

	if (!dma->to_guest) {
		if (lane->send_dma_nr == SENDS_MAX)
			settle_sends(lane, UINT64_MAX);
		lane->send_dmas[(lane->send_dma_head + lane->send_dma_nr++) % SENDS_MAX] = *dma;
		return 0;
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *dma;
	item.ref = copy;
	err = hs_order_add_effect(lane->dma, &item);
	if (err)
		free(copy);
	return err;
}

/* ---- the taps ---- */

static void stop_forward(struct hs_lane *lane, size_t place)
{
	if (lane->forwards[place])
		lane->forwards[place]->hold_nr--;
	lane->forwards[place] = NULL;
}

static void add_forward(struct hs_lane *lane, struct hs_packet *packet)
{
	size_t place = lane->forward_nr++ % FORWARD_MAX;

	stop_forward(lane, place);
	lane->forwards[place] = packet;
	packet->hold_nr++;
}

/* Whether what went over one tap can be what came to the other: the host forwards it at once, in the same thread. */
static bool is_forwarded(const struct hs_identity *whole, const struct hs_identity *part, uint64_t from_ns,
			 uint64_t to_ns)
{
	uint64_t most_ns = hs_identity_is_known(part) ? FORWARD_MAX_AGE_NS : FORWARD_UNKNOWN_NS;

	return to_ns >= from_ns && to_ns - from_ns <= most_ns && hs_identity_has_part(whole, part);
}

/* A packet on the client's tap, to the client: which one of the L2's is it? */
static int forward_to_client(struct hs_lane *lane, const struct hs_event_header *header)
{
	struct hs_identity identity;

	hs_identity_from_record(header, &identity);
	for (uint64_t age = 0; age < FORWARD_MAX && age < lane->forward_nr; age++) {
		size_t place = (lane->forward_nr - 1 - age) % FORWARD_MAX;
		struct hs_packet *packet = lane->forwards[place];
		struct hs_order_item item = { .time_ns = header->ts,
					      .key = identity.len - ETH_HLEN,
					      .merge_key = hs_identity_payload(&identity),
					      .ref = packet };
		int err = 0;

		if (!packet ||
		    !is_forwarded(&packet->identity, &identity, packet->sights[HS_LAYER_TAP].time_ns, header->ts))
			continue;
		packet->sights[HS_LAYER_CLIENT_TAP].time_ns = header->ts;
		if (lane->config.has_client)
			err = hs_order_add_cause(lane->client.receives, &item);
		packet->hold_nr += lane->config.has_client && !err;
		stop_forward(lane, place);
		return err;
	}
	return 0;
}

static int share_from_client(struct hs_lane *lane, const struct hs_event_header *header)
{
	struct hs_seen *seen = hs_seen_new();
	struct hs_order_item item = { .time_ns = header->ts, .ref = seen };
	int err = 0;

	if (!seen)
		return -ENOMEM;
	hs_identity_from_record(header, &seen->identity);
	seen->tap.time_ns = header->ts;
	hs_recent_add(&lane->shared, seen);
	item.key = seen->identity.len;
	if (lane->config.has_client) {
		err = hs_order_add_effect(lane->client.sends, &item);
		if (!err) {
			hs_seen_get(seen);
			seen->hold_nr++;
		}
	}
	hs_seen_put(seen);
	return err;
}

static int packet_to_l2(struct hs_lane *lane, struct hs_packet *packet)
{
	struct hs_order_item item = { .time_ns = packet->sights[HS_LAYER_TAP].time_ns,
				      .is_optional = packet->is_multicast,
				      .ref = packet };
	int err;

	for (uint64_t age = 0; age < FORWARD_MAX; age++) {
		struct hs_seen *seen = hs_recent_at(&lane->shared, age);

		if (seen && is_forwarded(&seen->identity, &packet->identity, seen->tap.time_ns, item.time_ns)) {
			packet->sender = hs_seen_get(seen);
			break;
		}
	}
	if (!lane->config.has_dma)
		return 0;
	err = hs_order_add_cause(lane->dma, &item);
	packet->hold_nr += !err;
	return err;
}

static int packet_from_l2(struct hs_lane *lane, struct hs_packet *packet)
{
	struct hs_order_item item = { .time_ns = packet->sights[HS_LAYER_TAP].time_ns,
				      .key = packet->identity.len,
				      .ref = packet };
	int err = 0;

	add_forward(lane, packet);
	if (lane->config.has_dma) {
		if (lane->send_nr == SENDS_MAX)
			give_up_send(lane);
		lane->sends[(lane->send_head + lane->send_nr++) % SENDS_MAX] = packet;
		packet->hold_nr++;
	}
	if (lane->config.has_l2)
		err = hs_order_add_effect(lane->l2.sends, &item);
	packet->hold_nr += lane->config.has_l2 && !err;
	return err;
}

bool hs_lane_tap(struct hs_lane *lane, const struct hs_event_header *header, bool to_guest, uint64_t number, int *err)
{
	const struct hs_event_net_dev_start_xmit *record = (const void *)header;
	struct hs_packet *packet;

	*err = 0;
	if (record->role == HS_ROLE_CLIENT) {
		*err = to_guest ? forward_to_client(lane, header) : share_from_client(lane, header);
		return false;
	}
	if (record->role != HS_ROLE_L2)
		return false;
	packet = new_packet(lane, header, to_guest);
	if (!packet) {
		*err = -ENOMEM;
		return false;
	}
	packet->number = number;
	*err = to_guest ? packet_to_l2(lane, packet) : packet_from_l2(lane, packet);
	return true;
}

void hs_lane_refused(struct hs_lane *lane, const struct hs_event_net_dev_xmit *record)
{
	struct hs_packet *packet = lane->last, *refused = NULL;

	if (record->role != HS_ROLE_L2)
		return;
	for (unsigned int i = 0; i < REFUSED_MAX && packet && !refused; i++, packet = packet->before)
		if (packet->direction == HS_TO_L2 && packet->tid == record->header.tid &&
		    packet->ifindex == record->ifindex && packet->fate == HS_FATE_NO_DMA)
			refused = packet;
	if (!refused)
		return;
	refused->fate = HS_FATE_REFUSED;
	if (lane->config.has_dma && refused->hold_nr) {
		hs_order_withdraw(lane->dma, refused);
		refused->hold_nr--;
	}
}

/* ---- the guests ---- */

/* To whom a guest's sights belong: L2's packets, or what the client's tap shared. */
static struct guest *guest_of(struct hs_lane *lane, bool is_l2)
{
	return is_l2 ? &lane->l2 : &lane->client;
}

static int add_departure(struct hs_lane *lane, bool is_l2, const struct hs_lane_guest_event *event)
{
	struct guest *guest = guest_of(lane, is_l2);
	unsigned int segs = is_l2 && event->gso_segs > 1 ? event->gso_segs : 1;
	struct hs_seen *seen = hs_seen_new();
	struct hs_order_item item = { .time_ns = event->sight.time_ns, .error_ns = event->sight.error_ns, .ref = seen };
	int err = 0;

	if (!seen)
		return -ENOMEM;
	seen->nic = event->sight;
	seen->len = event->len;
	for (uint64_t age = 0; age < HS_SEEN_RECENT; age++) {
		const struct hs_seen *queued = hs_recent_at(&guest->queued, age);

		if (queued && queued->skb == event->skb) {
			seen->stack = queued->stack;
			break;
		}
	}
	/* A packet that the NIC cuts is as many on the tap; their lengths are not told. */
	item.key = segs > 1 ? 0 : is_l2 && event->len < FRAME_MIN ? FRAME_MIN : event->len;
	for (unsigned int i = 0; i < segs && !err; i++) {
		err = hs_order_add_cause(guest->sends, &item);
		if (!err)
			hs_seen_get(seen);
	}
	hs_seen_put(seen);
	return err;
}

/* Where a guest does not tell of what comes from its NIC, its stack's packets are arrivals: of several merged ones. */
static int add_arrival(struct hs_lane *lane, bool is_l2, const struct hs_lane_guest_event *event)
{
	struct guest *guest = guest_of(lane, is_l2);
	bool is_stack = event->what == HS_GUEST_STACK;
	struct hs_seen *seen = hs_seen_new();
	struct hs_order_item item = { .time_ns = event->sight.time_ns,
				      .error_ns = event->sight.error_ns,
				      .key = event->len,
				      .is_merged = is_stack,
				      .ref = seen };
	int err;

	if (!seen)
		return -ENOMEM;
	*(is_stack ? &seen->stack : &seen->nic) = event->sight;
	seen->len = event->len;
	seen->skb = event->skb;
	if (!is_stack)
		hs_recent_add(&guest->arrivals, seen);
	err = hs_order_add_effect(guest->receives, &item);
	if (err)
		hs_seen_put(seen);
	return err;
}

static int add_queued(struct hs_lane *lane, bool is_l2, const struct hs_lane_guest_event *event)
{
	struct hs_seen *seen = hs_seen_new();

	if (!seen)
		return -ENOMEM;
	seen->stack = event->sight;
	seen->skb = event->skb;
	hs_recent_add(&guest_of(lane, is_l2)->queued, seen);
	hs_seen_put(seen);
	return 0;
}

int hs_lane_guest(struct hs_lane *lane, bool is_l2, const struct hs_lane_guest_event *event)
{
	switch (event->what) {
	case HS_GUEST_QUEUE:
		return add_queued(lane, is_l2, event);
	case HS_GUEST_XMIT:
		return add_departure(lane, is_l2, event);
	case HS_GUEST_ARRIVE:
		return add_arrival(lane, is_l2, event);
	case HS_GUEST_STACK:
		if (is_l2 ? !lane->config.l2_tells_arrivals : !lane->config.client_tells_arrivals)
			return add_arrival(lane, is_l2, event);
		hs_recent_mark_stack(&guest_of(lane, is_l2)->arrivals, event->skb, event->len, &event->sight);
	}
	return 0;
}

static void on_client_send(void *ctx, const struct hs_order_match *match)
{
	struct hs_lane *lane = ctx;
	struct hs_seen *departure = match->cause->ref, *shared = match->effect->ref;

	shared->nic = departure->nic;
	shared->stack = departure->stack;
	if (match->is_firm)
		hs_causality_add(lane->config.causality, HS_PAIR_CLIENT_TO_TAP, &shared->nic, &shared->tap);
	shared->hold_nr--;
	hs_seen_put(departure);
	hs_seen_put(shared);
}

static void on_client_send_alone(void *ctx, const struct hs_order_item *item, bool is_cause)
{
	struct hs_lane *lane = ctx;
	struct hs_seen *seen = item->ref;

	if (is_cause)
		lane->counts.client_alone[0]++;
	else
		seen->hold_nr--;
	hs_seen_put(seen);
}

static void on_l2_send(void *ctx, const struct hs_order_match *match)
{
	struct hs_lane *lane = ctx;
	struct hs_packet *packet = match->effect->ref;

	packet->sender = match->cause->ref;
	if (match->is_firm)
		hs_causality_add(lane->config.causality, HS_PAIR_L2_TO_TAP, &packet->sender->nic,
				 &packet->sights[HS_LAYER_TAP]);
	packet->hold_nr--;
}

static void on_l2_send_alone(void *ctx, const struct hs_order_item *item, bool is_cause)
{
	struct hs_lane *lane = ctx;

	if (is_cause) {
		lane->counts.l2_alone[0]++;
		hs_seen_put(item->ref);
		return;
	}
	((struct hs_packet *)item->ref)->hold_nr--;
}

static void receive(struct hs_lane *lane, const struct hs_order_match *match, enum hs_layer layer,
		    enum hs_causality_pair pair)
{
	struct hs_packet *packet = match->cause->ref;
	struct hs_seen *seen = match->effect->ref;

	packet->receiver = hs_seen_get(seen);
	if (match->is_firm)
		hs_causality_add(lane->config.causality, pair, &packet->sights[layer],
				 seen->nic.time_ns ? &seen->nic : &seen->stack);
	packet->hold_nr--;
	if (match->is_last)
		hs_seen_put(seen);
}

static void on_l2_receive(void *ctx, const struct hs_order_match *match)
{
	receive(ctx, match, HS_LAYER_DMA_END, HS_PAIR_DMA_TO_L2);
}

static void on_client_receive(void *ctx, const struct hs_order_match *match)
{
	receive(ctx, match, HS_LAYER_CLIENT_TAP, HS_PAIR_TAP_TO_CLIENT);
}

static void receive_alone(const struct hs_order_item *item, bool is_cause, uint64_t *alone)
{
	if (is_cause) {
		((struct hs_packet *)item->ref)->hold_nr--;
		return;
	}
	(*alone)++;
	hs_seen_put(item->ref);
}

static void on_l2_receive_alone(void *ctx, const struct hs_order_item *item, bool is_cause)
{
	receive_alone(item, is_cause, &((struct hs_lane *)ctx)->counts.l2_alone[1]);
}

static void on_client_receive_alone(void *ctx, const struct hs_order_item *item, bool is_cause)
{
	receive_alone(item, is_cause, &((struct hs_lane *)ctx)->counts.client_alone[1]);
}

/* ---- L1, and the lane itself ---- */

static void add_l1(struct hs_lane *lane, struct hs_times *times, const struct hs_sight *sight)
{
	hs_times_add(times, sight->time_ns);
	if (sight->error_ns > lane->l1_error_ns)
		lane->l1_error_ns = sight->error_ns;
}

void hs_lane_interrupt(struct hs_lane *lane, const struct hs_sight *sight)
{
	lane->counts.interrupt_nr++;
	add_l1(lane, &lane->interrupts, sight);
}

void hs_lane_entry(struct hs_lane *lane, const struct hs_sight *sight)
{
	lane->counts.entry_nr++;
	add_l1(lane, &lane->entries, sight);
}

void hs_lane_exit(struct hs_lane *lane, const struct hs_sight *sight)
{
	lane->counts.exit_nr++;
	add_l1(lane, &lane->exits, sight);
}

void hs_lane_settle(struct hs_lane *lane, uint64_t now_ns)
{
	hs_order_settle(lane->dma, now_ns);
	settle_sends(lane, now_ns);
	hs_order_settle(lane->client.sends, now_ns);
	hs_order_settle(lane->client.receives, now_ns);
	hs_order_settle(lane->l2.sends, now_ns);
	hs_order_settle(lane->l2.receives, now_ns);
	for (size_t i = 0; i < FORWARD_MAX; i++)
		if (lane->forwards[i] && lane->forwards[i]->sights[HS_LAYER_TAP].time_ns + FORWARD_MAX_AGE_NS < now_ns)
			stop_forward(lane, i);
	give_out_settled(lane);
}

void hs_lane_finish(struct hs_lane *lane)
{
	lane->is_finishing = true;
	hs_order_finish(lane->dma);
	settle_sends(lane, UINT64_MAX);
	drop_lead(lane);
	hs_order_finish(lane->client.sends);
	hs_order_finish(lane->client.receives);
	hs_order_finish(lane->l2.sends);
	hs_order_finish(lane->l2.receives);
	for (size_t i = 0; i < FORWARD_MAX; i++)
		stop_forward(lane, i);
	give_out_settled(lane);
}

const struct hs_lane_counts *hs_lane_counts(const struct hs_lane *lane)
{
	return &lane->counts;
}

static int open_guest(struct hs_lane *lane, struct guest *guest, bool is_l2)
{
	struct hs_order_config config = { .on_match = is_l2 ? on_l2_send : on_client_send,
					  .on_alone = is_l2 ? on_l2_send_alone : on_client_send_alone,
					  .ctx = lane,
					  .tolerance_ns = GUEST_TOLERANCE_NS,
					  .max_age_ns = GUEST_MAX_AGE_NS };
	int err = hs_order_open(&config, &guest->sends);

	config.on_match = is_l2 ? on_l2_receive : on_client_receive;
	config.on_alone = is_l2 ? on_l2_receive_alone : on_client_receive_alone;
	return err ? err : hs_order_open(&config, &guest->receives);
}

int hs_lane_open(const struct hs_lane_config *config, struct hs_lane **out)
{
	struct hs_order_config dma = { .on_match = on_dma_match,
				       .on_alone = on_dma_alone,
				       .tolerance_ns = DMA_SLACK_NS,
				       .max_age_ns = DMA_MAX_AGE_NS };
	scoped(hs_lane) struct hs_lane *lane = calloc(1, sizeof(*lane));
	int err;

	if (!lane)
		return -ENOMEM;
	lane->config = *config;
	dma.ctx = lane;
	err = hs_order_open(&dma, &lane->dma);
	if (!err)
		err = open_guest(lane, &lane->client, false);
	if (!err)
		err = open_guest(lane, &lane->l2, true);
	if (err)
		return err;
	*out = take(lane);
	return 0;
}

static void free_guest(struct guest *guest)
{
	hs_order_free(guest->sends);
	hs_order_free(guest->receives);
	hs_recent_clear(&guest->queued);
	hs_recent_clear(&guest->arrivals);
}

static void drop_packet(void *ctx, const struct hs_packet *packet)
{
	(void)ctx, (void)packet;
}

void hs_lane_free(struct hs_lane *lane)
{
	if (!lane)
		return;
	lane->config.on_packet = drop_packet;
	if (lane->l2.receives) /* what waits in the rows has owners */
		hs_lane_finish(lane);
	hs_order_free(lane->dma);
	free_guest(&lane->client);
	free_guest(&lane->l2);
	hs_recent_clear(&lane->shared);
	free(lane);
}
