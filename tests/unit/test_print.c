// SPDX-License-Identifier: GPL-2.0-only
/* What `hsbpf print` makes of known traces, byte by byte, and what formats files may hold. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "analysis_fixture.h"
#include "base/io.h"
#include "base/log.h"
#include "cm.h"
#include "print/print.h"
#include "trace/ctf_writer.h"

#define S 1000000000ull
#define PIO(time, on_cpu, value)                                                                                       \
	(struct hs_event_kvm_pio)                                                                                      \
	{                                                                                                              \
		HEADER(kvm_pio, time, TID(TGID, 0)), .rw = 1, .port = 0x80, .size = 1, .count = 1, .val = (value),     \
						     .tgid = TGID                                                      \
	}

struct fixture {
	char dir[64], traces[2][80], shown[80];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	hs_log_set_level(HS_LOG_ERR);
	strcpy(fixture->dir, "/tmp/hsbpf-print-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->traces[0], sizeof(fixture->traces[0]), "%s/host", fixture->dir);
	snprintf(fixture->traces[1], sizeof(fixture->traces[1]), "%s/l1", fixture->dir);
	snprintf(fixture->shown, sizeof(fixture->shown), "%s/shown", fixture->dir);
	*state = fixture;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	nftw(fixture->dir, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

static struct hs_ctf_writer *open_writer(const char *dir, const char *machine, int64_t offset_ns)
{
	struct hs_ctf_writer_config config = { .dir = dir, .machine = machine, .clock_offset_ns = offset_ns };
	struct hs_ctf_writer *writer = NULL;

	assert_int_equal(hs_ctf_writer_open(&config, &writer), 0);
	return writer;
}

static void put(struct hs_ctf_writer *writer, uint32_t cpu, const void *record, size_t bytes, uint64_t lost)
{
	assert_int_equal(hs_ctf_writer_begin(writer, cpu), 0);
	assert_int_equal(hs_ctf_writer_add(writer, record, (uint32_t)bytes), 0);
	assert_int_equal(hs_ctf_writer_end(writer, lost), 0);
}
#define PUT(writer, cpu, record, lost) put(writer, cpu, &(record), sizeof(record), lost)

/* An exit on CPU 0, out on CPU 1 in between, an entry on CPU 0, two more outs of which 7 others were lost. */
static void write_host(struct fixture *fixture)
{
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = open_writer(fixture->traces[0], "host", 1000 * S);
	struct step exit = EXIT(5 * S, 0, SVM_HLT), entry = ENTRY(5 * S + 30, 0);
	struct hs_event_kvm_pio first = PIO(5 * S + 20, 1, 'A'), second = PIO(6 * S, 1, 0x80), third = PIO(7 * S, 1, 0);

	PUT(writer, 0, exit.exit, 0);
	PUT(writer, 1, first, 0);
	PUT(writer, 0, entry.entry, 0);
	PUT(writer, 1, second, 0);
	PUT(writer, 1, third, 7);
}

