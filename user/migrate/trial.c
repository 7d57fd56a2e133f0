// SPDX-License-Identifier: GPL-2.0-only
/* The order of a trial. Callbacks note what happens; the straight-line parts wait for it. */
#include "migrate/trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "journal/recorder.h"
#include "migrate/load.h"
#include "migrate/seen.h"
#include "run/collector.h"

#define SECOND_NS 1000000000ull
#define BOOT_LIMIT_NS (120 * SECOND_NS)
#define HEAT_LIMIT_NS (60 * SECOND_NS)
#define END_LIMIT_NS (20 * SECOND_NS)

struct trial {
	const struct hs_trial_config *config;
	struct hs_loop *loop;
	struct hs_site *site;
	struct hs_collector *collector;
	struct hs_journal_recorder *journal;
	struct hs_load load;
	struct hs_drive drive;
	bool is_over; /* machines end because they are told to */
	bool runs_at[HS_END_NR];
};

/* ---- what machines say ------------------------------------------------------------------------- */

static void on_frame(void *ctx, struct hs_machine *machine, const struct hs_frame *frame, const char *payload)
{
	struct trial *trial = ctx;

	if (frame->type == HS_FRAME_STATE && frame->value < HS_STATE_NR)
		hs_machine_set_state(machine, frame->value, payload);
	else
		hs_load_on_frame(&trial->load, (enum hs_end)machine->number, frame, payload);
}

static void on_machine_exit(void *ctx, struct hs_machine *machine, int wait_status)
{
	struct trial *trial = ctx;
	char what[96];

	hs_machine_set_state(machine, HS_STATE_OFF, NULL);
	if (trial->is_over)
		return;
	trial->drive.is_gone[machine->number] = true;
	hs_warn("%s: its QEMU %s", machine->name, hs_proc_describe(wait_status, what, sizeof(what)));
}

static void on_qmp(void *ctx, struct hs_machine *machine, const char *name, json_object *data, uint64_t realtime_us)
{
	struct trial *trial = ctx;

	hs_drive_on_event(&trial->drive, (enum hs_end)machine->number, name, data, realtime_us);
}

static const struct hs_machine_ops machine_ops = { .on_frame = on_frame, .on_exit = on_machine_exit, .on_qmp = on_qmp };

/* ---- waits ------------------------------------------------------------------------------------- */

struct wait {
	struct trial *trial;
	hs_loop_done done;
};

static bool is_wait_over(void *ctx)
{
	const struct wait *wait = ctx;
	const struct trial *trial = wait->trial;

	return *trial->config->is_interrupted || (wait->done && wait->done(wait->trial)) ||
	       (trial->drive.is_gone[HS_SOURCE] && trial->drive.is_gone[HS_DESTINATION]);
}

/* 0, -EINTR, -ETIMEDOUT, or -EPIPE when nobody is left. */
static int wait_until(struct trial *trial, hs_loop_done done, uint64_t limit_ns)
{
	struct wait wait = { trial, done };
	int err = hs_loop_until(trial->loop, is_wait_over, &wait, hs_now_ns() + limit_ns);

	if (*trial->config->is_interrupted)
		return -EINTR;
	if (err)
		return err;
	return done && done(trial) ? 0 : -EPIPE;
}

static bool is_ready(void *ctx)
{
	const struct trial *trial = ctx;

	return trial->site->machines[HS_SOURCE].state == HS_STATE_READY || trial->drive.is_gone[HS_SOURCE];
}

static bool is_heated(void *ctx)
{
	const struct trial *trial = ctx;

	return trial->load.is_heated || trial->load.has_ended || trial->drive.is_gone[HS_SOURCE];
}

static bool greets(void *ctx)
{
	const struct trial *trial = ctx;

	return trial->site->machines[HS_DESTINATION].qemu_version[0] || trial->drive.is_gone[HS_DESTINATION];
}

static bool load_has_ended(void *ctx)
{
	const struct trial *trial = ctx;

	return trial->load.has_ended;
}

static bool prober_has_ended(void *ctx)
{
	const struct trial *trial = ctx;

	return !trial->load.prober;
}

/* Time passes; what happens is noted meanwhile. */
static int watch(struct trial *trial, uint64_t ns)
{
	int err = wait_until(trial, NULL, ns);

	return err == -ETIMEDOUT || err == -EPIPE ? 0 : err;
}

/* ---- the order --------------------------------------------------------------------------------- */

/* -EHOSTDOWN: there is nothing to migrate, and the trial's account says why. */
static int fail_at(struct trial *trial, enum hs_end end, int err, const char *what)
{
	scoped(mem) char *words = hs_machine_last_words(&trial->site->machines[end]);

	if (err == -EINTR)
		return err;
	snprintf(trial->drive.why, sizeof(trial->drive.why), "the %s %s", hs_end_name(end), what);
	return hs_fail(-EHOSTDOWN, "%s%s", trial->drive.why, words ? words : "");
}

