// SPDX-License-Identifier: GPL-2.0-only
/*
 * One guest's ports as the draining thread sees them: connects, decodes, gives one order at a time and decides by what
 * has been answered what comes next. Everything happens in hs_guest_link_advance() and in the ports' callbacks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/io.h"
#include "base/log.h"
#include "internal.h"
#include "trace_events/events.h"

#define SECOND_NS 1000000000ull
#define TRY_PERIOD_NS (SECOND_NS / 10) /* nobody tells when a VM has made its sockets */
#define HELLO_LIMIT_NS (2 * SECOND_NS)
#define PING_LIMIT_NS (2 * SECOND_NS)
#define ORDER_LIMIT_NS (60 * SECOND_NS) /* START loads BPF programs, under TCG too */
#define END_LIMIT_NS (3 * SECOND_NS)	/* for data that is still on its way when STOP was answered */
#define BURST_PERIOD_NS SECOND_NS
#define FIRST_BURST HS_GUEST_BURST_MAX
#define BURST 4u
#define BUSY_ANSWERS_MAX 10u /* to START: what is in the way is stopped first */
#define READS_PER_TURN 16    /* so that one busy port does not keep the others waiting */

/* ---- ports ---- */

static void close_port(struct hs_guest_port *port)
{
	int write_fd = port->fds[1] == port->fds[0] ? -1 : port->fds[1];

	if (port->fds[0] >= 0)
		hs_loop_close(port->guest->all->loop, &port->watch);
	if (write_fd >= 0)
		close(write_fd);
	port->fds[0] = port->fds[1] = -1;
	hs_wire_decoder_free(take(port->decoder));
}

static void end_session(struct hs_guest *guest, const char *why)
{
	if (guest->sessions && !guest->sessions->is_over)
		hs_guest_session_end(guest, guest->sessions, why);
}

static void forget_answers(struct hs_guest *guest)
{
	guest->is_greeted = guest->has_aligned = guest->has_final_burst = guest->must_stop = false;
	guest->busy_answers = 0;
	guest->order.type = 0;
	guest->pings_left = guest->burst_nr = 0;
	guest->next_burst_ns = 0;
}

void hs_guest_link_close(struct hs_guest *guest)
{
	close_port(&guest->control);
	for (unsigned cpu = 0; cpu < guest->place->cpus; cpu++)
		close_port(&guest->data[cpu]);
	hs_wire_payload_clear(&guest->unsent);
	guest->unsent = (struct hs_wire_payload){ 0 };
	guest->unsent_at = 0;
	guest->is_open = false;
	forget_answers(guest);
}

static void hang_up(struct hs_guest *guest, const char *why)
{
	hs_dbg("%s: %s", guest->name, why);
	hs_guest_link_close(guest);
	end_session(guest, why);
	guest->next_try_ns = hs_now_ns() + TRY_PERIOD_NS;
	if (guest->state != HS_GUEST_STOPPED && guest->state != HS_GUEST_FAILED)
		hs_guest_set_state(guest, HS_GUEST_AWAY);
}

static void on_data(void *ctx, uint32_t events);
static void on_control(void *ctx, uint32_t events);

static int open_port(struct hs_guest *guest, struct hs_guest_port *port, const char *path)
{
	int err = hs_guest_port_open(path, guest->place->is_fifo, port->fds);

	if (!err)
		err = hs_wire_decoder_open(NULL, NULL, &port->decoder);
	if (!err)
		err = hs_loop_add(guest->all->loop, &port->watch, port->fds[0], EPOLLIN,
				  port->is_control ? on_control : on_data, port);
	return err;
}

static void open_link(struct hs_guest *guest, uint64_t now_ns)
{
	int err = open_port(guest, &guest->control, guest->place->orders);

	for (unsigned cpu = 0; !err && cpu < guest->place->cpus; cpu++)
		err = open_port(guest, &guest->data[cpu], guest->place->data[cpu]);
	guest->next_try_ns = now_ns + TRY_PERIOD_NS;
	if (err) {
		hs_guest_set_error(guest, "its ports cannot be opened: %s", strerror(-err));
		hs_guest_link_close(guest);
		return;
	}
	guest->is_open = true;
	guest->error[0] = '\0';
	hs_guest_counter_open(&guest->counter, guest->control.fds[0]);
}

/* ---- orders ---- */

