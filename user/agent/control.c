// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and writing the control port, by edges as the data ports (outlet.c says why). Bytes outside frames are the
 * kernel agent's orders when they are nothing but `0`, `1` and blanks: one order a digit, however many come in one
 * read, with or without a newline. Anything else there is said and ignored as a whole.
 */
#include "agent/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"

/* Of answers that the host does not read. A page of a text waits until there is less than ROOM. */
#define QUEUE_BYTES_MAX (4u << 20)
#define ROOM_BYTES (256u << 10)
#define PLAIN_BYTES 256

struct hs_control {
	struct hs_loop *loop;
	struct hs_control_events events;
	void *ctx;
	struct hs_port port; /* fd -1: none */
	struct hs_watch watch;
	bool is_hung_up; /* the host's side is closed, as far as we know */
	struct hs_wire_decoder *decoder;
	char plain[PLAIN_BYTES]; /* skipped since the last frame */
	size_t plain_len;	 /* may be more than there is room for */
	uint32_t seq;
	uint8_t *out;
	size_t out_start, out_len, out_size;
	bool said_full;
};

static void on_skipped(void *ctx, const void *bytes, size_t len)
{
	struct hs_control *control = ctx;

	if (control->plain_len < PLAIN_BYTES)
		memcpy(control->plain + control->plain_len, bytes,
		       len < PLAIN_BYTES - control->plain_len ? len : PLAIN_BYTES - control->plain_len);
	control->plain_len += len;
}

static bool are_orders(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!text[i] || !strchr("01 \t\r\n", text[i]))
			return false;
	return len <= PLAIN_BYTES;
}

static void take_plain(struct hs_control *control)
{
	size_t len = control->plain_len;

	control->plain_len = 0;
	if (!are_orders(control->plain, len)) {
		hs_warn("%zu bytes on the control port are no order: ignored", len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		if (control->plain[i] == '0' || control->plain[i] == '1')
			control->events.on_plain_order(control->ctx, control->plain[i] == '1');
}

static void take_frames(struct hs_control *control)
{
	struct hs_wire_frame frame;
	const void *payload;
	int got;

	do {
		got = hs_wire_decoder_next(control->decoder, &frame, &payload);
		if (control->plain_len)
			take_plain(control);
		if (got)
			control->events.on_order(control->ctx, &frame, payload);
	} while (got);
}

/* What was half there will not be continued. */
static void finish_input(struct hs_control *control)
{
	hs_wire_decoder_finish(control->decoder);
	take_frames(control);
}

static void close_port(struct hs_control *control)
{
	hs_loop_close(control->loop, &control->watch);
	control->port.fd = -1;
	finish_input(control);
	control->out_start = control->out_len = 0;
	control->events.on_gone(control->ctx);
}

/*
 * The host's side of a virtio port is closed; an edge will tell of the next. Once only: that host's first order can be
 * here before the guest's kernel knows that it has come, and reading on says end of file until then. Answers wait.
 */
static void hang_up(struct hs_control *control)
{
	if (!control->is_hung_up)
		finish_input(control);
	control->is_hung_up = true;
}

/* False when the port was closed. */
static bool read_all(struct hs_control *control)
{
	while (control->port.fd >= 0) {
		size_t room;
		void *at = hs_wire_decoder_room(control->decoder, &room);
		ssize_t got = read(control->port.fd, at, room);

		if (got > 0) {
			hs_wire_decoder_added(control->decoder, (size_t)got);
			take_frames(control);
		} else if (got < 0 && errno == EAGAIN) {
			return true;
		} else if (got == 0 && !control->port.hangs_up_for_good) {
			hang_up(control);
			return true;
		} else if (got == 0 || errno != EINTR) {
			close_port(control);
		}
	}
	return false;
}

static void write_out(struct hs_control *control)
{
	while (control->out_len && control->port.fd >= 0) {
		ssize_t wrote = write(control->port.fd, control->out + control->out_start, control->out_len);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return; /* an edge tells when there is room; of a port that is gone reading tells */
		control->out_start += (size_t)wrote;
		control->out_len -= (size_t)wrote;
	}
	control->out_start = 0;
	control->said_full = false;
}

static void on_event(void *ctx, uint32_t events)
{
	struct hs_control *control = ctx;

	if (!(events & EPOLLHUP))
		control->is_hung_up = false;
	if (!read_all(control))
		return;
	write_out(control);
	if (control->out_len < ROOM_BYTES)
		control->events.on_room(control->ctx);
}

int hs_control_open(struct hs_loop *loop, const struct hs_control_events *events, void *ctx, struct hs_control **out)
{
	scoped(hs_control) struct hs_control *control = calloc(1, sizeof(*control));
	int err;

	if (!control)
		return -ENOMEM;
	control->loop = loop;
	control->events = *events;
	control->ctx = ctx;
	control->port.fd = -1;
	control->watch = HS_WATCH_NONE;
	err = hs_wire_decoder_open(on_skipped, control, &control->decoder);
	if (!err)
		*out = take(control);
	return err;
}

int hs_control_set_port(struct hs_control *control, const struct hs_port *port)
{
	int err;

	hs_loop_close(control->loop, &control->watch);
	finish_input(control);
	control->out_start = control->out_len = 0;
	control->is_hung_up = false;
	err = hs_loop_add(control->loop, &control->watch, port->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, on_event,
			  control);
	if (err)
		close(port->fd);
	else
		control->port = *port;
	return err;
}

bool hs_control_has_port(const struct hs_control *control)
{
	return control->port.fd >= 0;
}

static int make_room(struct hs_control *control, size_t more)
{
	uint8_t *grown;

	if (control->out_start) {
		memmove(control->out, control->out + control->out_start, control->out_len);
		control->out_start = 0;
	}
	if (control->out_len + more <= control->out_size)
		return 0;
	if (control->out_len + more > QUEUE_BYTES_MAX)
		return -ENOBUFS;
	grown = realloc(control->out, control->out_len + more);
	if (!grown)
		return -ENOMEM;
	control->out = grown;
	control->out_size = control->out_len + more;
	return 0;
}

void hs_control_answer(struct hs_control *control, const struct hs_wire_frame *to, enum hs_wire_type type,
		       const void *payload, size_t len)
{
	struct hs_wire_frame frame = { .type = (uint16_t)type, .seq = control->seq, .id = to->id };

	if (control->port.fd < 0 || !control->port.answers)
		return;
	if (make_room(control, sizeof(frame) + len)) {
		if (!control->said_full)
			hs_warn("the host does not read its answers: they are dropped");
		control->said_full = true;
		return;
	}
	control->seq++;
	hs_wire_seal(&frame, len ? payload : "", len);
	memcpy(control->out + control->out_len, &frame, sizeof(frame));
	if (len)
		memcpy(control->out + control->out_len + sizeof(frame), payload, len);
	control->out_len += sizeof(frame) + len;
	write_out(control);
}

size_t hs_control_queued_bytes(const struct hs_control *control)
{
	return control->out_len;
}

void hs_control_free(struct hs_control *control)
{
	if (!control)
		return;
	hs_loop_close(control->loop, &control->watch);
	hs_wire_decoder_free(control->decoder);
	free(control->out);
	free(control);
}
