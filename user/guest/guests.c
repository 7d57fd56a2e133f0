// SPDX-License-Identifier: GPL-2.0-only
/* The two threads, the list of guests, and what the caller asks and is told. */
#include "guests.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "internal.h"

#define MEMORY_BYTES (16ull << 20)
#define DISK_BYTES (1ull << 30)
#define TICK_NS 50000000u /* deadlines, bursts and connections that are tried again */

const char *hs_guest_state_name(enum hs_guest_state state)
{
	static const char *const names[HS_GUEST_STATE_NR] = { "away",	  "idle",    "starting", "recording",
							      "stopping", "stopped", "failed" };

	return names[state];
}

/* ---- shared by the parts ---- */

static void ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* an eventfd that is set already */
}

void hs_guest_set_state(struct hs_guest *guest, enum hs_guest_state state)
{
	if (guest->state == state)
		return;
	hs_dbg("%s: trace agent %s%s%s", guest->name, hs_guest_state_name(state), *guest->error ? ": " : "",
	       guest->error);
	guest->state = state;
	ring(guest->all->news_fd);
}

void hs_guest_set_error(struct hs_guest *guest, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(guest->error, sizeof(guest->error), format, args);
	va_end(args);
}

void hs_guests_has_work(struct hs_guests *guests)
{
	guests->work_nr++;
	pthread_cond_signal(&guests->work);
}

struct hs_guest_session *hs_guest_session_find(struct hs_guest *guest, unsigned part)
{
	for (struct hs_guest_session *session = guest->sessions; session; session = session->next)
		if (session->part == part)
			return session;
	return NULL;
}

/* ---- the draining thread ---- */

static void advance_all(struct hs_guests *guests)
{
	uint64_t now_ns = hs_now_ns();

	pthread_mutex_lock(&guests->lock);
	for (unsigned i = 0; i < guests->count; i++)
		hs_guest_link_advance(guests->list[i], now_ns);
	pthread_mutex_unlock(&guests->lock);
}

static void on_tick(void *ctx, uint32_t events)
{
	(void)events;
	advance_all(ctx);
}

static void on_wake(void *ctx, uint32_t events)
{
	struct hs_guests *guests = ctx;
	uint64_t count;

	(void)events;
	if (read(guests->wake_fd, &count, sizeof(count)) < 0)
		return;
	advance_all(guests);
}

static bool is_ending(struct hs_guests *guests)
{
	bool ending;

	pthread_mutex_lock(&guests->lock);
	ending = guests->is_ending;
	pthread_mutex_unlock(&guests->lock);
	return ending;
}

static void block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static void *drain(void *arg)
{
	struct hs_guests *guests = arg;

	block_signals();
	while (!is_ending(guests) && !hs_loop_step(guests->loop, -1))
		continue;
	pthread_mutex_lock(&guests->lock);
	for (unsigned i = 0; i < guests->count; i++) {
		struct hs_guest *guest = guests->list[i];

		if (guest->sessions && !guest->sessions->is_over)
			hs_guest_session_end(guest, guest->sessions, "it was not waited for");
		hs_guest_link_close(guest);
	}
	guests->drainer_runs = false;
	hs_guests_has_work(guests);
	pthread_mutex_unlock(&guests->lock);
	return NULL;
}

/* ---- the writing thread ---- */

/* Waits for work that is newer than `seen`. False when there is none and never will be. */
static bool wait_for_work(struct hs_guests *guests, uint64_t *seen)
{
	bool more;

	pthread_mutex_lock(&guests->lock);
	while (guests->work_nr == *seen && guests->drainer_runs)
		pthread_cond_wait(&guests->work, &guests->lock);
	more = guests->work_nr != *seen;
	*seen = guests->work_nr;
	pthread_mutex_unlock(&guests->lock);
	return more;
}

static void *write_traces(void *arg)
{
	struct hs_guests *guests = arg;
	uint64_t seen = 0;

	block_signals();
	while (wait_for_work(guests, &seen)) {
		bool more = true;

		while (more) {
			more = false;
			for (unsigned i = 0; i < guests->count; i++)
				more = hs_guest_store_work(guests->list[i]->store) || more;
		}
	}
	return NULL;
}

/* ---- the caller ---- */

