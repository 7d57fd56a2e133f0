// SPDX-License-Identifier: GPL-2.0-only
/* QMP over a socket that QEMU connects to. Objects are parsed incrementally by json-c. */
#include "qmp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/scoped.h"

#define REPLY_LIMIT_NS 30000000000u

struct hs_qmp {
	struct hs_loop *loop;
	struct hs_watch watch;
	int fd;
	json_tokener *tokener;
	hs_qmp_on_event on_event;
	void *ctx;
	uint64_t last_id, awaited_id; /* of calls; awaited 0: none */
	bool has_oob;
	bool is_gone, is_calling, is_freed; /* freed: by a callback during a call, which ends it */
	json_object *reply;
	char refusal[256];
};

static void on_error(struct hs_qmp *qmp, bool is_awaited, json_object *error)
{
	if (!is_awaited) {
		hs_warn("QEMU refused a QMP command: %s", json_object_get_string(error));
		return;
	}
	snprintf(qmp->refusal, sizeof(qmp->refusal), "%s", hs_json_get_string(error, "desc"));
}

/* A reply carries the id of its command; what was only sent has none. */
static void on_reply(struct hs_qmp *qmp, json_object *object)
{
	uint64_t id = hs_json_get_u64(object, "id");
	bool is_awaited = id && id == qmp->awaited_id;
	json_object *member;

	if (json_object_object_get_ex(object, "error", &member))
		on_error(qmp, is_awaited, member);
	else if (is_awaited && json_object_object_get_ex(object, "return", &member))
		qmp->reply = json_object_get(member);
	if (is_awaited)
		qmp->awaited_id = 0;
}

static uint64_t time_of(json_object *event)
{
	return hs_json_get_u64(event, "timestamp.seconds") * 1000000u +
	       hs_json_get_u64(event, "timestamp.microseconds");
}

/* Out of band is asked for where it is offered: from QEMU 3.0 on, on sockets. */
static void negotiate(struct hs_qmp *qmp, json_object *greeting)
{
	static const char with_oob[] = "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}\n";
	json_object *offered = hs_json_get(greeting, "capabilities");

	for (size_t i = 0; json_object_is_type(offered, json_type_array) && i < json_object_array_length(offered); i++)
		qmp->has_oob |= !strcmp(json_object_get_string(json_object_array_get_idx(offered, i)), "oob");
	if (qmp->has_oob)
		hs_write_all(qmp->fd, with_oob, sizeof(with_oob) - 1);
	else
		hs_qmp_send(qmp, "qmp_capabilities");
}

static void on_object(struct hs_qmp *qmp, json_object *object)
{
	json_object *member, *data = NULL;

	if (json_object_object_get_ex(object, "QMP", &member)) {
		negotiate(qmp, member);
		qmp->on_event(qmp->ctx, "QMP", member, 0);
	} else if (json_object_object_get_ex(object, "event", &member)) {
		json_object_object_get_ex(object, "data", &data);
		qmp->on_event(qmp->ctx, json_object_get_string(member), data, time_of(object));
	} else {
		on_reply(qmp, object);
	}
}

static void on_input(void *ctx, uint32_t events)
{
	struct hs_qmp *qmp = ctx;
	char bytes[8192];
	ssize_t got = read(qmp->fd, bytes, sizeof(bytes));
	ssize_t used = 0;

	(void)events;
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		qmp->is_gone = true;
		hs_loop_remove(qmp->loop, &qmp->watch); /* QEMU has gone: its exit is seen elsewhere */
		return;
	}
	while (used < got) {
		json_object *object = json_tokener_parse_ex(qmp->tokener, bytes + used, (int)(got - used));

		used += (ssize_t)json_tokener_get_parse_end(qmp->tokener);
		if (!object) {
			if (json_tokener_get_error(qmp->tokener) == json_tokener_continue)
				return;
			hs_warn("QEMU sent something on its QMP socket that is not JSON");
			json_tokener_reset(qmp->tokener);
			return;
		}
		on_object(qmp, object);
		json_object_put(object);
	}
}

int hs_qmp_open(struct hs_loop *loop, int fd, hs_qmp_on_event on_event, void *ctx, struct hs_qmp **out)
{
	scoped(mem) struct hs_qmp *qmp = calloc(1, sizeof(*qmp));
	int err;

	if (!qmp)
		return -ENOMEM;
	*qmp = (struct hs_qmp){ .loop = loop, .watch = HS_WATCH_NONE, .fd = fd, .on_event = on_event, .ctx = ctx };
	qmp->tokener = json_tokener_new();
	if (!qmp->tokener)
		return -ENOMEM;
	err = hs_loop_add(loop, &qmp->watch, fd, EPOLLIN, on_input, qmp);
	if (err) {
		json_tokener_free(qmp->tokener);
		return err;
	}
	*out = take(qmp);
	return 0;
}

void hs_qmp_free(struct hs_qmp *qmp)
{
	if (!qmp)
		return;
	hs_loop_remove(qmp->loop, &qmp->watch);
	if (qmp->is_calling) {
		qmp->is_gone = qmp->is_freed = true;
		return;
	}
	close(qmp->fd);
	json_tokener_free(qmp->tokener);
	json_object_put(qmp->reply);
	free(qmp);
}

int hs_qmp_send(struct hs_qmp *qmp, const char *command)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);

	return send(qmp->fd, text, (size_t)len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static bool is_answered(void *ctx)
{
	const struct hs_qmp *qmp = ctx;

	return !qmp->awaited_id || qmp->is_gone;
}

/* {verb: command, "arguments": arguments, "id": id} and a newline. */
static int send_call(struct hs_qmp *qmp, const char *verb, const char *command, json_object *arguments)
{
	scoped(json) json_object *object = json_object_new_object();
	const char *text;
	scoped(mem) char *line = NULL;

	hs_json_add_string(object, verb, command);
	if (arguments)
		json_object_object_add(object, "arguments", arguments);
	hs_json_add_u64(object, "id", ++qmp->last_id);
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	line = hs_format("%s\n", text);
	if (!line)
		return -ENOMEM;
	qmp->awaited_id = qmp->last_id;
	return hs_write_all(qmp->fd, line, strlen(line));
}

static int call(struct hs_qmp *qmp, const char *verb, const char *command, json_object *arguments, json_object **result)
{
	int err;

	qmp->refusal[0] = '\0';
	qmp->is_calling = true;
	err = send_call(qmp, verb, command, arguments);
	if (!err)
		err = hs_loop_until(qmp->loop, is_answered, qmp, hs_now_ns() + REPLY_LIMIT_NS);
	if (err == -ETIMEDOUT)
		hs_err("QEMU did not answer the QMP command %s in 30 s", command);
	if (!err && qmp->awaited_id)
		err = -EPIPE;
	qmp->awaited_id = 0;
	qmp->is_calling = false;
	if (qmp->is_freed) {
		hs_qmp_free(qmp);
		return -EPIPE;
	}
	if (!err && !qmp->reply)
		err = -EREMOTEIO;
	if (!err && result)
		*result = take(qmp->reply);
	json_object_put(qmp->reply);
	qmp->reply = NULL;
	return err;
}

int hs_qmp_call(struct hs_qmp *qmp, const char *command, json_object *arguments, json_object **result)
{
	return call(qmp, "execute", command, arguments, result);
}

int hs_qmp_call_urgent(struct hs_qmp *qmp, const char *command, json_object *arguments, json_object **result)
{
	return call(qmp, qmp->has_oob ? "exec-oob" : "execute", command, arguments, result);
}

const char *hs_qmp_refusal(const struct hs_qmp *qmp)
{
	return qmp->refusal;
}
