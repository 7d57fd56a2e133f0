// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CTF writer and reader against each other and against broken files. (babeltrace2 as the judge:
 * tests/lab.)
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "trace/ctf.h"
#include "trace/ctf_reader.h"
#include "trace/ctf_writer.h"

#define PIO_BYTES hs_ctf_record_bytes(sizeof(struct hs_event_kvm_pio))

struct fixture {
	char dir[64];
	char trace[80];
	struct hs_ctf_writer *writer;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct hs_ctf_writer_config config = { .dir = fixture->trace, .machine = "l2-0", .clock_offset_ns = -5 };

	hs_log_set_level(HS_LOG_ERR);
	strcpy(fixture->dir, "/tmp/hsbpf-ctf-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->trace, sizeof(fixture->trace), "%s/t", fixture->dir);
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
	nftw(fixture->dir, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

static struct hs_event_kvm_pio pio_at(uint64_t ts)
{
	return (struct hs_event_kvm_pio){ .header = { .ts = ts, .id = HS_EVENT_kvm_pio, .tid = 3 },
					  .port = (uint32_t)ts };
}

static void add_pio(struct fixture *fixture, uint64_t ts)
{
	struct hs_event_kvm_pio pio = pio_at(ts);

	assert_int_equal(hs_ctf_writer_add(fixture->writer, &pio, sizeof(pio)), 0);
}

/* One packet with a kvm_pio at each of the times. */
static void write_packet(struct fixture *fixture, uint32_t cpu, uint64_t lost, size_t ts_nr, const uint64_t *ts)
{
	assert_int_equal(hs_ctf_writer_begin(fixture->writer, cpu), 0);
	for (size_t i = 0; i < ts_nr; i++)
		add_pio(fixture, ts[i]);
	hs_ctf_writer_end(fixture->writer, lost);
}
#define WRITE(cpu, lost, ...)                                                                                          \
	write_packet(fixture, cpu, lost, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

static void stream_path(const struct fixture *fixture, unsigned int cpu, char *path, size_t path_bytes)
{
	snprintf(path, path_bytes, "%s/cpu%u", fixture->trace, cpu);
}

static struct hs_ctf_reader *open_reader(const struct fixture *fixture)
{
	struct hs_ctf_reader *reader = NULL;

	assert_int_equal(hs_ctf_reader_open(fixture->trace, &reader), 0);
	return reader;
}

/* The times read, in order; the counts as they are at the end. */
static void expect_times(const struct fixture *fixture, struct hs_ctf_reader_counts *counts, size_t ts_nr,
			 const uint64_t *ts)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = open_reader(fixture);
	struct hs_ctf_record record;

	for (size_t i = 0; i < ts_nr; i++) {
		assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
		assert_int_equal(record.header->ts, ts[i]);
	}
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	*counts = *hs_ctf_reader_counts(reader);
}
#define EXPECT(counts, ...)                                                                                            \
	expect_times(fixture, counts, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

static void test_cpus_are_merged_by_time(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;

	WRITE(0, 0, 10, 40, 50);
	WRITE(3, 0, 20, 30);
	WRITE(0, 0, 60);
	WRITE(3, 0, 55, 70);
	EXPECT(&counts, 10, 20, 30, 40, 50, 55, 60, 70);
	assert_int_equal(counts.read[HS_EVENT_kvm_pio], 8);
	assert_int_equal(counts.packets, 4);
	assert_int_equal(counts.torn_packets + counts.damaged_packets + counts.unread_bytes + counts.steps_back, 0);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->recorded[HS_EVENT_kvm_pio], 8);
}

static void test_every_event_comes_back_as_it_was_written(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record got;
	uint64_t record[64];

	assert_int_equal(hs_ctf_writer_begin(fixture->writer, 1), 0);
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		memset(record, 0x10 + i, sizeof(record));
		*(struct hs_event_header *)record = (struct hs_event_header){ .ts = 100 + i, .id = hs_events[i].id };
		assert_int_equal(hs_ctf_writer_add(fixture->writer, record, sizeof(record)), 0);
	}
	hs_ctf_writer_end(fixture->writer, 0);
	reader = open_reader(fixture);
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		memset(record, 0x10 + i, sizeof(record));
		*(struct hs_event_header *)record = (struct hs_event_header){ .ts = 100 + i, .id = hs_events[i].id };
		assert_int_equal(hs_ctf_reader_next(reader, &got), 1);
		assert_ptr_equal(got.event, &hs_events[i]);
		assert_int_equal(got.cpu, 1);
		assert_memory_equal(got.header, record, hs_events[i].size);
	}
	assert_string_equal(hs_ctf_reader_info(reader)->machine, "l2-0");
	assert_int_equal(hs_ctf_reader_info(reader)->clock_offset_ns, -5);
}

static void test_steps_back_are_sorted_before_writing(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;

	WRITE(0, 0, 10, 50, 20, 30, 60, 55, 5);
	EXPECT(&counts, 5, 10, 20, 30, 50, 55, 60);
	assert_int_equal(counts.steps_back, 0);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->sorted, 4);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->clamped, 0);
}

