// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue of frames and a socket that never blocks. Requests are read before each batch; an answer goes to the head of
 * the queue, behind the frame that is under way. Changing to the agreed page size waits until the queue is empty.
 */
#include "migtools/stream_sender.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/loop.h"
#include "migtools/stream_socket.h"

/*
 * Small pieces are the fast ones: what one CPU writes, the other reads while it is in a cache. Measured over veth with
 * 4 KiB pages, MiB/s: 32 KiB 1500, 64 KiB 4500, 128 KiB 2800, 512 KiB 1700.
 */
#define BATCH_FRAMES 128
#define BATCH_BYTES (65u << 10) /* 16 pages of 4 KiB with their headers */
/* The batch, answers to as many requests as one read may bring, and hello, handshake, agreement, flush. */
#define RECEIVE_BYTES 4096
#define QUEUE_FRAMES (BATCH_FRAMES + RECEIVE_BYTES / HS_STREAM_HEADER_BYTES + 8)
_Static_assert(2 * QUEUE_FRAMES <= 1024, "sendmsg() takes that many pieces (UIO_MAXIOV)");
#define UNSENT_BYTES (128u << 10)
#define END_GRACE_NS 1000000000ull
#define FLUSH_POLL_NS 1000000ull
#define SPAN_BYTES (512u << 10) /* contents of this size stay in a CPU's cache */

enum frame_kind { FRAME_PLAIN, FRAME_PAGE, FRAME_ANSWER };

struct frame {
	enum frame_kind kind;
	uint8_t head[HS_STREAM_HEADER_BYTES + HS_STREAM_TIMES_BYTES];
	uint32_t head_bytes, body_bytes;
	const uint8_t *body;
};

struct request {
	uint64_t page, arrival_ns;
};

/* The thread's own. */
struct work {
	struct hs_stream_sender *sender;
	struct hs_stream_parser parser;
	struct hs_stream_pace pace;
	struct frame queue[QUEUE_FRAMES];
	size_t first, count; /* queue[first .. first + count) */
	size_t first_sent;   /* bytes of queue[first] that are out */
	struct request requests[RECEIVE_BYTES / HS_STREAM_HEADER_BYTES + 1];
	size_t request_count;
	uint32_t page_bytes;
	bool is_agreed, must_agree, has_stamps, is_blocked;
	bool owes_pages; /* after an answer a batch is next: a quick destination's requests do not stop the stream */
	uint64_t next_page, last_page; /* the next and the end of its part; of rounds: of this round */
	uint32_t round;		       /* under way */
	bool is_flushing;
	/* Of the newest answer, 0: none or not known. */
	uint64_t answered_request_ns, answer_handed_ns, answer_departure_ns;
	uint64_t handing_ns; /* when the call that hands over the end of an answer began: what is sent may be answered
				before it returns */
	uint8_t hello_page[HS_STREAM_PAGE_BYTES_MAX];
};

static void tell_session(const struct work *work)
{
	const uint64_t one = 1;

	if (write(work->sender->plan->event_fd, &one, sizeof(one)) < 0)
		return; /* it is full: the session is told already */
}

/* ---- the queue ---- */

static struct frame *append(struct work *work)
{
	if (work->first + work->count == QUEUE_FRAMES) {
		memmove(work->queue, work->queue + work->first, work->count * sizeof(*work->queue));
		work->first = 0;
	}
	return &work->queue[work->first + work->count++];
}

/* Ahead of all but the frame that is partly out, and what tells how to read an answer. */
static struct frame *insert(struct work *work)
{
	size_t at, behind;

	append(work);
	at = work->first + (work->first_sent > 0);
	while (at < work->first + work->count - 1 && work->queue[at].kind == FRAME_PLAIN)
		at++;
	behind = work->first + work->count - 1 - at;
	memmove(&work->queue[at + 1], &work->queue[at], behind * sizeof(*work->queue));
	return &work->queue[at];
}

static void set_head(struct frame *frame, enum frame_kind kind, enum hs_stream_magic magic, uint64_t number)
{
	frame->kind = kind;
	frame->head_bytes = HS_STREAM_HEADER_BYTES;
	frame->body_bytes = 0;
	hs_stream_put_header(frame->head, magic, number);
}

