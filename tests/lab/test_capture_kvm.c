// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capture of KVM events against kvmgen, which makes a known number of them: nothing recorded twice, nothing
 * missed, every loss counted, and babeltrace2 agrees. Needs root and a /dev/kvm that runs kvmgen.
 */
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "capture/capture.h"
#include "capture/salvage.h"
#include "tests/lab/lab.h"
#include "trace/ctf_reader.h"

#define OUT_NR 50000
#define OUT_NR_TEXT "50000"

static char kvmgen[4096];

/* A kvmgen that starts when `gate` is written to, so that it can be watched before its first event. */
static pid_t start_kvmgen(int *gate)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		return -1;
	pid = fork();
	if (!pid) {
		char go;

		close(ends[1]);
		if (read(ends[0], &go, 1) != 1 || !freopen("/dev/null", "w", stdout))
			_exit(1);
		execl(kvmgen, "kvmgen", OUT_NR_TEXT, (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	*gate = ends[1];
	return pid;
}

static void open_gate(int gate)
{
	if (write(gate, "x", 1) != 1)
		perror("gate");
	close(gate);
}

/* Lets kvmgen run while draining every `drain_ms` (0: not before its end). Returns its exit code. */
static int run_kvmgen(struct hs_capture *capture, pid_t pid, int gate, int drain_ms)
{
	int status = 0;

	open_gate(gate);
	while (drain_ms && !waitpid(pid, &status, WNOHANG)) {
		poll(NULL, 0, drain_ms);
		hs_capture_drain(capture);
	}
	if (!drain_ms)
		waitpid(pid, &status, 0);
	hs_capture_stop(capture);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_config(struct hs_capture_config *config, struct hs_capture **out)
{
	char reason[256] = "";
	int err;

	config->machine = "host";
	config->reason = reason;
	config->reason_bytes = sizeof(reason);
	hs_event_set_add_profile(&config->events, "kvm");
	err = hs_capture_open(config, out);
	if (err)
		printf("# capture: %s (%s)\n", reason, strerror(-err));
	else
		lab_show_missing(*out);
	return err;
}

static int open_capture(const char *name, size_t ring_bytes, bool host_wide, char *trace, size_t trace_bytes,
			struct hs_capture **out)
{
	struct hs_capture_config config = { .trace_dir = trace, .ring_bytes = ring_bytes, .host_wide = host_wide };

	snprintf(trace, trace_bytes, "%s/%s", lab_folder(), name);
	return open_config(&config, out);
}

static struct hs_capture_event_counts counts_of(const struct hs_capture *capture, uint16_t id)
{
	struct hs_capture_event_counts counts = { 0 };

	hs_capture_event_counts(capture, id, &counts);
	return counts;
}

/* The reader and babeltrace2 find in the trace what the capture says it recorded. */
static void check_trace(const struct hs_capture *capture, const char *trace, bool is_lossless)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	const struct hs_ctf_reader_counts *read;
	struct lab_trace_counts printed;
	struct hs_ctf_record record;
	uint64_t lost = 0, last_ts = 0, steps_back = 0;
	bool has_babeltrace = lab_babeltrace(trace, &printed);

	if (!lab_equal(hs_ctf_reader_open(trace, &reader), 0, "our reader opens %s", trace))
		return;
	while (hs_ctf_reader_next(reader, &record) > 0) {
		steps_back += record.header->ts < last_ts;
		last_ts = record.header->ts;
	}
	read = hs_ctf_reader_counts(reader);
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		struct hs_capture_event_counts counts = counts_of(capture, hs_events[i].id);

		lost += counts.ring_lost + counts.disk_lost;
		if (!counts.recorded && !read->read[hs_events[i].id])
			continue;
		lab_equal(read->read[hs_events[i].id], counts.recorded, "reader finds every %s", hs_events[i].name);
		if (has_babeltrace)
			lab_equal(printed.events[hs_events[i].id], counts.recorded, "babeltrace2 finds every %s",
				  hs_events[i].name);
	}
	if (has_babeltrace && is_lossless)
		lab_equal(printed.complaints, 0, "babeltrace2 has nothing to complain about");
	lab_equal(steps_back, 0, "the merged trace never steps back in time");
	lab_equal(read->discarded, lost, "the trace says how many events were lost");
	lab_equal(read->torn_packets + read->damaged_packets + read->unread_bytes, 0,
		  "every byte of the trace is read");
}

static void check_pio_fields(const char *trace, uint32_t tgid)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	uint64_t right = 0;

	if (hs_ctf_reader_open(trace, &reader))
		return;
	while (hs_ctf_reader_next(reader, &record) > 0) {
		const struct hs_event_kvm_pio *pio = (const void *)record.header;

		if (record.event->id == HS_EVENT_kvm_pio)
			right += pio->rw == 1 && pio->port == 0x80 && pio->size == 1 && pio->count == 1 &&
				 pio->val == 0 && pio->tgid == tgid && pio->header.tid == tgid;
	}
	lab_equal(right, OUT_NR, "every kvm_pio has the fields of `out 0x80,al`");
}

