// SPDX-License-Identifier: GPL-2.0-only
/* The host's orders and their answers; called by the control port, on the control thread. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "agent/agent_internal.h"
#include "base/io.h"
#include "base/log.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define ONLINE "/sys/devices/system/cpu/online"
/* Of a STOP: how long the host may take to read what is left, however slowly. */
#define STOP_NS 30000000000ull
#define BUFFER_KIB_MAX (16u << 20)

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t read_tsc(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	return 0;
#endif
}

/* ---- answers ---- */

void hs_agent_answer(struct hs_tracing_agent *agent, const struct hs_wire_frame *order, int err, const char *text,
		     const struct hs_wire_payload *more)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	scoped(mem) uint8_t *all = NULL;
	size_t more_len = more ? more->len : 0;

	hs_wire_put_number(&payload, HS_WIRE_AGENT_ID, agent->id);
	hs_wire_put_number(&payload, HS_WIRE_ERROR, (uint64_t)-err);
	if (text)
		hs_wire_put_text(&payload, HS_WIRE_TEXT_KEY, text);
	all = malloc(payload.len + more_len + 1);
	if (!all || payload.err || (more && more->err)) {
		hs_err("no memory for an answer");
		return;
	}
	memcpy(all, payload.bytes, payload.len);
	if (more_len)
		memcpy(all + payload.len, more->bytes, more_len);
	hs_control_answer(agent->control, order, HS_WIRE_RESULT, all, payload.len + more_len);
}

static void refuse(struct hs_tracing_agent *agent, const struct hs_wire_frame *order, int err, const char *text)
{
	hs_agent_answer(agent, order, err, text, NULL);
}

static void put_file(struct hs_wire_payload *payload, enum hs_wire_key key, const char *path)
{
	scoped(mem) char *text = NULL;

	if (hs_read_file(path, 4096, &text, NULL))
		return;
	text[strcspn(text, "\n")] = '\0';
	hs_wire_put_text(payload, key, text);
}

static void put_ports(const struct hs_tracing_agent *agent, struct hs_wire_payload *payload)
{
	scoped(mem) char *list = strdup("");

	for (uint32_t cpu = 0; list && cpu < HS_WIRE_CPU_MAX; cpu++) {
		const struct hs_mover *mover = agent->movers.by_cpu[cpu];
		char *longer;

		if (!mover || !hs_mover_has_port(mover))
			continue;
		longer = hs_format("%s%s%u", list, *list ? "," : "", cpu);
		free(list);
		list = longer;
	}
	if (list)
		hs_wire_put_text(payload, HS_WIRE_PORTS, list);
}

static void put_now(struct hs_wire_payload *payload)
{
	hs_wire_put_number(payload, HS_WIRE_BOOT_NS, hs_now_ns());
	hs_wire_put_number(payload, HS_WIRE_REAL_NS, real_ns());
}

static void answer_hello(struct hs_tracing_agent *agent, const struct hs_wire_frame *order)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	struct utsname host;
	char clocks[512];

	uname(&host);
	hs_tracer_clocks(agent->config.tracefs, clocks, sizeof(clocks));
	hs_wire_put_number(&payload, HS_WIRE_VERSION_KEY, HS_WIRE_VERSION);
	put_file(&payload, HS_WIRE_BOOT_ID, BOOT_ID);
	hs_wire_put_text(&payload, HS_WIRE_MACHINE, host.nodename);
	hs_wire_put_text(&payload, HS_WIRE_KERNEL, host.release);
	put_file(&payload, HS_WIRE_CPUS, ONLINE);
	put_ports(agent, &payload);
	hs_wire_put_number(&payload, HS_WIRE_PAGE_BYTES, hs_tracer_page_bytes(agent->config.tracefs));
	hs_wire_put_text(&payload, HS_WIRE_CLOCKS, clocks);
	hs_wire_put_number(&payload, HS_WIRE_SCHEMA, HS_EVENTS_SCHEMA);
	hs_wire_put_number(&payload, HS_WIRE_SOURCES, agent->config.sources);
	put_now(&payload);
	hs_agent_answer(agent, order, 0, NULL, &payload);
}

void hs_agent_answer_ping(uint64_t agent_id, struct hs_control *control, const struct hs_wire_frame *order,
			  const void *payload, uint64_t recv_ns)
{
	struct hs_wire_pong pong = { .guest_recv_ns = recv_ns, .agent_id = agent_id };
	struct hs_wire_ping ping;

	memcpy(&ping, payload, sizeof(ping));
	pong.host_ns = ping.host_ns;
	pong.guest_real_ns = real_ns();
	pong.guest_tsc = read_tsc();
	pong.guest_send_ns = hs_now_ns();
	hs_control_answer(control, order, HS_WIRE_PONG, &pong, sizeof(pong));
}

