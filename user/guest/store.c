// SPDX-License-Identifier: GPL-2.0-only
/*
 * The writing thread's part of one guest: takes records out of its queue and writes them into the folder of their
 * session. A session's records wait until its formats are known; those of a session that nobody knows are thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "ftrace/ctf.h"
#include "internal.h"
#include "packet.h"

#define RECORD_ROOM (HS_WIRE_PAYLOAD_MAX + sizeof(struct hs_guest_record))
#define RECORDS_PER_TURN 64

struct hs_guest_store {
	struct hs_guest *guest;
	char *buffer;
	size_t held; /* bytes of a record in the buffer that must wait */

	/* of the session that is being written */
	struct hs_guest_session *session;
	char *dir;
	struct hs_ftrace *ftrace;
	struct hs_ctf_writer *writer;
	struct hs_guest_packet_stream streams[HS_GUEST_CPUS_MAX];
	int raw[HS_GUEST_CPUS_MAX]; /* descriptors + 1, 0: not open */
	uint64_t raw_bytes, raw_lost_bytes, bad_packets, no_trace_bytes;
	int open_err;
};

int hs_guest_store_open(struct hs_guest *guest, struct hs_guest_store **out)
{
	struct hs_guest_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->guest = guest;
	store->buffer = malloc(RECORD_ROOM);
	if (!store->buffer) {
		free(store);
		return -ENOMEM;
	}
	*out = store;
	return 0;
}

static void close_session(struct hs_guest_store *store)
{
	hs_ftrace_free(take(store->ftrace));
	hs_ctf_writer_free(take(store->writer));
	for (unsigned cpu = 0; cpu < HS_GUEST_CPUS_MAX; cpu++) {
		if (store->raw[cpu])
			close(store->raw[cpu] - 1);
		store->raw[cpu] = 0;
	}
	memset(store->streams, 0, sizeof(store->streams));
	free(take(store->dir));
	store->session = NULL;
	store->raw_bytes = store->raw_lost_bytes = store->bad_packets = store->no_trace_bytes = 0;
	store->open_err = 0;
}

void hs_guest_store_free(struct hs_guest_store *store)
{
	if (!store)
		return;
	close_session(store);
	free(store->buffer);
	free(store);
}

/* ---- a session's folder ---- */

/* A text of format "system/name". */
static void add_text(struct hs_guest_store *store, const struct hs_guest_text *text)
{
	const char *slash = strchr(text->name, '/');
	char system[HS_GUEST_WORDS];

	if (!text->is_whole)
		return;
	if (text->what == HS_WIRE_WHAT_HEADER_PAGE) {
		hs_ftrace_set_header_page(store->ftrace, text->bytes, text->len);
	} else if (text->what == HS_WIRE_WHAT_FORMATS && slash) {
		snprintf(system, sizeof(system), "%.*s", (int)(slash - text->name), text->name);
		hs_ftrace_add_format(store->ftrace, system, text->bytes, text->len);
	}
}

static int open_traces(struct hs_guest_store *store, const struct hs_guest_session *session)
{
	const char *machine = store->guest->name;
	struct hs_ctf_writer_config writer = { .dir = store->dir,
					       .machine = machine,
					       .clock_offset_ns = session->clock_offset_ns,
					       .start_ns = session->start_ns };
	struct hs_ftrace_config ftrace = { .dir = store->dir,
					   .machine = machine,
					   .clock = session->clock,
					   .clock_offset_ns = session->clock_offset_ns,
					   .start_ns = session->start_ns };
	int err = 0;

	if (store->guest->has_bpf)
		err = hs_ctf_writer_open(&writer, &store->writer);
	if (!err && store->guest->has_ftrace)
		err = hs_ftrace_open(&ftrace, &store->ftrace);
	for (const struct hs_guest_text *text = session->texts; !err && store->ftrace && text; text = text->next)
		add_text(store, text);
	return err;
}

/* The kernel's agent tells no formats: its pages are kept as they are. */
static int open_raw(const struct hs_guest_store *store)
{
	static const char note[] =
		"Pages of the ftrace ring of each CPU, as the kernel's virtio-trace agent sent them. What it does not\n"
		"tell and is missing here: the formats of the events, the names of threads, the clock, losses. With "
		"the\n"
		"guest's events/ folder of tracefs, trace-cmd can read them.\n";
	scoped(mem) char *path = hs_format("%s/README", store->dir);

	if (!path)
		return -ENOMEM;
	if (mkdir(store->dir, 0700) < 0 && errno != EEXIST)
		return hs_fail(-errno, "cannot create %s:", store->dir);
	return hs_write_file_atomic(path, note, sizeof(note) - 1);
}

static void open_session(struct hs_guest_store *store, struct hs_guest_session *session)
{
	char part[16] = "";

	close_session(store);
	store->session = session;
	if (session->part > 1)
		snprintf(part, sizeof(part), ".%u", session->part);
	store->dir = hs_format("%s/%s%s", store->guest->all->trace_dir, store->guest->name, part);
	store->open_err = !store->dir ? -ENOMEM : session->number ? open_traces(store, session) : open_raw(store);
	if (store->open_err) {
		pthread_mutex_lock(&store->guest->all->lock);
		hs_guest_set_error(store->guest, "its trace cannot be written: %s", hs_log_last_error());
		pthread_mutex_unlock(&store->guest->all->lock);
	}
}

