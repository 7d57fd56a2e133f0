// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pace is a periodic timer in the kernel: its ticks stay where they were due however late one of them is looked at,
 * so nothing adds up. Ticks that were missed are counted and not made up for in a burst.
 */
#include "migtools/prober.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "base/unit.h"
#include "migtools/spread.h"

/* A packet has its time stamp before it is in the socket: a busy machine may take that long in between. */
#define SETTLE_NS 20000000u
#define SETTLE_PERIOD_NS 5000000u
/* Each one told is gone from the socket; one that is not must not keep us here. */
#define ERRORS_AT_ONCE 16

/* ---- operands ---------------------------------------------------------------------------------- */

/* "50" and "0.2" are ms, as with mig_mon; "200us" is taken too. */
static int parse_interval(const char *text, uint64_t *out)
{
	char *end;
	double ms;

	if (text[strspn(text, "0123456789.")] != '\0')
		return hs_parse_duration(text, out);
	ms = strtod(text, &end);
	if (end == text || *end || ms > HS_PROBE_INTERVAL_MAX_NS / 1e6)
		return -EINVAL;
	*out = (uint64_t)(ms * 1e6 + 0.5);
	return 0;
}

int hs_prober_parse(struct hs_prober_config *config, int argc, char **argv)
{
	if (argc < 1) {
		hs_err("which machine? Give its address or name");
		return HS_EXIT_USAGE;
	}
	config->host = argv[0];
	if (argc > 1 && parse_interval(argv[1], &config->interval_ns)) {
		hs_err("'%s' is no interval: milliseconds such as 50 or 0.2", argv[1]);
		return HS_EXIT_USAGE;
	}
	if (config->interval_ns < HS_PROBE_INTERVAL_MIN_NS || config->interval_ns > HS_PROBE_INTERVAL_MAX_NS) {
		hs_err("an interval is 10us at least and 1h at most");
		return HS_EXIT_USAGE;
	}
	return 0;
}

/* ---- the socket -------------------------------------------------------------------------------- */

/* Gives up the local address that it had: the machine may have another by now. */
static int connect_peer(struct hs_prober *prober)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (connect(prober->socket.fd, &nobody, sizeof(nobody)) < 0 ||
	    connect(prober->socket.fd, (const struct sockaddr *)&prober->peer.sa, prober->peer.len) < 0)
		return -errno;
	prober->is_connected = true;
	return 0;
}

static int send_bytes(struct hs_prober *prober, const uint8_t *bytes)
{
	int err = prober->is_connected ? 0 : connect_peer(prober);

	if (!err && send(prober->socket.fd, bytes, HS_PROBE_BYTES, 0) < 0)
		err = -errno;
	if (err == -EINVAL || err == -EADDRNOTAVAIL)
		prober->is_connected = false; /* the local address went away */
	return err;
}

static int send_probe(struct hs_prober *prober, uint64_t due_ns)
{
	struct hs_probe probe = { .session = prober->session, .interval_ns = prober->config->interval_ns };
	uint8_t bytes[HS_PROBE_BYTES];
	int err;

	probe.seq = prober->seq++;
	probe.sent_ns = hs_now_ns();
	if (hs_histogram_add(&prober->lateness, probe.sent_ns > due_ns ? probe.sent_ns - due_ns : 0, 1))
		return -ENOMEM;
	hs_probe_encode(&probe, bytes);
	err = send_bytes(prober, bytes);
	if (err) {
		/* An error that was waiting is of an earlier probe, and this one has not been tried yet. */
		prober->ops->on_error(prober->ctx, probe.sent_ns, err);
		err = send_bytes(prober, bytes);
	}
	return prober->ops->on_sent(prober->ctx, probe.sent_ns, err);
}

static int take_datagram(struct hs_prober *prober, const struct hs_datagram *datagram)
{
	struct hs_probe probe;

	prober->dropped = datagram->dropped > prober->dropped ? datagram->dropped : prober->dropped;
	if (!hs_probe_decode(datagram->bytes, datagram->len, &probe) || probe.session != prober->session) {
		prober->foreign++;
		return 0;
	}
	return prober->ops->on_probe(prober->ctx, &probe, datagram->arrival_ns);
}

/* Takes what is there: an answer that waits is never left to be met by a later probe. */
static int drain(struct hs_prober *prober)
{
	uint64_t now_ns = hs_now_ns();
	struct hs_datagram datagram;
	int err = 0, received = 0;

	for (int errors = 0; !err && received != -EAGAIN && errors < ERRORS_AT_ONCE; errors += received != 0) {
		received = hs_udp_receive(prober->socket.fd, &datagram);
		if (!received)
			err = take_datagram(prober, &datagram);
		else if (received != -EAGAIN)
			prober->ops->on_error(prober->ctx, hs_now_ns(), received);
	}
	return err ? err : prober->ops->on_settled(prober->ctx, now_ns - SETTLE_NS);
}

/* ---- the loop ---------------------------------------------------------------------------------- */

static void on_settle(void *ctx, uint32_t events);

/* No more probes; the timer goes on, for those that are out. */
static void stop(void *ctx)
{
	struct hs_prober *prober = ctx;

	if (prober->is_stopped)
		return;
	prober->is_stopped = true;
	prober->end_ns = hs_now_ns();
	hs_loop_close(prober->loop, &prober->timer);
	prober->error = hs_loop_timer(prober->loop, &prober->timer, SETTLE_PERIOD_NS, on_settle, prober);
}

