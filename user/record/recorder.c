// SPDX-License-Identifier: GPL-2.0-only
/*
 * A recording: the capture of this kernel's events, the VMs they belong to, and the document that says what was
 * recorded and what was lost. One thread does everything, from the loop's callbacks.
 */
#include "record/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/command.h"
#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "capture/tap.h"
#include "record/last.h"
#include "timeline/clock_json.h"

/* Waking up costs as much as draining a thousand records; a ring that fills sooner wakes us itself. */
#define DRAIN_PERIOD_NS 50000000ull
#define SECOND_NS 1000000000ull
/* VMs that live shorter than this stay without a name. */
#define SCAN_PERIOD_NS (SECOND_NS / 20)
/* Of the document, printed, and of each clock sample in it: more than they take. */
#define DOCUMENT_BYTES 131072
#define SAMPLE_BYTES 256

struct hs_recorder {
	struct hs_recorder_config config;
	struct hs_loop *loop; /* borrowed */
	struct hs_capture *capture;
	struct hs_vm_list vms;
	struct hs_clock_list clocks;
	json_object *document;
	char *document_path;
	int reserve_fd; /* room on the disk for the document, which a full disk must not refuse */
	uint64_t started_ns, next_scan_ns, said_lost;
	bool follows_taps, has_said_no_ring;
	struct hs_command command;
	bool is_dir_ours, is_over, is_finished;
	const char *outcome;
	struct hs_watch tick, fill, second, usr1;
	struct hs_capture_snapshot snapshot; /* the newest */
	unsigned int snapshot_nr;
	uint64_t snapshots_lost; /* events that belonged into a snapshot and could not be written */
	uint64_t trigger_ns;	 /* of the last snapshot that a trigger made */
};

/* ---- the folder ---- */

static int make_dir(struct hs_recorder *recorder)
{
	scoped(mem) char *trace = hs_format("%s/trace", recorder->config.dir);

	recorder->document_path = hs_format("%s/record.json", recorder->config.dir);
	if (!trace || !recorder->document_path)
		return -ENOMEM;
	if (!access(recorder->document_path, F_OK) || !access(trace, F_OK))
		return hs_fail(-EEXIST, "%s already holds a recording: give another folder with --out, or remove it",
			       recorder->config.dir);
	recorder->is_dir_ours = true;
	return hs_make_dirs(recorder->config.flight ? recorder->config.dir : trace);
}

static char *reserve_path(const struct hs_recorder *recorder)
{
	return hs_format("%s/" HS_RECORD_RESERVE, recorder->config.dir);
}

/* Grows with the clock samples. A file system that cannot reserve goes without. */
static void reserve_room(struct hs_recorder *recorder)
{
	scoped(mem) char *path = reserve_path(recorder);

	if (recorder->reserve_fd < 0 && path)
		recorder->reserve_fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (recorder->reserve_fd >= 0 &&
	    fallocate(recorder->reserve_fd, 0, 0, DOCUMENT_BYTES + recorder->clocks.sample_nr * SAMPLE_BYTES))
		hs_dbg("no room is reserved for record.json: %s", strerror(errno));
}

static void release_room(struct hs_recorder *recorder)
{
	scoped(mem) char *path = reserve_path(recorder);

	if (recorder->reserve_fd < 0)
		return;
	close(recorder->reserve_fd);
	recorder->reserve_fd = -1;
	if (path)
		unlink(path);
}

/* What never began leaves nothing behind. */
static void remove_dir(struct hs_recorder *recorder)
{
	scoped(mem) char *trace = hs_format("%s/trace", recorder->config.dir);

	if (!recorder->is_dir_ours || !trace)
		return;
	hs_capture_free(take(recorder->capture));
	release_room(recorder);
	hs_remove_tree(trace);
	unlink(recorder->document_path);
	rmdir(recorder->config.dir); /* stays when there was something in it */
}

