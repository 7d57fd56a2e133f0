// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own ring at its best: splices trace_pipe_raw of each CPU of a tracing instance into a file, pages as they
 * are, and on SIGINT what is left. What trace-cmd's readers do, which wants more rights than some kernels give.
 * Usage: bench_tracefs INSTANCE DIR. One process per CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define SPLICE_BYTES (16 * PAGE_BYTES)

static volatile sig_atomic_t is_over;

/* The timer's only ends a wait: a SIGINT just before one would otherwise be noticed when more events come, if ever. */
static void on_signal(int signal)
{
	if (signal == SIGINT)
		is_over = 1;
}

/* Whole pages while there are some, then what the ring still has. */
static int record_cpu(const char *folder, const char *file)
{
	const struct itimerval period = { { 0, 100000 }, { 0, 100000 } };
	char path[4096], page[PAGE_BYTES];
	int in, out = open(file, O_CREAT | O_WRONLY | O_TRUNC, 0600), ends[2];
	ssize_t got;

	snprintf(path, sizeof(path), "%s/trace_pipe_raw", folder);
	in = open(path, O_RDONLY);
	if (in < 0 || out < 0 || pipe(ends))
		return 1;
	setitimer(ITIMER_REAL, &period, NULL);
	while (!is_over) {
		got = splice(in, NULL, ends[1], NULL, SPLICE_BYTES, SPLICE_F_MOVE);
		while (got > 0) {
			ssize_t moved = splice(ends[0], NULL, out, NULL, (size_t)got, SPLICE_F_MOVE);

			if (moved <= 0)
				return 1;
			got -= moved;
		}
	}
	fcntl(in, F_SETFL, O_NONBLOCK);
	while ((got = read(in, page, sizeof(page))) > 0) {
		if (write(out, page, (size_t)got) != got)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	char pattern[4096], file[4096];
	glob_t cpus;
	int status, failed = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_tracefs INSTANCE DIR\n");
		return 2;
	}
	snprintf(pattern, sizeof(pattern), "%s/per_cpu/cpu*", argv[1]);
	if (glob(pattern, 0, NULL, &cpus)) {
		fprintf(stderr, "bench_tracefs: %s has no CPUs\n", argv[1]);
		return 1;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	for (size_t i = 0; i < cpus.gl_pathc; i++) {
		snprintf(file, sizeof(file), "%s%s", argv[2], strrchr(cpus.gl_pathv[i], '/'));
		if (!fork())
			_exit(record_cpu(cpus.gl_pathv[i], file));
	}
	puts("ready");
	fflush(stdout);
	while (wait(&status) > 0 || errno == EINTR)
		failed |= status;
	return failed ? 1 : 0;
}
