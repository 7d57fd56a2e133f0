// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest: whatever comes out of its ports, in whatever order and cut, the host's side ends, accounts for what
 * it wrote and keeps to its limits. The input is whether it recorded already, then a row of
 * steps {what, argument, u16 length, bytes}: raw bytes on a
 * port, frames with right checksums and wrong contents, good answers that get it further, time that passes, orders of
 * the user, a hang-up. Runs the parts of user/guest in one thread. build/tests/fuzz/fuzz_guest -max_total_time=N
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "guest/internal.h"
#include "trace_events/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

#define PORTS 3
#define SESSION 5
#define AGENT_ID 9

static char folder[] = "/dev/shm/hsbpf-fuzz-guest-XXXXXX";
static char traces[64];
static int listeners[PORTS], ends[PORTS] = { -1, -1, -1 };

static void remove_folder(void)
{
	hs_remove_tree(folder);
}

static int listen_on(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
	REQUIRE(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
	return fd;
}

static void start_once(void)
{
	if (*traces)
		return;
	signal(SIGPIPE, SIG_IGN);
	hs_log_set_level(HS_LOG_ERR);
	if (!mkdtemp(folder))
		abort();
	snprintf(traces, sizeof(traces), "%s/traces", folder);
	listeners[0] = listen_on(HS_WIRE_CONTROL_PORT);
	listeners[1] = listen_on("trace-path-cpu0");
	listeners[2] = listen_on("trace-path-cpu1");
	atexit(remove_folder);
}

static void accept_all(void)
{
	for (int i = 0; i < PORTS; i++) {
		int fd = accept(listeners[i], NULL, NULL);

		if (fd < 0)
			continue;
		if (ends[i] >= 0)
			close(ends[i]);
		ends[i] = fd;
	}
}

static void hang_up(void)
{
	accept_all();
	for (int i = 0; i < PORTS; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
		ends[i] = -1;
	}
}

static void send_bytes(int port, const void *bytes, size_t len)
{
	if (ends[port] >= 0 && len)
		send(ends[port], bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_frame(int port, struct hs_wire_frame frame, const void *payload, size_t len)
{
	hs_wire_seal(&frame, payload, len);
	send_bytes(port, &frame, sizeof(frame));
	send_bytes(port, payload, len);
}

/* What an honest agent would say to the order that is under way. */
static void answer(const struct hs_guest *guest, const uint8_t *bytes, size_t len)
{
	struct hs_wire_frame frame = { .type = guest->order.type == HS_WIRE_PING ? HS_WIRE_PONG : HS_WIRE_RESULT,
				       .id = guest->order.id };
	struct hs_wire_pong pong = {
		.host_ns = hs_now_ns() - 1000, .guest_recv_ns = 1, .guest_send_ns = 2, .agent_id = AGENT_ID
	};
	struct hs_wire_payload payload = { 0 };

	hs_wire_put_number(&payload, HS_WIRE_AGENT_ID, AGENT_ID);
	hs_wire_put_number(&payload, HS_WIRE_VERSION_KEY, HS_WIRE_VERSION);
	hs_wire_put_number(&payload, HS_WIRE_SCHEMA, HS_EVENTS_SCHEMA);
	hs_wire_put_number(&payload, HS_WIRE_SESSION, SESSION);
	hs_wire_put_text(&payload, HS_WIRE_CLOCK, "boot");
	if (len)
		hs_wire_put(&payload, (enum hs_wire_key)(bytes[0] % 32), bytes + 1, len - 1);
	if (frame.type == HS_WIRE_PONG)
		send_frame(0, frame, &pong, sizeof(pong));
	else
		send_frame(0, frame, payload.bytes, payload.len);
	hs_wire_payload_clear(&payload);
}

static void step(struct hs_guests *guests, uint64_t *now_ns, const uint8_t *head, const uint8_t *bytes, size_t len)
{
	struct hs_guest *guest = guests->list[0];
	struct hs_wire_frame frame = { .type = head[1], .id = guest->order.id };

	if (head[0] % 8 == 0) {
		send_bytes(head[1] % PORTS, bytes, len);
	} else if (head[0] % 8 == 1) {
		frame.type = HS_WIRE_RESULT + head[1] % 4;
		send_frame(0, frame, bytes, len);
	} else if (head[0] % 8 == 2) {
		frame = (struct hs_wire_frame){ .type = HS_WIRE_PAGES + head[1] % 3,
						.cpu = head[1] >> 7,
						.session = SESSION,
						.seq = head[1] >> 2 };
		send_frame(1 + (head[1] >> 7), frame, frame.type == HS_WIRE_PAGES ? NULL : bytes,
			   frame.type == HS_WIRE_PAGES ? 0 : len);
	} else if (head[0] % 8 <= 4) {
		answer(guest, bytes, len);
	} else if (head[0] % 8 == 5) {
		*now_ns += (uint64_t)head[1] * 100000000u;
	} else if (head[0] % 8 == 6) {
		guests->is_wanted = head[1] & 1;
	} else {
		hang_up();
	}
	hs_loop_step(guests->loop, 0);
	hs_guest_link_advance(guest, *now_ns);
	accept_all();
	hs_guest_store_work(guest->store);
}

/* As an honest guest would get there. */
static void record(struct hs_guests *guests, uint64_t now_ns)
{
	static const uint8_t honest[2] = { 3, 0 };

	for (int i = 0; i < 40 && guests->list[0]->state != HS_GUEST_RECORDING; i++)
		step(guests, &now_ns, honest, NULL, 0);
	REQUIRE(guests->list[0]->state == HS_GUEST_RECORDING);
}

static void end(struct hs_guests *guests)
{
	struct hs_guest *guest = guests->list[0];
	json_object *document;

	hs_guest_link_close(guest);
	if (guest->sessions && !guest->sessions->is_over)
		hs_guest_session_end(guest, guest->sessions, "the input ended");
	if (guest->state == HS_GUEST_STARTING)
		guest->state = HS_GUEST_AWAY;
	while (hs_guest_store_work(guest->store))
		continue;
	REQUIRE(hs_guests_are_written(guests));
	document = hs_guest_document(guests, 0);
	REQUIRE(json_object_to_json_string(document) != NULL);
	json_object_put(document);
	hs_guests_free(guests);
	hang_up();
	hs_remove_tree(traces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hs_guests_config config = { .memory_bytes = 64 << 10, .disk_bytes = 64 << 10 };
	struct hs_guest_config who = { .name = "vm", .events = "kvm_pio,sched:sched_switch" };
	struct hs_guest_place *place = NULL;
	struct hs_guests *guests = NULL;
	uint64_t now_ns = hs_now_ns();
	int news_fd;

	start_once();
	config.trace_dir = traces;
	REQUIRE(!hs_make_dirs(traces) && !hs_guest_place_find(folder, &place));
	REQUIRE(!hs_guests_open(&config, &guests, &news_fd) && !hs_guests_add(guests, &who, place));
	guests->is_wanted = true;
	hs_guest_link_advance(guests->list[0], now_ns);
	accept_all();
	if (size && *data & 1)
		record(guests, now_ns);
	for (data += size > 0, size -= size > 0; size >= 4;) {
		size_t len = data[2] | (size_t)data[3] << 8;

		len = len > size - 4 ? size - 4 : len;
		step(guests, &now_ns, data, data + 4, len);
		data += 4 + len;
		size -= 4 + len;
	}
	end(guests);
	return 0;
}
