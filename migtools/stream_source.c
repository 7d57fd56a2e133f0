// SPDX-License-Identifier: GPL-2.0-only
/*
 * A source's session: connections, the emulated guest that writes to its memory while it is sent, rounds until what is
 * left fits into the downtime, and the end. The senders do the sending; this thread only looks once in a while.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/opt.h"
#include "migtools/address.h"
#include "migtools/mm_page.h"
#include "migtools/stream_session.h"
#include "migtools/stream_socket.h"

#define CONNECT_TIMEOUT_NS 10000000000ull
#define PEER_TIMEOUT_NS 2000000000ull /* a destination of ours answers within a round trip */
#define PROGRESS_NS 1000000000ull
#define WRITE_TICK_NS 1000000ull
#define WRITE_GAP_MAX_NS 1000000000ull
#define BURSTS_PER_S 100

static void source_scoped(struct hs_stream_source *source)
{
	for (uint32_t i = 0; i < source->started_count; i++)
		hs_stream_sender_stop(&source->senders[i]);
	for (uint32_t i = 0; i < source->started_count; i++)
		hs_stream_sender_join(&source->senders[i]);
	if (source->loop) {
		hs_loop_close(source->loop, &source->tick);
		hs_loop_close(source->loop, &source->event);
		hs_loop_close(source->loop, &source->write_tick);
		hs_interrupt_close(source->loop);
	}
	hs_loop_free(source->loop);
	hs_stream_guest_free(source->guest);
	free(source->senders);
	free(source->contents);
	free(source->intervals);
	free(source->rounds);
}

uint64_t hs_stream_source_bytes(const struct hs_stream_source *source)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < source->started_count; i++)
		sum += atomic_load_explicit(&source->senders[i].bytes, memory_order_relaxed);
	return sum;
}

uint64_t hs_stream_source_pages(const struct hs_stream_source *source)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < source->started_count; i++)
		sum += atomic_load_explicit(&source->senders[i].pages, memory_order_relaxed);
	return sum;
}

uint32_t hs_stream_source_page_bytes(const struct hs_stream_source *source)
{
	const struct hs_stream_sender *first = &source->senders[0];

	return atomic_load(&first->peer) == HS_STREAM_PEER_OURS ? first->accept.page_bytes : source->config->page_bytes;
}

/* ---- rounds ---- */

static struct hs_stream_model model_of(const struct hs_stream_source *source, double bytes_per_s)
{
	uint32_t page_bytes = hs_stream_source_page_bytes(source);
	uint64_t working = source->config->working_bytes ? source->config->working_bytes : source->config->vm_bytes;

	return (struct hs_stream_model){
		.bytes_per_s = bytes_per_s,
		.writes_per_s = (double)source->config->dirty_bytes_per_s / page_bytes,
		.working_pages = (double)(working / page_bytes),
		.frame_bytes = HS_STREAM_HEADER_BYTES + page_bytes,
		.downtime_limit_ns = source->config->downtime_limit_ns,
	};
}

static void write_memory(struct hs_stream_source *source)
{
	uint64_t now_ns = hs_now_ns(), gap_ns = now_ns - source->last_write_ns;
	uint64_t writes;

	source->last_write_ns = now_ns;
	/* A longer gap is no busy machine, but a process that was stopped: so were the guest's vCPUs. */
	if (gap_ns > WRITE_GAP_MAX_NS)
		gap_ns = WRITE_GAP_MAX_NS;
	source->write_debt +=
		(double)gap_ns * 1e-9 * (double)source->config->dirty_bytes_per_s / hs_stream_source_page_bytes(source);
	writes = (uint64_t)source->write_debt;
	source->write_debt -= (double)writes;
	source->writes += writes;
	hs_stream_guest_write(source->guest, writes);
}

static void begin_round(struct hs_stream_source *source)
{
	source->round_start_ns = hs_now_ns();
	source->round_bytes = hs_stream_source_bytes(source);
	source->round_pages = hs_stream_source_pages(source);
	for (uint32_t i = 0; i < source->sender_count; i++)
		if (source->senders[i].has_bulk)
			hs_stream_sender_ask_round(&source->senders[i], (uint32_t)source->round_count + 1);
}