/* What the port does not take now goes with the next tick: orders are small, and a guest that reads none gets none. */
static void flush_orders(struct hs_guest *guest)
{
	while (guest->is_open && guest->unsent_at < guest->unsent.len) {
		ssize_t done = write(guest->control.fds[1], guest->unsent.bytes + guest->unsent_at,
				     guest->unsent.len - guest->unsent_at);

		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (done < 0) {
			hang_up(guest, "it does not take orders any more");
			return;
		}
		guest->unsent_at += (size_t)done;
	}
	guest->unsent.len = guest->unsent_at = 0;
}

static void append_bytes(struct hs_wire_payload *to, const void *bytes, size_t len)
{
	uint8_t *grown = len ? realloc(to->bytes, to->len + len) : NULL;

	if (!grown)
		return; /* as if it had been lost on the way: there is a deadline */
	memcpy(grown + to->len, bytes, len);
	to->bytes = grown;
	to->len += len;
	to->size = to->len;
}

static void give_order(struct hs_guest *guest, enum hs_wire_type type, const void *payload, size_t len,
		       uint64_t limit_ns)
{
	struct hs_wire_frame frame = { .type = type, .seq = guest->control_seq++, .id = ++guest->last_id };

	hs_wire_seal(&frame, payload, len);
	append_bytes(&guest->unsent, &frame, sizeof(frame));
	append_bytes(&guest->unsent, payload, len);
	guest->order = (struct hs_guest_order){ type, frame.id, hs_now_ns() + limit_ns };
	flush_orders(guest);
}

static void give_ping(struct hs_guest *guest)
{
	struct hs_wire_ping ping;

	guest->pings_left--;
	guest->ping_ns = ping.host_ns = hs_now_ns();
	give_order(guest, HS_WIRE_PING, &ping, sizeof(ping), PING_LIMIT_NS);
}

static void put_events(struct hs_wire_payload *payload, const char *list)
{
	scoped(mem) char *copy = strdup(list);
	char *save = NULL;

	for (char *word = copy ? strtok_r(copy, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save))
		hs_wire_put_text(payload, strchr(word, ':') ? HS_WIRE_EVENT : HS_WIRE_BPF_EVENT, word);
}

static void give_start(struct hs_guest *guest)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };

	hs_wire_put_number(&payload, HS_WIRE_SOURCES,
			   (guest->has_ftrace ? HS_WIRE_SOURCE_FTRACE : 0) | (guest->has_bpf ? HS_WIRE_SOURCE_BPF : 0));
	put_events(&payload, guest->events);
	for (char **filter = guest->filters; filter && *filter; filter++)
		hs_wire_put_text(&payload, HS_WIRE_FILTER, *filter);
	if (guest->buffer_kib)
		hs_wire_put_number(&payload, HS_WIRE_BUFFER_KIB, guest->buffer_kib);
	if (payload.err) {
		hs_guest_set_error(guest, "its order to start is too long");
		hs_guest_set_state(guest, HS_GUEST_FAILED);
		return;
	}
	hs_guest_set_state(guest, HS_GUEST_STARTING);
	give_order(guest, HS_WIRE_START, payload.bytes, payload.len, ORDER_LIMIT_NS);
}

static void give_formats(struct hs_guest *guest)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };

	hs_wire_put_number(&payload, HS_WIRE_WHAT, HS_WIRE_WHAT_HEADER_PAGE | HS_WIRE_WHAT_FORMATS);
	give_order(guest, HS_WIRE_FORMATS, payload.bytes, payload.len, ORDER_LIMIT_NS);
}

/* The kernel's agent takes one order of two bytes at a time, and answers nothing. */
static void order_kernel_agent(struct hs_guest *guest, const char *order)
{
	append_bytes(&guest->unsent, order, 2);
	flush_orders(guest);
}

/* ---- what comes next ---- */

static bool is_recording(const struct hs_guest *guest)
{
	return guest->sessions && !guest->sessions->is_over;
}