/* A hypervisor that runs the guest without VMX or SVM has neither event. */
static void check_exits(const struct hs_capture *capture)
{
	uint64_t entries = counts_of(capture, HS_EVENT_kvm_entry).recorded;
	uint64_t exits = counts_of(capture, HS_EVENT_kvm_exit).recorded;

	if (!entries && !exits)
		lab_skip("every kvm_entry has its kvm_exit", "this host's KVM enters no guest through VMX or SVM");
	else
		lab_ok(entries == exits && exits >= OUT_NR, "every kvm_entry has its kvm_exit");
}

static void test_nothing_is_lost_with_room(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	char trace[128];
	int gate;
	pid_t pid;

	if (open_capture("room", 0, false, trace, sizeof(trace), &capture)) {
		lab_ok(false, "capture opens");
		return;
	}
	pid = start_kvmgen(&gate);
	hs_capture_watch_process(capture, pid);
	lab_equal(run_kvmgen(capture, pid, gate, 5), 0, "kvmgen runs watched");
	lab_equal(counts_of(capture, HS_EVENT_kvm_pio).recorded, OUT_NR, "N outs are N recorded kvm_pio");
	lab_equal(counts_of(capture, HS_EVENT_kvm_pio).ring_lost, 0, "with room nothing is lost");
	lab_equal(counts_of(capture, HS_EVENT_kvm_userspace_exit).recorded, OUT_NR + 1,
		  "N outs and a hlt are N + 1 recorded kvm_userspace_exit");
	check_exits(capture);
	lab_equal(hs_capture_writer_counts(capture)->clamped, 0, "no time had to be changed");
	check_trace(capture, trace, true);
	check_pio_fields(trace, pid);
}

static void test_ring_overflow_is_counted_exactly(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct hs_capture_event_counts pio, exits;
	char trace[128];
	int gate;
	pid_t pid;

	if (open_capture("overflow", 4096, false, trace, sizeof(trace), &capture)) {
		lab_ok(false, "capture opens with the smallest ring");
		return;
	}
	pid = start_kvmgen(&gate);
	hs_capture_watch_process(capture, pid);
	lab_equal(run_kvmgen(capture, pid, gate, 20), 0, "kvmgen runs watched through the smallest ring");
	pio = counts_of(capture, HS_EVENT_kvm_pio);
	exits = counts_of(capture, HS_EVENT_kvm_userspace_exit);
	lab_ok(pio.ring_lost > 0 && pio.recorded > 0, "the ring was too small for all and large enough for some");
	lab_equal(pio.recorded + pio.ring_lost, OUT_NR, "kvm_pio: recorded + lost = produced");
	lab_equal(exits.recorded + exits.ring_lost, OUT_NR + 1, "kvm_userspace_exit: recorded + lost = produced");
	check_trace(capture, trace, false);
}