static struct hs_stream_round *add_round(struct hs_stream_source *source)
{
	if (source->round_count == source->round_room) {
		size_t room = source->round_room ? 2 * source->round_room : 32;
		struct hs_stream_round *grown = realloc(source->rounds, room * sizeof(*grown));

		if (!grown)
			return NULL;
		source->rounds = grown;
		source->round_room = room;
	}
	return &source->rounds[source->round_count++];
}

static void end_round(struct hs_stream_source *source)
{
	struct hs_stream_round *round = add_round(source);
	struct hs_stream_model model;

	if (!round) {
		source->err = -ENOMEM;
		source->is_over = true;
		return;
	}
	if (source->state == HS_STREAM_IN_ROUND)
		write_memory(source);
	*round = (struct hs_stream_round){ .pages = hs_stream_source_pages(source) - source->round_pages,
					   .bytes = hs_stream_source_bytes(source) - source->round_bytes,
					   .duration_ns = hs_now_ns() - source->round_start_ns,
					   .dirty_pages = hs_stream_guest_dirty_pages(source->guest),
					   .is_stop_and_copy = source->state == HS_STREAM_STOP_AND_COPY };
	if (round->is_stop_and_copy) {
		source->state = HS_STREAM_MIGRATED;
		source->is_over = true;
	} else {
		model = model_of(source, (double)round->bytes * 1e9 / (double)round->duration_ns);
		round->forecast = hs_stream_forecast(&model, round->dirty_pages);
		source->has_converged = !round->forecast.rounds;
		if (source->has_converged || source->round_count >= source->config->max_rounds) {
			source->state = HS_STREAM_STOP_AND_COPY;
			hs_loop_close(source->loop, &source->write_tick);
		}
		hs_stream_guest_next_round(source->guest);
		begin_round(source);
	}
	hs_stream_source_print_round(source, round);
}

static bool is_round_flushed(const struct hs_stream_source *source)
{
	for (uint32_t i = 0; i < source->sender_count; i++)
		if (source->senders[i].has_bulk &&
		    atomic_load(&source->senders[i].flushed_round) != source->round_count + 1)
			return false;
	return true;
}

static void on_write_tick(void *ctx, uint32_t events)
{
	(void)events;
	write_memory(ctx);
}

static int begin_rounds(struct hs_stream_source *source)
{
	uint32_t page_bytes = hs_stream_source_page_bytes(source);
	struct hs_stream_model model = model_of(source, 1);
	int err = hs_stream_guest_open(source->config->vm_bytes / page_bytes, (uint64_t)model.working_pages,
				       source->plan.hello.session, &source->guest);

	if (!err)
		err = hs_loop_timer(source->loop, &source->write_tick, WRITE_TICK_NS, on_write_tick, source);
	if (err)
		return err;
	source->plan.guest = source->guest;
	source->state = HS_STREAM_IN_ROUND;
	source->last_write_ns = hs_now_ns();
	begin_round(source);
	return 0;
}

/* ---- what happens ---- */

static bool knows_peer(struct hs_stream_source *source)
{
	bool is_late = hs_now_ns() > source->start_ns + PEER_TIMEOUT_NS;

	for (uint32_t i = 0; i < source->sender_count; i++) {
		int unknown = HS_STREAM_PEER_UNKNOWN;

		if (is_late)
			atomic_compare_exchange_strong(&source->senders[i].peer, &unknown, HS_STREAM_PEER_MIG_MON);
		if (atomic_load(&source->senders[i].peer) == HS_STREAM_PEER_UNKNOWN)
			return false;
	}
	return true;
}

