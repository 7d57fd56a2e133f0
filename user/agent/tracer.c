// SPDX-License-Identifier: GPL-2.0-only
/*
 * tracefs by its files, through a descriptor of its folder: it may be a mount that nobody sees. An instance is called
 * hsbpf-agent-<PID>; those of dead agents can be removed, those in use cannot (EBUSY), so no list of them is kept.
 */
#include "agent/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "capture/tracefs.h"

#define INSTANCE "hsbpf-agent-"
#define TEXT_BYTES_MAX (4u << 20)
/* What wakes a reader of the ring: enough pages that a wake-up is cheap beside them, a part of the ring, and never
 * less than a whole page (see full_hit() in kernel/trace/ring_buffer.c), or poll would say yes to a page in writing. */
#define WAKE_PAGES 32
#define WAKE_PERCENT_MAX 25

struct hs_tracer {
	int root_fd; /* of config.dir */
	int dir_fd;  /* of the ring in use: an instance, or the same folder */
	int hold_fd; /* a file of the instance, so that no other agent takes it for a dead one's */
	char *instance;
	bool as_it_is;
};

static int open_root(const char *dir)
{
	int fd = dir ? open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : hs_tracefs_open();

	return fd < 0 && dir ? -errno : fd;
}

/* The first bytes of a small file, without the last newline. */
static int read_at(int dir_fd, const char *path, char *text, size_t size)
{
	scoped(fd) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (got < 0) {
		text[0] = '\0';
		return -errno;
	}
	text[got] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int write_at(int dir_fd, const char *path, int flags, const char *text)
{
	scoped(fd) int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | flags);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static void remove_dead(int instances_fd)
{
	scoped(fd) int fd = openat(instances_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	scoped(dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return;
	take_fd(&fd);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, INSTANCE, strlen(INSTANCE)))
			unlinkat(instances_fd, entry->d_name, AT_REMOVEDIR);
}

static int make_instance(struct hs_tracer *tracer)
{
	scoped(fd) int instances_fd = openat(tracer->root_fd, "instances", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	scoped(mem) char *instance = hs_format("instances/" INSTANCE "%d", getpid());

	if (instances_fd < 0)
		return -errno;
	if (!instance)
		return -ENOMEM;
	remove_dead(instances_fd);
	if (mkdirat(tracer->root_fd, instance, 0750) && errno != EEXIST)
		return -errno;
	tracer->instance = take(instance);
	tracer->dir_fd = openat(tracer->root_fd, tracer->instance, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (tracer->dir_fd < 0)
		return -EIO;
	tracer->hold_fd = openat(tracer->dir_fd, "tracing_on", O_RDONLY | O_CLOEXEC);
	return tracer->hold_fd < 0 ? -EIO : 0;
}

/* Nobody's events, times or counts are from before. */
static int make_empty(struct hs_tracer *tracer)
{
	int err = write_at(tracer->dir_fd, "tracing_on", 0, "0");

	if (!err)
		err = write_at(tracer->dir_fd, "set_event", O_TRUNC, "");
	return err ? err : write_at(tracer->dir_fd, "trace", O_TRUNC, "");
}

static int choose_clock(const struct hs_tracer *tracer, const char *clock)
{
	static const char *const clocks[] = { "boot", "mono", "local" };
	int err = -EINVAL;

	if (clock)
		return write_at(tracer->dir_fd, "trace_clock", 0, clock);
	for (size_t i = 0; i < HS_ARRAY_SIZE(clocks) && err; i++)
		err = write_at(tracer->dir_fd, "trace_clock", 0, clocks[i]);
	return err;
}

static uint32_t page_bytes_of(int dir_fd)
{
	char text[32];
	unsigned long kib;

	read_at(dir_fd, "buffer_subbuf_size_kb", text, sizeof(text)); /* since Linux 6.8 */
	kib = strtoul(text, NULL, 10);
	return kib && kib <= 1024 ? (uint32_t)kib * 1024 : (uint32_t)sysconf(_SC_PAGESIZE);
}

/* 0 when it cannot be told. */
static uint32_t ring_pages_of(int dir_fd)
{
	char text[32];

	read_at(dir_fd, "per_cpu/cpu0/buffer_size_kb", text, sizeof(text));
	return (uint32_t)(strtoull(text, NULL, 10) * 1024 / page_bytes_of(dir_fd));
}

static int set_buffer(const struct hs_tracer *tracer, uint64_t buffer_kib)
{
	uint64_t pages, percent;
	char text[32];
	int err = 0;

	if (buffer_kib) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)buffer_kib);
		err = write_at(tracer->dir_fd, "buffer_size_kb", 0, text);
	}
	if (err)
		return hs_fail(err, "cannot make a ring of %s KiB for each CPU:", text);
	pages = ring_pages_of(tracer->dir_fd);
	if (!pages)
		return 0;
	percent = WAKE_PAGES * 100 / pages;
	percent = percent < WAKE_PERCENT_MAX ? percent : WAKE_PERCENT_MAX;
	if (percent * pages <= 100)
		percent = 100 / pages + 1;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(percent < 100 ? percent : 100));
	write_at(tracer->dir_fd, "buffer_percent", 0, text); /* a kernel without it wakes when it likes */
	return 0;
}

