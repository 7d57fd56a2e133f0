// SPDX-License-Identifier: GPL-2.0-only
/* Adds packets up. Called by `hsbpf correlate` for every packet of its stretch. */
#include <string.h>

#include "correlate/tally.h"

const char *const hs_end_names[HS_END_NR] = {
	[HS_END_WHOLE] = "whole",
	[HS_END_NO_DMA] = "no translations",
	[HS_END_NO_CLIENT_TAP] = "not on the client's tap",
	[HS_END_NO_CLIENT] = "not in the client's trace",
	[HS_END_NO_L2] = "not in the L2's trace",
};

static bool is_seen_in(const struct hs_packet *packet, enum hs_layer nic, enum hs_layer stack)
{
	return packet->sights[nic].time_ns || packet->sights[stack].time_ns;
}

enum hs_end hs_tally_end_of(const struct hs_tally_scope *scope, const struct hs_packet *packet)
{
	if (scope->has_dma && packet->fate != HS_FATE_JOINED)
		return HS_END_NO_DMA;
	if (!packet->sights[HS_LAYER_CLIENT_TAP].time_ns)
		return HS_END_NO_CLIENT_TAP;
	if (scope->has_client && !is_seen_in(packet, HS_LAYER_CLIENT_NIC, HS_LAYER_CLIENT_STACK))
		return HS_END_NO_CLIENT;
	if (scope->has_l2 && !is_seen_in(packet, HS_LAYER_L2_NIC, HS_LAYER_L2_STACK))
		return HS_END_NO_L2;
	return HS_END_WHOLE;
}

static int add_hops(struct hs_tally *tally, const struct hs_packet *packet)
{
	unsigned int layer_nr;
	const enum hs_layer *layers = hs_layers_of(packet->direction, &layer_nr);
	uint64_t before_ns = 0;
	enum hs_layer before = 0;
	int err = 0;

	for (unsigned int i = 0; i < layer_nr && !err; i++) {
		uint64_t time_ns = packet->sights[layers[i]].time_ns;

		if (!time_ns)
			continue;
		/* Clocks' errors can turn two sights around: then there is no time between them. */
		if (before_ns)
			err = hs_histogram_add(&tally->hops[before][layers[i]],
					       time_ns > before_ns ? time_ns - before_ns : 0, 1);
		before_ns = time_ns;
		before = layers[i];
	}
	return err;
}

static void note_slow(struct hs_tally *tally, const struct hs_packet *packet, uint64_t duration_ns)
{
	struct hs_packet *slowest = tally->slowest;
	int place = HS_TALLY_SLOWEST;

	while (place > 0 && (!slowest[place - 1].number || hs_packet_duration_ns(&slowest[place - 1]) < duration_ns))
		place--;
	if (place == HS_TALLY_SLOWEST)
		return;
	memmove(&slowest[place + 1], &slowest[place], (HS_TALLY_SLOWEST - 1 - (size_t)place) * sizeof(*slowest));
	slowest[place] = *packet;
}

int hs_tally_add(struct hs_tally *tally, const struct hs_packet *packet)
{
	uint64_t duration_ns = hs_packet_duration_ns(packet);
	int err;

	tally->packet_nr++;
	tally->bytes += packet->identity.len;
	tally->fates[packet->fate]++;
	tally->ends[hs_tally_end_of(&tally->scope, packet)]++;
	for (int i = 0; i < HS_DMA_KIND_NR; i++)
		tally->kinds[i] += packet->dma.kinds[i];
	for (int i = 0; i < HS_QEMULOG_EVENT_NR; i++)
		tally->events[i] += packet->dma.events[i];
	if (is_seen_in(packet, HS_LAYER_L2_NIC, HS_LAYER_L2_STACK)) {
		tally->exit_nr += packet->exit_nr;
		tally->exit_packet_nr++;
	}
	err = add_hops(tally, packet);
	if (err || (tally->scope.has_dma && packet->fate != HS_FATE_JOINED))
		return err;
	note_slow(tally, packet, duration_ns);
	return hs_histogram_add(&tally->total, duration_ns, 1);
}

void hs_tally_clear(struct hs_tally *tally)
{
	for (int i = 0; i < HS_LAYER_NR; i++)
		for (int j = 0; j < HS_LAYER_NR; j++)
			hs_histogram_clear(&tally->hops[i][j]);
	hs_histogram_clear(&tally->total);
}
