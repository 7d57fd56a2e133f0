// SPDX-License-Identifier: GPL-2.0-only
/* Starts the load and keeps what it says. */
#include "migrate/load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"

enum { RUN_SERVER = 1, RUN_DIRTY }; /* numbers of the programs in the guest */

#define DOCUMENT_BYTES_MAX (16u << 20)

void hs_load_init(struct hs_load *load, struct hs_loop *loop, const char *dir)
{
	*load = (struct hs_load){ .loop = loop, .dir = dir, .prober_exit = HS_WATCH_NONE };
}

void hs_load_clear(struct hs_load *load)
{
	if (load->prober) {
		kill(load->prober, SIGKILL);
		waitpid(load->prober, NULL, 0);
	}
	hs_loop_close(load->loop, &load->prober_exit);
	free(load->document);
	free(load->lines);
	*load = (struct hs_load){ .prober_exit = HS_WATCH_NONE };
}

/* ---- the guest's programs ---------------------------------------------------------------------- */

static int order(struct hs_machine *machine, uint32_t id, const struct hs_argv *argv)
{
	struct hs_frame frame = { .type = HS_FRAME_EXEC, .id = id };
	char payload[1024];
	int len = argv->err ? argv->err : hs_frame_pack_argv(payload, sizeof(payload), argv->words);

	if (len < 0)
		return len;
	return machine->link ? hs_link_send(machine->link, frame, payload, (size_t)len) : -EPIPE;
}

int hs_load_start_guest(struct hs_load *load, struct hs_machine *machine, const struct hs_plan_options *options,
			uint64_t dirty_mib)
{
	scoped(argv) struct hs_argv server = { 0 }, dirty = { 0 };
	int err;

	(void)load;
	hs_argv_add_words(&server, HS_IMAGES_MIGTOOLS " server_rr");
	hs_argv_add_words(&dirty, HS_IMAGES_MIGTOOLS " mm_dirty --json --verify");
	hs_argv_add_pair(&dirty, "-m", "%" PRIu64, options->dirty_mem_bytes >> 20);
	hs_argv_add_pair(&dirty, "-i", "%dms", HS_GUEST_LINE_MS);
	if (dirty_mib)
		hs_argv_add_pair(&dirty, "-r", "%" PRIu64, dirty_mib);
	else
		hs_argv_add_words(&dirty, "-p once");
	err = order(machine, RUN_SERVER, &server);
	if (!err)
		err = order(machine, RUN_DIRTY, &dirty);
	return err ? hs_fail(err, "cannot start the load in the guest:") : 0;
}

static void note_line(struct hs_load *load, enum hs_end end)
{
	struct hs_guest_line *grown;

	load->line[load->line_len] = '\0';
	if (strstr(load->line, " done"))
		load->is_heated = true;
	if (strncmp(load->line, "dirty-rate:", 11) != 0)
		return;
	if (load->line_nr == load->line_room) {
		load->line_room = load->line_room ? 2 * load->line_room : 1024;
		grown = reallocarray(load->lines, load->line_room, sizeof(*load->lines));
		if (!grown) {
			load->line_room = load->line_nr;
			return;
		}
		load->lines = grown;
	}
	load->lines[load->line_nr++] = (struct hs_guest_line){ hs_now_ns(), strtoull(load->line + 11, NULL, 10), end };
}

static void take_progress(struct hs_load *load, enum hs_end end, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			note_line(load, end);
			load->line_len = 0;
		} else if (load->line_len + 1 < sizeof(load->line)) {
			load->line[load->line_len++] = bytes[i];
		}
	}
}

static void take_document(struct hs_load *load, const char *bytes, size_t len)
{
	char *grown = load->document_len + len > DOCUMENT_BYTES_MAX
			      ? NULL
			      : realloc(load->document, load->document_len + len + 1);

	if (!grown)
		return; /* it will not parse, which is said */
	memcpy(grown + load->document_len, bytes, len);
	load->document = grown;
	load->document_len += len;
	grown[load->document_len] = '\0';
}

