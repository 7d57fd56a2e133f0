// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that somebody else appends to (a serial console, QEMU's stderr), line by line. The kernel tells when it
 * grows (where it has no more inotify instances it is looked at once a second); a line without an end, such as the last
 * of a panic, is taken after a second. Files tell no times: a line's is when it was read, and its bound how long nobody
 * had looked, a second at most; of what was there before, how old the file is. A log that goes on with a file leaves
 * out what it has; the rest of a line that it had half may be left out with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/log.h"
#include "journal/source.h"

#define READ_BYTES 65536
#define READS_PER_TURN 16
#define TURNS_AT_END 64 /* one that grows and grows is not waited for */
#define QUIET_NS 1000000000ull
#define DIR_EVENTS (IN_CREATE | IN_MOVED_TO)

struct hs_file_log {
	struct hs_journal *journal;
	unsigned stream;
	enum hs_journal_source kind;
	char *path;
	int fd;		 /* -1: not there yet */
	bool is_refused; /* it is there, but not for us: said */
	ino_t inode;
	uint64_t offset, looked_ns;
	uint64_t taken;			       /* of the bytes read, up to the end of what is in `line` */
	uint64_t opened_ns, age_ns, old_bytes; /* it was so old then, and had so many */
	uint64_t skip;			       /* lines that the log has */
	bool is_other;			       /* it has not those lines: it was emptied and filled again */
	struct hs_watch events, quiet;	       /* events: inotify's, or without one a timer */
	bool is_polled;
	size_t len;
	bool is_fragment; /* what is in `line` goes on with what was put */
	char line[HS_MERGE_TEXT_MAX];
};

/* How long before now what is in `line` may have been written. */
static uint64_t error_of_line(const struct hs_file_log *source, uint64_t now_ns)
{
	uint64_t unseen_ns = now_ns - source->looked_ns;

	if (source->taken <= source->old_bytes)
		return source->age_ns + (now_ns - source->opened_ns);
	return unseen_ns < QUIET_NS ? unseen_ns : QUIET_NS;
}

static void put_line(struct hs_file_log *source)
{
	struct hs_journal_record record = hs_journal_record_new(NULL, source->kind);
	size_t len = source->len;

	while (len && source->line[len - 1] == '\r')
		len--;
	record.text = source->line;
	record.len = len;
	record.is_fragment = source->is_fragment;
	if (len && source->skip) {
		source->skip -= !source->is_fragment;
		source->is_other = !source->skip && !hs_journal_has_last(source->journal, source->stream, &record);
	} else if (len) {
		record.boot_ns = hs_now_ns();
		record.error_ns = error_of_line(source, record.boot_ns);
		record.file_end = source->taken;
		hs_journal_put(source->journal, source->stream, &record, false);
	}
	source->len = 0;
	source->is_fragment = false;
}

static void take_bytes(struct hs_file_log *source, const char *bytes, size_t len)
{
	while (len && !source->is_other) {
		const char *newline = memchr(bytes, '\n', len);
		size_t part = newline ? (size_t)(newline - bytes) : len, room = sizeof(source->line) - source->len;

		if (part > room) {
			memcpy(source->line + source->len, bytes, room);
			source->len += room;
			source->taken += room;
			put_line(source);
			source->is_fragment = true;
			bytes += room;
			len -= room;
			continue;
		}
		memcpy(source->line + source->len, bytes, part);
		source->len += part;
		source->taken += part + (newline != NULL);
		if (newline)
			put_line(source);
		bytes += part + (newline != NULL);
		len -= part + (newline != NULL);
	}
}

/* What was half a line stays one; there is no more of that file. */
static void close_file(struct hs_file_log *source)
{
	if (source->len)
		put_line(source);
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
	source->offset = 0;
}

