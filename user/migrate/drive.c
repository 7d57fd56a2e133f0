// SPDX-License-Identifier: GPL-2.0-only
/* Orders, looks 20 times a second, switches, breaks, cancels. Every wait ends when a machine does. */
#include "migrate/drive.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"

#define POLL_NS 50000000u
#define STEP_LIMIT_NS 10000000000u /* for what should take milliseconds */
#define LINK_DOWN_NS 500000000u
#define PORT 4444
#define RECOVERY_PORT 4445

const char *hs_outcome_name(enum hs_outcome outcome)
{
	static const char *const names[] = { "completed", "cancelled", "failed" };

	return names[outcome];
}

void hs_drive_init(struct hs_drive *drive, struct hs_site *site, const struct hs_mode *mode,
		   const struct hs_plan_options *options, const bool *is_interrupted)
{
	*drive = (struct hs_drive){ .site = site,
				    .mode = mode,
				    .options = options,
				    .is_interrupted = is_interrupted,
				    .outcome = HS_OUTCOME_FAILED,
				    .events = json_object_new_array(),
				    .polls = json_object_new_array() };
}

void hs_drive_clear(struct hs_drive *drive)
{
	json_object_put(drive->events);
	json_object_put(drive->polls);
	for (int end = 0; end < HS_END_NR; end++)
		json_object_put(drive->last[end]);
	*drive = (struct hs_drive){ 0 };
}

void hs_drive_on_event(struct hs_drive *drive, enum hs_end end, const char *name, json_object *data,
		       uint64_t realtime_us)
{
	json_object *event;

	if (!realtime_us)
		return;
	drive->has_news = true;
	event = hs_json_append_object(drive->events);
	hs_json_add_string(event, "end", hs_end_name(end));
	hs_json_add_string(event, "event", name);
	hs_json_add_u64(event, "realtime_us", realtime_us);
	if (data)
		json_object_object_add(event, "data", json_object_get(data));
}

/* status: of a MIGRATION event; NULL: any. */
static bool has_event(const struct hs_drive *drive, enum hs_end end, const char *name, const char *status)
{
	for (size_t i = 0; i < json_object_array_length(drive->events); i++) {
		json_object *event = json_object_array_get_idx(drive->events, i);

		if (!strcmp(hs_json_get_string(event, "event"), name) &&
		    !strcmp(hs_json_get_string(event, "end"), hs_end_name(end)) &&
		    (!status || !strcmp(hs_json_get_string(event, "data.status"), status)))
			return true;
	}
	return false;
}

/* ---- QMP --------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3))) say_why(struct hs_drive *drive, const char *format, ...)
{
	va_list args;

	if (drive->why[0])
		return; /* the first cause counts */
	va_start(args, format);
	vsnprintf(drive->why, sizeof(drive->why), format, args);
	va_end(args);
}

static void add_to_why(struct hs_drive *drive, const char *more)
{
	size_t len = strlen(drive->why);

	snprintf(drive->why + len, sizeof(drive->why) - len, "%s", more);
}

typedef int (*qmp_call)(struct hs_qmp *qmp, const char *command, json_object *arguments, json_object **result);

/* A refusal is this migration's failure, not the program's: why says it. */
static int call_by(qmp_call by, struct hs_drive *drive, enum hs_end end, const char *command, json_object *arguments,
		   json_object **result)
{
	struct hs_machine *machine = &drive->site->machines[end];
	int err;

	if (!machine->qmp) {
		json_object_put(arguments);
		say_why(drive, "the %s's QEMU has ended", machine->name);
		return -EPIPE;
	}
	err = by(machine->qmp, command, arguments, result);
	if (err == -EREMOTEIO)
		say_why(drive, "the %s's QEMU refused %s: %s", machine->name, command, hs_qmp_refusal(machine->qmp));
	else if (err)
		say_why(drive, "the %s's QEMU %s", machine->name, err == -ETIMEDOUT ? "did not answer" : "has ended");
	return err;
}

static int call(struct hs_drive *drive, enum hs_end end, const char *command, json_object *arguments,
		json_object **result)
{
	return call_by(hs_qmp_call, drive, end, command, arguments, result);
}

