// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent and a host that speaks its protocol, both on this machine: what is ordered is recorded, what is recorded
 * arrives or is counted, and neither end ever waits for the other. Ports are Unix sockets; ring pages are counted by
 * what the kernel's documentation says of them, not by hsbpf's reader. Needs root and ftrace, BPF's part KVM too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/wire.h"
#include "base/io.h"
#include "base/loop.h"
#include "base/proc.h"
#include "base/scoped.h"
#include "capture/tracefs.h"
#include "tests/lab/lab.h"
#include "trace/ctf.h"

#define WAIT_MS 20000 /* for what must come */
#define PAGE 4096
#define PAGE_HEADER 16
#define COMMIT_BYTES 0xfffff
#define CPUS_MAX 256
#define MARKS 100000
#define KVM_OUTS "20000"

struct channel {
	char path[128];
	int listen_fd, fd; /* fd -1: not connected */
	struct hs_wire_decoder *decoder;
	bool is_held; /* is not read: a host that is stuck */

	uint64_t pages, events, packets, records[HS_EVENT_ID_NR], nonsense;
	uint32_t ends, next_seq, session;
	struct hs_wire_cpu_status end;
};

static struct {
	char dir[96];
	int tracefs_fd;
	pid_t pid;
	unsigned int cpu_nr;
	struct channel control, data[CPUS_MAX];
	uint32_t id;
	bool is_answered;
	struct hs_wire_frame answer; /* the newest RESULT or PONG */
	uint8_t payload[HS_WIRE_PAYLOAD_MAX];
	/* Of TEXT frames since the last order. */
	char *text; /* of the one text that is looked for: `wanted` */
	const char *wanted;
	size_t text_len;
	unsigned int texts; /* ended ones */
	bool texts_fit;	    /* every offset was where the last piece ended */
} host;

/* ---- what comes ---- */

static void count_page(struct channel *channel, const uint8_t *page)
{
	uint64_t commit, at = PAGE_HEADER, end;

	memcpy(&commit, page + 8, sizeof(commit));
	end = PAGE_HEADER + (commit & COMMIT_BYTES);
	channel->pages++;
	channel->nonsense += end > PAGE;
	while (at + 8 <= PAGE && at < end) {
		uint32_t words[2], kind;

		memcpy(words, page + at, sizeof(words));
		kind = words[0] & 31;
		if (kind == 29 && !(words[0] >> 5))
			break;
		channel->events += kind < 29;
		if (kind >= 30)
			at += 8;
		else
			at += 4 + (kind && kind != 29 ? 4 * kind : words[1]);
	}
}

static void count_packet(struct channel *channel, const uint8_t *packet, size_t len)
{
	size_t at = sizeof(struct hs_ctf_packet);

	channel->packets++;
	while (at < len) {
		const struct hs_event *event;
		uint64_t stamp;

		memcpy(&stamp, packet + at, sizeof(stamp));
		event = hs_event_find(hs_ctf_stamp_id(stamp));
		if (!event || hs_ctf_record_bytes(event->size) > len - at) {
			channel->nonsense++;
			return;
		}
		channel->records[event->id]++;
		at += hs_ctf_record_bytes(event->size);
	}
}

static void take_text(const void *payload, size_t len)
{
	scoped(mem) char *name = NULL;
	struct hs_wire_field field;
	uint64_t offset = hs_wire_find_number(payload, len, HS_WIRE_OFFSET);

	host.texts += hs_wire_find_number(payload, len, HS_WIRE_LAST) == 1;
	if (hs_wire_find(payload, len, HS_WIRE_NAME, &field) || hs_wire_field_text(&field, &name) ||
	    strcmp(name, host.wanted) || hs_wire_find(payload, len, HS_WIRE_BYTES, &field))
		return;
	host.texts_fit = host.texts_fit && offset == host.text_len;
	host.text = realloc(host.text, host.text_len + field.len + 1);
	memcpy(host.text + host.text_len, field.bytes, field.len);
	host.text_len += field.len;
	host.text[host.text_len] = '\0';
}

