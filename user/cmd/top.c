// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf top`: the busiest VMs and vCPUs of this host, live on a terminal or as tables. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "cmd.h"
#include "stat/screen.h"

#define INTERVAL_MIN_NS 10000000ull

struct top_config {
	struct hs_opt_list vms, taps;
	uint64_t interval_ns;
	uint32_t count;
	int sort;
	bool batch, by_vcpu;
};

static const char *const sorts[] = { "exits", "time", "kicks", "packets", NULL };

static const struct hs_opt options[] = {
	HS_OPT(struct top_config, batch, "batch", 'b', HS_OPT_FLAG, NULL, NULL,
	       "print tables, as when stdout is no terminal"),
	HS_OPT(struct top_config, interval_ns, "interval", 'i', HS_OPT_DURATION, "TIME", "1s", "time between two"),
	HS_OPT(struct top_config, count, "count", 'n', HS_OPT_U32, "N", NULL, "end after N tables"),
	HS_OPT(struct top_config, by_vcpu, "vcpus", 0, HS_OPT_FLAG, NULL, NULL, "a line for each vCPU, not each VM"),
	HS_OPT(struct top_config, sort, "sort", 0, HS_OPT_CHOICE, "KEY", "exits", "what makes busy", .choices = sorts),
	HS_OPT(struct top_config, vms, "vm", 0, HS_OPT_LIST, "NAME|PID", NULL,
	       "only this VM: a PID, a QEMU -name or a libvirt domain; every VM unless given"),
	HS_OPT(struct top_config, taps, "tap", 0, HS_OPT_LIST, "IFACE", NULL,
	       "only packets of this interface; every tap of this network namespace unless given"),
	HS_OPT_END,
};

struct top {
	const struct top_config *config;
	struct hs_loop *loop;
	struct hs_stat_monitor *monitor;
	struct hs_watch tick, keys;
	struct hs_stat_ranking ranking;
	struct hs_screen_state state;
	bool has_screen;
	uint32_t shown;
	int err;
};

static const char *note_of(const struct top *top, char *text, size_t text_bytes)
{
	uint64_t uncounted = hs_stat_table_uncounted(&top->monitor->table);
	const struct hs_stat_rank *sum = &top->ranking.sum;

	if (uncounted)
		snprintf(text, text_bytes, "%llu events were not counted: the kernel's tables were full",
			 (unsigned long long)uncounted);
	else if (sum->user_exits && !sum->has_entries)
		snprintf(text, text_bytes, "this host's KVM enters guests without VMX or SVM: no VM exits to count");
	else
		text[0] = '\0';
	return text;
}

static void print(const struct hs_stat_report *report, const struct hs_stat_ranking *ranking, const char *note)
{
	char text[HS_STAT_RANK_TEXT_BYTES];

	printf("%s\n", hs_stat_ranking_summary(report, ranking, text, sizeof(text)));
	if (*note)
		printf("%s\n", note);
	printf("%s\n", hs_stat_rank_head(text, sizeof(text)));
	for (size_t i = 0; i < ranking->rank_nr; i++)
		printf("%s\n", hs_stat_rank_format(report, &ranking->ranks[i], text, sizeof(text)));
	putchar('\n');
	fflush(stdout);
}

/* What the table holds now, in the form and order wanted now. */
static void show(struct top *top)
{
	struct hs_stat_report report = { .monitor = top->monitor, .sort = top->state.sort };
	char note[128];

	top->err = hs_stat_ranking_make(&report, top->state.by_vcpu, &top->ranking);
	if (top->err) {
		top->state.is_over = true;
		return;
	}
	if (top->state.first && top->state.first >= top->ranking.rank_nr)
		top->state.first = top->ranking.rank_nr ? top->ranking.rank_nr - 1 : 0;
	note_of(top, note, sizeof(note));
	if (top->has_screen)
		hs_screen_draw(&report, &top->ranking, &top->state, note);
	else
		print(&report, &top->ranking, note);
}

