/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's end of the ports, played by a thread of a test: answers orders as agent/wire.h says, and misbehaves where
 * the test wants it to. What it sends as data are real packets of real records.
 */
#ifndef HS_TESTS_UNIT_GUEST_PEER_H
#define HS_TESTS_UNIT_GUEST_PEER_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/wire.h"
#include "base/io.h"
#include "base/loop.h"
#include "trace/ctf.h"
#include "trace_events/events.h"

#define PEER_CPUS 2u
#define PEER_RECORDS 100u /* of each packet */

struct peer {
	char dir[64];
	unsigned packets; /* of each CPU, sent when it is started */
	const char *boot_id;
	bool has_other_schema;	   /* another version of hsbpf */
	const char *refusal;	   /* of START */
	unsigned busy;		   /* recordings of a host before us, each in the way until a STOP */
	bool answers_stop;	   /* default true, see peer_start() */
	bool data_before_answer;   /* of START */
	bool garbage;		   /* between all frames */
	bool claims_more;	   /* one record of each CPU was never sent */
	int64_t clock_shift_ns;	   /* of its clocks */
	unsigned packets_then_die; /* closes all connections after that many, once */

	int listeners[1 + PEER_CPUS], fds[1 + PEER_CPUS];
	uint32_t session;
	bool has_died;
	atomic_bool ending;
	atomic_uint starts;
	pthread_t thread;
};

