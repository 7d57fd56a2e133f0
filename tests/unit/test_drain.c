// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slot rings made by hand, drained into traces that are read back: what a packet may hold, laps that wrap, rings that
 * are written over, records that are still being filled.
 */
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "capture/drain.h"
#include "tests/unit/cm.h"
#include "trace/ctf_reader.h"

#define CPU_NR 3
#define CPU 2 /* CPU 1 has no ring */
#define SLOT_NR 8192u
#define PACKET_RECORDS 4096

struct fixture {
	char dir[64], trace[80];
	struct hs_rings rings;
	struct hs_ctf_writer *writer;
};

static void open_writer(struct fixture *fixture)
{
	struct hs_ctf_writer_config config = { .dir = fixture->trace, .machine = "host", .start_ns = 1 };

	assert_int_equal(hs_ctf_writer_open(&config, &fixture->writer), 0);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	hs_log_set_level(HS_LOG_ERR);
	strcpy(fixture->dir, "/tmp/hsbpf-drain-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->trace, sizeof(fixture->trace), "%s/t", fixture->dir);
	fixture->rings = (struct hs_rings){ .slots = calloc(2 * SLOT_NR, HS_SLOT_BYTES),
					    .slot_nr = 2 * SLOT_NR,
					    .controls = calloc(CPU_NR, sizeof(struct hs_ring_control)),
					    .lost = calloc(HS_LOST_PART_NR * CPU_NR * HS_EVENT_ID_NR, 8),
					    .cpu_nr = CPU_NR };
	fixture->rings.controls[0].slot_nr = fixture->rings.controls[CPU].slot_nr = SLOT_NR;
	fixture->rings.controls[CPU].first_slot = SLOT_NR;
	*state = fixture;
	open_writer(fixture);
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

	hs_ctf_writer_free(fixture->writer);
	nftw(fixture->dir, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	free(fixture->rings.slots);
	free(fixture->rings.controls);
	free(fixture->rings.lost);
	free(fixture);
	return 0;
}

/* ---- the producer ---- */

static uint64_t reserve(struct fixture *fixture)
{
	return fixture->rings.controls[CPU].head++;
}

static void publish(struct fixture *fixture, uint64_t position, uint64_t ts)
{
	struct hs_event_kvm_entry *slot = (void *)hs_ring_slot(&fixture->rings, CPU, position);

	*slot = (struct hs_event_kvm_entry){
		.header = { .ts = ts, .id = HS_EVENT_kvm_entry, .lap = (uint16_t)(position / SLOT_NR) },
		.vcpu_id = (uint32_t)position
	};
}

static void produce(struct fixture *fixture, uint64_t ts)
{
	publish(fixture, reserve(fixture), ts);
}

/* As if that many records had come and gone. */
static void start_at(struct fixture *fixture, uint64_t position)
{
	fixture->rings.controls[CPU].head = fixture->rings.controls[CPU].consumed = position;
}

/* ---- what is in the trace ---- */

static void expect_times(const struct fixture *fixture, uint64_t first_ts, uint64_t nr, uint64_t discarded)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	const struct hs_ctf_reader_counts *counts;
	struct hs_ctf_record record;

	assert_int_equal(hs_ctf_reader_open(fixture->trace, &reader), 0);
	for (uint64_t i = 0; i < nr; i++) {
		assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
		assert_int_equal(record.cpu, CPU);
		assert_int_equal(record.header->ts, first_ts + i);
	}
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	counts = hs_ctf_reader_counts(reader);
	assert_int_equal(counts->discarded, discarded);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->clamped, 0);
}

static uint64_t recorded(const struct fixture *fixture)
{
	return hs_ctf_writer_counts(fixture->writer)->recorded[HS_EVENT_kvm_entry];
}

/* ---- tests ---- */

static void test_everything_complete_is_taken_once(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t ts = 1; ts <= 6000; ts++)
		produce(fixture, ts);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	assert_true(hs_ring_is_empty(&fixture->rings, CPU));
	for (uint64_t ts = 6001; ts <= 12000; ts++)
		produce(fixture, ts);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	hs_drain_cpu(&fixture->rings, 1, fixture->writer);
	assert_int_equal(recorded(fixture), 12000);
	expect_times(fixture, 1, 12000, 0);
}

static void test_walk_stops_before_a_record_that_is_being_filled(void **state)
{
	struct fixture *fixture = *state;
	uint64_t slow;

	produce(fixture, 1);
	slow = reserve(fixture);
	produce(fixture, 2);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	assert_int_equal(recorded(fixture), 1);
	assert_int_equal(fixture->rings.controls[CPU].consumed, slow);
	publish(fixture, slow, 3);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	expect_times(fixture, 1, 3, 0);
}

