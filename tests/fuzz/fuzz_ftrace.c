// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as an event's format and as a page of ftrace's ring: what comes out of them is a trace that our reader
 * reads to its end with as many events as were recorded, and no larger than what went in allows; then damaged, and
 * read again. The first byte says
 * how much of the input is format (its 4 high bits in 64ths of 4096 bytes), and if it is odd, that a good format comes
 * first. Run for N seconds, without messages: build/tests/fuzz/fuzz_ftrace -max_total_time=N -close_fd_mask=2
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ftrace/ctf.h"
#include "ftrace/format.h"
#include "trace/ctf.h"
#include "trace/ctf_events.h"
#include "trace/ctf_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGE 4096
#define DATA 16
#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

static const char good_format[] = "name: good\nID: 7\nformat:\n"
				  "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
				  "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
				  "\tfield:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;\n"
				  "\tfield:__rel_loc u16[] ids;\toffset:12;\tsize:4;\tsigned:0;\n"
				  "\tfield:char comm[4];\toffset:16;\tsize:4;\tsigned:0;\n"
				  "\tfield:u32 rest[];\toffset:20;\tsize:0;\tsigned:0;\n\n"
				  "print fmt: \"%s\", REC->comm\n";

static char folder[] = "/tmp/hsbpf-fuzz-ftrace-XXXXXX";
static int dir_fd = -1;

static void empty_folder(void)
{
	unlinkat(dir_fd, "metadata", 0);
	unlinkat(dir_fd, "ftrace_cpu0", 0);
}

static void remove_folder(void)
{
	empty_folder();
	rmdir(folder);
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

/* Changes a few bytes of a file: each three bytes of the input say where and to what. */
static void damage(const char *name, const uint8_t *edits, size_t edit_nr)
{
	scoped(fd) int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
	off_t bytes = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	for (size_t i = 0; i < edit_nr && bytes > 0; i++) {
		off_t at = (edits[3 * i] << 8 | edits[3 * i + 1]) % bytes;

		REQUIRE(pwrite(fd, edits + 3 * i + 2, 1, at) == 1);
	}
}

/* Reads every byte of every field, whatever the files hold; how many events there were. */
static uint64_t read_all(struct hs_ctf_reader *reader)
{
	struct hs_ctf_record record;
	uint64_t events = 0, sum = 0;

	while (hs_ctf_reader_next(reader, &record) > 0) {
		events++;
		for (unsigned int i = 0; i < record.event->field_nr; i++) {
			const struct hs_field *field = &record.event->fields[i];
			size_t count;
			const uint8_t *content = hs_ctf_field_content(record.event, field, record.header, &count);

			sum += count ? content[0] + content[count * field->size - 1] : 0;
		}
	}
	REQUIRE(sum < UINT64_MAX);
	return events;
}

static void read_damaged(const uint8_t *data, size_t size)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	size_t edit_nr = size / 3 < 4 ? size / 3 : 4;

	damage("ftrace_cpu0", data, edit_nr);
	if (size % 2)
		damage("metadata", data, edit_nr);
	if (!hs_ctf_reader_open_all(folder, &reader))
		read_all(reader);
}

static void read_back(const struct hs_ftrace_counts *counts)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;

	REQUIRE(!hs_ctf_reader_open_all(folder, &reader));
	REQUIRE(read_all(reader) == counts->recorded);
	REQUIRE(hs_ctf_reader_counts(reader)->damaged_packets + hs_ctf_reader_counts(reader)->torn_packets == 0);
	REQUIRE(hs_ctf_reader_counts(reader)->steps_back == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hs_ftrace_config config = { .dir = folder, .machine = "l1", .clock = "boot" };
	scoped(hs_ftrace) struct hs_ftrace *ftrace = NULL;
	_Alignas(8) uint8_t page[PAGE] = { 0 };
	size_t format_bytes, page_bytes;
	uint64_t commit;

	start_once();
	if (!size)
		return 0;
	format_bytes = (size_t)(data[0] >> 4) * 64;
	format_bytes = format_bytes < size - 1 ? format_bytes : size - 1;
	page_bytes = size - 1 - format_bytes;
	page_bytes = page_bytes < PAGE - DATA ? page_bytes : PAGE - DATA;
	memcpy(page + DATA, data + 1 + format_bytes, page_bytes);
	commit = page_bytes | (data[0] & 2 ? 1u << 31 : 0) | (data[0] & 4 ? 1u << 30 : 0);
	memcpy(page + 8, &commit, sizeof(commit));
	REQUIRE(!hs_ftrace_open(&config, &ftrace));
	if (data[0] & 1)
		REQUIRE(!hs_ftrace_add_format(ftrace, "tests", good_format, strlen(good_format)));
	hs_ftrace_add_format(ftrace, "tests", (const char *)data + 1, format_bytes);
	hs_ftrace_set_header_page(ftrace, (const char *)data + 1, data[0] & 8 ? format_bytes : 0);
	if (hs_ftrace_page_bytes(ftrace) == PAGE) {
		REQUIRE(!hs_ftrace_add_pages(ftrace, 0, page, PAGE));
		REQUIRE(hs_ftrace_counts(ftrace)->bytes <= 4 * sizeof(struct hs_ctf_packet) + 8 * PAGE);
		read_back(hs_ftrace_counts(ftrace));
		read_damaged(data, size);
	}
	empty_folder();
	return 0;
}
