// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace agent as a child of PID 1: a process of its own, so that whatever becomes of it the lab's own link
 * goes on. It waits for orders on its port; its words go to the console. Main thread of PID 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/io.h"
#include "base/proc.h"
#include "guest.h"
#include "orchestrate/ports.h"

#define TRACEFS "/sys/kernel/tracing"
#define RESTARTS 3

/* In an initramfs, or for L1, which has left its own behind, on the share with its guests' kernel. */
static const char *const places[] = { "/" HS_TRACE_AGENT, "/boot/" HS_TRACE_AGENT };

static struct {
	pid_t pid;
	unsigned restarts;
} tracer;

static const char *find_program(void)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* A dying L2 takes 75 ms for each line under TCG, others less than 1 ms: some seconds of them. */
static const char *small_ring(const struct guest_args *args)
{
	return strcmp(args->role, "l2") ? "32" : "16";
}

void guest_tracefs_mount(const struct guest_args *args)
{
	if (mount("tracefs", TRACEFS, "tracefs", 0, NULL) < 0 && errno != EBUSY)
		guest_say("cannot mount tracefs: %s", strerror(errno));
	else if (*args->crash && hs_write_text(TRACEFS "/buffer_size_kb", small_ring(args)))
		guest_say("cannot make the ring of ftrace small");
}

void guest_tracer_start(void)
{
	const char *program = find_program();
	char *argv[] = { (char *)program, NULL };
	struct hs_spawn spawn = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = STDOUT_FILENO, .stderr_fd = STDOUT_FILENO, .netns_fd = -1
	};
	int err;

	if (!program)
		return; /* a lab without guest traces */
	err = hs_proc_spawn(&spawn, &tracer.pid);
	if (err)
		guest_say("cannot start the trace agent %s: %s", program, strerror(-err));
}

bool guest_tracer_on_child(pid_t pid, int wait_status)
{
	char what[96];

	if (!tracer.pid || pid != tracer.pid)
		return false;
	tracer.pid = 0;
	guest_say("the trace agent %s", hs_proc_describe(wait_status, what, sizeof(what)));
	if (tracer.restarts++ < RESTARTS)
		guest_tracer_start();
	return true;
}