static void look(struct hs_stream_source *source)
{
	for (uint32_t i = 0; i < source->started_count; i++)
		if (atomic_load(&source->senders[i].is_over)) {
			source->err = source->senders[i].err;
			source->is_over = true;
			return;
		}
	if (source->state == HS_STREAM_WAITING && knows_peer(source)) {
		source->err = begin_rounds(source);
		source->is_over = source->err;
	} else if ((source->state == HS_STREAM_IN_ROUND || source->state == HS_STREAM_STOP_AND_COPY) &&
		   is_round_flushed(source)) {
		end_round(source);
	}
}

static void on_event(void *ctx, uint32_t events)
{
	struct hs_stream_source *source = ctx;
	uint64_t count;

	(void)events;
	if (read(source->event.fd, &count, sizeof(count)) == sizeof(count))
		look(source);
}

static void end_interval(struct hs_stream_source *source)
{
	uint64_t now_ns = hs_now_ns(), bytes = hs_stream_source_bytes(source);
	struct hs_stream_interval interval = { now_ns - source->interval_start_ns, bytes - source->interval_bytes };

	source->interval_start_ns = now_ns;
	source->interval_bytes = bytes;
	if (source->config->has_precopy)
		hs_progress_note(&source->progress, "Speed: %" PRIu64 " (MB/s)",
				 (uint64_t)((double)interval.bytes * 1e9 / (1 << 20) / (double)interval.duration_ns + 0.5));
	if (source->interval_count == source->interval_room) {
		size_t room = source->interval_room ? 2 * source->interval_room : 64;
		struct hs_stream_interval *grown = realloc(source->intervals, room * sizeof(*grown));

		if (!grown)
			return; /* the total is right without */
		source->intervals = grown;
		source->interval_room = room;
	}
	source->intervals[source->interval_count++] = interval;
}

static void on_tick(void *ctx, uint32_t events)
{
	struct hs_stream_source *source = ctx;

	(void)events;
	end_interval(source);
	look(source); /* a destination that does not answer ends a wait, too */
}

static void on_interrupt(void *ctx)
{
	struct hs_stream_source *source = ctx;

	source->was_interrupted = source->is_over = true;
}

static bool is_over(void *ctx)
{
	const struct hs_stream_source *source = ctx;

	return source->is_over;
}

/* ---- the beginning ---- */

static int make_contents(struct hs_stream_source *source)
{
	struct hs_page_format format;
	uint32_t page_bytes = source->config->page_bytes;

	if (hs_page_format_parse(source->config->fill, page_bytes, source->plan.hello.session, &format))
		return hs_fail(HS_EXIT_USAGE, "vm: --fill '%s' is none of zero, random, compressible=P%%",
			       source->config->fill);
	source->contents = malloc(HS_STREAM_PAGE_BYTES_MAX);
	if (!source->contents)
		return -ENOMEM;
	for (uint32_t at = 0; at < HS_STREAM_PAGE_BYTES_MAX; at += page_bytes)
		hs_page_make(&format, source->contents + at, at / page_bytes, 0);
	source->plan.contents = source->contents;
	return 0;
}

static int make_plan(struct hs_stream_source *source)
{
	const struct hs_stream_config *config = source->config;
	struct hs_stream_plan *plan = &source->plan;
	uint64_t frame_bytes = HS_STREAM_HEADER_BYTES + (uint64_t)config->page_bytes;

	source->sender_count = config->has_precopy ? config->streams : 0;
	if (config->has_postcopy && (!config->has_precopy || config->has_request_stream))
		source->sender_count++;
	*plan = (struct hs_stream_plan){
		.hello = { .offer = { HS_STREAM_VERSION, config->page_bytes, config->page_size_fixed,
				      config->vm_bytes },
			   .streams = source->sender_count },
		.is_legacy = config->is_legacy,
		.has_rounds = config->has_precopy && config->dirty_bytes_per_s,
		.bulk_streams = config->streams,
		.bytes_per_s = config->bytes_per_s / config->streams,
		.burst_bytes = config->burst_bytes,
		.event_fd = -1,
	};
	if (!plan->burst_bytes)
		plan->burst_bytes = plan->bytes_per_s / BURSTS_PER_S;
	if (plan->burst_bytes < frame_bytes)
		plan->burst_bytes = frame_bytes;
	if (getrandom(&plan->hello.session, sizeof(plan->hello.session), 0) < 0)
		plan->hello.session = hs_now_ns();
	source->state = plan->has_rounds ? HS_STREAM_WAITING : HS_STREAM_STREAMING;
	return make_contents(source);
}

