// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raises and lowers the lab. Everything that happens is a callback on the loop that notes a state; the
 * straight-line parts wait for predicates over those states. Programs in machines are in lab_exec.c.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "crash.h"
#include "lab_internal.h"
#include "qemu.h"

#define SECOND_NS 1000000000ull
#define BOOT_LIMIT_NS(pairs) ((180 + 40 * (uint64_t)(pairs)) * SECOND_NS)
#define POKE_PERIOD_NS (SECOND_NS / 5)
#define SILENCE_LIMIT_NS (40 * SECOND_NS)
#define END_LIMIT_NS (5 * SECOND_NS)
#define RESTARTS 3u

static const struct hs_machine_ops machine_ops;

const char *hs_phase_name(enum hs_phase phase)
{
	static const char *const names[HS_PHASE_NR] = {
		[HS_PHASE_PREPARE] = "prepare",	       [HS_PHASE_NETWORK] = "network", [HS_PHASE_L1] = "boot l1",
		[HS_PHASE_MACHINES] = "boot machines", [HS_PHASE_TEST] = "test",       [HS_PHASE_DOWN] = "take down",
	};

	return names[phase];
}

void hs_lab_phase_begin(struct hs_lab *lab, enum hs_phase phase)
{
	lab->phase_start_ns[phase] = hs_now_ns();
}

void hs_lab_phase_end(struct hs_lab *lab, enum hs_phase phase)
{
	lab->phase_ns[phase] += hs_now_ns() - lab->phase_start_ns[phase]; /* a phase can come again: see retry_l1() */
}

uint64_t hs_lab_phase_ns(const struct hs_lab *lab, enum hs_phase phase)
{
	return lab->phase_ns[phase];
}

/* ---- what machines say ---- */

static struct hs_machine *l2_of(struct hs_lab *lab, unsigned tenant)
{
	return &lab->machines[1 + tenant];
}

static struct hs_machine *client_of(struct hs_lab *lab, unsigned tenant)
{
	return &lab->machines[1 + lab->config.pairs + tenant];
}

static void tell_failure(struct hs_machine *machine, const char *why)
{
	scoped(mem) char *words = hs_machine_last_words(machine);

	hs_machine_set_state(machine, HS_STATE_FAILED, why);
	hs_err("%s failed: %s%s", machine->name, why, words ? words : "");
}

static void tell_gone(const struct hs_lab *lab, const struct hs_machine *machine)
{
	if (lab->config.hooks.on_gone)
		lab->config.hooks.on_gone(lab->config.hooks.ctx, machine);
}

static void on_state(struct hs_lab *lab, struct hs_machine *machine, const struct hs_frame *frame, const char *text)
{
	if (frame->value >= HS_STATE_NR)
		return;
	if (frame->value == HS_STATE_FAILED) {
		hs_lab_exec_drop_machine(lab, machine->number);
		tell_failure(machine, text);
		tell_gone(lab, machine);
		return;
	}
	hs_machine_set_state(machine, frame->value, text);
	if (frame->value == HS_STATE_RESTARTED) {
		tell_gone(lab, machine);
		machine->restarts++;
		hs_warn("%s was restarted: %s", machine->name, text);
	}
}

static void append_console(struct hs_machine *machine, const char *bytes, size_t len)
{
	if (machine->console_fd >= 0 && hs_write_all(machine->console_fd, bytes, len)) {
		hs_err("cannot write the console of %s to %s: it is cut short", machine->name, machine->console_path);
		close(machine->console_fd);
		machine->console_fd = -1;
	}
}

/* A guest may only speak for itself, and L1 for its L2s. */
static struct hs_machine *speaker(struct hs_lab *lab, struct hs_machine *link_owner, unsigned routed)
{
	if (routed == 0)
		return link_owner;
	return link_owner->number == 0 && routed <= lab->config.pairs ? l2_of(lab, routed - 1) : NULL;
}