int hs_guests_open(const struct hs_guests_config *config, struct hs_guests **out, int *news_fd)
{
	scoped(hs_guests) struct hs_guests *guests = calloc(1, sizeof(*guests));
	int err;

	if (!guests)
		return -ENOMEM;
	pthread_mutex_init(&guests->lock, NULL);
	pthread_cond_init(&guests->work, NULL);
	guests->wake = guests->tick = HS_WATCH_NONE;
	guests->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guests->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guests->trace_dir = strdup(config->trace_dir);
	guests->memory_bytes = config->memory_bytes ? config->memory_bytes : MEMORY_BYTES;
	guests->disk_bytes = config->disk_bytes ? config->disk_bytes : DISK_BYTES;
	if (guests->news_fd < 0 || guests->wake_fd < 0 || !guests->trace_dir)
		return hs_fail(-ENOMEM, "cannot set up the recording of guests");
	err = hs_loop_open(&guests->loop);
	if (!err)
		err = hs_loop_add(guests->loop, &guests->wake, guests->wake_fd, EPOLLIN, on_wake, guests);
	if (!err)
		err = hs_loop_timer(guests->loop, &guests->tick, TICK_NS, on_tick, guests);
	if (err)
		return err;
	*news_fd = guests->news_fd;
	*out = take(guests);
	return 0;
}

static void free_guest(struct hs_guest *guest)
{
	if (!guest)
		return;
	for (struct hs_guest_session *session = guest->sessions, *next; session; session = next) {
		next = session->next;
		hs_guest_session_free(session);
	}
	hs_guest_store_free(guest->store);
	hs_spool_free(guest->spool);
	hs_guest_place_free(guest->place);
	hs_guest_clock_clear(&guest->clock);
	hs_guest_counter_clear(&guest->counter);
	for (char **filter = guest->filters; filter && *filter; filter++)
		free(*filter);
	free(guest->filters);
	free(guest->events);
	free(guest->data);
	free(guest);
}
HS_SCOPED(hs_guest, struct hs_guest *, free_guest)

