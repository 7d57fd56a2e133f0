// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every event of a guest that does one of everything, beside what the kernel's own tracing says of the same events in
 * the same run: as many, in the same order, with the same values in every field that both have. Needs root, a /dev/kvm
 * that runs kvmguest, and a kernel whose tracefs prints fields by name (Linux 6.4 and later).
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/capture.h"
#include "tests/lab/lab.h"
#include "trace/ctf_reader.h"

#define RECORDS_MAX 16384
#define EVENT_LINES_MAX 8192

static char kvmguest[4096];

/* What happens in kvmguest whatever runs it; the rest depends on the processor. */
static const uint16_t must_happen[] = {
	HS_EVENT_kvm_userspace_exit,
	HS_EVENT_kvm_pio,
	HS_EVENT_kvm_mmio,
	HS_EVENT_kvm_set_irq,
	HS_EVENT_kvm_msi_set_irq,
	HS_EVENT_kvm_msr,
	HS_EVENT_kvm_cpuid,
	HS_EVENT_kvm_inj_exception,
	HS_EVENT_kvm_pic_set_irq,
	HS_EVENT_kvm_ioapic_set_irq,
	HS_EVENT_kvm_eoi,
	HS_EVENT_kvm_ack_irq,
	HS_EVENT_kvm_apic_accept_irq,
	HS_EVENT_kvm_apic_ipi,
	HS_EVENT_kvm_vcpu_wakeup,
	HS_EVENT_kvm_dirty_ring_push,
	HS_EVENT_kvm_dirty_ring_reset,
	HS_EVENT_kvm_dirty_ring_exit,
	HS_EVENT_kvm_write_tsc_offset,
	HS_EVENT_kvm_unmap_hva_range,
	HS_EVENT_sched_switch,
};

/* ---- the kernel's own tracing ---- */

/* KVM events of that thread, and every change of thread. */
static bool tracer_start(const struct lab_tracer *tracer, pid_t pid)
{
	char mine[32];

	snprintf(mine, sizeof(mine), "common_pid == %d", pid);
	return lab_tracer_write(tracer, "events/kvm/filter", mine) &&
	       lab_tracer_write(tracer, "events/kvm/enable", "1") &&
	       lab_tracer_write(tracer, "events/sched/sched_switch/enable", "1");
}

/* The lines of one event, in order; "...: kvm_pio: port=0x80 (128) ...". */
struct lines {
	char *lines[EVENT_LINES_MAX];
	size_t nr;
};

static void lines_free(struct lines *lines)
{
	for (size_t i = 0; i < lines->nr; i++)
		free(lines->lines[i]);
	lines->nr = 0;
}

static bool tracer_read(const struct lab_tracer *tracer, const char *event, pid_t pid, struct lines *lines)
{
	scoped(mem) char *line = NULL;
	char middle[80], changed[32];
	size_t room = 0;
	int fd = openat(tracer->fd, "trace", O_RDONLY | O_CLOEXEC);
	scoped(file) FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	snprintf(middle, sizeof(middle), ": %s: ", event);
	snprintf(changed, sizeof(changed), "_pid=0x%x ", pid);
	while (file && getline(&line, &room, file) > 0) {
		char *start = strstr(line, middle);

		if (start && !strcmp(event, "sched_switch") &&
		    (!strstr(start, changed) || strstr(start, "prev_comm=swapper")))
			continue;
		if (start && lines->nr < EVENT_LINES_MAX)
			lines->lines[lines->nr++] = strdup(start + strlen(middle) - 1);
	}
	return file;
}

/* ---- ours ---- */

struct record {
	const struct hs_event *event;
	uint8_t bytes[64];
};

static struct record records[RECORDS_MAX];
static size_t record_nr;

/* Whether it is about that thread; the kernel's tracing leaves out some of the changes from an idle CPU. */
static bool is_of(const struct hs_ctf_record *record, uint32_t tid)
{
	const struct hs_event_sched_switch *change = (const void *)record->header;

	if (record->event->id == HS_EVENT_sched_switch)
		return change->prev_pid && (change->prev_pid == tid || change->next_pid == tid);
	return record->header->tid == tid;
}

static void read_records(const char *trace, uint32_t tid)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;

	if (!lab_equal(hs_ctf_reader_open(trace, &reader), 0, "the trace opens"))
		return;
	while (hs_ctf_reader_next(reader, &record) > 0 && record_nr < RECORDS_MAX) {
		if (!is_of(&record, tid))
			continue;
		records[record_nr].event = record.event;
		memcpy(records[record_nr++].bytes, record.header, record.event->size);
	}
	lab_ok(record_nr < RECORDS_MAX, "all records have been looked at");
}

