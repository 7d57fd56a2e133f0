// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's kernel log through its agent (agent/wire.h, the port agent-log-path). Records carry the guest's log clock;
 * its agent says what its BOOTTIME was then, and pings what the host's was. Records wait for a ping that is fresh.
 * A guest that booted again tells nothing by itself, so one that is silent is pinged, less and less often.
 * What a guest says can spoil its own records and nothing else.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/wire.h"
#include "base/log.h"
#include "journal/kmsg.h"
#include "journal/resume.h"
#include "journal/source.h"
#include "timeline/guest_clock.h"
#include "timeline/sched_clock.h"

#define SECOND_NS 1000000000ull
#define CONNECT_PERIOD_NS SECOND_NS /* nobody tells when a VM has made its socket */
#define FRESH_NS (2 * SECOND_NS)    /* a ping as old as that serves records that come now */
#define PING_LIMIT_NS SECOND_NS
#define QUIET_PING_MIN_NS (5 * SECOND_NS)
#define QUIET_PING_MAX_NS (60 * SECOND_NS)
#define FIRST_PINGS 4u
#define STASH_BYTES (4u << 20)
#define BURSTS_MAX 256u /* of a clock: then it begins anew, with the newest */
#define READS_PER_TURN 16
#define READS_AT_END 1024 /* a guest that goes on and on is not waited for */

struct hs_guest_log {
	struct hs_journal *journal;
	unsigned stream;
	char *path, *machine;
	struct hs_watch watch, timer;
	struct hs_wire_decoder *decoder;
	struct hs_wire_payload unsent;
	uint32_t last_id, log_id, seq;
	uint64_t agent_id;
	char boot_id[HS_RESUME_BOOT_SIZE];
	bool is_heard;
	uint64_t next; /* what is below was put, or written by an earlier process */
	struct hs_guest_clock clock;
	struct hs_guest_sample newest;
	uint64_t ping_ns, pong_ns;	/* when the ping under way was sent, 0: none; when the last one was answered */
	uint64_t quiet_ns;		/* until the next ping of a guest that is silent */
	unsigned pings_left;		/* of the first ones */
	struct hs_journal_buffer stash; /* payloads that wait for a ping: 8 bytes of length, the bytes, up to 8 */
	char text[HS_KMSG_BYTES_MAX];
};

static void schedule(struct hs_guest_log *source, uint64_t after_ns);

static struct hs_loop *loop_of(struct hs_guest_log *source)
{
	return hs_journal_loop(source->journal);
}

/* ---- records ---- */

static uint64_t host_time(struct hs_guest_log *source, const struct hs_sched_sample *sample, uint64_t log_ns,
			  uint64_t *error_ns)
{
	uint64_t log_error_ns, guest_ns = hs_sched_to_boot(sample, log_ns, &log_error_ns), host_ns;

	if (hs_guest_clock_to_host(&source->clock, guest_ns, &host_ns, error_ns)) {
		*error_ns = hs_now_ns(); /* sometime since this host's boot */
		return 0;
	}
	if (__builtin_add_overflow(*error_ns, log_error_ns, error_ns))
		*error_ns = UINT64_MAX;
	return host_ns ? host_ns : 1;
}

static void put_record(struct hs_guest_log *source, const struct hs_wire_field *field,
		       const struct hs_sched_sample *sample)
{
	struct hs_journal_record record = hs_journal_record_new(NULL, HS_JOURNAL_KERNEL);
	struct hs_kmsg kmsg;

	if (field->len > sizeof(source->text) || hs_kmsg_parse(field->bytes, field->len, source->text, &kmsg) ||
	    kmsg.seq < source->next)
		return;
	source->next = kmsg.seq + 1;
	record.severity = kmsg.severity;
	record.tid = kmsg.tid;
	record.cpu = kmsg.cpu;
	record.has_seq = record.has_machine_ns = true;
	record.seq = record.last_seq = kmsg.seq;
	record.machine_ns = kmsg.time_us * 1000;
	record.boot_ns = host_time(source, sample, record.machine_ns, &record.error_ns);
	record.text = source->text;
	record.len = kmsg.len;
	hs_journal_put(source->journal, source->stream, &record, kmsg.is_continuation);
}