static void on_machine_frame(void *ctx, struct hs_machine *link_owner, const struct hs_frame *frame,
			     const char *payload)
{
	struct hs_lab *lab = ctx;
	struct hs_machine *machine = speaker(lab, link_owner, frame->machine);

	if (!machine)
		return;
	if (frame->type == HS_FRAME_STATE)
		on_state(lab, machine, frame, payload);
	else if (frame->type == HS_FRAME_POKE && link_owner->number == 0)
		lab->l1_heard_ns = hs_now_ns();
	else if (frame->type == HS_FRAME_CONSOLE)
		append_console(machine, payload, frame->len);
	else
		hs_lab_exec_on_frame(lab, machine, frame, payload);
}

static int start_client(struct hs_lab *lab, struct hs_machine *machine);

static bool restart_client(struct hs_lab *lab, struct hs_machine *machine, const char *why)
{
	if (machine->kind != HS_MACHINE_CLIENT || machine->state >= HS_STATE_READY || machine->restarts >= RESTARTS)
		return false;
	machine->restarts++;
	hs_warn("%s was restarted: %s while booting", machine->name, why);
	return start_client(lab, machine) == 0;
}

/*
 * Under TCG a nested guest now and then resets its whole L1 (seen in 4 of 14 boots with two L2s booting at once, never
 * with one), or a CPU of L1 goes on in code that the kernel has meanwhile patched. Before the test nothing is lost by
 * starting again; a panic, a kill or any other end is told.
 */
static bool l1_can_be_tried(const struct hs_lab *lab, const struct hs_machine *machine, int wait_status)
{
	scoped(mem) char *words = NULL;

	if (machine->number != 0 || !lab->raising || lab->accel.l1_kvm || machine->restarts >= RESTARTS)
		return false;
	if (lab->l1_froze)
		return true;
	if (wait_status != 0 || strcmp(machine->shutdown_reason, "guest-reset") != 0)
		return false;
	words = hs_tail_lines(machine->console_path, HS_MACHINE_LAST_LINES);
	return words && !strstr(words, "Kernel panic");
}

static void on_machine_exit(void *ctx, struct hs_machine *machine, int wait_status)
{
	struct hs_lab *lab = ctx;
	char what[96], why[160];

	hs_lab_exec_drop_machine(lab, machine->number);
	tell_gone(lab, machine);
	if (lab->lowering) {
		hs_machine_set_state(machine, HS_STATE_OFF, NULL);
		return;
	}
	hs_proc_describe(wait_status, what, sizeof(what));
	snprintf(why, sizeof(why), "its %s %s%s%s%s", machine->errors_path ? "QEMU" : "process", what,
		 machine->shutdown_reason[0] ? " (" : "", machine->shutdown_reason,
		 machine->shutdown_reason[0] ? ")" : "");
	if (restart_client(lab, machine, why))
		return;
	if (machine->number == 0 && lab->l1_froze)
		snprintf(why, sizeof(why), "it did not answer for %llu s", SILENCE_LIMIT_NS / SECOND_NS);
	lab->l1_can_be_tried = l1_can_be_tried(lab, machine, wait_status);
	if (lab->l1_can_be_tried)
		hs_machine_set_state(machine, HS_STATE_FAILED, why);
	else
		tell_failure(machine, why);
	for (unsigned tenant = 0; machine->number == 0 && tenant < lab->config.pairs; tenant++) {
		hs_lab_exec_drop_machine(lab, l2_of(lab, tenant)->number);
		hs_machine_set_state(l2_of(lab, tenant), HS_STATE_FAILED, "L1 is gone");
		tell_gone(lab, l2_of(lab, tenant));
	}
}

static const struct hs_machine_ops machine_ops = { .on_frame = on_machine_frame, .on_exit = on_machine_exit };

/* ---- open ---- */

int hs_lab_check_memory(uint64_t need_bytes, const char *what_helps)
{
	scoped(mem) char *text = NULL;
	unsigned long long free_kib = 0;
	char need[32], have[32];
	const char *line;

	if (hs_read_file("/proc/meminfo", 65536, &text, NULL))
		return 0;
	line = strstr(text, "MemAvailable:");
	if (!line || sscanf(line, "MemAvailable: %llu", &free_kib) != 1 || free_kib * 1024 >= need_bytes)
		return 0;
	return hs_fail(-ENOMEM, "too little memory: this lab needs %s, %s are available; %s make it smaller",
		       hs_format_bytes(need, sizeof(need), need_bytes),
		       hs_format_bytes(have, sizeof(have), free_kib * 1024), what_helps);
}