static void advance_kernel_agent(struct hs_guest *guest, uint64_t now_ns)
{
	struct hs_guest_session *session;

	if (guest->all->is_wanted && !is_recording(guest)) {
		session = hs_guest_session_new(guest, 0);
		if (!session)
			return;
		session->is_ready = true;
		order_kernel_agent(guest, "1\n");
		hs_guest_set_state(guest, HS_GUEST_RECORDING);
	} else if (!guest->all->is_wanted && guest->state == HS_GUEST_RECORDING) {
		order_kernel_agent(guest, "0\n");
		guest->stop_deadline_ns = now_ns + END_LIMIT_NS;
		hs_guest_set_state(guest, HS_GUEST_STOPPING);
	} else if (guest->state == HS_GUEST_STOPPING && now_ns >= guest->stop_deadline_ns) {
		end_session(guest, NULL); /* it tells of no end */
	}
}

/* The next order of a guest that has none under way. */
static void give_next(struct hs_guest *guest, uint64_t now_ns)
{
	bool recording = is_recording(guest), wanted = guest->all->is_wanted;

	if (!guest->is_greeted) {
		give_order(guest, HS_WIRE_HELLO, NULL, 0, HELLO_LIMIT_NS);
		return;
	}
	if (!guest->pings_left && !guest->has_aligned) {
		guest->has_aligned = true;
		guest->pings_left = FIRST_BURST;
	} else if (!guest->pings_left && recording && !wanted && !guest->has_final_burst) {
		guest->has_final_burst = true;
		guest->pings_left = FIRST_BURST;
	} else if (!guest->pings_left && recording && guest->sessions->is_ready && now_ns >= guest->next_burst_ns) {
		guest->next_burst_ns = now_ns + BURST_PERIOD_NS;
		guest->pings_left = BURST;
	}
	if (guest->pings_left)
		give_ping(guest);
	else if (guest->must_stop)
		give_order(guest, HS_WIRE_STOP, NULL, 0, ORDER_LIMIT_NS);
	else if (wanted && !recording && guest->state != HS_GUEST_FAILED)
		give_start(guest);
	else if (recording && !guest->sessions->is_ready)
		give_formats(guest);
	else if (recording && !wanted && guest->state == HS_GUEST_RECORDING) {
		hs_guest_set_state(guest, HS_GUEST_STOPPING);
		give_order(guest, HS_WIRE_STOP, NULL, 0, ORDER_LIMIT_NS);
	}
}

/* An order without an answer: the guest may have booted again, so it is asked who it is. */
static void order_is_late(struct hs_guest *guest)
{
	enum hs_wire_type type = guest->order.type;

	guest->order.type = 0;
	if (type != HS_WIRE_HELLO && type != HS_WIRE_PING) {
		hs_guest_set_error(guest, "its agent did not answer an order within %llu s",
				   ORDER_LIMIT_NS / SECOND_NS);
		end_session(guest, "its agent did not answer");
		hs_guest_set_state(guest, HS_GUEST_FAILED);
	}
	guest->is_greeted = false;
	guest->pings_left = guest->burst_nr = 0;
}

static bool all_data_came(const struct hs_guest *guest)
{
	const struct hs_guest_session *session = guest->sessions;

	for (unsigned cpu = 0; cpu < guest->place->cpus; cpu++)
		if (session->cpus[cpu].has_status && (session->cpus[cpu].status.flags & HS_WIRE_CPU_PORT) &&
		    (guest->data[cpu].part != session->part || !guest->data[cpu].has_end))
			return false;
	return true;
}

static void finish_if_over(struct hs_guest *guest, uint64_t now_ns)
{
	if (guest->stop_deadline_ns && is_recording(guest) &&
	    (all_data_came(guest) || now_ns >= guest->stop_deadline_ns)) {
		guest->stop_deadline_ns = 0;
		end_session(guest, NULL);
	}
}

void hs_guest_link_advance(struct hs_guest *guest, uint64_t now_ns)
{
	if (!guest->is_open) {
		if (now_ns < guest->next_try_ns || (guest->state == HS_GUEST_STOPPED && !guest->all->is_wanted))
			return;
		open_link(guest, now_ns);
		if (!guest->is_open)
			return;
	}
	flush_orders(guest);
	if (guest->is_kernel_agent) {
		advance_kernel_agent(guest, now_ns);
		return;
	}
	if (guest->state == HS_GUEST_STOPPING)
		finish_if_over(guest, now_ns);
	if (guest->is_open && guest->order.type && now_ns >= guest->order.deadline_ns)
		order_is_late(guest);
	if (guest->is_open && !guest->order.type)
		give_next(guest, now_ns);
}

/* ---- answers ---- */

