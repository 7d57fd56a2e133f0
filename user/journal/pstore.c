// SPDX-License-Identifier: GPL-2.0-only
/* Lines by hand, since they are a dead kernel's and may hold anything; files by descriptor. */
#include "journal/pstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/kernelfs.h"
#include "base/log.h"
#include "base/scoped.h"
#include "journal/last.h"

#define SECOND_NS 1000000000ull
#define FILE_BYTES_MAX (16u << 20)
#define ARCHIVE "/var/lib/systemd/pstore"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "<6>" or "<30>", where the facility stands above the severity; bytes taken, 0 if it is not there. */
static size_t parse_severity(const char *text, size_t len, int *severity)
{
	size_t at = 1;
	int number = 0;

	if (len < 3 || text[0] != '<')
		return 0;
	while (at < len && at < 4 && is_digit(text[at]))
		number = number * 10 + (text[at++] - '0');
	if (at == 1 || at >= len || text[at] != '>')
		return 0;
	*severity = number & 7;
	return at + 1;
}

/* "[   12.345678] ": bytes taken, 0 if it is not there. Between time and text CONFIG_PRINTK_CALLER has "[    T1] ". */
static size_t parse_time(const char *text, size_t len, uint64_t *ns)
{
	uint64_t seconds = 0, fraction = 0;
	size_t at = 1;
	int digits = 0;

	if (len < 5 || text[0] != '[')
		return 0;
	while (at < len && text[at] == ' ')
		at++;
	for (; at < len && at < 12 && is_digit(text[at]); at++, digits++)
		seconds = seconds * 10 + (uint64_t)(text[at] - '0');
	if (!digits || at >= len || text[at++] != '.')
		return 0;
	for (digits = 0; at < len && digits < 6 && is_digit(text[at]); at++, digits++)
		fraction = fraction * 10 + (uint64_t)(text[at] - '0');
	if (digits != 6 || at >= len || text[at++] != ']')
		return 0;
	*ns = seconds * SECOND_NS + fraction * 1000;
	return at + (at < len && text[at] == ' ');
}

bool hs_pstore_line_next(const char **at, const char *end, struct hs_pstore_line *out)
{
	const char *text = *at, *stop;
	size_t taken;

	if (text >= end)
		return false;
	stop = memchr(text, '\n', (size_t)(end - text));
	*at = stop ? stop + 1 : end;
	stop = stop ? stop : end;
	*out = (struct hs_pstore_line){ .severity = -1 };
	taken = parse_severity(text, (size_t)(stop - text), &out->severity);
	out->text = text + taken;
	out->len = (size_t)(stop - out->text);
	out->time_len = parse_time(out->text, out->len, &out->machine_ns);
	out->has_machine_ns = out->time_len;
	return true;
}

/* ---- the host's own ---- */

static bool is_same(const struct stat *one, const struct stat *other)
{
	return one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
	       one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

/* Whether one of the folders host, host.2, ... has that file, by name, size and time. */
static bool is_copied(const char *last_dir, const char *name, const struct stat *source)
{
	for (unsigned n = 1;; n++) {
		scoped(mem) char *dir = hs_last_folder(last_dir, "host", n);
		scoped(mem) char *path = dir ? hs_format("%s/%s", dir, name) : NULL;
		struct stat st;

		if (!path || access(dir, F_OK) < 0)
			return false;
		if (!stat(path, &st) && is_same(&st, source))
			return true;
	}
}

static int copy(int source_fd, const char *name, const char *dir, const struct stat *st)
{
	scoped(fd) int in = openat(source_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	scoped(mem) char *path = hs_format("%s/%s", dir, name);
	scoped(fd) int out = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	const struct timespec times[] = { st->st_mtim, st->st_mtim };
	char bytes[65536];
	ssize_t got = 0;
	int err = 0;

	if (in < 0 || out < 0)
		return hs_fail(-errno, "cannot copy %s of the host's pstore to %s:", name, dir);
	while (!err && (got = read(in, bytes, sizeof(bytes))) > 0)
		err = hs_write_all(out, bytes, (size_t)got);
	if (got < 0)
		err = -errno;
	if (!err && (fsync(out) < 0 || futimens(out, times) < 0))
		err = -errno;
	return err ? hs_fail(err, "cannot copy %s of the host's pstore to %s:", name, dir) : 0;
}

static uint64_t time_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * SECOND_NS + (uint64_t)time->tv_nsec;
}

/* How many files are new; with dir, they are copied there. */
static int each_new(int source_fd, uint64_t since_ns, const char *last_dir, const char *dir)
{
	scoped(fd) int fd = openat(source_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	scoped(dir) DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int count = 0, err = 0;

	if (!entries)
		return -errno;
	take_fd(&fd);
	while (!err && (entry = readdir(entries))) {
		struct stat st;

		if (fstatat(source_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) ||
		    st.st_size > FILE_BYTES_MAX || time_ns(&st.st_ctim) < since_ns ||
		    is_copied(last_dir, entry->d_name, &st))
			continue;
		if (dir)
			err = copy(source_fd, entry->d_name, dir, &st);
		count++;
	}
	return err ? err : count;
}

int hs_pstore_save_from(const char *last_dir, int source_fd, uint64_t since_ns)
{
	scoped(mem) char *making = hs_format("%s/.host", last_dir), *dir = NULL;
	int count = each_new(source_fd, since_ns, last_dir, NULL), err;

	if (count <= 0)
		return count;
	if (!making)
		return -ENOMEM;
	hs_remove_tree(making); /* of one that was killed in the middle */
	err = hs_make_dirs(making);
	if (!err)
		err = each_new(source_fd, since_ns, last_dir, making);
	if (err > 0)
		err = hs_last_name(last_dir, "host", making, &dir);
	if (err < 0)
		return err;
	hs_info("this host has crashed before: what its kernel left (%d files) is in %s", count, dir);
	return count;
}

static uint64_t boot_real_ns(void)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return time_ns(&real) - time_ns(&boot);
}

/* systemd-pstore's archive: files, or a folder of them for each crash. */
static int save_archived(const char *last_dir)
{
	uint64_t since_ns = boot_real_ns();
	scoped(dir) DIR *archive = opendir(ARCHIVE);
	struct dirent *entry;
	int count = 0, got = 0;

	while (archive && got >= 0 && (entry = readdir(archive))) {
		scoped(fd) int fd = -1;

		if (!strcmp(entry->d_name, ".."))
			continue;
		fd = openat(dirfd(archive), entry->d_name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		got = fd < 0 ? 0 : hs_pstore_save_from(last_dir, fd, since_ns);
		count += got;
	}
	return got < 0 ? got : count;
}

int hs_pstore_save(const char *last_dir)
{
	scoped(fd) int fd = hs_kernelfs_open("/sys/fs/pstore", "pstore", PSTOREFS_MAGIC);
	int count = 0, archived;

	if (fd < 0)
		hs_dbg("the host's pstore cannot be read: %s", strerror(-fd)); /* a kernel without, or not root */
	else
		count = hs_pstore_save_from(last_dir, fd, 0);
	archived = count < 0 ? count : save_archived(last_dir);
	return archived < 0 ? archived : count + archived;
}
