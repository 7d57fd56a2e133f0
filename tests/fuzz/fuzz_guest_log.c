// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest on the port of its kernel's log: it can spoil its own records and nothing else. The input is a row of
 * steps {what, argument, u16 length, bytes}: raw bytes, frames with right checksums and wrong contents, records, pongs,
 * boots. After each step this host logs a record: all of them come out once, in order, without a gap, and every line is
 * one line of text. One thread. build/tests/fuzz/fuzz_guest_log -max_total_time=N
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/wire.h"
#include "base/io.h"
#include "base/log.h"
#include "journal/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

#define STEPS_MAX 64
#define OUT_MAX (16u << 20)

static char folder[] = "/dev/shm/hsbpf-fuzz-log-XXXXXX", path[64];
static int listener, out_fd;

struct guest {
	struct hs_loop *loop;
	struct hs_journal *journal;
	struct hs_wire_decoder *orders;
	int fd;
	uint32_t log_id, seq;
	uint64_t host_ns; /* of the newest ping */
};

static void remove_folder(void)
{
	hs_remove_tree(folder);
}

/* What the journal prints goes into a file of memory. */
static void set_up(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	REQUIRE(mkdtemp(folder));
	atexit(remove_folder);
	snprintf(path, sizeof(path), "%s/log", folder);
	strcpy(address.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 4) == 0);
	out_fd = memfd_create("out", MFD_CLOEXEC);
	REQUIRE(out_fd >= 0 && dup2(out_fd, STDOUT_FILENO) >= 0);
	hs_log_set_level(HS_LOG_ERR);
}

static void read_orders(struct guest *guest)
{
	struct hs_wire_frame frame;
	const void *payload;
	size_t room;
	void *at = hs_wire_decoder_room(guest->orders, &room);
	ssize_t got = recv(guest->fd, at, room, MSG_DONTWAIT);

	if (got > 0)
		hs_wire_decoder_added(guest->orders, (size_t)got);
	while (hs_wire_decoder_next(guest->orders, &frame, &payload)) {
		REQUIRE(frame.type == HS_WIRE_PING || frame.type == HS_WIRE_LOG);
		if (frame.type == HS_WIRE_LOG)
			guest->log_id = frame.id;
		else
			memcpy(&guest->host_ns, payload, sizeof(guest->host_ns));
	}
}

static void say(struct guest *guest, const void *bytes, size_t len)
{
	if (send(guest->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* it hung up, or has enough: that is its own affair */
}

static void say_frame(struct guest *guest, enum hs_wire_type type, const void *payload, size_t len)
{
	struct hs_wire_frame frame = { .type = (uint16_t)type, .seq = guest->seq++, .id = guest->log_id };

	hs_wire_seal(&frame, len ? payload : "", len);
	say(guest, &frame, sizeof(frame));
	say(guest, payload, len);
}

/* Each line is a record; the clock is the argument's. */
static void say_records(struct guest *guest, uint8_t argument, const uint8_t *bytes, size_t len)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	struct hs_wire_log_clock clock = { hs_now_ns(), argument * 1000000000ull, hs_now_ns() };

	if (argument)
		hs_wire_put(&payload, HS_WIRE_LOG_CLOCK, &clock, sizeof(clock));
	while (len) {
		const uint8_t *end = memchr(bytes, '\n', len);
		size_t part = end ? (size_t)(end - bytes) + 1 : len;

		hs_wire_put(&payload, HS_WIRE_LOG_RECORD, bytes, part);
		bytes += part;
		len -= part;
	}
	if (!payload.err)
		say_frame(guest, HS_WIRE_RECORDS, payload.bytes, payload.len);
}

static void say_boot(struct guest *guest, uint8_t argument, const uint8_t *bytes, size_t len)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };

	hs_wire_put_number(&payload, HS_WIRE_AGENT_ID, argument);
	hs_wire_put(&payload, HS_WIRE_BOOT_ID, bytes, len);
	if (!payload.err)
		say_frame(guest, HS_WIRE_RESULT, payload.bytes, payload.len);
}

