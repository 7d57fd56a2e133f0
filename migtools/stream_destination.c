// SPDX-License-Identifier: GPL-2.0-only
/*
 * The emulated destination: takes connections, tells once a second how requests fare, and collects what has ended.
 * Connections know nothing of each other; a source with several streams is several of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "migtools/stream_destination.h"
#include "migtools/stream_socket.h"

#define PROGRESS_NS 1000000000ull

static void free_list(struct hs_stream_receiver *receiver)
{
	while (receiver) {
		struct hs_stream_receiver *next = receiver->next;

		hs_stream_receiver_free(receiver);
		receiver = next;
	}
}

static void destination_scoped(struct hs_stream_destination *destination)
{
	for (struct hs_stream_receiver *receiver = destination->running; receiver; receiver = receiver->next)
		hs_stream_receiver_stop(receiver);
	for (struct hs_stream_receiver *receiver = destination->running; receiver; receiver = receiver->next)
		hs_stream_receiver_join(receiver);
	free_list(destination->running);
	free_list(destination->ended);
	if (destination->loop) {
		hs_loop_close(destination->loop, &destination->listener);
		hs_loop_close(destination->loop, &destination->event);
		hs_loop_close(destination->loop, &destination->tick);
		hs_interrupt_close(destination->loop);
	}
	hs_loop_free(destination->loop);
}

/* ---- connections ---- */

/* Words for what is seen for the first time. */
static void say_news(struct hs_stream_destination *destination, struct hs_stream_receiver *receiver)
{
	if (!receiver->has_told_requests && atomic_load(&receiver->has_requests)) {
		hs_progress_note(&destination->progress, "Starting POSTCOPY request-response test...");
		receiver->has_told_requests = true;
	}
}

static void say_refusal(const struct hs_stream_receiver *receiver)
{
	const struct hs_stream_offer *source = &receiver->hello.offer, *own = &receiver->offer;
	char theirs[32], ours[32];

	if (receiver->accept.refusal == HS_STREAM_TOO_LARGE)
		hs_err("refused %s: it emulates %s, and only %s are emulated here; give both ends the same -S",
		       receiver->peer, hs_format_bytes(theirs, sizeof(theirs), source->vm_bytes),
		       hs_format_bytes(ours, sizeof(ours), own->vm_bytes));
	else if (receiver->accept.refusal == HS_STREAM_BAD_PAGE_SIZE)
		hs_err("refused %s: it insists on pages of %u bytes, and this end on %u", receiver->peer,
		       source->page_bytes, own->page_bytes);
	else
		hs_err("refused %s: it speaks version %u, this end %u", receiver->peer, source->version, own->version);
}

static void end_connection(struct hs_stream_destination *destination, struct hs_stream_receiver *receiver)
{
	hs_stream_receiver_join(receiver);
	say_news(destination, receiver);
	if (receiver->outcome == HS_STREAM_REFUSED)
		say_refusal(receiver);
	else if (receiver->outcome == HS_STREAM_CLOSED || receiver->outcome == HS_STREAM_LOST)
		hs_progress_note(&destination->progress, "Connection reset");
	hs_progress_note(&destination->progress, "Dropped connection from src VM %s.", receiver->peer);
	receiver->next = NULL;
	if (!destination->config->json) {
		hs_stream_receiver_print(receiver);
		hs_stream_receiver_free(receiver); /* a long-lived destination does not grow */
		return;
	}
	*destination->ended_tail = receiver;
	destination->ended_tail = &receiver->next;
}

static void collect(struct hs_stream_destination *destination)
{
	struct hs_stream_receiver **link = &destination->running;

	while (*link) {
		struct hs_stream_receiver *receiver = *link;

		if (!atomic_load(&receiver->is_over)) {
			link = &receiver->next;
			continue;
		}
		*link = receiver->next;
		end_connection(destination, receiver);
	}
	if (destination->config->is_once && !destination->running && destination->accepted)
		destination->is_over = true;
}

static void on_event(void *ctx, uint32_t events)
{
	struct hs_stream_destination *destination = ctx;
	uint64_t count;

	(void)events;
	if (read(destination->event.fd, &count, sizeof(count)) == sizeof(count))
		collect(destination);
}

static int take_connection(struct hs_stream_destination *destination, int fd, const struct hs_address *address)
{
	const struct hs_stream_config *config = destination->config;
	struct hs_stream_receiver *receiver = calloc(1, sizeof(*receiver));
	int err;

	if (!receiver) {
		close(fd);
		return -ENOMEM;
	}
	receiver->offer = (struct hs_stream_offer){ HS_STREAM_VERSION, config->page_bytes, config->page_size_fixed,
						    config->vm_bytes };
	receiver->event_fd = destination->event.fd;
	hs_address_format(receiver->peer, sizeof(receiver->peer), address);
	hs_progress_note(&destination->progress, "Connected from src VM %s.", receiver->peer);
	err = hs_stream_receiver_start(receiver, fd);
	if (err) {
		hs_stream_receiver_free(receiver);
		return err;
	}
	destination->accepted++;
	receiver->next = destination->running;
	destination->running = receiver;
	return 0;
}