static char **copy_filters(const char *const *filters)
{
	size_t count = 0;
	char **copy;

	while (filters && filters[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++)
		copy[i] = strdup(filters[i]);
	return copy;
}

static void note_sources(struct hs_guest *guest)
{
	for (const char *word = guest->events; *word; word += strcspn(word, ",") + (strchr(word, ',') != NULL)) {
		bool has_colon = memchr(word, ':', strcspn(word, ",")) != NULL;

		guest->has_ftrace |= has_colon;
		guest->has_bpf |= !has_colon && *word != ',';
	}
}

static void init_port(struct hs_guest_port *port, struct hs_guest *guest, unsigned cpu)
{
	*port = (struct hs_guest_port){ .guest = guest, .cpu = cpu, .fds = { -1, -1 }, .watch = HS_WATCH_NONE };
}

static int init_guest(struct hs_guest *guest, const struct hs_guest_config *config)
{
	struct hs_spool_config spool = { .dir = guest->all->trace_dir,
					 .memory_bytes = guest->all->memory_bytes,
					 .disk_bytes = guest->all->disk_bytes };
	int err;

	snprintf(guest->name, sizeof(guest->name), "%s", config->name);
	guest->is_kernel_agent = config->agent == HS_GUEST_AGENT_KERNEL;
	guest->events = strdup(config->events ? config->events : "");
	guest->filters = copy_filters(config->filters);
	guest->buffer_kib = config->buffer_kib;
	guest->data = calloc(guest->place->cpus, sizeof(*guest->data));
	if (!guest->events || !guest->filters || !guest->data)
		return -ENOMEM;
	note_sources(guest);
	init_port(&guest->control, guest, 0);
	guest->control.is_control = true;
	for (unsigned cpu = 0; cpu < guest->place->cpus; cpu++)
		init_port(&guest->data[cpu], guest, cpu);
	err = hs_spool_open(&spool, &guest->spool);
	return err ? err : hs_guest_store_open(guest, &guest->store);
}

int hs_guests_add(struct hs_guests *guests, const struct hs_guest_config *config, struct hs_guest_place *place)
{
	scoped(hs_guest) struct hs_guest *guest = calloc(1, sizeof(*guest));
	struct hs_guest **grown;
	int err;

	if (!guest) {
		hs_guest_place_free(place);
		return -ENOMEM;
	}
	guest->all = guests;
	guest->place = place;
	err = init_guest(guest, config);
	if (err)
		return err;
	grown = reallocarray(guests->list, guests->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	guests->list = grown;
	guests->list[guests->count++] = take(guest);
	return 0;
}

static int start_threads(struct hs_guests *guests)
{
	int err;

	guests->drainer_runs = true;
	err = -pthread_create(&guests->drainer, NULL, drain, guests);
	guests->drainer_runs = !err;
	if (!err)
		err = -pthread_create(&guests->writer, NULL, write_traces, guests);
	guests->writer_runs = !err;
	return err ? hs_fail(err, "cannot start the threads that record guests:") : 0;
}

int hs_guests_connect(struct hs_guests *guests)
{
	return guests->writer_runs ? 0 : start_threads(guests);
}

static void order(struct hs_guests *guests, bool wanted)
{
	pthread_mutex_lock(&guests->lock);
	guests->is_wanted = wanted;
	pthread_mutex_unlock(&guests->lock);
	ring(guests->wake_fd);
}

void hs_guests_start(struct hs_guests *guests)
{
	order(guests, true);
}

void hs_guests_stop(struct hs_guests *guests)
{
	order(guests, false);
}

void hs_guests_heard(struct hs_guests *guests)
{
	uint64_t count;

	if (read(guests->news_fd, &count, sizeof(count)) < 0)
		return; /* nothing new */
}

unsigned hs_guests_count(const struct hs_guests *guests)
{
	return guests->count;
}

const char *hs_guest_name(const struct hs_guests *guests, unsigned index)
{
	return guests->list[index]->name;
}

enum hs_guest_state hs_guest_state(struct hs_guests *guests, unsigned index)
{
	enum hs_guest_state state;

	pthread_mutex_lock(&guests->lock);
	state = guests->list[index]->state;
	pthread_mutex_unlock(&guests->lock);
	return state;
}

unsigned hs_guests_in(struct hs_guests *guests, enum hs_guest_state state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < guests->count; i++)
		count += hs_guest_state(guests, i) == state;
	return count;
}

bool hs_guests_are_written(struct hs_guests *guests)
{
	bool written = true;

	pthread_mutex_lock(&guests->lock);
	for (unsigned i = 0; i < guests->count; i++) {
		written = written && guests->list[i]->state != HS_GUEST_STARTING;
		for (struct hs_guest_session *session = guests->list[i]->sessions; session; session = session->next)
			written = written && session->is_written;
	}
	pthread_mutex_unlock(&guests->lock);
	return written;
}

static void add_queue(json_object *object, struct hs_guest *guest)
{
	json_object *queue = hs_json_add_object(object, "queue");
	struct hs_spool_counts counts;

	hs_spool_counts(guest->spool, &counts);
	hs_json_add_u64(queue, "bytes", counts.bytes);
	hs_json_add_u64(queue, "spilled_bytes", counts.spilled_bytes);
	hs_json_add_u64(queue, "dropped_bytes", counts.dropped_bytes);
	hs_json_add_u64(queue, "dropped_records", counts.dropped_records);
}

json_object *hs_guest_document(struct hs_guests *guests, unsigned index)
{
	struct hs_guest *guest = guests->list[index];
	json_object *object = json_object_new_object(), *parts;

	hs_json_add_string(object, "machine", guest->name);
	add_queue(object, guest);
	pthread_mutex_lock(&guests->lock);
	hs_json_add_string(object, "state", hs_guest_state_name(guest->state));
	if (*guest->error)
		hs_json_add_string(object, "error", guest->error);
	if (*guest->boot_id) {
		json_object *agent = hs_json_add_object(object, "agent");

		hs_json_add_string(agent, "host_name", guest->machine);
		hs_json_add_string(agent, "kernel", guest->kernel);
		hs_json_add_string(agent, "boot_id", guest->boot_id);
	}
	hs_json_add_u64(object, "ports", guest->place->cpus);
	hs_json_add_u64(object, "stale_frames", guest->stale_frames);
	hs_json_add_u64(object, "bad_frames", guest->bad_frames);
	parts = hs_json_add_array(object, "parts");
	for (struct hs_guest_session *session = guest->sessions; session; session = session->next)
		json_object_array_put_idx(parts, session->part - 1, hs_guest_session_document(guest, session));
	pthread_mutex_unlock(&guests->lock);
	return object;
}

void hs_guests_end(struct hs_guests *guests)
{
	bool had_drainer = guests->drainer_runs;

	if (!had_drainer && !guests->writer_runs)
		return;
	pthread_mutex_lock(&guests->lock);
	guests->is_ending = true;
	pthread_mutex_unlock(&guests->lock);
	ring(guests->wake_fd);
	pthread_join(guests->drainer, NULL);
	if (guests->writer_runs)
		pthread_join(guests->writer, NULL);
	guests->writer_runs = false;
}

void hs_guests_free(struct hs_guests *guests)
{
	if (!guests)
		return;
	hs_guests_end(guests);
	for (unsigned i = 0; i < guests->count; i++)
		free_guest(guests->list[i]);
	free(guests->list);
	if (guests->loop) {
		hs_loop_close(guests->loop, &guests->tick);
		hs_loop_remove(guests->loop, &guests->wake);
	}
	hs_loop_free(guests->loop);
	if (guests->news_fd >= 0)
		close(guests->news_fd);
	if (guests->wake_fd >= 0)
		close(guests->wake_fd);
	pthread_cond_destroy(&guests->work);
	pthread_mutex_destroy(&guests->lock);
	free(guests->trace_dir);
	free(guests);
}