static void put_records(struct hs_guest_log *source, const void *payload, size_t len)
{
	struct hs_sched_sample sample = { 0 };
	struct hs_wire_log_clock clock;
	struct hs_wire_field field;
	size_t at = 0;

	while (hs_wire_next_field(payload, len, &at, &field) == 1) {
		if (field.key == HS_WIRE_LOG_CLOCK && !hs_wire_field_struct(&field, &clock, sizeof(clock)))
			sample = (struct hs_sched_sample){ clock.before_ns, clock.log_ns, clock.after_ns };
		else if (field.key == HS_WIRE_LOG_RECORD)
			put_record(source, &field, &sample);
	}
	if (!source->is_heard)
		hs_journal_hear(source->journal);
	source->is_heard = true;
}

static void put_stash(struct hs_guest_log *source)
{
	uint64_t len;

	for (size_t at = 0; at < source->stash.len; at += sizeof(len) + (len + 7) / 8 * 8) {
		memcpy(&len, source->stash.bytes + at, sizeof(len));
		put_records(source, source->stash.bytes + at + sizeof(len), len);
	}
	source->stash.len = 0;
}

static void stash(struct hs_guest_log *source, const void *payload, size_t len)
{
	static const char zeros[8];
	uint64_t len64 = len;

	hs_journal_buffer_add(&source->stash, (const char *)&len64, sizeof(len64));
	hs_journal_buffer_add(&source->stash, payload, len);
	hs_journal_buffer_add(&source->stash, zeros, (8 - len % 8) % 8);
	if (source->stash.err)
		hs_journal_buffer_clear(&source->stash); /* their numbers will be missing */
}

/* ---- orders ---- */

static void write_orders(struct hs_guest_log *source)
{
	ssize_t done;

	if (!source->unsent.len || source->watch.fd < 0)
		return;
	done = write(source->watch.fd, source->unsent.bytes, source->unsent.len);
	if (done <= 0)
		return; /* the rest goes with the next order: a guest that reads none gets none */
	source->unsent.len -= (size_t)done;
	memmove(source->unsent.bytes, source->unsent.bytes + done, source->unsent.len);
}

static void give_order(struct hs_guest_log *source, enum hs_wire_type type, const void *payload, size_t len)
{
	struct hs_wire_frame frame = { .type = (uint16_t)type, .seq = source->seq++, .id = ++source->last_id };
	uint8_t *grown;

	write_orders(source);
	if (source->unsent.len)
		return; /* it takes nothing */
	grown = realloc(source->unsent.bytes, sizeof(frame) + len);
	if (!grown)
		return;
	hs_wire_seal(&frame, len ? payload : "", len);
	memcpy(grown, &frame, sizeof(frame));
	if (len)
		memcpy(grown + sizeof(frame), payload, len);
	source->unsent.bytes = grown;
	source->unsent.len = sizeof(frame) + len;
	write_orders(source);
}

static void give_ping(struct hs_guest_log *source)
{
	struct hs_wire_ping ping;

	source->ping_ns = ping.host_ns = hs_now_ns();
	give_order(source, HS_WIRE_PING, &ping, sizeof(ping));
	schedule(source, PING_LIMIT_NS);
}

static void give_log(struct hs_guest_log *source)
{
	give_order(source, HS_WIRE_LOG, NULL, 0);
	source->log_id = source->last_id;
}

/* ---- answers ---- */