static void test_others_are_not_recorded(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	char trace[128];
	int gate;
	pid_t pid;

	if (open_capture("others", 0, false, trace, sizeof(trace), &capture)) {
		lab_ok(false, "capture opens");
		return;
	}
	pid = start_kvmgen(&gate);
	lab_equal(run_kvmgen(capture, pid, gate, 5), 0, "kvmgen runs unwatched");
	lab_equal(counts_of(capture, HS_EVENT_kvm_pio).recorded, 0, "a process that is not watched is not recorded");
}

static void test_host_wide_needs_no_watching(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	char trace[128];
	int gate;
	pid_t pid;

	if (open_capture("wide", 0, true, trace, sizeof(trace), &capture)) {
		lab_ok(false, "capture opens");
		return;
	}
	pid = start_kvmgen(&gate);
	lab_equal(run_kvmgen(capture, pid, gate, 5), 0, "kvmgen runs unannounced");
	lab_ok(counts_of(capture, HS_EVENT_kvm_pio).recorded >= OUT_NR, "host-wide, every VM is recorded");
}

static void test_fill_mark_wakes_the_collector(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct pollfd ready = { .events = POLLIN };
	char trace[128];
	int gate, status;
	pid_t pid;

	if (open_capture("mark", 65536, false, trace, sizeof(trace), &capture)) {
		lab_ok(false, "capture opens");
		return;
	}
	ready.fd = hs_capture_fd(capture);
	hs_capture_drain(capture);
	pid = start_kvmgen(&gate);
	hs_capture_watch_process(capture, pid);
	lab_equal(poll(&ready, 1, 0), 0, "nobody is woken while the rings are empty");
	open_gate(gate);
	lab_equal(poll(&ready, 1, 20000), 1, "a ring half full wakes the collector");
	hs_capture_drain(capture);
	waitpid(pid, &status, 0);
	hs_capture_stop(capture);
}

#define FLIGHT_SLOTS 1024

static void pin_to_cpu_of(pid_t pid)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		perror("sched_setaffinity");
}

/* Events and losses of a snapshot's trace, as our reader and babeltrace2 find them; the last record's id and text. */
static void check_snapshot(const char *trace, const struct hs_capture_snapshot *snapshot)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	uint64_t recorded = 0, read = 0, last_ts = 0, steps_back = 0, printed_nr = 0;
	struct lab_trace_counts printed;
	struct hs_ctf_record record;

	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		recorded += snapshot->recorded[id];
	if (!lab_equal(hs_ctf_reader_open(trace, &reader), 0, "our reader opens %s", trace))
		return;
	while (hs_ctf_reader_next(reader, &record) > 0) {
		steps_back += record.header->ts < last_ts;
		last_ts = record.header->ts;
		read++;
	}
	lab_equal(read, recorded, "the snapshot holds what it says");
	lab_equal(steps_back, 0, "the snapshot never steps back in time");
	lab_equal(hs_ctf_reader_counts(reader)->discarded, snapshot->overwritten,
		  "the snapshot says how many were overwritten");
	if (!lab_babeltrace(trace, &printed))
		return;
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		printed_nr += printed.events[id];
	lab_equal(printed_nr, recorded, "babeltrace2 finds them all");
}