static void set_page(const struct work *work, struct frame *frame, uint64_t page)
{
	uint64_t variants = work->page_bytes > SPAN_BYTES ? 1 : SPAN_BYTES / work->page_bytes;

	frame->body = work->sender->plan->contents + page % variants * work->page_bytes;
	frame->body_bytes = work->page_bytes;
}

static void queue_hello(struct work *work)
{
	const struct hs_stream_plan *plan = work->sender->plan;
	struct hs_stream_hello hello = plan->hello;
	struct frame *frame = append(work);

	hello.stream = work->sender->stream;
	memcpy(work->hello_page, plan->contents, work->page_bytes);
	hs_stream_put_hello(work->hello_page, &hello);
	set_head(frame, FRAME_PAGE, HS_STREAM_PAGE, 0);
	frame->body = work->hello_page;
	frame->body_bytes = work->page_bytes;
}

/* ---- what comes in ---- */

static int on_accept(struct work *work, const struct hs_stream_accept *accept)
{
	struct hs_stream_sender *sender = work->sender;

	if (sender->plan->is_legacy || sender->was_accepted)
		return hs_fail(-EPROTO, "the destination answers what was not asked");
	sender->accept = *accept;
	if (accept->refusal)
		return -ECONNREFUSED;
	sender->was_accepted = true;
	work->must_agree = true;
	return 0;
}

static int on_message(struct work *work, const struct hs_stream_message *message, uint64_t arrival_ns)
{
	switch (message->magic) {
	case HS_STREAM_REQUEST:
		work->requests[work->request_count++] = (struct request){ message->number, arrival_ns };
		return 0;
	case HS_STREAM_ACCEPT:
		return on_accept(work, &message->accept);
	default: /* FLUSHED, the parser lets nothing else through */
		if (!work->is_flushing || message->number != work->round)
			return hs_fail(-EPROTO, "the destination tells the arrival of what was not sent");
		work->is_flushing = false;
		atomic_store(&work->sender->flushed_round, work->round);
		tell_session(work);
		return 0;
	}
}

/* Reads what is there. -EAGAIN: nothing; -ECONNRESET: the peer has gone. */
static int receive(struct work *work)
{
	uint8_t bytes[RECEIVE_BYTES];
	const uint8_t *at = bytes;
	struct hs_stream_message message;
	uint64_t arrival_ns;
	ssize_t got = hs_stream_receive(work->sender->fd, bytes, sizeof(bytes), MSG_DONTWAIT, &arrival_ns);
	int err;

	if (got <= 0)
		return got == -EAGAIN ? -EAGAIN : -ECONNRESET;
	if (!arrival_ns)
		arrival_ns = hs_stream_realtime_ns();
	while ((err = hs_stream_parser_next(&work->parser, &at, bytes + got, &message)) > 0) {
		err = on_message(work, &message, arrival_ns);
		if (err)
			return err;
	}
	if (err)
		return hs_fail(err, "the destination sent 0x%llx, which is no request of mig_mon's or ours",
			       (unsigned long long)message.magic);
	return 0;
}

/* ---- what goes out ---- */

/* A stamp that is not read makes every wait end at once. */
static void read_departure(struct work *work)
{
	uint64_t departure_ns = work->has_stamps ? hs_stream_departure(work->sender->fd) : 0;

	if (departure_ns)
		work->answer_departure_ns = departure_ns;
}

/* How long the newest answer had waited, in two parts. */
static struct hs_stream_times take_times(struct work *work)
{
	struct hs_stream_times times = { UINT64_MAX, UINT64_MAX };

	read_departure(work);
	if (work->answer_handed_ns && work->answer_handed_ns >= work->answered_request_ns)
		times.program_ns = work->answer_handed_ns - work->answered_request_ns;
	if (work->answer_departure_ns >= work->answer_handed_ns)
		times.socket_ns = work->answer_departure_ns - work->answer_handed_ns;
	work->answer_handed_ns = work->answer_departure_ns = 0;
	return times;
}

static void queue_answer(struct work *work, const struct request *request)
{
	struct frame *frame = insert(work);
	struct hs_stream_times times;

	set_head(frame, FRAME_ANSWER, work->is_agreed ? HS_STREAM_ANSWER : HS_STREAM_PAGE, request->page);
	set_page(work, frame, request->page);
	if (work->is_agreed) {
		times = take_times(work);
		hs_stream_put_times(frame->head + HS_STREAM_HEADER_BYTES, &times);
		frame->head_bytes += HS_STREAM_TIMES_BYTES;
	}
	work->answered_request_ns = request->arrival_ns;
}