/* Namespaces and mounts need one, interfaces the other: said before anything is made. */
static int check_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	bool net, sys;

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	net = data[0].effective & (1u << CAP_NET_ADMIN);
	sys = data[0].effective & (1u << CAP_SYS_ADMIN);
	return net && sys ? 0
			  : hs_fail(-EPERM, "raising a lab needs %s%s%s, and this process has not: run it as root",
				    net ? "" : "CAP_NET_ADMIN", net || sys ? "" : " and ", sys ? "" : "CAP_SYS_ADMIN");
}

int hs_lab_check_host(uint64_t need_bytes, const char *what_helps)
{
	int err = check_capabilities();

	if (err)
		return err;
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return hs_fail(-EOPNOTSUPP,
			       "cannot use /dev/net/tun, and the lab's taps need it (load the module tun, or "
			       "allow the device): %s",
			       strerror(errno));
	if (!hs_proc_finds(HS_QEMU))
		return hs_fail(-ENOENT, "there is no " HS_QEMU " in PATH: install the package qemu-system-x86");
	return hs_lab_check_memory(need_bytes, what_helps);
}

static int init_machines(struct hs_lab *lab)
{
	unsigned count = hs_machine_count(lab->config.pairs);

	lab->machines = calloc(count, sizeof(*lab->machines));
	if (!lab->machines)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		struct hs_machine *machine = &lab->machines[i];
		unsigned tenant = i == 0 ? 0 : (i - 1) % lab->config.pairs;
		struct hs_pair pair = hs_pair_of(tenant);
		enum hs_machine_kind kind = i == 0		     ? HS_MACHINE_L1
					    : i <= lab->config.pairs ? HS_MACHINE_L2
								     : HS_MACHINE_CLIENT;
		const char *name = kind == HS_MACHINE_L1 ? "l1" : kind == HS_MACHINE_L2 ? pair.l2 : pair.client;
		bool is_process = kind == HS_MACHINE_CLIENT && lab->config.client_netns;

		hs_machine_init(machine, lab->loop, name, kind, &machine_ops, lab);
		machine->number = i;
		machine->tenant = tenant;
		machine->console_path = is_process ? NULL : hs_format("%s/%s.txt", lab->config.console_dir, name);
		machine->errors_path = is_process || kind == HS_MACHINE_L2
					       ? NULL
					       : hs_format("%s/%s.qemu.txt", lab->config.console_dir, name);
	}
	lab->machines_nr = count;
	return 0;
}

int hs_lab_open(struct hs_loop *loop, const struct hs_lab_config *config, struct hs_lab **out)
{
	scoped(hs_lab) struct hs_lab *lab = calloc(1, sizeof(*lab));
	int err = hs_pairs_check(config->pairs);

	if (err)
		return err;
	if (!lab)
		return -ENOMEM;
	lab->loop = loop;
	lab->config = *config;
	lab->poke = HS_WATCH_NONE;
	lab->memory = config->memory;
	hs_memory_plan(&lab->memory, config->pairs, !config->client_netns);
	err = hs_lab_name_check(config->name);
	if (!err && !config->dry_run)
		err = hs_lab_check_host(lab->memory.total_bytes, "fewer pairs or --l1-mem, --l2-mem, --client-mem");
	if (!err && !config->dry_run)
		err = hs_labdir_open(config->name, &lab->dir);
	if (!err && lab->dir && config->crash_dir)
		hs_labdir_note_crash_dir(lab->dir, config->crash_dir);
	if (!err)
		err = init_machines(lab);
	if (!err)
		*out = take(lab);
	return err;
}

/* ---- raise ---- */