static void put_status(const struct hs_tracing_agent *agent, struct hs_wire_payload *payload)
{
	if (agent->session)
		hs_agent_session_put_status(agent->session, payload);
	else
		hs_wire_put_number(payload, HS_WIRE_SESSION, 0);
}

static void answer_status(struct hs_tracing_agent *agent, const struct hs_wire_frame *order)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };

	put_status(agent, &payload);
	hs_agent_answer(agent, order, 0, NULL, &payload);
}

/* ---- START ---- */

struct start {
	struct hs_agent_session_config config;
	char *clock; /* NULL: ours */
	bool has_bpf_events;
	int err;
	char *wrong; /* what cannot be understood */
};

static void clear_start(struct start *start)
{
	hs_argv_clear(&start->config.tracer.events);
	hs_argv_clear(&start->config.tracer.filters);
	free(start->clock);
	free(start->wrong);
}

static inline void start_scoped(struct start *start)
{
	clear_start(start);
}

static void add_bpf_event(struct start *start, const char *name)
{
	start->has_bpf_events = true;
	if (hs_event_set_add_profile(&start->config.bpf_events, name) &&
	    !hs_event_set_add_glob(&start->config.bpf_events, name)) {
		start->err = -EINVAL;
		free(start->wrong);
		start->wrong = hs_format("no event and no profile is called '%s'", name);
	}
}

static int read_text_field(struct start *start, const struct hs_wire_field *field)
{
	scoped(mem) char *text = NULL;
	int err = hs_wire_field_text(field, &text);

	if (err)
		return err;
	if (field->key == HS_WIRE_EVENT)
		hs_argv_add(&start->config.tracer.events, "%s", text);
	else if (field->key == HS_WIRE_FILTER)
		hs_argv_add(&start->config.tracer.filters, "%s", text);
	else if (field->key == HS_WIRE_BPF_EVENT)
		add_bpf_event(start, text);
	else {
		free(start->clock);
		start->clock = take(text);
	}
	return 0;
}

static int read_start_field(struct start *start, const struct hs_wire_field *field)
{
	uint64_t number;
	int err = 0;

	switch (field->key) {
	case HS_WIRE_SOURCES:
		err = hs_wire_field_number(field, &number);
		if (!err)
			start->config.sources = (uint32_t)number;
		return err;
	case HS_WIRE_BUFFER_KIB:
		err = hs_wire_field_number(field, &number);
		if (!err)
			start->config.buffer_kib = number < BUFFER_KIB_MAX ? number : BUFFER_KIB_MAX;
		return err;
	case HS_WIRE_EVENT:
	case HS_WIRE_FILTER:
	case HS_WIRE_BPF_EVENT:
	case HS_WIRE_CLOCK:
		return read_text_field(start, field);
	}
	return 0;
}

static void read_start(struct hs_tracing_agent *agent, const void *payload, size_t len, struct start *start)
{
	struct hs_wire_field field;
	size_t at = 0;
	int got;

	start->config.sources = agent->config.sources;
	start->config.framed = true;
	while (!start->err && (got = hs_wire_next_field(payload, len, &at, &field))) {
		int err = got < 0 ? got : read_start_field(start, &field);

		start->err = start->err ? start->err : err;
	}
	start->config.sources &= agent->config.sources;
	if (!start->has_bpf_events)
		hs_event_set_add_profile(&start->config.bpf_events, "kvm");
	start->config.tracer.dir = agent->config.tracefs;
	start->config.tracer.clock = start->clock;
	start->config.tracer.buffer_kib = start->config.buffer_kib;
}

static void answer_started(struct hs_tracing_agent *agent, const struct hs_wire_frame *order,
			   const struct hs_argv *missing)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	const struct hs_tracer *tracer = hs_agent_session_tracer(agent->session);
	char clock[64] = "boot";

	if (tracer)
		hs_tracer_clock(tracer, clock, sizeof(clock));
	hs_wire_put_number(&payload, HS_WIRE_SESSION, hs_agent_session_number(agent->session));
	hs_wire_put_text(&payload, HS_WIRE_CLOCK, clock);
	put_now(&payload);
	put_file(&payload, HS_WIRE_CPUS, ONLINE);
	put_ports(agent, &payload);
	hs_wire_put_number(&payload, HS_WIRE_PAGE_BYTES,
			   tracer ? hs_tracer_ring_page_bytes(tracer) : hs_tracer_page_bytes(agent->config.tracefs));
	for (size_t i = 0; i < missing->count; i++)
		hs_wire_put_text(&payload, HS_WIRE_MISSING, missing->words[i]);
	hs_agent_answer(agent, order, 0, NULL, &payload);
}

