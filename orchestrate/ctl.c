// SPDX-License-Identifier: GPL-2.0-only
/* The owner's side of the control socket: connections, and programs started through them. */
#include "ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "lab.h"

struct ctl_exec {
	struct ctl_exec *next;
	struct ctl_conn *conn;
	uint32_t client_id, lab_id;
	bool overflowed; /* whoever asked reads too slowly: output was lost, the program was ended */
};

struct ctl_conn {
	struct ctl_conn *next;
	struct hs_ctl *ctl;
	struct hs_link *link;
	struct ctl_exec *execs;
};

struct hs_ctl {
	struct hs_lab *lab;
	struct hs_watch listener;
	struct ctl_conn *conns;
	json_object *test;
	struct ctl_conn *tester; /* NULL once its connection has gone */
	bool serves_tests, test_runs, down_asked;
};

static void reply(struct ctl_conn *conn, int exit_code, json_object *document)
{
	struct hs_frame frame = { .type = HS_FRAME_REPLY, .value = (uint32_t)exit_code };
	const char *text = json_object_to_json_string(document);

	if (hs_link_send(conn->link, frame, text, strlen(text)))
		hs_warn("an answer on the lab's control socket could not be sent");
}

/* ---- programs ---- */

static void unlink_exec(struct ctl_exec *exec)
{
	struct ctl_exec **at = &exec->conn->execs;

	while (*at != exec)
		at = &(*at)->next;
	*at = exec->next;
}

static void on_exec_output(void *ctx, bool is_stderr, const char *bytes, size_t len)
{
	struct ctl_exec *exec = ctx;
	struct hs_frame frame = { .type = is_stderr ? HS_FRAME_EXEC_ERR : HS_FRAME_EXEC_OUT, .id = exec->client_id };

	if (hs_link_send(exec->conn->link, frame, bytes, len) != -ENOBUFS || exec->overflowed)
		return;
	exec->overflowed = true;
	hs_lab_exec_kill(exec->conn->ctl->lab, exec->lab_id, SIGKILL);
}

static void send_exit(struct ctl_conn *conn, uint32_t client_id, int status)
{
	struct hs_frame frame = { .type = HS_FRAME_EXEC_EXIT, .id = client_id, .value = (uint32_t)status };

	hs_link_send(conn->link, frame, NULL, 0);
}

static void on_exec_exit(void *ctx, int status)
{
	struct ctl_exec *exec = ctx;

	if (exec->overflowed)
		hs_err("a program's output was cut: its reader on the control socket was 64 MiB behind");
	send_exit(exec->conn, exec->client_id, status);
	unlink_exec(exec);
	free(exec);
}

static void refuse(struct ctl_conn *conn, uint32_t id, const char *why)
{
	struct hs_frame frame = { .type = HS_FRAME_EXEC_ERR, .id = id };

	hs_link_send(conn->link, frame, why, strlen(why));
	send_exit(conn, id, 1 << 8);
}

static void start_exec(struct ctl_conn *conn, const struct hs_frame *frame, const char *payload)
{
	static const struct hs_exec_ops ops = { .on_output = on_exec_output, .on_exit = on_exec_exit };
	scoped(mem) char **argv = hs_frame_unpack_argv(payload, frame->len);
	struct hs_lab *lab = conn->ctl->lab;
	struct ctl_exec *exec;
	char why[200];
	int number;

	if (!argv || !argv[0] || !argv[1]) {
		refuse(conn, frame->id, "hsbpf: no machine or no command was given\n");
		return;
	}
	number = hs_machine_number(hs_lab_config(lab)->pairs, argv[0]);
	exec = number < 0 ? NULL : calloc(1, sizeof(*exec));
	if (!exec) {
		snprintf(why, sizeof(why), "hsbpf: this lab has no machine '%s'; `hsbpf lab status` lists them\n",
			 argv[0]);
		refuse(conn, frame->id, why);
		return;
	}
	*exec = (struct ctl_exec){ .next = conn->execs, .conn = conn, .client_id = frame->id };
	if (hs_lab_exec(lab, (unsigned)number, argv + 1, 0, &ops, exec, &exec->lab_id)) {
		snprintf(why, sizeof(why), "hsbpf: %s\n", hs_log_last_error());
		refuse(conn, frame->id, why);
		free(exec);
		return;
	}
	conn->execs = exec;
}

static struct ctl_exec *find_exec(struct ctl_conn *conn, uint32_t client_id)
{
	struct ctl_exec *exec = conn->execs;

	while (exec && exec->client_id != client_id)
		exec = exec->next;
	return exec;
}

/* ---- orders ---- */

