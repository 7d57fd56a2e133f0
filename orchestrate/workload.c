// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the test: servers first, each tells when it listens, then all clients at once. A side is one program;
 * its stdout goes to a file and, bounded, to memory for the result.
 */
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/argv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"

#define PORT 5201
#define SECOND_NS 1000000000ull
#define START_LIMIT_NS (120 * SECOND_NS) /* for all servers to listen, on a loaded machine */
#define END_LIMIT_NS (120 * SECOND_NS)	 /* beyond the test's own seconds */
#define OUTPUT_MAX (16u << 20)

struct hs_workload_test {
	const char *name, *suffix;
	uint16_t port; /* the server listens there; 0: there is no server */
	void (*server_argv)(struct hs_argv *argv, const struct hs_workload_config *config, const struct hs_pair *pair);
	void (*client_argv)(struct hs_argv *argv, const struct hs_workload_config *config, const struct hs_pair *pair);
	bool (*parse)(const char *output, struct hs_workload_result *result);
};

static void iperf3_server(struct hs_argv *argv, const struct hs_workload_config *config, const struct hs_pair *pair)
{
	(void)config, (void)pair;
	hs_argv_add_words(argv, "iperf3 -s -1 -J -p");
	hs_argv_add(argv, "%d", PORT);
}

static void iperf3_client(struct hs_argv *argv, const struct hs_workload_config *config, const struct hs_pair *pair)
{
	hs_argv_add_words(argv, "iperf3 -J --connect-timeout 30000");
	hs_argv_add_pair(argv, "-c", "%s", pair->l2_ip);
	hs_argv_add_pair(argv, "-p", "%d", PORT);
	hs_argv_add_pair(argv, "-t", "%u", config->seconds);
	if (config->iperf3_args)
		hs_argv_add_words(argv, config->iperf3_args);
}

static void iperf3_udp_client(struct hs_argv *argv, const struct hs_workload_config *config, const struct hs_pair *pair)
{
	iperf3_client(argv, config, pair);
	hs_argv_add_words(argv, "-u -b 50M");
}

static void ping_client(struct hs_argv *argv, const struct hs_workload_config *config, const struct hs_pair *pair)
{
	hs_argv_add_words(argv, "busybox ping");
	hs_argv_add_pair(argv, "-c", "%u", config->seconds > 0 ? config->seconds : 1);
	hs_argv_add(argv, "%s", pair->l2_ip);
}

static const struct hs_workload_test tests[] = {
	{ "iperf3", "json", PORT, iperf3_server, iperf3_client, hs_workload_parse_iperf3 },
	{ "iperf3-udp", "json", PORT, iperf3_server, iperf3_udp_client, hs_workload_parse_iperf3 },
	{ "ping", "txt", 0, NULL, ping_client, hs_workload_parse_ping },
	{ "none", "txt", 0, NULL, NULL, NULL },
};

static const char *const names[] = { "iperf3", "iperf3-udp", "ping", "none", NULL };

const char *const *hs_workload_names(void)
{
	return names;
}

const char *hs_workload_name(const struct hs_workload_test *test)
{
	return test->name;
}

const struct hs_workload_test *hs_workload_find(const char *name)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(tests); i++)
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	hs_err("--test '%s': there is no such test; the tests are iperf3, iperf3-udp, ping and none", name);
	return NULL;
}

/* ---- one run of it ---- */

struct side {
	struct job *job;
	const char *machine;
	uint32_t exec_id;
	bool started, ready, ended;
	int status;
	char *path;
	int fd;
	char *text; /* what was printed, for the result */
	size_t len;
	char errors[200]; /* the end of stderr */
};

struct job {
	struct run *run;
	bool used;
	struct hs_pair pair;
	struct side server, client;
	struct hs_workload_result *result;
};

struct run {
	struct hs_lab *lab;
	const struct hs_workload_config *config;
	struct job jobs[HS_PAIRS_MAX];
	unsigned pairs;
};

static void on_side_ready(void *ctx)
{
	((struct side *)ctx)->ready = true;
}

static void keep_text(struct side *side, const char *bytes, size_t len)
{
	char *grown = side->len + len < OUTPUT_MAX ? realloc(side->text, side->len + len + 1) : NULL;

	if (!grown)
		return; /* the file has it all; the result will say that the report is not whole */
	memcpy(grown + side->len, bytes, len);
	side->len += len;
	grown[side->len] = '\0';
	side->text = grown;
}

