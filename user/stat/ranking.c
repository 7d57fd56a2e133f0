// SPDX-License-Identifier: GPL-2.0-only
/* Adds the table's lines up by VM or vCPU, and prints a line of each. */
#include "stat/ranking.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *hs_stat_sort_text(enum hs_stat_sort sort)
{
	static const char *const texts[] = { "exits", "exit time", "kicks", "packets" };

	return texts[sort];
}

/* Rows are few compared with the lines that look for theirs, which come in runs of the same thread. */
static struct hs_stat_rank *rank_of(const struct hs_stat_report *report, struct hs_stat_ranking *ranking, uint32_t tgid,
				    uint32_t tid)
{
	struct hs_stat_rank *ranks;

	for (size_t i = ranking->rank_nr; i-- > 0;) {
		if (ranking->ranks[i].tgid == tgid && ranking->ranks[i].tid == tid)
			return &ranking->ranks[i];
	}
	ranks = reallocarray(ranking->ranks, ranking->rank_nr + 1, sizeof(*ranks));
	if (!ranks)
		return NULL;
	ranking->ranks = ranks;
	ranks += ranking->rank_nr++;
	*ranks = (struct hs_stat_rank){ .tgid = tgid, .tid = tid, .vcpu_id = HS_STAT_VCPU_UNKNOWN };
	if (tid)
		ranks->vcpu_id = hs_stat_monitor_vcpu_id(report->monitor, tgid, tid);
	return ranks;
}

static void add_line(struct hs_stat_rank *rank, uint16_t kind, const struct hs_stat_sums *sums)
{
	switch (kind) {
	case HS_STAT_EXIT:
		rank->exits += sums->count;
		rank->exit_ns += sums->total_ns;
		break;
	case HS_STAT_USER:
		rank->user_exits += sums->count;
		break;
	case HS_STAT_PIO:
	case HS_STAT_MMIO:
	case HS_STAT_MSR:
		rank->accesses += sums->count;
		break;
	case HS_STAT_VIRQ:
		rank->interrupts += sums->count;
		break;
	default:
		break;
	}
}

static int add_lines(const struct hs_stat_report *report, bool by_vcpu, struct hs_stat_ranking *ranking)
{
	const struct hs_stat_table *table = &report->monitor->table;

	for (size_t i = 0; i < table->line_nr; i++) {
		const struct hs_stat_line *line = table->lines[i];
		const struct hs_stat_sums *sums = report->is_total ? &line->total : &line->interval;
		struct hs_stat_rank *rank;

		if (!sums->count)
			continue;
		rank = rank_of(report, ranking, line->tgid, by_vcpu ? line->key.tid : 0);
		if (!rank)
			return -ENOMEM;
		if (!*rank->name)
			snprintf(rank->name, sizeof(rank->name), "%s",
				 hs_stat_monitor_vm_name(report->monitor, line->tgid, line->key.tid));
		add_line(rank, line->key.kind, sums);
	}
	return 0;
}

/* Threads that live, or did when the time began: an idle VM is shown too. */
static int add_vcpus(const struct hs_stat_report *report, bool by_vcpu, struct hs_stat_ranking *ranking)
{
	const struct hs_stat_table *table = &report->monitor->table;

	for (size_t i = 0; i < table->vcpu_nr; i++) {
		const struct hs_stat_vcpu_line *vcpu = table->vcpus[i];
		const struct hs_stat_vcpu_sums *sums = report->is_total ? &vcpu->total : &vcpu->interval;
		struct hs_stat_rank *rank;

		if (vcpu->has_ended && !sums->cpu_ns && !sums->switches)
			continue;
		rank = rank_of(report, ranking, vcpu->tgid, by_vcpu ? vcpu->tid : 0);
		if (!rank)
			return -ENOMEM;
		if (!*rank->name)
			snprintf(rank->name, sizeof(rank->name), "%s",
				 hs_stat_monitor_vm_name(report->monitor, vcpu->tgid, vcpu->tid));
		rank->vcpu_nr++;
		rank->guest_ns += sums->guest_ns;
		rank->cpu_ns += sums->cpu_ns;
		rank->wait_ns += sums->wait_ns;
		rank->has_entries = rank->has_entries || vcpu->total.entries;
	}
	return 0;
}