static void say_pong(struct guest *guest, uint8_t argument, const uint8_t *bytes, size_t len)
{
	struct hs_wire_pong pong = { .host_ns = guest->host_ns, .agent_id = argument };

	memcpy(&pong.guest_recv_ns, bytes, len < 16 ? len : 16); /* and when it sent */
	say_frame(guest, HS_WIRE_PONG, &pong, sizeof(pong));
}

static void step(struct guest *guest, const uint8_t head[2], const uint8_t *bytes, size_t len)
{
	static const enum hs_wire_type types[] = { HS_WIRE_RECORDS, HS_WIRE_RESULT, HS_WIRE_PONG, HS_WIRE_TEXT };

	switch (head[0] % 5) {
	case 0:
		say(guest, bytes, len);
		break;
	case 1:
		say_frame(guest, types[head[1] % HS_ARRAY_SIZE(types)], bytes, len);
		break;
	case 2:
		say_records(guest, head[1], bytes, len);
		break;
	case 3:
		say_boot(guest, head[1], bytes, len);
		break;
	case 4:
		say_pong(guest, head[1], bytes, len);
		break;
	}
}

static void log_of_host(struct guest *guest, unsigned stream, uint64_t seq)
{
	struct hs_journal_record record = hs_journal_record_new(NULL, HS_JOURNAL_KERNEL);

	record.has_seq = true;
	record.seq = record.last_seq = seq;
	record.severity = 6;
	record.text = "whole";
	record.len = strlen(record.text);
	hs_journal_put(guest->journal, stream, &record, false);
}

static void check_output(uint64_t host_records)
{
	scoped(mem) char *text = NULL;
	uint64_t next = 0, seq;
	size_t len;
	char *save, machine[8];

	REQUIRE(hs_read_file("/proc/self/fd/1", OUT_MAX, &text, &len) == 0);
	REQUIRE(!memchr(text, '\0', len));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		for (const char *at = line; *at; at++)
			REQUIRE((unsigned char)*at >= ' ' && *at != 0x7f);
		if (sscanf(line, "%*s %*s %7s", machine) != 1 || strcmp(machine, "host"))
			continue;
		REQUIRE(sscanf(line, "%*s %*s host info kernel %lu", &seq) == 1); /* no gap */
		REQUIRE(seq == next++ && strstr(line, ": whole"));
	}
	REQUIRE(next == host_records);
}

static void play(struct guest *guest, const uint8_t *data, size_t size)
{
	int stream = hs_journal_add_stream(guest->journal, "host", HS_JOURNAL_KERNEL);
	uint64_t seq = 0;

	REQUIRE(stream >= 0);
	for (unsigned i = 0; size >= 4 && i < STEPS_MAX; i++) {
		size_t len = data[2] | (size_t)data[3] << 8;

		len = len < size - 4 ? len : size - 4;
		read_orders(guest);
		step(guest, data, data + 4, len);
		log_of_host(guest, (unsigned)stream, seq++);
		for (unsigned turn = 0; turn < 2; turn++)
			hs_loop_step(guest->loop, 0);
		data += 4 + len;
		size -= 4 + len;
	}
	hs_journal_finish(guest->journal);
	check_output(seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hs_journal_config config = { .window_ns = 1000, .level = HS_JOURNAL_SEVERITY_NR - 1 };
	struct guest guest = { .fd = -1 };

	if (!path[0])
		set_up();
	REQUIRE(ftruncate(STDOUT_FILENO, 0) == 0 && lseek(STDOUT_FILENO, 0, SEEK_SET) == 0);
	REQUIRE(hs_loop_open(&guest.loop) == 0 && hs_journal_open(guest.loop, &config, &guest.journal) == 0);
	REQUIRE(hs_wire_decoder_open(NULL, NULL, &guest.orders) == 0);
	REQUIRE(hs_journal_follow_guest(guest.journal, "l1", path) == 0);
	guest.fd = accept(listener, NULL, NULL);
	REQUIRE(guest.fd >= 0);
	play(&guest, data, size);
	hs_journal_free(guest.journal);
	hs_wire_decoder_free(guest.orders);
	close(guest.fd);
	hs_loop_free(guest.loop);
	return 0;
}