/* ---- records ---- */

static int write_raw(struct hs_guest_store *store, uint32_t cpu, const void *bytes, size_t len)
{
	if (!store->raw[cpu]) {
		scoped(mem) char *path = hs_format("%s/cpu%u.raw", store->dir, cpu);
		int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

		if (fd < 0)
			return -errno;
		store->raw[cpu] = fd + 1;
	}
	return hs_write_all(store->raw[cpu] - 1, bytes, len);
}

static void write_record(struct hs_guest_store *store, const struct hs_guest_record *record, const char *bytes,
			 size_t len)
{
	if (store->open_err) {
		store->no_trace_bytes += len;
	} else if (!record->type) {
		int err = write_raw(store, record->cpu, bytes, len);

		store->raw_bytes += err ? 0 : len;
		store->raw_lost_bytes += err ? len : 0;
	} else if (record->type == HS_WIRE_PAGES && store->ftrace) {
		if (hs_ftrace_add_pages(store->ftrace, record->cpu, bytes, len) == -EINVAL)
			store->no_trace_bytes += len; /* not whole pages: it can only be a guest's nonsense */
	} else if (record->type == HS_WIRE_PACKET && store->writer) {
		if (hs_guest_packet_add(store->writer, &store->streams[record->cpu], record->cpu, bytes, len, 0) ==
		    -EBADMSG)
			store->bad_packets++;
	} else {
		store->no_trace_bytes += len; /* of a source that was not asked for */
	}
}

enum fate { WRITE, HOLD, THROW_AWAY };

static enum fate fate_of(struct hs_guest_store *store, const struct hs_guest_record *record,
			 struct hs_guest_session **session)
{
	struct hs_guest *guest = store->guest;
	enum fate fate = THROW_AWAY;

	pthread_mutex_lock(&guest->all->lock);
	*session = hs_guest_session_find(guest, record->part);
	if (*session && (*session)->number == record->number)
		fate = (*session)->is_ready ? WRITE : (*session)->is_over ? THROW_AWAY : HOLD;
	else if (!*session && guest->state == HS_GUEST_STARTING)
		fate = HOLD;
	guest->stale_frames += fate == THROW_AWAY;
	pthread_mutex_unlock(&guest->all->lock);
	return fate;
}

/* One record. False when there is none, or the oldest must wait. */
static bool take_record(struct hs_guest_store *store)
{
	struct hs_guest_record *record = (struct hs_guest_record *)store->buffer;
	struct hs_guest_session *session;
	ssize_t len =
		store->held ? (ssize_t)store->held : hs_spool_take(store->guest->spool, store->buffer, RECORD_ROOM);
	enum fate fate;

	if (len <= (ssize_t)sizeof(*record))
		return false;
	fate = fate_of(store, record, &session);
	store->held = fate == HOLD ? (size_t)len : 0;
	if (fate == HOLD)
		return false;
	if (fate == WRITE) {
		if (store->session != session)
			open_session(store, session);
		write_record(store, record, (const char *)(record + 1), (size_t)len - sizeof(*record));
	}
	return true;
}

/* ---- the end ---- */

static json_object *add_event(json_object *events, const char *name, uint64_t recorded, uint64_t lost)
{
	json_object *event = hs_json_get(events, name);

	if (!event)
		event = hs_json_add_object(events, name);
	hs_json_add_u64(event, "recorded", hs_json_get_u64(event, "recorded") + recorded);
	hs_json_add_u64(event, "lost", hs_json_get_u64(event, "lost") + lost);
	return event;
}

/* Pages: the ring says how many events there were; what is not here was lost, wherever that was. */
static void count_ftrace(struct hs_guest_store *store, json_object *counts, json_object *events)
{
	const struct hs_guest_session *session = store->session;
	const struct hs_ftrace_counts *all;
	struct hs_ftrace_event_count event;
	json_object *ftrace;

	for (unsigned cpu = 0; cpu < store->guest->place->cpus; cpu++) {
		const struct hs_wire_cpu_status *ring = &session->cpus[cpu].status;

		if (session->cpus[cpu].has_status && (ring->flags & HS_WIRE_CPU_RING))
			hs_ftrace_set_produced(store->ftrace, cpu,
					       ring->ring_entries + ring->ring_overrun + ring->ring_dropped_events +
						       ring->ring_read);
	}
	all = hs_ftrace_counts(store->ftrace);
	for (size_t i = 0; !hs_ftrace_event_count(store->ftrace, i, &event); i++)
		if (event.recorded)
			add_event(events, event.name, event.recorded, 0);
	ftrace = hs_json_add_object(counts, "ftrace");
	hs_json_add_u64(ftrace, "recorded", all->recorded);
	hs_json_add_u64(ftrace, "lost", all->lost + all->disk_lost);
	hs_json_add_u64(ftrace, "unknown_losses", all->unknown_losses);
	hs_json_add_u64(ftrace, "no_format", all->no_format);
	hs_json_add_u64(ftrace, "damaged_events", all->damaged_events);
	hs_json_add_u64(ftrace, "damaged_pages", all->damaged_pages);
	hs_json_add_u64(ftrace, "pages", all->pages);
	hs_json_add_u64(ftrace, "bytes", all->bytes);
}

