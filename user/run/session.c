// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of a run. The document is on disk from the first moment ("running"), so that what a killed run
 * left can be told from a whole one.
 */
#include "session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "collector.h"
#include "journal/pstore.h"
#include "lab_guests.h"
#include "lab_last.h"
#include "lab_log.h"
#include "qemulog/tail.h"
#include "timeline/clock_json.h"

#define SECOND_NS 1000000000ull
#define PROGRESS_SHARE 20 /* of a long run that is killed the last 5 % have no clock samples, a minute at most */
#define PROGRESS_MAX_NS (60 * SECOND_NS)

struct hs_session {
	struct hs_session_config config;
	struct hs_loop *loop;
	struct hs_rundir *rundir;
	struct hs_lab *lab;
	struct hs_ctl *ctl;
	struct hs_collector *collector;
	struct hs_lab_guests *guests; /* from the test's begin */
	struct hs_journal_recorder *journal;
	struct hs_watch alarm, second;
	uint64_t began_ns, next_progress_ns; /* of run.json while the run goes on */
	bool alarmed, test_ran, created;
	struct hs_workload_result results[HS_PAIRS_MAX];
	json_object *document;
};

static void on_process(void *ctx, pid_t pid, const char *machine)
{
	struct hs_session *session = ctx;

	(void)machine;
	if (session->collector)
		hs_collector_watch_process(session->collector, pid);
}

static void on_tap(void *ctx, const struct hs_lab_tap *tap)
{
	struct hs_session *session = ctx;

	if (session->collector)
		hs_collector_watch_tap(session->collector, tap);
}

static void on_l1_restart(void *ctx)
{
	struct hs_session *session = ctx;

	if (session->collector)
		hs_collector_restart_log(session->collector);
}

static void on_gone(void *ctx, const struct hs_machine *machine)
{
	struct hs_session *session = ctx;

	hs_lab_last_save(session->rundir->last, machine->name);
}

static void on_alarm(void *ctx, uint32_t events)
{
	struct hs_session *session = ctx;

	(void)events;
	session->alarmed = true;
	hs_loop_remove(session->loop, &session->alarm); /* the collector owns the descriptor */
	hs_lab_interrupt(session->lab);
}

static int open_lab(struct hs_session *session)
{
	struct hs_lab_config *lab = &session->config.lab;

	lab->console_dir = session->rundir->console;
	lab->log_file = session->rundir->log;
	lab->crash_dir = session->rundir->last;
	lab->hooks = (struct hs_lab_hooks){ .on_process = on_process,
					    .on_tap = on_tap,
					    .on_l1_restart = on_l1_restart,
					    .on_gone = on_gone,
					    .ctx = session };
	if (!session->config.trace)
		lab->events_file = NULL;
	return hs_lab_open(session->loop, lab, &session->lab);
}

int hs_session_open(struct hs_loop *loop, const struct hs_session_config *config, struct hs_session **out)
{
	scoped(hs_session) struct hs_session *session = calloc(1, sizeof(*session));
	const struct hs_lab_config *lab = &config->lab;
	int err;

	if (!session)
		return -ENOMEM;
	session->config = *config;
	session->loop = loop;
	session->alarm = session->second = HS_WATCH_NONE;
	err = hs_rundir_name(config->out, config->prefix, config->number, &session->rundir);
	if (!err && !lab->dry_run)
		err = hs_rundir_check_free(session->rundir);
	if (!err)
		err = open_lab(session);
	if (!err && !lab->dry_run)
		err = hs_rundir_create(session->rundir);
	if (err)
		return err;
	if (!lab->dry_run)
		hs_pstore_save(session->rundir->last); /* what cannot be had is said, and no reason not to run */
	session->created = !lab->dry_run;
	session->document = hs_document_new(config->number, lab->pairs, lab->nic, lab->client_netns);
	if (session->created)
		err = hs_json_write_file(session->rundir->document, session->document);
	if (!err && session->created)
		err = hs_ctl_open(session->lab, &session->ctl);
	if (!err)
		*out = take(session);
	return err;
}