void hs_load_on_frame(struct hs_load *load, enum hs_end end, const struct hs_frame *frame, const char *payload)
{
	if (frame->id != RUN_DIRTY)
		return;
	if (frame->type == HS_FRAME_EXEC_OUT) {
		take_document(load, payload, frame->len);
	} else if (frame->type == HS_FRAME_EXEC_ERR) {
		take_progress(load, end, payload, frame->len);
	} else if (frame->type == HS_FRAME_EXEC_EXIT) {
		load->has_ended = true;
		load->dirty_status = (int)frame->value;
	}
}

int hs_load_stop_guest(struct hs_load *load, struct hs_machine *machine)
{
	struct hs_frame frame = { .type = HS_FRAME_EXEC_KILL, .id = RUN_DIRTY, .value = SIGINT };

	(void)load;
	return machine->link ? hs_link_send(machine->link, frame, NULL, 0) : -EPIPE;
}

static int write_lines(const struct hs_load *load, const char *path)
{
	scoped(file) FILE *file = fopen(path, "we");

	if (!file)
		return hs_fail(-errno, "cannot write %s:", path);
	fputs("boottime_ns,mib_per_s,end\n", file);
	for (size_t i = 0; i < load->line_nr; i++)
		fprintf(file, "%" PRIu64 ",%" PRIu64 ",%s\n", load->lines[i].ns, load->lines[i].mib,
			hs_end_name(load->lines[i].end));
	return fflush(file) ? hs_fail(-EIO, "cannot write %s", path) : 0;
}

int hs_load_write(const struct hs_load *load)
{
	scoped(mem) char *document = hs_format("%s/mm_dirty.json", load->dir);
	scoped(mem) char *lines = hs_format("%s/guest_lines.csv", load->dir);
	int err = document && lines ? write_lines(load, lines) : -ENOMEM;

	if (!err && load->document)
		err = hs_write_file_atomic(document, load->document, load->document_len);
	return err;
}

/* ---- the prober -------------------------------------------------------------------------------- */

static void on_prober_exit(void *ctx, uint32_t events)
{
	struct hs_load *load = ctx;

	(void)events;
	hs_loop_close(load->loop, &load->prober_exit);
	waitpid(load->prober, &load->prober_status, 0);
	load->prober = 0;
}

static int create(const char *dir, const char *name)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	return fd < 0 ? hs_fail(-errno, "cannot create %s/%s:", dir, name) : fd;
}

int hs_load_start_prober(struct hs_load *load, const struct hs_site *site)
{
	scoped(fd) int out = create(load->dir, "client_rr.json");
	scoped(fd) int words = out < 0 ? -1 : create(load->dir, "client_rr.txt");
	struct hs_spawn spawn = {
		.stdin_fd = -1, .stdout_fd = out, .stderr_fd = words, .netns_fd = hs_netns_fd(site->client)
	};
	scoped(argv) struct hs_argv argv = { 0 };
	int err;

	if (out < 0 || words < 0)
		return -EIO;
	hs_argv_add_words(&argv, "/proc/self/exe client_rr --json");
	hs_argv_add_pair(&argv, "--probes", "%s/probes.csv", load->dir);
	hs_argv_add(&argv, HS_SITE_GUEST_IP);
	hs_argv_add(&argv, "%.6f", (double)site->config.options->interval_ns / 1e6);
	hs_argv_add(&argv, "%s/spikes.csv", load->dir);
	spawn.argv = argv.words;
	err = argv.err ? argv.err : hs_proc_spawn(&spawn, &load->prober);
	if (err)
		return hs_fail(err, "cannot start the prober:");
	hs_labdir_record(site->config.labdir, load->prober);
	return hs_loop_child(load->loop, &load->prober_exit, load->prober, on_prober_exit, load);
}

void hs_load_stop_prober(struct hs_load *load)
{
	if (load->prober)
		kill(load->prober, SIGINT);
}
