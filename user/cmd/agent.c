// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf agent`, also alone as hsbpf-agent: in a guest, sends its traces to its host. */
#include <errno.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/wire.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cmd.h"

struct agent_config {
	uint64_t pipe_bytes;
	const char *ports, *tracefs;
	int source;
	bool to_stdout, verbose;
};

#define PIPE_MIN 65536
#define PIPE_MAX (1u << 20)

static const char *const sources[] = { "both", "ftrace", "bpf", NULL };
static const uint32_t source_bits[] = { HS_WIRE_SOURCE_FTRACE | HS_WIRE_SOURCE_BPF, HS_WIRE_SOURCE_FTRACE,
					HS_WIRE_SOURCE_BPF };

static const struct hs_opt options[] = {
	HS_OPT(struct agent_config, pipe_bytes, "size", 's', HS_OPT_SIZE, "SIZE", "1M",
	       "pipe of each CPU: what is moved at once; the queue to a host that does not read may keep 128 times as "
	       "much",
	       .min = PIPE_MIN, .max = PIPE_MAX),
	HS_OPT(struct agent_config, to_stdout, "stdout", 'o', HS_OPT_FLAG, NULL, NULL,
	       "no ports: record at once, and write frames that name their CPU to standard output"),
	HS_OPT(struct agent_config, source, "source", 0, HS_OPT_CHOICE, "SOURCE", "both",
	       "what may be recorded: ftrace, bpf (KVM, vhost, tap events as of `hsbpf record`) or both",
	       .choices = sources),
	HS_OPT(struct agent_config, ports, "ports", 0, HS_OPT_STR, "DIR", NULL,
	       "folder of the ports, devices, FIFOs or Unix sockets; /dev/virtio-ports unless given"),
	HS_OPT(struct agent_config, tracefs, "tracefs", 0, HS_OPT_STR, "DIR", NULL,
	       "tracefs, or an instance of it; the kernel's unless given, mounted privately if it is not"),
	HS_OPT(struct agent_config, verbose, "verbose", 'v', HS_OPT_FLAG, NULL, NULL, "say every step"),
	HS_OPT_END,
};

static void on_interrupt(void *ctx)
{
	hs_tracing_agent_end(ctx);
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct agent_config *config = config_ptr;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct hs_agent_config agent_config = {
		.ports_dir = config->ports,
		.tracefs = config->tracefs,
		.pipe_bytes = config->pipe_bytes / page * page,
		.sources = source_bits[config->source],
		.to_stdout = config->to_stdout,
	};
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_tracing_agent) struct hs_tracing_agent *agent = NULL;
	int err;

	(void)argv;
	if (argc) {
		hs_err("agent takes no operands");
		return HS_EXIT_USAGE;
	}
	if (config->verbose)
		hs_log_set_level(HS_LOG_DBG);
	err = hs_loop_open(&loop);
	if (!err)
		err = hs_tracing_agent_open(&agent_config, loop, &agent);
	if (!err)
		err = hs_interrupt_open(loop, on_interrupt, agent);
	if (!err)
		err = hs_loop_until(loop, hs_tracing_agent_is_done, agent, 0);
	if (!err)
		err = hs_tracing_agent_error(agent);
	hs_interrupt_close(loop);
	return err;
}

const struct hs_verb cmd_agent = {
	.name = "agent",
	.synopsis = "",
	.help = "inside a guest: send ftrace and BPF recordings to the host over virtio-serial",
	.text = "Takes its orders from the port agent-ctl-path and sends what CPU N records to the port "
		"trace-path-cpuN, as the "
		"kernel's trace-agent does: `1` sends the pages of the ring that is traced into, as they are, `0` ends "
		"it. A host "
		"that speaks hsbpf's protocol also chooses events, filters and buffers, gets formats and symbols, "
		"compares clocks, "
		"and is told what was lost. What the host does not read is never waited for: the ring's oldest pages "
		"go, counted. "
		"Ports that are not there yet, or hang up, are waited for; CPUs may come and go. SIGTERM ends it "
		"within a second.",
	.options = options,
	.config_size = sizeof(struct agent_config),
	.run = run,
};