static int prepare(struct hs_lab *lab)
{
	struct hs_accel_query query;
	int err = hs_images_make(lab->config.kernel, hs_labdir_path(lab->dir), lab->config.guest_trace, &lab->images);

	if (err)
		return err;
	query = (struct hs_accel_query){ .cache_dir = lab->images->cache_dir,
					 .kernel = lab->images->kernel,
					 .release = lab->images->release,
					 .initramfs = lab->images->client,
					 .work_dir = hs_labdir_path(lab->dir) };
	err = hs_accel_choose(lab->config.accel, &query, &lab->accel);
	if (!err)
		hs_info("accelerator: %s; %s",
			lab->accel.l1_kvm	? "KVM"
			: lab->accel.client_kvm ? "TCG for L1, KVM for clients"
						: "TCG",
			lab->accel.reason);
	return err;
}

static void tell_tap(struct hs_lab *lab, const struct hs_pair *pair, bool is_client)
{
	struct hs_lab_tap tap = { .name = is_client ? pair->client_tap : pair->l2_tap,
				  .netns_inum = hs_net_inum(lab->net),
				  .tenant = pair->tenant,
				  .is_client = is_client };

	tap.ifindex = hs_net_ifindex(lab->net, tap.name);
	if (lab->config.hooks.on_tap && tap.ifindex > 0)
		lab->config.hooks.on_tap(lab->config.hooks.ctx, &tap);
}

static int raise_network(struct hs_lab *lab)
{
	struct hs_net_config config = { .lab = lab->config.name,
					.client_netns = lab->config.client_netns,
					.dry_run = lab->config.dry_run };
	int err = hs_net_open(&config, &lab->net);

	for (unsigned tenant = 0; !err && tenant < lab->config.pairs; tenant++) {
		struct hs_pair pair = hs_pair_of(tenant);

		err = hs_net_add_pair(lab->net, &pair);
		if (!err && !lab->config.dry_run) {
			tell_tap(lab, &pair, false);
			tell_tap(lab, &pair, true);
		}
		if (!err)
			err = hs_net_pair_up(lab->net, &pair);
	}
	return err;
}

static int start_qemu(struct hs_lab *lab, struct hs_machine *machine, struct hs_argv *argv)
{
	scoped(mem) char *text = hs_argv_quote(argv->words);
	int err = argv->err;

	if (!err)
		hs_dbg("%s", text);
	if (!err)
		err = hs_machine_start(machine, hs_labdir_path(lab->dir), argv->words, hs_net_fd(lab->net));
	if (err)
		return err;
	hs_labdir_record(lab->dir, machine->pid);
	if (lab->config.hooks.on_process)
		lab->config.hooks.on_process(lab->config.hooks.ctx, machine->pid, machine->name);
	return 0;
}

static int make_crash_memory(const struct hs_lab *lab, const struct hs_machine *machine)
{
	return lab->config.crash_dir ? hs_crash_memory_make(lab->config.crash_dir, machine->name) : 0;
}

static int start_client(struct hs_lab *lab, struct hs_machine *machine)
{
	scoped(argv) struct hs_argv argv = { 0 };
	int err;

	if (lab->config.client_netns) {
		err = hs_machine_start_process(machine, hs_net_client_fd(lab->net, machine->tenant));
		if (!err)
			hs_labdir_record(lab->dir, machine->pid);
		return err;
	}
	err = make_crash_memory(lab, machine);
	hs_lab_client_argv(lab, machine, &argv);
	return err ? err : start_qemu(lab, machine, &argv);
}

static int start_l1(struct hs_lab *lab)
{
	scoped(argv) struct hs_argv argv = { 0 };
	int err = make_crash_memory(lab, &lab->machines[0]);

	for (unsigned tenant = 0; !err && tenant < lab->config.pairs; tenant++)
		err = make_crash_memory(lab, l2_of(lab, tenant));
	hs_lab_l1_argv(lab, &argv);
	return err ? err : start_qemu(lab, &lab->machines[0], &argv);
}

