// SPDX-License-Identifier: GPL-2.0-only
/* Reading small files of the kernel into TEXT frames. A file that cannot be read is a text without bytes. */
#include "agent/texts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define PIECE_BYTES 61440
/* What may wait in the control port's queue before the next piece. */
#define AHEAD_BYTES (256u << 10)

struct text {
	enum hs_wire_what what;
	char *name, *path; /* of tracefs unless it begins with '/' */
};

struct hs_texts {
	struct hs_control *control;
	const struct hs_tracer *tracer;
	struct hs_wire_frame order;
	struct text *list;
	size_t count, next;
	int fd; /* of list[next], -1: not open yet */
	uint64_t offset;
	uint8_t piece[PIECE_BYTES];
};

static int add(struct hs_texts *texts, enum hs_wire_what what, const char *name, const char *path)
{
	struct text *list = reallocarray(texts->list, texts->count + 1, sizeof(*list));
	struct text *text;

	if (!list)
		return -ENOMEM;
	texts->list = list;
	text = &list[texts->count];
	*text = (struct text){ .what = what, .name = strdup(name), .path = strdup(path) };
	if (!text->name || !text->path) {
		free(text->name);
		free(text->path);
		return -ENOMEM;
	}
	texts->count++;
	return 0;
}

static int add_formats(struct hs_texts *texts)
{
	scoped(argv) struct hs_argv events = { 0 };
	int err = hs_tracer_list_events(texts->tracer, &events);

	for (size_t i = 0; i < events.count && !err; i++) {
		char *colon = strchr(events.words[i], ':');
		scoped(mem) char *path = NULL;

		if (!colon)
			continue;
		*colon = '/';
		path = hs_format("events/%s/format", events.words[i]);
		err = path ? add(texts, HS_WIRE_WHAT_FORMATS, events.words[i], path) : -ENOMEM;
	}
	return err;
}

static int add_all(struct hs_texts *texts, uint64_t what)
{
	static const struct {
		enum hs_wire_what what;
		const char *path;
	} files[] = {
		{ HS_WIRE_WHAT_HEADER_PAGE, "events/header_page" },
		{ HS_WIRE_WHAT_PRINTK_FORMATS, "printk_formats" },
		{ HS_WIRE_WHAT_CMDLINES, "saved_cmdlines" },
		{ HS_WIRE_WHAT_KALLSYMS, "/proc/kallsyms" },
	};
	int err = 0;

	if (what & HS_WIRE_WHAT_FORMATS && texts->tracer)
		err = add_formats(texts);
	for (size_t i = 0; i < HS_ARRAY_SIZE(files) && !err; i++) {
		bool is_here = texts->tracer || files[i].path[0] == '/';

		if (what & files[i].what && is_here)
			err = add(texts, files[i].what, files[i].path, files[i].path);
	}
	return err;
}

int hs_texts_open(struct hs_control *control, const struct hs_wire_frame *order, uint64_t what,
		  const struct hs_tracer *tracer, struct hs_texts **out)
{
	scoped(hs_texts) struct hs_texts *texts = calloc(1, sizeof(*texts));
	int err;

	if (!texts)
		return -ENOMEM;
	texts->control = control;
	texts->tracer = tracer;
	texts->order = *order;
	texts->fd = -1;
	err = add_all(texts, what);
	if (!err)
		*out = take(texts);
	return err;
}

/* As much as a piece holds: such files give a page at a time. */
static size_t read_piece(struct hs_texts *texts)
{
	size_t have = 0;

	while (texts->fd >= 0 && have < PIECE_BYTES) {
		ssize_t got = read(texts->fd, texts->piece + have, PIECE_BYTES - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	return have;
}

static void open_next(struct hs_texts *texts)
{
	const char *path = texts->list[texts->next].path;

	texts->fd = path[0] == '/' ? open(path, O_RDONLY | O_CLOEXEC) : hs_tracer_open_file(texts->tracer, path);
	texts->offset = 0;
}

static void send_piece(struct hs_texts *texts)
{
	const struct text *text = &texts->list[texts->next];
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	size_t len;

	if (texts->fd < 0)
		open_next(texts);
	len = read_piece(texts);
	hs_wire_put_number(&payload, HS_WIRE_WHAT, text->what);
	hs_wire_put_text(&payload, HS_WIRE_NAME, text->name);
	hs_wire_put_number(&payload, HS_WIRE_OFFSET, texts->offset);
	hs_wire_put(&payload, HS_WIRE_BYTES, texts->piece, len);
	if (len < PIECE_BYTES)
		hs_wire_put_number(&payload, HS_WIRE_LAST, 1);
	if (!payload.err)
		hs_control_answer(texts->control, &texts->order, HS_WIRE_TEXT, payload.bytes, payload.len);
	texts->offset += len;
	if (len == PIECE_BYTES)
		return;
	if (texts->fd >= 0)
		close(texts->fd);
	texts->fd = -1;
	texts->next++;
}

bool hs_texts_send(struct hs_texts *texts)
{
	while (texts->next < texts->count && hs_control_queued_bytes(texts->control) < AHEAD_BYTES)
		send_piece(texts);
	return texts->next == texts->count;
}

const struct hs_wire_frame *hs_texts_order(const struct hs_texts *texts)
{
	return &texts->order;
}

void hs_texts_free(struct hs_texts *texts)
{
	if (!texts)
		return;
	for (size_t i = 0; i < texts->count; i++) {
		free(texts->list[i].name);
		free(texts->list[i].path);
	}
	if (texts->fd >= 0)
		close(texts->fd);
	free(texts->list);
	free(texts);
}