int hs_drive_set_mode(struct hs_qmp *qmp, const struct hs_mode *mode, uint64_t downtime_limit_ms, const char **why)
{
	int err = hs_qmp_call(qmp, "migrate-set-capabilities", hs_mode_capabilities(mode), NULL);

	if (!err)
		err = hs_qmp_call(qmp, "migrate-set-parameters", hs_mode_parameters(mode, downtime_limit_ms), NULL);
	if (err)
		*why = err == -EREMOTEIO ? hs_qmp_refusal(qmp) : "QEMU has ended";
	return err;
}

static json_object *uri(unsigned port)
{
	json_object *arguments = json_object_new_object();
	scoped(mem) char *text = hs_format("tcp:" HS_SITE_DESTINATION_IP ":%u", port);

	hs_json_add_string(arguments, "uri", text ? text : "");
	return arguments;
}

bool hs_drive_runs_at(struct hs_drive *drive, enum hs_end end)
{
	scoped(json) json_object *status = NULL;

	/* A guest whose pages are gone: its QEMU waits for them, and answers nothing meanwhile. */
	if (end == HS_DESTINATION && drive->postcopy_ns && drive->is_gone[HS_SOURCE] &&
	    drive->outcome != HS_OUTCOME_COMPLETED)
		return false;
	return drive->site->machines[end].qmp &&
	       !hs_qmp_call(drive->site->machines[end].qmp, "query-status", NULL, &status) &&
	       hs_json_get_bool(status, "running");
}

static void note_poll(struct hs_drive *drive, json_object *info)
{
	json_object *poll = hs_json_append_object(drive->polls);

	hs_json_add_u64(poll, "boottime_ns", hs_now_ns());
	hs_json_add_string(poll, "status", hs_json_get_string(info, "status"));
	hs_json_add_u64(poll, "round", hs_json_get_u64(info, "ram.dirty-sync-count"));
	hs_json_add_u64(poll, "remaining_bytes", hs_json_get_u64(info, "ram.remaining"));
	hs_json_add_u64(poll, "transferred_bytes", hs_json_get_u64(info, "ram.transferred"));
	hs_json_add_u64(poll, "dirty_pages_rate", hs_json_get_u64(info, "ram.dirty-pages-rate"));
	hs_json_add_double(poll, "mbps", hs_json_get_double(info, "ram.mbps"), 1);
	hs_json_add_u64(poll, "expected_downtime_ms", hs_json_get_u64(info, "expected-downtime"));
	hs_json_add_u64(poll, "cpu_throttle_pct", hs_json_get_u64(info, "cpu-throttle-percentage"));
}

/* The end's status into status[32]. */
static int look(struct hs_drive *drive, enum hs_end end, char *status)
{
	scoped(json) json_object *info = NULL;
	int err = call(drive, end, "query-migrate", NULL, &info);

	if (err)
		return err;
	snprintf(status, 32, "%s", hs_json_get_string(info, "status"));
	if (end == HS_SOURCE && *status)
		note_poll(drive, info);
	if (!strcmp(status, "failed"))
		say_why(drive, "the %s's QEMU says: %s", hs_end_name(end),
			*hs_json_get_string(info, "error-desc") ? hs_json_get_string(info, "error-desc") : "failed");
	json_object_put(drive->last[end]);
	drive->last[end] = take(info);
	return 0;
}

/* ---- waits ------------------------------------------------------------------------------------- */

static bool must_stop(void *ctx)
{
	const struct hs_drive *drive = ctx;

	return *drive->is_interrupted || drive->is_gone[HS_SOURCE] || drive->is_gone[HS_DESTINATION];
}

static bool has_news(void *ctx)
{
	const struct hs_drive *drive = ctx;

	return drive->has_news || must_stop(ctx);
}

static int wait_until(struct hs_drive *drive, hs_loop_done done, uint64_t ns)
{
	int err = hs_loop_until(drive->site->config.loop, done, drive, hs_now_ns() + ns);

	if (*drive->is_interrupted)
		return -EINTR;
	if (err && err != -ETIMEDOUT)
		return err;
	return must_stop(drive) ? -EPIPE : 0;
}

/* 0 when the time is over; -EINTR; -EPIPE when a machine has ended. */
static int wait_ns(struct hs_drive *drive, uint64_t ns)
{
	return wait_until(drive, must_stop, ns);
}

/* The same, and over as soon as QEMU tells something: a round can be shorter than the time between two looks. */
static int wait_for_news(struct hs_drive *drive)
{
	return wait_until(drive, has_news, POLL_NS);
}

