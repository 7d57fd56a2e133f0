// SPDX-License-Identifier: GPL-2.0-only
/* CPUs, ports and the life of sessions. Everything here runs on the control thread, from the loop's callbacks. */
#include "agent/agent.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/agent_internal.h"
#include "base/io.h"
#include "base/log.h"

#define ONLINE "/sys/devices/system/cpu/online"
/* After SIGTERM: less than a second, and no less than movers wait for a port that takes nothing. */
#define END_NS 700000000ull

/* ---- ports ---- */

static void open_data_port(struct hs_tracing_agent *agent, uint32_t cpu)
{
	struct hs_mover *mover = agent->movers.by_cpu[cpu];
	struct hs_port port;
	char name[32];

	if (hs_mover_has_port(mover))
		return;
	snprintf(name, sizeof(name), HS_WIRE_DATA_PORT, cpu);
	if (hs_port_open(agent->config.ports_dir, name, &port))
		return;
	hs_info("port %s", name);
	hs_mover_set_port(mover, port.fd);
}

static void open_control_port(struct hs_tracing_agent *agent)
{
	struct hs_port port;

	if (hs_control_has_port(agent->control) || hs_port_open(agent->config.ports_dir, HS_WIRE_CONTROL_PORT, &port))
		return;
	hs_info("port %s", HS_WIRE_CONTROL_PORT);
	hs_control_set_port(agent->control, &port);
}

static void look_for_ports(struct hs_tracing_agent *agent)
{
	if (agent->config.to_stdout)
		return;
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX; cpu++)
		if (agent->movers.by_cpu[cpu])
			open_data_port(agent, cpu);
	hs_log_port_look(agent->log_port);
	open_control_port(agent); /* last: an order finds its data ports */
}

/* ---- CPUs ---- */

static int open_mover(struct hs_tracing_agent *agent, uint32_t cpu)
{
	struct hs_mover_config config = {
		.cpu = cpu,
		.pipe_bytes = agent->config.pipe_bytes,
		.turns = agent->config.to_stdout ? &agent->turns : NULL,
		.tell_fd = agent->tell.fd,
	};
	scoped(fd) int out = agent->config.to_stdout ? hs_port_open_stdout() : -1;
	struct hs_mover *mover;
	int err;

	if (agent->config.to_stdout && out < 0)
		return hs_fail(out, "cannot write to standard output%s:",
			       out == -EACCES ? " (another user's pipe: give it to a file, or through a cat)" : "");
	err = hs_mover_open(&config, &mover);
	if (err)
		return err;
	if (agent->config.to_stdout)
		hs_mover_set_port(mover, take_fd(&out));
	__atomic_store_n(&agent->movers.by_cpu[cpu], mover, __ATOMIC_RELEASE);
	if (agent->session)
		hs_agent_session_add(agent->session, cpu);
	return 0;
}

/* A CPU that goes keeps its mover, which then runs anywhere: its ring may still have something. */
static int look_for_cpus(struct hs_tracing_agent *agent)
{
	struct hs_cpulist online;
	scoped(mem) char *text = NULL;
	int err = hs_read_file(ONLINE, 65536, &text, NULL);

	if (!err)
		err = hs_cpulist_parse(text, &online);
	if (err)
		return hs_fail(err, "cannot read which CPUs there are from " ONLINE ":");
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX && !err; cpu++) {
		if (!hs_cpulist_has(&online, cpu) || hs_cpulist_has(&agent->online, cpu))
			continue;
		if (agent->movers.by_cpu[cpu])
			hs_mover_pin(agent->movers.by_cpu[cpu]);
		else
			err = open_mover(agent, cpu);
	}
	agent->online = online;
	return err;
}

static void on_change(void *ctx)
{
	struct hs_tracing_agent *agent = ctx;

	look_for_cpus(agent);
	look_for_ports(agent);
}

/* ---- sessions ---- */

int hs_agent_start_plain(struct hs_tracing_agent *agent, bool framed)
{
	struct hs_agent_session_config config = {
		.number = ++agent->session_nr,
		.sources = agent->config.sources & (framed ? ~0u : HS_WIRE_SOURCE_FTRACE),
		.framed = framed,
		.tracer = { .dir = agent->config.tracefs, .as_it_is = true },
	};
	scoped(argv) struct hs_argv missing = { 0 };
	int err;

	hs_event_set_add_profile(&config.bpf_events, "kvm");
	err = hs_agent_session_open(&config, &agent->movers, &missing, &agent->session);
	for (size_t i = 0; i < missing.count; i++)
		hs_warn("not recorded: %s", missing.words[i]);
	if (!err)
		hs_info("recording");
	return err;
}

