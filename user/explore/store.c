// SPDX-License-Identifier: GPL-2.0-only
/* One JSON document a line. A row replaces an earlier one with its id: a failed point that was tried again. */
#include "explore/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#define STORE_BYTES_MAX (1u << 30)

struct hs_store {
	char *path;
	int fd;
	json_object *rows; /* by id */
};

static int open_file(struct hs_store *store)
{
	store->fd = open(store->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (store->fd < 0)
		return hs_fail(-errno, "cannot write %s:", store->path);
	if (flock(store->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? hs_fail(-EBUSY, "another sweep writes to %s", store->path)
				    : hs_fail(-errno, "cannot lock %s:", store->path);
}

static bool take_row(struct hs_store *store, const char *line)
{
	json_object *row = json_tokener_parse(line);
	const char *id = hs_json_get_string(row, "id");

	if (*id)
		return !json_object_object_add(store->rows, id, row);
	json_object_put(row);
	return false;
}

/* Cuts text in place. What stands behind the last line break is the beginning of a row. */
static int take_rows(struct hs_store *store, char *text, size_t len)
{
	char *end = memrchr(text, '\n', len);
	size_t whole = end ? (size_t)(end - text) + 1 : 0, strange = 0;

	if (whole < len) {
		hs_warn("%s: the last line was not finished: its point is simulated again", store->path);
		if (ftruncate(store->fd, (off_t)whole) < 0)
			return hs_fail(-errno, "cannot cut %s:", store->path);
	}
	for (char *line = text; line < text + whole; line += strlen(line) + 1) {
		*strchrnul(line, '\n') = '\0';
		if (!take_row(store, line))
			strange++;
	}
	if (strange)
		hs_warn("%s: %zu lines are no results and were left out", store->path, strange);
	return 0;
}

static int read_rows(struct hs_store *store)
{
	scoped(mem) char *text = NULL;
	size_t len = 0;
	int err = hs_read_file(store->path, STORE_BYTES_MAX, &text, &len);

	return err ? hs_fail(err, "cannot read %s:", store->path) : take_rows(store, text, len);
}

int hs_store_open(const char *dir, struct hs_store **out)
{
	scoped(hs_store) struct hs_store *store = calloc(1, sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	store->fd = -1;
	store->rows = json_object_new_object();
	store->path = hs_format("%s/explore.jsonl", dir);
	if (!store->rows || !store->path)
		return -ENOMEM;
	err = hs_make_dirs(dir);
	if (!err)
		err = open_file(store);
	if (!err)
		err = read_rows(store);
	if (err)
		return err;
	*out = take(store);
	return 0;
}

void hs_store_free(struct hs_store *store)
{
	if (!store)
		return;
	if (store->fd >= 0)
		close(store->fd);
	json_object_put(store->rows);
	free(store->path);
	free(store);
}

json_object *hs_store_find(struct hs_store *store, const char *id)
{
	json_object *row = NULL;

	json_object_object_get_ex(store->rows, id, &row);
	return row;
}

int hs_store_add(struct hs_store *store, json_object *row)
{
	scoped(mem) char *line = hs_format("%s\n", json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN));
	int err = line ? hs_write_all(store->fd, line, strlen(line)) : -ENOMEM;

	json_object_object_add(store->rows, hs_json_get_string(row, "id"), row);
	return err ? hs_fail(err, "cannot write %s:", store->path) : 0;
}
