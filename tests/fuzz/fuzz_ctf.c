// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader ends, stays inside the files and accounts for no more bytes than there are, whatever they hold. By the
 * first byte: any bytes as a stream file; as metadata; or up to two edits of a good trace, which may cost no records
 * but those of the packets that they touch. Run for N seconds, without the reader's messages: build/tests/fuzz/fuzz_ctf
 * -max_total_time=N -close_fd_mask=2
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "trace/ctf.h"
#include "trace/ctf_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

static char folder[] = "/dev/shm/hsbpf-fuzz-ctf-XXXXXX";
static int dir_fd = -1;
static bool has_good_metadata;

static void put_file(const char *name, const void *bytes, size_t size)
{
	int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	REQUIRE(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static void remove_folder(void)
{
	unlinkat(dir_fd, "metadata", 0);
	unlinkat(dir_fd, "cpu0", 0);
	rmdir(folder);
}

static void put_metadata(void)
{
	struct hs_ctf_info info = { .machine = "host", .schema = HS_EVENTS_SCHEMA };
	char *text;
	size_t size;
	FILE *file;

	if (has_good_metadata)
		return;
	file = open_memstream(&text, &size);
	hs_ctf_metadata_print(file, &info);
	fclose(file);
	put_file("metadata", text, size);
	free(text);
	has_good_metadata = true;
}

static void start_once(void)
{
	if (dir_fd >= 0)
		return;
	hs_log_set_level(HS_LOG_ERR);
	if (!mkdtemp(folder))
		abort();
	dir_fd = open(folder, O_DIRECTORY | O_RDONLY);
	atexit(remove_folder);
}

/* How many records there were. */
static uint64_t read_everything(size_t stream_bytes)
{
	struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	uint64_t bytes = 0, record_nr = 0;

	if (hs_ctf_reader_open(folder, &reader))
		return 0;
	while (hs_ctf_reader_next(reader, &record) > 0) {
		bytes += hs_ctf_record_bytes(record.event->size);
		record_nr++;
		REQUIRE(((const uint8_t *)record.header)[record.event->size - 1] <= 255);
		REQUIRE(bytes <= stream_bytes);
	}
	REQUIRE(bytes + hs_ctf_reader_counts(reader)->unread_bytes <= stream_bytes);
	hs_ctf_reader_free(reader);
	return record_nr;
}

#define PACKET_NR 5
#define RECORDS_OF_PACKET 3
#define EDITS_MAX 2 /* one can change a size, but not both sizes and a record too, to hide the next packet */
#define EDIT_BYTES 8

struct packet {
	struct hs_ctf_packet header;
	struct {
		uint64_t stamp;
		uint8_t fields[sizeof(struct hs_event_kvm_pio) - sizeof(struct hs_event_header)];
	} records[RECORDS_OF_PACKET];
};

/* data: per edit, 2 bytes say where, the rest is put there. */
static void read_edited(const uint8_t *data, size_t size)
{
	struct packet packets[PACKET_NR] = { 0 };
	bool touched[PACKET_NR] = { false };
	uint64_t untouched = 0;

	for (unsigned int i = 0; i < PACKET_NR; i++) {
		packets[i].header = (struct hs_ctf_packet){ .magic = HS_CTF_MAGIC,
							    .timestamp_begin = 100 * i,
							    .timestamp_end = 100 * i + RECORDS_OF_PACKET - 1,
							    .content_bits = 8 * sizeof(packets[i]),
							    .packet_bits = 8 * sizeof(packets[i]),
							    .packet_seq_num = i };
		for (unsigned int j = 0; j < RECORDS_OF_PACKET; j++)
			packets[i].records[j].stamp = hs_ctf_stamp(100 * i + j, HS_EVENT_kvm_pio, 0);
	}
	for (unsigned int edit = 0; edit < EDITS_MAX && size > 2; edit++) {
		size_t at = (data[0] | (size_t)data[1] << 8) % (sizeof(packets) - EDIT_BYTES);
		size_t bytes = size - 2 < EDIT_BYTES ? size - 2 : EDIT_BYTES;

		memcpy((uint8_t *)packets + at, data + 2, bytes);
		touched[at / sizeof(packets[0])] = touched[(at + bytes - 1) / sizeof(packets[0])] = true;
		data += 2 + bytes;
		size -= 2 + bytes;
	}
	for (unsigned int i = 0; i < PACKET_NR; i++)
		untouched += touched[i] ? 0 : RECORDS_OF_PACKET;
	put_metadata();
	put_file("cpu0", packets, sizeof(packets));
	REQUIRE(read_everything(sizeof(packets)) >= untouched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hs_ctf_packet start = { .magic = HS_CTF_MAGIC };
	uint8_t stream[4096];

	start_once();
	if (!size || size > sizeof(stream))
		return 0;
	if (data[0] % 3 == 1) {
		put_file("metadata", data + 1, size - 1);
		has_good_metadata = false;
		read_everything(sizeof(stream));
		return 0;
	}
	if (data[0] % 3 == 2) {
		read_edited(data + 1, size - 1);
		return 0;
	}
	memcpy(stream, data + 1, size - 1);
	/* What no fuzzer guesses: magic and UUID. */
	memcpy(stream, &start, size - 1 < 28 ? size - 1 : 28);
	put_metadata();
	put_file("cpu0", stream, size - 1);
	read_everything(size - 1);
	return 0;
}