static void expect_shown(const struct fixture *fixture, struct hs_print_config *config, const char *expected)
{
	struct hs_vcpu vcpus[] = { { TID(TGID, 0), 0 } };
	struct hs_vm vm = { .tgid = TGID, .name = "a b,\"c", .vcpus = vcpus, .vcpu_nr = 1 };
	struct hs_vm_list vms = { .vms = &vm, .vm_nr = 1 };
	char *traces[] = { (char *)fixture->traces[0], (char *)fixture->traces[1] };
	scoped(fd) int fd = open(fixture->shown, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	scoped(mem) char *text = NULL;

	config->traces = traces;
	config->trace_nr = config->trace_nr ? config->trace_nr : 1;
	config->vms = &vms;
	assert_int_equal(hs_print(config, fd), 0);
	assert_int_equal(hs_read_file(fixture->shown, 65536, &text, NULL), 0);
	assert_string_equal(text, expected);
}

static void test_text_is_merged_and_tells_names_and_losses(void **state)
{
	struct hs_print_config config = { .form = HS_PRINT_TEXT };

	write_host(*state);
	expect_shown(*state, &config,
		     "        a b,\"c/0-101     [000] 5.000000000: kvm_exit: guest_rip=0x0 info1=0x0 info2=0x0 "
		     "exit_reason=hlt isa=svm intr_info=0x0 error_code=0x0 vcpu_id=0 tgid=100\n"
		     "        a b,\"c/0-101     [001] 5.000000020: kvm_pio: rw=out port=0x80 size=1 count=1 val=0x41 "
		     "tgid=100\n"
		     "        a b,\"c/0-101     [000] 5.000000030: kvm_entry: vcpu_id=0 tgid=100\n"
		     "        a b,\"c/0-101     [001] 6.000000000: kvm_pio: rw=out port=0x80 size=1 count=1 val=0x80 "
		     "tgid=100\n"
		     "                         [001] 6.000000000: LOST: 7 events up to 7.000000000\n"
		     "        a b,\"c/0-101     [001] 7.000000000: kvm_pio: rw=out port=0x80 size=1 count=1 val=0x0 "
		     "tgid=100\n");
}

static void test_jsonl_escapes_names_and_keeps_losses(void **state)
{
	struct hs_cpulist cpus = { .bits = { 2 } };
	struct hs_print_config config = {
		.form = HS_PRINT_JSONL, .clock = HS_PRINT_RELATIVE, .scope.cpus = &cpus, .from_ns = S
	};

	write_host(*state);
	expect_shown(
		*state, &config,
		"{\"time_ns\":1000000000,\"machine\":\"host\",\"cpu\":1,\"tid\":101,\"vm\":\"a b,\\\"c\",\"vcpu\":0,"
		"\"event\":\"kvm_pio\",\"fields\":{\"rw\":\"out\",\"port\":128,\"size\":1,\"count\":1,\"val\":128,"
		"\"tgid\":100}}\n"
		"{\"machine\":\"host\",\"cpu\":1,\"begin_ns\":1000000000,\"end_ns\":2000000000,\"lost_events\":7,"
		"\"lost_packets\":0,\"unread_bytes\":0}\n"
		"{\"time_ns\":2000000000,\"machine\":\"host\",\"cpu\":1,\"tid\":101,\"vm\":\"a b,\\\"c\",\"vcpu\":0,"
		"\"event\":\"kvm_pio\",\"fields\":{\"rw\":\"out\",\"port\":128,\"size\":1,\"count\":1,\"val\":0,"
		"\"tgid\":100}}\n");
}

static void test_csv_of_one_event_has_a_column_a_field(void **state)
{
	struct hs_print_config config = { .form = HS_PRINT_CSV, .clock = HS_PRINT_REAL };

	write_host(*state);
	config.events = &(struct hs_opt_list){ { "kvm_entry" }, 1 };
	expect_shown(*state, &config,
		     "time_ns,machine,cpu,tid,vm,vcpu,event,vcpu_id,tgid\n"
		     "1005000000030,host,0,101,\"a b,\"\"c\",0,kvm_entry,0,100\n");
}

static void test_machines_are_merged_by_the_time_of_day(void **state)
{
	struct fixture *fixture = *state;
	struct hs_print_config config = { .form = HS_PRINT_TEXT, .clock = HS_PRINT_REAL, .trace_nr = 2 };
	struct hs_event_kvm_pio pio = PIO(S / 2, 0, 1);
	struct hs_ctf_writer *writer = open_writer(fixture->traces[1], "l1", 1005 * S);

	PUT(writer, 0, pio, 0);
	hs_ctf_writer_free(writer);
	write_host(fixture);
	config.events = &(struct hs_opt_list){ { "kvm_pio" }, 1 };
	config.to_ns = 2 * S;
	expect_shown(
		fixture, &config,
		"host         a b,\"c/0-101     [001] 1970-01-01T00:16:45.000000020Z: kvm_pio: rw=out port=0x80 size=1 "
		"count=1 val=0x41 tgid=100\n"
		"l1              100-101     [000] 1970-01-01T00:16:45.500000000Z: kvm_pio: rw=out port=0x80 size=1 "
		"count=1 val=0x1 tgid=100\n"
		"host         a b,\"c/0-101     [001] 1970-01-01T00:16:46.000000000Z: kvm_pio: rw=out port=0x80 size=1 "
		"count=1 val=0x80 tgid=100\n"
		"host                          [001] 1970-01-01T00:16:46.000000000Z: LOST: 7 events up to "
		"1970-01-01T00:16:47.000000000Z\n");
}

/* The guest's clock shows 1000 s less than the host's and runs 100 ppm fast; its trace claims another time of day. */
static void test_pings_place_a_guests_events_whatever_its_time_of_day(void **state)
{
	static const char document[] =
		"{\"trace\":{\"l1\":{\"guest_clock\":{\"boot_id\":\"x\",\"bursts\":["
		"{\"host_send_ns\":1000000000000,\"guest_recv_ns\":500,\"guest_send_ns\":500,"
		"\"host_recv_ns\":1000000001000,\"samples\":9},"
		"{\"host_send_ns\":1010000000000,\"guest_recv_ns\":10001000500,\"guest_send_ns\":10001000500,"
		"\"host_recv_ns\":1010000001000,\"samples\":9}]}}}}";
	struct fixture *fixture = *state;
	struct hs_print_config config = { .form = HS_PRINT_CSV, .trace_nr = 2 };
	struct hs_event_kvm_pio host = PIO(1005 * S, 0, 1), guest = PIO(5000500500ull, 0, 2);
	struct hs_ctf_writer *writer = open_writer(fixture->traces[0], "host", 5 * S);
	scoped(mem) char *path = hs_format("%s/run.json", fixture->dir);

	PUT(writer, 0, host, 0);
	hs_ctf_writer_free(writer);
	writer = open_writer(fixture->traces[1], "l1", 777777 * S);
	PUT(writer, 0, guest, 0);
	hs_ctf_writer_free(writer);
	assert_int_equal(hs_write_file_atomic(path, document, strlen(document)), 0);
	config.document = path;
	config.events = &(struct hs_opt_list){ { "kvm_pio" }, 1 };
	expect_shown(fixture, &config,
		     "time_ns,machine,cpu,tid,vm,vcpu,event,rw,port,size,count,val,tgid\n"
		     "1005000000000,host,0,101,\"a b,\"\"c\",0,kvm_pio,out,0x80,1,1,0x1,100\n"
		     "1005000000500,l1,0,101,,,kvm_pio,out,0x80,1,1,0x2,100\n");
	config.clock = HS_PRINT_REAL;
	config.from_ns = 400; /* after the first */
	expect_shown(fixture, &config,
		     "time_ns,machine,cpu,tid,vm,vcpu,event,rw,port,size,count,val,tgid\n"
		     "1010000000500,l1,0,101,,,kvm_pio,out,0x80,1,1,0x2,100\n");
}

static void test_an_empty_trace_is_an_empty_document(void **state)
{
	struct fixture *fixture = *state;
	struct hs_print_config config = { .form = HS_PRINT_JSON };

	hs_ctf_writer_free(open_writer(fixture->traces[0], "host", 3));
	expect_shown(fixture, &config,
		     "{\"schema\":\"hsbpf.print/1\",\"clock\":\"boot\",\"machines\":[{\"machine\":\"host\","
		     "\"clock_offset_ns\":3,\"error_bound_ns\":0}],\n\"events\":[\n],\n\"counts\":{},\n\"lost\":[]}\n");
}

static void test_templates_take_flags_width_and_escape_bytes(void **state)
{
	static const char file[] = "# comment\n\n 4 replaced\n"
				   "kvm_pio %(cpu)03d|%(event)#06x|%(2)-5o|%(rw)5s|%(val)c|%(val)+d|%(vm)s|100%%\n"
				   "0x1 %(exit_reason)s %(vcpu)d\r\n70000 other\n";
	struct hs_print_config config = { .form = HS_PRINT_FORMATS };
	scoped(hs_formats) struct hs_formats *formats = NULL;

	write_host(*state);
	assert_int_equal(hs_formats_parse("f", file, strlen(file), &formats), 0);
	config.formats = formats;
	expect_shown(*state, &config,
		     "hlt 0\n"
		     "001|0x0004|200  |  out|A|+65|a b,\"c|100%\n"
		     "001|0x0004|200  |  out|\\x80|+128|a b,\"c|100%\n"
		     "001|0x0004|200  |  out|\\x00|+0|a b,\"c|100%\n");
}

static void test_faults_of_a_formats_file_are_said_with_their_line(void **state)
{
	static const struct {
		const char *text, *message;
	} faults[] = {
		{ "nosuch x", "f:1: a line starts with the name or the id of an event, not with nosuch" },
		{ "__import__('os') x",
		  "f:1: a line starts with the name or the id of an event, not with __import__('os')" },
		{ "#\nkvm_pio", "f:2: no template behind kvm_pio" },
		{ "kvm_pio %(nosuch)d", "f:1: the event has no key nosuch" },
		{ "kvm_pio %(7)d", "f:1: the event has no key 7" },
		{ "kvm_pio %(port)q", "f:1: the conversion is none of d x X o u c s: (port)q" },
		{ "kvm_pio %(port)", "f:1: the conversion is none of d x X o u c s: (port)" },
		{ "kvm_pio %(port)999d", "f:1: too wide: (port)999" },
		{ "kvm_pio %d", "f:1: a percent sign is followed by (key) or another one, not by d" },
		{ "kvm_pio %", "f:1: a percent sign is followed by (key) or another one, not by " },
		{ "kvm_pio %(vm)d", "f:1: a name takes s: (vm)d" },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(faults); i++) {
		struct hs_formats *formats = NULL;

		assert_int_equal(hs_formats_parse("f", faults[i].text, strlen(faults[i].text), &formats), -EINVAL);
		assert_null(formats);
		assert_string_equal(hs_log_last_error(), faults[i].message);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_text_is_merged_and_tells_names_and_losses),
		TEST(test_jsonl_escapes_names_and_keeps_losses),
		TEST(test_csv_of_one_event_has_a_column_a_field),
		TEST(test_machines_are_merged_by_the_time_of_day),
		TEST(test_pings_place_a_guests_events_whatever_its_time_of_day),
		TEST(test_an_empty_trace_is_an_empty_document),
		TEST(test_templates_take_flags_width_and_escape_bytes),
		TEST(test_faults_of_a_formats_file_are_said_with_their_line),
	};

	return RUN_TESTS("print", tests);
}
