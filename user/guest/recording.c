// SPDX-License-Identifier: GPL-2.0-only
/*
 * The folder, the document, and the note by which a recording is found: a link REGISTRY/NAME to its folder, whose
 * guest.json tells the process. A link whose process is gone is nobody's and is replaced.
 */
#include "recording.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "document.h"
#include "timeline/clock_json.h"

#define REGISTRY "/run/hsbpf-guests"
#define SECOND_NS 1000000000ull
#define STOP_LIMIT_NS (30 * SECOND_NS)

struct hs_guest_recording {
	struct hs_loop *loop;
	struct hs_guest_recording_config config;
	char *dir, *path, *link; /* of the folder, guest.json, and where it is noted */
	bool is_noted, is_ended;
	struct hs_guests *guests;
	struct hs_watch news, second;
	struct hs_clock_list clocks;
	json_object *document;
};

static char *link_of(const char *name)
{
	return hs_format(REGISTRY "/%s", name);
}

char *hs_guest_recording_find(const char *name, pid_t *pid)
{
	scoped(mem) char *link = link_of(name);
	scoped(mem) char *dir = link ? realpath(link, NULL) : NULL;
	scoped(mem) char *path = dir ? hs_format("%s/guest.json", dir) : NULL;
	scoped(json) json_object *document = NULL;

	if (!path || access(path, R_OK) < 0 || hs_json_read_file(path, &document))
		return NULL;
	*pid = (pid_t)hs_json_get_u64(document, "pid");
	if (*pid <= 1 || !hs_proc_start_time(*pid) ||
	    hs_proc_start_time(*pid) != hs_json_get_u64(document, "pid_started"))
		return NULL;
	return take(dir);
}

/* Reading the folder, as `hsbpf print DIR` does, and this document need the same names as a run's. */
static int write_document(struct hs_guest_recording *recording, const char *outcome)
{
	json_object *document = recording->document;

	json_object_object_del(document, "trace");
	json_object_object_del(document, "not_recorded");
	hs_json_add_string(document, "outcome", outcome);
	json_object_object_add(document, "guest", hs_guest_document(recording->guests, 0));
	json_object_object_del(hs_json_get(document, "guest"), "parts");
	hs_guests_add_to(recording->guests, document);
	hs_clock_list_to_json(&recording->clocks, document, "clocks");
	return hs_json_write_file(recording->path, document);
}

static void sample_clocks(struct hs_guest_recording *recording)
{
	struct hs_clock_sample sample;

	hs_clock_sample_take(&sample);
	hs_clock_list_append(&recording->clocks, &sample);
}

static void on_news(void *ctx, uint32_t events)
{
	struct hs_guest_recording *recording = ctx;

	(void)events;
	hs_guests_heard(recording->guests);
}

static void on_second(void *ctx, uint32_t events)
{
	struct hs_guest_recording *recording = ctx;

	(void)events;
	sample_clocks(recording);
	write_document(recording, "running");
}

static int make_folder(struct hs_guest_recording *recording)
{
	const char *name = recording->config.guest.name;
	scoped(mem) char *running = NULL;
	pid_t pid;
	int err = hs_make_dirs(recording->config.dir);

	if (err)
		return err;
	recording->dir = realpath(recording->config.dir, NULL);
	recording->path = recording->dir ? hs_format("%s/guest.json", recording->dir) : NULL;
	recording->link = link_of(name);
	if (!recording->path || !recording->link)
		return -ENOMEM;
	if (access(recording->path, F_OK) == 0)
		return hs_fail(-EEXIST, "%s holds a recording: give another folder with --out", recording->dir);
	running = hs_guest_recording_find(name, &pid);
	if (running)
		return hs_fail(-EEXIST,
			       "%s is being recorded into %s already, by process %d: `hsbpf guest stop %s` ends it",
			       name, running, pid, name);
	return 0;
}

/* After guest.json is there. */
static int note_recording(struct hs_guest_recording *recording)
{
	int err = hs_make_dirs(REGISTRY);

	if (err)
		return err;
	unlink(recording->link); /* of one that died */
	if (symlink(recording->dir, recording->link) < 0)
		return hs_fail(-errno, "cannot note the recording in " REGISTRY ":");
	recording->is_noted = true;
	return 0;
}

static int open_guest(struct hs_guest_recording *recording, struct hs_guest_place **place)
{
	scoped(mem) char *trace_dir = hs_format("%s/trace", recording->dir);
	struct hs_guests_config queue = recording->config.queue;
	int news_fd, err = trace_dir ? hs_make_dirs(trace_dir) : -ENOMEM;

	queue.trace_dir = trace_dir;
	if (!err)
		err = hs_guests_open(&queue, &recording->guests, &news_fd);
	if (!err)
		err = hs_loop_add(recording->loop, &recording->news, news_fd, EPOLLIN, on_news, recording);
	if (!err)
		err = hs_guests_add(recording->guests, &recording->config.guest, take(*place));
	return err;
}