static void queue_answers(struct work *work)
{
	for (size_t i = 0; i < work->request_count; i++)
		queue_answer(work, &work->requests[i]);
	work->request_count = 0;
}

static void begin_part(struct work *work)
{
	const struct hs_stream_plan *plan = work->sender->plan;
	uint64_t pages = plan->hello.offer.vm_bytes / work->page_bytes;

	work->next_page = hs_stream_part(pages, work->sender->bulk_part, plan->bulk_streams);
	work->last_page = hs_stream_part(pages, work->sender->bulk_part + 1, plan->bulk_streams);
}

/* All that was in mig_mon's form is out. */
static void agree(struct work *work)
{
	struct hs_stream_sender *sender = work->sender;
	int unknown = HS_STREAM_PEER_UNKNOWN;

	work->must_agree = false;
	if (!atomic_compare_exchange_strong(&sender->peer, &unknown, HS_STREAM_PEER_OURS))
		return; /* the session has given up waiting */
	work->page_bytes = sender->accept.page_bytes;
	set_head(append(work), FRAME_PLAIN, HS_STREAM_AGREED, work->page_bytes);
	work->parser.is_ours = true;
	work->is_agreed = true;
	if (!sender->plan->has_rounds)
		begin_part(work);
	tell_session(work);
}

static bool take_page(struct work *work, uint64_t *page)
{
	const struct hs_stream_plan *plan = work->sender->plan;

	if (plan->has_rounds)
		return hs_stream_guest_take(plan->guest, &work->next_page, work->last_page, page);
	if (work->next_page >= work->last_page)
		begin_part(work);
	if (work->next_page >= work->last_page)
		return false;
	*page = work->next_page++;
	return true;
}

/* A round that is asked for begins when the one before is flushed: the session sees to that. */
static void look_for_round(struct work *work)
{
	uint32_t asked = (uint32_t)atomic_load(&work->sender->round);

	if (!work->sender->plan->has_rounds || asked == work->round)
		return;
	work->round = asked;
	work->is_flushing = false;
	begin_part(work);
}

static bool has_round_to_flush(const struct work *work)
{
	return work->sender->plan->has_rounds && atomic_load(&work->sender->flushed_round) != work->round;
}

/* The part is sent: its arrival is asked for, of ours by a message, else what its kernel says is taken for it. */
static void flush(struct work *work)
{
	if (!has_round_to_flush(work))
		return;
	if (work->is_agreed) {
		if (!work->is_flushing)
			set_head(append(work), FRAME_PLAIN, HS_STREAM_FLUSH, work->round);
		work->is_flushing = true;
	} else if (!work->count && !hs_stream_unacknowledged(work->sender->fd)) {
		atomic_store(&work->sender->flushed_round, work->round);
		tell_session(work);
	}
}

static void refill(struct work *work)
{
	const uint64_t frame_bytes = HS_STREAM_HEADER_BYTES + (uint64_t)work->page_bytes;
	uint64_t wanted = BATCH_BYTES / frame_bytes, granted, page;

	if (work->sender->plan->has_rounds && !work->round)
		return; /* the session may still be making the guest */
	if (wanted > BATCH_FRAMES)
		wanted = BATCH_FRAMES;
	granted = hs_stream_pace_take(&work->pace, hs_now_ns(), frame_bytes, wanted ? wanted : 1);
	for (; granted && take_page(work, &page); granted--) {
		struct frame *frame = append(work);

		set_head(frame, FRAME_PAGE, HS_STREAM_PAGE, page);
		set_page(work, frame, page);
	}
	/* What was granted and not used is given back, but that would make no burst larger. */
	work->pace.tokens += (double)(granted * frame_bytes);
	if (work->next_page >= work->last_page)
		flush(work);
}