static bool is_plain(const char *text)
{
	return text[0] &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:*?")] == '\0';
}

static void enable_events(const struct hs_tracer *tracer, const struct hs_argv *events, struct hs_argv *missing)
{
	for (size_t i = 0; i < events->count; i++) {
		const char *event = events->words[i];
		int err = is_plain(event) ? write_at(tracer->dir_fd, "set_event", 0, event) : -EINVAL;

		if (err)
			hs_argv_add(missing, "%s: %s", event,
				    err == -EINVAL ? "this kernel has no such event" : strerror(-err));
	}
}

/* "system:event filter" */
static int set_filter(const struct hs_tracer *tracer, const char *text)
{
	scoped(mem) char *event = strndup(text, strcspn(text, " "));
	const char *filter = text + strcspn(text, " ");
	scoped(mem) char *path = NULL;
	char *colon;
	int err = event ? -EINVAL : -ENOMEM;

	colon = event ? strchr(event, ':') : NULL;
	if (colon && is_plain(event) && *filter) {
		*colon = '/';
		path = hs_format("events/%s/filter", event);
		err = path ? write_at(tracer->dir_fd, path, 0, filter + 1) : -ENOMEM;
	}
	return err ? hs_fail(err, "the kernel refuses the filter '%s':", text) : 0;
}

static int set_up(struct hs_tracer *tracer, const struct hs_tracer_config *config, struct hs_argv *missing)
{
	int err = make_instance(tracer);

	if (err == -ENOENT) { /* we are in one */
		tracer->dir_fd = dup(tracer->root_fd);
		err = tracer->dir_fd < 0 ? -errno : 0;
	}
	if (!err)
		err = make_empty(tracer);
	if (err)
		return hs_fail(err, "cannot use ftrace:");
	err = choose_clock(tracer, config->clock);
	if (err)
		return hs_fail(err, "ftrace has no clock '%s':", config->clock ? config->clock : "boot");
	err = set_buffer(tracer, config->buffer_kib);
	if (!err)
		enable_events(tracer, &config->events, missing);
	for (size_t i = 0; i < config->filters.count && !err; i++)
		err = set_filter(tracer, config->filters.words[i]);
	return err;
}

int hs_tracer_open(const struct hs_tracer_config *config, struct hs_argv *missing, struct hs_tracer **out)
{
	scoped(hs_tracer) struct hs_tracer *tracer = calloc(1, sizeof(*tracer));
	int err = 0;

	if (!tracer)
		return -ENOMEM;
	tracer->as_it_is = config->as_it_is;
	tracer->dir_fd = tracer->hold_fd = -1;
	tracer->root_fd = open_root(config->dir);
	if (tracer->root_fd < 0)
		return hs_fail(tracer->root_fd, "cannot open %s:", config->dir ? config->dir : "tracefs");
	if (config->as_it_is)
		tracer->dir_fd = dup(tracer->root_fd);
	else
		err = set_up(tracer, config, missing);
	if (!err)
		*out = take(tracer);
	return err;
}

int hs_tracer_switch(struct hs_tracer *tracer, bool on)
{
	int err = tracer->as_it_is ? 0 : write_at(tracer->dir_fd, "tracing_on", 0, on ? "1" : "0");

	return err ? hs_fail(err, "cannot switch tracing %s:", on ? "on" : "off") : 0;
}

