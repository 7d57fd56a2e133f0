// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a stream file (or, when the first byte is odd, as metadata): the reader ends, stays inside
 * them and accounts for no more bytes than there are. Run for N seconds, without the reader's messages:
 *     build/tests/fuzz/fuzz_ctf -max_total_time=N -close_fd_mask=2
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

#define REQUIRE(condition)                \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

static char folder[] = "/tmp/hsbpf-fuzz-ctf-XXXXXX";
static int dir_fd = -1;

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
	FILE *file = open_memstream(&text, &size);

	hs_ctf_metadata_print(file, &info);
	fclose(file);
	put_file("metadata", text, size);
	free(text);
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

static void read_everything(size_t stream_bytes)
{
	struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	uint64_t bytes = 0;

	if (hs_ctf_reader_open(folder, &reader))
		return;
	while (hs_ctf_reader_next(reader, &record) > 0) {
		bytes += record.event->size;
		REQUIRE(((const uint8_t *)record.header)[record.event->size - 1] <= 255);
		REQUIRE(bytes <= stream_bytes);
	}
	REQUIRE(bytes + hs_ctf_reader_counts(reader)->unread_bytes <= stream_bytes);
	hs_ctf_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hs_ctf_packet start = { .magic = HS_CTF_MAGIC };
	uint8_t stream[4096];

	start_once();
	if (!size || size > sizeof(stream))
		return 0;
	if (data[0] & 1) {
		put_file("metadata", data + 1, size - 1);
		read_everything(sizeof(stream));
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