/* Where it is read from: behind what the log has of it, which can be in the middle of a line. */
static void begin_file(struct hs_file_log *source, bool is_emptied)
{
	struct statx status;
	struct timespec now;
	char id[48], before;
	int64_t age_ns;

	if (statx(source->fd, "", AT_EMPTY_PATH, STATX_INO | STATX_SIZE | STATX_BTIME, &status) < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	age_ns = (now.tv_sec - status.stx_btime.tv_sec) * 1000000000ll + now.tv_nsec - status.stx_btime.tv_nsec;
	source->opened_ns = hs_now_ns();
	/* A file system that knows no births: since this host's boot, or the clock was set. */
	source->age_ns = status.stx_mask & STATX_BTIME && age_ns > 0 ? (uint64_t)age_ns : source->opened_ns;
	source->old_bytes = status.stx_size;
	snprintf(id, sizeof(id), "%llx-%llx-%x", (unsigned long long)status.stx_ino,
		 status.stx_mask & STATX_BTIME ? (unsigned long long)status.stx_btime.tv_sec : 0,
		 status.stx_mask & STATX_BTIME ? status.stx_btime.tv_nsec : 0);
	hs_journal_begin_file(source->journal, source->stream, id, is_emptied ? 0 : status.stx_size, &source->offset,
			      &source->skip);
	source->taken = source->offset;
	source->is_fragment =
		source->offset && pread(source->fd, &before, 1, (off_t)source->offset - 1) == 1 && before != '\n';
}

static void open_file(struct hs_file_log *source, bool is_emptied)
{
	struct stat status;

	source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (source->fd < 0) {
		if (errno != ENOENT && !source->is_refused)
			hs_fail(-errno, "cannot read %s, which is tried again when it changes:", source->path);
		source->is_refused = true;
		return;
	}
	source->is_refused = false;
	if (fstat(source->fd, &status) || !S_ISREG(status.st_mode)) {
		if (source->events.fd >= 0)
			hs_warn("%s is no file: it is not followed", source->path);
		hs_loop_close(hs_journal_loop(source->journal), &source->events);
		close_file(source);
		return;
	}
	source->inode = status.st_ino;
	begin_file(source, is_emptied);
	if (!source->is_polled)
		inotify_add_watch(source->events.fd, source->path, IN_MODIFY);
}

/* Another file of that name, or the same one emptied: read from its beginning. */
static void look_for_file(struct hs_file_log *source)
{
	struct stat status;
	bool is_there = stat(source->path, &status) == 0, is_emptied = false;

	if (source->fd >= 0 && is_there &&
	    (status.st_ino != source->inode || (uint64_t)status.st_size < source->offset)) {
		is_emptied = status.st_ino == source->inode;
		close_file(source);
	}
	if (source->fd < 0 && is_there)
		open_file(source, is_emptied);
}

/* After a look at its end, or at the last line that the log has: whether the file is read from its beginning again. */
static bool is_begun_anew(struct hs_file_log *source, bool is_at_end)
{
	bool has_half = source->len && !source->is_fragment; /* one of those lines, perhaps */

	if (!source->is_other && !(is_at_end && source->skip > has_half))
		return false;
	source->is_other = false;
	source->len = 0;
	begin_file(source, true);
	return true;
}

/* True when there may be more. */
static bool read_file(struct hs_file_log *source)
{
	char bytes[READ_BYTES];
	ssize_t got = 0;

	for (unsigned i = 0; i < READS_PER_TURN && source->fd >= 0; i++) {
		got = pread(source->fd, bytes, sizeof(bytes), (off_t)source->offset);
		if (got > 0) {
			source->offset += (uint64_t)got;
			take_bytes(source, bytes, (size_t)got);
		}
		if (!is_begun_anew(source, !got) && got <= 0)
			break;
	}
	source->looked_ns = hs_now_ns();
	return got > 0;
}

static void on_quiet(void *ctx, uint32_t events);

/* Goes on at once when there is more, so that others get their turn; else waits for the end of a line. */
static void go_on(struct hs_file_log *source, bool has_more)
{
	if (source->quiet.fd < 0 && (has_more || source->len))
		hs_loop_timer(hs_journal_loop(source->journal), &source->quiet, has_more ? 1 : QUIET_NS, on_quiet,
			      source);
}

static void on_quiet(void *ctx, uint32_t events)
{
	struct hs_file_log *source = ctx;
	uint64_t before = source->offset;
	bool has_more = read_file(source);

	(void)events;
	hs_loop_close(hs_journal_loop(source->journal), &source->quiet);
	if (source->len && source->offset == before) {
		put_line(source);
		source->is_fragment = true; /* unless a newline comes next */
		has_more = is_begun_anew(source, false);
	}
	go_on(source, has_more);
}

static void on_grown(void *ctx, uint32_t events)
{
	struct hs_file_log *source = ctx;
	char names[4096];

	(void)events;
	/* Events are taken before the look: what comes after it tells of itself. */
	while (!source->is_polled && read(source->events.fd, names, sizeof(names)) > 0)
		;
	look_for_file(source);
	go_on(source, read_file(source));
}

static int watch_file(struct hs_file_log *source)
{
	scoped(fd) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	scoped(mem) char *copy = strdup(source->path);
	int err;

	if (!copy)
		return -ENOMEM;
	source->is_polled = fd < 0; /* a user may have 128 of them in all */
	if (source->is_polled)
		return hs_loop_timer(hs_journal_loop(source->journal), &source->events, QUIET_NS, on_grown, source);
	if (inotify_add_watch(fd, dirname(copy), DIR_EVENTS) < 0)
		return hs_fail(-errno, "cannot watch the folder of %s:", source->path);
	err = hs_loop_add(hs_journal_loop(source->journal), &source->events, fd, EPOLLIN, on_grown, source);
	if (!err)
		take_fd(&fd);
	return err;
}

int hs_file_log_open(struct hs_journal *journal, const char *machine, enum hs_journal_source kind, const char *path,
		     struct hs_file_log **out)
{
	scoped(hs_file_log) struct hs_file_log *source = calloc(1, sizeof(*source));
	int stream, err;

	if (!source)
		return -ENOMEM;
	source->journal = journal;
	source->kind = kind;
	source->fd = -1;
	source->events = source->quiet = HS_WATCH_NONE;
	source->path = strdup(path);
	if (!source->path)
		return -ENOMEM;
	stream = hs_journal_add_stream(journal, machine, kind);
	if (stream < 0)
		return stream;
	source->stream = (unsigned)stream;
	err = watch_file(source);
	if (err)
		return err;
	*out = source;
	on_grown(take(source), 0);
	return 0;
}

void hs_file_log_drain(struct hs_file_log *source)
{
	look_for_file(source);
	for (unsigned i = 0; i < TURNS_AT_END && read_file(source); i++)
		;
	if (source->len)
		put_line(source);
}

void hs_file_log_free(struct hs_file_log *source)
{
	if (!source)
		return;
	hs_loop_close(hs_journal_loop(source->journal), &source->events);
	hs_loop_close(hs_journal_loop(source->journal), &source->quiet);
	if (source->fd >= 0)
		close(source->fd);
	free(source->path);
	free(source);
}