static void copy_text(char *to, const void *payload, size_t len, enum hs_wire_key key)
{
	struct hs_wire_field field;
	char *text = NULL;

	if (hs_wire_find(payload, len, key, &field) || hs_wire_field_text(&field, &text))
		return;
	snprintf(to, HS_GUEST_WORDS, "%s", text);
	free(text);
}

static void on_hello(struct hs_guest *guest, const void *payload, size_t len)
{
	char boot_id[HS_GUEST_WORDS] = "";
	uint64_t agent_id = hs_wire_find_number(payload, len, HS_WIRE_AGENT_ID);

	copy_text(boot_id, payload, len, HS_WIRE_BOOT_ID);
	if (strcmp(boot_id, guest->boot_id) != 0) {
		end_session(guest, "the guest has booted again");
		hs_guest_clock_clear(&guest->clock); /* its clocks began again */
		guest->has_aligned = false;
	}
	if (agent_id != guest->agent_id)
		end_session(guest, "its agent was started again");
	guest->agent_id = agent_id;
	memcpy(guest->boot_id, boot_id, sizeof(boot_id));
	snprintf(guest->clock.boot_id, sizeof(guest->clock.boot_id), "%.*s", (int)sizeof(guest->clock.boot_id) - 1,
		 boot_id);
	copy_text(guest->kernel, payload, len, HS_WIRE_KERNEL);
	copy_text(guest->machine, payload, len, HS_WIRE_MACHINE);
	guest->schema = hs_wire_find_number(payload, len, HS_WIRE_SCHEMA);
	guest->sources = hs_wire_find_number(payload, len, HS_WIRE_SOURCES);
	guest->page_bytes = hs_wire_find_number(payload, len, HS_WIRE_PAGE_BYTES);
	guest->is_greeted = true;
	guest->error[0] = '\0';
	if (hs_wire_find_number(payload, len, HS_WIRE_VERSION_KEY) != HS_WIRE_VERSION) {
		hs_guest_set_error(guest, "its agent speaks another version of the protocol than this hsbpf");
		hs_guest_set_state(guest, HS_GUEST_FAILED);
	} else if (guest->has_bpf && guest->schema != HS_EVENTS_SCHEMA) {
		hs_guest_set_error(guest, "its agent lays out records of BPF as another version of hsbpf does: only "
					  "its ftrace can be recorded");
		hs_guest_set_state(guest, HS_GUEST_FAILED);
	} else if (!is_recording(guest)) {
		hs_guest_set_state(guest, HS_GUEST_IDLE);
	}
}

/* Everything is known that the store needs. */
static void be_ready(struct hs_guest *guest)
{
	if (!is_recording(guest))
		return;
	guest->sessions->is_ready = true;
	guest->next_burst_ns = hs_now_ns() + BURST_PERIOD_NS;
	hs_guest_set_state(guest, HS_GUEST_RECORDING);
	hs_guests_has_work(guest->all);
}

static void on_started(struct hs_guest *guest, const void *payload, size_t len)
{
	uint64_t number = hs_wire_find_number(payload, len, HS_WIRE_SESSION);
	struct hs_guest_session *session;

	if (!number || number > UINT32_MAX) {
		hs_guest_set_error(guest, "its agent answered START with a session that cannot be");
		hs_guest_set_state(guest, HS_GUEST_FAILED);
		return;
	}
	session = hs_guest_session_new(guest, (uint32_t)number);
	if (session)
		hs_guest_session_note_start(session, payload, len);
	guest->has_final_burst = false;
	guest->stop_deadline_ns = 0;
	if (!guest->has_ftrace)
		be_ready(guest);
}

static void on_stopped(struct hs_guest *guest, const void *payload, size_t len)
{
	if (!is_recording(guest))
		return;
	hs_guest_session_note_status(guest->sessions, payload, len);
	guest->stop_deadline_ns = hs_now_ns() + END_LIMIT_NS;
	finish_if_over(guest, 0);
}

static void on_refusal(struct hs_guest *guest, enum hs_wire_type type, uint64_t error, const void *payload, size_t len)
{
	char why[HS_GUEST_WORDS] = "";

	copy_text(why, payload, len, HS_WIRE_TEXT_KEY);
	hs_guest_set_error(guest, "its agent refused to %s: %s",
			   type == HS_WIRE_START  ? "start"
			   : type == HS_WIRE_STOP ? "stop"
						  : "tell its formats",
			   *why ? why : strerror(error < 4096 ? (int)error : EPROTO));
	end_session(guest, "its agent refused an order");
	hs_guest_set_state(guest, HS_GUEST_FAILED);
}

