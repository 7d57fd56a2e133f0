// SPDX-License-Identifier: GPL-2.0-only
/*
 * The thread reads large pieces and walks over their messages. The next request leaves from the same thread that read
 * the answer before, so that no wake-up lies between. A source of mig_mon's answers with a page like any other: the one
 * that its stream has come to is taken for the stream's, any other for the answer.
 */
#include "migtools/stream_receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/scoped.h"
#include "migtools/random.h"
#include "migtools/stream_socket.h"

#define READ_BYTES (64u << 10) /* stays in a cache: 4500 MiB/s where 1 MiB gives 2400 */
#define DRAIN_S 2

static const char *const outcome_names[HS_STREAM_OUTCOME_NR] = {
	[HS_STREAM_RUNNING] = "running", [HS_STREAM_CLOSED] = "closed",	  [HS_STREAM_LOST] = "lost",
	[HS_STREAM_REFUSED] = "refused", [HS_STREAM_INVALID] = "invalid", [HS_STREAM_INTERRUPTED] = "interrupted",
};

const char *hs_stream_outcome_name(enum hs_stream_outcome outcome)
{
	return outcome_names[outcome];
}

/* The thread's own. */
struct work {
	struct hs_stream_receiver *receiver;
	struct hs_stream_parser parser;
	uint8_t *buffer; /* owned, READ_BYTES */
	uint64_t random;
	uint64_t pages; /* requests lie below */
	bool is_requesting;
	uint64_t requested_page, requested_ns; /* BOOTTIME; 0: no request under way */
	uint64_t stream_page;		       /* the next of mig_mon's stream */
	uint64_t arrival_ns, read_ns;	       /* REALTIME; of the piece that is walked over; arrival 0: not known */
};

static int send_bytes(const struct work *work, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t sent = send(work->receiver->fd, bytes, len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		bytes += sent;
		len -= (size_t)sent;
	}
	return 0;
}

static int send_header(const struct work *work, enum hs_stream_magic magic, uint64_t number)
{
	uint8_t bytes[HS_STREAM_HEADER_BYTES];

	hs_stream_put_header(bytes, magic, number);
	return send_bytes(work, bytes, sizeof(bytes));
}

/*
 * Any page; of a mig_mon source none that its stream is about to send, which could not be told from the answer. A
 * stream that has not begun is about to send page 0.
 */
static uint64_t choose_page(struct work *work)
{
	uint64_t page = hs_random_below(&work->random, work->pages);

	if (!work->parser.is_ours && page == work->stream_page)
		page = (page + work->pages / 2) % work->pages;
	return page;
}

static int request_page(struct work *work)
{
	struct hs_stream_receiver *receiver = work->receiver;

	work->requested_page = choose_page(work);
	work->requested_ns = hs_now_ns();
	atomic_store_explicit(&receiver->requested_ns, work->requested_ns, memory_order_relaxed);
	return send_header(work, HS_STREAM_REQUEST, work->requested_page);
}

static int on_answer(struct work *work, const struct hs_stream_message *message)
{
	struct hs_stream_receiver *receiver = work->receiver;
	uint64_t total_ns = hs_now_ns() - work->requested_ns, receive_ns = UINT64_MAX;
	int err = 0;

	if (work->arrival_ns && work->read_ns >= work->arrival_ns)
		receive_ns = work->read_ns - work->arrival_ns;
	pthread_mutex_lock(&receiver->lock);
	if (message->magic == HS_STREAM_ANSWER)
		err = hs_stream_latency_split(&receiver->latency, &message->times);
	if (!err)
		err = hs_stream_latency_add(&receiver->latency, total_ns, receive_ns);
	pthread_mutex_unlock(&receiver->lock);
	return err ? err : request_page(work);
}

static int on_page(struct work *work, const struct hs_stream_message *message)
{
	bool is_awaited = work->requested_ns && message->number == work->requested_page;

	atomic_fetch_add_explicit(&work->receiver->pages, 1, memory_order_relaxed);
	if (message->magic == HS_STREAM_ANSWER)
		return is_awaited ? on_answer(work, message) : -EPROTO;
	if (work->parser.is_ours)
		return 0;
	if (message->number == work->stream_page && work->pages > 1) {
		work->stream_page = (message->number + 1) % work->pages;
		return 0;
	}
	if (is_awaited)
		return on_answer(work, message);
	/* One of ours before it has agreed, or a source with memory of another size, may go anywhere. */
	work->stream_page = (message->number + 1) % work->pages;
	return 0;
}

static int on_hello(struct work *work, const struct hs_stream_hello *hello)
{
	struct hs_stream_receiver *receiver = work->receiver;
	uint8_t bytes[HS_STREAM_HEADER_BYTES + HS_STREAM_ACCEPT_BYTES];

	receiver->is_ours = true;
	receiver->hello = *hello;
	receiver->accept = hs_stream_negotiate(&hello->offer, &receiver->offer);
	hs_stream_put_accept(bytes, &receiver->accept);
	if (send_bytes(work, bytes, sizeof(bytes)))
		return -ECONNRESET;
	if (receiver->accept.refusal)
		return -ECONNREFUSED;
	work->parser.is_ours = true;
	work->parser.page_bytes = hello->offer.page_bytes; /* until AGREED */
	work->pages = hello->offer.vm_bytes / receiver->accept.page_bytes;
	atomic_fetch_add_explicit(&receiver->pages, 1, memory_order_relaxed);
	return 0;
}

static int on_handshake(struct work *work)
{
	if (work->is_requesting)
		return 0;
	work->is_requesting = true;
	hs_stream_stamp(work->receiver->fd);
	atomic_store(&work->receiver->has_requests, true);
	return request_page(work);
}

