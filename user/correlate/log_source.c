// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pulls lines out of the log's parser, which pushes them: a piece of the file is fed, its lines wait in a list.
 * Called by the correlator.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "correlate/log_source.h"
#include "qemulog/qemulog.h"

#define PIECE_BYTES 65536
#define LOG_QUANTUM_NS 1000 /* its times are cut to us */

struct hs_log_source {
	int fd;
	char *path;
	struct hs_clock_list *clocks;
	struct hs_qemulog *log;
	bool is_finished;
	int err;
	struct hs_log_line *lines;
	size_t line_nr, at, room;
	char piece[PIECE_BYTES];
};

static void on_line(void *ctx, const struct hs_qemulog_line *line)
{
	struct hs_log_source *source = ctx;
	struct hs_log_line *out;

	if (line->event == HS_QEMULOG_OTHER || !(line->fields & HS_QEMULOG_HAS_TIME) || source->err)
		return;
	if (source->line_nr == source->room) {
		size_t room = source->room ? 2 * source->room : 1024;
		struct hs_log_line *lines = reallocarray(source->lines, room, sizeof(*lines));

		if (!lines) {
			source->err = -ENOMEM;
			return;
		}
		source->lines = lines;
		source->room = room;
	}
	out = &source->lines[source->line_nr];
	*out = (struct hs_log_line){ .sid = line->sid };
	out->dma.iova = line->fields & HS_QEMULOG_HAS_PAGE ? line->iova : 0;
	out->dma.tid = line->tid;
	out->dma.event = line->event;
	source->err = hs_clock_real_to_boot(source->clocks, line->time_ns, LOG_QUANTUM_NS, &out->dma.time_ns,
					    &out->dma.error_ns);
	source->line_nr += !source->err;
}

int hs_log_source_open(const char *path, struct hs_clock_list *clocks, struct hs_log_source **out)
{
	scoped(hs_log_source) struct hs_log_source *source = calloc(1, sizeof(*source));
	struct hs_qemulog_config config = { .on_line = on_line, .ctx = source };
	int err;

	if (!source)
		return -ENOMEM;
	source->clocks = clocks;
	source->path = strdup(path);
	source->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (source->fd < 0)
		return hs_fail(-errno, "cannot read the IOMMU log %s:", path);
	err = source->path ? hs_qemulog_open(&config, &source->log) : -ENOMEM;
	if (err)
		return err;
	*out = take(source);
	return 0;
}

static int read_piece(struct hs_log_source *source)
{
	ssize_t bytes = read(source->fd, source->piece, sizeof(source->piece));

	if (bytes < 0)
		return hs_fail(-errno, "cannot read the IOMMU log %s:", source->path);
	source->line_nr = source->at = 0;
	if (bytes)
		hs_qemulog_feed(source->log, source->piece, (size_t)bytes);
	else
		hs_qemulog_finish(source->log);
	source->is_finished = !bytes;
	if (source->err == -ENODATA)
		return hs_fail(source->err, "the run has no clock samples: the times of its IOMMU log are unknown");
	return source->err;
}

int hs_log_source_next(struct hs_log_source *source, struct hs_log_line *out)
{
	while (source->at == source->line_nr) {
		int err = source->is_finished ? 0 : read_piece(source);

		if (err)
			return err;
		if (source->is_finished && source->at == source->line_nr)
			return 0;
	}
	*out = source->lines[source->at++];
	return 1;
}

void hs_log_source_free(struct hs_log_source *source)
{
	if (!source)
		return;
	if (source->fd >= 0)
		close(source->fd);
	hs_qemulog_free(source->log);
	free(source->path);
	free(source->lines);
	free(source);
}
