// SPDX-License-Identifier: GPL-2.0-only
/*
 * The movers' threads. Each owns its pipe, its ring's descriptor and its port; orders come under a lock with an eventfd
 * that wakes the thread. Frames and pages go out whole unless the port goes away in the middle.
 */
#include "agent/mover.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/outlet.h"
#include "base/log.h"
#include "base/loop.h"

#define MS 1000000ull
/* A page that is not full is sent after that time too, so that a guest that dies takes no more with it. */
#define FLUSH_NS (1000 * MS)
/* Kernels before 6.1 say that a page in writing can be read; then the ring is looked at that often. */
#define RETRY_NS (50 * MS)
/* A port that takes nothing for that long while a session ends will not take the rest either. */
#define GRACE_NS (500 * MS)

enum phase { IDLE, RUNNING, FINISHING, OVER };
enum tag { TAG_WAKE, TAG_PORT, TAG_RING };

struct packet {
	struct packet *next;
	size_t len;
	uint8_t bytes[];
};

struct hs_mover {
	struct hs_mover_config config;
	pthread_t thread;
	bool has_thread;
	int wake_fd, epoll_fd;

	pthread_mutex_t lock; /* of what follows, orders and packets */
	bool must_end, must_pin, must_start, must_finish;
	int new_port, new_ring;			      /* -1: none */
	struct hs_mover_session new_session, session; /* written by the thread only */
	struct hs_wire_cpu_status last_stats;	      /* of the ring when the session was over */
	struct packet *first, **last;
	size_t queued_bytes;
	uint64_t deadline_ns;
	int phase;     /* read by anybody */
	bool has_port; /* the same */
	int port_err;  /* the same, once there is no port */

	/* The thread's own. */
	struct hs_outlet outlet;
	int ring_fd;
	uint32_t ring_events; /* what epoll watches the ring for */
	bool ring_lies;	      /* it said readable and was not */
	bool is_end_sent;
	uint32_t rest_pages; /* of a ring that stays on: how many may still be taken */
	uint64_t taken_ns;   /* when something came out of the ring last, or was looked for */
	uint64_t progress_ns;
	uint8_t *page; /* the last one, not full */
	uint32_t page_bytes;
};

static void wake(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		hs_dbg("a thread cannot be woken: %s", strerror(errno));
}

static int phase_of(const struct hs_mover *mover)
{
	return __atomic_load_n(&mover->phase, __ATOMIC_ACQUIRE);
}

static void set_phase(struct hs_mover *mover, enum phase phase)
{
	__atomic_store_n(&mover->phase, phase, __ATOMIC_RELEASE);
}

static void pin(const struct hs_mover *mover)
{
	size_t size = CPU_ALLOC_SIZE(mover->config.cpu + 1);
	cpu_set_t *set = CPU_ALLOC(mover->config.cpu + 1);

	if (!set)
		return;
	CPU_ZERO_S(size, set);
	CPU_SET_S(mover->config.cpu, size, set);
	if (sched_setaffinity(0, size, set)) /* offline: anywhere is fine */
		hs_dbg("cannot run on CPU %u: %s", mover->config.cpu, strerror(errno));
	CPU_FREE(set);
}

/* ---- the ring ---- */

static void close_ring(struct hs_mover *mover)
{
	if (mover->ring_fd >= 0)
		close(mover->ring_fd); /* leaves the epoll set by itself */
	mover->ring_fd = -1;
	mover->ring_events = 0;
}

static void watch_ring(struct hs_mover *mover, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = TAG_RING };

	if (mover->ring_fd < 0 || mover->ring_events == events)
		return;
	epoll_ctl(mover->epoll_fd, EPOLL_CTL_MOD, mover->ring_fd, &event);
	mover->ring_events = events;
}

/* Whole pages, as many as there are and the pipe takes. True when there were some. */
static bool take_pages(struct hs_mover *mover)
{
	ssize_t got = mover->ring_fd < 0 ? 0 : hs_outlet_splice_in(&mover->outlet, mover->ring_fd);

	if (got <= 0)
		return false;
	hs_outlet_begin_pages(&mover->outlet, (size_t)got);
	mover->ring_lies = false;
	mover->taken_ns = hs_now_ns();
	return true;
}

/* The page that is being written, as far as it is. True when it had something. */
static bool take_part(struct hs_mover *mover)
{
	ssize_t got = mover->ring_fd < 0 ? 0 : read(mover->ring_fd, mover->page, mover->page_bytes);

	mover->taken_ns = hs_now_ns();
	if (got <= 0)
		return false;
	memset(mover->page + got, 0, mover->page_bytes - (size_t)got);
	hs_outlet_begin_bytes(&mover->outlet, HS_WIRE_PAGES, mover->page, mover->page_bytes, NULL);
	return true;
}

/* ---- sessions ---- */