/* ---- what a run that is killed would leave ---- */

static void add_clocks(struct hs_session *session, const struct hs_qemulog_counts *log)
{
	scoped(hs_clock_list) struct hs_clock_list clocks = { 0 };

	if (!hs_collector_clocks(session->collector, &clocks))
		hs_document_add_clocks(session->document, &clocks, log);
}

/* Rows of guests are added to those of others: what was told of them before is taken out first. */
static void forget_progress(struct hs_session *session)
{
	json_object_object_del(session->document, "trace");
	json_object_object_del(session->document, "not_recorded");
}

static void write_progress(struct hs_session *session)
{
	forget_progress(session);
	if (session->collector)
		add_clocks(session, NULL);
	if (session->guests)
		hs_lab_guests_add_to(session->guests, session->document);
	hs_json_write_file(session->rundir->document, session->document);
}

/* The document grows with the run: it is written once a second, later ever more rarely. */
static void on_second(void *ctx, uint32_t events)
{
	struct hs_session *session = ctx;
	uint64_t now_ns = hs_now_ns(), period_ns = (now_ns - session->began_ns) / PROGRESS_SHARE;

	(void)events;
	if (now_ns < session->next_progress_ns)
		return;
	session->next_progress_ns = now_ns + (period_ns < PROGRESS_MAX_NS ? period_ns : PROGRESS_MAX_NS);
	write_progress(session);
}

static int start_progress(struct hs_session *session)
{
	session->began_ns = hs_now_ns();
	return hs_loop_timer(session->loop, &session->second, SECOND_NS, on_second, session);
}

/* ---- the run ---- */

static int start_collector(struct hs_session *session)
{
	struct hs_collector_config config = { .pairs = session->config.lab.pairs,
					      .run_dir = session->rundir->dir,
					      .log_file = session->config.lab.events_file ? session->rundir->log : NULL,
					      .trace = session->config.trace };
	int alarm_fd, err = hs_collector_start(&config, &session->collector, &alarm_fd);

	return err ? err : hs_loop_add(session->loop, &session->alarm, alarm_fd, EPOLLIN, on_alarm, session);
}

int hs_session_raise(struct hs_session *session)
{
	int err = session->config.lab.dry_run ? 0 : start_collector(session);

	if (!err && session->config.log && !session->config.lab.dry_run)
		err = hs_lab_log_start(session->lab, session->rundir->journal, &session->journal);
	if (!err && session->created)
		err = start_progress(session);
	return err ? err : hs_lab_raise(session->lab);
}

static struct hs_workload_config workload_of(const struct hs_session *session)
{
	return (struct hs_workload_config){ .test = session->config.test,
					    .seconds = session->config.seconds,
					    .iperf3_args = session->config.iperf3_args,
					    .out_dir = session->rundir->workload };
}

int hs_session_test(struct hs_session *session)
{
	struct hs_workload_config workload = workload_of(session);
	int err = 0;

	if (session->config.lab.guest_trace)
		err = hs_lab_guests_start(session->lab, session->rundir->trace, session->config.guest_events,
					  &session->guests);
	if (!err) {
		session->test_ran = true;
		err = hs_workload_run(session->lab, &workload, session->results);
	}
	if (session->guests) {
		hs_lab_guests_stop(session->guests);
		write_progress(session); /* taking the lab down takes a while */
	}
	return err;
}

/* What the collector knows, once it has stopped. */
static void add_collected(struct hs_session *session)
{
	const struct hs_capture *capture = hs_collector_capture(session->collector);
	const struct hs_qemulog_counts *log = hs_collector_log(session->collector);
	struct hs_trace_counts counts;

	if (capture) {
		hs_trace_counts_from_capture(capture, &counts);
		hs_document_add_trace(session->document, &counts);
	}
	hs_document_add_missing(session->document, capture, hs_collector_why_no_trace(session->collector));
	if (log)
		hs_document_add_log(session->document, log);
	add_clocks(session, log);
}