static void on_tick(void *ctx, uint32_t events)
{
	struct hs_prober *prober = ctx;
	const uint64_t interval_ns = prober->config->interval_ns;
	uint64_t tick;

	(void)events;
	prober->error = drain(prober);
	tick = (hs_now_ns() - prober->start_ns) / interval_ns;
	if (prober->error || tick <= prober->tick)
		return;
	prober->skipped += tick - prober->tick - 1;
	prober->tick = tick;
	prober->error = send_probe(prober, prober->start_ns + tick * interval_ns);
	if (!prober->error && prober->config->count && prober->seq >= prober->config->count)
		stop(prober);
}

static void on_settle(void *ctx, uint32_t events)
{
	struct hs_prober *prober = ctx;

	(void)events;
	prober->error = drain(prober);
}

static void on_readable(void *ctx, uint32_t events)
{
	on_settle(ctx, events);
}

static bool is_done(void *ctx)
{
	const struct hs_prober *prober = ctx;

	return prober->error || (prober->is_stopped && !prober->ops->is_waiting(prober->ctx));
}

static int run_loop(struct hs_prober *prober)
{
	const struct hs_prober_config *config = prober->config;
	scoped(fd) int fd = -1;
	struct timespec realtime;
	int err;

	err = hs_udp_open(&prober->peer, &fd);
	if (!err)
		err = hs_loop_add(prober->loop, &prober->socket, fd, EPOLLIN, on_readable, prober);
	if (err)
		return err;
	take_fd(&fd);
	prober->start_ns = hs_now_ns();
	clock_gettime(CLOCK_REALTIME, &realtime);
	prober->start_realtime_ns = (uint64_t)realtime.tv_sec * 1000000000u + (uint64_t)realtime.tv_nsec;
	err = hs_loop_timer_at(prober->loop, &prober->timer, prober->start_ns + config->interval_ns,
			       config->interval_ns, on_tick, prober);
	if (!err)
		err = hs_loop_until(prober->loop, is_done, prober,
				    config->duration_ns ? prober->start_ns + config->duration_ns : 0);
	if (err == -ETIMEDOUT) {
		stop(prober);
		err = hs_loop_until(prober->loop, is_done, prober, 0);
	}
	hs_loop_close(prober->loop, &prober->socket);
	hs_loop_close(prober->loop, &prober->timer);
	return err ? err : prober->error;
}

int hs_prober_run(struct hs_prober *prober, const struct hs_prober_config *config, const struct hs_prober_ops *ops,
		  void *ctx)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	int err;

	*prober = (struct hs_prober){
		.config = config, .ops = ops, .ctx = ctx, .socket = HS_WATCH_NONE, .timer = HS_WATCH_NONE
	};
	if (getrandom(&prober->session, sizeof(prober->session), 0) < 0)
		return hs_fail(-errno, "cannot get a random number:");
	err = hs_address_resolve(config->host, (uint16_t)config->port, SOCK_DGRAM, &prober->peer);
	if (!err)
		err = hs_loop_open(&loop);
	if (err)
		return err;
	prober->loop = loop;
	err = hs_interrupt_open(loop, stop, prober);
	if (!err)
		err = run_loop(prober);
	hs_interrupt_close(loop);
	prober->loop = NULL;
	return err;
}

void hs_prober_clear(struct hs_prober *prober)
{
	hs_histogram_clear(&prober->lateness);
}

/* ---- the summary ------------------------------------------------------------------------------- */

void hs_prober_add_json(const struct hs_prober *prober, json_object *document)
{
	json_object *target = hs_json_add_object(document, "target");
	json_object *clock, *pacing;
	char text[HS_ADDRESS_TEXT_MAX];

	hs_json_add_string(target, "host", prober->config->host);
	hs_json_add_string(target, "address", hs_address_format(text, sizeof(text), &prober->peer));
	hs_json_add_u64(target, "port", prober->config->port);
	hs_json_add_u64(document, "interval_ns", prober->config->interval_ns);
	hs_json_add_u64(document, "duration_ns", prober->end_ns - prober->start_ns);
	clock = hs_json_add_object(document, "clock");
	hs_json_add_string(clock, "name", "CLOCK_BOOTTIME");
	hs_json_add_u64(clock, "start_ns", prober->start_ns);
	hs_json_add_u64(clock, "start_realtime_ns", prober->start_realtime_ns);
	pacing = hs_json_add_object(document, "pacing");
	hs_json_add_u64(pacing, "skipped", prober->skipped);
	hs_spread_add_json(pacing, "lateness", &prober->lateness);
	hs_json_add_u64(document, "foreign", prober->foreign);
	hs_json_add_u64(document, "dropped", prober->dropped);
}

void hs_prober_print(const struct hs_prober *prober)
{
	char address[HS_ADDRESS_TEXT_MAX], interval[32], duration[32];

	printf("%s port %u: a probe every %s for %s\n", hs_address_format(address, sizeof(address), &prober->peer),
	       prober->config->port, hs_format_ns(interval, sizeof(interval), prober->config->interval_ns),
	       hs_format_ns(duration, sizeof(duration), prober->end_ns - prober->start_ns));
}
