/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Children. Each one dies with the thread that started it (parent-death signal), has a process group of
 * its own, so that Ctrl-C reaches only hsbpf, and inherits no descriptor beyond stdin, stdout and stderr.
 */
#ifndef HS_BASE_PROC_H
#define HS_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct hs_spawn {
	char *const *argv;
	int stdin_fd, stdout_fd, stderr_fd; /* -1: /dev/null; borrowed */
	int netns_fd;			    /* enters this network namespace; -1: stays */
};

/* Starts argv[0] (found through PATH). Returns 0 once the program runs, else -errno of what failed. No message. */
int hs_proc_spawn(const struct hs_spawn *spawn, pid_t *pid);

/* Runs to its end, stdout and stderr to /dev/null: the wait status, or -errno. Blocks. */
int hs_proc_run(char *const *argv);

/* Whether a program of that name is in PATH and can be run. */
bool hs_proc_finds(const char *program);

/* "exited with 1", "was killed by signal 9 (Killed)" into text; returns text. */
const char *hs_proc_describe(int wait_status, char *text, size_t size);

/* What a shell would make of it: the exit code, or 128 + signal. */
int hs_proc_exit_code(int wait_status);

/* Start time of a process in clock ticks since boot (/proc/PID/stat field 22), 0 if it is gone, reaped or not. Tells
 * reused pids apart. */
uint64_t hs_proc_start_time(pid_t pid);

#endif