static void start_document(struct hs_recorder *recorder)
{
	struct hs_clock_sample now;
	struct utsname host;
	json_object *start;

	uname(&host);
	hs_clock_sample_take(&now);
	recorder->document = json_object_new_object();
	hs_json_add_string(recorder->document, "schema", HS_RECORD_SCHEMA);
	hs_json_add_string(recorder->document, "version", HS_VERSION);
	hs_json_add_string(recorder->document, "kernel", host.release);
	hs_json_add_string(recorder->document, "outcome", "running");
	hs_json_add_u64(recorder->document, "pid", (uint64_t)getpid());
	hs_json_add_u64(recorder->document, "pid_started", hs_proc_start_time(getpid()));
	hs_json_add_bool(recorder->document, "flight", recorder->config.flight);
	hs_json_add_command_line(recorder->document, "options");
	start = hs_json_add_object(recorder->document, "start");
	hs_json_add_u64(start, "boot_ns", now.boot_ns);
	hs_json_add_u64(start, "real_ns", now.real_ns);
}

/* ---- counts ---- */

/* Of the recording, or of one snapshot of a flight. */
static void add_events(const struct hs_recorder *recorder, const struct hs_capture_snapshot *snapshot)
{
	json_object *events = hs_json_add_array(recorder->document, "events");

	for (unsigned int i = 0; i < hs_event_nr; i++) {
		struct hs_capture_event_counts counts;
		json_object *row;

		if (!recorder->config.events.has[hs_events[i].id] ||
		    hs_capture_event_counts(recorder->capture, hs_events[i].id, &counts))
			continue;
		row = hs_json_append_object(events);
		hs_json_add_string(row, "event", hs_events[i].name);
		hs_json_add_u64(row, "recorded", snapshot ? snapshot->recorded[hs_events[i].id] : counts.recorded);
		hs_json_add_u64(row, "ring_lost", counts.ring_lost);
		hs_json_add_u64(row, "disk_lost", snapshot ? snapshot->disk_lost[hs_events[i].id] : counts.disk_lost);
		hs_json_add_u64(row, "missed", counts.missed);
	}
}

static uint64_t lost_on(const struct hs_recorder *recorder, uint32_t cpu)
{
	uint64_t lost = 0;

	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		lost += hs_capture_ring_lost(recorder->capture, cpu, id);
	return lost;
}

static void add_cpus(const struct hs_recorder *recorder)
{
	json_object *cpus = hs_json_add_array(recorder->document, "cpus");

	for (uint32_t cpu = 0; cpu < hs_capture_cpu_nr(recorder->capture); cpu++) {
		json_object *row = hs_json_append_object(cpus);

		hs_json_add_u64(row, "cpu", cpu);
		hs_json_add_u64(row, "ring_lost", lost_on(recorder, cpu));
	}
}

static void add_missing(const struct hs_recorder *recorder)
{
	json_object *list = hs_json_add_array(recorder->document, "missing");
	size_t missing_nr;
	const struct hs_probe_missing *missing = hs_capture_missing(recorder->capture, &missing_nr);

	for (size_t i = 0; i < missing_nr; i++) {
		json_object *row = hs_json_append_object(list);

		hs_json_add_string(row, "event", missing[i].event->name);
		hs_json_add_string(row, "reason", missing[i].reason);
	}
}

static int write_document_of(struct hs_recorder *recorder, const char *path, const struct hs_capture_snapshot *snapshot)
{
	json_object *trace;

	hs_json_add_u64(recorder->document, "duration_ns", hs_now_ns() - recorder->started_ns);
	hs_vms_to_json(&recorder->vms, recorder->document, "vms");
	add_events(recorder, snapshot);
	add_cpus(recorder);
	add_missing(recorder);
	hs_clock_list_to_json(&recorder->clocks, recorder->document, "clocks");
	trace = hs_json_add_object(recorder->document, "trace");
	hs_json_add_u64(trace, "bytes",
			snapshot ? snapshot->bytes : hs_capture_writer_counts(recorder->capture)->bytes);
	hs_json_add_u64(trace, "sorted", hs_capture_writer_counts(recorder->capture)->sorted);
	hs_json_add_u64(trace, "clamped", hs_capture_writer_counts(recorder->capture)->clamped);
	return hs_json_write_file(path, recorder->document);
}

static int write_document(struct hs_recorder *recorder)
{
	return write_document_of(recorder, recorder->document_path,
				 recorder->config.flight ? &recorder->snapshot : NULL);
}

uint64_t hs_recorder_lost(const struct hs_recorder *recorder)
{
	uint64_t lost = recorder->snapshots_lost;

	for (unsigned int i = 0; i < hs_event_nr && !recorder->config.flight; i++) {
		struct hs_capture_event_counts counts;

		if (!hs_capture_event_counts(recorder->capture, hs_events[i].id, &counts))
			lost += counts.ring_lost + counts.disk_lost;
	}
	return lost;
}

