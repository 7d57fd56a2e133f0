// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capture of packets on taps against the interfaces' own counters, which must agree to the byte: a bridge
 * with two taps in a network namespace of this process, frames of every kind written into one and read from
 * the other. Needs root and TUN.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/capture.h"
#include "tests/lab/lab.h"
#include "trace/ctf_reader.h"

#define TENANT 7
#define JUMBO_BYTES 9000
#define GSO_BYTES 20000
#define GSO_SIZE 1400
#define GSO_SEGMENTS ((GSO_BYTES - ETH_BYTES - 40 + GSO_SIZE - 1) / GSO_SIZE)
#define FLOOD_NR 3000 /* more than a tap queues */
#define ETH_BYTES 14

struct tap {
	const char *name;
	int fd;
	unsigned int index;
};

struct counters {
	unsigned long long rx_bytes, rx_packets, tx_bytes, tx_packets, tx_dropped;
};

static struct tap taps[2] = { { "tap0", -1, 0 }, { "tapc0", -1, 0 } };
static int control = -1;

static int write_text(const char *path, const char *text)
{
	scoped(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int set_up(const char *name)
{
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, name);
	request.ifr_mtu = JUMBO_BYTES;
	if (ioctl(control, SIOCSIFMTU, &request))
		return -errno;
	request.ifr_flags = IFF_UP;
	return ioctl(control, SIOCSIFFLAGS, &request) ? -errno : 0;
}

static int open_tap(struct tap *tap, unsigned int offloads)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return -errno;
	strcpy(request.ifr_name, tap->name);
	if (ioctl(tap->fd, TUNSETIFF, &request) || ioctl(tap->fd, TUNSETOFFLOAD, offloads))
		return -errno;
	tap->index = if_nametoindex(tap->name);
	strcpy(request.ifr_name, "br0");
	request.ifr_ifindex = tap->index;
	if (ioctl(control, SIOCBRADDIF, &request))
		return -errno;
	return set_up(tap->name);
}

/* The first tap takes packets that are not segmented, as QEMU's do; the second one does not. */
static int open_network(void)
{
	int err;

	if (unshare(CLONE_NEWNET))
		return -errno;
	/* Nothing but our own frames; a kernel without IPv6 sends none either. */
	write_text("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	write_text("/proc/sys/net/ipv4/igmp_link_local_mcast_reports", "0"); /* the bridge joins 224.0.0.106 */
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (control < 0 || ioctl(control, SIOCBRADDBR, "br0"))
		return -errno;
	err = open_tap(&taps[0], TUN_F_CSUM | TUN_F_TSO4);
	if (!err)
		err = open_tap(&taps[1], 0);
	return err ? err : set_up("br0");
}

/* ---- frames ---- */

struct frame {
	struct virtio_net_hdr vnet;
	uint8_t bytes[65536];
	size_t used; /* of bytes */
};

static void put(struct frame *frame, const void *bytes, size_t byte_nr)
{
	memcpy(frame->bytes + frame->used, bytes, byte_nr);
	frame->used += byte_nr;
}

static void put16(struct frame *frame, uint16_t value)
{
	put(frame, &(uint16_t){ htons(value) }, 2);
}

static void put32(struct frame *frame, uint32_t value)
{
	put(frame, &(uint32_t){ htonl(value) }, 4);
}

static void start_frame(struct frame *frame, uint16_t ethertype)
{
	/* Locally administered addresses that nobody has: the bridge floods. */
	static const uint8_t addresses[12] = { 2, 0, 0, 0, 0, 99, 2, 0, 0, 0, 0, 98 };

	memset(frame, 0, sizeof(*frame));
	put(frame, addresses, sizeof(addresses));
	put16(frame, ethertype);
}

/* RFC 1071; a bridge with netfilter drops IPv4 headers that are wrong. */
static uint16_t header_checksum(const uint8_t *header, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes; i += 2)
		sum += header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return htons(~((sum & 0xffff) + (sum >> 16)));
}

