// SPDX-License-Identifier: GPL-2.0-only
/* Files and folders of a run, of the cache and of /sys. Callers own what is returned. */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "scoped.h"

#define TAIL_BYTES 65536

int hs_write_all(int fd, const void *bytes, size_t len)
{
	const char *next = bytes;

	while (len) {
		ssize_t done = write(fd, next, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		next += done;
		len -= (size_t)done;
	}
	return 0;
}

static int read_fd(int fd, size_t max_bytes, char **text, size_t *len)
{
	scoped(mem) char *buf = NULL;
	size_t used = 0, size = 0;

	for (;;) {
		ssize_t got;

		if (used + 1 >= size) {
			char *grown = realloc(buf, size = size ? size * 2 : 4096);

			if (!grown)
				return -ENOMEM;
			buf = grown;
		}
		got = read(fd, buf + used, size - used - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
		if (used > max_bytes)
			return -EFBIG;
	}
	buf[used] = '\0';
	*text = take(buf);
	if (len)
		*len = used;
	return 0;
}

int hs_read_file(const char *path, size_t max_bytes, char **text, size_t *len)
{
	scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : read_fd(fd, max_bytes, text, len);
}

int hs_write_text(const char *path, const char *text)
{
	scoped(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

int hs_write_file_atomic(const char *path, const void *bytes, size_t len)
{
	scoped(mem) char *temporary = hs_format("%s.tmp", path);
	scoped(fd) int fd = -1;
	int err;

	if (!temporary)
		return -ENOMEM;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return hs_fail(-errno, "cannot create %s:", temporary);
	err = hs_write_all(fd, bytes, len);
	if (err || rename(temporary, path) < 0) {
		err = err ? err : -errno;
		unlink(temporary);
		return hs_fail(err, "cannot write %s:", path);
	}
	return 0;
}

int hs_make_dirs(const char *path)
{
	scoped(mem) char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return -ENOMEM;
	for (char *slash = copy + 1; *slash; slash++) {
		if (*slash != '/')
			continue;
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return hs_fail(-errno, "cannot create the folder %s:", copy);
		*slash = '/';
	}
	if (mkdir(copy, 0700) < 0 && errno != EEXIST)
		return hs_fail(-errno, "cannot create the folder %s:", copy);
	if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
		return hs_fail(-ENOTDIR, "cannot create the folder %s: a file is in the way", copy);
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st, (void)type, (void)walk;
	return remove(path) < 0 && errno != ENOENT ? -errno : 0;
}

int hs_remove_tree(const char *path)
{
	int err = nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	return err < 0 && errno == ENOENT ? 0 : err;
}

char *hs_format(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return len < 0 ? NULL : text;
}

char *hs_tail_lines(const char *path, int lines)
{
	scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	scoped(mem) char *buf = calloc(1, TAIL_BYTES + 1);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t got = 0;
	char *start, *end;

	if (!buf)
		return NULL;
	if (fd >= 0)
		got = pread(fd, buf, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
	if (got < 0)
		got = 0;
	while (got > 0 && strchr("\r\n", buf[got - 1]))
		got--;
	for (start = buf + got; start > buf; start--)
		if (start[-1] == '\n' && --lines == 0)
			break;
	end = start;
	for (const char *c = start; c < buf + got; c++)
		if (*c != '\r') /* a serial console ends its lines with \r\n */
			*end++ = (*c < ' ' && *c != '\n' && *c != '\t') || *c == 0x7f ? '?' : *c;
	return strndup(start, (size_t)(end - start));
}