/* ---- what is watched ---- */

static int watch_tap(struct hs_recorder *recorder, const char *name, uint32_t netns_inum, uint16_t number)
{
	unsigned int ifindex = if_nametoindex(name);

	if (!ifindex)
		return hs_fail(-ENOENT, "there is no interface '%s' in this network namespace", name);
	return hs_capture_watch_tap(recorder->capture, netns_inum, ifindex, number, HS_ROLE_OTHER);
}

/* All taps of the namespace unless some were named. */
static int watch_taps(struct hs_recorder *recorder)
{
	const struct hs_recorder_config *config = &recorder->config;
	uint32_t netns_inum;
	int err;

	recorder->follows_taps = !config->taps.count;
	if (recorder->follows_taps)
		return hs_taps_watch_new(recorder->capture);
	err = hs_netns_inum(&netns_inum);
	for (size_t i = 0; i < config->taps.count && !err; i++)
		err = watch_tap(recorder, config->taps.items[i], netns_inum, (uint16_t)i);
	return err;
}

static int select_vms(struct hs_recorder *recorder)
{
	int err = 0;

	for (size_t i = 0; i < recorder->config.vms.count && !err; i++)
		err = hs_vms_select(&recorder->vms, recorder->config.vms.items[i]);
	return err;
}

static int watch_vms(struct hs_recorder *recorder)
{
	int err = 0;

	for (size_t i = 0; i < recorder->vms.vm_nr && !err; i++)
		err = hs_capture_watch_process(recorder->capture, recorder->vms.vms[i].tgid);
	return err;
}

static int open_capture(struct hs_recorder *recorder)
{
	scoped(mem) char *dir = hs_format("%s/trace/host", recorder->config.dir);
	scoped(mem) char *pin = hs_format("record-%d", getpid());
	char reason[256] = "";
	struct hs_capture_config capture = {
		.trace_dir = dir,
		.machine = "host",
		.pin = pin,
		.ring_bytes = recorder->config.ring_bytes,
		.events = recorder->config.events,
		.host_wide = !recorder->config.vms.count,
		.filter = recorder->config.filter,
		.flight = recorder->config.flight,
		.reason = reason,
		.reason_bytes = sizeof(reason),
	};
	int err = dir ? hs_capture_open(&capture, &recorder->capture) : -ENOMEM;

	if (err == -EPERM || err == -EOPNOTSUPP)
		return hs_fail(err, "cannot record here: %s", reason);
	return err;
}

/* ---- while it runs ---- */

void hs_recorder_end(struct hs_recorder *recorder, const char *outcome)
{
	if (!recorder->is_over)
		recorder->outcome = outcome;
	recorder->is_over = true;
}

static void on_tick(void *ctx, uint32_t events)
{
	struct hs_recorder *recorder = ctx;

	(void)events;
	hs_capture_drain(recorder->capture);
	if (!recorder->config.vms.count && hs_now_ns() >= recorder->next_scan_ns) {
		hs_vms_scan(&recorder->vms);
		recorder->next_scan_ns = hs_now_ns() + SCAN_PERIOD_NS;
	}
}

static void sample_clocks(struct hs_recorder *recorder)
{
	struct hs_clock_sample sample;

	hs_clock_sample_take(&sample);
	hs_clock_list_append(&recorder->clocks, &sample);
}

/* How many run; *ended_nr is how many have ended since the last call. */
static size_t count_alive(struct hs_recorder *recorder, size_t *ended_nr)
{
	size_t alive_nr = 0;

	*ended_nr = 0;
	for (size_t i = 0; i < recorder->vms.vm_nr; i++) {
		struct hs_vm *vm = &recorder->vms.vms[i];
		bool is_alive = !kill(vm->tgid, 0);

		alive_nr += is_alive;
		*ended_nr += !is_alive && !vm->has_ended;
		vm->has_ended = !is_alive;
	}
	return alive_nr;
}

