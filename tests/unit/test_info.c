// SPDX-License-Identifier: GPL-2.0-only
/* What `hsbpf info` finds in folders made here: counts, times, clocks, and machines that sent nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "cm.h"
#include "info/info.h"
#include "trace/ctf_writer.h"

static char folder[64];

static int set_up(void **state)
{
	scoped(mem) char *trace = NULL;

	(void)state;
	hs_log_set_level(HS_LOG_ERR);
	strcpy(folder, "/tmp/hsbpf-info-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	trace = hs_format("%s/trace", folder);
	return hs_make_dirs(trace);
}

static int tear_down(void **state)
{
	(void)state;
	return hs_remove_tree(folder);
}

/* A machine's trace with `event_nr` events a second apart; the last says that 3 were lost. */
static void write_trace(const char *name, int64_t offset_ns, unsigned int event_nr)
{
	scoped(mem) char *dir = hs_format("%s/trace/%s", folder, name);
	struct hs_ctf_writer_config config = { .dir = dir, .machine = name, .clock_offset_ns = offset_ns };
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;

	assert_int_equal(hs_ctf_writer_open(&config, &writer), 0);
	for (unsigned int i = 1; i <= event_nr; i++) {
		struct hs_event_kvm_entry entry = {
			.header = { .ts = i * 1000000000ull, .id = HS_EVENT_kvm_entry, .tid = 1 }
		};

		assert_int_equal(hs_ctf_writer_begin(writer, 0), 0);
		assert_int_equal(hs_ctf_writer_add(writer, &entry, sizeof(entry)), 0);
		assert_int_equal(hs_ctf_writer_end(writer, i == event_nr ? 3 : 0), 0);
	}
}

static void write_document(const char *name, const char *text)
{
	scoped(mem) char *path = hs_format("%s/%s", folder, name);

	assert_int_equal(hs_write_file_atomic(path, text, strlen(text)), 0);
}

static json_object *read_info(void)
{
	scoped(hs_trace_folders) struct hs_trace_folders *folders = NULL;
	json_object *document = NULL;

	assert_int_equal(hs_trace_find(folder, &folders), 0);
	assert_int_equal(hs_info_read(folder, folders, &document), 0);
	return document;
}

static json_object *machine_at(json_object *document, size_t index)
{
	return json_object_array_get_idx(hs_json_get(document, "machines"), index);
}

static void test_events_times_and_losses_are_told_by_machine(void **state)
{
	scoped(json) json_object *document = NULL;
	json_object *machine, *event;

	(void)state;
	write_trace("host", 1000, 3);
	write_trace("l1", 2001000, 1);
	write_document("run.json",
		       "{\"outcome\":\"ok\",\"trace\":{\"host\":{\"events\":{\"kvm_entry\":{\"recorded\":3,\"lost\":2},"
		       "\"kvm_exit\":{\"recorded\":0,\"lost\":1}}}}}");
	document = read_info();
	assert_string_equal(hs_json_get_string(document, "kind"), "run");
	assert_int_equal(json_object_array_length(hs_json_get(document, "machines")), 2);
	machine = machine_at(document, 0);
	assert_string_equal(hs_json_get_string(machine, "machine"), "host");
	assert_int_equal(hs_json_get_u64(machine, "recorded"), 3);
	assert_int_equal(hs_json_get_u64(machine, "lost"), 3);
	assert_int_equal(hs_json_get_u64(machine, "first_ns"), 1000000000);
	assert_int_equal(hs_json_get_u64(machine, "last_ns"), 3000000000);
	assert_int_equal(hs_json_get_u64(machine, "files"), 2);
	event = json_object_array_get_idx(hs_json_get(machine, "events"), 0);
	assert_string_equal(hs_json_get_string(event, "event"), "kvm_entry");
	assert_int_equal(hs_json_get_u64(event, "lost"), 2);
	event = json_object_array_get_idx(hs_json_get(machine, "events"), 1);
	assert_string_equal(hs_json_get_string(event, "event"), "kvm_exit");
	machine = machine_at(document, 1); /* its clock is 2 ms ahead in the day */
	assert_int_equal(hs_json_get_u64(machine, "first_ns"), 1002000000);
	assert_null(hs_json_get(machine, "clock.error_bound_ns"));
	assert_int_equal(hs_info_say_silent(document), 0);
}

static void test_a_machine_that_sent_nothing_is_named_with_the_reason(void **state)
{
	scoped(json) json_object *document = NULL;

	(void)state;
	write_trace("host", 1000, 1);
	write_trace("l1", 1000, 0);
	write_document("run.json", "{\"outcome\":\"ok\",\"trace\":{\"host\":{},\"l2-1\":{\"raw_bytes\":4096}},"
				   "\"not_recorded\":[{\"event\":\"x\",\"reason\":\"y\"},"
				   "{\"machine\":\"l2-0\",\"event\":\"all\",\"reason\":\"it never answered\"}]}");
	document = read_info();
	assert_int_equal(json_object_array_length(hs_json_get(document, "machines")), 4);
	assert_int_equal(hs_info_say_silent(document), 2);
	assert_string_equal(hs_log_last_error(), "l2-0 sent nothing: it never answered");
	assert_true(hs_json_get_bool(machine_at(document, 1), "silent"));
	assert_false(hs_json_get_bool(machine_at(document, 2), "silent")); /* its pages are there as they came */
}

static void test_pings_in_the_document_bound_a_guests_clock(void **state)
{
	scoped(json) json_object *document = NULL;
	json_object *machine;

	(void)state;
	write_trace("l1", 0, 2);
	write_document("guest.json",
		       "{\"outcome\":\"ok\",\"clocks\":[{\"boot_ns\":100,\"real_ns\":300}],\"trace\":{\"l1\":{"
		       "\"guest_clock\":{\"boot_id\":\"x\",\"bursts\":["
		       "{\"host_send_ns\":5000000000,\"guest_recv_ns\":500,\"guest_send_ns\":500,"
		       "\"host_recv_ns\":5000001000,\"samples\":1},"
		       "{\"host_send_ns\":9000000000,\"guest_recv_ns\":4000000500,\"guest_send_ns\":4000000500,"
		       "\"host_recv_ns\":9000001000,\"samples\":1}]}}}}");
	document = read_info();
	machine = machine_at(document, 0);
	assert_string_equal(hs_json_get_string(document, "kind"), "guest");
	assert_int_equal(hs_json_get_u64(machine, "first_ns"), 6000000000);
	assert_true(hs_json_get_u64(machine, "clock.error_bound_ns") >= 500);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events_times_and_losses_are_told_by_machine),
		TEST(test_a_machine_that_sent_nothing_is_named_with_the_reason),
		TEST(test_pings_in_the_document_bound_a_guests_clock),
	};

	return RUN_TESTS("info", tests);
}