/* Looks until that end says so. */
static int wait_for_status(struct hs_drive *drive, enum hs_end end, const char *wanted)
{
	uint64_t deadline = hs_now_ns() + STEP_LIMIT_NS;
	char status[32];

	for (;;) {
		int err = look(drive, end, status);

		if (err || !strcmp(status, wanted))
			return err;
		if (hs_now_ns() > deadline) {
			say_why(drive, "the %s did not become %s: it is %s", hs_end_name(end), wanted, status);
			return -ETIMEDOUT;
		}
		err = wait_ns(drive, POLL_NS);
		if (err)
			return err;
	}
}

/* The destination's; what: "did not WHAT" is said when it does not come. */
static int wait_for_event(struct hs_drive *drive, const char *name, const char *status, const char *what)
{
	uint64_t deadline = hs_now_ns() + STEP_LIMIT_NS;
	int err = 0;

	while (!err && !has_event(drive, HS_DESTINATION, name, status)) {
		if (hs_now_ns() > deadline) {
			say_why(drive, "the destination did not %s", what);
			return -ETIMEDOUT;
		}
		err = wait_ns(drive, POLL_NS);
	}
	return err;
}

/* ---- what is broken ---------------------------------------------------------------------------- */

/*
 * A link that is down is seen by nobody until TCP gives up: QEMU is told, as an operator does. The destination's main
 * loop may be waiting for a page itself: it is told out of band, and not asked for its status.
 */
static int recover(struct hs_drive *drive)
{
	json_object *resume = uri(RECOVERY_PORT);
	int err;

	hs_json_add_bool(resume, "resume", true);
	err = call(drive, HS_SOURCE, "migrate-pause", NULL, NULL);
	if (!err)
		err = wait_for_status(drive, HS_SOURCE, "postcopy-paused");
	if (!err)
		err = call_by(hs_qmp_call_urgent, drive, HS_DESTINATION, "migrate-pause", NULL, NULL);
	if (!err)
		err = wait_for_event(drive, "MIGRATION", "postcopy-paused", "notice that the link is down");
	if (!err)
		err = wait_ns(drive, LINK_DOWN_NS);
	if (!err)
		err = hs_site_link_set_up(drive->site, true);
	if (!err)
		err = call_by(hs_qmp_call_urgent, drive, HS_DESTINATION, "migrate-recover", uri(RECOVERY_PORT), NULL);
	if (!err)
		err = call(drive, HS_SOURCE, "migrate", json_object_get(resume), NULL);
	json_object_put(resume);
	drive->is_recovered = !err;
	return err;
}

/*
 * When the migration is in the middle: pages have gone; of a mode with postcopy, once the guest runs at its new place
 * (while its devices are still on their way, QEMU cannot recover).
 */
static bool is_time_to_break(const struct hs_drive *drive, const char *status)
{
	if (drive->options->fault == HS_FAULT_NONE || drive->fault_ns)
		return false;
	if (drive->mode->postcopy_round)
		return !strcmp(status, "postcopy-active") && has_event(drive, HS_DESTINATION, "RESUME", NULL);
	return !strcmp(status, "active") && hs_json_get_u64(drive->last[HS_SOURCE], "ram.transferred") > 0;
}

static int break_it(struct hs_drive *drive)
{
	drive->fault_ns = hs_now_ns();
	hs_info("  breaking it: %s", hs_fault_names[drive->options->fault]);
	if (drive->options->fault == HS_FAULT_SOURCE_DIES) {
		hs_machine_signal(&drive->site->machines[HS_SOURCE], SIGKILL);
	} else if (drive->options->fault == HS_FAULT_DESTINATION_DIES) {
		hs_machine_signal(&drive->site->machines[HS_DESTINATION], SIGKILL);
	} else {
		int err = hs_site_link_set_up(drive->site, false);

		if (!err && drive->mode->postcopy_round)
			err = recover(drive);
		return err;
	}
	return 0;
}

/* ---- the migration ----------------------------------------------------------------------------- */

static int switch_to_postcopy(struct hs_drive *drive, const char *status)
{
	int err;

	if (!drive->mode->postcopy_round || drive->postcopy_ns || strcmp(status, "active") != 0 ||
	    hs_json_get_u64(drive->last[HS_SOURCE], "ram.dirty-sync-count") < drive->mode->postcopy_round)
		return 0;
	err = call(drive, HS_SOURCE, "migrate-start-postcopy", NULL, NULL);
	if (!err)
		drive->postcopy_ns = hs_now_ns();
	return err;
}

