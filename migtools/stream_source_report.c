// SPDX-License-Identifier: GPL-2.0-only
/* What a source says: a line per round, why it failed, its summary, its document (hsbpf.vm/1). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/unit.h"
#include "migtools/stream_session.h"

static double per_second(uint64_t amount, uint64_t ns)
{
	return ns ? (double)amount * 1e9 / (double)ns : 0;
}

static double mib_per_second(uint64_t bytes, uint64_t ns)
{
	return per_second(bytes, ns) / (1 << 20);
}

static uint64_t duration_ns(const struct hs_stream_source *source)
{
	return source->end_ns - source->start_ns;
}

static void describe_forecast(const struct hs_stream_source *source, const struct hs_stream_round *round, char *text,
			      size_t size)
{
	const struct hs_stream_forecast *forecast = &round->forecast;
	char stop[32];

	hs_format_ns(stop, sizeof(stop), forecast->stop_ns);
	if (!forecast->rounds)
		snprintf(text, size, "stop-and-copy next, about %s", stop);
	else if (source->state == HS_STREAM_STOP_AND_COPY)
		snprintf(text, size, "no more rounds are allowed: stop-and-copy next, about %s", stop);
	else if (forecast->converges)
		snprintf(text, size, "about %u more, then stop-and-copy of %s", forecast->rounds, stop);
	else
		snprintf(text, size, "does not converge; stop-and-copy would take %s", stop);
}

void hs_stream_source_print_round(struct hs_stream_source *source, const struct hs_stream_round *round)
{
	char text[128], sent[32], dirty[32], duration[32], limit[32];

	hs_format_bytes(sent, sizeof(sent), round->bytes);
	hs_format_ns(duration, sizeof(duration), round->duration_ns);
	if (round->is_stop_and_copy) {
		hs_progress_note(&source->progress, "Stop-and-copy: %s in %s (limit %s)", sent, duration,
				 hs_format_ns(limit, sizeof(limit), source->config->downtime_limit_ns));
		return;
	}
	describe_forecast(source, round, text, sizeof(text));
	hs_progress_note(
		&source->progress, "Round %zu: %s in %s, %.0f (MB/s); %s written meanwhile: %s", source->round_count,
		sent, duration, mib_per_second(round->bytes, round->duration_ns),
		hs_format_bytes(dirty, sizeof(dirty), round->dirty_pages * hs_stream_source_page_bytes(source)), text);
}

static const struct hs_stream_sender *find_failed(const struct hs_stream_source *source)
{
	for (uint32_t i = 0; i < source->started_count; i++)
		if (source->senders[i].err)
			return &source->senders[i];
	return NULL;
}

static int say_refusal(const struct hs_stream_source *source, const struct hs_stream_accept *accept)
{
	char ours[32], theirs[32];

	switch (accept->refusal) {
	case HS_STREAM_TOO_LARGE:
		return hs_fail(-ECONNREFUSED, "the destination emulates %s, this source %s: give both ends the same -S",
			       hs_format_bytes(theirs, sizeof(theirs), accept->vm_bytes),
			       hs_format_bytes(ours, sizeof(ours), source->config->vm_bytes));
	case HS_STREAM_BAD_PAGE_SIZE:
		return hs_fail(-ECONNREFUSED, "the destination insists on pages of %u bytes, this source on %u",
			       accept->page_bytes, source->config->page_bytes);
	default:
		return hs_fail(-ECONNREFUSED, "the destination speaks version %u, this source %u", accept->version,
			       HS_STREAM_VERSION);
	}
}

void hs_stream_source_say_error(const struct hs_stream_source *source)
{
	const struct hs_stream_sender *failed = find_failed(source);

	if (!failed)
		return; /* it was no sender: said already */
	if (failed->err == -ECONNREFUSED)
		say_refusal(source, &failed->accept);
	else if (failed->err == -ECONNRESET)
		hs_err("the destination closed the connection after %" PRIu64 " pages%s",
		       (uint64_t)atomic_load(&failed->pages),
		       atomic_load(&failed->peer) == HS_STREAM_PEER_OURS
			       ? ""
			       : "; one of mig_mon's does so when its -S is smaller or its page size is another");
}

static const char *outcome_of(const struct hs_stream_source *source)
{
	if (source->err)
		return source->err == -ECONNREFUSED ? "refused" : "lost";
	if (source->state == HS_STREAM_MIGRATED)
		return "migrated";
	return source->was_interrupted ? "interrupted" : "ended";
}

static const struct hs_stream_round *last_round(const struct hs_stream_source *source)
{
	return source->state == HS_STREAM_MIGRATED ? &source->rounds[source->round_count - 1] : NULL;
}

static uint64_t count_answers(const struct hs_stream_source *source)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < source->started_count; i++)
		sum += atomic_load(&source->senders[i].answers);
	return sum;
}

static int print_summary(struct hs_stream_source *source)
{
	const struct hs_stream_round *last = last_round(source);
	char bytes[32], duration[32], stop[32];

	printf("sent %s in %s: %.0f (MB/s), %" PRIu64 " pages of %u bytes; answered %" PRIu64 " requests\n",
	       hs_format_bytes(bytes, sizeof(bytes), hs_stream_source_bytes(source)),
	       hs_format_ns(duration, sizeof(duration), duration_ns(source)),
	       mib_per_second(hs_stream_source_bytes(source), duration_ns(source)), hs_stream_source_pages(source),
	       hs_stream_source_page_bytes(source), count_answers(source));
	if (last)
		printf("migrated in %zu rounds; the guest stood still for %s%s\n", source->round_count - 1,
		       hs_format_ns(stop, sizeof(stop), last->duration_ns),
		       source->has_converged ? "" : ": it did not converge");
	fflush(stdout);
	return 0;
}