static void put_ipv4(struct frame *frame, uint8_t protocol, uint16_t id, uint16_t frag_off, size_t option_bytes,
		     size_t payload_bytes)
{
	uint8_t *header = frame->bytes + frame->used;
	uint16_t checksum;

	put16(frame, 0x4000 | (5 + option_bytes / 4) << 8);
	put16(frame, 20 + option_bytes + payload_bytes);
	put16(frame, id);
	put16(frame, frag_off);
	put16(frame, 64 << 8 | protocol);
	put16(frame, 0);
	put32(frame, 0xac100014); /* 172.16.0.20 */
	put32(frame, 0xac100015);
	memset(frame->bytes + frame->used, 1, option_bytes); /* no-operation */
	frame->used += option_bytes;
	checksum = header_checksum(header, 20 + option_bytes);
	memcpy(header + 10, &checksum, sizeof(checksum));
}

static void put_ipv6(struct frame *frame, uint8_t next_header, size_t payload_bytes)
{
	start_frame(frame, 0x86dd);
	put32(frame, 0x60000000);
	put16(frame, payload_bytes);
	put16(frame, next_header << 8 | 64);
	for (uint32_t end = 0xac100014; end <= 0xac100015; end++) { /* fd00::...:ac10:14, :15 */
		put32(frame, 0xfd000000);
		put32(frame, 0);
		put32(frame, 0x11223344);
		put32(frame, end);
	}
}

static void fill(struct frame *frame, size_t used)
{
	frame->used = used;
}

static void make_udp(struct frame *frame, size_t frame_bytes, uint16_t id, uint16_t frag_off, size_t option_bytes)
{
	start_frame(frame, 0x0800);
	put_ipv4(frame, 17, id, frag_off, option_bytes, frame_bytes - ETH_BYTES - 20 - option_bytes);
	put16(frame, 1000 + id);
	put16(frame, 53);
	put32(frame, 0);
	fill(frame, frame_bytes);
}

static void put_tcp(struct frame *frame, uint16_t id)
{
	put16(frame, 1000 + id);
	put16(frame, 52001);
	put32(frame, 0x12345678);
	put32(frame, 1);
	put16(frame, 0x5010);
	put16(frame, 0xffff);
	put32(frame, 0);
}

static void make_tcp(struct frame *frame, size_t frame_bytes, uint16_t id, uint16_t gso_size)
{
	start_frame(frame, 0x0800);
	put_ipv4(frame, 6, id, 0x4000, 0, frame_bytes - ETH_BYTES - 20);
	put_tcp(frame, id);
	fill(frame, frame_bytes);
	if (!gso_size)
		return;
	frame->vnet = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					       .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					       .hdr_len = ETH_BYTES + 40,
					       .gso_size = gso_size,
					       .csum_start = ETH_BYTES + 20,
					       .csum_offset = 16 };
}

static bool send_frame(const struct tap *tap, const struct frame *frame)
{
	size_t bytes = sizeof(frame->vnet) + frame->used;
	uint8_t buffer[sizeof(frame->vnet) + sizeof(frame->bytes)];

	memcpy(buffer, &frame->vnet, sizeof(frame->vnet));
	memcpy(buffer + sizeof(frame->vnet), frame->bytes, frame->used);
	return write(tap->fd, buffer, bytes) == (ssize_t)bytes;
}