static void test_record_earlier_than_what_is_on_disk_is_clamped_and_counted(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;

	WRITE(0, 0, 10, 50);
	WRITE(0, 0, 45, 60);
	EXPECT(&counts, 10, 50, 50, 60);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->clamped, 1);
}

static void test_more_than_a_packet_holds_is_written_in_order(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	const uint64_t record_nr = 100000;
	struct hs_ctf_record record;

	assert_int_equal(hs_ctf_writer_begin(fixture->writer, 0), 0);
	for (uint64_t i = 0; i < record_nr; i++)
		add_pio(fixture, 1 + (i ^ 1)); /* every second one steps back */
	hs_ctf_writer_end(fixture->writer, 0);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->sorted, record_nr / 2);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->clamped, 0);
	reader = open_reader(fixture);
	for (uint64_t i = 0; i < record_nr; i++) {
		assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
		assert_int_equal(record.header->ts, 1 + i);
	}
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	assert_true(hs_ctf_reader_counts(reader)->packets > 1);
}

static void test_what_a_packet_cannot_span_begins_another(void **state)
{
	const uint64_t far = 10 * HS_CTF_SPAN_NS;
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;

	/* At the limit, beyond it, late in the new packet, earlier than it may reach. */
	WRITE(0, 0, 10, 10 + HS_CTF_SPAN_NS, far, far - 7, 20);
	EXPECT(&counts, 10, 10 + HS_CTF_SPAN_NS, far - HS_CTF_SPAN_NS, far - 7, far);
	assert_int_equal(counts.packets, 2);
	assert_int_equal(counts.steps_back + counts.missing_packets + counts.damaged_packets, 0);
	assert_int_equal(hs_ctf_writer_counts(fixture->writer)->clamped, 1);
}

static void test_losses_are_in_the_trace_even_after_the_last_record(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;

	WRITE(0, 2, 10);
	WRITE(1, 1, 15);
	write_packet(fixture, 0, 7, 0, NULL);
	write_packet(fixture, 0, 7, 0, NULL); /* nothing new: no packet */
	EXPECT(&counts, 10, 15);
	assert_int_equal(counts.discarded, 8);
	assert_int_equal(counts.packets,
			 3 + 2); /* each stream begins with a loss, and so with an empty packet before it */
}

static void test_torn_packet_gives_its_whole_records(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	char path[100];

	WRITE(0, 0, 10, 20);
	WRITE(0, 0, 30, 40, 50);
	stream_path(fixture, 0, path, sizeof(path));
	assert_int_equal(truncate(path, 2 * sizeof(struct hs_ctf_packet) + 4 * PIO_BYTES + 7), 0);
	EXPECT(&counts, 10, 20, 30, 40);
	assert_int_equal(counts.packets, 1);
	assert_int_equal(counts.torn_packets, 1);
	assert_int_equal(counts.unread_bytes, 7);
	assert_int_equal(truncate(path, sizeof(struct hs_ctf_packet) + 2 * PIO_BYTES + 11), 0);
	EXPECT(&counts, 10, 20);
	assert_int_equal(counts.torn_packets, 1);
}

