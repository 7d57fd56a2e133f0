// SPDX-License-Identifier: GPL-2.0-only
/* Guests are recorded whole, whatever they send; every loss is counted; what they did not finish is said. */
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "guest/guests.h"
#include "guest_peer.h"
#include "trace/ctf_reader.h"

#define PATIENCE_NS 30000000000ull

struct host {
	struct hs_loop *loop;
	struct hs_guests *guests;
	struct hs_watch news;
	char dir[64];
};

static void on_news(void *ctx, uint32_t events)
{
	(void)events;
	hs_guests_heard(ctx);
}

static void host_open(struct host *host, const char *place_path, enum hs_guest_agent agent, uint64_t memory_bytes,
		      uint64_t disk_bytes)
{
	struct hs_guest_config guest = { .name = "vm", .agent = agent, .events = "kvm_pio" };
	struct hs_guest_place *place = NULL;
	struct hs_guests_config config = { .memory_bytes = memory_bytes, .disk_bytes = disk_bytes };
	int news_fd;

	snprintf(host->dir, sizeof(host->dir), "/tmp/hsbpf-host.XXXXXX");
	assert_non_null(mkdtemp(host->dir));
	config.trace_dir = host->dir;
	host->news = HS_WATCH_NONE;
	assert_int_equal(hs_loop_open(&host->loop), 0);
	assert_int_equal(hs_guests_open(&config, &host->guests, &news_fd), 0);
	assert_int_equal(hs_loop_add(host->loop, &host->news, news_fd, EPOLLIN, on_news, host->guests), 0);
	assert_int_equal(hs_guest_place_find(place_path, &place), 0);
	assert_int_equal(hs_guests_add(host->guests, &guest, place), 0);
	assert_int_equal(hs_guests_connect(host->guests), 0);
	hs_guests_start(host->guests);
}

static bool is_settled(void *ctx)
{
	return hs_guests_in(ctx, HS_GUEST_RECORDING) + hs_guests_in(ctx, HS_GUEST_FAILED) == 1;
}

static bool are_written(void *ctx)
{
	return hs_guests_are_written(ctx);
}

static void host_until(struct host *host, hs_loop_done done, void *ctx)
{
	assert_int_equal(hs_loop_until(host->loop, done, ctx, hs_now_ns() + PATIENCE_NS), 0);
}

static void host_stop(struct host *host)
{
	hs_guests_stop(host->guests);
	host_until(host, are_written, host->guests);
	hs_guests_end(host->guests);
}

static void host_close(struct host *host)
{
	hs_loop_remove(host->loop, &host->news);
	hs_guests_free(host->guests);
	hs_loop_free(host->loop);
	hs_remove_tree(host->dir);
}

static json_object *part_of(json_object *document, size_t index)
{
	return json_object_array_get_idx(hs_json_get(document, "parts"), index);
}

/* Our own reader of what is on the disk. */
static uint64_t read_back(const struct host *host, const char *folder)
{
	scoped(mem) char *path = hs_format("%s/%s", host->dir, folder);
	struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	uint64_t count = 0;

	assert_int_equal(hs_ctf_reader_open(path, &reader), 0);
	while (hs_ctf_reader_next(reader, &record) > 0)
		count += record.event->id == HS_EVENT_kvm_pio && record.header->tid == 42;
	hs_ctf_reader_free(reader);
	return count;
}

static void expect_whole(struct host *host, uint64_t events)
{
	json_object *document = hs_guest_document(host->guests, 0);

	assert_string_equal(hs_json_get_string(document, "state"), "stopped");
	assert_int_equal(json_object_array_length(hs_json_get(document, "parts")), 1);
	assert_true(hs_json_get_bool(part_of(document, 0), "complete"));
	assert_int_equal(hs_json_get_u64(part_of(document, 0), "recorded"), events);
	assert_int_equal(hs_json_get_u64(part_of(document, 0), "events.kvm_pio.recorded"), events);
	assert_int_equal(hs_json_get_u64(part_of(document, 0), "lost"), 0);
	assert_int_equal(read_back(host, "vm"), events);
	json_object_put(document);
}

static void record_whole(struct peer *peer)
{
	struct host host;

	peer->answers_stop = true;
	peer_start(peer);
	host_open(&host, peer->dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, is_settled, host.guests);
	host_stop(&host);
	expect_whole(&host, (uint64_t)peer->packets * PEER_CPUS * PEER_RECORDS);
	host_close(&host);
	peer_end(peer);
}

static void test_everything_that_a_guest_sends_is_recorded(void **state)
{
	struct peer peer = { .packets = 200 };

	(void)state;
	record_whole(&peer);
}

static void test_data_that_overtakes_the_answer_to_start_is_kept(void **state)
{
	struct peer peer = { .packets = 20, .data_before_answer = true };

	(void)state;
	record_whole(&peer);
}

static void test_garbage_between_frames_costs_nothing_else(void **state)
{
	struct peer peer = { .packets = 50, .garbage = true };

	(void)state;
	record_whole(&peer);
}