/* Hands L1 its orders for one L2. */
static int order_l2(struct hs_lab *lab, unsigned tenant)
{
	struct hs_frame frame = { .type = HS_FRAME_START,
				  .machine = (uint16_t)(tenant + 1),
				  .id = RESTARTS,
				  .value = hs_pair_of(tenant).slot };
	struct hs_machine *machine = l2_of(lab, tenant);
	scoped(argv) struct hs_argv argv = { 0 };
	char payload[8192];
	int len;

	hs_lab_l2_argv(lab, tenant, &argv);
	len = argv.err ? argv.err : hs_frame_pack_argv(payload, sizeof(payload), argv.words);
	machine->console_fd = open(machine->console_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (machine->console_fd < 0)
		return hs_fail(-errno, "cannot create %s:", machine->console_path);
	return len < 0 ? len : hs_link_send(lab->machines[0].link, frame, payload, (size_t)len);
}

static bool is_settled(const struct hs_machine *machine)
{
	return machine->state == HS_STATE_READY || machine->state == HS_STATE_FAILED;
}

/* Clients boot a few at a time beside L1, so that they do not starve the machine everything waits for. */
static int start_more_clients(struct hs_lab *lab)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned limit = cpus > 3 ? (unsigned)cpus / 2 : 1, booting = 0;

	for (unsigned tenant = 0; tenant < lab->clients_started; tenant++)
		booting += !is_settled(client_of(lab, tenant));
	while (lab->clients_started < lab->config.pairs && (booting < limit || lab->config.client_netns)) {
		int err = start_client(lab, client_of(lab, lab->clients_started++));

		if (err)
			return err;
		booting++;
	}
	return 0;
}

static bool l1_is_settled(void *ctx)
{
	struct hs_lab *lab = ctx;

	return start_more_clients(lab) || is_settled(&lab->machines[0]);
}

static bool all_are_settled(void *ctx)
{
	struct hs_lab *lab = ctx;

	if (start_more_clients(lab))
		return true;
	for (unsigned i = 0; i < lab->machines_nr; i++)
		if (!is_settled(&lab->machines[i]))
			return false;
	return true;
}

/* A late L1 is the cause of all, so nobody else is blamed then. */
static int tell_late(struct hs_lab *lab)
{
	unsigned count = is_settled(&lab->machines[0]) ? lab->machines_nr : 1;

	for (unsigned i = 0; i < count; i++)
		if (!is_settled(&lab->machines[i])) {
			char why[128];

			snprintf(why, sizeof(why), "it was not ready in time, its last state is '%s'",
				 hs_state_name(lab->machines[i].state));
			tell_failure(&lab->machines[i], why);
		}
	return lab->machines[0].state == HS_STATE_READY ? 0 : -ETIMEDOUT;
}

/* What L1's QEMU says of its own command line, such as an event in --qemu-events that it does not know. */
static void tell_warnings(const struct hs_machine *machine)
{
	scoped(mem) char *text = hs_tail_lines(machine->errors_path, 8);
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		hs_warn("%s's QEMU says: %s", machine->name, line);
}

/*
 * Under TCG a CPU of L1 that enters or leaves an L2 notes a virtual interrupt where another thread of QEMU notes real
 * ones, without its lock (7.2, target/i386/tcg/sysemu/svm_helper.c): a real one is lost now and then, and an idle CPU
 * waits for its timer for ever. The next interrupt makes up for it, whatever it is; so there always is a next one.
 */
static void on_poke(void *ctx, uint32_t events)
{
	struct hs_lab *lab = ctx;

	(void)events;
	if (!lab->machines[0].link || lab->machines[0].state != HS_STATE_READY)
		return;
	if (!lab->l1_heard_ns)
		lab->l1_heard_ns = hs_now_ns();
	lab->l1_froze = hs_now_ns() - lab->l1_heard_ns > SILENCE_LIMIT_NS;
	if (lab->raising && lab->l1_froze)
		hs_machine_signal(&lab->machines[0], SIGKILL);
	else
		hs_link_send(lab->machines[0].link, (struct hs_frame){ .type = HS_FRAME_POKE }, NULL, 0);
}