int hs_recorder_snapshot(struct hs_recorder *recorder, const char *why)
{
	scoped(mem) char *dir = hs_format("%s/snapshot-%u", recorder->config.dir, recorder->snapshot_nr + 1);
	scoped(mem) char *trace = hs_format("%s/trace", dir);
	scoped(mem) char *host = hs_format("%s/trace/host", dir);
	scoped(mem) char *document = hs_format("%s/record.json", dir);
	int err = dir && trace && host && document ? hs_make_dirs(trace) : -ENOMEM;

	if (!err)
		err = hs_capture_snapshot(recorder->capture, host, &recorder->snapshot);
	if (err)
		return err;
	recorder->snapshot_nr++;
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		recorder->snapshots_lost += recorder->snapshot.disk_lost[id];
	hs_json_add_string(recorder->document, "snapshot", why);
	hs_json_add_u64(recorder->document, "snapshots", recorder->snapshot_nr);
	err = write_document_of(recorder, document, &recorder->snapshot);
	if (!err)
		hs_info("%s: %s", dir, why);
	return err ? err : write_document(recorder);
}

/* Triggers come in bursts, and the next ones would write the same records again. */
static void snapshot_by_trigger(struct hs_recorder *recorder, const char *why)
{
	uint64_t now_ns = hs_now_ns();

	if (recorder->trigger_ns && now_ns - recorder->trigger_ns < SECOND_NS)
		return;
	recorder->trigger_ns = now_ns;
	hs_recorder_snapshot(recorder, why);
}

static void on_wake(void *ctx, uint32_t events)
{
	struct hs_recorder *recorder = ctx;

	(void)events;
	if (!recorder->config.flight)
		hs_capture_drain(recorder->capture);
	else if (hs_capture_take_wake(recorder->capture))
		snapshot_by_trigger(recorder,
				    recorder->config.filter.trigger_panic && !recorder->config.filter.trigger_exit_ns
					    ? "a guest panicked"
					    : "trigger");
}