/* Every kind of frame once; returns how many the tap accepted. */
static unsigned int send_mixture(const struct tap *tap, uint16_t first_id)
{
	static struct frame frame;
	unsigned int sent = 0;

	make_udp(&frame, 64, first_id, 0, 0);
	sent += send_frame(tap, &frame);
	make_udp(&frame, 1514, first_id + 1, 0x4000, 0);
	sent += send_frame(tap, &frame);
	make_udp(&frame, ETH_BYTES + JUMBO_BYTES, first_id + 2, 0, 0);
	sent += send_frame(tap, &frame);
	make_udp(&frame, 100, first_id + 3, 0, 8);
	sent += send_frame(tap, &frame);
	make_udp(&frame, 200, first_id + 4, 0x2010, 0); /* a fragment in the middle */
	sent += send_frame(tap, &frame);
	make_udp(&frame, ETH_BYTES + 20, first_id + 5, 0, 0); /* no UDP header follows */
	sent += send_frame(tap, &frame);
	make_udp(&frame, ETH_BYTES + 12, first_id + 6, 0, 0); /* cut inside the IPv4 header */
	sent += send_frame(tap, &frame);
	make_tcp(&frame, 80, first_id + 7, 0);
	sent += send_frame(tap, &frame);
	make_tcp(&frame, GSO_BYTES, first_id + 8, GSO_SIZE);
	sent += send_frame(tap, &frame);
	start_frame(&frame, 0x0806); /* ARP */
	fill(&frame, 42);
	sent += send_frame(tap, &frame);
	put_ipv6(&frame, 17, 300 - ETH_BYTES - 40);
	put16(&frame, 1000 + first_id + 10);
	put16(&frame, 53);
	put32(&frame, 0xffffffff);
	fill(&frame, 300);
	sent += send_frame(tap, &frame);
	start_frame(&frame, 0x88b5); /* runt: an Ethernet header and nothing */
	sent += send_frame(tap, &frame);
	start_frame(&frame, 0x8100); /* a VLAN tag in the frame */
	put32(&frame, 0x00050800);
	fill(&frame, 120);
	sent += send_frame(tap, &frame);
	put_ipv6(&frame, 6, 74 - ETH_BYTES - 40);
	put_tcp(&frame, first_id + 13);
	sent += send_frame(tap, &frame);
	put_ipv6(&frame, 0, 86 - ETH_BYTES - 40); /* a header between IPv6's and the next */
	put(&frame, (const uint8_t[]){ 17, 0, 1, 4, 0, 0, 0, 0 }, 8); /* hop by hop: padding, then UDP */
	fill(&frame, 86);
	sent += send_frame(tap, &frame);
	put_ipv6(&frame, 17, 0); /* cut inside the IPv6 header */
	fill(&frame, ETH_BYTES + 39);
	sent += send_frame(tap, &frame);
	put_ipv6(&frame, 17, 0); /* no UDP header follows */
	sent += send_frame(tap, &frame);
	return sent;
}

static unsigned int read_all_frames(const struct tap *tap)
{
	static uint8_t buffer[80000];
	unsigned int got = 0;

	while (read(tap->fd, buffer, sizeof(buffer)) > 0)
		got++;
	return got;
}

/* The bridge forwards once the kernel's link watch has noticed that its ports are up: ask until it does. */
static bool wait_until_forwarding(void)
{
	static struct frame frame;

	make_udp(&frame, 64, 0, 0, 0);
	for (int i = 0; i < 2; i++) {
		struct pollfd readable = { .fd = taps[!i].fd, .events = POLLIN };
		int tries = 500;

		do {
			if (!tries-- || !send_frame(&taps[i], &frame))
				return false;
		} while (poll(&readable, 1, 20) != 1);
		read_all_frames(&taps[!i]);
	}
	return true;
}

/* ---- checks ---- */

static bool read_counters(const char *name, struct counters *counters)
{
	scoped(file) FILE *file = fopen("/proc/thread-self/net/dev", "re");
	scoped(mem) char *line = NULL;
	size_t room = 0;
	char found[32];

	while (file && getline(&line, &room, file) > 0) {
		if (sscanf(line, " %31[^:]: %llu %llu %*u %*u %*u %*u %*u %*u %llu %llu %*u %llu", found,
			   &counters->rx_bytes, &counters->rx_packets, &counters->tx_bytes, &counters->tx_packets,
			   &counters->tx_dropped) == 6 &&
		    !strcmp(found, name))
			return true;
	}
	return false;
}

static uint32_t netns_inum(void)
{
	struct stat status = { 0 };

	stat("/proc/thread-self/ns/net", &status);
	return status.st_ino;
}