/* The queue as pieces; ends behind an answer, whose departure is stamped. */
static size_t gather(struct work *work, struct iovec *pieces, bool *has_answer)
{
	size_t skip = work->first_sent, count = 0;

	*has_answer = false;
	for (size_t i = 0; i < work->count && !*has_answer; i++) {
		struct frame *frame = &work->queue[work->first + i];

		if (skip < frame->head_bytes)
			pieces[count++] = (struct iovec){ frame->head + skip, frame->head_bytes - skip };
		skip = skip > frame->head_bytes ? skip - frame->head_bytes : 0;
		if (frame->body_bytes)
			pieces[count++] = (struct iovec){ (void *)(frame->body + skip), frame->body_bytes - skip };
		skip = 0;
		*has_answer = frame->kind == FRAME_ANSWER;
	}
	return count;
}

static void count_frame(struct work *work, const struct frame *frame)
{
	if (frame->kind == FRAME_PAGE)
		atomic_fetch_add_explicit(&work->sender->pages, 1, memory_order_relaxed);
	if (frame->kind != FRAME_ANSWER)
		return;
	atomic_fetch_add_explicit(&work->sender->answers, 1, memory_order_relaxed);
	work->answer_handed_ns = work->handing_ns;
	work->owes_pages = work->sender->has_bulk;
}

static void advance(struct work *work, size_t sent)
{
	atomic_fetch_add_explicit(&work->sender->bytes, sent, memory_order_relaxed);
	work->first_sent += sent;
	while (work->count) {
		const struct frame *frame = &work->queue[work->first];
		size_t frame_bytes = frame->head_bytes + (size_t)frame->body_bytes;

		if (work->first_sent < frame_bytes)
			return;
		count_frame(work, frame);
		work->first_sent -= frame_bytes;
		work->first++;
		work->count--;
	}
	work->first = 0;
}

static int push(struct work *work)
{
	struct iovec pieces[2 * QUEUE_FRAMES];
	bool has_answer;
	size_t count = gather(work, pieces, &has_answer);
	ssize_t sent;

	if (has_answer)
		work->handing_ns = hs_stream_realtime_ns();
	sent = hs_stream_send(work->sender->fd, pieces, count, has_answer && work->has_stamps);
	work->is_blocked = sent == -EAGAIN;
	if (sent > 0)
		advance(work, (size_t)sent);
	return sent >= 0 || sent == -EAGAIN ? 0 : -ECONNRESET;
}

/* ---- the thread ---- */

static uint64_t wait_limit_ns(const struct work *work)
{
	bool waits_for_flush = has_round_to_flush(work) && !work->is_agreed && work->next_page >= work->last_page;

	if (work->is_blocked || !work->sender->has_bulk)
		return UINT64_MAX;
	if (waits_for_flush)
		return FLUSH_POLL_NS;
	if (work->sender->plan->has_rounds && work->next_page >= work->last_page)
		return UINT64_MAX; /* the round is sent: the answer or the session wakes us */
	return hs_stream_pace_wait_ns(&work->pace, HS_STREAM_HEADER_BYTES + (uint64_t)work->page_bytes);
}

/* Until something can be read or written, the session says something, or the limit. */
static void wait_until(struct work *work, uint64_t limit_ns)
{
	short events = POLLIN | (work->is_blocked ? POLLOUT : 0);
	struct pollfd fds[] = { { .fd = work->sender->fd, .events = events },
				{ .fd = work->sender->wake_fd, .events = POLLIN } };
	struct timespec limit = { .tv_sec = (time_t)(limit_ns / 1000000000u),
				  .tv_nsec = (long)(limit_ns % 1000000000u) };
	uint64_t woken;

	if (ppoll(fds, HS_ARRAY_SIZE(fds), limit_ns == UINT64_MAX ? NULL : &limit, NULL) <= 0)
		return;
	if (fds[0].revents & POLLERR)
		read_departure(work);
	if (fds[1].revents && read(work->sender->wake_fd, &woken, sizeof(woken)) < 0)
		return;
}

/* Reads, and sends as much as the socket takes. -EAGAIN: there is nothing to do before the next wait. */
static int step(struct work *work)
{
	int err = work->request_count || work->owes_pages ? 0 : receive(work);

	work->owes_pages = false;
	if (err && err != -EAGAIN)
		return err;
	if (work->must_agree && !work->count)
		agree(work);
	look_for_round(work);
	if (!work->must_agree) {
		queue_answers(work);
		if (!work->count && work->sender->has_bulk)
			refill(work);
	}
	if (!work->count)
		return err;
	err = push(work);
	if (err == -ECONNRESET && receive(work) == -ECONNREFUSED)
		return -ECONNREFUSED; /* it said why before it closed */
	return err ? err : work->is_blocked ? -EAGAIN : 0;
}