static void begin_session(struct hs_mover *mover)
{
	struct epoll_event event = { .data.u32 = TAG_RING };

	mover->session = mover->new_session;
	mover->last_stats = (struct hs_wire_cpu_status){ 0 };
	close_ring(mover);
	mover->ring_fd = take_fd(&mover->new_ring);
	if (mover->ring_fd >= 0 && epoll_ctl(mover->epoll_fd, EPOLL_CTL_ADD, mover->ring_fd, &event))
		hs_fail(-errno, "cannot watch the ring of CPU %u:", mover->config.cpu);
	hs_outlet_reset(&mover->outlet, mover->session.framed, mover->session.session, mover->page_bytes);
	mover->ring_lies = mover->is_end_sent = false;
	mover->taken_ns = hs_now_ns();
}

/* Takes what was ordered since the last time. False: the thread must end. */
static bool take_orders(struct hs_mover *mover)
{
	bool must_end;

	pthread_mutex_lock(&mover->lock);
	must_end = mover->must_end;
	if (mover->must_pin)
		pin(mover);
	if (mover->new_port >= 0)
		hs_outlet_set_port(&mover->outlet, take_fd(&mover->new_port));
	if (mover->must_start)
		begin_session(mover);
	if (mover->must_finish) {
		mover->progress_ns = hs_now_ns();
		mover->rest_pages = mover->ring_fd >= 0 ? hs_tracer_ring_pages(mover->session.tracer) + 1 : 0;
		set_phase(mover, FINISHING);
	}
	mover->must_pin = mover->must_start = mover->must_finish = false;
	pthread_mutex_unlock(&mover->lock);
	return !must_end;
}

static struct packet *pop_packet(struct hs_mover *mover)
{
	struct packet *packet;

	pthread_mutex_lock(&mover->lock);
	packet = mover->first;
	if (packet) {
		mover->first = packet->next;
		mover->last = mover->first ? mover->last : &mover->first;
		mover->queued_bytes -= packet->len;
	}
	pthread_mutex_unlock(&mover->lock);
	return packet;
}

static bool take_packet(struct hs_mover *mover)
{
	struct packet *packet = pop_packet(mover);

	if (packet)
		hs_outlet_begin_bytes(&mover->outlet, HS_WIRE_PACKET, packet->bytes, packet->len, packet);
	return packet;
}

static void send_end(struct hs_mover *mover)
{
	struct hs_wire_cpu_status status;

	hs_mover_status(mover, &status);
	memcpy(mover->page, &status, sizeof(status));
	hs_outlet_begin_bytes(&mover->outlet, HS_WIRE_END, mover->page, sizeof(status), NULL);
	mover->is_end_sent = true;
}

static void end_session(struct hs_mover *mover)
{
	struct packet *packet;

	hs_outlet_drop(&mover->outlet);
	close_ring(mover);
	while ((packet = pop_packet(mover))) {
		hs_outlet_count_dropped(&mover->outlet, HS_WIRE_PACKET, packet->len);
		free(packet);
	}
	hs_mover_status(mover, &mover->last_stats);
	pthread_mutex_lock(&mover->lock);
	mover->session.tracer = NULL;
	set_phase(mover, OVER);
	pthread_mutex_unlock(&mover->lock);
	wake(mover->config.tell_fd);
}

/* Pages that a session that ends still has in its ring. A live ring would never be empty: it gives what it had. */
static bool take_last_pages(struct hs_mover *mover)
{
	bool is_live = mover->ring_fd >= 0 && hs_tracer_is_live(mover->session.tracer);
	uint32_t taken;

	if (mover->ring_fd < 0)
		return false;
	if ((!is_live || mover->rest_pages > 1) && take_pages(mover)) {
		taken = (uint32_t)(mover->outlet.left / mover->page_bytes);
		mover->rest_pages = taken < mover->rest_pages ? mover->rest_pages - taken : 1;
		return true;
	}
	if (!take_part(mover)) {
		close_ring(mover);
		return false;
	}
	if (is_live)
		close_ring(mover);
	return true;
}

/* Begins the next frame of a session that ends, or ends it. */
static void take_rest(struct hs_mover *mover)
{
	if (take_packet(mover) || take_last_pages(mover))
		return;
	if (mover->session.framed && !mover->is_end_sent)
		send_end(mover);
	else
		end_session(mover);
}

/* Begins the next frame; false when there is none. */
static bool take_next(struct hs_mover *mover)
{
	if (take_packet(mover) || take_pages(mover))
		return true;
	return hs_now_ns() - mover->taken_ns >= FLUSH_NS && take_part(mover);
}