static void on_side_output(void *ctx, bool is_stderr, const char *bytes, size_t len)
{
	struct side *side = ctx;

	if (is_stderr) {
		snprintf(side->errors, sizeof(side->errors), "%.*s", (int)len, bytes);
		side->errors[strcspn(side->errors, "\n")] = '\0';
		return;
	}
	keep_text(side, bytes, len);
	if (side->fd >= 0 && hs_write_all(side->fd, bytes, len)) {
		hs_err("cannot write %s: it is cut short", side->path);
		close(side->fd);
		side->fd = -1;
	}
}

static void on_side_exit(void *ctx, int status)
{
	struct side *side = ctx;

	side->ended = true;
	side->status = status;
}

static int open_output(struct side *side, const struct hs_workload_config *config)
{
	side->path = hs_format("%s/%s.%s", config->out_dir, side->machine, config->test->suffix);
	side->fd = side->path ? open(side->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	return side->fd < 0 ? hs_fail(-errno, "cannot create %s:", side->path ? side->path : "a file") : 0;
}

static int start_side(struct side *side, unsigned machine, struct hs_argv *argv, uint16_t port)
{
	static const struct hs_exec_ops ops = { on_side_ready, on_side_output, on_side_exit };
	int err = argv->err ? argv->err : open_output(side, side->job->run->config);

	if (!err)
		err = hs_lab_exec(side->job->run->lab, machine, argv->words, port, &ops, side, &side->exec_id);
	side->started = !err;
	side->ended = err != 0;
	side->status = err ? -1 : 0;
	return err;
}

static void start_server(struct job *job)
{
	const struct hs_workload_config *config = job->run->config;
	scoped(argv) struct hs_argv argv = { 0 };

	if (!config->test->server_argv) {
		job->server.ready = job->server.ended = true;
		return;
	}
	config->test->server_argv(&argv, config, &job->pair);
	start_side(&job->server, 1 + job->pair.tenant, &argv, config->test->port);
}

static void start_client(struct job *job)
{
	const struct hs_workload_config *config = job->run->config;
	scoped(argv) struct hs_argv argv = { 0 };

	if (!job->server.ready)
		return;
	config->test->client_argv(&argv, config, &job->pair);
	start_side(&job->client, 1 + job->run->pairs + job->pair.tenant, &argv, 0);
}

static bool all_servers_settled(void *ctx)
{
	const struct run *run = ctx;

	for (unsigned i = 0; i < run->pairs; i++)
		if (run->jobs[i].used && !run->jobs[i].server.ready && !run->jobs[i].server.ended)
			return false;
	return true;
}

static bool went_away(const struct side *side)
{
	return side->started && side->ended && side->status == -1;
}

/*
 * A server that waits for a client which has already given up will wait for ever, and a client whose server's machine
 * is gone, without a word on the wire, for minutes.
 */
static void end_orphan(struct job *job)
{
	if (job->client.ended && job->client.status != 0 && job->server.started && !job->server.ended)
		hs_lab_exec_kill(job->run->lab, job->server.exec_id, SIGTERM);
	if (went_away(&job->server) && !job->client.ended)
		hs_lab_exec_kill(job->run->lab, job->client.exec_id, SIGKILL);
}

static bool all_have_ended(void *ctx)
{
	struct run *run = ctx;
	bool all = true;

	for (unsigned i = 0; i < run->pairs; i++) {
		struct job *job = &run->jobs[i];

		if (!job->used)
			continue;
		if (job->client.started)
			end_orphan(job);
		all = all && (job->client.ended || !job->client.started) && (job->server.ended || !job->client.started);
	}
	return all;
}

static void describe_failure(const struct job *job, char *text, size_t size)
{
	const struct side *server = &job->server, *client = &job->client;
	char what[96];

	if (!server->ready)
		snprintf(text, size, "the server in %s did not get to listen%s%s", server->machine,
			 *server->errors ? ": " : "", server->errors);
	else if (!client->started)
		snprintf(text, size, "%s could not start the client", client->machine);
	else if (went_away(server) || went_away(client))
		snprintf(text, size, "%s went away during the test", went_away(server) ? server->machine : client->machine);
	else if (!client->ended)
		snprintf(text, size, "the client in %s did not end in time", client->machine);
	else
		snprintf(text, size, "the client in %s %s%s%s", client->machine,
			 hs_proc_describe(client->status, what, sizeof(what)), *client->errors ? ": " : "",
			 client->errors);
}

static void take_result(struct job *job, bool interrupted)
{
	const struct hs_workload_test *test = job->run->config->test;
	struct hs_workload_result *result = job->result;

	if (job->client.ended && job->client.text && test->parse(job->client.text, result) && job->client.status == 0)
		result->ok = true;
	else if (!*result->error)
		describe_failure(job, result->error, sizeof(result->error));
	if (!result->ok && !interrupted)
		hs_err("pair %u has no result: %s (%s to %s)", job->pair.tenant, result->error, job->pair.client,
		       job->pair.l2_ip);
}

/* The machine that is missing, L1 or L2 before the client. */
static void describe_unready(const struct hs_lab *lab, unsigned tenant, struct hs_workload_result *result)
{
	const struct hs_machine *l2 = hs_lab_machine(lab, 1 + tenant);
	const struct hs_machine *client = hs_lab_machine(lab, 1 + hs_lab_config(lab)->pairs + tenant);
	const struct hs_machine *machine = l2->state == HS_STATE_READY ? client : l2;

	snprintf(result->error, sizeof(result->error), "%s is not ready, its state is '%s'%s%s", machine->name,
		 hs_state_name(machine->state), machine->state_text[0] ? ": " : "", machine->state_text);
	hs_err("pair %u has no result: %s", tenant, result->error);
}

static void init_job(struct run *run, unsigned tenant, struct hs_workload_result *result)
{
	struct job *job = &run->jobs[tenant];

	*result = (struct hs_workload_result){ .tenant = tenant };
	*job = (struct job){ .run = run, .pair = hs_pair_of(tenant), .result = result };
	job->used = hs_lab_pair_is_ready(run->lab, tenant);
	job->server = (struct side){ .job = job, .machine = job->pair.l2, .fd = -1 };
	job->client = (struct side){ .job = job, .machine = job->pair.client, .fd = -1 };
	if (!job->used)
		describe_unready(run->lab, tenant, result);
}

static void clear_side(struct side *side)
{
	if (side->started && !side->ended)
		hs_lab_exec_forget(side->job->run->lab, side->exec_id);
	if (side->fd >= 0)
		close(side->fd);
	free(side->path);
	free(side->text);
}

static int run_both_sides(struct run *run)
{
	int err;

	for (unsigned i = 0; i < run->pairs; i++)
		if (run->jobs[i].used)
			start_server(&run->jobs[i]);
	err = hs_lab_wait(run->lab, all_servers_settled, run, hs_now_ns() + START_LIMIT_NS);
	if (err && err != -ETIMEDOUT)
		return err;
	for (unsigned i = 0; i < run->pairs; i++)
		if (run->jobs[i].used)
			start_client(&run->jobs[i]);
	err = hs_lab_wait(run->lab, all_have_ended, run, hs_now_ns() + run->config->seconds * SECOND_NS + END_LIMIT_NS);
	return err == -ETIMEDOUT ? 0 : err;
}

int hs_workload_run(struct hs_lab *lab, const struct hs_workload_config *config, struct hs_workload_result *results)
{
	scoped(mem) struct run *run = calloc(1, sizeof(*run));
	unsigned without = 0;
	int err = 0;

	if (!run)
		return -ENOMEM;
	*run = (struct run){ .lab = lab, .config = config, .pairs = hs_lab_config(lab)->pairs };
	for (unsigned i = 0; i < run->pairs; i++)
		init_job(run, i, &results[i]);
	hs_lab_phase_begin(lab, HS_PHASE_TEST);
	if (config->test->client_argv)
		err = run_both_sides(run);
	hs_lab_phase_end(lab, HS_PHASE_TEST);
	for (unsigned i = 0; i < run->pairs; i++) {
		struct job *job = &run->jobs[i];

		if (config->test->client_argv && job->used)
			take_result(job, err == -EINTR);
		else
			results[i].ok = job->used;
		without += !results[i].ok;
		clear_side(&job->server);
		clear_side(&job->client);
	}
	return err ? err : without ? -EIO : 0;
}