/* After the host's own trace. A run without a test, or cut short in it, has what there is. */
static void add_guests(struct hs_session *session)
{
	if (!session->guests)
		return;
	hs_lab_guests_add_to(session->guests, session->document);
	hs_lab_guests_free(take(session->guests));
}

static void set_outcome(struct hs_session *session, int result)
{
	if (session->alarmed)
		hs_document_set_outcome(session->document, "failed", "the disk is nearly full");
	else if (result == -EINTR)
		hs_document_set_outcome(session->document, "interrupted", NULL);
	else
		hs_document_set_outcome(session->document, result ? "failed" : "ok",
					result ? hs_log_last_error() : NULL);
}

/* A run that failed before its first machine was started has nothing to keep, and would only be in the way. */
static bool remove_if_empty(struct hs_session *session)
{
	if (hs_lab_machine(session->lab, 0)->state_ns[HS_STATE_STARTED])
		return false;
	hs_loop_remove(session->loop, &session->alarm);
	hs_collector_free(take(session->collector));
	hs_journal_recorder_free(take(session->journal));
	hs_lab_lower(session->lab);
	hs_remove_tree(session->rundir->dir);
	unlink(session->rundir->log);
	return true;
}

int hs_session_finish(struct hs_session *session, int result, bool keep)
{
	int err;

	hs_loop_close(session->loop, &session->second);
	if (!session->created || (result && !session->alarmed && remove_if_empty(session)))
		return result;
	forget_progress(session);
	if (session->alarmed)
		result = -ENOSPC;
	set_outcome(session, result);
	if (session->test_ran)
		hs_document_add_results(session->document, hs_workload_name(session->config.test),
					session->config.seconds, session->results, session->config.lab.pairs);
	if (!keep)
		hs_lab_stop(session->lab); /* first: from now on no machine changes the interfaces' counters */
	hs_document_add_interfaces(session->document, hs_lab_net(session->lab), session->config.lab.pairs);
	if (!keep)
		hs_lab_lower(session->lab);
	if (!keep)
		hs_lab_last_finish(session->rundir->last, session->lab);
	hs_document_add_lab(session->document, session->lab);
	if (session->collector) {
		hs_loop_remove(session->loop, &session->alarm);
		hs_collector_stop(session->collector);
		add_collected(session);
	}
	add_guests(session);
	if (session->journal) {
		hs_journal_recorder_stop(session->journal);
		hs_journal_recorder_add_to(session->journal, session->document, "log");
		hs_journal_recorder_free(take(session->journal)); /* of a lab that stays up others may follow the logs */
	}
	hs_document_derive(session->document);
	err = hs_json_write_file(session->rundir->document, session->document);
	return result ? result : err;
}

void hs_session_free(struct hs_session *session)
{
	if (!session)
		return;
	hs_loop_close(session->loop, &session->second);
	hs_ctl_free(session->ctl);
	hs_lab_guests_free(session->guests);
	if (session->created && session->lab) {
		hs_lab_lower(session->lab); /* of a lab that was kept, it is now that the last words are known */
		hs_lab_last_finish(session->rundir->last, session->lab);
	}
	hs_journal_recorder_free(session->journal);
	hs_lab_free(session->lab);
	hs_loop_remove(session->loop, &session->alarm);
	hs_collector_free(session->collector);
	hs_rundir_free(session->rundir);
	json_object_put(session->document);
	free(session);
}

void hs_session_interrupt(struct hs_session *session)
{
	hs_lab_interrupt(session->lab);
}

json_object *hs_session_document(struct hs_session *session)
{
	return session->document;
}

const struct hs_rundir *hs_session_rundir(const struct hs_session *session)
{
	return session->rundir;
}

/* ---- a lab that stays up ---- */

static bool has_order(void *ctx)
{
	return hs_ctl_has_test(ctx);
}

