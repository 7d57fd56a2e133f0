// SPDX-License-Identifier: GPL-2.0-only
/* The delayed link, seen by sockets on both its sides: nothing comes early, nothing is lost or changed on the way. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "orchestrate/delay.h"
#include "tests/lab/lab.h"

#define DELAY_NS 20000000u
#define PORT 7777
#define DATAGRAMS 200u
#define STREAM_BYTES (16u << 20)
#define PATIENCE_MS 20000

struct setting {
	struct hs_netns *one, *other;
	struct hs_delay *delay;
};

static int socket_in(struct hs_netns *netns, int type)
{
	scoped(fd) int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd = -1;

	if (home >= 0 && !setns(hs_netns_fd(netns), CLONE_NEWNET)) {
		fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
		if (setns(home, CLONE_NEWNET))
			abort(); /* the rest of the test would be in the wrong place */
	}
	return fd;
}

static struct sockaddr_in address(const char *ip)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	inet_pton(AF_INET, ip, &address.sin_addr);
	return address;
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, PATIENCE_MS) == 1;
}

static bool setting_open(struct setting *setting)
{
	static const char name[] = "slow0";
	char one[48], other[48];

	snprintf(one, sizeof(one), "hsbpf-delay%d", getpid());
	snprintf(other, sizeof(other), "hsbpf-delay%d-c0", getpid());
	return !hs_netns_make(one, &setting->one) && !hs_netns_make(other, &setting->other) &&
	       !hs_delay_open(setting->one, setting->other, name, DELAY_NS, &setting->delay) &&
	       !hs_netns_add_address(setting->one, name, "172.16.0.1") &&
	       !hs_netns_add_address(setting->other, name, "172.16.0.2") &&
	       !hs_netns_set_up(setting->one, name, true) && !hs_netns_set_up(setting->other, name, true);
}

static void test_no_datagram_is_early_or_lost(struct setting *setting)
{
	scoped(fd) int from = socket_in(setting->one, SOCK_DGRAM), to = socket_in(setting->other, SOCK_DGRAM);
	struct sockaddr_in there = address("172.16.0.2");
	unsigned int in_order = 0, early = 0;

	lab_ok(!bind(to, (void *)&there, sizeof(there)), "a socket behind the link");
	for (uint64_t i = 0; i < DATAGRAMS; i++) {
		uint64_t sent[2] = { i, hs_now_ns() };

		if (sendto(from, sent, sizeof(sent), 0, (void *)&there, sizeof(there)) != sizeof(sent))
			break;
	}
	for (uint64_t i = 0; i < DATAGRAMS && is_readable(to); i++) {
		uint64_t got[2];

		if (recv(to, got, sizeof(got), 0) != sizeof(got))
			break;
		in_order += got[0] == i;
		early += hs_now_ns() - got[1] < DELAY_NS;
	}
	lab_equal(in_order, DATAGRAMS, "all datagrams come, in order");
	lab_equal(early, 0, "none of them comes early");
}

static void test_a_stream_is_whole(struct setting *setting)
{
	scoped(fd) int from = socket_in(setting->one, SOCK_STREAM), listener = socket_in(setting->other, SOCK_STREAM);
	scoped(mem) uint8_t *bytes = malloc(STREAM_BYTES), *got = malloc(STREAM_BYTES);
	struct sockaddr_in there = address("172.16.0.2");
	uint64_t begin_ns = hs_now_ns();
	size_t sent = 0, received = 0;
	scoped(fd) int to = -1;

	for (size_t i = 0; i < STREAM_BYTES; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	lab_ok(!bind(listener, (void *)&there, sizeof(there)) && !listen(listener, 1) &&
		       !connect(from, (void *)&there, sizeof(there)),
	       "a connection over the link");
	lab_ok(hs_now_ns() - begin_ns >= 2ull * DELAY_NS, "it took the way there and back");
	to = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (to >= 0 && received < STREAM_BYTES) {
		ssize_t n = sent < STREAM_BYTES ? send(from, bytes + sent, STREAM_BYTES - sent, MSG_DONTWAIT) : 0;

		sent += n > 0 ? (size_t)n : 0;
		if (!is_readable(to))
			break;
		n = recv(to, got + received, STREAM_BYTES - received, 0);
		if (n <= 0)
			break;
		received += (size_t)n;
	}
	lab_equal(received, STREAM_BYTES, "the whole stream comes");
	lab_ok(!memcmp(bytes, got, STREAM_BYTES), "and as it was sent");
}

static void test_it_goes_without_a_trace(struct setting *setting)
{
	lab_ok(hs_netns_ifindex(setting->one, "slow0") > 0, "the link is there");
	hs_delay_free(setting->delay);
	lab_equal((uint64_t)(int64_t)hs_netns_ifindex(setting->one, "slow0"), (uint64_t)(int64_t)-ENOENT,
		  "closed, it is gone on one side");
	lab_equal((uint64_t)(int64_t)hs_netns_ifindex(setting->other, "slow0"), (uint64_t)(int64_t)-ENOENT,
		  "and on the other");
}

int main(void)
{
	struct setting setting = { 0 };

	hs_log_set_level(HS_LOG_ERR);
	if (geteuid())
		return lab_skip_all("network namespaces need root");
	if (lab_ok(setting_open(&setting), "a link of 20 ms between two namespaces")) {
		test_no_datagram_is_early_or_lost(&setting);
		test_a_stream_is_whole(&setting);
		test_it_goes_without_a_trace(&setting);
	}
	hs_netns_free(setting.one);
	hs_netns_free(setting.other);
	return lab_done();
}