static void on_pong(struct hs_guest_log *source, const struct hs_wire_pong *pong, uint64_t now_ns)
{
	struct hs_guest_sample sample = { source->ping_ns, pong->guest_recv_ns, pong->guest_send_ns, now_ns };

	if (!source->ping_ns || pong->host_ns != source->ping_ns)
		return;
	source->ping_ns = 0;
	source->pong_ns = now_ns;
	source->quiet_ns = QUIET_PING_MIN_NS;
	if (source->clock.burst_nr >= BURSTS_MAX) {
		hs_guest_clock_clear(&source->clock);
		hs_guest_clock_add_burst(&source->clock, &source->newest, 1);
	}
	hs_guest_clock_add_burst(&source->clock, &sample, 1);
	source->newest = sample;
	if (source->agent_id && pong->agent_id != source->agent_id) {
		source->agent_id = 0; /* another agent: perhaps another boot */
		give_log(source);
	}
	if (source->pings_left && source->pings_left--) {
		give_ping(source);
		return;
	}
	put_stash(source);
	schedule(source, source->quiet_ns);
}

static void on_result(struct hs_guest_log *source, const void *payload, size_t len)
{
	scoped(mem) char *boot_id = NULL;
	struct hs_wire_field field;
	uint64_t error = hs_wire_find_number(payload, len, HS_WIRE_ERROR);

	if (error) {
		hs_warn("%s cannot tell its kernel's log: %s", source->machine, strerror((int)(error & 0xfff)));
		return;
	}
	if (hs_wire_find(payload, len, HS_WIRE_BOOT_ID, &field) || hs_wire_field_text(&field, &boot_id))
		return;
	source->agent_id = hs_wire_find_number(payload, len, HS_WIRE_AGENT_ID);
	for (char *c = boot_id; *c; c++)
		if (!isalnum((unsigned char)*c))
			*c = '-'; /* it goes into notes that are read back */
	if (strlen(boot_id) >= sizeof(source->boot_id))
		boot_id[sizeof(source->boot_id) - 1] = '\0';
	if (!strcmp(boot_id, source->boot_id))
		return;
	strcpy(source->boot_id, boot_id);
	hs_guest_clock_clear(&source->clock);
	if (source->newest.host_recv_ns && source->pong_ns)
		hs_guest_clock_add_burst(&source->clock, &source->newest, 1);
	hs_journal_begin_boot(source->journal, source->stream, boot_id, &source->next);
}

static void on_frame(struct hs_guest_log *source, const struct hs_wire_frame *frame, const void *payload,
		     uint64_t now_ns)
{
	struct hs_wire_pong pong;

	if (frame->type == HS_WIRE_PONG) {
		memcpy(&pong, payload, sizeof(pong));
		on_pong(source, &pong, now_ns);
		return;
	}
	if (frame->id != source->log_id)
		return; /* of an order before: it comes again */
	if (frame->type == HS_WIRE_RESULT)
		on_result(source, payload, frame->len);
	if (frame->type != HS_WIRE_RECORDS || !source->boot_id[0])
		return;
	if (!source->stash.len && now_ns - source->pong_ns < FRESH_NS) {
		put_records(source, payload, frame->len);
		return;
	}
	if (source->stash.len >= STASH_BYTES)
		put_stash(source);
	stash(source, payload, frame->len);
	if (!source->ping_ns)
		give_ping(source);
}

/* ---- the connection ---- */

static void hang_up(struct hs_guest_log *source)
{
	put_stash(source);
	hs_loop_close(loop_of(source), &source->watch);
	hs_wire_decoder_free(take(source->decoder));
	hs_wire_payload_clear(&source->unsent);
	source->ping_ns = source->pong_ns = source->agent_id = 0;
	source->log_id = 0;
	schedule(source, CONNECT_PERIOD_NS);
}

static void take_frames(struct hs_guest_log *source, uint64_t now_ns)
{
	struct hs_wire_frame frame;
	const void *payload;

	while (source->decoder && hs_wire_decoder_next(source->decoder, &frame, &payload))
		on_frame(source, &frame, payload, now_ns);
}