static void overwrite(const char *path, uint64_t offset, uint64_t value, size_t bytes)
{
	scoped(fd) int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &value, bytes, offset), bytes);
}

static void test_packet_with_a_damaged_header_is_refused(void **state)
{
	static const struct {
		uint64_t offset, value;
		size_t bytes;
	} damage[] = {
		{ offsetof(struct hs_ctf_packet, magic), 0, 4 },
		{ offsetof(struct hs_ctf_packet, uuid), 0x1122334455667788, 8 },
		{ offsetof(struct hs_ctf_packet, content_bits), UINT64_MAX - 63, 8 },
		{ offsetof(struct hs_ctf_packet, content_bits), 64, 8 },
		{ offsetof(struct hs_ctf_packet, packet_bits), 0, 8 },
		{ offsetof(struct hs_ctf_packet, packet_bits), 8 * 123 + 1, 8 },
		{ offsetof(struct hs_ctf_packet, packet_bits), 8 * 120, 8 },
		{ offsetof(struct hs_ctf_packet, cpu_id), HS_CTF_CPU_MAX, 4 },
	};
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	char path[100];

	WRITE(0, 0, 10, 20);
	WRITE(1, 0, 15);
	stream_path(fixture, 0, path, sizeof(path));
	for (size_t i = 0; i < HS_ARRAY_SIZE(damage); i++) {
		scoped(fd) int fd = open(path, O_RDWR);
		uint64_t before = 0;

		assert_int_equal(pread(fd, &before, damage[i].bytes, damage[i].offset), damage[i].bytes);
		overwrite(path, damage[i].offset, damage[i].value, damage[i].bytes);
		EXPECT(&counts, 15);
		assert_int_equal(counts.damaged_packets, 1);
		assert_int_equal(counts.unread_bytes, sizeof(struct hs_ctf_packet) + 2 * PIO_BYTES);
		overwrite(path, damage[i].offset, before, damage[i].bytes);
	}
	EXPECT(&counts, 10, 15, 20);
}

static void test_unknown_event_ends_its_packet_and_is_counted(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	char path[100];

	WRITE(0, 0, 10, 20, 30);
	stream_path(fixture, 0, path, sizeof(path));
	overwrite(path, sizeof(struct hs_ctf_packet) + PIO_BYTES + sizeof(uint32_t), 0xfff, 2);
	EXPECT(&counts, 10);
	assert_int_equal(counts.damaged_packets, 1);
	assert_int_equal(counts.unread_bytes, 2 * PIO_BYTES);
}

struct losses {
	struct hs_ctf_loss items[8];
	size_t nr;
};

static void note_loss(void *ctx, const struct hs_ctf_loss *loss)
{
	struct losses *losses = ctx;

	assert_true(losses->nr < HS_ARRAY_SIZE(losses->items));
	losses->items[losses->nr++] = *loss;
}

static void expect_loss(const struct losses *losses, size_t index, const struct hs_ctf_loss *expected)
{
	const struct hs_ctf_loss *loss = &losses->items[index];

	assert_true(index < losses->nr);
	assert_int_equal(loss->cpu, expected->cpu);
	assert_int_equal(loss->begin_ns, expected->begin_ns);
	assert_int_equal(loss->end_ns, expected->end_ns);
	assert_int_equal(loss->events, expected->events);
	assert_int_equal(loss->packets, expected->packets);
	assert_int_equal(loss->bytes, expected->bytes);
}