static void on_result(struct hs_guest *guest, const struct hs_wire_frame *frame, const void *payload)
{
	uint64_t error = hs_wire_find_number(payload, frame->len, HS_WIRE_ERROR);
	enum hs_wire_type type = guest->order.type;

	if (!type || frame->id != guest->order.id)
		return; /* of an order that was given up */
	guest->order.type = 0;
	if (type != HS_WIRE_HELLO && hs_wire_find_number(payload, frame->len, HS_WIRE_AGENT_ID) != guest->agent_id)
		guest->is_greeted = false;
	else if (type == HS_WIRE_STOP && guest->must_stop)
		guest->must_stop = false; /* whatever it says: START will tell */
	else if (type == HS_WIRE_START && error == EBUSY && guest->busy_answers++ < BUSY_ANSWERS_MAX)
		guest->must_stop = true;
	else if (error && type != HS_WIRE_HELLO)
		on_refusal(guest, type, error, payload, frame->len);
	else if (type == HS_WIRE_HELLO)
		on_hello(guest, payload, frame->len);
	else if (type == HS_WIRE_START)
		on_started(guest, payload, frame->len);
	else if (type == HS_WIRE_FORMATS)
		be_ready(guest);
	else if (type == HS_WIRE_STOP)
		on_stopped(guest, payload, frame->len);
}

/* A ping was answered, or will not be; with the last one the burst is over. */
static void end_ping(struct hs_guest *guest)
{
	if (guest->pings_left || !guest->burst_nr)
		return;
	hs_guest_counter_refine(&guest->counter, guest->burst, guest->burst_tscs, guest->burst_nr);
	if (hs_guest_clock_add_burst(&guest->clock, guest->burst, guest->burst_nr) == -ENOMEM)
		hs_guest_set_error(guest, "no memory for its clock samples");
	guest->burst_nr = 0;
}

static void on_pong(struct hs_guest *guest, const struct hs_wire_frame *frame, const void *payload, uint64_t now_ns)
{
	struct hs_wire_pong pong;

	if (guest->order.type != HS_WIRE_PING || frame->id != guest->order.id || frame->len != sizeof(pong))
		return;
	memcpy(&pong, payload, sizeof(pong));
	guest->order.type = 0;
	if (pong.agent_id != guest->agent_id) {
		guest->is_greeted = false;
		return;
	}
	if (guest->burst_nr < HS_GUEST_BURST_MAX) {
		guest->burst_tscs[guest->burst_nr] = pong.guest_tsc;
		guest->burst[guest->burst_nr++] =
			(struct hs_guest_sample){ guest->ping_ns, pong.guest_recv_ns, pong.guest_send_ns, now_ns };
	}
	end_ping(guest);
}

static void on_text(struct hs_guest *guest, const struct hs_wire_frame *frame, const void *payload)
{
	if (guest->order.type == HS_WIRE_FORMATS && frame->id == guest->order.id && is_recording(guest) &&
	    hs_guest_session_note_text(guest->sessions, payload, frame->len))
		guest->bad_frames++;
}

static void on_control_frame(struct hs_guest *guest, const struct hs_wire_frame *frame, const void *payload,
			     uint64_t now_ns)
{
	if (frame->type == HS_WIRE_RESULT)
		on_result(guest, frame, payload);
	else if (frame->type == HS_WIRE_PONG)
		on_pong(guest, frame, payload, now_ns);
	else if (frame->type == HS_WIRE_TEXT)
		on_text(guest, frame, payload);
	else
		guest->bad_frames++;
}

/* Reads what there is. Bytes, or 0 when nothing is there now; the guest hung up: -EPIPE. */
static ssize_t read_port(struct hs_guest_port *port)
{
	size_t room;
	void *into = hs_wire_decoder_room(port->decoder, &room);
	ssize_t got = read(port->fds[0], into, room);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return -EPIPE;
	hs_wire_decoder_added(port->decoder, (size_t)got);
	return got;
}