static void on_connection(void *ctx, uint32_t events)
{
	struct hs_stream_destination *destination = ctx;
	struct hs_address address = { .len = sizeof(address.sa) };
	int fd = accept4(destination->listener.fd, (struct sockaddr *)&address.sa, &address.len, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		/* The one that came may have gone; without descriptors the next one may find some. */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			hs_warn("cannot take a connection: %s", strerror(errno));
		return;
	}
	take_connection(destination, fd, &address);
}

/* ---- the end of each second ---- */

static void print_latency(struct hs_stream_destination *destination, struct hs_stream_receiver *receiver)
{
	uint64_t count, sum_ns, max_ns, requested_ns = atomic_load(&receiver->requested_ns);

	pthread_mutex_lock(&receiver->lock);
	count = receiver->latency.interval_count;
	sum_ns = receiver->latency.interval_sum_ns;
	max_ns = receiver->latency.interval_max_ns;
	hs_stream_latency_next(&receiver->latency);
	pthread_mutex_unlock(&receiver->lock);
	if (count)
		hs_progress_note(&destination->progress, "Latency: average %" PRIu64 " (us), max: %" PRIu64 " (us)",
				 sum_ns / count / 1000, max_ns / 1000);
	else
		hs_progress_note(&destination->progress, "Latency: no answer for %" PRIu64 " (us)",
				 (hs_now_ns() - requested_ns) / 1000);
}

static void on_tick(void *ctx, uint32_t events)
{
	struct hs_stream_destination *destination = ctx;

	(void)events;
	for (struct hs_stream_receiver *receiver = destination->running; receiver; receiver = receiver->next) {
		say_news(destination, receiver);
		if (receiver->has_told_requests)
			print_latency(destination, receiver);
	}
}

static void on_interrupt(void *ctx)
{
	struct hs_stream_destination *destination = ctx;

	destination->is_over = true;
}

static bool is_over(void *ctx)
{
	const struct hs_stream_destination *destination = ctx;

	return destination->is_over;
}

/* ---- the beginning and the end ---- */

static int open_listener(struct hs_stream_destination *destination)
{
	const struct hs_stream_config *config = destination->config;
	struct hs_address address;
	scoped(fd) int fd = -1;
	int err = config->host ? hs_address_resolve(config->host, config->port, SOCK_STREAM, &address) : 0;

	if (!err)
		err = hs_stream_listen(config->host ? &address : NULL, config->port, &fd);
	if (!err)
		err = hs_loop_add(destination->loop, &destination->listener, fd, EPOLLIN, on_connection, destination);
	if (!err)
		take_fd(&fd);
	return err;
}

static int start(struct hs_stream_destination *destination)
{
	scoped(fd) int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int err;

	if (event_fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	err = hs_loop_open(&destination->loop);
	if (!err)
		err = hs_interrupt_open(destination->loop, on_interrupt, destination);
	if (!err)
		err = hs_loop_add(destination->loop, &destination->event, event_fd, EPOLLIN, on_event, destination);
	if (err)
		return err;
	take_fd(&event_fd);
	err = hs_loop_timer(destination->loop, &destination->tick, PROGRESS_NS, on_tick, destination);
	if (!err)
		err = open_listener(destination);
	if (!err)
		hs_progress_note(&destination->progress, "Start emulation of dst VM.");
	return err;
}

int hs_stream_run_destination(const struct hs_stream_config *config)
{
	__attribute__((cleanup(destination_scoped))) struct hs_stream_destination destination = { .config = config };
	uint64_t start_ns = hs_now_ns();
	int err;

	destination.listener = destination.event = destination.tick = HS_WATCH_NONE;
	destination.ended_tail = &destination.ended;
	hs_progress_start(&destination.progress, config->json);
	err = start(&destination);
	if (err)
		return err;
	err = hs_loop_until(destination.loop, is_over, &destination,
			    config->duration_ns ? start_ns + config->duration_ns : 0);
	if (err && err != -ETIMEDOUT)
		return err;
	for (struct hs_stream_receiver *receiver = destination.running; receiver; receiver = receiver->next)
		hs_stream_receiver_stop(receiver);
	while (destination.running) {
		struct hs_stream_receiver *receiver = destination.running;

		destination.running = receiver->next;
		end_connection(&destination, receiver);
	}
	return config->json ? hs_stream_destination_print_json(&destination, hs_now_ns() - start_ns) : 0;
}
