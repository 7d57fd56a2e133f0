// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rotation in three steps: rename, create, remove the oldest. A process that dies between them leaves a folder from
 * which the next one goes on: without NAME it is created, and a file too many goes with the next rotation.
 */
#include "journal/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"

#define BUFFER_BYTES (256u << 10)
#define RETRY_NS 1000000000ull /* of a full disk */

struct hs_log_files {
	struct hs_log_files_config config;
	char *dir, *name;
	int dir_fd, fd;	      /* fd -1: cannot be written now */
	uint64_t bytes;	      /* of NAME, without what is buffered */
	uint64_t empty_bytes; /* so many of them tell nothing: the first line of a file that we began */
	uint64_t number;      /* of NAME: what it is renamed to */
	uint64_t oldest;      /* number of the oldest file that may be there */
	uint64_t created_ns, retry_ns;
	bool is_full;
	uint64_t unsaid_lines; /* lost, not told in the log yet */
	struct hs_log_files_counts counts;
	size_t len;
	char buffer[BUFFER_BYTES];
};

/* ---- names ---- */

static void name_of(const struct hs_log_files *files, uint64_t number, char *name, size_t size)
{
	snprintf(name, size, "%s.%" PRIu64, files->name, number);
}

/* The number of an older file's name; 0: it is none. */
static uint64_t number_of(const struct hs_log_files *files, const char *name)
{
	size_t len = strlen(files->name);
	uint64_t number = 0;

	if (strncmp(name, files->name, len) || name[len] != '.' || name[len + 1] == '0')
		return 0;
	for (const char *at = name + len + 1; *at; at++)
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
			return 0;
	return number;
}

