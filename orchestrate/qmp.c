// SPDX-License-Identifier: GPL-2.0-only
/* QMP over a socket that QEMU connects to. Objects are parsed incrementally by json-c. */
#include "qmp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scoped.h"

struct hs_qmp {
	struct hs_loop *loop;
	struct hs_watch watch;
	int fd;
	json_tokener *tokener;
	hs_qmp_on_event on_event;
	void *ctx;
};

static void on_object(struct hs_qmp *qmp, json_object *object)
{
	json_object *member, *data = NULL;

	if (json_object_object_get_ex(object, "QMP", &member)) {
		hs_qmp_send(qmp, "qmp_capabilities");
		qmp->on_event(qmp->ctx, "QMP", member);
	} else if (json_object_object_get_ex(object, "event", &member)) {
		json_object_object_get_ex(object, "data", &data);
		qmp->on_event(qmp->ctx, json_object_get_string(member), data);
	} else if (json_object_object_get_ex(object, "error", &member)) {
		hs_warn("QEMU refused a QMP command: %s", json_object_get_string(member));
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
	close(qmp->fd);
	json_tokener_free(qmp->tokener);
	free(qmp);
}

int hs_qmp_send(struct hs_qmp *qmp, const char *command)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);

	return send(qmp->fd, text, (size_t)len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
