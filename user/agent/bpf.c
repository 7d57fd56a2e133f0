// SPDX-License-Identifier: GPL-2.0-only
/* The draining thread. From hs_bpf_open() until hs_bpf_stop() the capture is its own, except for reading counts. */
#include "agent/bpf.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "capture/capture.h"
#include "capture/tap.h"

/* As `hsbpf record` drains; a ring that fills sooner wakes us itself. */
#define DRAIN_MS 50
#define TAPS_NS 1000000000ull

struct hs_bpf {
	struct hs_capture *capture;
	struct hs_event_set events;
	bool has_taps;
	int stop_fd;
	pthread_t thread;
	bool has_thread;
};

static bool has_net_events(const struct hs_event_set *events)
{
	struct hs_event_set net = { 0 };

	hs_event_set_add_profile(&net, "net");
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		if (net.has[id] && events->has[id])
			return true;
	return false;
}

static void *run(void *arg)
{
	struct hs_bpf *bpf = arg;
	struct pollfd fds[] = { { .fd = bpf->stop_fd, .events = POLLIN },
				{ .fd = hs_capture_fd(bpf->capture), .events = POLLIN } };
	uint64_t taps_ns = hs_now_ns();

	while (!(fds[0].revents & POLLIN)) {
		hs_capture_drain(bpf->capture);
		if (bpf->has_taps && hs_now_ns() - taps_ns >= TAPS_NS) {
			hs_taps_watch_new(bpf->capture);
			taps_ns = hs_now_ns();
		}
		if (poll(fds, HS_ARRAY_SIZE(fds), DRAIN_MS) < 0)
			fds[0].revents = 0;
	}
	return NULL;
}

static void add_missing(const struct hs_bpf *bpf, struct hs_argv *list)
{
	size_t missing_nr;
	const struct hs_probe_missing *missing = hs_capture_missing(bpf->capture, &missing_nr);

	for (size_t i = 0; i < missing_nr; i++)
		hs_argv_add(list, "%s: %s", missing[i].event->name, missing[i].reason);
}

static int open_capture(struct hs_bpf *bpf, const struct hs_bpf_config *config)
{
	char reason[256] = "";
	struct hs_capture_config capture = {
		.output = &config->output,
		.machine = "guest", /* the host knows better */
		.ring_bytes = config->buffer_kib * 1024,
		.events = config->events,
		.host_wide = true,
		.reason = reason,
		.reason_bytes = sizeof(reason),
	};
	int err = hs_capture_open(&capture, &bpf->capture);

	if (err == -EPERM || err == -EOPNOTSUPP)
		return hs_fail(err, "cannot record through BPF here: %s", reason);
	return err;
}

int hs_bpf_open(const struct hs_bpf_config *config, struct hs_argv *missing, struct hs_bpf **out)
{
	scoped(hs_bpf) struct hs_bpf *bpf = calloc(1, sizeof(*bpf));
	int err;

	if (!bpf)
		return -ENOMEM;
	bpf->events = config->events;
	bpf->has_taps = has_net_events(&config->events);
	bpf->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bpf->stop_fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	err = open_capture(bpf, config);
	if (!err && bpf->has_taps)
		err = hs_taps_watch_new(bpf->capture);
	if (err)
		return err;
	add_missing(bpf, missing);
	err = -pthread_create(&bpf->thread, NULL, run, bpf);
	if (err)
		return hs_fail(err, "cannot start a thread:");
	bpf->has_thread = true;
	*out = take(bpf);
	return 0;
}

void hs_bpf_stop(struct hs_bpf *bpf)
{
	const uint64_t one = 1;

	if (bpf->has_thread) {
		while (write(bpf->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		pthread_join(bpf->thread, NULL);
	}
	bpf->has_thread = false;
	hs_capture_stop(bpf->capture);
}

uint64_t hs_bpf_ring_lost(const struct hs_bpf *bpf, uint32_t cpu)
{
	uint64_t lost = 0;

	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		lost += hs_capture_ring_lost(bpf->capture, cpu, id);
	return lost;
}

void hs_bpf_put_counts(const struct hs_bpf *bpf, struct hs_wire_payload *payload)
{
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++) {
		struct hs_capture_event_counts counts;
		struct hs_wire_bpf_counts wire;

		if (!bpf->events.has[id] || hs_capture_event_counts(bpf->capture, id, &counts))
			continue;
		wire = (struct hs_wire_bpf_counts){
			.event_id = id,
			.recorded = counts.recorded,
			.ring_lost = counts.ring_lost,
			.disk_lost = counts.disk_lost,
			.missed = counts.missed,
		};
		hs_wire_put(payload, HS_WIRE_BPF_COUNTS, &wire, sizeof(wire));
	}
}

void hs_bpf_free(struct hs_bpf *bpf)
{
	if (!bpf)
		return;
	if (bpf->capture)
		hs_bpf_stop(bpf);
	hs_capture_free(bpf->capture);
	if (bpf->stop_fd >= 0)
		close(bpf->stop_fd);
	free(bpf);
}
