// SPDX-License-Identifier: GPL-2.0-only
/*
 * `hsbpf collect`: raise the lab, run the test, bring back every log; --runs times. With --keep a child does
 * the work and stays behind with the lab (keeper.h).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "analysis/summary.h"
#include "base/io.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cmd.h"
#include "keeper.h"
#include "lab_options.h"
#include "orchestrate/labdir.h"

struct collect_config {
	struct lab_options lab;
	struct test_options test;
	uint32_t runs;
	bool keep, json, fail_on_loss;
};

static const struct hs_opt options[] = {
	LAB_OPTIONS(struct collect_config, lab),
	TEST_OPTIONS(struct collect_config, test),
	HS_OPT(struct collect_config, runs, "runs", 'r', HS_OPT_U32, "R", "1",
	       "repeat it all, machines down in between", .min = 1, .max = 100000),
	HS_OPT(struct collect_config, keep, "keep", 0, HS_OPT_FLAG, NULL, NULL,
	       "leave the lab up afterwards (`hsbpf lab down`)"),
	HS_OPT(struct collect_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print one JSON document instead of tables"),
	HS_OPT(struct collect_config, fail_on_loss, "fail-on-loss", 0, HS_OPT_FLAG, NULL, NULL,
	       "exit with 3 when an event was lost"),
	HS_OPT_END,
};

struct collect {
	const struct collect_config *config;
	struct hs_session_config session;
	struct hs_loop *loop;
	struct hs_session *current;
	json_object *runs; /* the documents */
	uint64_t lost;
};

static void on_interrupt(void *ctx)
{
	struct collect *collect = ctx;

	if (collect->current)
		hs_session_interrupt(collect->current);
}

static void report(struct collect *collect, struct hs_session *session)
{
	json_object *document = hs_session_document(session);

	collect->lost += hs_document_lost(document);
	json_object_array_add(collect->runs, json_object_get(document));
	if (!collect->config->json) {
		hs_summary_print(stdout, document);
		printf("results: %s\n         %s/\n", hs_session_rundir(session)->log, hs_session_rundir(session)->dir);
		fflush(stdout);
	}
}

/* One run. With keep the session, still up, is handed over in *kept. */
static int run_once(struct collect *collect, uint32_t number, struct hs_session **kept)
{
	scoped(hs_session) struct hs_session *session = NULL;
	int err;

	collect->session.number = number;
	err = hs_session_open(collect->loop, &collect->session, &session);
	if (err)
		return err;
	collect->current = session;
	err = hs_interrupt_signal() ? -EINTR : hs_session_raise(session);
	if (!err && !collect->config->lab.dry_run)
		err = hs_session_test(session);
	err = hs_session_finish(session, err, kept && err != -EINTR);
	if (!access(hs_session_rundir(session)->document, F_OK))
		report(collect, session); /* there is none of a dry run or of one that never started a machine */
	if (kept && !err)
		*kept = take(session);
	else
		collect->current = NULL;
	return err;
}

static int exit_code(const struct collect *collect, int err)
{
	if (err == -EINTR && hs_interrupt_signal())
		return 128 + hs_interrupt_signal();
	if (err)
		return err == -EPERM || err == -EACCES || err == -EOPNOTSUPP ? HS_EXIT_PRIVILEGE : HS_EXIT_FAILURE;
	if (collect->lost && collect->config->fail_on_loss)
		return HS_EXIT_LOST;
	return HS_EXIT_OK;
}

static void print_json(const struct collect *collect)
{
	scoped(json) json_object *document = json_object_new_object();

	hs_json_add_string(document, "schema", "hsbpf.collect/1");
	json_object_object_add(document, "runs", json_object_get(collect->runs));
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	fflush(stdout);
}

/* All folders must be free before the first machine is started: nobody wants to learn it after an hour. */
static int check_all_free(const struct collect *collect)
{
	for (uint32_t number = 0; number < collect->config->runs; number++) {
		scoped(hs_rundir) struct hs_rundir *rundir = NULL;
		int err = hs_rundir_name(collect->session.out, collect->session.prefix, number, &rundir);

		if (!err)
			err = hs_rundir_check_free(rundir);
		if (err)
			return err;
	}
	return 0;
}

static int collect_all(struct collect *collect, struct hs_keeper *keeper)
{
	struct hs_session *kept = NULL;
	int err = collect->config->lab.dry_run ? 0 : check_all_free(collect);
	uint32_t number, runs = collect->config->lab.dry_run ? 1 : collect->config->runs;

	for (number = 0; !err && number < runs; number++)
		err = run_once(collect, number, keeper && number == runs - 1 ? &kept : NULL);
	if (collect->config->json && !collect->config->lab.dry_run)
		print_json(collect);
	err = exit_code(collect, err);
	if (kept) {
		hs_keeper_detach(keeper, err);
		hs_session_serve(kept);
		hs_session_free(kept);
	}
	return err;
}

static int run_collect(struct collect *collect, struct hs_keeper *keeper)
{
	int err = hs_loop_open(&collect->loop);

	if (!err)
		err = hs_interrupt_open(collect->loop, on_interrupt, collect);
	if (!err)
		err = collect_all(collect, keeper);
	hs_interrupt_close(collect->loop);
	hs_loop_free(collect->loop);
	json_object_put(collect->runs);
	return err;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct collect_config *config = config_ptr;
	struct collect collect = { .config = config, .runs = json_object_new_array() };
	const struct hs_workload_test *test = hs_workload_find(config->test.test);
	scoped(mem) char *prefix = hs_format("hsbpf_%s_vm_%u_log", config->test.test, config->lab.l2vm);
	scoped(mem) char *events = NULL;
	struct hs_keeper keeper;
	int err;

	if (argc) {
		hs_err("collect takes no operand, but '%s' was given", argv[0]);
		return HS_EXIT_USAGE;
	}
	if (!test)
		return HS_EXIT_USAGE;
	err = lab_options_apply(&config->lab, prefix, &collect.session, &events);
	if (err)
		return err;
	collect.session.test = test;
	collect.session.log = true;
	collect.session.seconds = config->test.seconds;
	collect.session.iperf3_args = config->test.iperf3_args;
	hs_labs_sweep();
	if (!config->keep)
		return run_collect(&collect, NULL);
	if (hs_keeper_fork(&keeper, &err))
		return err;
	err = run_collect(&collect, &keeper);
	hs_keeper_end(&keeper, err);
}

const struct hs_verb cmd_collect = {
	.name = "collect",
	.synopsis = "",
	.help = "raise the nested lab, run the test in every pair, bring back every log and say what each tenant did",
	.example = "collect --l2vm 4        raise the lab, run the test, bring back every log",
	.text = "One L1 VM with a virtual IOMMU and a NIC per pair, N L2 VMs inside it that own the NICs through VFIO, "
		"and N\n"
		"clients. Everything lives in network namespaces of its own and is gone afterwards. Run X is left in\n"
		"DIR/PREFIX_<X>.txt (L1's IOMMU log as QEMU wrote it) and DIR/PREFIX_<X>/: run.json, trace/ (CTF, for "
		"babeltrace2\n"
		"and Trace Compass), console/, workload/.",
	.options = options,
	.config_size = sizeof(struct collect_config),
	.run = run,
};