static size_t records_of(const struct hs_event *event, const struct record **found)
{
	size_t nr = 0;

	for (size_t i = 0; i < record_nr; i++) {
		if (records[i].event == event && nr < EVENT_LINES_MAX)
			found[nr++] = &records[i];
	}
	return nr;
}

/* ---- both ---- */

/* False: the kernel says something else of that field; *compared counts those it says the same of. */
static bool is_same_field(const struct hs_field *field, const void *record, const char *line, unsigned int *compared)
{
	uint64_t mask = field->size == 8 ? UINT64_MAX : (1ull << 8 * field->size) - 1, theirs;
	char name[64];
	const char *at;

	snprintf(name, sizeof(name), " %s=", field->name);
	at = strstr(line, name);
	if (!at)
		return true;
	at += strlen(name);
	/* "0x80 (128)", but of one byte "(1)" or "'@'(64)". */
	theirs = strtoull(*at == '0' ? at : strchr(at, '(') + 1, NULL, 0);
	*compared += 1;
	return (theirs & mask) == (hs_field_value(field, record) & mask);
}

static bool is_same(const struct record *record, const char *line, unsigned int *compared, const char **differs)
{
	for (unsigned int i = 0; i < record->event->field_nr; i++) {
		if (!is_same_field(&record->event->fields[i], record->bytes, line, compared)) {
			*differs = record->event->fields[i].name;
			return false;
		}
	}
	return true;
}

/* How many records in a row are the lines from `start` on. */
static size_t same_run(const struct record **found, size_t found_nr, const struct lines *lines, size_t start,
		       unsigned int *compared, const char **differs)
{
	size_t i = 0;

	while (i < found_nr && start + i < lines->nr && is_same(found[i], lines->lines[start + i], compared, differs))
		i++;
	return i;
}

static void show_difference(const struct record *record, const char *line, const char *field)
{
	printf("# %s: ours: ", field);
	hs_event_print_json(stdout, record->event, record->bytes);
	printf("\n# theirs:%s", line);
}

static void compare_exactly(const struct hs_event *event, const struct record **found, size_t found_nr,
			    const struct lines *lines)
{
	unsigned int compared = 0;
	const char *differs = "";
	size_t same = same_run(found, found_nr, lines, 0, &compared, &differs);

	lab_equal(found_nr, lines->nr, "%s: as many as the kernel's tracing has", event->name);
	if (same < found_nr && same < lines->nr)
		show_difference(found[same], lines->lines[same], differs);
	lab_ok(same == found_nr && compared > 0, "%s: %u values are the kernel's", event->name, compared);
}

/* The thread runs before it is watched and a moment after its end: what is ours is a stretch of theirs. */
static void compare_stretch(const struct hs_event *event, const struct record **found, size_t found_nr,
			    const struct lines *lines)
{
	unsigned int compared = 0;
	const char *differs = "";
	bool is_stretch = false;

	for (size_t start = 0; start + found_nr <= lines->nr && !is_stretch; start++)
		is_stretch = same_run(found, found_nr, lines, start, &compared, &differs) == found_nr;
	for (size_t i = 0; i < found_nr && i < lines->nr && !is_stretch; i++)
		show_difference(found[i], lines->lines[i], differs);
	lab_ok(is_stretch && found_nr && lines->nr <= found_nr + 4, "%s: %zu are a stretch of the kernel's %zu",
	       event->name, found_nr, lines->nr);
}

static bool is_certain(uint16_t id)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(must_happen); i++) {
		if (must_happen[i] == id)
			return true;
	}
	return false;
}

/* False: it happens neither here nor there. */
static bool compare(const struct lab_tracer *tracer, pid_t pid, const struct hs_event *event)
{
	static const struct record *found[EVENT_LINES_MAX];
	static struct lines lines;
	size_t found_nr = records_of(event, found);

	if (!tracer_read(tracer, event->name, pid, &lines))
		lab_ok(false, "%s: the kernel's tracing is read", event->name);
	else if (!lines.nr && !found_nr && !is_certain(event->id))
		return false;
	else if (event->id == HS_EVENT_sched_switch)
		compare_stretch(event, found, found_nr, &lines);
	else
		compare_exactly(event, found, found_nr, &lines);
	lines_free(&lines);
	return true;
}