static int on_message(struct work *work, const struct hs_stream_message *message)
{
	if (message->is_hello)
		return on_hello(work, &message->hello);
	switch (message->magic) {
	case HS_STREAM_HANDSHAKE:
		return on_handshake(work);
	case HS_STREAM_FLUSH:
		return send_header(work, HS_STREAM_FLUSHED, message->number);
	case HS_STREAM_AGREED:
		return message->number == work->receiver->accept.page_bytes ? 0 : -EPROTO;
	default:
		return on_page(work, message);
	}
}

static void say_invalid(const struct work *work, int err, const struct hs_stream_message *message)
{
	const struct hs_stream_receiver *receiver = work->receiver;

	if (err == -ERANGE)
		hs_err("%s sends page %" PRIu64 ", but %" PRIu64 " pages of %u bytes are emulated here: give both ends "
		       "the same -S",
		       receiver->peer, message->number, work->parser.vm_bytes / work->parser.page_bytes,
		       work->parser.page_bytes);
	else if (!message->magic && !work->parser.is_ours)
		hs_err("%s sends zeros where a header is due: its pages are of another size than %u bytes; --page-size "
		       "sets it here",
		       receiver->peer, work->parser.page_bytes);
	else
		hs_err("%s sends what no source of mig_mon's or ours does (0x%" PRIx64 ", 0x%" PRIx64 ")",
		       receiver->peer, message->magic, message->number);
}

static int walk(struct work *work, size_t len)
{
	const uint8_t *at = work->buffer, *limit = at + len;
	struct hs_stream_message message;
	int err;

	while ((err = hs_stream_parser_next(&work->parser, &at, limit, &message)) > 0) {
		err = on_message(work, &message);
		if (err)
			break;
	}
	if (err == -EPROTO || err == -ERANGE)
		say_invalid(work, err, &message);
	return err;
}

static enum hs_stream_outcome outcome_of(const struct work *work, int err)
{
	if (atomic_load(&work->receiver->is_stopping))
		return HS_STREAM_INTERRUPTED;
	if (err == -ECONNREFUSED)
		return HS_STREAM_REFUSED;
	if (err == -EPROTO || err == -ERANGE)
		return HS_STREAM_INVALID;
	return err || hs_stream_parser_is_inside(&work->parser) ? HS_STREAM_LOST : HS_STREAM_CLOSED;
}

static enum hs_stream_outcome receive_all(struct work *work)
{
	struct hs_stream_receiver *receiver = work->receiver;
	ssize_t got;
	int err = 0;

	while (!err) {
		got = hs_stream_receive(receiver->fd, work->buffer, READ_BYTES, 0, &work->arrival_ns);
		if (got <= 0) {
			err = (int)got;
			break;
		}
		if (work->arrival_ns)
			work->read_ns = hs_stream_realtime_ns();
		atomic_fetch_add_explicit(&receiver->bytes, (uint64_t)got, memory_order_relaxed);
		err = walk(work, (size_t)got);
	}
	return outcome_of(work, err);
}

/*
 * Why it is refused reaches the source only if nothing it sends meets a closed socket: for a while, the rest is read
 * away.
 */
static void drain(struct work *work)
{
	const struct timeval grace = { .tv_sec = DRAIN_S };
	uint64_t deadline_ns = hs_now_ns() + DRAIN_S * 1000000000ull, arrival_ns;
	int fd = work->receiver->fd;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &grace, sizeof(grace));
	shutdown(fd, SHUT_WR);
	while (hs_stream_receive(fd, work->buffer, READ_BYTES, 0, &arrival_ns) > 0 && hs_now_ns() < deadline_ns)
		;
}

static void *receiver_main(void *ctx)
{
	struct hs_stream_receiver *receiver = ctx;
	const uint64_t one = 1;
	struct work work = { .receiver = receiver, .pages = receiver->offer.vm_bytes / receiver->offer.page_bytes };
	scoped(mem) void *buffer = malloc(READ_BYTES);

	work.buffer = buffer;
	if (getrandom(&work.random, sizeof(work.random), 0) < 0)
		work.random = hs_now_ns();
	hs_stream_parser_begin(&work.parser, HS_STREAM_DESTINATION, receiver->offer.page_bytes,
			       receiver->offer.vm_bytes);
	hs_stream_tune(receiver->fd, 0);
	receiver->outcome = buffer ? receive_all(&work) : HS_STREAM_LOST;
	if (receiver->outcome == HS_STREAM_REFUSED)
		drain(&work);
	receiver->end_ns = hs_now_ns();
	shutdown(receiver->fd, SHUT_RDWR);
	atomic_store(&receiver->is_over, true);
	if (write(receiver->event_fd, &one, sizeof(one)) < 0)
		return NULL; /* it is full: the owner is told already */
	return NULL;
}

int hs_stream_receiver_start(struct hs_stream_receiver *receiver, int fd)
{
	int err;

	receiver->fd = fd;
	receiver->start_ns = hs_now_ns();
	pthread_mutex_init(&receiver->lock, NULL);
	err = pthread_create(&receiver->thread, NULL, receiver_main, receiver);
	if (!err)
		return 0;
	close(fd);
	return hs_fail(-err, "cannot start a thread:");
}

void hs_stream_receiver_stop(struct hs_stream_receiver *receiver)
{
	atomic_store(&receiver->is_stopping, true);
	shutdown(receiver->fd, SHUT_RDWR);
}

void hs_stream_receiver_join(struct hs_stream_receiver *receiver)
{
	pthread_join(receiver->thread, NULL);
	close(receiver->fd);
}

void hs_stream_receiver_free(struct hs_stream_receiver *receiver)
{
	if (!receiver)
		return;
	hs_stream_latency_clear(&receiver->latency);
	pthread_mutex_destroy(&receiver->lock);
	free(receiver);
}