/* A pause stops the picture: what is counted meanwhile is in the next one. */
static void on_tick(void *ctx, uint32_t events)
{
	struct top *top = ctx;

	(void)events;
	if (top->state.is_paused)
		return;
	hs_stat_table_begin(&top->monitor->table);
	top->err = hs_stat_monitor_update(top->monitor);
	if (!top->err)
		show(top);
	if (top->err || ++top->shown == top->config->count || !hs_stat_monitor_has_any_vm(top->monitor))
		top->state.is_over = true;
}

static void read_keys(struct top *top)
{
	if (top->has_screen && hs_screen_read_keys(&top->state) && !top->state.is_over)
		show(top);
}

static void on_key(void *ctx, uint32_t events)
{
	struct top *top = ctx;

	read_keys(top);
	if (events & (EPOLLHUP | EPOLLERR)) /* the terminal is gone */
		top->state.is_over = true;
}

static void on_interrupt(void *ctx)
{
	struct top *top = ctx;

	top->state.is_over = true;
}

/* Also asked after a signal: a new size comes as a key, without a readable terminal. */
static bool is_over(void *ctx)
{
	struct top *top = ctx;

	read_keys(top);
	return top->state.is_over;
}

static int open_screen(struct top *top)
{
	int err = top->config->batch ? -ENOTTY : hs_screen_open();

	if (err == -EOPNOTSUPP)
		hs_info("this terminal cannot be drawn on (TERM is '%s'): tables instead",
			getenv("TERM") ? getenv("TERM") : "");
	if (err)
		return 0;
	top->has_screen = true;
	hs_log_set_level(HS_LOG_ERR);
	return hs_loop_add(top->loop, &top->keys, STDIN_FILENO, EPOLLIN, on_key, top);
}

static int watch(struct top *top)
{
	int err = hs_loop_timer(top->loop, &top->tick, top->config->interval_ns, on_tick, top);

	if (!err)
		err = hs_interrupt_open(top->loop, on_interrupt, top);
	if (!err)
		err = open_screen(top);
	if (!err && top->has_screen)
		show(top);
	if (!err)
		err = hs_loop_until(top->loop, is_over, top, 0);
	if (top->has_screen)
		hs_screen_close();
	hs_loop_remove(top->loop, &top->keys);
	hs_loop_close(top->loop, &top->tick);
	hs_interrupt_close(top->loop);
	return err ? err : top->err;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct top_config *config = config_ptr;
	struct hs_stat_monitor_config watched = { .vms = config->vms, .taps = config->taps };
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_stat_monitor) struct hs_stat_monitor *monitor = NULL;
	struct top top = { .config = config, .tick = HS_WATCH_NONE, .keys = HS_WATCH_NONE };
	int err;

	if (argc) {
		hs_err("top takes no operand, got '%s'", argv[0]);
		return HS_EXIT_USAGE;
	}
	if (config->interval_ns < INTERVAL_MIN_NS) {
		hs_err("an interval is 10ms at least");
		return HS_EXIT_USAGE;
	}
	err = hs_loop_open(&loop);
	if (!err)
		err = hs_stat_monitor_open(&watched, &monitor);
	if (err)
		return err;
	top.loop = loop;
	top.monitor = monitor;
	top.state.sort = config->sort;
	top.state.by_vcpu = config->by_vcpu;
	err = watch(&top);
	hs_stat_ranking_clear(&top.ranking);
	return err;
}

const struct hs_verb cmd_top = {
	.name = "top",
	.synopsis = "",
	.help = "show the busiest VMs and vCPUs, live",
	.text = "Counted in the kernel as by `hsbpf stat`. Keys: q quit, s sort, v VMs or vCPUs, p pause, h help. When "
		"stdout "
		"is no terminal, or with --batch, tables are printed one after the other.",
	.options = options,
	.config_size = sizeof(struct top_config),
	.run = run,
};