/* One step; false when there is nothing to do but to wait. */
static bool step(struct hs_mover *mover)
{
	int phase = phase_of(mover);

	if ((phase != RUNNING && phase != FINISHING) || !hs_outlet_is_ready(&mover->outlet))
		return false;
	if (hs_outlet_is_busy(&mover->outlet))
		return hs_outlet_push(&mover->outlet);
	if (phase == RUNNING)
		return take_next(mover);
	take_rest(mover);
	return true;
}

/* ---- waiting ---- */

/* When to stop waiting whatever happens: UINT64_MAX never. */
static uint64_t wait_until_ns(const struct hs_mover *mover)
{
	uint64_t patience_ns = mover->progress_ns + GRACE_NS, next_ns;

	if (phase_of(mover) == FINISHING)
		return patience_ns < mover->deadline_ns ? patience_ns : mover->deadline_ns;
	if (phase_of(mover) != RUNNING || mover->ring_fd < 0 || !hs_outlet_is_ready(&mover->outlet))
		return UINT64_MAX;
	next_ns = mover->taken_ns + FLUSH_NS;
	return mover->ring_lies && hs_now_ns() + RETRY_NS < next_ns ? hs_now_ns() + RETRY_NS : next_ns;
}

static int wait_ms(const struct hs_mover *mover)
{
	uint64_t until_ns = wait_until_ns(mover), now_ns = hs_now_ns();

	if (until_ns == UINT64_MAX)
		return -1;
	return now_ns >= until_ns ? 0 : (int)((until_ns - now_ns) / MS) + 1;
}

static void wait_for_work(struct hs_mover *mover)
{
	bool wants_ring = phase_of(mover) == RUNNING && hs_outlet_is_ready(&mover->outlet) && !mover->ring_lies;
	struct epoll_event events[3];
	uint64_t taken;
	int count;

	watch_ring(mover, wants_ring ? EPOLLIN : 0);
	count = epoll_wait(mover->epoll_fd, events, HS_ARRAY_SIZE(events), wait_ms(mover));
	if (count == 0)
		mover->ring_lies = false;
	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 == TAG_PORT)
			hs_outlet_on_event(&mover->outlet, events[i].events);
		else if (events[i].data.u32 == TAG_RING)
			mover->ring_lies = true; /* until a page comes out of it */
		else if (read(mover->wake_fd, &taken, sizeof(taken)) < 0)
			hs_dbg("a mover woke up for nothing");
	}
}

/* The port went away. */
static void tell_port(struct hs_mover *mover)
{
	bool is_gone;

	pthread_mutex_lock(&mover->lock);
	is_gone = mover->has_port && mover->new_port < 0 && !hs_outlet_is_open(&mover->outlet);
	if (is_gone) {
		mover->port_err = mover->outlet.err;
		__atomic_store_n(&mover->has_port, false, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&mover->lock);
	if (is_gone)
		wake(mover->config.tell_fd);
}

static void *run(void *arg)
{
	struct hs_mover *mover = arg;

	pin(mover);
	while (take_orders(mover)) {
		if (step(mover)) {
			mover->progress_ns = hs_now_ns();
			continue;
		}
		tell_port(mover);
		if (phase_of(mover) == FINISHING && hs_now_ns() >= wait_until_ns(mover))
			end_session(mover);
		wait_for_work(mover);
	}
	hs_outlet_drop(&mover->outlet); /* others may wait for their turn */
	return NULL;
}

/* ---- what the control thread calls ---- */

static int open_parts(struct hs_mover *mover)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = TAG_WAKE };
	int err =
		hs_outlet_open(&mover->outlet, mover->config.cpu, mover->config.pipe_bytes, mover->epoll_fd, TAG_PORT);

	if (err)
		return err;
	mover->outlet.turns = mover->config.turns;
	if (mover->wake_fd < 0 || mover->epoll_fd < 0 ||
	    epoll_ctl(mover->epoll_fd, EPOLL_CTL_ADD, mover->wake_fd, &event))
		return hs_fail(-errno, "cannot wait for data of CPU %u:", mover->config.cpu);
	err = -pthread_create(&mover->thread, NULL, run, mover);
	if (err)
		return hs_fail(err, "cannot start a thread for CPU %u:", mover->config.cpu);
	mover->has_thread = true;
	return 0;
}

int hs_mover_open(const struct hs_mover_config *config, struct hs_mover **out)
{
	scoped(hs_mover) struct hs_mover *mover = calloc(1, sizeof(*mover));
	int err;

	if (!mover)
		return -ENOMEM;
	mover->config = *config;
	mover->new_port = mover->new_ring = mover->ring_fd = mover->outlet.fd = -1;
	mover->outlet.pipe[0] = mover->outlet.pipe[1] = -1;
	mover->last = &mover->first;
	pthread_mutex_init(&mover->lock, NULL);
	mover->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	mover->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	err = open_parts(mover);
	if (!err)
		*out = take(mover);
	return err;
}