/* As expect_times(), of the range and with the losses told meanwhile. */
static void expect_range(const struct fixture *fixture, uint64_t from_ns, uint64_t to_ns, struct losses *losses,
			 size_t ts_nr, const uint64_t *ts)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = open_reader(fixture);
	struct hs_ctf_record record;

	*losses = (struct losses){ 0 };
	hs_ctf_reader_set_range(reader, from_ns, to_ns);
	hs_ctf_reader_on_loss(reader, note_loss, losses);
	for (size_t i = 0; i < ts_nr; i++) {
		assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
		assert_int_equal(record.header->ts, ts[i]);
	}
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
}
#define RANGE(from, to, losses, ...)                                                                                   \
	expect_range(fixture, from, to, losses, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

static void test_damaged_packet_is_passed_over(void **state)
{
	const uint64_t second = sizeof(struct hs_ctf_packet) + PIO_BYTES, packet_bytes = second;
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	struct losses losses;
	char path[100], place[64];

	WRITE(0, 0, 10);
	WRITE(0, 0, 20);
	WRITE(0, 0, 30);
	WRITE(1, 0, 15, 25);
	stream_path(fixture, 0, path, sizeof(path));
	overwrite(path, second + offsetof(struct hs_ctf_packet, magic), 0, 4);
	EXPECT(&counts, 10, 15, 25, 30);
	assert_int_equal(counts.damaged_packets, 1);
	assert_int_equal(counts.missing_packets, 1);
	assert_int_equal(counts.unread_bytes, packet_bytes);
	snprintf(place, sizeof(place), "cpu0: damaged packet at byte %lu", (unsigned long)second);
	assert_non_null(strstr(hs_log_last_error(), place));
	RANGE(0, UINT64_MAX, &losses, 10, 15, 25, 30);
	assert_int_equal(losses.nr, 1);
	expect_loss(&losses, 0, &(struct hs_ctf_loss){ 0, 10, 30, .packets = 1, .bytes = packet_bytes });
}

static void test_packet_that_claims_its_successor_is_refused_at_its_true_end(void **state)
{
	const uint64_t second = sizeof(struct hs_ctf_packet) + PIO_BYTES;
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	char path[100];

	WRITE(0, 0, 10);
	WRITE(0, 0, 20);
	WRITE(0, 0, 30);
	stream_path(fixture, 0, path, sizeof(path));
	overwrite(path, offsetof(struct hs_ctf_packet, packet_bits), 16 * second, 8);
	overwrite(path, offsetof(struct hs_ctf_packet, content_bits), 16 * second, 8);
	EXPECT(&counts, 10, 20, 30);
	assert_int_equal(counts.damaged_packets, 1);
	/* Beyond the file's end, with packets behind it. */
	overwrite(path, offsetof(struct hs_ctf_packet, packet_bits), 80 * second, 8);
	overwrite(path, offsetof(struct hs_ctf_packet, content_bits), 80 * second, 8);
	EXPECT(&counts, 20, 30);
	assert_int_equal(counts.damaged_packets, 1);
	assert_int_equal(counts.unread_bytes, second);
}

static void test_records_outside_their_packets_time_are_damage(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	struct losses losses;
	char path[100];

	WRITE(0, 0, 10, 20, 30);
	WRITE(0, 0, 40);
	stream_path(fixture, 0, path, sizeof(path));
	overwrite(path, sizeof(struct hs_ctf_packet) + PIO_BYTES, 99, 4);
	EXPECT(&counts, 10, 40);
	assert_int_equal(counts.damaged_packets, 1);
	assert_int_equal(counts.unread_bytes, 2 * PIO_BYTES);
	RANGE(0, UINT64_MAX, &losses, 10, 40);
	expect_loss(&losses, 0, &(struct hs_ctf_loss){ 0, 10, 40, .bytes = 2 * PIO_BYTES });
}

static void test_bytes_that_are_missing_in_the_middle_cost_their_packet(void **state)
{
	const ssize_t gap = 2 * sizeof(struct hs_ctf_packet) + PIO_BYTES + 2;
	char path[100], text[4096];
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	scoped(fd) int fd = -1;
	ssize_t size;

	WRITE(0, 0, 10);
	WRITE(0, 0, 20, 21);
	WRITE(0, 0, 30, 31);
	stream_path(fixture, 0, path, sizeof(path));
	fd = open(path, O_RDWR);
	size = pread(fd, text, sizeof(text), 0);
	/* 3 bytes of its first record: what follows does not even lie on multiples of 8. */
	assert_int_equal(pwrite(fd, text + gap + 3, size - gap - 3, gap), size - gap - 3);
	assert_int_equal(ftruncate(fd, size - 3), 0);
	EXPECT(&counts, 10, 30, 31);
	assert_int_equal(counts.damaged_packets, 1);
}

static void test_steps_back_in_a_damaged_trace_are_counted(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader_counts counts;
	char path[100];

	WRITE(0, 0, 10, 20, 30, 40);
	stream_path(fixture, 0, path, sizeof(path));
	overwrite(path, sizeof(struct hs_ctf_packet) + 2 * PIO_BYTES, 15, 4);
	EXPECT(&counts, 10, 20, 15, 40);
	assert_int_equal(counts.steps_back, 1);
}

static void test_ranges_read_only_the_packets_that_they_touch(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = open_reader(fixture);
	struct hs_ctf_record record;
	struct losses losses;

	assert_int_equal(hs_ctf_reader_begin_ns(reader), 0);
	WRITE(0, 0, 10, 20);
	WRITE(0, 0, 30, 40, 50);
	WRITE(0, 0, 60, 70);
	WRITE(0, 0, 80);
	WRITE(2, 0, 5, 45, 90);
	RANGE(0, 4, &losses, );
	RANGE(20, 60, &losses, 20, 30, 40, 45, 50, 60);
	RANGE(31, 39, &losses, );
	RANGE(90, UINT64_MAX, &losses, 90);
	RANGE(91, UINT64_MAX, &losses, );
	hs_ctf_reader_free(reader);
	reader = open_reader(fixture);
	assert_int_equal(hs_ctf_reader_begin_ns(reader), 5);
	hs_ctf_reader_set_range(reader, 55, 65);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	assert_int_equal(hs_ctf_reader_counts(reader)->packets, 2);
	assert_int_equal(hs_ctf_reader_counts(reader)->read[HS_EVENT_kvm_pio], 1);
}

static void test_each_loss_is_told_with_its_cpu_and_time(void **state)
{
	struct fixture *fixture = *state;
	struct losses losses;

	WRITE(0, 2, 10, 20);
	WRITE(1, 0, 15);
	WRITE(0, 2, 30);
	WRITE(0, 5, 40);
	WRITE(1, 0, 50);
	write_packet(fixture, 1, 9, 0, NULL);
	RANGE(0, UINT64_MAX, &losses, 10, 15, 20, 30, 40, 50);
	assert_int_equal(losses.nr, 3);
	expect_loss(&losses, 0, &(struct hs_ctf_loss){ 0, 10, 20, .events = 2 });
	expect_loss(&losses, 1, &(struct hs_ctf_loss){ 0, 30, 40, .events = 3 });
	expect_loss(&losses, 2, &(struct hs_ctf_loss){ 1, 50, 50, .events = 9 });
	RANGE(21, 29, &losses, );
	assert_int_equal(losses.nr, 0);
	RANGE(35, 36, &losses, );
	assert_int_equal(losses.nr, 1);
	expect_loss(&losses, 0, &(struct hs_ctf_loss){ 0, 30, 40, .events = 3 });
}

static void test_packet_finished_after_opening_is_read(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	char path[100], packet[256];
	const ssize_t packet_bytes = sizeof(struct hs_ctf_packet) + PIO_BYTES;
	scoped(fd) int fd = -1;

	WRITE(0, 0, 10);
	stream_path(fixture, 0, path, sizeof(path));
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, packet, packet_bytes, 0), packet_bytes);
	assert_int_equal(ftruncate(fd, 90), 0);
	reader = open_reader(fixture);
	assert_int_equal(pwrite(fd, packet, packet_bytes, 0), packet_bytes);
	WRITE(0, 0, 20); /* this one it does not wait for */
	assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	assert_int_equal(hs_ctf_reader_counts(reader)->torn_packets, 0);
}

