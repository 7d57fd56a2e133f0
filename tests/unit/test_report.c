// SPDX-License-Identifier: GPL-2.0-only
/* Whole reports of small traces on disk: every word and number, in text, CSV and JSON. */
#include "cm.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "analysis/replay.h"
#include "analysis_fixture.h"
#include "base/log.h"
#include "trace/ctf_writer.h"

#define KVM_EXIT_IO 2
/* Exits that have no name, so that no name is tested here. */
#define ONE 0x901
#define OTHER 0x902
#define MS 1000000ull

struct fixture {
	char dir[64], trace[80];
	struct hs_ctf_writer *writer;
	struct hs_replay_config config;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct hs_ctf_writer_config config = { .dir = fixture->trace, .machine = "host" };

	hs_log_set_level(HS_LOG_ERR);
	strcpy(fixture->dir, "/tmp/hsbpf-report-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->trace, sizeof(fixture->trace), "%s/t", fixture->dir);
	fixture->config = (struct hs_replay_config){ .kind = "vm_exit", .trace = fixture->trace, .sort = "time_ns" };
	*state = fixture;
	return hs_ctf_writer_open(&config, &fixture->writer);
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

	hs_ctf_writer_free(fixture->writer);
	hs_vms_clear(&fixture->config.vms);
	nftw(fixture->dir, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

/* One packet of the CPU; what it had lost in total by then. */
static void write_packet(struct fixture *fixture, uint32_t cpu, uint64_t lost, const struct step *steps, size_t count)
{
	assert_int_equal(hs_ctf_writer_begin(fixture->writer, cpu), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(
			hs_ctf_writer_add(fixture->writer, &steps[i].header, hs_event_find(steps[i].header.id)->size),
			0);
	hs_ctf_writer_end(fixture->writer, lost);
}

static void name_vm(struct fixture *fixture, pid_t tgid, const char *name)
{
	assert_int_equal(hs_vms_add_vcpu(&fixture->config.vms, tgid, (pid_t)TID(tgid, 0), 0), 0);
	strcpy(fixture->config.vms.vms[fixture->config.vms.vm_nr - 1].name, name);
}

static void expect(struct fixture *fixture, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(hs_replay(&fixture->config, out), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

/* Two VMs of one vCPU each; the second moves from CPU 1 to CPU 0. */
static void write_two_vms(struct fixture *fixture)
{
	name_vm(fixture, 100, "db");
	name_vm(fixture, 200, "web, old");
	write_packet(fixture, 0, 0,
		     STEPS(ENTRY_OF(10 * MS, 0, 100, 0), EXIT_OF(11 * MS, 0, 100, 0, OTHER),
			   USER_OF(11 * MS + 2000, 0, 100, 0, KVM_EXIT_IO), ENTRY_OF(11 * MS + 5000, 0, 100, 0),
			   EXIT_OF(12 * MS, 0, 100, 0, ONE), ENTRY_OF(19 * MS, 0, 200, 0),
			   ENTRY_OF(20 * MS, 0, 100, 0)));
	write_packet(fixture, 1, 0, STEPS(ENTRY_OF(10 * MS, 1, 200, 0), EXIT_OF(15 * MS, 1, 200, 0, ONE)));
}

static void test_text_report_of_two_vms(void **state)
{
	struct fixture *fixture = *state;

	write_two_vms(fixture);
	expect(fixture,
	       "host: 10 ms from 0.000000 s to 0.010000 s of the trace, 9 records\n"
	       "\n"
	       "VM exits (time: until the vCPU's next entry)\n"
	       "VM        PID  vCPU  reason     count  rate/s     time    share      avg      p50      p99      max  "
	       "untimed\n"
	       "db        100  0     svm 0x901      1   100.0  8.00 ms  80.00 %  8.00 ms  8.00 ms  8.00 ms  8.00 ms    "
	       "    0\n"
	       "web, old  200  0     svm 0x901      1   100.0  4.00 ms  40.00 %  4.00 ms  4.00 ms  4.00 ms  4.00 ms    "
	       "    0\n"
	       "db        100  0     svm 0x902      1   100.0  5.00 us   0.05 %  5.00 us  5.00 us  5.00 us  5.00 us    "
	       "    0\n"
	       "all         -  all   Total          3   300.0  12.0 ms  60.02 %  4.00 ms  4.03 ms  8.00 ms  8.00 ms    "
	       "    0\n"
	       "\n"
	       "exits to user space (time: until the thread is in KVM again)\n"
	       "VM   PID  vCPU  reason  count  rate/s     time   share      avg      p50      p99      max  untimed\n"
	       "db   100  0     io          1   100.0  3.00 us  0.03 %  3.00 us  3.00 us  3.00 us  3.00 us        0\n"
	       "all    -  all   Total       1   100.0  3.00 us  0.01 %  3.00 us  3.00 us  3.00 us  3.00 us        0\n"
	       "\n"
	       "time of each vCPU, in the guest, in KVM, in user space\n"
	       "VM        PID  vCPU  exits  guest time    guest  host time     host  user space    user\n"
	       "db        100  0         2     2.00 ms  19.95 %    8.00 ms  80.02 %     3.00 us  0.03 %\n"
	       "web, old  200  0         1     5.00 ms  50.00 %    4.00 ms  40.00 %        0 ns  0.00 %\n");
}

static void test_csv_begins_with_the_columns_of_acrnalyze(void **state)
{
	struct fixture *fixture = *state;

	write_two_vms(fixture);
	fixture->config.format = HS_REPORT_CSV;
	expect(fixture, "Run time(cycles),Run time(Sec),Freq(MHz)\n"
			"10000000,0.010,1000.0\n"
			"Exit_Reason,NR_Exit,NR_Exit/Sec,Time Consumed(cycles),Time "
			"Percentage,VM,PID,vCPU,TID,Kind,Avg(ns),P50(ns),P99(ns),Max(ns),Untimed\n"
			"svm 0x901,1,100.00,8000000,80.00,db,100,0,,exit,8000000,8000000,8000000,8000000,0\n"
			"svm 0x901,1,100.00,4000000,40.00,\"web, old\",200,0,,exit,4000000,4000000,4000000,4000000,0\n"
			"svm 0x902,1,100.00,5000,0.05,db,100,0,,exit,5000,5000,5000,5000,0\n"
			"Total,3,300.00,12005000,60.02,all,,,,exit,4001666,4030464,8000000,8000000,0\n"
			"io,1,100.00,3000,0.03,db,100,0,,userspace,3000,3000,3000,3000,0\n"
			"Total,1,100.00,3000,0.01,all,,,,userspace,3000,3000,3000,3000,0\n");
}

static void test_rows_of_all_vms_sorted_by_count(void **state)
{
	struct fixture *fixture = *state;

	write_two_vms(fixture);
	fixture->config.scope.by = HS_BY_ALL;
	fixture->config.sort = "count";
	fixture->config.with_histograms = true;
	expect(fixture,
	       "host: 10 ms from 0.000000 s to 0.010000 s of the trace, 9 records\n"
	       "\n"
	       "VM exits (time: until the vCPU's next entry)\n"
	       "VM   PID  vCPU  reason     count  rate/s     time    share      avg      p50      p99      max  "
	       "untimed\n"
	       "all    -  all   svm 0x901      2   200.0  12.0 ms  60.00 %  6.00 ms  4.03 ms  8.00 ms  8.00 ms        "
	       "0\n"
	       "all    -  all   svm 0x902      1   100.0  5.00 us   0.03 %  5.00 us  5.00 us  5.00 us  5.00 us        "
	       "0\n"
	       "all    -  all   Total          3   300.0  12.0 ms  60.02 %  4.00 ms  4.03 ms  8.00 ms  8.00 ms        "
	       "0\n"
	       "\n"
	       "svm 0x901, VM all, vCPU all\n"
	       "    2.1 ms to     4.2 ms            1 ########################################\n"
	       "    4.2 ms to     8.4 ms            1 ########################################\n"
	       "\n"
	       "svm 0x902, VM all, vCPU all\n"
	       "    4.1 us to     8.2 us            1 ########################################\n"
	       "\n"
	       "exits to user space (time: until the thread is in KVM again)\n"
	       "VM   PID  vCPU  reason  count  rate/s     time   share      avg      p50      p99      max  untimed\n"
	       "all    -  all   io          1   100.0  3.00 us  0.01 %  3.00 us  3.00 us  3.00 us  3.00 us        0\n"
	       "all    -  all   Total       1   100.0  3.00 us  0.01 %  3.00 us  3.00 us  3.00 us  3.00 us        0\n"
	       "\n"
	       "io, VM all, vCPU all\n"
	       "    2.0 us to     4.1 us            1 ########################################\n"
	       "\n"
	       "time of each vCPU, in the guest, in KVM, in user space\n"
	       "VM        PID  vCPU  exits  guest time    guest  host time     host  user space    user\n"
	       "db        100  0         2     2.00 ms  19.95 %    8.00 ms  80.02 %     3.00 us  0.03 %\n"
	       "web, old  200  0         1     5.00 ms  50.00 %    4.00 ms  40.00 %        0 ns  0.00 %\n");
}

static void test_stretch_has_its_own_counts_and_run_time(void **state)
{
	struct fixture *fixture = *state;

	write_two_vms(fixture);
	fixture->config.from_ns = 5 * MS;
	fixture->config.to_ns = 9500000;
	expect(fixture, "host: 4.5 ms from 0.005000 s to 0.009500 s of the trace, 2 records\n"
			"\n"
			"VM exits (time: until the vCPU's next entry)\n"
			"VM        PID  vCPU  reason     count  rate/s     time    share      avg      p50      p99    "
			"  max  untimed\n"
			"web, old  200  0     svm 0x901      1   222.2  4.00 ms  88.89 %  4.00 ms  4.00 ms  4.00 ms  "
			"4.00 ms        0\n"
			"all         -  all   Total          1   222.2  4.00 ms  88.89 %  4.00 ms  4.00 ms  4.00 ms  "
			"4.00 ms        0\n"
			"\n"
			"time of each vCPU, in the guest, in KVM, in user space\n"
			"VM        PID  vCPU  exits  guest time   guest  host time     host  user space    user\n"
			"web, old  200  0         1        0 ns  0.00 %    4.00 ms  88.89 %        0 ns  0.00 %\n");
}

static void test_loss_in_the_middle_is_said_on_top(void **state)
{
	struct fixture *fixture = *state;

	write_packet(fixture, 0, 0, STEPS(EXIT(10 * MS, 0, ONE), ENTRY(11 * MS, 0), EXIT(12 * MS, 0, ONE)));
	write_packet(fixture, 0, 7, STEPS(ENTRY(20 * MS, 0), EXIT(21 * MS, 0, ONE), ENTRY(22 * MS, 0)));
	write_packet(fixture, 0, 7, STEPS(EXIT(23 * MS, 0, ONE), ENTRY(24 * MS, 0)));
	expect(fixture, "LOST in this stretch: 7 events; CPU 0: 7 events in 1 place between 0.002000 s and 0.012000 s\n"
			"host: 14 ms from 0.000000 s to 0.014000 s of the trace, 8 records\n"
			"\n"
			"VM exits (time: until the vCPU's next entry)\n"
			"VM   PID  vCPU  reason     count  rate/s     time    share      avg      p50      p99      "
			"max  untimed\n"
			"100  100  0     svm 0x901      4   285.7  2.00 ms  14.29 %  1.00 ms  1.00 ms  1.00 ms  1.00 "
			"ms        2\n"
			"all    -  all   Total          4   285.7  2.00 ms  14.29 %  1.00 ms  1.00 ms  1.00 ms  1.00 "
			"ms        2\n"
			"\n"
			"time of each vCPU, in the guest, in KVM, in user space\n"
			"VM   PID  vCPU  exits  guest time   guest  host time     host  user space    user\n"
			"100  100  0         4     1.00 ms  7.14 %    2.00 ms  14.29 %        0 ns  0.00 %\n"
			"\n"
			"Exits without a time: 2 interrupted by loss\n");
}

static void test_trace_without_kvm_exit_says_so(void **state)
{
	struct fixture *fixture = *state;

	write_packet(fixture, 0, 0, STEPS(USER(10 * MS, 3, KVM_EXIT_IO), USER(20 * MS, 3, KVM_EXIT_IO)));
	expect(fixture, "host: 10 ms from 0.000000 s to 0.010000 s of the trace, 2 records\n"
			"\n"
			"exits to user space (time: until the thread is in KVM again)\n"
			"VM   PID  vCPU     reason  count  rate/s  time  share  avg  p50  p99  max  untimed\n"
			"100  100  tid 104  io          2   200.0     -      -    -    -    -    -        2\n"
			"all    -  all      Total       2   200.0     -      -    -    -    -    -        2\n"
			"\n"
			"The trace has no kvm_exit: it was not recorded, or it does not fire on that kernel. Exits to "
			"user space are all that is known, and their times only where kvm_entry was recorded.\n");
}

static void test_report_on_cpu_use(void **state)
{
	struct fixture *fixture = *state;

	write_two_vms(fixture);
	fixture->config.kind = "cpu";
	expect(fixture, "host: 10 ms from 0.000000 s to 0.010000 s of the trace, 9 records\n"
			"\n"
			"CPUs of the host, in use by vCPU threads\n"
			"VM        PID  CPU  on a CPU       use    guest      KVM  user space\n"
			"db        100    0   10.0 ms  100.00 %  2.00 ms  8.00 ms     3.00 us\n"
			"web, old  200    1   9.00 ms   90.00 %  5.00 ms  4.00 ms        0 ns\n"
			"\n"
			"vCPUs\n"
			"VM        PID  vCPU  on a CPU       use    guest      KVM  user space  halted  steal  steal % "
			"  unseen  migrations\n"
			"db        100  0      10.0 ms  100.00 %  2.00 ms  8.00 ms     3.00 us    0 ns      -        - "
			"    0 ns           0\n"
			"web, old  200  0      9.00 ms   90.00 %  5.00 ms  4.00 ms        0 ns    0 ns      -        - "
			" 1.00 ms           1\n"
			"\n"
			"The trace has no scheduler events (record with -P sched): steal is unknown and counts as what "
			"the vCPU did meanwhile; exits for HLT count as halted, with their polling.\n");
	fixture->config.format = HS_REPORT_CSV;
	expect(fixture, "Total run time(tsc cycles),Total run time(sec),Freq(MHz)\n"
			"10000000,0.010,1000.0\n"
			"PCPU ID,VM_ID,Time Consumed/sec,Time Consumed(tsc cycles),CPU "
			"Usage%,PID,vCPU,TID,Guest(ns),Host(ns),User(ns),Halted(ns),Steal(ns),Steal%,Unseen(ns),Lost("
			"ns),Migrations\n"
			"0,db,0.010000,10000000,100.00,100,,,1995000,8002000,3000,,,,,,\n"
			"1,\"web, old\",0.009000,9000000,90.00,200,,,5000000,4000000,0,,,,,,\n"
			",db,0.010000,10000000,100.00,100,0,,1995000,8002000,3000,0,,,0,0,0\n"
			",\"web, old\",0.009000,9000000,90.00,200,0,,5000000,4000000,0,0,,,1000000,0,1\n");
}

static void test_empty_trace_is_an_empty_report(void **state)
{
	struct fixture *fixture = *state;

	expect(fixture, "host: 0 ns from 0.000000 s to 0.000000 s of the trace, 0 records\n"
			"\n"
			"The trace has no VM exits in this stretch.\n");
	fixture->config.kind = "irq";
	fixture->config.format = HS_REPORT_CSV;
	expect(fixture, "Vector,NR_Exit,NR_Exit/"
			"Sec,VM,PID,vCPU,TID,Timed,Time(ns),Share%,Avg(ns),P50(ns),P99(ns),Max(ns),Delivered,Delivery "
			"Time(ns),Delivery Share%,Delivery Avg(ns),Delivery P50(ns),Delivery P99(ns),Delivery "
			"Max(ns),Reinjected,Soft,No EOI,Lost,Lone EOIs\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_text_report_of_two_vms),
		TEST(test_csv_begins_with_the_columns_of_acrnalyze),
		TEST(test_rows_of_all_vms_sorted_by_count),
		TEST(test_stretch_has_its_own_counts_and_run_time),
		TEST(test_loss_in_the_middle_is_said_on_top),
		TEST(test_trace_without_kvm_exit_says_so),
		TEST(test_report_on_cpu_use),
		TEST(test_empty_trace_is_an_empty_report),
	};

	return RUN_TESTS("report", tests);
}
