// SPDX-License-Identifier: GPL-2.0-only
/* A journal on a loop of its own. Everything is opened in the caller's thread and then belongs to the other. */
#include "journal/recorder.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "journal/control.h"

#define MAX_BYTES (64ull << 20)
#define MAX_FILES 4
/* While guests boot nobody waits for it; later, what waits is what a run that is killed loses. */
#define WINDOW_NS 15000000000ull
#define SETTLED_WINDOW_NS 2000000000ull

struct hs_journal_recorder {
	struct hs_loop *loop;
	struct hs_journal *journal;
	struct hs_journal_control *control;
	struct hs_watch stop;
	bool must_stop, is_running;
	pthread_t thread;
	struct hs_journal_counts counts;
};

int hs_journal_follow_machine(struct hs_journal *journal, const struct hs_journal_machine *machine)
{
	int err = 0;

	if (machine->agent)
		err = hs_journal_follow_guest(journal, machine->name, machine->agent);
	if (!err && machine->console)
		err = hs_journal_follow_file(journal, machine->name, HS_JOURNAL_CONSOLE, machine->console);
	if (!err && machine->qemu)
		err = hs_journal_follow_file(journal, machine->name, HS_JOURNAL_QEMU, machine->qemu);
	return err;
}

static void on_stop(void *ctx, uint32_t events)
{
	struct hs_journal_recorder *recorder = ctx;

	(void)events;
	recorder->must_stop = true;
}

static bool must_stop(void *ctx)
{
	return ((struct hs_journal_recorder *)ctx)->must_stop;
}

static void *run(void *ctx)
{
	struct hs_journal_recorder *recorder = ctx;

	hs_loop_until(recorder->loop, must_stop, recorder, 0);
	hs_journal_finish(recorder->journal);
	hs_journal_counts(recorder->journal, &recorder->counts);
	return NULL;
}

static int follow(struct hs_journal_recorder *recorder, const struct hs_journal_machine *machines, unsigned machines_nr)
{
	if (hs_journal_follow_host(recorder->journal))
		hs_warn("this host's kernel is not in the run's log");
	for (unsigned i = 0; i < machines_nr; i++)
		if (hs_journal_follow_machine(recorder->journal, &machines[i]))
			hs_warn("%s is not in the run's log, or not all of it", machines[i].name);
	return hs_loop_add(recorder->loop, &recorder->stop, recorder->stop.fd, EPOLLIN, on_stop, recorder);
}

/* Signals are the main thread's. */
static int start_thread(struct hs_journal_recorder *recorder)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&recorder->thread, NULL, run, recorder);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	recorder->is_running = !err;
	return err ? hs_fail(err, "cannot start the thread of the log:") : 0;
}

int hs_journal_recorder_start(const char *dir, const struct hs_journal_machine *machines, unsigned machines_nr,
			      struct hs_journal_recorder **out)
{
	scoped(hs_journal_recorder) struct hs_journal_recorder *recorder = calloc(1, sizeof(*recorder));
	struct hs_journal_config config = { .dir = dir,
					    .max_bytes = MAX_BYTES,
					    .max_files = MAX_FILES,
					    .window_ns = WINDOW_NS,
					    .settled_window_ns = SETTLED_WINDOW_NS,
					    .level = HS_JOURNAL_SEVERITY_NR - 1,
					    .only_new = true };
	int err;

	if (!recorder)
		return -ENOMEM;
	recorder->stop = HS_WATCH_NONE;
	err = hs_loop_open(&recorder->loop);
	if (!err)
		err = hs_journal_open(recorder->loop, &config, &recorder->journal);
	if (!err)
		err = hs_journal_control_open(recorder->journal, dir, &recorder->control);
	if (err)
		return err;
	recorder->stop.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (recorder->stop.fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	err = follow(recorder, machines, machines_nr);
	if (!err)
		err = start_thread(recorder);
	if (!err)
		*out = take(recorder);
	return err;
}

void hs_journal_recorder_stop(struct hs_journal_recorder *recorder)
{
	const uint64_t one = 1;

	if (!recorder->is_running)
		return;
	if (write(recorder->stop.fd, &one, sizeof(one)) != sizeof(one))
		return; /* cannot be: nobody else writes there */
	pthread_join(recorder->thread, NULL);
	recorder->is_running = false;
}

void hs_journal_recorder_add_to(const struct hs_journal_recorder *recorder, json_object *document, const char *key)
{
	json_object *log = hs_json_add_object(document, key);

	hs_json_add_u64(log, "records", recorder->counts.merge.records);
	hs_json_add_u64(log, "missing", recorder->counts.merge.missing);
	hs_json_add_u64(log, "late", recorder->counts.merge.late);
	hs_json_add_u64(log, "twice", recorder->counts.merge.duplicates);
	hs_json_add_u64(log, "not_written", recorder->counts.files.lost_lines);
}

void hs_journal_recorder_free(struct hs_journal_recorder *recorder)
{
	if (!recorder)
		return;
	hs_journal_recorder_stop(recorder);
	hs_journal_control_free(recorder->control);
	hs_journal_free(recorder->journal);
	if (recorder->loop)
		hs_loop_close(recorder->loop, &recorder->stop);
	hs_loop_free(recorder->loop);
	free(recorder);
}