static int open_capture(const char *name, size_t ring_bytes, char *trace, size_t trace_bytes, struct hs_capture **out)
{
	char reason[256] = "";
	struct hs_capture_config config = { .trace_dir = trace,
					    .machine = "host",
					    .ring_bytes = ring_bytes,
					    .reason = reason,
					    .reason_bytes = sizeof(reason) };
	int err;

	hs_event_set_add_profile(&config.events, "net");
	snprintf(trace, trace_bytes, "%s/%s", lab_folder(), name);
	err = hs_capture_open(&config, out);
	if (err) {
		printf("# capture: %s (%s)\n", reason, strerror(-err));
		return err;
	}
	lab_show_missing(*out);
	hs_capture_watch_tap(*out, netns_inum(), taps[0].index, TENANT, HS_ROLE_L2);
	hs_capture_watch_tap(*out, netns_inum(), taps[1].index, TENANT, HS_ROLE_CLIENT);
	return 0;
}

/* The counts of each tap are what its interface counted since `before`. */
static void check_counters(const struct hs_capture *capture, const struct counters *before)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(taps); i++) {
		struct hs_capture_tap_counts counts = { 0 };
		struct counters now = { 0 };

		lab_ok(read_counters(taps[i].name, &now) && !hs_capture_tap_counts(capture, i, &counts),
		       "%s has counters", taps[i].name);
		lab_equal(counts.from_guest_packets, now.rx_packets - before[i].rx_packets, "%s: rx packets",
			  taps[i].name);
		lab_equal(counts.from_guest_bytes, now.rx_bytes - before[i].rx_bytes, "%s: rx bytes", taps[i].name);
		lab_equal(counts.to_guest_packets - counts.refused_packets, now.tx_packets - before[i].tx_packets,
			  "%s: tx packets", taps[i].name);
		lab_equal(counts.to_guest_bytes - counts.refused_bytes, now.tx_bytes - before[i].tx_bytes,
			  "%s: tx bytes", taps[i].name);
		lab_equal(counts.refused_packets, now.tx_dropped - before[i].tx_dropped, "%s: tx drops", taps[i].name);
	}
}

/* recorded + lost is what the handlers counted on the taps; the trace holds what was recorded. */
static void check_events(const struct hs_capture *capture, const char *trace, bool is_lossless)
{
	uint64_t made[HS_EVENT_ID_NR] = { 0 };
	struct lab_trace_counts printed;
	bool has_babeltrace = lab_babeltrace(trace, &printed);

	for (size_t i = 0; i < hs_capture_tap_nr(capture); i++) {
		struct hs_capture_tap_counts counts = { 0 };

		hs_capture_tap_counts(capture, i, &counts);
		made[HS_EVENT_net_dev_start_xmit] += counts.to_guest_packets;
		made[HS_EVENT_netif_receive_skb] += counts.from_guest_packets;
		made[HS_EVENT_net_dev_xmit] += counts.refused_packets;
	}
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		const struct hs_event *event = &hs_events[i];
		struct hs_capture_event_counts counts = { 0 };

		hs_capture_event_counts(capture, event->id, &counts);
		/* A drop is another event of a packet that was counted already. */
		if (event->id == HS_EVENT_kfree_skb || (!made[event->id] && !counts.recorded))
			continue;
		lab_equal(counts.recorded + counts.ring_lost, made[event->id], "%s: recorded + lost = produced",
			  event->name);
		if (has_babeltrace)
			lab_equal(printed.events[event->id], counts.recorded, "babeltrace2 finds every %s",
				  event->name);
		if (is_lossless)
			lab_equal(counts.ring_lost + counts.missed, 0, "no %s is lost", event->name);
	}
	if (has_babeltrace && is_lossless)
		lab_equal(printed.complaints, 0, "babeltrace2 has nothing to complain about");
}