static int record(struct trial *trial)
{
	struct hs_collector_config config = { .pairs = 1, .run_dir = trial->config->site.dir, .trace = true };
	int alarm_fd, err = hs_collector_start(&config, &trial->collector, &alarm_fd);

	for (int end = 0; end < HS_END_NR && !err; end++) {
		struct hs_netns *host = trial->site->hosts[end];
		struct hs_lab_tap tap = { .name = HS_SITE_TAP,
					  .netns_inum = hs_netns_inode(host),
					  .ifindex = hs_netns_ifindex(host, HS_SITE_TAP),
					  .is_client = end == HS_DESTINATION };

		hs_collector_watch_tap(trial->collector, &tap);
	}
	return err;
}

/* DIR/log: this host's kernel, both consoles and what both QEMUs say. */
static int record_logs(struct trial *trial)
{
	scoped(mem) char *dir = hs_format("%s/log", trial->config->site.dir);
	struct hs_journal_machine machines[HS_END_NR];

	for (int end = 0; end < HS_END_NR; end++) {
		const struct hs_machine *machine = &trial->site->machines[end];

		machines[end] = (struct hs_journal_machine){ .name = machine->name,
							     .console = machine->console_path,
							     .qemu = machine->errors_path };
	}
	return dir ? hs_journal_recorder_start(dir, machines, HS_END_NR, &trial->journal) : -ENOMEM;
}

static int boot(struct trial *trial)
{
	int err = hs_site_start(trial->site, HS_SOURCE);

	if (err)
		return err;
	err = wait_until(trial, is_ready, BOOT_LIMIT_NS);
	if (err || trial->drive.is_gone[HS_SOURCE])
		return fail_at(trial, HS_SOURCE, err, "did not boot its guest");
	err = hs_load_start_guest(&trial->load, &trial->site->machines[HS_SOURCE], trial->config->site.options,
				  trial->config->dirty_mib);
	if (!err)
		err = hs_load_start_prober(&trial->load, trial->site);
	if (err)
		return err;
	err = wait_until(trial, is_heated, HEAT_LIMIT_NS);
	if (err || !trial->load.is_heated)
		return fail_at(trial, HS_SOURCE, err, "could not fill its guest's memory: mm_dirty did not say so");
	err = hs_site_start(trial->site, HS_DESTINATION);
	if (err)
		return err;
	err = wait_until(trial, greets, BOOT_LIMIT_NS);
	if (err || trial->drive.is_gone[HS_DESTINATION])
		return fail_at(trial, HS_DESTINATION, err, "did not start");
	return 0;
}

/* The documents of who watched: the guest's comes from where the guest is now. */
static int stop_load(struct trial *trial)
{
	int err = 0;

	for (int end = 0; end < HS_END_NR && !err; end++) {
		trial->runs_at[end] = hs_drive_runs_at(&trial->drive, (enum hs_end)end);
		if (!trial->runs_at[end] || trial->load.has_ended)
			continue;
		err = hs_load_stop_guest(&trial->load, &trial->site->machines[end]);
		if (!err)
			err = wait_until(trial, load_has_ended, END_LIMIT_NS);
		if (err == -EINTR)
			return err;
		if (err)
			hs_warn("mm_dirty in the guest did not end: its account is missing");
		err = 0;
	}
	hs_load_stop_prober(&trial->load);
	err = wait_until(trial, prober_has_ended, END_LIMIT_NS);
	return err == -EINTR ? err : 0;
}

static int run_site(struct trial *trial)
{
	uint64_t settle_ns = trial->config->site.options->settle_ns;
	int err = record(trial);

	if (!err)
		err = record_logs(trial);
	if (!err)
		err = hs_site_up(trial->site);
	if (!err)
		err = boot(trial);
	if (!err)
		err = watch(trial, settle_ns);
	if (!err)
		err = hs_drive_run(&trial->drive);
	if (!err)
		err = watch(trial, settle_ns);
	return err && err != -EHOSTDOWN ? err : stop_load(trial);
}

/* ---- the document ------------------------------------------------------------------------------ */

/* QEMU's own numbers, as query-migrate at the source has them; null where it has none. */
static void add_qemu(const struct trial *trial, json_object *document)
{
	static const struct {
		const char *key, *path;
		enum hs_end end;
	} numbers[] = {
		{ "total_ms", "total-time", HS_SOURCE },
		{ "setup_ms", "setup-time", HS_SOURCE },
		{ "downtime_ms", "downtime", HS_SOURCE },
		{ "expected_downtime_ms", "expected-downtime", HS_SOURCE },
		{ "rounds", "ram.dirty-sync-count", HS_SOURCE },
		{ "transferred_bytes", "ram.transferred", HS_SOURCE },
		{ "precopy_bytes", "ram.precopy-bytes", HS_SOURCE },
		{ "downtime_bytes", "ram.downtime-bytes", HS_SOURCE },
		{ "postcopy_bytes", "ram.postcopy-bytes", HS_SOURCE },
		{ "multifd_bytes", "ram.multifd-bytes", HS_SOURCE },
		{ "normal_pages", "ram.normal", HS_SOURCE },
		{ "zero_pages", "ram.duplicate", HS_SOURCE },
		{ "dirty_pages_rate", "ram.dirty-pages-rate", HS_SOURCE },
		{ "postcopy_requests", "ram.postcopy-requests", HS_SOURCE },
		{ "xbzrle_pages", "xbzrle-cache.pages", HS_SOURCE },
		{ "compressed_pages", "compression.pages", HS_SOURCE },
		{ "cpu_throttle_pct", "cpu-throttle-percentage", HS_SOURCE },
		{ "postcopy_blocktime_ms", "postcopy-blocktime", HS_DESTINATION },
	};
	json_object *qemu = hs_json_add_object(document, "qemu");

	for (size_t i = 0; i < HS_ARRAY_SIZE(numbers); i++) {
		json_object *last = trial->drive.last[numbers[i].end];

		if (last && hs_json_get(last, numbers[i].path))
			hs_json_add_u64(qemu, numbers[i].key, hs_json_get_u64(last, numbers[i].path));
		else
			json_object_object_add(qemu, numbers[i].key, NULL);
	}
}