static void test_interrupt_at_a_packets_end_stays_in_order(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t ts = 1; ts < PACKET_RECORDS; ts++)
		produce(fixture, ts);
	/* Interrupted by an interrupt, which is interrupted by another: the last place of the packet is the outermost.
	 */
	produce(fixture, PACKET_RECORDS + 3);
	produce(fixture, PACKET_RECORDS + 1);
	produce(fixture, PACKET_RECORDS);
	produce(fixture, PACKET_RECORDS + 2);
	produce(fixture, PACKET_RECORDS + 4);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->sorted, 3);
	expect_times(fixture, 1, PACKET_RECORDS + 4, 0);
}

static void test_laps_wrap(void **state)
{
	struct fixture *fixture = *state;

	start_at(fixture, 0xffffull * SLOT_NR + SLOT_NR / 2);
	for (uint64_t ts = 1; ts <= SLOT_NR; ts++)
		produce(fixture, ts);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	expect_times(fixture, 1, SLOT_NR, 0);
}

static void test_record_of_an_earlier_lap_is_not_taken(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t ts = 1; ts <= SLOT_NR; ts++)
		produce(fixture, ts);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	reserve(fixture); /* its slot still holds the record of a lap ago */
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	assert_int_equal(recorded(fixture), SLOT_NR);
}

static void test_snapshot_keeps_the_newest_and_counts_the_rest(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t ts = 1; ts <= 3 * SLOT_NR + 7; ts++)
		produce(fixture, ts);
	assert_int_equal(hs_drain_snapshot(&fixture->rings, CPU, fixture->writer), 2 * SLOT_NR + 7);
	assert_int_equal(recorded(fixture), SLOT_NR);
	expect_times(fixture, 2 * SLOT_NR + 8, SLOT_NR, 2 * SLOT_NR + 7);
}

static void test_snapshot_ends_before_a_record_that_is_being_filled(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t ts = 1; ts <= 10; ts++)
		produce(fixture, ts);
	reserve(fixture);
	assert_int_equal(hs_drain_snapshot(&fixture->rings, CPU, fixture->writer), 0);
	expect_times(fixture, 1, 10, 0);
}

static void test_losses_stand_in_the_packet_that_follows_them(void **state)
{
	struct fixture *fixture = *state;
	uint64_t *lost = hs_rings_lost(&fixture->rings, HS_LOST_NOW, CPU);

	lost[HS_EVENT_kvm_entry] = 4;
	produce(fixture, 1);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	assert_int_equal(hs_rings_lost(&fixture->rings, HS_LOST_TOLD, CPU)[HS_EVENT_kvm_entry], 4);
	lost[HS_EVENT_kvm_exit] = 3;
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	expect_times(fixture, 1, 1, 7);
}

static void test_loss_of_a_cpu_without_a_record_is_told(void **state)
{
	struct fixture *fixture = *state;

	hs_rings_lost(&fixture->rings, HS_LOST_NOW, CPU)[HS_EVENT_kvm_entry] = 9;
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	expect_times(fixture, 1, 0, 9);
}

static void test_deleted_folder_is_a_loss_of_all_that_was_in_it(void **state)
{
	struct fixture *fixture = *state;
	const struct hs_ctf_writer_counts *written = hs_ctf_writer_counts(fixture->writer);

	for (uint64_t ts = 1; ts <= 10; ts++)
		produce(fixture, ts);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	assert_int_equal(nftw(fixture->trace, remove_entry, 4, FTW_DEPTH | FTW_PHYS), 0);
	for (uint64_t ts = 11; ts <= 15; ts++)
		produce(fixture, ts);
	hs_drain_cpu(&fixture->rings, CPU, fixture->writer);
	assert_int_equal(written->recorded[HS_EVENT_kvm_entry], 0);
	assert_int_equal(written->disk_lost[HS_EVENT_kvm_entry], 15);
	assert_int_equal(fixture->rings.controls[CPU].disk_lost, 15);
	assert_non_null(strstr(hs_log_last_error(), "cannot write the trace of host"));
	assert_int_equal(written->bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_everything_complete_is_taken_once),
		TEST(test_walk_stops_before_a_record_that_is_being_filled),
		TEST(test_interrupt_at_a_packets_end_stays_in_order),
		TEST(test_laps_wrap),
		TEST(test_record_of_an_earlier_lap_is_not_taken),
		TEST(test_snapshot_keeps_the_newest_and_counts_the_rest),
		TEST(test_snapshot_ends_before_a_record_that_is_being_filled),
		TEST(test_losses_stand_in_the_packet_that_follows_them),
		TEST(test_loss_of_a_cpu_without_a_record_is_told),
		TEST(test_deleted_folder_is_a_loss_of_all_that_was_in_it),
	};

	return RUN_TESTS("drain", tests);
}
