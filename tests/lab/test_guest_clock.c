// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process whose clock is seconds ahead (a time namespace) and runs 200 ppm fast answers pings over a socket, as busy
 * as the machine is: every moment that it tells comes out within the stated bound of the true one, which the
 * namespace's offset gives exactly. Also over a link that delays the two ways differently.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/scoped.h"
#include "tests/lab/lab.h"
#include "timeline/guest_clock.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define SECOND_NS 1000000000ull
#define SHIFT_NS (7 * SECOND_NS)
#define DRIFT_PPM 200
#define BURSTS 12
#define PINGS 8
#define PERIOD_MS 100
#define EVENTS_PER_PERIOD 20

/* What the guest answers: its clock twice, and for the judge the host's time at the first. */
struct answer {
	uint64_t recv_ns, send_ns, true_ns;
};

struct event {
	uint64_t guest_ns, true_ns;
};

static uint64_t boot_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (uint64_t)time.tv_sec * SECOND_NS + (uint64_t)time.tv_nsec;
}

/* The guest's clock: that of its namespace, too fast since it began. */
static uint64_t guest_clock(uint64_t begin_ns, uint64_t now_ns)
{
	return now_ns + (now_ns - begin_ns) * DRIFT_PPM / 1000000;
}

static void run_guest(int fd)
{
	uint64_t begin_ns = boot_ns();
	char order;

	while (read(fd, &order, 1) == 1) {
		struct answer answer;
		uint64_t now_ns = boot_ns();

		answer.recv_ns = guest_clock(begin_ns, now_ns);
		answer.true_ns = now_ns - SHIFT_NS;
		answer.send_ns = guest_clock(begin_ns, boot_ns());
		if (write(fd, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

/* A child of a child: the namespace is for those who are born into it. */
static pid_t start_guest(int fd, int host_fd)
{
	pid_t pid = fork();
	int offsets;

	if (pid)
		return pid;
	close(host_fd);
	offsets = unshare(CLONE_NEWTIME) ? -1 : open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (offsets < 0 || dprintf(offsets, "boottime %llu 0\n", SHIFT_NS / SECOND_NS) < 0)
		_exit(1);
	pid = fork();
	if (!pid)
		run_guest(fd);
	close(fd);
	waitpid(pid, NULL, 0);
	_exit(0);
}

static bool ask(int fd, struct answer *answer)
{
	return write(fd, "p", 1) == 1 && read(fd, answer, sizeof(*answer)) == sizeof(*answer);
}

/* By which time an answer would have come over a link that is slow, the ways there and back differing. */
static bool ping(int fd, unsigned int slow_ns, struct hs_guest_sample *sample)
{
	struct answer answer;

	sample->host_send_ns = boot_ns() - slow_ns * (uint64_t)(random() % 100) / 100;
	if (!ask(fd, &answer))
		return false;
	sample->guest_recv_ns = answer.recv_ns;
	sample->guest_send_ns = answer.send_ns;
	sample->host_recv_ns = boot_ns() + 3 * slow_ns * (uint64_t)(random() % 100) / 100;
	return true;
}

static bool learn(int fd, unsigned int slow_ns, struct hs_guest_clock *clock, struct event *events)
{
	for (int burst = 0; burst < BURSTS; burst++) {
		struct hs_guest_sample samples[PINGS];
		struct answer answer;

		for (int i = 0; i < PINGS; i++)
			if (!ping(fd, slow_ns, &samples[i]))
				return false;
		if (hs_guest_clock_add_burst(clock, samples, PINGS))
			return false;
		for (int i = 0; i < EVENTS_PER_PERIOD; i++) {
			poll(NULL, 0, PERIOD_MS / EVENTS_PER_PERIOD); /* time must pass: clocks drift by it */
			if (!ask(fd, &answer))
				return false;
			*events++ = (struct event){ answer.recv_ns, answer.true_ns };
		}
	}
	return true;
}

static void check_link(unsigned int slow_ns, const char *name)
{
	static struct event events[BURSTS * EVENTS_PER_PERIOD];
	scoped(hs_guest_clock) struct hs_guest_clock clock = { 0 };
	struct hs_guest_clock_summary summary = { 0 };
	uint64_t worst_ns = 0, worst_error_ns = 0;
	int fds[2], status, right = 0;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return;
	pid = start_guest(fds[1], fds[0]);
	close(fds[1]);
	lab_ok(learn(fds[0], slow_ns, &clock, events), "%s: the guest answers", name);
	close(fds[0]);
	waitpid(pid, &status, 0);
	for (size_t i = 0; i < HS_ARRAY_SIZE(events); i++) {
		uint64_t host_ns = 0, error_ns = 0, off_ns;

		hs_guest_clock_to_host(&clock, events[i].guest_ns, &host_ns, &error_ns);
		off_ns = (uint64_t)llabs((int64_t)(host_ns - events[i].true_ns));
		right += off_ns <= error_ns;
		worst_ns = off_ns > worst_ns ? off_ns : worst_ns;
		worst_error_ns = error_ns > worst_error_ns ? error_ns : worst_error_ns;
	}
	hs_guest_clock_summary(&clock, &summary);
	printf("# %s: off by %llu ns at the most, stated %llu ns, drift %lld ppb\n", name, (unsigned long long)worst_ns,
	       (unsigned long long)worst_error_ns, (long long)summary.drift_ppb);
	lab_equal((uint64_t)right, HS_ARRAY_SIZE(events), "%s: every event is within its bound", name);
	lab_ok(llabs(summary.offset_ns + (int64_t)SHIFT_NS) < (int64_t)SECOND_NS / 100, "%s: the shift is found", name);
	lab_ok(summary.bound_ns >= summary.best_trip_ns / 2, "%s: no bound is less than half a round trip", name);
}

int main(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(unshare(CLONE_NEWTIME) || access("/proc/self/timens_offsets", W_OK));
	waitpid(pid, &status, 0);
	if (status)
		return lab_skip_all("this kernel has no time namespaces");
	check_link(0, "a quick link");
	check_link(500000, "a slow link");
	return lab_done();
}