static void end_session(struct hs_tracing_agent *agent)
{
	hs_texts_free(take(agent->texts));
	hs_agent_session_say(agent->session);
	hs_agent_close_session(agent);
	if (agent->must_start && !agent->must_end)
		hs_agent_start_plain(agent, false);
	agent->must_start = false;
}

/* A reader that has enough ends the agent well, a disk that is full does not. */
static void look_at_stdout(struct hs_tracing_agent *agent)
{
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX && agent->config.to_stdout && !agent->must_end; cpu++) {
		const struct hs_mover *mover = agent->movers.by_cpu[cpu];
		int err = mover ? hs_mover_port_error(mover) : 0;

		if (!mover || hs_mover_has_port(mover))
			continue;
		if (err && err != -EPIPE)
			agent->err = hs_fail(err, "cannot write to standard output any more:");
		hs_tracing_agent_end(agent);
	}
}

/* A mover lost its port or is over. */
static void on_tell(void *ctx, uint32_t events)
{
	struct hs_tracing_agent *agent = ctx;
	uint64_t taken;

	(void)events;
	if (read(agent->tell.fd, &taken, sizeof(taken)) < 0)
		return;
	if (agent->session && hs_agent_session_is_finishing(agent->session) && hs_agent_session_is_over(agent->session))
		end_session(agent);
	look_at_stdout(agent);
	look_for_ports(agent);
}

static void on_gone(void *ctx)
{
	open_control_port(ctx);
}

/* ---- the agent ---- */

static int open_parts(struct hs_tracing_agent *agent)
{
	static const struct hs_control_events events = {
		.on_order = hs_agent_on_order,
		.on_plain_order = hs_agent_on_plain_order,
		.on_room = hs_agent_on_room,
		.on_gone = on_gone,
	};
	const char *dir = agent->config.ports_dir ? agent->config.ports_dir : HS_PORTS_DIR;
	scoped(fd) int tell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int err;

	if (tell_fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	err = hs_loop_add(agent->loop, &agent->tell, tell_fd, EPOLLIN, on_tell, agent);
	if (err)
		return err;
	take_fd(&tell_fd);
	err = hs_control_open(agent->loop, &events, agent, &agent->control);
	if (!err)
		err = hs_log_port_open(agent->loop, agent->config.ports_dir, agent->id, &agent->log_port);
	if (!err)
		err = hs_port_watch_open(agent->loop, dir, on_change, agent, &agent->port_watch);
	return err ? err : look_for_cpus(agent);
}

int hs_tracing_agent_open(const struct hs_agent_config *config, struct hs_loop *loop, struct hs_tracing_agent **out)
{
	scoped(hs_tracing_agent) struct hs_tracing_agent *agent = calloc(1, sizeof(*agent));
	int err;

	if (!agent)
		return -ENOMEM;
	agent->config = *config;
	agent->loop = loop;
	agent->tell = HS_WATCH_NONE;
	pthread_mutex_init(&agent->turns, NULL);
	if (getrandom(&agent->id, sizeof(agent->id), 0) != sizeof(agent->id))
		return hs_fail(-errno, "no random number:");
	agent->session_nr = (uint32_t)(agent->id >> 33); /* so that no session is taken for one of the agent before */
	err = open_parts(agent);
	if (!err && config->to_stdout)
		err = hs_agent_start_plain(agent, true);
	if (err)
		return err;
	look_for_ports(agent);
	if (!config->to_stdout && !hs_control_has_port(agent->control))
		hs_info("waiting for the port %s in %s", HS_WIRE_CONTROL_PORT,
			config->ports_dir ? config->ports_dir : HS_PORTS_DIR);
	*out = take(agent);
	return 0;
}

void hs_tracing_agent_end(struct hs_tracing_agent *agent)
{
	agent->must_end = true;
	if (agent->session)
		hs_agent_session_finish(agent->session, hs_now_ns() + END_NS);
}

bool hs_tracing_agent_is_done(void *ctx)
{
	const struct hs_tracing_agent *agent = ctx;

	return agent->must_end && !agent->session;
}

int hs_tracing_agent_error(const struct hs_tracing_agent *agent)
{
	return agent->err;
}

void hs_tracing_agent_free(struct hs_tracing_agent *agent)
{
	if (!agent)
		return;
	hs_texts_free(agent->texts);
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX; cpu++)
		hs_mover_free(agent->movers.by_cpu[cpu]);
	memset(&agent->movers, 0, sizeof(agent->movers)); /* BPF's last packets go nowhere */
	hs_agent_session_free(agent->session);
	hs_log_port_free(agent->log_port);
	hs_control_free(agent->control);
	hs_port_watch_free(agent->port_watch);
	hs_loop_close(agent->loop, &agent->tell);
	pthread_mutex_destroy(&agent->turns);
	free(agent);
}
