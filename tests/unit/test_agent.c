// SPDX-License-Identifier: GPL-2.0-only
/* The agent over a socket pair: programs run, their output, input and end come and go as frames. */
#include "cm.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrate/agent.h"

struct client {
	struct hs_loop *loop;
	struct hs_link *link;
	pid_t agent;
	bool is_ready, exec_ready[4], exited[4];
	int status[4];
	char out[4][4096], err[4][512];
	size_t out_bytes[4];
};

static void on_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	struct client *client = ctx;
	unsigned id = frame->id & 3;

	if (frame->type == HS_FRAME_STATE && frame->value == HS_STATE_READY)
		client->is_ready = true;
	if (frame->type == HS_FRAME_EXEC_READY)
		client->exec_ready[id] = true;
	if (frame->type == HS_FRAME_EXEC_OUT) {
		client->out_bytes[id] += frame->len;
		strncat(client->out[id], payload, sizeof(client->out[id]) - strlen(client->out[id]) - 1);
	}
	if (frame->type == HS_FRAME_EXEC_ERR)
		strncat(client->err[id], payload, sizeof(client->err[id]) - strlen(client->err[id]) - 1);
	if (frame->type == HS_FRAME_EXEC_EXIT) {
		client->exited[id] = true;
		client->status[id] = (int)frame->value;
	}
}

static void on_close(void *ctx, const char *reason)
{
	(void)ctx;
	fail_msg("the agent closed its link: %s", reason);
}

static int open_client(void **state)
{
	struct client *client = calloc(1, sizeof(*client));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	client->agent = fork();
	if (client->agent == 0) {
		close(pair[0]);
		hs_agent_serve(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	assert_int_equal(hs_loop_open(&client->loop), 0);
	assert_int_equal(hs_link_open(client->loop, pair[0], on_frame, on_close, client, &client->link), 0);
	*state = client;
	return 0;
}

static int close_client(void **state)
{
	struct client *client = *state;
	int status;

	hs_link_free(client->link); /* the agent ends when its host goes */
	assert_int_equal(waitpid(client->agent, &status, 0), client->agent);
	assert_int_equal(status, 0);
	hs_loop_free(client->loop);
	free(client);
	return 0;
}

static void run(struct client *client, uint32_t id, uint16_t port, const char *script)
{
	char *argv[] = { "sh", "-c", (char *)script, NULL }, payload[1024];
	int len = hs_frame_pack_argv(payload, sizeof(payload), argv);
	struct hs_frame frame = { .type = HS_FRAME_EXEC, .id = id, .value = port };

	assert_int_equal(hs_link_send(client->link, frame, payload, (size_t)len), 0);
}

static void wait_for(struct client *client, const bool *what)
{
	uint64_t deadline = hs_now_ns() + 20000000000ull;

	while (!*what && hs_now_ns() < deadline)
		hs_loop_step(client->loop, 1000);
	assert_true(*what);
}

static void test_output_and_status_come_back(void **state)
{
	struct client *client = *state;

	run(client, 1, 0, "echo out; echo err >&2; exit 7");
	wait_for(client, &client->exited[1]);
	assert_string_equal(client->out[1], "out\n");
	assert_string_equal(client->err[1], "err\n");
	assert_int_equal(WEXITSTATUS(client->status[1]), 7);
}

static void test_stdin_is_passed_to_its_end(void **state)
{
	struct client *client = *state;
	struct hs_frame frame = { .type = HS_FRAME_EXEC_IN, .id = 1 };
	static char bytes[200000]; /* more than a pipe holds: it must wait for its reader */

	run(client, 1, 0, "read -r line; echo \"$line\"; wc -c");
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(hs_link_send(client->link, frame, "hello\n", 6), 0);
	assert_int_equal(hs_link_send(client->link, frame, bytes, sizeof(bytes)), 0);
	assert_int_equal(hs_link_send(client->link, frame, NULL, 0), 0);
	wait_for(client, &client->exited[1]);
	assert_string_equal(client->out[1], "hello\n200000\n");
}

static void test_a_program_that_is_not_there_is_127(void **state)
{
	struct client *client = *state;
	char *argv[] = { "/no/such/program", NULL }, payload[64];
	int len = hs_frame_pack_argv(payload, sizeof(payload), argv);

	hs_link_send(client->link, (struct hs_frame){ .type = HS_FRAME_EXEC, .id = 1 }, payload, (size_t)len);
	wait_for(client, &client->exited[1]);
	assert_int_equal(WEXITSTATUS(client->status[1]), 127);
	assert_string_equal(client->err[1], "cannot run /no/such/program: No such file or directory\n");
}

static void test_a_run_can_be_killed_while_another_goes_on(void **state)
{
	struct client *client = *state;

	run(client, 1, 0, "echo started; exec cat");
	run(client, 2, 0, "read -r line; echo \"$line\"");
	while (!client->out_bytes[1])
		hs_loop_step(client->loop, 1000);
	hs_link_send(client->link, (struct hs_frame){ .type = HS_FRAME_EXEC_KILL, .id = 1, .value = SIGTERM }, NULL, 0);
	wait_for(client, &client->exited[1]);
	assert_int_equal(WTERMSIG(client->status[1]), SIGTERM);
	assert_false(client->exited[2]);
	hs_link_send(client->link, (struct hs_frame){ .type = HS_FRAME_EXEC_IN, .id = 2 }, "still here\n", 11);
	wait_for(client, &client->exited[2]);
	assert_string_equal(client->out[2], "still here\n");
}

static void test_much_output_is_whole(void **state)
{
	struct client *client = *state;

	run(client, 1, 0, "head -c 5000000 /dev/zero");
	wait_for(client, &client->exited[1]);
	assert_int_equal(client->out_bytes[1], 5000000);
}

static void test_ready_is_told_when_the_port_listens_and_not_before(void **state)
{
	struct client *client = *state;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int sock = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&address, &len), 0);
	run(client, 1, ntohs(address.sin_port), "exec cat");
	run(client, 2, 0, "true");
	wait_for(client, &client->exited[2]);
	assert_false(client->exec_ready[1]); /* bound, but nobody listens */
	assert_int_equal(listen(sock, 1), 0);
	wait_for(client, &client->exec_ready[1]);
	close(sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output_and_status_come_back, open_client, close_client),
		cmocka_unit_test_setup_teardown(test_stdin_is_passed_to_its_end, open_client, close_client),
		cmocka_unit_test_setup_teardown(test_a_program_that_is_not_there_is_127, open_client, close_client),
		cmocka_unit_test_setup_teardown(test_a_run_can_be_killed_while_another_goes_on, open_client, close_client),
		cmocka_unit_test_setup_teardown(test_much_output_is_whole, open_client, close_client),
		cmocka_unit_test_setup_teardown(test_ready_is_told_when_the_port_listens_and_not_before, open_client,
						close_client),
	};

	return RUN_TESTS("agent", tests);
}