/* What the guest says it recorded of an event and did not get to its port, and what got lost behind that. */
static uint64_t bpf_lost(const struct hs_guest_session *session, uint16_t id, uint64_t written)
{
	for (size_t i = 0; i < session->bpf_counts_nr; i++) {
		const struct hs_wire_bpf_counts *told = &session->bpf_counts[i];

		if (told->event_id == id)
			return told->ring_lost + told->disk_lost +
			       (told->recorded > written ? told->recorded - written : 0);
	}
	return 0;
}

static void count_bpf(struct hs_guest_store *store, json_object *counts, json_object *events)
{
	const struct hs_ctf_writer_counts *all = hs_ctf_writer_counts(store->writer);
	json_object *bpf = hs_json_add_object(counts, "bpf");
	uint64_t recorded = 0, lost = 0, missing_packets = 0;

	for (unsigned i = 0; i < hs_event_nr; i++) {
		uint16_t id = hs_events[i].id;
		uint64_t event_lost = bpf_lost(store->session, id, all->recorded[id]);

		if (!all->recorded[id] && !event_lost)
			continue;
		add_event(events, hs_events[i].name, all->recorded[id], event_lost);
		recorded += all->recorded[id];
		lost += event_lost;
	}
	for (unsigned cpu = 0; cpu < HS_GUEST_CPUS_MAX; cpu++)
		missing_packets += store->streams[cpu].missing_packets;
	hs_json_add_u64(bpf, "recorded", recorded);
	hs_json_add_u64(bpf, "lost", lost);
	hs_json_add_u64(bpf, "missing_packets", missing_packets);
	hs_json_add_u64(bpf, "damaged_packets", store->bad_packets);
	hs_json_add_u64(bpf, "bytes", all->bytes);
}

static json_object *count_all(struct hs_guest_store *store)
{
	json_object *counts = json_object_new_object(), *events;
	const char *folder = strrchr(store->dir ? store->dir : "", '/');
	uint64_t recorded, lost;

	hs_json_add_string(counts, "folder", folder ? folder + 1 : "");
	if (!store->session->number) {
		hs_json_add_u64(counts, "raw_bytes", store->raw_bytes);
		hs_json_add_u64(counts, "lost_bytes", store->raw_lost_bytes + store->no_trace_bytes);
		return counts;
	}
	events = hs_json_add_object(counts, "events");
	if (store->ftrace)
		count_ftrace(store, counts, events);
	if (store->writer)
		count_bpf(store, counts, events);
	recorded = hs_json_get_u64(counts, "ftrace.recorded") + hs_json_get_u64(counts, "bpf.recorded");
	lost = hs_json_get_u64(counts, "ftrace.lost") + hs_json_get_u64(counts, "bpf.lost");
	hs_json_add_u64(counts, "recorded", recorded);
	hs_json_add_u64(counts, "lost", lost);
	hs_json_add_u64(counts, "bytes",
			hs_json_get_u64(counts, "ftrace.bytes") + hs_json_get_u64(counts, "bpf.bytes"));
	hs_json_add_u64(counts, "unwritten_bytes", store->no_trace_bytes);
	return counts;
}

/* A session that is over and whose records are all written; NULL when there is none. Its queue is empty. */
static struct hs_guest_session *find_over(struct hs_guest *guest)
{
	struct hs_guest_session *found = NULL;

	pthread_mutex_lock(&guest->all->lock);
	for (struct hs_guest_session *session = guest->sessions; session; session = session->next)
		if (session->is_over && !session->is_written)
			found = session; /* the oldest */
	pthread_mutex_unlock(&guest->all->lock);
	return found;
}

static void finish(struct hs_guest_store *store, struct hs_guest_session *session)
{
	struct hs_guest *guest = store->guest;
	json_object *counts;

	if (store->session != session && session->is_ready)
		open_session(store, session); /* it had no record: its folder says so */
	counts = store->session == session ? count_all(store) : NULL;
	if (store->session == session)
		close_session(store);
	pthread_mutex_lock(&guest->all->lock);
	session->counts = counts;
	session->is_written = true;
	if (session == guest->sessions && !session->why_over)
		hs_guest_set_state(guest, HS_GUEST_STOPPED);
	pthread_mutex_unlock(&guest->all->lock);
}

bool hs_guest_store_work(struct hs_guest_store *store)
{
	/* Looked for first: what was put before it was over is in the queue now. */
	struct hs_guest_session *over = find_over(store->guest);
	unsigned taken = 0;

	while (taken < RECORDS_PER_TURN && take_record(store))
		taken++;
	if (over && taken < RECORDS_PER_TURN && !store->held) {
		finish(store, over);
		return true;
	}
	return taken == RECORDS_PER_TURN;
}