static int give_up(struct hs_drive *drive)
{
	int err;

	say_why(drive, "it was not done after %.0f s%s", (double)drive->options->limit_ns / 1e9,
		drive->fault_ns	     ? ": the link was down"
		: drive->postcopy_ns ? ", and postcopy cannot be cancelled"
				     : ": it does not converge");
	if (drive->postcopy_ns)
		return 0;
	err = call(drive, HS_SOURCE, "migrate_cancel", NULL, NULL);
	if (!err)
		err = wait_for_status(drive, HS_SOURCE, "cancelled");
	if (!err)
		drive->outcome = HS_OUTCOME_CANCELLED;
	else if (err == -ETIMEDOUT)
		add_to_why(drive, "; QEMU was told to cancel it and has not yet");
	return err;
}

static int follow(struct hs_drive *drive)
{
	uint64_t deadline = drive->start_ns + drive->options->limit_ns;
	char status[32];

	for (;;) {
		int err;

		drive->has_news = false;
		err = look(drive, HS_SOURCE, status);
		if (err)
			return err;
		if (!strcmp(status, "completed")) {
			drive->outcome = HS_OUTCOME_COMPLETED;
			return 0;
		}
		if (!strcmp(status, "failed") || !strcmp(status, "cancelled"))
			return 0;
		if (hs_now_ns() > deadline)
			return give_up(drive);
		err = switch_to_postcopy(drive, status);
		if (!err && is_time_to_break(drive, status))
			err = break_it(drive);
		if (!err)
			err = wait_for_news(drive);
		if (err)
			return err;
	}
}

/* The source has handed over: the destination still has to run. */
static int await_destination(struct hs_drive *drive)
{
	int err = wait_for_status(drive, HS_DESTINATION, "completed");

	return err ? err : wait_for_event(drive, "RESUME", NULL, "resume the guest");
}

/* QEMU says that it has completed before it has summed up: until then its total is 0. */
static int await_account(struct hs_drive *drive)
{
	uint64_t deadline = hs_now_ns() + STEP_LIMIT_NS;
	char status[32];
	int err = look(drive, HS_SOURCE, status);

	while (!err && !hs_json_get_u64(drive->last[HS_SOURCE], "total-time") && hs_now_ns() < deadline) {
		err = wait_ns(drive, POLL_NS);
		if (!err)
			err = look(drive, HS_SOURCE, status);
	}
	return err;
}

static int start(struct hs_drive *drive)
{
	uint64_t downtime_ms = drive->options->downtime_limit_ns / 1000000;
	int err = 0;

	for (int end = 0; end < HS_END_NR && !err; end++) {
		const char *why;

		if (!drive->site->machines[end].qmp)
			return -EPIPE;
		err = hs_drive_set_mode(drive->site->machines[end].qmp, drive->mode, downtime_ms, &why);
		if (err)
			say_why(drive, "the %s's QEMU refused the mode: %s", hs_end_name(end), why);
	}
	if (!err)
		err = call(drive, HS_DESTINATION, "migrate-incoming", uri(PORT), NULL);
	drive->start_ns = hs_now_ns();
	return err ? err : call(drive, HS_SOURCE, "migrate", uri(PORT), NULL);
}

/* A QMP connection can end before its QEMU is seen to. */
static bool is_one_gone(void *ctx)
{
	const struct hs_drive *drive = ctx;

	return drive->is_gone[HS_SOURCE] || drive->is_gone[HS_DESTINATION];
}

int hs_drive_run(struct hs_drive *drive)
{
	int err = start(drive);

	if (!err)
		err = follow(drive);
	if (!err && drive->outcome == HS_OUTCOME_COMPLETED)
		err = await_destination(drive);
	drive->end_ns = hs_now_ns();
	if (!err && drive->outcome == HS_OUTCOME_COMPLETED)
		err = await_account(drive);
	if (!err)
		return 0;
	if (err == -EINTR)
		return err;
	drive->outcome = HS_OUTCOME_FAILED;
	if (err == -EPIPE)
		hs_loop_until(drive->site->config.loop, is_one_gone, drive, hs_now_ns() + STEP_LIMIT_NS);
	if (is_one_gone(drive))
		snprintf(drive->why, sizeof(drive->why), "the %s's QEMU died",
			 drive->is_gone[HS_SOURCE] ? "source" : "destination");
	say_why(drive, "error %d", -err);
	return 0;
}