static void test_what_a_dead_host_left_running_is_stopped_first(void **state)
{
	struct peer peer = { .packets = 5, .busy = 3 };

	(void)state;
	record_whole(&peer);
}

static void test_a_full_queue_goes_to_disk_and_nothing_is_lost(void **state)
{
	struct peer peer = { .packets = 400, .answers_stop = true, .data_before_answer = true };
	struct host host;
	json_object *document;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 64 << 10, 100 << 20);
	host_until(&host, is_settled, host.guests);
	host_stop(&host);
	expect_whole(&host, (uint64_t)peer.packets * PEER_CPUS * PEER_RECORDS);
	document = hs_guest_document(host.guests, 0);
	assert_true(hs_json_get_u64(document, "queue.spilled_bytes") > 0);
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static void test_what_neither_memory_nor_disk_holds_is_counted_event_by_event(void **state)
{
	struct peer peer = { .packets = 400, .answers_stop = true, .data_before_answer = true };
	uint64_t sent = (uint64_t)peer.packets * PEER_CPUS * PEER_RECORDS, recorded;
	struct host host;
	json_object *document;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 64 << 10, 128 << 10);
	host_until(&host, is_settled, host.guests);
	host_stop(&host);
	document = hs_guest_document(host.guests, 0);
	recorded = hs_json_get_u64(part_of(document, 0), "recorded");
	assert_true(recorded > 0 && recorded < sent);
	assert_int_equal(recorded + hs_json_get_u64(part_of(document, 0), "lost"), sent);
	assert_true(hs_json_get_u64(part_of(document, 0), "transport.host_dropped_bytes") > 0);
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static void test_what_a_guest_counted_and_did_not_send_is_lost(void **state)
{
	struct peer peer = { .packets = 5, .answers_stop = true, .claims_more = true };
	struct host host;
	json_object *document;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, is_settled, host.guests);
	host_stop(&host);
	document = hs_guest_document(host.guests, 0);
	assert_int_equal(hs_json_get_u64(part_of(document, 0), "lost"), PEER_CPUS);
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static void test_words_of_a_guest_are_shown_without_control_characters(void **state)
{
	struct peer peer = { .packets = 1, .answers_stop = true };
	struct host host;
	json_object *document, *row;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, is_settled, host.guests);
	host_stop(&host);
	document = hs_guest_document(host.guests, 0);
	row = json_object_array_get_idx(hs_json_get(part_of(document, 0), "not_recorded"), 0);
	assert_string_equal(hs_json_get_string(row, "event"), "kvm:kvm_?[31mred");
	assert_string_equal(hs_json_get_string(row, "reason"), "no such ? event");
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static bool started_twice(void *ctx)
{
	return ((struct peer *)ctx)->starts == 2;
}

static void test_a_guest_that_boots_again_is_recorded_again_into_a_folder_of_its_own(void **state)
{
	struct peer peer = { .packets = 7, .answers_stop = true, .packets_then_die = 1 };
	uint64_t events = peer.packets * PEER_CPUS * PEER_RECORDS;
	struct host host;
	json_object *document;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, started_twice, &peer);
	host_until(&host, is_settled, host.guests);
	host_stop(&host);
	document = hs_guest_document(host.guests, 0);
	assert_int_equal(json_object_array_length(hs_json_get(document, "parts")), 2);
	assert_false(hs_json_get_bool(part_of(document, 0), "complete"));
	assert_string_equal(hs_json_get_string(part_of(document, 0), "ended"), "the guest's side has hung up");
	assert_string_equal(hs_json_get_string(part_of(document, 1), "boot_id"), "second boot");
	assert_true(hs_json_get_bool(part_of(document, 1), "complete"));
	assert_int_equal(hs_json_get_u64(part_of(document, 1), "recorded"), events);
	assert_int_equal(read_back(&host, "vm.2"), events);
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static void test_a_guest_that_never_answers_stop_is_not_waited_for(void **state)
{
	struct peer peer = { .packets = 3 };
	struct host host;
	json_object *document;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, is_settled, host.guests);
	hs_guests_end(host.guests);
	document = hs_guest_document(host.guests, 0);
	assert_false(hs_json_get_bool(part_of(document, 0), "complete"));
	assert_true(*hs_json_get_string(part_of(document, 0), "ended") != '\0');
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static void test_a_refusal_is_told_with_the_agents_words(void **state)
{
	struct peer peer = { .refusal = "no \x1b event of that name" };
	struct host host;
	json_object *document;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, is_settled, host.guests);
	document = hs_guest_document(host.guests, 0);
	assert_string_equal(hs_json_get_string(document, "state"), "failed");
	assert_string_equal(hs_json_get_string(document, "error"),
			    "its agent refused to start: no ? event of that name");
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static void test_records_of_another_version_are_not_misread(void **state)
{
	struct peer peer = { .packets = 1, .has_other_schema = true };
	struct host host;
	json_object *document;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, is_settled, host.guests);
	document = hs_guest_document(host.guests, 0);
	assert_string_equal(hs_json_get_string(document, "state"), "failed");
	assert_non_null(strstr(hs_json_get_string(document, "error"), "another version of hsbpf"));
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