static void take_frame(struct channel *channel, const struct hs_wire_frame *frame, const void *payload)
{
	if (channel != &host.control) {
		if (frame->session != channel->session) {
			channel->session = frame->session;
			channel->next_seq = 0;
		}
		channel->nonsense += frame->seq != channel->next_seq++ || frame->cpu != channel - host.data;
	}
	switch (frame->type) {
	case HS_WIRE_PAGES:
		for (uint32_t at = 0; at < frame->len; at += PAGE)
			count_page(channel, (const uint8_t *)payload + at);
		break;
	case HS_WIRE_PACKET:
		count_packet(channel, payload, frame->len);
		break;
	case HS_WIRE_END:
		channel->ends++;
		memcpy(&channel->end, payload, sizeof(channel->end));
		break;
	case HS_WIRE_TEXT:
		take_text(payload, frame->len);
		break;
	case HS_WIRE_RESULT:
	case HS_WIRE_PONG:
		host.is_answered = true;
		host.answer = *frame;
		memcpy(host.payload, payload, frame->len);
		break;
	default:
		channel->nonsense++;
	}
}

static void take_frames(struct channel *channel)
{
	struct hs_wire_frame frame;
	const void *payload;

	while (hs_wire_decoder_next(channel->decoder, &frame, &payload))
		take_frame(channel, &frame, payload);
}

static void hang_up(struct channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
	hs_wire_decoder_finish(channel->decoder);
	take_frames(channel);
}

static void read_channel(struct channel *channel)
{
	size_t room;
	void *at = hs_wire_decoder_room(channel->decoder, &room);
	ssize_t got = recv(channel->fd, at, room, MSG_DONTWAIT);

	if (got > 0) {
		hs_wire_decoder_added(channel->decoder, (size_t)got);
		take_frames(channel);
	} else if (got == 0 || errno != EAGAIN) {
		hang_up(channel);
	}
}

static struct channel *channel_of(unsigned int index)
{
	return index < host.cpu_nr ? &host.data[index] : &host.control;
}