static void answer_status(struct ctl_conn *conn)
{
	scoped(json) json_object *document = json_object_new_object();
	const struct hs_lab *lab = conn->ctl->lab;
	json_object *machines;

	hs_json_add_string(document, "schema", "hsbpf.lab/1");
	hs_json_add_string(document, "lab", hs_lab_config(lab)->name);
	hs_json_add_u64(document, "owner", (uint64_t)getpid());
	hs_json_add_u64(document, "pairs", hs_lab_config(lab)->pairs);
	machines = hs_json_add_array(document, "machines");
	for (unsigned i = 0; i < hs_lab_machines(lab); i++) {
		const struct hs_machine *machine = hs_lab_machine(lab, i);
		json_object *row = hs_json_append_object(machines);

		hs_json_add_string(row, "machine", machine->name);
		hs_json_add_string(row, "state", hs_state_name(machine->state));
		hs_json_add_string(row, "detail", machine->state_text);
		hs_json_add_u64(row, "pid", (uint64_t)machine->pid);
		hs_json_add_u64(row, "restarts", machine->restarts);
		hs_json_add_string(row, "console", machine->console_path);
	}
	reply(conn, 0, document);
}

static void take_test(struct ctl_conn *conn, const char *payload)
{
	struct hs_ctl *ctl = conn->ctl;
	scoped(json) json_object *document = json_object_new_object();

	if (!ctl->serves_tests || ctl->test || ctl->test_runs) {
		hs_json_add_string(
			document, "error",
			ctl->serves_tests
				? "a test runs in this lab already: wait for its end"
				: "this lab takes no tests now: it boots still, or `hsbpf collect` runs its own in it");
		reply(conn, 1, document);
		return;
	}
	ctl->test = json_tokener_parse(payload);
	ctl->tester = conn;
}

static void on_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	struct ctl_conn *conn = ctx;
	struct ctl_exec *exec = find_exec(conn, frame->id);

	switch (frame->type) {
	case HS_FRAME_STATUS:
		answer_status(conn);
		return;
	case HS_FRAME_TEST:
		take_test(conn, payload);
		return;
	case HS_FRAME_DOWN:
		conn->ctl->down_asked = true;
		hs_info("`hsbpf lab down` asks for the end: ending well");
		hs_lab_interrupt(conn->ctl->lab);
		return;
	case HS_FRAME_EXEC:
		start_exec(conn, frame, payload);
		return;
	case HS_FRAME_EXEC_IN:
		if (exec)
			hs_lab_exec_input(conn->ctl->lab, exec->lab_id, payload, frame->len);
		return;
	case HS_FRAME_EXEC_KILL:
		if (exec)
			hs_lab_exec_kill(conn->ctl->lab, exec->lab_id, (int)frame->value);
		return;
	default:
		return;
	}
}

static void free_conn(struct ctl_conn *conn)
{
	struct ctl_conn **at = &conn->ctl->conns;

	while (conn->execs) {
		struct ctl_exec *exec = conn->execs;

		conn->execs = exec->next;
		hs_lab_exec_forget(conn->ctl->lab, exec->lab_id);
		free(exec);
	}
	if (conn->ctl->tester == conn)
		conn->ctl->tester = NULL;
	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	hs_link_free(conn->link);
	free(conn);
}

static void on_close(void *ctx, const char *reason)
{
	(void)reason;
	free_conn(ctx);
}

static void on_connect(void *ctx, uint32_t events)
{
	struct hs_ctl *ctl = ctx;
	int fd = accept4(ctl->listener.fd, NULL, NULL, SOCK_CLOEXEC);
	struct ctl_conn *conn = fd < 0 ? NULL : calloc(1, sizeof(*conn));

	(void)events;
	if (!conn || hs_link_open(hs_lab_loop(ctl->lab), fd, on_frame, on_close, conn, &conn->link)) {
		free(conn);
		if (fd >= 0)
			close(fd);
		return;
	}
	conn->ctl = ctl;
	conn->next = ctl->conns;
	ctl->conns = conn;
}

int hs_ctl_open(struct hs_lab *lab, struct hs_ctl **out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	scoped(mem) struct hs_ctl *ctl = calloc(1, sizeof(*ctl));
	int err;

	if (!ctl)
		return -ENOMEM;
	ctl->lab = lab;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ctl", hs_lab_dir(lab));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
		return hs_fail(-errno, "cannot listen on %s:", address.sun_path);
	err = hs_loop_add(hs_lab_loop(lab), &ctl->listener, fd, EPOLLIN, on_connect, ctl);
	if (err)
		return err;
	take_fd(&fd);
	*out = take(ctl);
	return 0;
}

void hs_ctl_free(struct hs_ctl *ctl)
{
	if (!ctl)
		return;
	while (ctl->conns)
		free_conn(ctl->conns);
	hs_loop_close(hs_lab_loop(ctl->lab), &ctl->listener);
	json_object_put(ctl->test);
	free(ctl);
}

void hs_ctl_serve_tests(struct hs_ctl *ctl)
{
	ctl->serves_tests = true;
}

json_object *hs_ctl_take_test(struct hs_ctl *ctl)
{
	ctl->test_runs = ctl->test != NULL;
	return take(ctl->test);
}

bool hs_ctl_has_test(const struct hs_ctl *ctl)
{
	return ctl->test != NULL;
}

void hs_ctl_answer_test(struct hs_ctl *ctl, int exit_code, json_object *document)
{
	ctl->test_runs = false;
	if (ctl->tester)
		reply(ctl->tester, exit_code, document);
	ctl->tester = NULL;
}

bool hs_ctl_is_down_asked(const struct hs_ctl *ctl)
{
	return ctl->down_asked;
}
