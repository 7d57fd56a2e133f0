// SPDX-License-Identifier: GPL-2.0-only
/* What a destination says of each connection: a summary when it ends, its document (hsbpf.vm/1) at the end of all. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "migtools/spread.h"
#include "migtools/stream_destination.h"

static double mib_per_second(uint64_t bytes, uint64_t ns)
{
	return ns ? (double)bytes * 1e9 / (1 << 20) / (double)ns : 0;
}

void hs_stream_receiver_print(const struct hs_stream_receiver *receiver)
{
	const struct hs_stream_latency *latency = &receiver->latency;
	uint64_t duration_ns = receiver->end_ns - receiver->start_ns;
	char bytes[32], duration[32];

	printf("received %s in %s: %.0f (MB/s), %" PRIu64 " pages; %" PRIu64 " requests answered\n",
	       hs_format_bytes(bytes, sizeof(bytes), atomic_load(&receiver->bytes)),
	       hs_format_ns(duration, sizeof(duration), duration_ns),
	       mib_per_second(atomic_load(&receiver->bytes), duration_ns), (uint64_t)atomic_load(&receiver->pages),
	       latency->total.count);
	hs_spread_print("latency              ", &latency->total);
	hs_spread_print("  queued in source   ", &latency->program);
	hs_spread_print("  queued in socket   ", &latency->socket);
	hs_spread_print("  network            ", &latency->network);
	hs_spread_print("  queued here        ", &latency->receive);
	fflush(stdout);
}

/* ---- the document ---- */

static void add_latency(json_object *row, const struct hs_stream_latency *latency)
{
	json_object *object;

	if (!latency->total.count) {
		json_object_object_add(row, "latency", NULL);
		return;
	}
	object = hs_json_add_object(row, "latency");
	hs_spread_add_json(object, "total", &latency->total);
	hs_spread_add_json(object, "source_program", &latency->program);
	hs_spread_add_json(object, "source_socket", &latency->socket);
	hs_spread_add_json(object, "network", &latency->network);
	hs_spread_add_json(object, "receive_socket", &latency->receive);
}

static void add_session(json_object *row, const struct hs_stream_receiver *receiver)
{
	char session[20];

	hs_json_add_string(row, "peer", receiver->is_ours ? "hsbpf" : "mig_mon");
	if (!receiver->is_ours)
		return;
	snprintf(session, sizeof(session), "%016" PRIx64, receiver->hello.session);
	hs_json_add_string(row, "session", session);
	hs_json_add_u64(row, "stream", receiver->hello.stream);
	hs_json_add_u64(row, "streams", receiver->hello.streams);
}

static void add_connections(json_object *document, const struct hs_stream_destination *destination)
{
	json_object *array = hs_json_add_array(document, "connections");

	for (const struct hs_stream_receiver *receiver = destination->ended; receiver; receiver = receiver->next) {
		json_object *row = hs_json_append_object(array);
		uint64_t duration_ns = receiver->end_ns - receiver->start_ns, bytes = atomic_load(&receiver->bytes);

		hs_json_add_string(row, "source", receiver->peer);
		add_session(row, receiver);
		hs_json_add_u64(row, "page_bytes",
				receiver->is_ours ? receiver->accept.page_bytes : receiver->offer.page_bytes);
		hs_json_add_string(row, "outcome", hs_stream_outcome_name(receiver->outcome));
		hs_json_add_u64(row, "duration_ns", duration_ns);
		hs_json_add_u64(row, "bytes", bytes);
		hs_json_add_u64(row, "pages", atomic_load(&receiver->pages));
		hs_json_add_double(row, "mib_per_s", mib_per_second(bytes, duration_ns), 1);
		add_latency(row, &receiver->latency);
	}
}

int hs_stream_destination_print_json(const struct hs_stream_destination *destination, uint64_t duration_ns)
{
	const struct hs_stream_config *config = destination->config;
	scoped(json) json_object *document = json_object_new_object();

	if (!document)
		return -ENOMEM;
	hs_json_add_string(document, "schema", "hsbpf.vm/1");
	hs_json_add_string(document, "role", "destination");
	hs_json_add_u64(document, "port", config->port);
	hs_json_add_u64(document, "vm_bytes", config->vm_bytes);
	hs_json_add_u64(document, "page_bytes", config->page_bytes);
	hs_json_add_u64(document, "duration_ns", duration_ns);
	add_connections(document, destination);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	fflush(stdout);
	return 0;
}
