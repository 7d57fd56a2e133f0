// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of the lab's guests: brings the machine up, tells the host each state, then serves the agent.
 * When the host goes away or something fails it powers the machine off: a lab guest outlives nobody.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "guest.h"

void guest_say(const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDOUT_FILENO, "hsbpf-init: %.*s\n", len, text);
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1); /* only when it is not PID 1 */
}

static bool is_closed(void *ctx)
{
	return hs_agent_is_closed(ctx);
}

static void block_signals(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void on_child(void *ctx, pid_t pid, int wait_status)
{
	if (!guest_tracer_on_child(pid, wait_status))
		guest_l1_on_child(ctx, pid, wait_status); /* elsewhere there are no L2s, and it finds none */
}

/* After the machine is ready, so that nobody waits for it; what cannot be had is said on the console. */
static void start_tracing(struct hs_loop *loop, const struct guest_args *args, bool is_l1)
{
	int err = guest_ports_open(loop);

	if (!err && is_l1)
		err = guest_relay_start();
	if (err)
		guest_say("there are no trace ports: %s", strerror(-err));
	guest_tracefs_mount(args);
	guest_tracer_start();
}

static int serve(const struct guest_args *args, int port_fd)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	bool is_l1 = !strcmp(args->role, "l1");
	struct hs_agent *agent = NULL;
	int err = hs_loop_open(&loop);

	if (!err && is_l1)
		err = guest_l1_open(loop, args->boots);
	if (!err)
		err = hs_agent_open(loop, port_fd, is_l1 ? guest_l1_on_frame : NULL, on_child, NULL, &agent);
	if (err)
		return err;
	if (is_l1)
		guest_l1_set_agent(agent);
	hs_agent_tell(agent, 0, HS_STATE_BOOTED, NULL);
	err = is_l1 ? guest_l1_enter_userland() : guest_net_up(args->address);
	if (err) {
		hs_agent_tell(agent, 0, HS_STATE_FAILED,
			      is_l1 ? "cannot mount the userland" : "the network did not come up");
		hs_link_wait_below(hs_agent_link(agent), 0);
		return err;
	}
	if (!is_l1)
		hs_agent_tell(agent, 0, HS_STATE_NET_UP, args->address);
	hs_agent_tell(agent, 0, HS_STATE_READY, NULL);
	start_tracing(loop, args, is_l1);
	return hs_loop_until(loop, is_closed, agent, 0);
}

int main(void)
{
	struct guest_args args = { 0 };
	int port_fd;

	block_signals();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (guest_mount_basics() || guest_read_args(&args))
		power_off();
	guest_load_modules(args.crash);
	if (!guest_open_port(&port_fd))
		serve(&args, port_fd);
	power_off();
}