static int run(struct work *work)
{
	int err = 0;

	while (!err && !atomic_load(&work->sender->is_stopping)) {
		err = step(work);
		if (err == -EAGAIN) {
			wait_until(work, wait_limit_ns(work));
			err = 0;
		}
	}
	return err;
}

/* The frame that is under way is finished, the end is told, and the peer's is waited for, all for a second at most. */
static void finish(struct work *work)
{
	uint64_t deadline_ns = hs_now_ns() + END_GRACE_NS, now_ns;
	bool has_told = false;
	int err = 0;

	work->count = work->first_sent ? 1 : 0;
	while ((!err || err == -EAGAIN) && (now_ns = hs_now_ns()) < deadline_ns) {
		work->is_blocked = false;
		err = work->count ? push(work) : 0;
		if (!work->count && !has_told)
			has_told = !shutdown(work->sender->fd, SHUT_WR);
		if (!err)
			err = receive(work);
		work->request_count = 0;
		if (err == -EAGAIN)
			wait_until(work, deadline_ns - now_ns);
	}
}

static void begin(struct work *work)
{
	struct hs_stream_sender *sender = work->sender;
	const struct hs_stream_plan *plan = sender->plan;
	const struct hs_stream_offer *offer = &plan->hello.offer;

	work->page_bytes = offer->page_bytes;
	hs_stream_parser_begin(&work->parser, HS_STREAM_SOURCE, offer->page_bytes, offer->vm_bytes);
	hs_stream_pace_begin(&work->pace, plan->bytes_per_s, plan->burst_bytes, hs_now_ns());
	hs_stream_tune(sender->fd, UNSENT_BYTES);
	work->has_stamps = sender->has_requests && !plan->is_legacy && hs_stream_stamp(sender->fd);
	if (!plan->is_legacy)
		queue_hello(work);
	if (sender->has_requests)
		set_head(append(work), FRAME_PLAIN, HS_STREAM_HANDSHAKE, 0);
	if (!sender->has_bulk || plan->has_rounds)
		return;
	begin_part(work);
	if (!plan->is_legacy && !work->next_page)
		work->next_page = 1; /* the hello was page 0 */
}

static void *sender_main(void *ctx)
{
	struct hs_stream_sender *sender = ctx;
	scoped(mem) struct work *work = calloc(1, sizeof(*work));

	if (work) {
		work->sender = sender;
		begin(work);
		sender->err = run(work);
		if (!sender->err)
			finish(work);
	} else {
		sender->err = hs_fail(-ENOMEM, "no memory for a connection");
	}
	/* The peer is not kept waiting for one that has failed. */
	shutdown(sender->fd, SHUT_RDWR);
	atomic_store(&sender->is_over, true);
	if (write(sender->plan->event_fd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		return NULL; /* it is full: the session is told already */
	return NULL;
}

int hs_stream_sender_start(struct hs_stream_sender *sender, const struct hs_stream_plan *plan, int fd, uint32_t stream)
{
	int err;

	sender->plan = plan;
	sender->fd = fd;
	sender->stream = stream;
	atomic_store(&sender->peer, plan->is_legacy ? HS_STREAM_PEER_MIG_MON : HS_STREAM_PEER_UNKNOWN);
	sender->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sender->wake_fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	err = pthread_create(&sender->thread, NULL, sender_main, sender);
	if (err)
		return hs_fail(-err, "cannot start a thread:");
	sender->has_thread = true;
	return 0;
}

static void wake(struct hs_stream_sender *sender)
{
	const uint64_t one = 1;

	if (write(sender->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is full: the sender wakes in any case */
}

void hs_stream_sender_ask_round(struct hs_stream_sender *sender, uint32_t round)
{
	atomic_store(&sender->round, round);
	wake(sender);
}

void hs_stream_sender_stop(struct hs_stream_sender *sender)
{
	atomic_store(&sender->is_stopping, true);
	wake(sender);
}

void hs_stream_sender_join(struct hs_stream_sender *sender)
{
	if (sender->has_thread)
		pthread_join(sender->thread, NULL);
	fd_scoped(&sender->fd);
	fd_scoped(&sender->wake_fd);
	sender->fd = sender->wake_fd = -1;
	sender->has_thread = false;
}
