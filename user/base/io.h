/* SPDX-License-Identifier: GPL-2.0-only */
/* Small files, folders and descriptors. Everything that is created is 0600 or 0700. */
#ifndef HS_BASE_IO_H
#define HS_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all of it, through EINTR and short writes; 0 or -errno. */
int hs_write_all(int fd, const void *bytes, size_t len);

/* The whole file, NUL-terminated, malloc'd; at most max_bytes, else -EFBIG. No message. len may be NULL. */
int hs_read_file(const char *path, size_t max_bytes, char **text, size_t *len);

/* Writes a small kernel or /sys file in one write; no message. */
int hs_write_text(const char *path, const char *text);

/* Replaces path by a file with these bytes in one step (temporary name, rename). Message on failure. */
int hs_write_file_atomic(const char *path, const void *bytes, size_t len);

/* Creates the folder and its parents (0700). An existing folder is fine. Message on failure. */
int hs_make_dirs(const char *path);

/* Removes the folder and everything below it, not following links, not leaving the file system. No message. */
int hs_remove_tree(const char *path);

/* malloc'd text, or NULL without memory. */
char *hs_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The last `lines` lines of a file (bounded to 64 KiB), control characters as '?'; malloc'd, "" if empty. */
char *hs_tail_lines(const char *path, int lines);

#endif