/* True when there may be more. */
static bool read_some(struct hs_guest_log *source)
{
	size_t room;
	void *at = hs_wire_decoder_room(source->decoder, &room);
	ssize_t got = read(source->watch.fd, at, room);

	if (got > 0) {
		hs_wire_decoder_added(source->decoder, (size_t)got);
		take_frames(source, hs_now_ns());
		return true;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	hs_wire_decoder_finish(source->decoder);
	take_frames(source, hs_now_ns());
	hang_up(source);
	return false;
}

static void on_readable(void *ctx, uint32_t events)
{
	struct hs_guest_log *source = ctx;

	(void)events;
	for (unsigned i = 0; i < READS_PER_TURN && source->watch.fd >= 0 && read_some(source); i++)
		;
}

static bool try_connect(struct hs_guest_log *source)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, source->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return false;
	if (hs_wire_decoder_open(NULL, NULL, &source->decoder))
		return false;
	if (hs_loop_add(loop_of(source), &source->watch, fd, EPOLLIN, on_readable, source)) {
		hs_wire_decoder_free(take(source->decoder));
		return false;
	}
	take_fd(&fd);
	source->quiet_ns = QUIET_PING_MIN_NS;
	source->pings_left = FIRST_PINGS;
	give_ping(source);
	write_orders(source);
	give_log(source);
	return true;
}

/* A ping that was not answered in time: the stash goes without it. A silent guest is asked again, also for its log. */
static void on_timer(void *ctx, uint32_t events)
{
	struct hs_guest_log *source = ctx;

	(void)events;
	hs_loop_close(loop_of(source), &source->timer);
	if (source->watch.fd < 0) {
		if (!try_connect(source))
			schedule(source, CONNECT_PERIOD_NS);
		return;
	}
	if (!source->ping_ns) {
		give_ping(source);
		return;
	}
	put_stash(source);
	source->ping_ns = 0;
	source->quiet_ns = source->quiet_ns < QUIET_PING_MAX_NS / 2 ? 2 * source->quiet_ns : QUIET_PING_MAX_NS;
	if (!source->agent_id)
		give_log(source);
	schedule(source, source->quiet_ns);
}

static void schedule(struct hs_guest_log *source, uint64_t after_ns)
{
	hs_loop_close(loop_of(source), &source->timer);
	hs_loop_timer(loop_of(source), &source->timer, after_ns, on_timer, source);
}

int hs_guest_log_open(struct hs_journal *journal, const char *machine, const char *path, struct hs_guest_log **out)
{
	scoped(hs_guest_log) struct hs_guest_log *source = calloc(1, sizeof(*source));
	int stream;

	if (!source)
		return -ENOMEM;
	source->journal = journal;
	source->watch = source->timer = HS_WATCH_NONE;
	source->path = strdup(path);
	source->machine = strdup(machine);
	if (!source->path || !source->machine)
		return -ENOMEM;
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return hs_fail(-ENAMETOOLONG, "the path %s is too long for a socket", path);
	stream = hs_journal_add_stream(journal, machine, HS_JOURNAL_KERNEL);
	if (stream < 0)
		return stream;
	source->stream = (unsigned)stream;
	if (!try_connect(source))
		schedule(source, CONNECT_PERIOD_NS);
	*out = take(source);
	return 0;
}

void hs_guest_log_drain(struct hs_guest_log *source)
{
	for (unsigned i = 0; i < READS_AT_END && source->watch.fd >= 0 && read_some(source); i++)
		;
	put_stash(source);
}

void hs_guest_log_free(struct hs_guest_log *source)
{
	if (!source)
		return;
	hs_loop_close(loop_of(source), &source->watch);
	hs_loop_close(loop_of(source), &source->timer);
	hs_wire_decoder_free(source->decoder);
	hs_wire_payload_clear(&source->unsent);
	hs_guest_clock_clear(&source->clock);
	hs_journal_buffer_clear(&source->stash);
	free(source->path);
	free(source->machine);
	free(source);
}
