// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers of the lab tests, linked into each of them.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scoped.h"
#include "capture/tracefs.h"
#include "tests/lab/lab.h"

#define COMPLAINTS_SHOWN 3

static unsigned int test_nr, failed_nr;
static char folder[64];

static void print_result(bool passed, const char *format, va_list args)
{
	test_nr++;
	failed_nr += !passed;
	printf("%sok %u - ", passed ? "" : "not ", test_nr);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
}

bool lab_ok(bool passed, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_result(passed, format, args);
	va_end(args);
	return passed;
}

bool lab_equal(uint64_t got, uint64_t expected, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_result(got == expected, format, args);
	va_end(args);
	if (got != expected)
		printf("# got %llu, expected %llu\n", (unsigned long long)got, (unsigned long long)expected);
	return got == expected;
}

void lab_skip(const char *name, const char *format, ...)
{
	va_list args;

	printf("ok %u - %s # SKIP ", ++test_nr, name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

int lab_done(void)
{
	if (folder[0] && !getenv("KEEP"))
		nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	printf("1..%u\n", test_nr);
	return failed_nr ? 1 : 0;
}

int lab_skip_all(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	return 0;
}

const char *lab_folder(void)
{
	if (!folder[0]) {
		strcpy(folder, "/tmp/hsbpf-test-XXXXXX");
		if (!mkdtemp(folder)) {
			perror("mkdtemp");
			exit(1);
		}
	}
	return folder;
}

void lab_show_missing(const struct hs_capture *capture)
{
	size_t missing_nr;
	const struct hs_probe_missing *missing = hs_capture_missing(capture, &missing_nr);

	for (size_t i = 0; i < missing_nr; i++)
		printf("# no %s: %s\n", missing[i].event->name, missing[i].reason);
}

/* Lines look like "[time] (+delta) host kvm_pio: { cpu_id = 1 }, ...". */
static void count_line(const char *line, struct lab_trace_counts *counts)
{
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		char middle[64];

		snprintf(middle, sizeof(middle), " %s: { ", hs_events[i].name);
		if (strstr(line, middle)) {
			counts->events[hs_events[i].id]++;
			return;
		}
	}
	counts->other++;
}

static uint64_t count_lines(const char *path)
{
	scoped(file) FILE *file = fopen(path, "r");
	scoped(mem) char *line = NULL;
	size_t room = 0;
	uint64_t line_nr = 0;

	while (file && getline(&line, &room, file) > 0) {
		if (line_nr++ < COMPLAINTS_SHOWN)
			printf("# babeltrace2: %s", line);
	}
	return line_nr;
}

bool lab_babeltrace(const char *trace, struct lab_trace_counts *counts)
{
	scoped(mem) char *line = NULL;
	char command[256], errors[128];
	size_t room = 0;
	FILE *pipe;
	int status;

	*counts = (struct lab_trace_counts){ 0 };
	if (system("command -v babeltrace2 >/dev/null")) {
		lab_skip("babeltrace2 reads the trace", "babeltrace2 is not installed");
		return false;
	}
	snprintf(errors, sizeof(errors), "%s/babeltrace2.err", lab_folder());
	snprintf(command, sizeof(command), "babeltrace2 %s 2>%s", trace, errors);
	pipe = popen(command, "r");
	while (pipe && getline(&line, &room, pipe) > 0)
		count_line(line, counts);
	status = pipe ? pclose(pipe) : -1;
	counts->complaints = count_lines(errors);
	lab_ok(status == 0, "babeltrace2 reads %s to its end", trace);
	return true;
}

bool lab_tracer_write(const struct lab_tracer *tracer, const char *file, const char *value)
{
	scoped(fd) int fd = openat(tracer->fd, file, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
}

bool lab_tracer_open(struct lab_tracer *tracer)
{
	*tracer = (struct lab_tracer){ .tracefs_fd = hs_tracefs_open(), .fd = -1 };
	snprintf(tracer->path, sizeof(tracer->path), "instances/hsbpf-test-%d", getpid());
	if (tracer->tracefs_fd < 0 || mkdirat(tracer->tracefs_fd, tracer->path, 0700))
		return false;
	tracer->fd = openat(tracer->tracefs_fd, tracer->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	return lab_tracer_write(tracer, "options/fields", "1") && lab_tracer_write(tracer, "trace_clock", "boot");
}

void lab_tracer_close(struct lab_tracer *tracer)
{
	if (tracer->fd >= 0) {
		lab_tracer_write(tracer, "events/enable", "0");
		close(tracer->fd);
	}
	if (tracer->tracefs_fd >= 0) {
		unlinkat(tracer->tracefs_fd, tracer->path, AT_REMOVEDIR);
		close(tracer->tracefs_fd);
	}
}
