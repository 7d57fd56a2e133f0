// SPDX-License-Identifier: GPL-2.0-only
/* Prints the path of a packet. Called by `hsbpf correlate` for the slowest ones and for the one that was asked for. */
#include "correlate/path.h"

#include <arpa/inet.h>
#include <net/ethernet.h>

#include "base/unit.h"

#define TEXT_BYTES 160
#define ADDRESS_BYTES INET_ADDRSTRLEN

static const char *const kind_names[HS_DMA_KIND_NR] = {
	[HS_DMA_DESCRIPTOR_READ] = "descriptor read",
	[HS_DMA_DATA] = "data",
	[HS_DMA_WRITE_BACK] = "write-back",
	[HS_DMA_STATUS] = "status write",
	[HS_DMA_CONTEXT] = "context",
};

static const char *const direction_names[] = { [HS_TO_L2] = "to_l2", [HS_FROM_L2] = "from_l2" };

/* Of an IPv6 address the end is known: "*:ac10:14". */
static const char *address_text(const struct hs_identity *identity, uint32_t address, char *text, size_t size)
{
	struct in_addr ipv4 = { htonl(address) };

	if (identity->protocol == ETHERTYPE_IPV6)
		snprintf(text, size, "*:%x:%x", address >> 16, address & 0xffff);
	else
		inet_ntop(AF_INET, &ipv4, text, (socklen_t)size);
	return text;
}

static const char *describe(const struct hs_identity *identity, char *text)
{
	char from[ADDRESS_BYTES], to[ADDRESS_BYTES];
	const char *name = identity->ip_proto == IPPROTO_TCP ? "TCP" : identity->ip_proto == IPPROTO_UDP ? "UDP" : "IP";

	address_text(identity, identity->saddr, from, sizeof(from));
	address_text(identity, identity->daddr, to, sizeof(to));
	if (!identity->saddr && !identity->daddr)
		snprintf(text, TEXT_BYTES, "ethertype 0x%x", identity->protocol);
	else if (!identity->sport && !identity->dport)
		snprintf(text, TEXT_BYTES, "%s > %s, protocol %u, id 0x%x", from, to, identity->ip_proto,
			 identity->ip_id);
	else
		snprintf(text, TEXT_BYTES, "%s %s:%u > %s:%u, seq %u, id 0x%x", name, from, identity->sport, to,
			 identity->dport, identity->seq, identity->ip_id);
	return text;
}

static void print_line(const struct hs_dma_line *line, uint64_t origin_ns, FILE *out)
{
	fprintf(out, "    %14.6f ms  %-15s  %s iova 0x%llx\n", ((double)line->time_ns - (double)origin_ns) / 1e6,
		kind_names[line->kind], hs_qemulog_event_name(line->event), (unsigned long long)line->iova);
}

static uint32_t lines_of(const struct hs_dma *dma)
{
	uint32_t nr = 0;

	for (int i = 0; i < HS_DMA_KIND_NR; i++)
		nr += dma->kinds[i];
	return nr;
}

void hs_path_print(const struct hs_packet *packet, uint64_t origin_ns, FILE *out)
{
	unsigned int layer_nr;
	const enum hs_layer *layers = hs_layers_of(packet->direction, &layer_nr);
	char text[TEXT_BYTES], took[32];
	uint64_t before_ns = 0;

	fprintf(out, "packet %llu, tenant %u, %s: %u bytes, %s; %s\n", (unsigned long long)packet->number,
		packet->tenant, packet->direction == HS_TO_L2 ? "to the L2" : "from the L2", packet->identity.len,
		describe(&packet->identity, text), hs_fate_names[packet->fate]);
	for (unsigned int i = 0; i < layer_nr; i++) {
		const struct hs_sight *sight = &packet->sights[layers[i]];
		uint64_t step_ns = sight->time_ns > before_ns ? sight->time_ns - before_ns : 0;

		if (!sight->time_ns)
			continue;
		fprintf(out, "  %16.6f ms  %-13s %12s", ((double)sight->time_ns - (double)origin_ns) / 1e6,
			hs_layer_names[layers[i]], before_ns ? hs_format_ns(took, sizeof(took), step_ns) : "");
		fprintf(out, sight->error_ns ? "  within %llu ns\n" : "\n", (unsigned long long)sight->error_ns);
		before_ns = sight->time_ns;
		for (uint32_t j = 0; layers[i] == HS_LAYER_DMA_BEGIN && j < packet->dma.line_nr; j++)
			print_line(&packet->dma.lines[j], origin_ns, out);
	}
	if (lines_of(&packet->dma) > packet->dma.line_nr)
		fprintf(out, "  and %u more translations\n", lines_of(&packet->dma) - packet->dma.line_nr);
	if (packet->exit_nr)
		fprintf(out, "  exits of the L2 meanwhile: %u\n", packet->exit_nr);
}

static void identity_to_json(const struct hs_identity *identity, json_object *object)
{
	char text[ADDRESS_BYTES];

	hs_json_add_u64(object, "len", identity->len);
	hs_json_add_u64(object, "protocol", identity->protocol);
	hs_json_add_u64(object, "ip_proto", identity->ip_proto);
	hs_json_add_string(object, "saddr", address_text(identity, identity->saddr, text, sizeof(text)));
	hs_json_add_string(object, "daddr", address_text(identity, identity->daddr, text, sizeof(text)));
	hs_json_add_u64(object, "sport", identity->sport);
	hs_json_add_u64(object, "dport", identity->dport);
	hs_json_add_u64(object, "seq", identity->seq);
	hs_json_add_u64(object, "ip_id", identity->ip_id);
}

void hs_path_to_json(const struct hs_packet *packet, json_object *object)
{
	unsigned int layer_nr;
	const enum hs_layer *layers = hs_layers_of(packet->direction, &layer_nr);
	json_object *rows;

	hs_json_add_u64(object, "packet", packet->number);
	hs_json_add_u64(object, "tenant", packet->tenant);
	hs_json_add_string(object, "direction", direction_names[packet->direction]);
	hs_json_add_string(object, "fate", hs_fate_names[packet->fate]);
	identity_to_json(&packet->identity, object);
	hs_json_add_u64(object, "duration_ns", hs_packet_duration_ns(packet));
	hs_json_add_u64(object, "exits", packet->exit_nr);
	rows = hs_json_add_array(object, "layers");
	for (unsigned int i = 0; i < layer_nr; i++) {
		const struct hs_sight *sight = &packet->sights[layers[i]];
		json_object *row;

		if (!sight->time_ns)
			continue;
		row = hs_json_append_object(rows);
		hs_json_add_string(row, "layer", hs_layer_names[layers[i]]);
		hs_json_add_u64(row, "time_ns", sight->time_ns);
		hs_json_add_u64(row, "error_ns", sight->error_ns);
	}
	hs_json_add_u64(object, "translation_nr", lines_of(&packet->dma));
	rows = hs_json_add_array(object, "translations");
	for (uint32_t i = 0; i < packet->dma.line_nr; i++) {
		const struct hs_dma_line *line = &packet->dma.lines[i];
		json_object *row = hs_json_append_object(rows);

		hs_json_add_u64(row, "time_ns", line->time_ns);
		hs_json_add_string(row, "kind", kind_names[line->kind]);
		hs_json_add_string(row, "event", hs_qemulog_event_name(line->event));
		hs_json_add_u64(row, "iova", line->iova);
	}
}