static void test_file_that_shrinks_ends_early(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	char path[100];

	WRITE(0, 0, 10, 20);
	WRITE(1, 0, 15);
	reader = open_reader(fixture);
	stream_path(fixture, 0, path, sizeof(path));
	assert_int_equal(truncate(path, sizeof(struct hs_ctf_packet) + PIO_BYTES), 0);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
	assert_int_equal(record.header->ts, 15);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	assert_int_equal(hs_ctf_reader_counts(reader)->torn_packets, 1);
}

/* A file size limit stands in for a full disk: the write is cut short, then refused. */
static void test_full_disk_is_counted_and_survived(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit small = { 2 * sizeof(struct hs_ctf_packet) + 5 * PIO_BYTES, RLIM_INFINITY },
		      large = { RLIM_INFINITY, RLIM_INFINITY };
	const struct hs_ctf_writer_counts *written = hs_ctf_writer_counts(fixture->writer);
	struct hs_ctf_reader_counts counts;

	signal(SIGXFSZ, SIG_IGN);
	WRITE(0, 0, 10);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	WRITE(0, 1, 20, 30, 40, 50, 60, 70, 80);
	assert_non_null(strstr(hs_log_last_error(), "cannot write the trace of l2-0"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &large), 0);
	WRITE(0, 1, 90);
	assert_int_equal(written->recorded[HS_EVENT_kvm_pio], 2);
	assert_int_equal(written->disk_lost[HS_EVENT_kvm_pio], 7);
	EXPECT(&counts, 10, 90);
	assert_int_equal(counts.discarded, 8);
	assert_int_equal(counts.torn_packets + counts.damaged_packets, 0);
}

