// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf lab up|test|exec|console|status|down`: the parts of `collect`, one by one, on labs that stay up. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "analysis/summary.h"
#include "base/io.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cmd.h"
#include "keeper.h"
#include "lab_options.h"
#include "orchestrate/labdir.h"

struct lab_config {
	struct lab_options lab;
	struct test_options test;
	const char *name;
	bool json, all, follow;
};

#define NAME_OPTION HS_OPT(struct lab_config, name, "lab", 0, HS_OPT_STR, "NAME", "lab", "the lab's name")
#define JSON_OPTION HS_OPT(struct lab_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document")

static int refuse_operands(const char *verb, int argc, char **argv)
{
	if (!argc)
		return 0;
	hs_err("%s takes no operand, but '%s' was given", verb, argv[0]);
	return HS_EXIT_USAGE;
}

/* ---- up ---- */

static const struct hs_opt up_options[] = { LAB_OPTIONS(struct lab_config, lab), HS_OPT_END };

static void on_interrupt(void *ctx)
{
	hs_session_interrupt(*(struct hs_session **)ctx);
}

static int raise_and_serve(struct hs_session_config *config, struct hs_keeper *keeper)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_session) struct hs_session *session = NULL;
	int err = hs_loop_open(&loop);

	if (!err)
		err = hs_session_open(loop, config, &session);
	if (err)
		return err;
	err = hs_interrupt_open(loop, on_interrupt, &session);
	if (!err)
		err = hs_session_raise(session);
	if (!err && keeper) {
		hs_info("the lab '%s' is up; consoles: %s", config->lab.name, hs_session_rundir(session)->console);
		hs_keeper_detach(keeper, 0);
		err = hs_session_serve(session);
	}
	err = hs_session_finish(session, err, false);
	return err == -EINTR && hs_interrupt_signal() ? 128 + hs_interrupt_signal() : err;
}

static int run_up(void *config_ptr, int argc, char **argv)
{
	const struct lab_config *config = config_ptr;
	struct hs_session_config session = { .test = hs_workload_find("none") };
	scoped(mem) char *prefix = hs_format("hsbpf_lab_%s_vm_%u_log", config->lab.name, config->lab.l2vm);
	scoped(mem) char *events = NULL;
	struct hs_keeper keeper;
	int err = refuse_operands("lab up", argc, argv);

	if (!err)
		err = lab_options_apply(&config->lab, prefix, &session, &events);
	if (err)
		return err;
	hs_labs_sweep();
	if (config->lab.dry_run)
		return raise_and_serve(&session, NULL);
	if (hs_keeper_fork(&keeper, &err))
		return err;
	err = raise_and_serve(&session, &keeper);
	hs_keeper_end(&keeper, err == -EPERM || err == -EOPNOTSUPP ? HS_EXIT_PRIVILEGE
			       : err < 0			   ? HS_EXIT_FAILURE
								   : err);
}

const struct hs_verb cmd_lab_up = {
	.name = "lab up",
	.synopsis = "",
	.help = "raise a lab and leave it running",
	.example = "lab up --l2vm 2         raise a lab and leave it running",
	.options = up_options,
	.text = "Everything is recorded as in `hsbpf collect`, until `hsbpf lab down` ends it.",
	.config_size = sizeof(struct lab_config),
	.run = run_up,
};

/* ---- test ---- */

static const struct hs_opt test_options_rows[] = {
	NAME_OPTION,
	TEST_OPTIONS(struct lab_config, test),
	JSON_OPTION,
	HS_OPT_END,
};