static int boot_l1(struct hs_lab *lab)
{
	int err = start_l1(lab);

	if (!err && !lab->accel.l1_kvm && lab->poke.fd < 0)
		err = hs_loop_timer(lab->loop, &lab->poke, POKE_PERIOD_NS, on_poke, lab);

	if (!err)
		err = hs_lab_wait(lab, l1_is_settled, lab, hs_now_ns() + BOOT_LIMIT_NS(lab->config.pairs));
	if (err == -ETIMEDOUT)
		tell_late(lab);
	if (!err && lab->machines[0].state != HS_STATE_READY)
		err = -EIO;
	if (!err)
		tell_warnings(&lab->machines[0]);
	return err;
}

static int boot_machines(struct hs_lab *lab)
{
	int err = 0, ready = 0;

	for (unsigned tenant = 0; !err && tenant < lab->config.pairs; tenant++)
		err = order_l2(lab, tenant);
	if (!err)
		err = hs_lab_wait(lab, all_are_settled, lab, hs_now_ns() + BOOT_LIMIT_NS(lab->config.pairs));
	if (err == -ETIMEDOUT)
		err = tell_late(lab);
	for (unsigned tenant = 0; tenant < lab->config.pairs; tenant++)
		ready += hs_lab_pair_is_ready(lab, tenant);
	return err ? err : ready ? 0 : hs_fail(-EIO, "no pair of machines got ready");
}

static int print_commands(struct hs_lab *lab)
{
	int err = raise_network(lab);

	for (unsigned i = 0; !err && i < lab->machines_nr; i++) {
		scoped(argv) struct hs_argv argv = { 0 };
		scoped(mem) char *text = NULL;
		struct hs_machine *machine = &lab->machines[i];

		if (machine->kind == HS_MACHINE_CLIENT && lab->config.client_netns)
			continue;
		if (machine->kind == HS_MACHINE_L1)
			hs_lab_l1_argv(lab, &argv);
		else if (machine->kind == HS_MACHINE_L2)
			hs_lab_l2_argv(lab, machine->tenant, &argv);
		else
			hs_lab_client_argv(lab, machine, &argv);
		text = hs_argv_quote(argv.words);
		err = argv.err;
		if (machine->kind == HS_MACHINE_L2)
			printf("# in l1: %s\n", text);
		else
			printf("ip netns exec hsbpf-%s %s\n", lab->config.name, text);
	}
	return err;
}

/* Makes L1 and its L2s as if they had never run; clients go on. */
static void retry_l1(struct hs_lab *lab)
{
	struct hs_machine *l1 = &lab->machines[0];

	hs_warn("l1 was restarted: %s while its machines booted", l1->state_text);
	lab->l1_can_be_tried = lab->l1_froze = false;
	lab->l1_heard_ns = 0;
	l1->restarts++;
	hs_machine_set_state(l1, HS_STATE_OFF, NULL);
	for (unsigned tenant = 0; tenant < lab->config.pairs; tenant++) {
		struct hs_machine *l2 = l2_of(lab, tenant);

		hs_machine_set_state(l2, HS_STATE_OFF, NULL);
		if (l2->console_fd >= 0)
			close(l2->console_fd);
		l2->console_fd = -1;
	}
	if (lab->config.hooks.on_l1_restart)
		lab->config.hooks.on_l1_restart(lab->config.hooks.ctx);
}

typedef int (*phase_fn)(struct hs_lab *lab);

int hs_lab_raise(struct hs_lab *lab)
{
	static const struct {
		enum hs_phase phase;
		phase_fn run;
	} steps[] = {
		{ HS_PHASE_PREPARE, prepare },
		{ HS_PHASE_NETWORK, raise_network },
		{ HS_PHASE_L1, boot_l1 },
		{ HS_PHASE_MACHINES, boot_machines },
	};

	if (lab->config.dry_run)
		return print_commands(lab);
	lab->raising = true;
	for (size_t i = 0; i < HS_ARRAY_SIZE(steps); i++) {
		int err;

		hs_lab_phase_begin(lab, steps[i].phase);
		err = steps[i].run(lab);
		hs_lab_phase_end(lab, steps[i].phase);
		if (err && lab->l1_can_be_tried && !lab->interrupted) {
			retry_l1(lab);
			i = HS_PHASE_L1 - 1; /* steps stand in the order of the phases */
			continue;
		}
		if (err)
			return err;
		hs_dbg("%s took %.1f s", hs_phase_name(steps[i].phase), (double)lab->phase_ns[steps[i].phase] / 1e9);
	}
	lab->raising = false;
	return 0;
}