static void test_records_that_fit_no_event_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct hs_event_kvm_pio pio = pio_at(1);

	assert_int_equal(hs_ctf_writer_begin(fixture->writer, HS_CTF_CPU_MAX), -EINVAL);
	assert_int_equal(hs_ctf_writer_begin(fixture->writer, 0), 0);
	assert_int_equal(hs_ctf_writer_add(fixture->writer, &pio, 8), -EBADMSG);
	assert_int_equal(hs_ctf_writer_add(fixture->writer, &pio, sizeof(pio) - 8), -EBADMSG);
	pio.header.id = 0;
	assert_int_equal(hs_ctf_writer_add(fixture->writer, &pio, sizeof(pio)), -EBADMSG);
	hs_ctf_writer_end(fixture->writer, 0);
}

static void test_traces_are_never_overwritten(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_writer_config config = { .dir = fixture->trace, .machine = "host" };
	struct hs_ctf_writer *writer = NULL;

	assert_int_equal(hs_ctf_writer_open(&config, &writer), -EEXIST);
	config.machine = "a\"b";
	assert_int_equal(hs_ctf_writer_open(&config, &writer), -EINVAL);
	assert_null(writer);
}

/* Replaces `from` by `to` (of the same length) in the metadata. */
static void edit_metadata(const struct fixture *fixture, const char *from, const char *to)
{
	char path[100], text[65536] = "";
	scoped(fd) int fd = -1;
	char *at;

	snprintf(path, sizeof(path), "%s/metadata", fixture->trace);
	fd = open(path, O_RDWR);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	at = strstr(text, from);
	assert_non_null(at);
	assert_int_equal(pwrite(fd, to, strlen(to), at - text), strlen(to));
}

static void test_foreign_newer_and_older_traces_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_reader *reader = NULL;

	edit_metadata(fixture, "hsbpf_schema = 2", "hsbpf_schema = 9");
	assert_int_equal(hs_ctf_reader_open(fixture->trace, &reader), -EPROTO);
	edit_metadata(fixture, "hsbpf_schema = 9", "hsbpf_schema = 1");
	assert_int_equal(hs_ctf_reader_open(fixture->trace, &reader), -EPROTO);
	assert_non_null(strstr(hs_log_last_error(), "made by an older hsbpf"));
	edit_metadata(fixture, "hsbpf_schema = 1", "other_schema = 1");
	assert_int_equal(hs_ctf_reader_open(fixture->trace, &reader), -EBADMSG);
	assert_int_equal(hs_ctf_reader_open("/nonexistent", &reader), -ENOENT);
	assert_int_equal(hs_ctf_reader_open(fixture->dir, &reader), -ENOENT);
	assert_null(reader);
}

static void test_trace_without_streams_is_empty(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = open_reader(fixture);
	struct hs_ctf_record record;

	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
}

struct output {
	uint8_t bytes[4096];
	size_t len;
	uint32_t cpu;
	unsigned int refused;
};

static ssize_t read_bytes(const char *path, void *bytes, size_t size)
{
	scoped(fd) int fd = open(path, O_RDONLY);

	return read(fd, bytes, size);
}