static void start(struct hs_tracing_agent *agent, const struct hs_wire_frame *order, const void *payload)
{
	scoped(start) struct start start = { 0 };
	scoped(argv) struct hs_argv missing = { 0 };
	int err;

	if (agent->session) {
		refuse(agent, order, -EBUSY, "a recording is running, or ending: STOP and wait for its answer");
		return;
	}
	read_start(agent, payload, order->len, &start);
	if (start.err) {
		refuse(agent, order, start.err, start.wrong ? start.wrong : "the order cannot be understood");
		return;
	}
	start.config.number = ++agent->session_nr;
	err = hs_agent_session_open(&start.config, &agent->movers, &missing, &agent->session);
	if (err)
		refuse(agent, order, err, hs_log_last_error());
	else
		answer_started(agent, order, &missing);
}

/* ---- the others ---- */

static void stop(struct hs_tracing_agent *agent, const struct hs_wire_frame *order)
{
	if (!agent->session) {
		refuse(agent, order, -ENOENT, "no recording is running");
		return;
	}
	if (agent->stop_order.magic)
		refuse(agent, &agent->stop_order, -EALREADY, "another STOP came");
	agent->stop_order = *order;
	if (!hs_agent_session_is_finishing(agent->session))
		hs_agent_session_finish(agent->session, hs_now_ns() + STOP_NS);
}

/* The answer comes when nothing of the session is left, and tells what it counted. */
void hs_agent_close_session(struct hs_tracing_agent *agent)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	struct hs_wire_frame order = agent->stop_order;

	put_status(agent, &payload);
	hs_agent_session_free(take(agent->session));
	agent->stop_order.magic = 0;
	if (order.magic)
		hs_agent_answer(agent, &order, 0, NULL, &payload);
}

static void formats(struct hs_tracing_agent *agent, const struct hs_wire_frame *order, const void *payload)
{
	uint64_t what = hs_wire_find_number(payload, order->len, HS_WIRE_WHAT);
	const struct hs_tracer *tracer = agent->session ? hs_agent_session_tracer(agent->session) : NULL;
	int err;

	if (agent->texts) {
		refuse(agent, order, -EBUSY, "texts are still being sent");
		return;
	}
	if (!tracer && what & (HS_WIRE_WHAT_HEADER_PAGE | HS_WIRE_WHAT_FORMATS)) {
		refuse(agent, order, -ENOENT, "no recording with ftrace is running");
		return;
	}
	err = hs_texts_open(agent->control, order, what, tracer, &agent->texts);
	if (err)
		refuse(agent, order, err, strerror(-err));
	else
		hs_agent_on_room(agent);
}

void hs_agent_on_room(void *ctx)
{
	struct hs_tracing_agent *agent = ctx;

	if (!agent->texts || !hs_texts_send(agent->texts))
		return;
	hs_agent_answer(agent, hs_texts_order(agent->texts), 0, NULL, NULL);
	hs_texts_free(take(agent->texts));
}

void hs_agent_on_order(void *ctx, const struct hs_wire_frame *frame, const void *payload)
{
	struct hs_tracing_agent *agent = ctx;
	uint64_t recv_ns = hs_now_ns();

	switch (frame->type) {
	case HS_WIRE_PING:
		hs_agent_answer_ping(agent->id, agent->control, frame, payload, recv_ns);
		return;
	case HS_WIRE_HELLO:
		answer_hello(agent, frame);
		return;
	case HS_WIRE_START:
		start(agent, frame, payload);
		return;
	case HS_WIRE_STOP:
		stop(agent, frame);
		return;
	case HS_WIRE_STATUS:
		answer_status(agent, frame);
		return;
	case HS_WIRE_FORMATS:
		formats(agent, frame, payload);
		return;
	default:
		hs_warn("a frame of type %u on the control port is no order: ignored", frame->type);
	}
}

void hs_agent_on_plain_order(void *ctx, bool start)
{
	struct hs_tracing_agent *agent = ctx;

	if (agent->session && hs_agent_session_is_framed(agent->session)) {
		hs_warn("'%d' is ignored: a host that speaks the protocol is recording", start);
		return;
	}
	if (start && !agent->session)
		hs_agent_start_plain(agent, false);
	else if (start)
		agent->must_start = hs_agent_session_is_finishing(agent->session);
	else if (agent->session) {
		agent->must_start = false;
		hs_agent_session_finish(agent->session, hs_now_ns() + STOP_NS);
	}
}
