// SPDX-License-Identifier: GPL-2.0-only
/*
 * One more control port with orders of its own. A LOG opens /dev/kmsg anew, which begins with the oldest record; frames
 * of an earlier LOG have its id, so a host that comes later knows them from its own.
 */
#include "agent/log_port.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/io.h"
#include "base/log.h"
#include "timeline/sched_clock.h"

#define KMSG "/dev/kmsg"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define RECORD_BYTES_MAX 16384
/* Of one frame; and what may wait in the port's queue before the next. */
#define FRAME_BYTES 49152
#define AHEAD_BYTES (128u << 10)

struct hs_log_port {
	struct hs_loop *loop;
	const char *dir;
	uint64_t agent_id;
	struct hs_control *control;
	struct hs_sched_clock *clock; /* NULL: perf is not to be had */
	int kmsg_fd;		      /* -1: nobody has ordered it */
	struct hs_watch kmsg;	      /* not while the port must have room first: holes in the log would wake us */
	struct hs_wire_frame order;
	char record[RECORD_BYTES_MAX];
};

static void put_clock(const struct hs_log_port *port, struct hs_wire_payload *payload)
{
	struct hs_sched_sample sample;
	struct hs_wire_log_clock clock;

	if (!port->clock || hs_sched_clock_sample(port->clock, &sample))
		sample = hs_sched_clock_guess();
	clock = (struct hs_wire_log_clock){ sample.before_ns, sample.sched_ns, sample.after_ns };
	hs_wire_put(payload, HS_WIRE_LOG_CLOCK, &clock, sizeof(clock));
}

/* One record's length; 0: there is none now; -errno. EPIPE is a hole, which the next record's number tells. */
static ssize_t read_record(struct hs_log_port *port)
{
	ssize_t got;

	do
		got = read(port->kmsg_fd, port->record, sizeof(port->record));
	while (got < 0 && (errno == EPIPE || errno == EINTR));
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	return got;
}

static void stop(struct hs_log_port *port)
{
	hs_loop_remove(port->loop, &port->kmsg);
	if (port->kmsg_fd >= 0)
		close(port->kmsg_fd);
	port->kmsg_fd = -1;
}

/* A frame of what there is: false when there is no more. */
static bool send_frame(struct hs_log_port *port)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	unsigned count = 0;
	ssize_t got = 0;

	while (payload.len < FRAME_BYTES && (got = read_record(port)) > 0) {
		if (!count++)
			put_clock(port, &payload);
		hs_wire_put(&payload, HS_WIRE_LOG_RECORD, port->record, (size_t)got);
	}
	if (got < 0) {
		hs_fail((int)got, "cannot read " KMSG ":");
		stop(port);
	}
	if (count && !payload.err)
		hs_control_answer(port->control, &port->order, HS_WIRE_RECORDS, payload.bytes, payload.len);
	return got > 0;
}

static bool has_room(const struct hs_log_port *port)
{
	return hs_control_queued_bytes(port->control) < AHEAD_BYTES;
}

static void on_records(void *ctx, uint32_t events)
{
	struct hs_log_port *port = ctx;

	(void)events;
	while (port->kmsg_fd >= 0 && has_room(port) && send_frame(port))
		;
	if (!has_room(port))
		hs_loop_remove(port->loop, &port->kmsg);
}

static void on_room(void *ctx)
{
	struct hs_log_port *port = ctx;

	if (port->kmsg_fd >= 0 && port->kmsg.fd < 0 && has_room(port))
		hs_loop_add(port->loop, &port->kmsg, port->kmsg_fd, EPOLLIN, on_records, port);
}

static int begin(struct hs_log_port *port)
{
	scoped(fd) int fd = open(KMSG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int err;

	stop(port);
	if (fd < 0)
		return -errno;
	err = hs_loop_add(port->loop, &port->kmsg, fd, EPOLLIN, on_records, port);
	if (!err)
		port->kmsg_fd = take_fd(&fd);
	return err;
}

/* Records follow from the loop: of many orders that waited only the last begins. */
static void answer_log(struct hs_log_port *port, const struct hs_wire_frame *order)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	scoped(mem) char *boot_id = NULL;
	int err = begin(port);

	if (!err)
		err = hs_read_file(BOOT_ID, 64, &boot_id, NULL);
	port->order = *order;
	hs_wire_put_number(&payload, HS_WIRE_AGENT_ID, port->agent_id);
	hs_wire_put_number(&payload, HS_WIRE_ERROR, (uint64_t)-err);
	if (err)
		hs_wire_put_text(&payload, HS_WIRE_TEXT_KEY, strerror(-err));
	else
		hs_wire_put(&payload, HS_WIRE_BOOT_ID, boot_id, strcspn(boot_id, "\n"));
	hs_control_answer(port->control, order, HS_WIRE_RESULT, payload.bytes, payload.len);
}

static void on_order(void *ctx, const struct hs_wire_frame *frame, const void *payload)
{
	struct hs_log_port *port = ctx;
	uint64_t recv_ns = hs_now_ns();

	if (frame->type == HS_WIRE_PING)
		hs_agent_answer_ping(port->agent_id, port->control, frame, payload, recv_ns);
	else if (frame->type == HS_WIRE_LOG)
		answer_log(port, frame);
	else
		hs_warn("a frame of type %u on the port of the log is no order: ignored", frame->type);
}

/* The kernel agent's orders are none here. */
static void on_plain_order(void *ctx, bool start)
{
	(void)ctx, (void)start;
}

static void on_gone(void *ctx)
{
	struct hs_log_port *port = ctx;

	stop(port);
	hs_log_port_look(port);
}

int hs_log_port_open(struct hs_loop *loop, const char *dir, uint64_t agent_id, struct hs_log_port **out)
{
	static const struct hs_control_events events = {
		.on_order = on_order, .on_plain_order = on_plain_order, .on_room = on_room, .on_gone = on_gone
	};
	scoped(hs_log_port) struct hs_log_port *port = calloc(1, sizeof(*port));
	int err;

	if (!port)
		return -ENOMEM;
	port->loop = loop;
	port->dir = dir;
	port->agent_id = agent_id;
	port->kmsg_fd = -1;
	port->kmsg = HS_WATCH_NONE;
	if (hs_sched_clock_open(&port->clock))
		hs_dbg("perf is not to be had: times of the kernel's log are known within a second only");
	err = hs_control_open(loop, &events, port, &port->control);
	if (!err)
		*out = take(port);
	return err;
}

void hs_log_port_look(struct hs_log_port *port)
{
	struct hs_port opened;

	if (hs_control_has_port(port->control) || hs_port_open(port->dir, HS_WIRE_LOG_PORT, &opened))
		return;
	hs_info("port %s", HS_WIRE_LOG_PORT);
	hs_control_set_port(port->control, &opened);
}

void hs_log_port_free(struct hs_log_port *port)
{
	if (!port)
		return;
	stop(port);
	hs_control_free(port->control);
	hs_sched_clock_free(port->clock);
	free(port);
}