/* ---- the document ---- */

static void add_forecast(json_object *row, const struct hs_stream_forecast *forecast)
{
	json_object *object = hs_json_add_object(row, "forecast");

	hs_json_add_bool(object, "converges", forecast->converges);
	hs_json_add_u64(object, "rounds", forecast->rounds);
	hs_json_add_u64(object, "stop_bytes", forecast->stop_bytes);
	hs_json_add_u64(object, "stop_ns", forecast->stop_ns);
	hs_json_add_u64(object, "total_ns", forecast->total_ns);
}

static void add_rounds(json_object *document, const struct hs_stream_source *source)
{
	json_object *array = hs_json_add_array(document, "rounds");

	for (size_t i = 0; i < source->round_count; i++) {
		const struct hs_stream_round *round = &source->rounds[i];
		json_object *row = hs_json_append_object(array);

		hs_json_add_bool(row, "stop_and_copy", round->is_stop_and_copy);
		hs_json_add_u64(row, "pages", round->pages);
		hs_json_add_u64(row, "bytes", round->bytes);
		hs_json_add_u64(row, "duration_ns", round->duration_ns);
		hs_json_add_u64(row, "dirty_pages", round->dirty_pages);
		if (!round->is_stop_and_copy)
			add_forecast(row, &round->forecast);
	}
}

static void add_migration(json_object *document, const struct hs_stream_source *source)
{
	const struct hs_stream_round *last = last_round(source);
	json_object *object;

	if (!source->plan.has_rounds) {
		json_object_object_add(document, "migration", NULL);
		return;
	}
	object = hs_json_add_object(document, "migration");
	hs_json_add_u64(object, "dirty_bytes_per_s", source->config->dirty_bytes_per_s);
	hs_json_add_u64(object, "written_pages", source->writes);
	hs_json_add_u64(object, "downtime_limit_ns", source->config->downtime_limit_ns);
	hs_json_add_bool(object, "converged", source->has_converged);
	if (last)
		hs_json_add_u64(object, "stop_and_copy_ns", last->duration_ns);
	else
		json_object_object_add(object, "stop_and_copy_ns", NULL);
}

static void add_streams(json_object *document, const struct hs_stream_source *source)
{
	json_object *array = hs_json_add_array(document, "streams");

	for (uint32_t i = 0; i < source->started_count; i++) {
		const struct hs_stream_sender *sender = &source->senders[i];
		json_object *row = hs_json_append_object(array);

		hs_json_add_bool(row, "sends_memory", sender->has_bulk);
		hs_json_add_bool(row, "answers_requests", sender->has_requests);
		hs_json_add_u64(row, "bytes", atomic_load(&sender->bytes));
		hs_json_add_u64(row, "pages", atomic_load(&sender->pages));
		hs_json_add_u64(row, "answers", atomic_load(&sender->answers));
	}
}

static void add_intervals(json_object *document, const struct hs_stream_source *source)
{
	json_object *array = hs_json_add_array(document, "intervals");

	for (size_t i = 0; i < source->interval_count; i++) {
		json_object *row = hs_json_append_object(array);

		hs_json_add_u64(row, "duration_ns", source->intervals[i].duration_ns);
		hs_json_add_u64(row, "bytes", source->intervals[i].bytes);
	}
}

static const char *peer_name(const struct hs_stream_source *source)
{
	static const char *const names[] = { "unknown", "hsbpf", "mig_mon" };

	return names[atomic_load(&source->senders[0].peer)];
}

static int print_document(const struct hs_stream_source *source)
{
	const struct hs_stream_config *config = source->config;
	scoped(json) json_object *document = json_object_new_object();
	json_object *tests;

	if (!document)
		return -ENOMEM;
	hs_json_add_string(document, "schema", "hsbpf.vm/1");
	hs_json_add_string(document, "role", "source");
	hs_json_add_string(document, "destination", config->host);
	hs_json_add_u64(document, "port", config->port);
	hs_json_add_string(document, "peer", peer_name(source));
	hs_json_add_u64(document, "vm_bytes", config->vm_bytes);
	hs_json_add_u64(document, "page_bytes", hs_stream_source_page_bytes(source));
	hs_json_add_string(document, "fill", config->fill);
	tests = hs_json_add_array(document, "tests");
	if (config->has_precopy)
		json_object_array_add(tests, json_object_new_string("precopy"));
	if (config->has_postcopy)
		json_object_array_add(tests, json_object_new_string("postcopy"));
	hs_json_add_u64(document, "limit_bytes_per_s", config->bytes_per_s);
	hs_json_add_u64(document, "burst_bytes", config->bytes_per_s ? source->plan.burst_bytes * config->streams : 0);
	hs_json_add_string(document, "outcome", outcome_of(source));
	hs_json_add_u64(document, "duration_ns", duration_ns(source));
	hs_json_add_u64(document, "bytes", hs_stream_source_bytes(source));
	hs_json_add_u64(document, "pages", hs_stream_source_pages(source));
	hs_json_add_u64(document, "answers", count_answers(source));
	hs_json_add_double(document, "mib_per_s", mib_per_second(hs_stream_source_bytes(source), duration_ns(source)),
			   1);
	add_streams(document, source);
	add_intervals(document, source);
	add_rounds(document, source);
	add_migration(document, source);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	fflush(stdout);
	return 0;
}

int hs_stream_source_report(struct hs_stream_source *source)
{
	return source->config->json ? print_document(source) : print_summary(source);
}