static int run_test(void *config_ptr, int argc, char **argv)
{
	const struct lab_config *config = config_ptr;
	scoped(json) json_object *order = json_object_new_object();
	scoped(json) json_object *document = NULL;
	int err = refuse_operands("lab test", argc, argv);

	if (err || !hs_workload_find(config->test.test))
		return HS_EXIT_USAGE;
	hs_labs_sweep();
	hs_json_add_string(order, "test", config->test.test);
	hs_json_add_u64(order, "seconds", config->test.seconds);
	hs_json_add_string(order, "iperf3_args", config->test.iperf3_args ? config->test.iperf3_args : "");
	err = hs_ctl_ask(config->name, HS_FRAME_TEST, json_object_to_json_string(order), &document);
	if (err < 0)
		return err;
	if (!*hs_json_get_string(document, "schema")) /* refused: there is nothing to print */
		return hs_fail(-EBUSY, "%s", hs_json_get_string(document, "error"));
	if (config->json)
		printf("%s\n", json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY |
										JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		hs_summary_print(stdout, document);
	if (err) /* said where it happened, in the lab's owner, which has no terminal */
		hs_err("%s", hs_json_get_string(document, "error"));
	return err;
}

const struct hs_verb cmd_lab_test = {
	.name = "lab test",
	.synopsis = "",
	.help = "run the test in every pair of a raised lab",
	.options = test_options_rows,
	.config_size = sizeof(struct lab_config),
	.run = run_test,
};

/* ---- exec ---- */

static const struct hs_opt name_options[] = { NAME_OPTION, HS_OPT_END };

static int run_exec(void *config_ptr, int argc, char **argv)
{
	const struct lab_config *config = config_ptr;
	int first = argc > 1 && !strcmp(argv[1], "--") ? 2 : 1;

	if (argc <= first) {
		hs_err("lab exec needs a machine and a command: hsbpf lab exec l1 -- lspci");
		return HS_EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	hs_labs_sweep();
	return hs_ctl_exec(config->name, argv[0], argv + first);
}

const struct hs_verb cmd_lab_exec = {
	.name = "lab exec",
	.synopsis = "MACHINE -- COMMAND [ARG...]",
	.has_command = true,
	.options = name_options,
	.help = "run a program in a machine; its output and exit status come back",
	.text = "Machines are l1, l2-0, client-0 and so on. L1 has the host's /usr; L2s and clients have busybox and "
		"iperf3.",
	.config_size = sizeof(struct lab_config),
	.run = run_exec,
};

/* ---- console ---- */

static const struct hs_opt console_options[] = {
	NAME_OPTION,
	HS_OPT(struct lab_config, follow, "follow", 'f', HS_OPT_FLAG, NULL, NULL, "go on as it grows, until Ctrl-C"),
	HS_OPT_END,
};

static int copy_rest(int fd)
{
	char bytes[65536];
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		if (hs_write_all(STDOUT_FILENO, bytes, (size_t)got))
			return -EPIPE;
	return 0;
}

static int show_file(const char *path, bool follow)
{
	scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	scoped(fd) int watch = inotify_init1(IN_CLOEXEC);
	char events[4096];
	int err;

	if (fd < 0)
		return hs_fail(-errno, "cannot read %s:", path);
	if (follow && inotify_add_watch(watch, path, IN_MODIFY) < 0)
		return hs_fail(-errno, "cannot watch %s:", path);
	err = copy_rest(fd);
	while (!err && follow && read(watch, events, sizeof(events)) > 0)
		err = copy_rest(fd);
	return err;
}

static int run_console(void *config_ptr, int argc, char **argv)
{
	const struct lab_config *config = config_ptr;
	scoped(json) json_object *status = NULL;
	json_object *machines;
	int err;

	if (argc != 1) {
		hs_err("lab console needs one machine: hsbpf lab console l1");
		return HS_EXIT_USAGE;
	}
	hs_labs_sweep();
	err = hs_ctl_ask(config->name, HS_FRAME_STATUS, NULL, &status);
	if (err)
		return err;
	machines = hs_json_get(status, "machines");
	for (size_t i = 0; machines && i < json_object_array_length(machines); i++) {
		json_object *machine = json_object_array_get_idx(machines, i);

		if (strcmp(hs_json_get_string(machine, "machine"), argv[0]) != 0)
			continue;
		if (!*hs_json_get_string(machine, "console"))
			return hs_fail(-ENOENT, "%s is a plain process and has no console", argv[0]);
		return show_file(hs_json_get_string(machine, "console"), config->follow);
	}
	return hs_fail(-ENOENT, "the lab '%s' has no machine '%s'; `hsbpf lab status` lists them", config->name,
		       argv[0]);
}

const struct hs_verb cmd_lab_console = {
	.name = "lab console",
	.synopsis = "MACHINE",
	.help = "show what a machine wrote on its serial console",
	.options = console_options,
	.config_size = sizeof(struct lab_config),
	.run = run_console,
};

/* ---- status ---- */

static const struct hs_opt status_options[] = { JSON_OPTION, HS_OPT_END };

static void print_status(json_object *lab)
{
	json_object *machines = hs_json_get(lab, "machines");

	printf("lab %s, owner %llu, %llu pair(s)\n", hs_json_get_string(lab, "lab"),
	       (unsigned long long)hs_json_get_u64(lab, "owner"), (unsigned long long)hs_json_get_u64(lab, "pairs"));
	for (size_t i = 0; machines && i < json_object_array_length(machines); i++) {
		json_object *machine = json_object_array_get_idx(machines, i);
		const char *detail = hs_json_get_string(machine, "detail");

		printf("  %-10s %-11s %s\n", hs_json_get_string(machine, "machine"),
		       hs_json_get_string(machine, "state"), detail);
	}
}

struct status_list {
	json_object *labs;
	bool json, incomplete;
};

static void on_lab(void *ctx, const char *name, pid_t owner)
{
	struct status_list *list = ctx;
	json_object *document = NULL;

	(void)owner;
	if (hs_ctl_ask(name, HS_FRAME_STATUS, NULL, &document) < 0) {
		list->incomplete = true; /* why was said */
		return;
	}
	if (!list->json)
		print_status(document);
	json_object_array_add(list->labs, document);
}

static int run_status(void *config_ptr, int argc, char **argv)
{
	const struct lab_config *config = config_ptr;
	scoped(json) json_object *document = json_object_new_object();
	struct status_list list = { hs_json_add_array(document, "labs"), config->json, false };
	int err = refuse_operands("lab status", argc, argv);

	if (err)
		return err;
	hs_labs_sweep();
	hs_json_add_string(document, "schema", "hsbpf.labs/1");
	err = hs_labs_each(on_lab, &list);
	if (err)
		return err;
	if (config->json)
		printf("%s\n", json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY |
										JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (!list.incomplete && !json_object_array_length(list.labs))
		printf("no lab is up\n");
	return list.incomplete ? HS_EXIT_FAILURE : HS_EXIT_OK;
}

const struct hs_verb cmd_lab_status = {
	.name = "lab status",
	.synopsis = "",
	.help = "list the labs that are up and their machines' states",
	.options = status_options,
	.config_size = sizeof(struct lab_config),
	.run = run_status,
};

/* ---- down ---- */

static const struct hs_opt down_options[] = {
	NAME_OPTION,
	HS_OPT(struct lab_config, all, "all", 0, HS_OPT_FLAG, NULL, NULL, "every lab that is up"),
	HS_OPT_END,
};

static void take_down(void *ctx, const char *name, pid_t owner)
{
	int *err = ctx;
	int result = hs_ctl_down(name);

	(void)owner;
	*err = *err ? *err : result;
}

static int run_down(void *config_ptr, int argc, char **argv)
{
	const struct lab_config *config = config_ptr;
	int err = refuse_operands("lab down", argc, argv), listed;

	if (err)
		return err;
	hs_labs_sweep();
	if (!config->all)
		return hs_ctl_down(config->name);
	listed = hs_labs_each(take_down, &err);
	return listed ? listed : err;
}

const struct hs_verb cmd_lab_down = {
	.name = "lab down",
	.synopsis = "",
	.help = "take a lab down, and sweep what dead ones left behind",
	.options = down_options,
	.config_size = sizeof(struct lab_config),
	.run = run_down,
};