static json_object *describe(const struct trial *trial)
{
	const struct hs_trial_config *config = trial->config;
	const struct hs_drive *drive = &trial->drive;
	const char *slash = strrchr(config->site.dir, '/');
	json_object *document = json_object_new_object();

	hs_json_add_string(document, "mode", config->mode->name);
	hs_json_add_u64(document, "dirty_mib_per_s", config->dirty_mib);
	hs_json_add_u64(document, "bandwidth_bps", config->site.bandwidth_bps);
	hs_json_add_u64(document, "trial", config->number);
	hs_json_add_string(document, "folder", slash ? slash + 1 : config->site.dir);
	hs_json_add_string(document, "fault", hs_fault_names[config->site.options->fault]);
	hs_json_add_string(document, "outcome", hs_outcome_name(drive->outcome));
	hs_json_add_string(document, "why", drive->outcome == HS_OUTCOME_COMPLETED ? NULL : drive->why);
	hs_json_add_bool(document, "recovered", drive->is_recovered);
	hs_json_add_string(document, "guest_runs_at",
			   trial->runs_at[HS_DESTINATION] ? "destination"
			   : trial->runs_at[HS_SOURCE]	  ? "source"
							  : NULL);
	hs_json_add_u64(document, "start_boottime_ns", drive->start_ns);
	hs_json_add_u64(document, "end_boottime_ns", drive->end_ns);
	hs_json_add_u64(document, "postcopy_boottime_ns", drive->postcopy_ns);
	hs_json_add_u64(document, "fault_boottime_ns", drive->fault_ns);
	hs_json_add_string(document, "why_no_trace",
			   *hs_collector_why_no_trace(trial->collector) ? hs_collector_why_no_trace(trial->collector)
									: NULL);
	add_qemu(trial, document);
	json_object_object_add(document, "polls", json_object_get(drive->polls));
	json_object_object_add(document, "events", json_object_get(drive->events));
	return document;
}

static int write_document(struct trial *trial, json_object **out)
{
	scoped(mem) char *path = hs_format("%s/trial.json", trial->config->site.dir);
	scoped(json) json_object *document = describe(trial);
	scoped(hs_clock_list) struct hs_clock_list clocks = { 0 };
	struct hs_seen_input input = { .dir = trial->config->site.dir,
				       .site = trial->site,
				       .drive = &trial->drive,
				       .load = &trial->load,
				       .clocks = &clocks,
				       .watched_until_ns = hs_now_ns() };
	int err = path ? hs_load_write(&trial->load) : -ENOMEM;

	if (!err)
		err = hs_collector_clocks(trial->collector, &clocks);
	if (!err)
		err = hs_seen_add(&input, document);
	if (!err)
		err = hs_seen_write_traces(&input, document);
	if (!err)
		err = hs_json_write_file(path, document);
	if (!err)
		*out = take(document);
	return err;
}

static int open_trial(struct trial *trial)
{
	const struct hs_trial_config *config = trial->config;
	scoped(mem) char *console = hs_format("%s/console", config->site.dir);
	int err = console ? hs_make_dirs(console) : -ENOMEM;

	hs_load_init(&trial->load, trial->loop, config->site.dir);
	if (!err)
		err = hs_site_open(&config->site, &machine_ops, trial, &trial->site);
	hs_drive_init(&trial->drive, trial->site, config->mode, config->site.options, config->is_interrupted);
	return err;
}

int hs_trial_run(const struct hs_trial_config *config, json_object **out)
{
	struct trial trial = { .config = config, .loop = config->site.loop };
	int err = open_trial(&trial);

	if (!err) {
		err = run_site(&trial);
		trial.is_over = true;
		hs_site_stop(trial.site);
		if (trial.collector)
			hs_collector_stop(trial.collector);
		hs_journal_recorder_free(take(trial.journal));
		if (!err)
			err = write_document(&trial, out);
	}
	hs_load_clear(&trial.load);
	hs_site_free(trial.site);
	hs_collector_free(trial.collector);
	hs_drive_clear(&trial.drive);
	return err;
}