static void take_control(struct hs_guest_port *port)
{
	struct hs_guest *guest = port->guest;
	struct hs_wire_frame frame;
	const void *payload;

	for (int i = 0; i < READS_PER_TURN && guest->is_open; i++) {
		ssize_t got = read_port(port);
		uint64_t now_ns = hs_now_ns(); /* of a PONG: as near the read as can be */

		if (got < 0)
			hang_up(guest, "the guest's side has hung up");
		if (got <= 0)
			return;
		while (guest->is_open && hs_wire_decoder_next(port->decoder, &frame, &payload) > 0)
			on_control_frame(guest, &frame, payload, now_ns);
		if (guest->is_open)
			hs_guest_link_advance(guest, now_ns);
	}
}

static void on_control(void *ctx, uint32_t events)
{
	struct hs_guest_port *port = ctx;

	(void)events;
	pthread_mutex_lock(&port->guest->all->lock);
	take_control(port);
	pthread_mutex_unlock(&port->guest->all->lock);
}

/* ---- data ---- */

static void queue(struct hs_guest_port *port, uint32_t type, const void *bytes, size_t len)
{
	struct hs_guest_record record = { .type = type, .cpu = port->cpu, .part = port->part, .number = port->number };
	struct iovec parts[2] = { { &record, sizeof(record) }, { (void *)bytes, len } };

	if (hs_spool_put(port->guest->spool, parts, 2))
		port->dropped_bytes += len;
	hs_guests_has_work(port->guest->all);
}

/* Numbers of a session's frames begin at 0; its first ones can be here before START's answer is. */
static void count_frame(struct hs_guest_port *port, const struct hs_wire_frame *frame, unsigned part)
{
	if (frame->session != port->number || part != port->part) {
		port->number = frame->session;
		port->part = part;
		port->next_seq = 0;
		port->missing_frames = port->dropped_bytes = 0;
		port->has_end = false;
	}
	if (frame->seq > port->next_seq)
		port->missing_frames += frame->seq - port->next_seq;
	port->next_seq = frame->seq + 1;
}

/* The part of which a frame is: of the session under way, or the one that is about to be answered; 0: of none. */
static unsigned part_of(const struct hs_guest *guest, const struct hs_wire_frame *frame)
{
	if (is_recording(guest))
		return frame->session == guest->sessions->number ? guest->sessions->part : 0;
	return guest->state == HS_GUEST_STARTING ? hs_guest_session_count(guest) + 1 : 0;
}

static void on_data_frame(struct hs_guest_port *port, const struct hs_wire_frame *frame, const void *payload)
{
	struct hs_guest *guest = port->guest;
	unsigned part = part_of(guest, frame);

	if (frame->cpu != port->cpu || frame->type < HS_WIRE_PAGES || !frame->session) {
		guest->bad_frames++;
	} else if (!part) {
		guest->stale_frames++;
	} else {
		count_frame(port, frame, part);
		if (frame->type == HS_WIRE_END)
			port->has_end = true;
		else
			queue(port, frame->type, payload, frame->len);
		finish_if_over(guest, 0);
	}
}

static void take_data(struct hs_guest_port *port)
{
	struct hs_guest *guest = port->guest;
	struct hs_wire_frame frame;
	const void *payload;

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t got = read_port(port);

		if (got < 0)
			hang_up(guest, "the guest's side has hung up");
		if (got <= 0)
			return;
		while (hs_wire_decoder_next(port->decoder, &frame, &payload) > 0)
			on_data_frame(port, &frame, payload);
	}
}

/* The kernel's agent: pages without any frame. What comes after the session's end was on its way. */
static void take_raw(struct hs_guest_port *port)
{
	static char bytes[1 << 20]; /* one draining thread */
	struct hs_guest *guest = port->guest;
	ssize_t got = 1;

	for (int i = 0; i < READS_PER_TURN && got > 0; i++) {
		got = read(port->fds[0], bytes, sizeof(bytes));
		if (got > 0 && is_recording(guest)) {
			port->part = guest->sessions->part;
			queue(port, 0, bytes, (size_t)got);
		} else if (got > 0) {
			guest->stale_frames++;
		}
	}
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		hang_up(guest, "the guest's side has hung up");
}

static void on_data(void *ctx, uint32_t events)
{
	struct hs_guest_port *port = ctx;

	(void)events;
	pthread_mutex_lock(&port->guest->all->lock);
	if (port->guest->is_kernel_agent)
		take_raw(port);
	else
		take_data(port);
	pthread_mutex_unlock(&port->guest->all->lock);
}