static void run_ordered_test(struct hs_session *session, json_object *order)
{
	const struct hs_workload_test *test = hs_workload_find(hs_json_get_string(order, "test"));
	const char *args = hs_json_get_string(order, "iperf3_args");
	unsigned pairs = session->config.lab.pairs;
	scoped(json) json_object *document =
		hs_document_new(0, pairs, session->config.lab.nic, session->config.lab.client_netns);
	struct hs_workload_config workload = workload_of(session);
	struct hs_workload_result results[HS_PAIRS_MAX];
	int err = -EINVAL;

	if (test) {
		workload.test = test;
		workload.seconds = (unsigned)hs_json_get_u64(order, "seconds");
		workload.iperf3_args = *args ? args : NULL;
		err = hs_workload_run(session->lab, &workload, results);
		hs_document_add_results(document, hs_workload_name(test), workload.seconds, results, pairs);
	}
	hs_document_set_outcome(document, err ? "failed" : "ok", err ? hs_log_last_error() : NULL);
	hs_document_add_lab(document, session->lab);
	hs_ctl_answer_test(session->ctl, err ? 1 : 0, document);
}

int hs_session_serve(struct hs_session *session)
{
	hs_ctl_serve_tests(session->ctl);
	for (;;) {
		scoped(json) json_object *order = NULL;
		int err = hs_lab_wait(session->lab, has_order, session->ctl, 0);

		if (err == -EINTR && hs_ctl_is_down_asked(session->ctl))
			return 0;
		if (err)
			return err;
		order = hs_ctl_take_test(session->ctl);
		run_ordered_test(session, order);
	}
}

/* ---- what an interrupted run left ---- */

static int recount_log(const struct hs_rundir *rundir, json_object *document)
{
	unsigned pairs = (unsigned)hs_json_get_u64(document, "pairs");
	struct hs_qemulog_tenant tenants[HS_PAIRS_MAX];
	struct hs_qemulog_config config = { .tenants = tenants,
					    .tenant_nr = pairs < HS_PAIRS_MAX ? pairs : HS_PAIRS_MAX };
	scoped(hs_qemulog) struct hs_qemulog *log = NULL;
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *tail = NULL;
	scoped(hs_clock_list) struct hs_clock_list clocks = { 0 };
	int64_t got;
	int err;

	for (unsigned i = 0; i < config.tenant_nr; i++)
		tenants[i] = (struct hs_qemulog_tenant){ .sid = hs_pair_of(i).sid, .tenant = i };
	err = hs_qemulog_open(&config, &log);
	if (!err)
		err = hs_qemulog_tail_open(rundir->log, log, &tail);
	if (err)
		return err;
	while ((got = hs_qemulog_tail_poll(tail, 64u << 20)) > 0)
		continue;
	hs_qemulog_finish(log);
	hs_document_add_log(document, hs_qemulog_counts(log));
	if (!hs_clock_list_from_json(hs_json_get(document, "clock.samples"), &clocks))
		hs_document_add_clocks(document, &clocks, hs_qemulog_counts(log));
	return (int)got;
}

/* The folders of guests that the document knows. */
static int recount_guests(const struct hs_rundir *rundir, json_object *document)
{
	json_object *traces = hs_json_get(document, "trace");
	int err = 0;

	if (!json_object_is_type(traces, json_type_object))
		return 0;
	json_object_object_foreach (traces, folder, object) {
		scoped(mem) char *dir = hs_format("%s/%s", rundir->trace, folder);

		if (!dir)
			return -ENOMEM;
		if (!err && strcmp(folder, "host") && json_object_is_type(object, json_type_object) &&
		    !access(dir, F_OK))
			err = hs_document_recount_guest(object, dir);
	}
	return err;
}

int hs_session_recount(const struct hs_rundir *rundir, json_object *document)
{
	scoped(mem) char *host = hs_format("%s/host", rundir->trace);
	struct hs_trace_counts counts;
	int err = 0;

	if (!host)
		return -ENOMEM;
	if (access(host, F_OK) == 0) {
		err = hs_trace_counts_from_disk(host, &counts);
		hs_document_add_trace(document, &counts);
	}
	if (!err)
		err = recount_guests(rundir, document);
	if (!err && access(rundir->log, F_OK) == 0)
		err = recount_log(rundir, document);
	hs_document_derive(document);
	return err;
}