/* The fields of the frames that send_mixture() made, as they came in from the tap. */
static bool is_as_sent(const struct hs_event_netif_receive_skb *packet, unsigned int kind)
{
	static const struct {
		uint32_t len;
		uint16_t protocol, ip_id_step, sport_step, dport, gso_size;
		uint8_t ip_proto;
		bool has_ip, has_ports;
	} sent[] = {
		{ 64, 0x0800, 0, 0, 53, 0, 17, true, true },
		{ 1514, 0x0800, 1, 1, 53, 0, 17, true, true },
		{ ETH_BYTES + JUMBO_BYTES, 0x0800, 2, 2, 53, 0, 17, true, true },
		{ 100, 0x0800, 3, 3, 53, 0, 17, true, true },
		{ 200, 0x0800, 4, 0, 0, 0, 17, true, false },
		{ ETH_BYTES + 20, 0x0800, 5, 0, 0, 0, 17, true, false },
		{ ETH_BYTES + 12, 0x0800, 0, 0, 0, 0, 0, false, false },
		{ 80, 0x0800, 7, 7, 52001, 0, 6, true, true },
		{ GSO_BYTES, 0x0800, 8, 8, 52001, GSO_SIZE, 6, true, true },
		{ 42, 0x0806, 0, 0, 0, 0, 0, false, false },
		{ 300, 0x86dd, 0, 10, 53, 0, 17, true, true },
		{ ETH_BYTES, 0x88b5, 0, 0, 0, 0, 0, false, false },
		{ 120, 0x8100, 0, 0, 0, 0, 0, false, false },
		{ 74, 0x86dd, 0, 13, 52001, 0, 6, true, true },
		{ 86, 0x86dd, 0, 0, 0, 0, 0, true, false },
		{ ETH_BYTES + 39, 0x86dd, 0, 0, 0, 0, 0, false, false },
		{ ETH_BYTES + 40, 0x86dd, 0, 0, 0, 0, 17, true, false },
	};
	uint16_t first_id = packet->role == HS_ROLE_L2 ? 100 : 200;

	return packet->tenant == TENANT && packet->len == sent[kind].len && packet->protocol == sent[kind].protocol &&
	       packet->ip_proto == sent[kind].ip_proto && packet->gso_size == sent[kind].gso_size &&
	       packet->ip_id ==
		       (sent[kind].has_ip && packet->protocol == 0x0800 ? first_id + sent[kind].ip_id_step : 0) &&
	       packet->saddr == (sent[kind].has_ip ? 0xac100014 : 0) &&
	       packet->daddr == (sent[kind].has_ip ? 0xac100015 : 0) &&
	       packet->sport == (sent[kind].has_ports ? 1000 + first_id + sent[kind].sport_step : 0) &&
	       packet->dport == sent[kind].dport && packet->seq == (packet->ip_proto == 6 ? 0x12345678 : 0) &&
	       packet->tcp_flags == (packet->ip_proto == 6 ? 0x5010 : 0);
}

static void check_fields(const char *trace, unsigned int sent)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	unsigned int received[2] = { 0 }, right = 0, segments = 0;
	struct hs_ctf_record record;

	if (!lab_equal(hs_ctf_reader_open(trace, &reader), 0, "our reader opens the trace"))
		return;
	while (hs_ctf_reader_next(reader, &record) > 0) {
		const struct hs_event_net_dev_start_xmit *out = (const void *)record.header;
		const struct hs_event_netif_receive_skb *in = (const void *)record.header;

		if (record.event->id == HS_EVENT_net_dev_start_xmit)
			segments += out->role == HS_ROLE_CLIENT && out->sport == 1108 && !out->gso_size;
		if (record.event->id != HS_EVENT_netif_receive_skb || received[in->role & 1] >= sent)
			continue;
		if (is_as_sent(in, received[in->role & 1]++))
			right++;
		else
			printf("# frame %u of role %u is not as it was sent\n", received[in->role & 1] - 1, in->role);
	}
	lab_equal(right, 2 * sent, "every frame has the fields that it was sent with");
	lab_equal(segments, GSO_SEGMENTS, "a tap without offloads gets a big packet in segments");
}

static void test_counts_are_the_interfaces_own(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct counters before[2] = { 0 };
	unsigned int sent;
	char trace[128];

	if (!lab_equal(open_capture("mixture", 0, trace, sizeof(trace), &capture), 0, "capture opens"))
		return;
	for (size_t i = 0; i < HS_ARRAY_SIZE(taps); i++)
		read_counters(taps[i].name, &before[i]);
	sent = send_mixture(&taps[0], 100);
	lab_equal(sent, 17, "the tap takes every kind of frame");
	lab_equal(send_mixture(&taps[1], 200), sent, "and so does the other");
	/* The frame with half an IPv4 header may be dropped on the way. */
	/* A bridge with netfilter drops the two whose headers are cut. */
	lab_ok(read_all_frames(&taps[1]) >= sent - 2 + GSO_SEGMENTS - 1, "frames arrive at the client's tap");
	lab_ok(read_all_frames(&taps[0]) >= sent - 2, "frames arrive at the L2's tap");
	hs_capture_stop(capture);
	check_counters(capture, before);
	check_events(capture, trace, true);
	check_fields(trace, sent);
}