/* Reads and accepts whatever comes until done(); false when it does not come. */
static bool read_until(bool (*done)(void))
{
	uint64_t deadline_ns = hs_now_ns() + WAIT_MS * 1000000ull;

	while (!done()) {
		struct pollfd fds[CPUS_MAX + 1];

		if (hs_now_ns() > deadline_ns)
			return false;
		for (unsigned int i = 0; i <= host.cpu_nr; i++) {
			const struct channel *channel = channel_of(i);
			int fd = channel->fd >= 0 ? channel->fd : channel->listen_fd;

			fds[i] = (struct pollfd){ .fd = channel->is_held ? -1 : fd, .events = POLLIN };
		}
		poll(fds, host.cpu_nr + 1, 1000);
		for (unsigned int i = 0; i <= host.cpu_nr; i++) {
			struct channel *channel = channel_of(i);

			if (!fds[i].revents)
				continue;
			if (channel->fd >= 0)
				read_channel(channel);
			else
				channel->fd = accept4(channel->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		}
	}
	return true;
}

static bool are_connected(void)
{
	for (unsigned int i = 0; i <= host.cpu_nr; i++)
		if (channel_of(i)->fd < 0)
			return false;
	return true;
}

static bool is_answered(void)
{
	return host.is_answered;
}

static bool are_ended(void)
{
	for (unsigned int i = 0; i < host.cpu_nr; i++)
		if (!host.data[i].ends && !host.data[i].is_held)
			return false;
	return true;
}

/* ---- orders ---- */

/* Sends it and waits for its RESULT or PONG. */
static bool order(enum hs_wire_type type, const struct hs_wire_payload *payload)
{
	struct hs_wire_frame frame = { .type = (uint16_t)type, .id = ++host.id };
	const void *bytes = payload ? payload->bytes : (const uint8_t *)"";
	size_t len = payload ? payload->len : 0;

	hs_wire_seal(&frame, bytes, len);
	host.is_answered = false;
	free(host.text);
	host.text = NULL;
	host.text_len = host.texts = 0;
	host.texts_fit = true;
	if (send(host.control.fd, &frame, sizeof(frame), MSG_NOSIGNAL) < 0 ||
	    (len && send(host.control.fd, bytes, len, MSG_NOSIGNAL) < 0))
		return false;
	return read_until(is_answered) && host.answer.id == host.id;
}

static uint64_t number(enum hs_wire_key key)
{
	return hs_wire_find_number(host.payload, host.answer.len, key);
}

/* Whether the newest answer has such a text with `part` in it. */
static bool says(enum hs_wire_key key, const char *part)
{
	struct hs_wire_field field;
	size_t at = 0;

	while (hs_wire_next_field(host.payload, host.answer.len, &at, &field) == 1) {
		scoped(mem) char *text = NULL;

		if (field.key == key && !hs_wire_field_text(&field, &text) && strstr(text, part))
			return true;
	}
	return false;
}

/* CPU_STATUS of the newest answer, all CPUs together. */
static struct hs_wire_cpu_status sum_status(void)
{
	struct hs_wire_cpu_status sum = { 0 }, one;
	struct hs_wire_field field;
	size_t at = 0;

	while (hs_wire_next_field(host.payload, host.answer.len, &at, &field) == 1) {
		if (field.key != HS_WIRE_CPU_STATUS || hs_wire_field_struct(&field, &one, sizeof(one)))
			continue;
		sum.flags |= one.flags;
		sum.sent_pages += one.sent_pages;
		sum.sent_packets += one.sent_packets;
		sum.dropped_pages += one.dropped_pages;
		sum.dropped_packets += one.dropped_packets;
		sum.ring_entries += one.ring_entries;
		sum.ring_overrun += one.ring_overrun;
		sum.ring_dropped_events += one.ring_dropped_events;
		sum.ring_read += one.ring_read;
		sum.bpf_ring_lost += one.bpf_ring_lost;
	}
	return sum;
}

static struct hs_wire_bpf_counts bpf_counts(uint16_t id)
{
	struct hs_wire_bpf_counts counts = { 0 };
	struct hs_wire_field field;
	size_t at = 0;

	while (hs_wire_next_field(host.payload, host.answer.len, &at, &field) == 1)
		if (field.key == HS_WIRE_BPF_COUNTS && !hs_wire_field_struct(&field, &counts, sizeof(counts)) &&
		    counts.event_id == id)
			return counts;
	return (struct hs_wire_bpf_counts){ 0 };
}

/* What came on all data ports since the last forget(). */
static struct channel sum_data(void)
{
	struct channel sum = { 0 };

	for (unsigned int i = 0; i < host.cpu_nr; i++) {
		sum.pages += host.data[i].pages;
		sum.events += host.data[i].events;
		sum.packets += host.data[i].packets;
		sum.nonsense += host.data[i].nonsense;
		sum.ends += host.data[i].ends;
		for (int id = 0; id < HS_EVENT_ID_NR; id++)
			sum.records[id] += host.data[i].records[id];
	}
	return sum;
}

static void forget(void)
{
	for (unsigned int i = 0; i < host.cpu_nr; i++) {
		struct channel *channel = &host.data[i];

		channel->pages = channel->events = channel->packets = channel->nonsense = channel->ends = 0;
		memset(channel->records, 0, sizeof(channel->records));
	}
}

/* ---- the agent ---- */

static int listen_at(struct channel *channel)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, channel->path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
		return -1;
	return fd;
}

static bool open_channel(struct channel *channel, const char *format, unsigned int cpu)
{
	int len = snprintf(channel->path, sizeof(channel->path), "%s/", host.dir);

	snprintf(channel->path + len, sizeof(channel->path) - (size_t)len, format, cpu);
	channel->fd = -1;
	channel->listen_fd = listen_at(channel);
	return channel->listen_fd >= 0 && !hs_wire_decoder_open(NULL, NULL, &channel->decoder);
}

static bool open_host(void)
{
	long cpu_nr = sysconf(_SC_NPROCESSORS_ONLN);
	bool is_open = true;

	host.cpu_nr = cpu_nr < CPUS_MAX ? (unsigned int)cpu_nr : CPUS_MAX;
	snprintf(host.dir, sizeof(host.dir), "%s", lab_folder());
	for (unsigned int cpu = 0; cpu < host.cpu_nr; cpu++)
		is_open = is_open && open_channel(&host.data[cpu], HS_WIRE_DATA_PORT, cpu);
	return is_open && open_channel(&host.control, HS_WIRE_CONTROL_PORT, 0);
}