int hs_tracer_open_ring(const struct hs_tracer *tracer, uint32_t cpu)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "per_cpu/cpu%u/trace_pipe_raw", cpu);
	fd = openat(tracer->dir_fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool find_count(const char *text, const char *name, uint64_t *count)
{
	const char *at = strstr(text, name);

	if (!at || (at != text && at[-1] != '\n'))
		return false;
	*count = strtoull(at + strlen(name), NULL, 10);
	return true;
}

void hs_tracer_read_stats(const struct hs_tracer *tracer, uint32_t cpu, struct hs_wire_cpu_status *status)
{
	char path[64], text[1024];
	ssize_t got;

	snprintf(path, sizeof(path), "per_cpu/cpu%u/stats", cpu);
	scoped(fd) int fd = openat(tracer->dir_fd, path, O_RDONLY | O_CLOEXEC);

	got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (got <= 0)
		return;
	text[got] = '\0';
	if (find_count(text, "entries: ", &status->ring_entries) &&
	    find_count(text, "overrun: ", &status->ring_overrun) &&
	    find_count(text, "commit overrun: ", &status->ring_commit_overrun) &&
	    find_count(text, "dropped events: ", &status->ring_dropped_events) &&
	    find_count(text, "read events: ", &status->ring_read))
		status->flags |= HS_WIRE_CPU_RING;
}

/* The one in brackets of "local [boot] mono". */
void hs_tracer_clock(const struct hs_tracer *tracer, char *text, size_t size)
{
	char clocks[512];
	const char *at;

	read_at(tracer->dir_fd, "trace_clock", clocks, sizeof(clocks));
	at = strchr(clocks, '[');
	snprintf(text, size, "%.*s", at ? (int)strcspn(at + 1, "]") : 0, at ? at + 1 : "");
}

void hs_tracer_clocks(const char *dir, char *text, size_t size)
{
	scoped(fd) int fd = open_root(dir);
	char *end = text;

	text[0] = '\0';
	if (fd < 0)
		return;
	read_at(fd, "trace_clock", text, size);
	for (const char *c = text; *c; c++)
		if (*c != '[' && *c != ']')
			*end++ = *c;
	*end = '\0';
}

uint32_t hs_tracer_page_bytes(const char *dir)
{
	scoped(fd) int fd = open_root(dir);

	return fd < 0 ? 0 : page_bytes_of(fd);
}

uint32_t hs_tracer_ring_pages(const struct hs_tracer *tracer)
{
	return ring_pages_of(tracer->dir_fd);
}

uint32_t hs_tracer_ring_page_bytes(const struct hs_tracer *tracer)
{
	return page_bytes_of(tracer->dir_fd);
}

bool hs_tracer_is_live(const struct hs_tracer *tracer)
{
	return tracer->as_it_is;
}

int hs_tracer_list_events(const struct hs_tracer *tracer, struct hs_argv *events)
{
	scoped(mem) char *path = hs_format("/proc/self/fd/%d/set_event", tracer->dir_fd);
	scoped(mem) char *text = NULL;
	char *save = NULL;
	int err = path ? hs_read_file(path, TEXT_BYTES_MAX, &text, NULL) : -ENOMEM;

	if (err)
		return err;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		hs_argv_add(events, "%s", line);
	return events->err;
}

int hs_tracer_open_file(const struct hs_tracer *tracer, const char *path)
{
	int fd = openat(tracer->dir_fd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fd = openat(tracer->root_fd, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void hs_tracer_free(struct hs_tracer *tracer)
{
	if (!tracer)
		return;
	if (tracer->dir_fd >= 0) {
		if (!tracer->as_it_is && !tracer->instance)
			make_empty(tracer);
		close(tracer->dir_fd);
	}
	if (tracer->hold_fd >= 0)
		close(tracer->hold_fd);
	if (tracer->instance && unlinkat(tracer->root_fd, tracer->instance, AT_REMOVEDIR))
		hs_warn("cannot remove the ftrace instance %s: %s", tracer->instance, strerror(errno));
	if (tracer->root_fd >= 0)
		close(tracer->root_fd);
	free(tracer->instance);
	free(tracer);
}