/* Whether that file's first line is what we write as the first line of file `number`. */
static bool is_ours(const struct hs_log_files *files, const char *name, uint64_t number)
{
	scoped(fd) int fd = openat(files->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[1024], mark[64], *found;
	ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	int len = snprintf(mark, sizeof(mark), HS_LOG_FILES_MARK "%" PRIu64, number);

	if (got <= 0)
		return false;
	text[got] = '\0';
	text[strcspn(text, "\n")] = '\0';
	found = strstr(text, mark);
	return found && (found[len] < '0' || found[len] > '9');
}

/* Numbers of the files that are there. */
static int find_numbers(struct hs_log_files *files)
{
	scoped(fd) int fd = openat(files->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped(dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint64_t newest = 0, oldest = UINT64_MAX, number;
	struct dirent *entry;

	if (!dir)
		return hs_fail(-errno, "cannot read %s:", files->dir);
	take_fd(&fd);
	while ((entry = readdir(dir))) {
		number = number_of(files, entry->d_name);
		if (!number || number == UINT64_MAX || !is_ours(files, entry->d_name, number))
			continue;
		newest = number > newest ? number : newest;
		oldest = number < oldest ? number : oldest;
	}
	files->number = newest + 1;
	files->oldest = oldest < files->number ? oldest : files->number;
	return 0;
}

/* ---- writing ---- */

static void stop_writing(struct hs_log_files *files, int err)
{
	if (!files->is_full)
		hs_fail(err, "cannot write %s/%s: records are counted, not written, until it can be written again:",
			files->dir, files->name);
	files->is_full = true;
	files->retry_ns = hs_now_ns() + RETRY_NS;
}

static uint64_t count_lines(const char *bytes, size_t len)
{
	uint64_t lines = 0;

	for (const char *at = bytes, *end = bytes + len; (at = memchr(at, '\n', (size_t)(end - at))); at++)
		lines++;
	return lines;
}

static void lose(struct hs_log_files *files, const char *bytes, size_t len)
{
	uint64_t lines = count_lines(bytes, len);

	files->counts.lost_lines += lines;
	files->unsaid_lines += lines;
}

/* Whole lines or nothing: what got half into a full disk is taken back. */
static bool write_lines(struct hs_log_files *files, const char *bytes, size_t len)
{
	int err = files->fd < 0 ? -EBADF : hs_write_all(files->fd, bytes, len);

	if (err) {
		if (files->fd >= 0 && ftruncate(files->fd, (off_t)files->bytes) < 0)
			hs_dbg("%s cannot be cut to whole lines", files->name);
		stop_writing(files, err);
		return false;
	}
	files->bytes += len;
	files->counts.bytes += len;
	files->counts.lines += count_lines(bytes, len);
	return true;
}

static bool write_header(struct hs_log_files *files)
{
	scoped(mem) char *line = NULL;
	size_t len;

	return !files->config.make_header(files->config.ctx, files->number, &line, &len) &&
	       write_lines(files, line, len);
}

/* A file that somebody may have begun: its length, a last line that was cut off, and its age. */
static int go_on_with(struct hs_log_files *files)
{
	struct statx status;
	char last = '\n';

	if (statx(files->fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_BTIME, &status) < 0)
		return -errno;
	files->bytes = status.stx_size;
	files->empty_bytes = 0;
	files->created_ns = hs_now_ns();
	if (status.stx_mask & STATX_BTIME && files->bytes) {
		struct timespec now;
		int64_t age_s;

		clock_gettime(CLOCK_REALTIME, &now);
		age_s = now.tv_sec - status.stx_btime.tv_sec;
		if (age_s > 0 && (uint64_t)age_s * 1000000000ull < files->created_ns)
			files->created_ns -= (uint64_t)age_s * 1000000000ull;
	}
	if (files->bytes && pread(files->fd, &last, 1, (off_t)files->bytes - 1) == 1 && last != '\n')
		write_lines(files, "\n", 1);
	return 0;
}

static int open_current(struct hs_log_files *files)
{
	int err;

	files->fd = openat(files->dir_fd, files->name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (files->fd < 0)
		return -errno;
	err = go_on_with(files);
	if (!err && !files->bytes) {
		files->counts.files++;
		write_header(files);
		files->empty_bytes = files->bytes;
	}
	return err;
}

static void close_current(struct hs_log_files *files)
{
	if (files->fd >= 0)
		close(files->fd);
	files->fd = -1;
}

/* Those beyond max_files, oldest first, as far as they are ours. */
static void remove_oldest(struct hs_log_files *files)
{
	char name[300];

	for (; files->oldest + files->config.max_files <= files->number; files->oldest++) {
		name_of(files, files->oldest, name, sizeof(name));
		if (is_ours(files, name, files->oldest))
			unlinkat(files->dir_fd, name, 0);
	}
}

static void rotate(struct hs_log_files *files)
{
	char name[300];

	name_of(files, files->number, name, sizeof(name));
	/* NOREPLACE: a file of that name came from elsewhere, and stays. */
	while (renameat2(files->dir_fd, files->name, files->dir_fd, name, RENAME_NOREPLACE) < 0) {
		if (errno != EEXIST) {
			stop_writing(files, -errno);
			return;
		}
		name_of(files, ++files->number, name, sizeof(name));
	}
	close_current(files);
	files->number++;
	remove_oldest(files); /* before the new one: on a full disk its room is needed */
	if (open_current(files))
		stop_writing(files, -errno);
}

static bool tell_loss(struct hs_log_files *files)
{
	scoped(mem) char *line = NULL;
	size_t len;

	if (!files->unsaid_lines)
		return true;
	if (files->config.make_loss(files->config.ctx, files->unsaid_lines, &line, &len) ||
	    !write_lines(files, line, len))
		return false;
	files->unsaid_lines = 0;
	return true;
}

/* True when there is room again, and what was lost is told. */
static bool try_again(struct hs_log_files *files)
{
	if (hs_now_ns() < files->retry_ns)
		return false;
	files->retry_ns = hs_now_ns() + RETRY_NS;
	if (files->fd < 0 && open_current(files))
		return false;
	if (!files->bytes && !write_header(files))
		return false;
	if (!tell_loss(files))
		return false;
	files->is_full = false;
	hs_info("%s/%s can be written again", files->dir, files->name);
	return true;
}

void hs_log_files_flush(struct hs_log_files *files)
{
	size_t len = files->len;

	files->len = 0;
	if (!len)
		return;
	if ((files->is_full && !try_again(files)) || !write_lines(files, files->buffer, len))
		lose(files, files->buffer, len);
}

void hs_log_files_write(struct hs_log_files *files, const char *line, size_t len)
{
	if (files->bytes + files->len + len > files->config.max_bytes && files->bytes + files->len) {
		hs_log_files_flush(files);
		if (!files->is_full)
			rotate(files);
	}
	if (files->len + len > BUFFER_BYTES)
		hs_log_files_flush(files);
	if (len > BUFFER_BYTES) {
		if ((files->is_full && !try_again(files)) || !write_lines(files, line, len))
			lose(files, line, len);
		return;
	}
	memcpy(files->buffer + files->len, line, len);
	files->len += len;
}

uint64_t hs_log_files_tick(struct hs_log_files *files)
{
	uint64_t now_ns = hs_now_ns(), due_ns = files->created_ns + files->config.max_age_ns;

	if (files->is_full && !try_again(files))
		return files->retry_ns;
	if (!files->config.max_age_ns)
		return 0;
	if (now_ns >= due_ns) {
		hs_log_files_flush(files);
		/* A machine that has nothing to say does not push out what it said before. */
		if (files->bytes > files->empty_bytes)
			rotate(files);
		else
			files->created_ns = now_ns;
		due_ns = files->created_ns + files->config.max_age_ns;
	}
	return due_ns;
}

void hs_log_files_reopen(struct hs_log_files *files)
{
	int err;

	hs_log_files_flush(files);
	close_current(files);
	err = open_current(files);
	if (err)
		stop_writing(files, err);
}

/* ---- the row ---- */

static int open_dir(struct hs_log_files *files)
{
	int err = hs_make_dirs(files->dir);

	if (err)
		return err;
	files->dir_fd = open(files->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->dir_fd < 0)
		return hs_fail(-errno, "cannot open %s:", files->dir);
	if (flock(files->dir_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK
		       ? hs_fail(-EBUSY, "another hsbpf log writes %s; -o DIR names another folder", files->dir)
		       : hs_fail(-errno, "cannot lock %s:", files->dir);
}

int hs_log_files_open(const struct hs_log_files_config *config, struct hs_log_files **out)
{
	scoped(hs_log_files) struct hs_log_files *files = calloc(1, sizeof(*files));
	int err;

	if (!files)
		return -ENOMEM;
	files->config = *config;
	files->dir_fd = files->fd = -1;
	files->dir = strdup(config->dir);
	files->name = strdup(config->name);
	if (!files->dir || !files->name)
		return -ENOMEM;
	err = open_dir(files);
	if (!err)
		err = find_numbers(files);
	if (!err)
		*out = take(files);
	return err;
}

int hs_log_files_begin(struct hs_log_files *files)
{
	int err = open_current(files);

	if (err)
		return hs_fail(err, "cannot write %s/%s:", files->dir, files->name);
	remove_oldest(files);
	return 0;
}

void hs_log_files_free(struct hs_log_files *files)
{
	if (!files)
		return;
	if (files->fd >= 0)
		hs_log_files_flush(files);
	close_current(files);
	if (files->dir_fd >= 0)
		close(files->dir_fd);
	free(files->dir);
	free(files->name);
	free(files);
}

const struct hs_log_files_counts *hs_log_files_counts(const struct hs_log_files *files)
{
	return &files->counts;
}

int hs_log_files_dir_fd(const struct hs_log_files *files)
{
	return files->dir_fd;
}

void hs_log_files_each(const struct hs_log_files *files, bool (*on_file)(void *ctx, int fd), void *ctx)
{
	char name[300];
	bool must_stop = false;

	for (uint64_t number = files->number; !must_stop && number >= files->oldest && number; number--) {
		scoped(fd) int fd = -1;

		if (number == files->number)
			snprintf(name, sizeof(name), "%s", files->name);
		else
			name_of(files, number, name, sizeof(name));
		fd = openat(files->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		must_stop = fd >= 0 && on_file(ctx, fd);
	}
}