static bool start_agent(void)
{
	char *argv[] = { "build/hsbpf", "agent", "--ports", host.dir, NULL };
	struct hs_spawn spawn = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = STDERR_FILENO, .netns_fd = -1
	};

	return !hs_proc_spawn(&spawn, &host.pid) && read_until(are_connected);
}

/* Its exit code, 128 + signal; -1 when it does not end. */
static int stop_agent(int signal)
{
	uint64_t deadline_ns = hs_now_ns() + WAIT_MS * 1000000ull;
	int status;

	kill(host.pid, signal);
	while (waitpid(host.pid, &status, WNOHANG) == 0) {
		if (hs_now_ns() > deadline_ns)
			return -1;
		poll(NULL, 0, 5);
	}
	for (unsigned int i = 0; i <= host.cpu_nr; i++)
		while (channel_of(i)->fd >= 0)
			read_channel(channel_of(i));
	return hs_proc_exit_code(status);
}

/* ftrace instances that an agent has, or has left. */
static unsigned int count_instances(pid_t pid)
{
	int fd = openat(host.tracefs_fd, "instances", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped(dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	scoped(mem) char *name = hs_format("hsbpf-agent-%d", pid);
	struct dirent *entry;
	unsigned int count = 0;

	while (dir && name && (entry = readdir(dir)))
		count += !strcmp(entry->d_name, name);
	return count;
}

/* Makes that many events, on CPU `cpu`, in the agent's ring. */
static void mark(unsigned int count, int cpu)
{
	scoped(mem) char *path = hs_format("instances/hsbpf-agent-%d/trace_marker", host.pid);
	scoped(fd) int fd = openat(host.tracefs_fd, path, O_WRONLY | O_CLOEXEC);
	cpu_set_t before, only;

	sched_getaffinity(0, sizeof(before), &before);
	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	sched_setaffinity(0, sizeof(only), &only);
	for (unsigned int i = 0; i < count; i++)
		if (write(fd, "a mark", 6) != 6)
			perror("trace_marker");
	sched_setaffinity(0, sizeof(before), &before);
}

/* ---- tests ---- */

static void test_hello_tells_who_is_there(void)
{
	scoped(mem) char *boot_id = NULL, *kernel = NULL;

	lab_ok(order(HS_WIRE_HELLO, NULL) && !number(HS_WIRE_ERROR), "HELLO is answered");
	lab_equal(number(HS_WIRE_VERSION_KEY), HS_WIRE_VERSION, "with the version");
	hs_read_file("/proc/sys/kernel/random/boot_id", 64, &boot_id, NULL);
	hs_read_file("/proc/sys/kernel/osrelease", 64, &kernel, NULL);
	boot_id[strcspn(boot_id, "\n")] = kernel[strcspn(kernel, "\n")] = '\0';
	lab_ok(says(HS_WIRE_BOOT_ID, boot_id) && says(HS_WIRE_KERNEL, kernel), "the boot and the kernel");
	lab_ok(says(HS_WIRE_CLOCKS, "local") && number(HS_WIRE_PAGE_BYTES) >= PAGE, "ftrace's clocks and page size");
	lab_ok(says(HS_WIRE_PORTS, "0"), "and its ports");
}

static void test_pings_bracket_the_guests_clock(void)
{
	struct hs_wire_ping ping = { .host_ns = hs_now_ns() };
	struct hs_wire_payload payload = { .bytes = (uint8_t *)&ping, .len = sizeof(ping) };
	struct hs_wire_pong pong = { 0 };
	unsigned int good = 0;

	for (int i = 0; i < 100; i++) {
		ping.host_ns = hs_now_ns();
		if (!order(HS_WIRE_PING, &payload) || host.answer.type != HS_WIRE_PONG)
			break;
		memcpy(&pong, host.payload, sizeof(pong));
		/* The guest is this machine: one clock. */
		good += pong.host_ns == ping.host_ns && ping.host_ns <= pong.guest_recv_ns &&
			pong.guest_recv_ns <= pong.guest_send_ns && pong.guest_send_ns <= hs_now_ns();
	}
	lab_equal(good, 100, "each PONG's times lie between the ping and its arrival");
}

static void test_wrong_orders_are_refused(void)
{
	scoped(hs_wire_payload) struct hs_wire_payload bad_bpf = { 0 }, bad_filter = { 0 }, what = { 0 };

	hs_wire_put_text(&bad_bpf, HS_WIRE_BPF_EVENT, "nosuch");
	lab_ok(order(HS_WIRE_START, &bad_bpf) && number(HS_WIRE_ERROR) == EINVAL && says(HS_WIRE_TEXT_KEY, "nosuch"),
	       "an event that BPF does not have");
	hs_wire_put_number(&bad_filter, HS_WIRE_SOURCES, HS_WIRE_SOURCE_FTRACE);
	hs_wire_put_text(&bad_filter, HS_WIRE_FILTER, "sched:sched_switch nosuch == 1");
	lab_ok(order(HS_WIRE_START, &bad_filter) && number(HS_WIRE_ERROR) == EINVAL &&
		       says(HS_WIRE_TEXT_KEY, "nosuch == 1"),
	       "a filter that the kernel refuses");
	lab_equal(count_instances(host.pid), 0, "leave no ftrace instance");
	lab_ok(order(HS_WIRE_STOP, NULL) && number(HS_WIRE_ERROR) == ENOENT, "STOP without START");
	hs_wire_put_number(&what, HS_WIRE_WHAT, HS_WIRE_WHAT_FORMATS);
	lab_ok(order(HS_WIRE_FORMATS, &what) && number(HS_WIRE_ERROR) == ENOENT, "FORMATS without START");
	lab_ok(order(HS_WIRE_STATUS, NULL) && !number(HS_WIRE_ERROR) && !number(HS_WIRE_SESSION),
	       "STATUS tells of none");
}

static bool start_ftrace(uint64_t buffer_kib)
{
	scoped(hs_wire_payload) struct hs_wire_payload start = { 0 };

	hs_wire_put_number(&start, HS_WIRE_SOURCES, HS_WIRE_SOURCE_FTRACE);
	hs_wire_put_text(&start, HS_WIRE_EVENT, "sched:sched_switch");
	hs_wire_put_text(&start, HS_WIRE_EVENT, "nosuch:event");
	hs_wire_put_text(&start, HS_WIRE_FILTER, "sched:sched_switch next_pid == 4194303 && prev_pid == 4194303");
	hs_wire_put_number(&start, HS_WIRE_BUFFER_KIB, buffer_kib);
	return order(HS_WIRE_START, &start) && !number(HS_WIRE_ERROR);
}

static void test_texts_arrive_whole(void)
{
	scoped(hs_wire_payload) struct hs_wire_payload what = { 0 }, symbols = { 0 };
	scoped(mem) char *format = NULL, *kallsyms = NULL;
	scoped(mem) char *path = hs_format("/proc/self/fd/%d/events/sched/sched_switch/format", host.tracefs_fd);
	size_t kallsyms_len = 0;

	hs_wire_put_number(&what, HS_WIRE_WHAT,
			   HS_WIRE_WHAT_HEADER_PAGE | HS_WIRE_WHAT_FORMATS | HS_WIRE_WHAT_CMDLINES);
	host.wanted = "sched/sched_switch";
	lab_ok(order(HS_WIRE_FORMATS, &what) && !number(HS_WIRE_ERROR), "FORMATS is answered");
	lab_equal(host.texts, 3, "with the page header, the one event that is on, and the threads' names");
	hs_read_file(path, 65536, &format, NULL);
	lab_ok(host.text && format && !strcmp(host.text, format), "the event's format is the kernel's");
	host.wanted = "/proc/kallsyms";
	hs_wire_put_number(&symbols, HS_WIRE_WHAT, HS_WIRE_WHAT_KALLSYMS);
	lab_ok(order(HS_WIRE_FORMATS, &symbols) && host.texts == 1 && host.texts_fit,
	       "symbols come in pieces that fit");
	hs_read_file("/proc/kallsyms", 256u << 20, &kallsyms, &kallsyms_len);
	/* BPF programs of others come and go at its end. */
	lab_ok(host.text_len > kallsyms_len / 2 && kallsyms && !memcmp(host.text, kallsyms, kallsyms_len / 2),
	       "all of them");
}

static void test_what_is_recorded_arrives(void)
{
	struct hs_wire_cpu_status status;
	uint32_t session;
	struct channel got;

	forget();
	lab_ok(start_ftrace(16384), "START of ftrace");
	session = (uint32_t)number(HS_WIRE_SESSION);
	lab_ok(says(HS_WIRE_CLOCK, "boot") || !says(HS_WIRE_CLOCKS, "boot"), "its clock is boot");
	lab_ok(says(HS_WIRE_MISSING, "nosuch:event: "), "an event that is not there is told");
	lab_ok(!says(HS_WIRE_MISSING, "sched_switch"), "one that is there is not");
	test_texts_arrive_whole();
	lab_ok(!start_ftrace(0) && number(HS_WIRE_ERROR) == EBUSY, "a second START is refused");
	for (unsigned int cpu = 0; cpu < host.cpu_nr; cpu++)
		mark(MARKS / host.cpu_nr, (int)cpu);
	lab_ok(order(HS_WIRE_STATUS, NULL) && number(HS_WIRE_SESSION) == session, "STATUS tells the session");
	lab_ok(sum_status().flags & HS_WIRE_CPU_PORT, "and that its ports are open");
	lab_ok(order(HS_WIRE_STOP, NULL) && !number(HS_WIRE_ERROR), "STOP is answered");
	status = sum_status();
	lab_ok(read_until(are_ended), "every CPU's END comes");
	got = sum_data();
	lab_equal(status.ring_overrun + status.ring_entries + status.dropped_pages, 0, "nothing is lost or left");
	lab_equal(status.ring_read, MARKS / host.cpu_nr * host.cpu_nr, "what left the ring is what was made");
	lab_equal(got.events, status.ring_read, "and is what arrived");
	lab_equal(got.pages, status.sent_pages, "in as many pages");
	lab_equal(got.nonsense, 0, "in frames that follow one another, of their own CPU");
	lab_equal(host.data[0].end.ring_read, MARKS / host.cpu_nr, "END has the CPU's own counts");
	lab_equal(host.data[0].session, session, "frames tell the session");
	lab_equal(count_instances(host.pid), 0, "the ftrace instance is gone");
}

static void test_bpf_packets_arrive(void)
{
	scoped(hs_wire_payload) struct hs_wire_payload start = { 0 };
	char *kvmgen[] = { "build/tests/bench/kvmgen", KVM_OUTS, NULL };
	struct hs_wire_bpf_counts counts;
	struct channel got;

	if (hs_proc_run(kvmgen)) {
		lab_skip("BPF packets arrive", "KVM cannot run the tiny guest here");
		return;
	}
	forget();
	hs_wire_put_text(&start, HS_WIRE_BPF_EVENT, "kvm_pio");
	hs_wire_put_text(&start, HS_WIRE_BPF_EVENT, "kvm_userspace_exit");
	lab_ok(order(HS_WIRE_START, &start) && !number(HS_WIRE_ERROR), "START of ftrace and BPF");
	lab_equal((uint64_t)hs_proc_run(kvmgen), 0, "a guest runs");
	lab_ok(order(HS_WIRE_STOP, NULL) && read_until(are_ended), "STOP is answered");
	got = sum_data();
	counts = bpf_counts(HS_EVENT_kvm_pio);
	lab_equal(counts.recorded, strtoull(KVM_OUTS, NULL, 10), "every kvm_pio was recorded");
	lab_equal(got.records[HS_EVENT_kvm_pio], counts.recorded, "and arrived");
	lab_equal(got.records[HS_EVENT_kvm_userspace_exit], bpf_counts(HS_EVENT_kvm_userspace_exit).recorded,
		  "kvm_userspace_exit too");
	lab_equal(sum_status().sent_packets, got.packets, "in as many packets as were sent");
	lab_equal(got.nonsense, 0, "and nothing else");
}

static void test_a_host_that_does_not_read_is_not_waited_for(void)
{
	struct hs_wire_cpu_status status;
	struct channel got;

	forget();
	host.data[0].is_held = true;
	lab_ok(start_ftrace(256), "START, and CPU 0's port is not read");
	mark(MARKS, 0);
	lab_ok(order(HS_WIRE_STATUS, NULL), "a workload goes on, STATUS is answered");
	status = sum_status();
	lab_ok(status.flags & HS_WIRE_CPU_BLOCKED, "it tells of the port that takes nothing");
	lab_equal(status.ring_read + status.ring_entries + status.ring_overrun, MARKS, "every event is counted");
	lab_ok(status.ring_overrun > MARKS / 4, "most as written over");
	lab_ok(order(HS_WIRE_STOP, NULL) && !number(HS_WIRE_ERROR), "STOP is answered though nothing is read");
	status = sum_status();
	lab_equal(status.ring_read + status.ring_entries + status.ring_overrun, MARKS, "with counts that add up");
	lab_ok(status.dropped_pages > 0, "and the pages that were under way");
	host.data[0].is_held = false;
	lab_ok(start_ftrace(256), "the next START");
	mark(1000, 0);
	lab_ok(order(HS_WIRE_STOP, NULL) && read_until(are_ended), "and STOP");
	got = sum_data();
	lab_ok(got.events < status.ring_read + 1000, "of the held port some came");
	lab_ok(host.data[0].events >= 1000 && host.data[0].session == number(HS_WIRE_SESSION),
	       "the new session is whole");
}

static void test_it_connects_again(void)
{
	struct hs_wire_cpu_status status;

	forget();
	lab_ok(start_ftrace(4096), "START");
	mark(1000, 0);
	for (unsigned int i = 0; i <= host.cpu_nr; i++)
		hang_up(channel_of(i));
	lab_ok(read_until(are_connected), "ports that hung up are connected again");
	mark(1000, 0);
	lab_ok(order(HS_WIRE_STATUS, NULL) && number(HS_WIRE_SESSION), "the recording still runs");
	lab_ok(order(HS_WIRE_STOP, NULL) && read_until(are_ended), "and ends well");
	status = sum_status();
	lab_equal(status.ring_read, 2000, "every event left the ring");
	lab_ok(sum_data().events >= 1000, "what came after arrived");
}

static void test_another_agent_is_seen_as_another(void)
{
	uint64_t id = number(HS_WIRE_AGENT_ID);
	struct hs_wire_frame stray = { .type = HS_WIRE_RESULT };
	pid_t killed = host.pid;

	lab_ok(start_ftrace(256), "START");
	lab_equal((uint64_t)stop_agent(SIGKILL), 128 + SIGKILL, "the agent is killed");
	lab_ok(start_agent(), "another one connects");
	lab_ok(order(HS_WIRE_HELLO, NULL) && number(HS_WIRE_AGENT_ID) != id, "and tells another id");
	lab_ok(start_ftrace(256) && order(HS_WIRE_STOP, NULL) && !number(HS_WIRE_ERROR), "it records");
	lab_equal(count_instances(killed), 0, "and has removed what was left");
	hs_wire_seal(&stray, "", 0);
	lab_ok(send(host.control.fd, &stray, sizeof(stray), MSG_NOSIGNAL) > 0 &&
		       send(host.control.fd, "noise", 5, MSG_NOSIGNAL) > 0 && order(HS_WIRE_HELLO, NULL),
	       "noise between orders is passed over");
	lab_ok(start_ftrace(256), "START");
	mark(10, 0);
	lab_equal((uint64_t)stop_agent(SIGTERM), 0, "SIGTERM while it records ends it well");
	lab_equal(count_instances(host.pid), 0, "and removes its ftrace instance");
	lab_equal(host.data[0].end.ring_read, 10, "END came before");
}

int main(void)
{
	scoped(fd) int tracefs_fd = hs_tracefs_open();

	host.tracefs_fd = tracefs_fd;
	host.wanted = "";
	if (tracefs_fd < 0 || faccessat(tracefs_fd, "instances", W_OK, 0))
		return lab_skip_all("no ftrace instances here");
	if (!lab_ok(open_host() && start_agent(), "the agent connects to its ports"))
		return lab_done();
	test_hello_tells_who_is_there();
	test_pings_bracket_the_guests_clock();
	test_wrong_orders_are_refused();
	test_what_is_recorded_arrives();
	test_bpf_packets_arrive();
	test_a_host_that_does_not_read_is_not_waited_for();
	test_it_connects_again();
	test_another_agent_is_seen_as_another();
	return lab_done();
}