static void on_usr1(void *ctx, uint32_t events)
{
	struct hs_recorder *recorder = ctx;
	struct signalfd_siginfo info;

	(void)events;
	if (read(recorder->usr1.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (!recorder->config.flight)
		hs_info("SIGUSR1 is for a flight (--flight): everything is written already");
	else
		hs_recorder_snapshot(recorder, "asked for");
}

static int catch_usr1(struct hs_recorder *recorder)
{
	sigset_t usr1;
	int fd;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	fd = signalfd(-1, &usr1, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return hs_fail(-errno, "cannot wait for SIGUSR1:");
	return hs_loop_add(recorder->loop, &recorder->usr1, fd, EPOLLIN, on_usr1, recorder);
}

/* Selected VMs: their new vCPUs, and the end with the last of them. */
static void follow_vms(struct hs_recorder *recorder)
{
	size_t ended_nr, alive_nr = count_alive(recorder, &ended_nr);

	if (recorder->config.trigger_vm_end && ended_nr)
		snapshot_by_trigger(recorder, "a VM ended");
	if (!recorder->config.vms.count)
		return;
	hs_vms_refresh(&recorder->vms);
	if (alive_nr)
		return;
	hs_info("the recorded VMs have ended");
	hs_recorder_end(recorder, "ok");
}

/* Memory is mapped into rings before the first event. */
static void say_new_cpus(struct hs_recorder *recorder)
{
	for (uint32_t cpu = 0; cpu < hs_capture_cpu_nr(recorder->capture) && !recorder->has_said_no_ring; cpu++) {
		if (hs_capture_has_ring(recorder->capture, cpu) || !lost_on(recorder, cpu))
			continue;
		hs_warn("CPU %u came after the recording began and has no ring: its events are counted as lost", cpu);
		recorder->has_said_no_ring = true;
	}
}

/* Once a second: VMs and taps that come and go, and losses that grew. */
static void on_second(void *ctx, uint32_t events)
{
	struct hs_recorder *recorder = ctx;
	uint64_t lost = hs_recorder_lost(recorder);

	(void)events;
	sample_clocks(recorder);
	reserve_room(recorder);
	follow_vms(recorder);
	if (recorder->follows_taps)
		recorder->follows_taps = !hs_taps_watch_new(recorder->capture);
	say_new_cpus(recorder);
	if (lost > recorder->said_lost)
		hs_warn("%llu events lost so far: a larger --buffer or fewer events would keep them",
			(unsigned long long)lost);
	recorder->said_lost = lost;
}

static void on_command_end(void *ctx)
{
	hs_recorder_end(ctx, "ok");
}

static int start_watches(struct hs_recorder *recorder)
{
	int err = hs_loop_timer(recorder->loop, &recorder->tick, DRAIN_PERIOD_NS, on_tick, recorder);

	if (!err)
		err = hs_loop_add(recorder->loop, &recorder->fill, hs_capture_fd(recorder->capture), EPOLLIN, on_wake,
				  recorder);
	if (!err)
		err = catch_usr1(recorder);
	if (!err)
		err = hs_loop_timer(recorder->loop, &recorder->second, SECOND_NS, on_second, recorder);
	return err;
}

static int open_parts(struct hs_recorder *recorder)
{
	bool has_net = false;
	int err = select_vms(recorder);

	if (!err)
		err = make_dir(recorder);
	if (!err)
		hs_last_save(recorder->config.dir);
	if (!err)
		err = open_capture(recorder);
	if (!err)
		err = watch_vms(recorder);
	for (unsigned int i = 0; i < hs_event_nr; i++)
		has_net = has_net ||
			  (recorder->config.events.has[hs_events[i].id] && !strcmp(hs_events[i].system, "net"));
	if (!err && has_net)
		err = watch_taps(recorder);
	if (err)
		return err;
	recorder->started_ns = hs_now_ns();
	sample_clocks(recorder);
	follow_vms(recorder);
	start_document(recorder);
	err = write_document(recorder);
	reserve_room(recorder);
	if (!err)
		err = start_watches(recorder);
	if (!err && recorder->config.command)
		err = hs_command_start(&recorder->command, recorder->loop, recorder->config.command,
				       recorder->config.command_stdout_fd, on_command_end, recorder);
	return err;
}

int hs_recorder_open(const struct hs_recorder_config *config, struct hs_loop *loop, struct hs_recorder **out)
{
	scoped(hs_recorder) struct hs_recorder *recorder = calloc(1, sizeof(*recorder));
	int err;

	if (!recorder)
		return -ENOMEM;
	recorder->config = *config;
	recorder->loop = loop;
	recorder->outcome = "failed";
	recorder->reserve_fd = -1;
	recorder->tick.fd = recorder->fill.fd = recorder->second.fd = recorder->usr1.fd = -1;
	recorder->command = (struct hs_command)HS_COMMAND_NONE;
	err = open_parts(recorder);
	if (err) {
		remove_dir(recorder);
		return err;
	}
	*out = take(recorder);
	return 0;
}

static bool is_over(void *ctx)
{
	const struct hs_recorder *recorder = ctx;

	return recorder->is_over;
}

int hs_recorder_run(struct hs_recorder *recorder)
{
	uint64_t duration_ns = recorder->config.duration_ns;
	int err =
		hs_loop_until(recorder->loop, is_over, recorder, duration_ns ? recorder->started_ns + duration_ns : 0);

	if (err != -ETIMEDOUT)
		return err;
	hs_recorder_end(recorder, "ok");
	return 0;
}

int hs_recorder_finish(struct hs_recorder *recorder)
{
	if (recorder->is_finished)
		return 0;
	recorder->is_finished = true;
	hs_command_end(&recorder->command);
	hs_capture_stop(recorder->capture);
	say_new_cpus(recorder);
	sample_clocks(recorder);
	hs_json_add_string(recorder->document, "outcome", recorder->outcome);
	release_room(recorder);
	return recorder->config.flight ? hs_recorder_snapshot(recorder, "the end") : write_document(recorder);
}

json_object *hs_recorder_document(struct hs_recorder *recorder)
{
	return recorder->document;
}

int hs_recorder_command_status(const struct hs_recorder *recorder)
{
	return recorder->command.exit_code;
}

void hs_recorder_free(struct hs_recorder *recorder)
{
	if (!recorder)
		return;
	if (recorder->capture && recorder->document)
		hs_recorder_finish(recorder);
	hs_loop_close(recorder->loop, &recorder->tick);
	hs_loop_remove(recorder->loop, &recorder->fill);
	hs_loop_close(recorder->loop, &recorder->usr1);
	hs_loop_close(recorder->loop, &recorder->second);
	hs_command_close(&recorder->command);
	hs_capture_free(recorder->capture);
	hs_vms_clear(&recorder->vms);
	hs_clock_list_clear(&recorder->clocks);
	json_object_put(recorder->document);
	free(recorder->document_path);
	free(recorder);
}