static inline int peer_listen(const char *dir, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static inline void peer_send(struct peer *peer, int fd, struct hs_wire_frame frame, const void *payload, size_t len)
{
	static const char garbage[] = "1\nno frame at all \xff\xfe"
				      "HSWF and neither is this";

	if (peer->garbage)
		hs_write_all(fd, garbage, sizeof(garbage));
	hs_wire_seal(&frame, payload, len);
	hs_write_all(fd, &frame, sizeof(frame));
	hs_write_all(fd, payload, len);
}

/* Packet number `seq` of a CPU: records of kvm_pio, one every microsecond. */
static inline size_t peer_make_packet(const struct peer *peer, unsigned cpu, unsigned seq, uint8_t *bytes)
{
	const uint64_t begin_ns = hs_now_ns() + (uint64_t)peer->clock_shift_ns + seq * PEER_RECORDS * 1000;
	struct hs_ctf_packet packet = {
		.magic = HS_CTF_MAGIC, .timestamp_begin = begin_ns, .packet_seq_num = seq, .cpu_id = cpu
	};
	size_t len = sizeof(packet);

	for (unsigned i = 0; i < PEER_RECORDS; i++) {
		uint64_t stamp = hs_ctf_stamp(begin_ns + i * 1000, HS_EVENT_kvm_pio, 42);
		uint32_t record_bytes = hs_ctf_record_bytes(sizeof(struct hs_event_kvm_pio));

		memset(bytes + len, 0, record_bytes);
		memcpy(bytes + len, &stamp, sizeof(stamp));
		len += record_bytes;
	}
	packet.content_bits = packet.packet_bits = len * 8;
	memcpy(bytes, &packet, sizeof(packet));
	return len;
}

static inline void peer_send_data(struct peer *peer)
{
	static uint8_t bytes[sizeof(struct hs_ctf_packet) + PEER_RECORDS * 64];

	for (unsigned seq = 0; seq < peer->packets; seq++)
		for (unsigned cpu = 0; cpu < PEER_CPUS; cpu++) {
			struct hs_wire_frame frame = {
				.type = HS_WIRE_PACKET, .cpu = (uint16_t)cpu, .seq = seq, .session = peer->session
			};

			peer_send(peer, peer->fds[1 + cpu], frame, bytes, peer_make_packet(peer, cpu, seq, bytes));
		}
}

static inline void peer_answer(struct peer *peer, const struct hs_wire_frame *order, struct hs_wire_payload *payload)
{
	struct hs_wire_frame frame = { .type = HS_WIRE_RESULT, .id = order->id };

	hs_wire_put_number(payload, HS_WIRE_AGENT_ID, 7 + peer->has_died);
	peer_send(peer, peer->fds[0], frame, payload->bytes, payload->len);
}

static inline void peer_on_start(struct peer *peer, const struct hs_wire_frame *order, struct hs_wire_payload *payload)
{
	if (peer->refusal) {
		hs_wire_put_number(payload, HS_WIRE_ERROR, 1);
		hs_wire_put_text(payload, HS_WIRE_TEXT_KEY, peer->refusal);
		peer_answer(peer, order, payload);
		return;
	}
	if (peer->busy) {
		hs_wire_put_number(payload, HS_WIRE_ERROR, EBUSY);
		peer_answer(peer, order, payload);
		return;
	}
	peer->session += 10;
	peer->starts++;
	if (peer->data_before_answer)
		peer_send_data(peer);
	hs_wire_put_number(payload, HS_WIRE_SESSION, peer->session);
	hs_wire_put_text(payload, HS_WIRE_CLOCK, "boot");
	hs_wire_put_text(payload, HS_WIRE_MISSING, "kvm:kvm_\x1b[31mred: no such \x07 event");
	peer_answer(peer, order, payload);
	if (!peer->data_before_answer)
		peer_send_data(peer);
}

static inline void peer_on_stop(struct peer *peer, const struct hs_wire_frame *order, struct hs_wire_payload *payload)
{
	struct hs_wire_bpf_counts counts = { .event_id = HS_EVENT_kvm_pio,
					     .recorded =
						     PEER_CPUS * (peer->packets * PEER_RECORDS + peer->claims_more) };

	if (peer->busy) {
		peer->busy--;
		peer_answer(peer, order, payload);
		return;
	}
	for (unsigned cpu = 0; cpu < PEER_CPUS; cpu++) {
		struct hs_wire_cpu_status status = { .cpu = cpu,
						     .flags = HS_WIRE_CPU_PORT,
						     .sent_packets = peer->packets };
		struct hs_wire_frame end = {
			.type = HS_WIRE_END, .cpu = (uint16_t)cpu, .seq = peer->packets, .session = peer->session
		};

		hs_wire_put(payload, HS_WIRE_CPU_STATUS, &status, sizeof(status));
		peer_send(peer, peer->fds[1 + cpu], end, &status, sizeof(status));
	}
	hs_wire_put(payload, HS_WIRE_BPF_COUNTS, &counts, sizeof(counts));
	peer_answer(peer, order, payload);
}

static inline void peer_on_ping(struct peer *peer, const struct hs_wire_frame *order, const void *payload)
{
	struct hs_wire_frame frame = { .type = HS_WIRE_PONG, .id = order->id };
	struct hs_wire_pong pong = { .agent_id = 7 + peer->has_died };

	memcpy(&pong.host_ns, payload, sizeof(pong.host_ns));
	pong.guest_recv_ns = pong.guest_send_ns = hs_now_ns() + (uint64_t)peer->clock_shift_ns;
	peer_send(peer, peer->fds[0], frame, &pong, sizeof(pong));
}

static inline void peer_hang_up(struct peer *peer)
{
	for (unsigned i = 0; i <= PEER_CPUS; i++) {
		if (peer->fds[i] >= 0)
			close(peer->fds[i]);
		peer->fds[i] = -1;
	}
}

static inline void peer_on_order(struct peer *peer, const struct hs_wire_frame *order, const void *bytes)
{
	struct hs_wire_payload payload = { 0 };

	if (order->type == HS_WIRE_HELLO) {
		hs_wire_put_number(&payload, HS_WIRE_VERSION_KEY, HS_WIRE_VERSION);
		hs_wire_put_number(&payload, HS_WIRE_SCHEMA, HS_EVENTS_SCHEMA + peer->has_other_schema);
		hs_wire_put_text(&payload, HS_WIRE_BOOT_ID, peer->has_died ? "second boot" : peer->boot_id);
		hs_wire_put_text(&payload, HS_WIRE_KERNEL, "6.1.0-test");
		peer_answer(peer, order, &payload);
	} else if (order->type == HS_WIRE_START) {
		peer_on_start(peer, order, &payload);
		if (peer->packets_then_die && !peer->has_died) {
			peer->has_died = true;
			peer->session = 0; /* it counts from the begin again */
			peer_hang_up(peer);
		}
	} else if (order->type == HS_WIRE_FORMATS) {
		peer_answer(peer, order, &payload);
	} else if (order->type == HS_WIRE_STOP && peer->answers_stop) {
		peer_on_stop(peer, order, &payload);
	} else if (order->type == HS_WIRE_PING) {
		peer_on_ping(peer, order, bytes);
	}
	hs_wire_payload_clear(&payload);
}

/* Serves one host after the other until peer_end(). */
static inline void *peer_serve(void *arg)
{
	struct peer *peer = arg;
	struct hs_wire_decoder *decoder = NULL;

	while (!peer->ending) {
		struct pollfd polls[2 + PEER_CPUS];
		struct hs_wire_frame order;
		const void *payload;
		size_t room;
		ssize_t got;

		for (unsigned i = 0; i <= PEER_CPUS; i++)
			polls[i] =
				(struct pollfd){ .fd = peer->fds[i] < 0 ? peer->listeners[i] : -1, .events = POLLIN };
		polls[1 + PEER_CPUS] = (struct pollfd){ .fd = peer->fds[0], .events = POLLIN };
		poll(polls, 2 + PEER_CPUS, 50);
		for (unsigned i = 0; i <= PEER_CPUS; i++)
			if (polls[i].revents & POLLIN)
				peer->fds[i] = accept(peer->listeners[i], NULL, NULL);
		if (peer->fds[0] < 0 || peer->fds[PEER_CPUS] < 0 ||
		    !(polls[1 + PEER_CPUS].revents & (POLLIN | POLLHUP)))
			continue;
		if (!decoder && hs_wire_decoder_open(NULL, NULL, &decoder))
			break;
		void *into = hs_wire_decoder_room(decoder, &room);

		got = read(peer->fds[0], into, room);
		if (got <= 0) {
			peer_hang_up(peer);
			continue;
		}
		hs_wire_decoder_added(decoder, (size_t)got);
		while (hs_wire_decoder_next(decoder, &order, &payload) > 0)
			peer_on_order(peer, &order, payload);
	}
	hs_wire_decoder_free(decoder);
	return NULL;
}

static inline void peer_start(struct peer *peer)
{
	char name[32];

	snprintf(peer->dir, sizeof(peer->dir), "/tmp/hsbpf-peer.XXXXXX");
	assert_non_null(mkdtemp(peer->dir));
	if (!peer->boot_id)
		peer->boot_id = "first boot";
	peer->listeners[0] = peer_listen(peer->dir, HS_WIRE_CONTROL_PORT);
	for (unsigned cpu = 0; cpu < PEER_CPUS; cpu++) {
		snprintf(name, sizeof(name), HS_WIRE_DATA_PORT, cpu);
		peer->listeners[1 + cpu] = peer_listen(peer->dir, name);
	}
	for (unsigned i = 0; i <= PEER_CPUS; i++)
		peer->fds[i] = -1;
	assert_int_equal(pthread_create(&peer->thread, NULL, peer_serve, peer), 0);
}

static inline void peer_end(struct peer *peer)
{
	peer->ending = true;
	pthread_join(peer->thread, NULL);
	peer_hang_up(peer);
	for (unsigned i = 0; i <= PEER_CPUS; i++)
		close(peer->listeners[i]);
	hs_remove_tree(peer->dir);
}

#endif