/* A guest that starts when `gate` is written to. */
static pid_t start_guest(int *gate)
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
		execl(kvmguest, "kvmguest", (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	*gate = ends[1];
	return pid;
}

static int run_guest(struct hs_capture *capture, pid_t pid, int gate)
{
	int status = 0;

	if (write(gate, "x", 1) != 1)
		perror("gate");
	close(gate);
	while (!waitpid(pid, &status, WNOHANG)) {
		poll(NULL, 0, 5);
		hs_capture_drain(capture);
	}
	hs_capture_stop(capture);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_capture(const char *trace, struct hs_capture **capture)
{
	static const char *const profiles[] = { "kvm", "nested", "migration", "sched" };
	char reason[256] = "";
	struct hs_capture_config config = {
		.trace_dir = trace, .machine = "host", .reason = reason, .reason_bytes = sizeof(reason)
	};
	int err;

	for (size_t i = 0; i < HS_ARRAY_SIZE(profiles); i++)
		hs_event_set_add_profile(&config.events, profiles[i]);
	err = hs_capture_open(&config, capture);
	if (err)
		printf("# capture: %s (%s)\n", reason, strerror(-err));
	else
		lab_show_missing(*capture);
	return err;
}

/* Tracing starts first and ends last, so that whatever is recorded is traced too. */
static void test_events_are_the_kernels(const struct lab_tracer *tracer)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	char trace[128], absent[sizeof("kvm_nested_vmexit_inject, ") * HS_EVENT_ID_NR];
	size_t absent_used = 0;
	int gate;
	pid_t pid;

	snprintf(trace, sizeof(trace), "%s/events", lab_folder());
	if (!lab_equal(open_capture(trace, &capture), 0, "capture opens"))
		return;
	pid = start_guest(&gate);
	lab_ok(tracer_start(tracer, pid), "the kernel's tracing starts");
	hs_capture_watch_process(capture, pid);
	lab_equal(run_guest(capture, pid, gate), 0, "kvmguest runs to its end");
	lab_tracer_write(tracer, "tracing_on", "0"); /* reading a CPU's buffer that is being written gives up half-way */
	read_records(trace, pid);
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		const struct hs_event *event = &hs_events[i];

		if (!hs_capture_how(capture, event->id) || event->id == HS_EVENT_sched_wakeup ||
		    event->id == HS_EVENT_sched_migrate_task)
			continue;
		if (!compare(tracer, pid, event))
			absent_used += (size_t)snprintf(absent + absent_used, sizeof(absent) - absent_used, "%s%s",
							absent_used ? ", " : "", event->name);
	}
	if (absent_used)
		lab_skip("events that this guest does not make here", "%s", absent);
}

/* What can be attached is, by the way that is told; the rest says why not. */
static void test_every_event_is_attached_or_explained(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	char trace[128];
	size_t missing_nr;
	const struct hs_probe_missing *missing;

	snprintf(trace, sizeof(trace), "%s/all", lab_folder());
	if (!lab_equal(open_capture(trace, &capture), 0, "capture opens"))
		return;
	missing = hs_capture_missing(capture, &missing_nr);
	for (size_t i = 0; i < missing_nr; i++)
		lab_ok(missing[i].reason[0] && !hs_capture_how(capture, missing[i].event->id),
		       "%s is missing for a reason", missing[i].event->name);
	for (size_t i = 0; i < HS_ARRAY_SIZE(must_happen); i++)
		lab_ok(hs_capture_how(capture, must_happen[i]), "%s is attached", hs_event_find(must_happen[i])->name);
	hs_capture_stop(capture);
}

int main(int argc, char **argv)
{
	struct lab_tracer tracer;
	int gate, status;
	pid_t pid;

	(void)argc;
	snprintf(kvmguest, sizeof(kvmguest), "%s/kvmguest", dirname(argv[0]));
	if (access(kvmguest, X_OK)) {
		printf("Bail out! there is no %s: make it first\n", kvmguest);
		return 1;
	}
	pid = start_guest(&gate);
	if (write(gate, "x", 1) != 1)
		perror("gate");
	close(gate);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return lab_skip_all("KVM cannot run kvmguest here (see above)");
	test_every_event_is_attached_or_explained();
	if (lab_tracer_open(&tracer) && lab_tracer_write(&tracer, "buffer_size_kb", "8192"))
		test_events_are_the_kernels(&tracer);
	else
		lab_skip("events are the kernel's", "tracefs has no fields option here: %s", strerror(errno));
	lab_tracer_close(&tracer);
	return lab_done();
}