static int open_loop(struct hs_stream_source *source)
{
	scoped(fd) int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int err;

	if (event_fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	err = hs_loop_open(&source->loop);
	if (!err)
		err = hs_interrupt_open(source->loop, on_interrupt, source);
	if (!err)
		err = hs_loop_add(source->loop, &source->event, event_fd, EPOLLIN, on_event, source);
	if (!err)
		source->plan.event_fd = take_fd(&event_fd);
	return err;
}

/* The last one of several, or the only one, answers requests; mig_mon knows no more than one. */
static int start_senders(struct hs_stream_source *source, const struct hs_address *address)
{
	const struct hs_stream_config *config = source->config;
	bool has_own = config->has_postcopy && (!config->has_precopy || config->has_request_stream);
	uint32_t requests = has_own ? source->sender_count - 1 : 0;

	source->senders = calloc(source->sender_count, sizeof(*source->senders));
	if (!source->senders)
		return -ENOMEM;
	for (uint32_t i = 0; i < source->sender_count; i++) {
		struct hs_stream_sender *sender = &source->senders[i];
		int fd = -1, err;

		sender->fd = sender->wake_fd = -1;
		sender->has_requests = config->has_postcopy && i == requests;
		sender->has_bulk = config->has_precopy && !(has_own && i == requests);
		sender->bulk_part = i;
		err = hs_stream_connect(address, CONNECT_TIMEOUT_NS, &fd);
		if (err)
			return err;
		source->started_count++;
		err = hs_stream_sender_start(sender, &source->plan, fd, i);
		if (err)
			return err;
	}
	return 0;
}

static int start(struct hs_stream_source *source)
{
	struct hs_address address;
	char text[HS_ADDRESS_TEXT_MAX];
	int err = hs_address_resolve(source->config->host, source->config->port, SOCK_STREAM, &address);

	if (!err)
		err = make_plan(source);
	if (!err)
		err = open_loop(source);
	hs_progress_note(&source->progress, "Start emulation of src VM.");
	if (!err) {
		source->start_ns = source->interval_start_ns = hs_now_ns();
		err = start_senders(source, &address);
	}
	if (!err)
		err = hs_loop_timer(source->loop, &source->tick, PROGRESS_NS, on_tick, source);
	if (err)
		return err;
	hs_progress_note(&source->progress, "Connected to dst VM %s.", hs_address_format(text, sizeof(text), &address));
	if (source->config->has_precopy)
		hs_progress_note(&source->progress, "Starting PRECOPY streaming test...");
	return 0;
}

static void end(struct hs_stream_source *source)
{
	for (uint32_t i = 0; i < source->started_count; i++)
		hs_stream_sender_stop(&source->senders[i]);
	for (uint32_t i = 0; i < source->started_count; i++)
		hs_stream_sender_join(&source->senders[i]);
	source->end_ns = hs_now_ns();
	hs_progress_note(&source->progress, "Dropped connection to dst VM %s.", source->config->host);
}

int hs_stream_run_source(const struct hs_stream_config *config)
{
	__attribute__((cleanup(source_scoped))) struct hs_stream_source source = { .config = config };
	int err, report_err;

	source.tick = source.event = source.write_tick = HS_WATCH_NONE;
	hs_progress_start(&source.progress, config->json);
	err = start(&source);
	if (err)
		return err;
	err = hs_loop_until(source.loop, is_over, &source,
			    config->duration_ns ? source.start_ns + config->duration_ns : 0);
	if (err && err != -ETIMEDOUT)
		return err;
	end(&source);
	if (source.err)
		hs_stream_source_say_error(&source);
	report_err = hs_stream_source_report(&source);
	return source.err ? source.err : report_err;
}