static int add_vhosts(const struct hs_stat_report *report, struct hs_stat_ranking *ranking)
{
	const struct hs_stat_table *table = &report->monitor->table;

	for (size_t i = 0; i < table->vhost_nr; i++) {
		const struct hs_stat_vhost_line *vhost = table->vhosts[i];
		const struct hs_stat_vhost *sums = report->is_total ? &vhost->total : &vhost->interval;
		struct hs_stat_rank *rank;

		if (!sums->tx_kicks && !sums->rx_kicks)
			continue;
		rank = rank_of(report, ranking, vhost->tgid, 0);
		if (!rank)
			return -ENOMEM;
		if (!*rank->name)
			snprintf(rank->name, sizeof(rank->name), "%s",
				 hs_stat_monitor_vm_name(report->monitor, vhost->tgid, vhost->tgid));
		rank->kicks += sums->tx_kicks + sums->rx_kicks;
	}
	return 0;
}

/* To the VM that holds the tap; a tap that nobody here holds stands for itself. */
static int add_taps(const struct hs_stat_report *report, struct hs_stat_ranking *ranking)
{
	const struct hs_stat_table *table = &report->monitor->table;

	for (size_t i = 0; i < table->tap_nr; i++) {
		const struct hs_stat_tap_line *tap = table->taps[i];
		const struct hs_tap_value *sums = report->is_total ? &tap->total : &tap->interval;
		uint32_t tgid = hs_stat_monitor_tap_owner(report->monitor, &tap->key);
		struct hs_stat_rank *rank;

		if (!sums->to_guest_packets && !sums->from_guest_packets)
			continue;
		rank = rank_of(report, ranking, tgid, tgid ? 0 : tap->key.ifindex);
		if (!rank)
			return -ENOMEM;
		if (!*rank->name)
			snprintf(rank->name, sizeof(rank->name), "%s",
				 hs_stat_monitor_tap_name(report->monitor, &tap->key));
		rank->packets += sums->to_guest_packets + sums->from_guest_packets - sums->refused_packets;
		rank->refused += sums->refused_packets;
	}
	return 0;
}

static uint64_t sort_key(const struct hs_stat_rank *rank, enum hs_stat_sort sort)
{
	switch (sort) {
	case HS_STAT_SORT_TIME:
		return rank->exit_ns;
	case HS_STAT_SORT_KICKS:
		return rank->kicks;
	case HS_STAT_SORT_PACKETS:
		return rank->packets;
	default:
		return rank->exits;
	}
}

/* Largest first; where the key says nothing, by exits, user exits and number. */
static int compare_ranks(const void *left, const void *right, void *ctx)
{
	const struct hs_stat_rank *a = left, *b = right;
	enum hs_stat_sort sort = *(enum hs_stat_sort *)ctx;
	const uint64_t keys[][2] = {
		{ sort_key(a, sort), sort_key(b, sort) },
		{ a->exits, b->exits },
		{ a->user_exits, b->user_exits },
		{ b->tgid, a->tgid },
		{ b->tid, a->tid },
	};

	for (size_t i = 0; i < HS_ARRAY_SIZE(keys); i++) {
		if (keys[i][0] != keys[i][1])
			return keys[i][0] > keys[i][1] ? -1 : 1;
	}
	return 0;
}

static void add_sum(struct hs_stat_rank *sum, const struct hs_stat_rank *rank)
{
	sum->vcpu_nr += rank->vcpu_nr;
	sum->has_entries = sum->has_entries || rank->has_entries;
	sum->exits += rank->exits;
	sum->exit_ns += rank->exit_ns;
	sum->user_exits += rank->user_exits;
	sum->accesses += rank->accesses;
	sum->interrupts += rank->interrupts;
	sum->kicks += rank->kicks;
	sum->packets += rank->packets;
	sum->refused += rank->refused;
}

int hs_stat_ranking_make(const struct hs_stat_report *report, bool by_vcpu, struct hs_stat_ranking *ranking)
{
	enum hs_stat_sort sort = report->sort;
	int err;

	ranking->rank_nr = 0;
	ranking->sum = (struct hs_stat_rank){ 0 };
	err = add_vcpus(report, by_vcpu, ranking);
	if (!err)
		err = add_lines(report, by_vcpu, ranking);
	if (!err)
		err = add_vhosts(report, ranking);
	if (!err)
		err = add_taps(report, ranking);
	if (err)
		return err;
	if (ranking->rank_nr) /* else there is no array */
		qsort_r(ranking->ranks, ranking->rank_nr, sizeof(*ranking->ranks), compare_ranks, &sort);
	for (size_t i = 0; i < ranking->rank_nr; i++)
		add_sum(&ranking->sum, &ranking->ranks[i]);
	return 0;
}