void hs_lab_interrupt(struct hs_lab *lab)
{
	lab->interrupted = true;
}

struct lab_wait {
	struct hs_lab *lab;
	hs_loop_done done;
	void *ctx;
};

static bool wait_is_over(void *ctx)
{
	const struct lab_wait *wait = ctx;

	return wait->lab->interrupted || wait->done(wait->ctx) || wait->lab->machines[0].state == HS_STATE_FAILED;
}

int hs_lab_wait(struct hs_lab *lab, hs_loop_done done, void *ctx, uint64_t deadline_ns)
{
	struct lab_wait wait = { lab, done, ctx };
	int err = hs_loop_until(lab->loop, wait_is_over, &wait, deadline_ns);

	if (err)
		return err;
	if (lab->interrupted)
		return -EINTR;
	return lab->machines[0].state == HS_STATE_FAILED ? -EIO : 0;
}

/* ---- lower ---- */

static bool all_have_ended(void *ctx)
{
	struct hs_lab *lab = ctx;

	for (unsigned i = 0; i < lab->machines_nr; i++)
		if (lab->machines[i].pid)
			return false;
	return true;
}

void hs_lab_stop(struct hs_lab *lab)
{
	if (lab->lowering)
		return;
	lab->lowering = true;
	hs_lab_phase_begin(lab, HS_PHASE_DOWN);
	for (unsigned i = 0; i < lab->machines_nr; i++)
		hs_machine_signal(&lab->machines[i], SIGTERM); /* QEMU flushes its log and ends */
	hs_loop_until(lab->loop, all_have_ended, lab, hs_now_ns() + END_LIMIT_NS);
	for (unsigned i = 0; i < lab->machines_nr; i++) {
		hs_machine_clear(&lab->machines[i]); /* kills what did not listen */
		if (lab->machines[i].state == HS_STATE_READY)
			hs_machine_set_state(&lab->machines[i], HS_STATE_OFF, NULL); /* an L2 goes with its L1 */
	}
}

void hs_lab_lower(struct hs_lab *lab)
{
	if (lab->lowered)
		return;
	lab->lowered = true;
	hs_loop_close(lab->loop, &lab->poke);
	hs_lab_stop(lab);
	hs_net_free(take(lab->net));
	hs_lab_phase_end(lab, HS_PHASE_DOWN);
}

void hs_lab_free(struct hs_lab *lab)
{
	if (!lab)
		return;
	if (lab->machines)
		hs_lab_lower(lab);
	hs_lab_exec_clear(lab);
	hs_net_free(lab->net);
	hs_images_free(lab->images);
	hs_labdir_free(lab->dir);
	free(lab->machines);
	free(lab);
}

/* ---- what it is ---- */

struct hs_loop *hs_lab_loop(struct hs_lab *lab)
{
	return lab->loop;
}

const struct hs_lab_config *hs_lab_config(const struct hs_lab *lab)
{
	return &lab->config;
}

unsigned hs_lab_machines(const struct hs_lab *lab)
{
	return lab->machines_nr;
}

const struct hs_machine *hs_lab_machine(const struct hs_lab *lab, unsigned number)
{
	return &lab->machines[number];
}

bool hs_lab_pair_is_ready(const struct hs_lab *lab, unsigned tenant)
{
	return lab->machines[1 + tenant].state == HS_STATE_READY &&
	       lab->machines[1 + lab->config.pairs + tenant].state == HS_STATE_READY;
}

const char *hs_lab_dir(const struct hs_lab *lab)
{
	return hs_labdir_path(lab->dir);
}

struct hs_net *hs_lab_net(struct hs_lab *lab)
{
	return lab->net;
}

const struct hs_accel_answer *hs_lab_accel(const struct hs_lab *lab)
{
	return &lab->accel;
}

const char *hs_lab_kernel_release(const struct hs_lab *lab)
{
	return lab->images ? lab->images->release : "";
}