static uint64_t drops_by_full_ring(const char *trace)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	uint64_t drops = 0;

	if (hs_ctf_reader_open(trace, &reader))
		return 0;
	while (hs_ctf_reader_next(reader, &record) > 0) {
		const struct hs_event_kfree_skb *drop = (const void *)record.header;
		const struct hs_field *reason = &record.event->fields[record.event->field_nr - 1];

		drops += record.event->id == HS_EVENT_kfree_skb &&
			 !strcmp(hs_enum_text(reason->list, drop->reason), "full_ring");
	}
	return drops;
}

static void test_refused_packets_are_counted(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct hs_capture_tap_counts counts = { 0 };
	struct counters before[2] = { 0 };
	static struct frame frame;
	unsigned int sent = 0, got;
	char trace[128];

	if (!lab_equal(open_capture("flood", 0, trace, sizeof(trace), &capture), 0, "capture opens"))
		return;
	for (size_t i = 0; i < HS_ARRAY_SIZE(taps); i++)
		read_counters(taps[i].name, &before[i]);
	for (unsigned int i = 0; i < FLOOD_NR; i++) {
		make_udp(&frame, 60 + i % 1000, i, 0, 0);
		sent += send_frame(&taps[0], &frame);
	}
	got = read_all_frames(&taps[1]);
	hs_capture_stop(capture);
	hs_capture_tap_counts(capture, 1, &counts);
	lab_equal(sent, FLOOD_NR, "the tap takes a flood");
	lab_ok(counts.refused_packets > 0, "a tap that nobody reads refuses packets");
	lab_equal(counts.to_guest_packets, got + counts.refused_packets, "given = read + refused");
	check_counters(capture, before);
	check_events(capture, trace, true);
	lab_equal(drops_by_full_ring(trace), counts.refused_packets,
		  "each refused packet is a kfree_skb for full_ring");
}

static void test_ring_overflow_keeps_the_counts(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct hs_capture_event_counts received = { 0 };
	struct counters before[2] = { 0 };
	static struct frame frame;
	char trace[128];

	if (!lab_equal(open_capture("overflow", 4096, trace, sizeof(trace), &capture), 0, "capture opens"))
		return;
	for (size_t i = 0; i < HS_ARRAY_SIZE(taps); i++)
		read_counters(taps[i].name, &before[i]);
	for (unsigned int i = 0; i < FLOOD_NR; i++) {
		make_udp(&frame, 60 + i % 1000, i, 0, 0);
		send_frame(&taps[0], &frame);
		if (i % 500 == 0)
			hs_capture_drain(capture);
		read_all_frames(&taps[1]);
	}
	hs_capture_stop(capture);
	hs_capture_event_counts(capture, HS_EVENT_netif_receive_skb, &received);
	lab_ok(received.ring_lost > 0 && received.recorded > 0, "the smallest ring loses some and keeps some");
	check_counters(capture, before);
	check_events(capture, trace, false);
}

int main(void)
{
	scoped(hs_capture) struct hs_capture *capture = NULL;
	char trace[128];
	int err = open_network();

	if (err) {
		printf("# bridge and taps: %s\n", strerror(-err));
		return lab_skip_all("no bridge with two taps can be made here (see above)");
	}
	if (open_capture("probe", 0, trace, sizeof(trace), &capture) == -EPERM)
		return lab_done(), lab_skip_all("BPF is not permitted here (see above)");
	if (!lab_ok(wait_until_forwarding(), "the bridge forwards"))
		return lab_done();
	test_counts_are_the_interfaces_own();
	test_refused_packets_are_counted();
	test_ring_overflow_keeps_the_counts();
	return lab_done();
}