static int put_output(void *ctx, uint32_t cpu, const void *packet, size_t bytes)
{
	struct output *output = ctx;

	if (output->refused) {
		output->refused--;
		return -ENOBUFS;
	}
	assert_true(output->len + bytes <= sizeof(output->bytes));
	memcpy(output->bytes + output->len, packet, bytes);
	output->len += bytes;
	output->cpu = cpu;
	return 0;
}

/* The same records into an output and into a file: the same bytes but for the trace's UUID; a refusal counts as a loss.
 */
static void test_an_output_gets_the_packets_of_a_file(void **state)
{
	struct fixture *fixture = *state;
	static struct output output;
	const struct hs_ctf_output to = { .put = put_output, .ctx = &output };
	struct hs_ctf_writer_config config = { .machine = "guest", .output = &to };
	struct fixture other = { 0 };
	uint8_t file[4096];
	char path[128];
	ssize_t size;

	assert_int_equal(hs_ctf_writer_open(&config, &other.writer), 0);
	WRITE(2, 0, 10, 30, 20);
	WRITE(2, 5, 40);
	output = (struct output){ 0 };
	write_packet(&other, 2, 0, 3, (uint64_t[]){ 10, 30, 20 });
	write_packet(&other, 2, 5, 1, (uint64_t[]){ 40 });
	stream_path(fixture, 2, path, sizeof(path));
	size = read_bytes(path, file, sizeof(file));
	assert_int_equal(output.len, size);
	assert_int_equal(output.cpu, 2);
	for (size_t at = 0; at < output.len; at++) {
		size_t second = 80 + 3 * PIO_BYTES;
		size_t in_packet = at < second ? at : at - second;

		if (in_packet < 4 || in_packet >= 4 + HS_CTF_UUID_BYTES)
			assert_int_equal(output.bytes[at], file[at]);
	}
	output.refused = 1;
	assert_int_equal(hs_ctf_writer_begin(other.writer, 2), 0);
	add_pio(&other, 50);
	assert_int_equal(hs_ctf_writer_end(other.writer, 5), -ENOBUFS);
	assert_int_equal(hs_ctf_writer_counts(other.writer)->disk_lost[HS_EVENT_kvm_pio], 1);
	assert_int_equal(hs_ctf_writer_counts(other.writer)->recorded[HS_EVENT_kvm_pio], 4);
	hs_ctf_writer_free(other.writer);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_output_gets_the_packets_of_a_file),
		TEST(test_cpus_are_merged_by_time),
		TEST(test_every_event_comes_back_as_it_was_written),
		TEST(test_steps_back_are_sorted_before_writing),
		TEST(test_record_earlier_than_what_is_on_disk_is_clamped_and_counted),
		TEST(test_more_than_a_packet_holds_is_written_in_order),
		TEST(test_what_a_packet_cannot_span_begins_another),
		TEST(test_losses_are_in_the_trace_even_after_the_last_record),
		TEST(test_torn_packet_gives_its_whole_records),
		TEST(test_packet_with_a_damaged_header_is_refused),
		TEST(test_unknown_event_ends_its_packet_and_is_counted),
		TEST(test_damaged_packet_is_passed_over),
		TEST(test_packet_that_claims_its_successor_is_refused_at_its_true_end),
		TEST(test_records_outside_their_packets_time_are_damage),
		TEST(test_bytes_that_are_missing_in_the_middle_cost_their_packet),
		TEST(test_steps_back_in_a_damaged_trace_are_counted),
		TEST(test_ranges_read_only_the_packets_that_they_touch),
		TEST(test_each_loss_is_told_with_its_cpu_and_time),
		TEST(test_packet_finished_after_opening_is_read),
		TEST(test_file_that_shrinks_ends_early),
		TEST(test_full_disk_is_counted_and_survived),
		TEST(test_records_that_fit_no_event_are_refused),
		TEST(test_traces_are_never_overwritten),
		TEST(test_foreign_newer_and_older_traces_are_refused),
		TEST(test_trace_without_streams_is_empty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ctf", tests, NULL, NULL);
}