void hs_mover_pin(struct hs_mover *mover)
{
	pthread_mutex_lock(&mover->lock);
	mover->must_pin = true;
	pthread_mutex_unlock(&mover->lock);
	wake(mover->wake_fd);
}

void hs_mover_set_port(struct hs_mover *mover, int fd)
{
	pthread_mutex_lock(&mover->lock);
	if (mover->new_port >= 0)
		close(mover->new_port);
	mover->new_port = fd;
	__atomic_store_n(&mover->has_port, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&mover->lock);
	wake(mover->wake_fd);
}

bool hs_mover_has_port(const struct hs_mover *mover)
{
	return __atomic_load_n(&mover->has_port, __ATOMIC_ACQUIRE);
}

int hs_mover_port_error(const struct hs_mover *mover)
{
	return hs_mover_has_port(mover) ? 0 : mover->port_err;
}

int hs_mover_start(struct hs_mover *mover, const struct hs_mover_session *session)
{
	uint32_t page_bytes = session->tracer ? hs_tracer_ring_page_bytes(session->tracer) : 4096;
	scoped(fd) int ring_fd = session->tracer ? hs_tracer_open_ring(session->tracer, mover->config.cpu) : -1;
	uint8_t *page;

	if (session->tracer && ring_fd < 0)
		return ring_fd;
	page = realloc(mover->page, page_bytes); /* the thread has no session: it does not look */
	if (!page)
		return -ENOMEM;
	pthread_mutex_lock(&mover->lock);
	mover->page = page;
	mover->page_bytes = page_bytes;
	mover->new_session = *session;
	mover->new_ring = take_fd(&ring_fd);
	mover->must_start = true;
	set_phase(mover, RUNNING);
	pthread_mutex_unlock(&mover->lock);
	wake(mover->wake_fd);
	return 0;
}

void hs_mover_finish(struct hs_mover *mover, uint64_t deadline_ns)
{
	pthread_mutex_lock(&mover->lock);
	mover->must_finish = phase_of(mover) == RUNNING;
	mover->deadline_ns = deadline_ns;
	pthread_mutex_unlock(&mover->lock);
	wake(mover->wake_fd);
}

bool hs_mover_is_over(const struct hs_mover *mover)
{
	return phase_of(mover) == IDLE || phase_of(mover) == OVER;
}

int hs_mover_add_packet(struct hs_mover *mover, const void *packet, size_t bytes)
{
	struct packet *copy = malloc(sizeof(*copy) + bytes);

	if (!copy)
		return -ENOMEM;
	copy->next = NULL;
	copy->len = bytes;
	memcpy(copy->bytes, packet, bytes);
	pthread_mutex_lock(&mover->lock);
	*mover->last = copy;
	mover->last = &copy->next;
	mover->queued_bytes += bytes;
	pthread_mutex_unlock(&mover->lock);
	wake(mover->wake_fd);
	return 0;
}

size_t hs_mover_queued_bytes(struct hs_mover *mover)
{
	size_t bytes;

	pthread_mutex_lock(&mover->lock);
	bytes = mover->queued_bytes;
	pthread_mutex_unlock(&mover->lock);
	return bytes;
}

void hs_mover_status(struct hs_mover *mover, struct hs_wire_cpu_status *status)
{
	pthread_mutex_lock(&mover->lock);
	*status = mover->last_stats;
	if (mover->session.tracer)
		hs_tracer_read_stats(mover->session.tracer, mover->config.cpu, status);
	pthread_mutex_unlock(&mover->lock);
	status->cpu = mover->config.cpu;
	status->flags &= HS_WIRE_CPU_RING;
	if (hs_mover_has_port(mover))
		status->flags |= HS_WIRE_CPU_PORT;
	if (__atomic_load_n(&mover->outlet.is_blocked, __ATOMIC_RELAXED))
		status->flags |= HS_WIRE_CPU_BLOCKED;
	hs_outlet_counts(&mover->outlet, status);
}

void hs_mover_free(struct hs_mover *mover)
{
	struct packet *packet;

	if (!mover)
		return;
	if (mover->has_thread) {
		pthread_mutex_lock(&mover->lock);
		__atomic_store_n(&mover->must_end, true, __ATOMIC_RELAXED);
		pthread_mutex_unlock(&mover->lock);
		wake(mover->wake_fd);
		pthread_join(mover->thread, NULL);
	}
	hs_outlet_close(&mover->outlet);
	close_ring(mover);
	while ((packet = pop_packet(mover)))
		free(packet);
	for (size_t i = 0; i < 4; i++) {
		int fd = (int[]){ mover->new_port, mover->new_ring, mover->wake_fd, mover->epoll_fd }[i];

		if (fd >= 0)
			close(fd);
	}
	pthread_mutex_destroy(&mover->lock);
	free(mover->page);
	free(mover);
}