void hs_stat_ranking_clear(struct hs_stat_ranking *ranking)
{
	free(ranking->ranks);
	*ranking = (struct hs_stat_ranking){ 0 };
}

/* ---- text ---- */

#define FORMAT "%-20.20s %5s %10s %7s %10s %10s %10s %10s %10s %7s %7s %7s"

const char *hs_stat_rank_head(char *text, size_t text_bytes)
{
	snprintf(text, text_bytes, FORMAT, "VM", "vCPU", "exits/s", "in exit", "user/s", "access/s", "irq/s", "kicks/s",
		 "packets/s", "on CPU", "steal", "guest");
	return text;
}

struct cell {
	char text[24];
};

static const char *rate_text(const struct hs_stat_report *report, bool is_known, uint64_t count, struct cell *cell)
{
	double rate = (double)count * 1e9 / (double)hs_stat_report_duration_ns(report);

	if (!is_known)
		strcpy(cell->text, "-");
	else
		snprintf(cell->text, sizeof(cell->text), "%.*f", rate < 100 ? 1 : 0, rate);
	return cell->text;
}

static const char *share_text(const struct hs_stat_report *report, bool is_known, uint64_t ns, struct cell *cell)
{
	if (!is_known)
		strcpy(cell->text, "-");
	else
		snprintf(cell->text, sizeof(cell->text), "%.1f%%",
			 (double)ns * 100.0 / (double)hs_stat_report_duration_ns(report));
	return cell->text;
}

const char *hs_stat_rank_format(const struct hs_stat_report *report, const struct hs_stat_rank *rank, char *text,
				size_t text_bytes)
{
	struct cell cells[11];
	bool is_tap = !rank->tgid, is_vcpu = rank->tgid && rank->tid;

	if (is_tap)
		strcpy(cells[0].text, "tap");
	else if (is_vcpu && rank->vcpu_id == HS_STAT_VCPU_UNKNOWN)
		strcpy(cells[0].text, "?");
	else /* of a VM: how many */
		snprintf(cells[0].text, sizeof(cells[0].text), "%s%" PRIu32, is_vcpu ? "" : "x",
			 is_vcpu ? rank->vcpu_id : rank->vcpu_nr);
	snprintf(text, text_bytes, FORMAT, rank->name, cells[0].text,
		 rate_text(report, rank->has_entries, rank->exits, &cells[1]),
		 share_text(report, rank->has_entries, rank->exit_ns, &cells[2]),
		 rate_text(report, !is_tap, rank->user_exits, &cells[3]),
		 rate_text(report, !is_tap, rank->accesses, &cells[4]),
		 rate_text(report, !is_tap, rank->interrupts, &cells[5]),
		 rate_text(report, !is_tap && !is_vcpu, rank->kicks, &cells[6]),
		 rate_text(report, !is_vcpu, rank->packets, &cells[7]),
		 share_text(report, !is_tap, rank->cpu_ns, &cells[8]),
		 share_text(report, !is_tap, rank->wait_ns, &cells[9]),
		 share_text(report, rank->has_entries, rank->guest_ns, &cells[10]));
	return text;
}

const char *hs_stat_ranking_summary(const struct hs_stat_report *report, const struct hs_stat_ranking *ranking,
				    char *text, size_t text_bytes)
{
	const struct hs_stat_rank *sum = &ranking->sum;
	struct cell cells[4];

	snprintf(text, text_bytes,
		 "%" PRIu32 " vCPU%s: %s exits/s, %s user exits/s, %s interrupts/s, %s packets/s; by %s", sum->vcpu_nr,
		 sum->vcpu_nr == 1 ? "" : "s", rate_text(report, true, sum->exits, &cells[0]),
		 rate_text(report, true, sum->user_exits, &cells[1]),
		 rate_text(report, true, sum->interrupts, &cells[2]), rate_text(report, true, sum->packets, &cells[3]),
		 hs_stat_sort_text(report->sort));
	return text;
}