static void test_a_clock_that_is_shifted_by_hours_is_sampled_with_its_offset(void **state)
{
	struct peer peer = { .packets = 1, .answers_stop = true, .clock_shift_ns = 5 * 3600 * 1000000000ll };
	struct host host;
	json_object *document, *clock;
	int64_t offset_ns;

	(void)state;
	peer_start(&peer);
	host_open(&host, peer.dir, HS_GUEST_AGENT_HSBPF, 0, 0);
	host_until(&host, is_settled, host.guests);
	host_stop(&host);
	document = hs_guest_document(host.guests, 0);
	clock = hs_json_get(part_of(document, 0), "guest_clock");
	assert_true(json_object_array_length(hs_json_get(clock, "bursts")) >= 2); /* a burst before and one after */
	offset_ns = json_object_get_int64(hs_json_get(clock, "offset_ns")) + peer.clock_shift_ns;
	assert_true(llabs(offset_ns) <= json_object_get_int64(hs_json_get(clock, "bound_ns")));
	json_object_put(document);
	host_close(&host);
	peer_end(&peer);
}

/* ---- the kernel's agent ---- */

static int make_fifo(const char *dir, const char *name)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);

	assert_int_equal(mkfifo(path, 0600), 0);
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static bool has_bytes(void *ctx)
{
	struct pollfd fd = { .fd = *(int *)ctx, .events = POLLIN };

	return poll(&fd, 1, 50) > 0;
}

static void test_the_kernels_agent_on_fifos_gets_its_orders_and_its_pages_are_kept(void **state)
{
	char dir[] = "/tmp/hsbpf-fifos.XXXXXX", order[8], pages[8192];
	scoped(mem) char *text = NULL, *path = NULL;
	int in, out, data;
	struct host host;
	json_object *document;
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(dir));
	in = make_fifo(dir, "agent-ctl-path.in");
	out = make_fifo(dir, "agent-ctl-path.out");
	close(make_fifo(dir, "trace-path-cpu0.in"));
	data = make_fifo(dir, "trace-path-cpu0.out");
	host_open(&host, dir, HS_GUEST_AGENT_KERNEL, 0, 0);
	host_until(&host, is_settled, host.guests);
	host_until(&host, has_bytes, &in);
	assert_int_equal(read(in, order, sizeof(order)), 2); /* in one write: the agent takes nothing else */
	assert_memory_equal(order, "1\n", 2);
	for (size_t i = 0; i < sizeof(pages); i++)
		pages[i] = (char)(i * 7);
	assert_int_equal(write(data, pages, sizeof(pages)), sizeof(pages));
	host_stop(&host);
	assert_int_equal(read(in, order, sizeof(order)), 2);
	assert_memory_equal(order, "0\n", 2);
	path = hs_format("%s/vm/cpu0.raw", host.dir);
	assert_int_equal(hs_read_file(path, 1 << 20, &text, &len), 0);
	assert_int_equal(len, sizeof(pages));
	assert_memory_equal(text, pages, len);
	document = hs_guest_document(host.guests, 0);
	assert_string_equal(hs_json_get_string(part_of(document, 0), "agent"), "kernel");
	assert_int_equal(hs_json_get_u64(part_of(document, 0), "raw_bytes"), sizeof(pages));
	json_object_put(document);
	host_close(&host);
	close(in);
	close(out);
	close(data);
	hs_remove_tree(dir);
}

static void test_a_path_without_ports_says_what_was_looked_for(void **state)
{
	struct hs_guest_place *place = NULL;

	(void)state;
	assert_int_equal(hs_guest_place_find("/nonexistent/vm.", &place), -ENOENT);
	assert_null(place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_that_a_guest_sends_is_recorded),
		cmocka_unit_test(test_data_that_overtakes_the_answer_to_start_is_kept),
		cmocka_unit_test(test_garbage_between_frames_costs_nothing_else),
		cmocka_unit_test(test_what_a_dead_host_left_running_is_stopped_first),
		cmocka_unit_test(test_a_full_queue_goes_to_disk_and_nothing_is_lost),
		cmocka_unit_test(test_what_neither_memory_nor_disk_holds_is_counted_event_by_event),
		cmocka_unit_test(test_what_a_guest_counted_and_did_not_send_is_lost),
		cmocka_unit_test(test_words_of_a_guest_are_shown_without_control_characters),
		cmocka_unit_test(test_a_guest_that_boots_again_is_recorded_again_into_a_folder_of_its_own),
		cmocka_unit_test(test_a_guest_that_never_answers_stop_is_not_waited_for),
		cmocka_unit_test(test_a_refusal_is_told_with_the_agents_words),
		cmocka_unit_test(test_records_of_another_version_are_not_misread),
		cmocka_unit_test(test_a_clock_that_is_shifted_by_hours_is_sampled_with_its_offset),
		cmocka_unit_test(test_the_kernels_agent_on_fifos_gets_its_orders_and_its_pages_are_kept),
		cmocka_unit_test(test_a_path_without_ports_says_what_was_looked_for),
	};

	signal(SIGPIPE, SIG_IGN);
	return RUN_TESTS("guests", tests);
}