static void begin_document(struct hs_guest_recording *recording)
{
	recording->document = json_object_new_object();
	hs_json_add_string(recording->document, "schema", HS_GUEST_SCHEMA);
	hs_json_add_string(recording->document, "hsbpf", HS_VERSION);
	hs_json_add_u64(recording->document, "pid", (uint64_t)getpid());
	hs_json_add_u64(recording->document, "pid_started", hs_proc_start_time(getpid()));
	hs_json_add_command_line(recording->document, "options");
}

int hs_guest_recording_open(struct hs_loop *loop, const struct hs_guest_recording_config *config,
			    struct hs_guest_place *place, struct hs_guest_recording **out)
{
	scoped(hs_guest_recording) struct hs_guest_recording *recording = calloc(1, sizeof(*recording));
	scoped(hs_guest_place) struct hs_guest_place *owned = place;
	int err;

	if (!recording)
		return -ENOMEM;
	recording->loop = loop;
	recording->config = *config;
	recording->news = recording->second = HS_WATCH_NONE;
	err = make_folder(recording);
	if (!err)
		err = open_guest(recording, &owned);
	if (err)
		return err;
	begin_document(recording);
	sample_clocks(recording);
	err = write_document(recording, "running");
	if (!err)
		err = note_recording(recording);
	if (!err)
		err = hs_loop_timer(loop, &recording->second, SECOND_NS, on_second, recording);
	if (!err)
		err = hs_guests_connect(recording->guests);
	if (err)
		return err;
	hs_guests_start(recording->guests);
	*out = take(recording);
	return 0;
}

static bool is_settled(void *ctx)
{
	struct hs_guest_recording *recording = ctx;
	enum hs_guest_state state = hs_guest_state(recording->guests, 0);

	return recording->is_ended || state == HS_GUEST_RECORDING || state == HS_GUEST_FAILED;
}

int hs_guest_recording_wait(struct hs_guest_recording *recording, uint64_t deadline_ns)
{
	int err = hs_loop_until(recording->loop, is_settled, recording, deadline_ns);
	scoped(json) json_object *guest = hs_guest_document(recording->guests, 0);
	const char *error = hs_json_get_string(guest, "error");

	if (recording->is_ended)
		return -EINTR;
	if (err == -ETIMEDOUT)
		return hs_fail(
			err,
			"%s is not recorded: %s; is hsbpf-agent running in it (or the kernel's agent: --agent kernel), "
			"and nobody else connected to its ports?",
			recording->config.guest.name, *error ? error : "its trace agent does not answer");
	if (!err && hs_guest_state(recording->guests, 0) == HS_GUEST_FAILED)
		return hs_fail(-EREMOTEIO, "%s is not recorded: %s", recording->config.guest.name, error);
	return err ? err : write_document(recording, "running");
}

static bool is_ended(void *ctx)
{
	return ((struct hs_guest_recording *)ctx)->is_ended;
}

int hs_guest_recording_run(struct hs_guest_recording *recording)
{
	uint64_t duration_ns = recording->config.duration_ns;
	int err = hs_loop_until(recording->loop, is_ended, recording, duration_ns ? hs_now_ns() + duration_ns : 0);

	return err == -ETIMEDOUT ? 0 : err;
}

void hs_guest_recording_end(struct hs_guest_recording *recording)
{
	recording->is_ended = true;
}

static bool is_written(void *ctx)
{
	return hs_guests_are_written(((struct hs_guest_recording *)ctx)->guests);
}

int hs_guest_recording_finish(struct hs_guest_recording *recording, int result)
{
	int err;

	hs_guests_stop(recording->guests);
	if (hs_loop_until(recording->loop, is_written, recording, hs_now_ns() + STOP_LIMIT_NS))
		hs_warn("%s did not answer the order to stop: what came of it is kept", recording->config.guest.name);
	hs_guests_end(recording->guests);
	hs_loop_close(recording->loop, &recording->second);
	sample_clocks(recording);
	err = write_document(recording, result ? "failed" : "ok");
	return result ? result : err;
}

json_object *hs_guest_recording_document(struct hs_guest_recording *recording)
{
	return recording->document;
}

void hs_guest_recording_free(struct hs_guest_recording *recording)
{
	if (!recording)
		return;
	hs_loop_remove(recording->loop, &recording->news);
	hs_loop_close(recording->loop, &recording->second);
	hs_guests_free(recording->guests);
	hs_clock_list_clear(&recording->clocks);
	if (recording->is_noted)
		unlink(recording->link);
	json_object_put(recording->document);
	free(recording->dir);
	free(recording->path);
	free(recording->link);
	free(recording);
}