static void test_flight_keeps_the_newest_exactly(void)
{
	struct hs_capture_config config = { .flight = true, .ring_bytes = FLIGHT_SLOTS * 64 };
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct hs_capture_event_counts pio, exits;
	struct hs_capture_snapshot snapshot;
	char trace[128];
	uint64_t kept = 0;
	int gate;
	pid_t pid;

	if (!lab_equal(open_config(&config, &capture), 0, "a flight opens"))
		return;
	pid = start_kvmgen(&gate);
	pin_to_cpu_of(pid);
	hs_capture_watch_process(capture, pid);
	lab_equal(run_kvmgen(capture, pid, gate, 0), 0, "kvmgen runs watched in flight");
	snprintf(trace, sizeof(trace), "%s/flight", lab_folder());
	if (!lab_equal(hs_capture_snapshot(capture, trace, &snapshot), 0, "a snapshot is written"))
		return;
	pio = counts_of(capture, HS_EVENT_kvm_pio);
	exits = counts_of(capture, HS_EVENT_kvm_userspace_exit);
	lab_equal(snapshot.recorded[HS_EVENT_kvm_pio] + pio.ring_lost, OUT_NR,
		  "kvm_pio: in the snapshot + overwritten = produced");
	lab_equal(snapshot.recorded[HS_EVENT_kvm_userspace_exit] + exits.ring_lost, OUT_NR + 1,
		  "kvm_userspace_exit: in the snapshot + overwritten = produced");
	for (unsigned int i = 0; i < hs_event_nr; i++)
		kept += snapshot.recorded[hs_events[i].id];
	lab_ok(kept >= FLIGHT_SLOTS / 2, "the ring is full of the newest");
	check_snapshot(trace, &snapshot);
}

static void test_snapshots_while_recording_are_whole(void)
{
	struct hs_capture_config config = { .flight = true, .ring_bytes = FLIGHT_SLOTS * 64 };
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct hs_capture_snapshot snapshot;
	char trace[128];
	int gate, status, number = 0;
	pid_t pid;

	if (!lab_equal(open_config(&config, &capture), 0, "a flight opens"))
		return;
	pid = start_kvmgen(&gate);
	hs_capture_watch_process(capture, pid);
	open_gate(gate);
	while (!waitpid(pid, &status, WNOHANG) && number < 3) {
		snprintf(trace, sizeof(trace), "%s/flying%d", lab_folder(), number);
		if (hs_capture_snapshot(capture, trace, &snapshot))
			break;
		if (!snapshot.overwritten) {
			hs_remove_tree(trace);
			continue;
		}
		number++;
		check_snapshot(trace, &snapshot);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	lab_equal(number, 3, "snapshots were taken of rings that were being written over");
}

static void test_rings_are_pinned_while_the_capture_lives(void)
{
	struct hs_capture_config config = { .flight = true, .pin = "test-pin" }, same = config;
	scoped(hs_capture) struct hs_capture *capture = NULL, *second = NULL;

	if (!lab_equal(open_config(&config, &capture), 0, "a pinned capture opens"))
		return;
	lab_equal(open_config(&same, &second), 0, "a second one of that name opens too, and warns");
	lab_equal(hs_salvage(lab_folder(), NULL, NULL), 0, "what is alive is not salvaged");
}

int main(int argc, char **argv)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	char trace[128];
	int gate, status;
	pid_t pid;

	(void)argc;
	snprintf(kvmgen, sizeof(kvmgen), "%s/../bench/kvmgen", dirname(argv[0]));
	if (access(kvmgen, X_OK)) {
		printf("Bail out! there is no %s: make it first\n", kvmgen);
		return 1;
	}
	/* A /run of its own: pinned rings of others on this machine are neither seen nor saved. */
	if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL))
		return lab_skip_all("namespaces cannot be made here");
	pid = start_kvmgen(&gate);
	open_gate(gate);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return lab_skip_all("KVM cannot run kvmgen here (see above)");
	if (open_capture("probe", 0, false, trace, sizeof(trace), &capture) == -EPERM)
		return lab_done(), lab_skip_all("BPF is not permitted here (see above)");
	test_nothing_is_lost_with_room();
	test_ring_overflow_is_counted_exactly();
	test_others_are_not_recorded();
	test_host_wide_needs_no_watching();
	test_fill_mark_wakes_the_collector();
	test_flight_keeps_the_newest_exactly();
	test_snapshots_while_recording_are_whole();
	test_rings_are_pinned_while_the_capture_lives();
	return lab_done();
}
