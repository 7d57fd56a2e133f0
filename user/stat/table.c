// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of what was counted. The kernel's sums only grow while a thread lives and begin at 0 with the next thread
 * of that number, so every snapshot adds its difference to the one before.
 */
#include "stat/table.h"

#include <errno.h>
#include <search.h>
#include <string.h>

/* ---- sums ---- */

void hs_stat_bucket_range(uint32_t bucket, uint64_t *from_ns, uint64_t *to_ns)
{
	const uint32_t sub_nr = 1u << HS_STAT_SUB_BITS;
	uint32_t shift;

	if (bucket < sub_nr) {
		*from_ns = bucket;
		*to_ns = bucket + 1;
		return;
	}
	shift = (bucket >> HS_STAT_SUB_BITS) - 1;
	*from_ns = (uint64_t)(sub_nr + bucket % sub_nr) << shift;
	*to_ns = *from_ns + (1ull << shift);
}

uint64_t hs_stat_sums_percentile(const struct hs_stat_sums *sums, double percent)
{
	uint64_t wanted = (uint64_t)((double)sums->timed * percent / 100.0), seen = 0, from, to, middle;

	if (!sums->buckets || !sums->timed)
		return 0;
	if (wanted >= sums->timed)
		return sums->max_ns;
	for (uint32_t i = 0; i < HS_STAT_BUCKET_NR; i++) {
		seen += sums->buckets[i];
		if (seen <= wanted)
			continue;
		hs_stat_bucket_range(i, &from, &to);
		middle = from + (to - from) / 2;
		return middle < sums->max_ns ? middle : sums->max_ns;
	}
	return sums->max_ns;
}

static int add_buckets(struct hs_stat_sums *sums)
{
	if (!sums->buckets)
		sums->buckets = calloc(HS_STAT_BUCKET_NR, sizeof(*sums->buckets));
	return sums->buckets ? 0 : -ENOMEM;
}

int hs_stat_sums_add(struct hs_stat_sums *sums, const struct hs_stat_sums *more)
{
	sums->count += more->count;
	sums->total_ns += more->total_ns;
	sums->timed += more->timed;
	if (more->max_ns > sums->max_ns)
		sums->max_ns = more->max_ns;
	if (!more->buckets)
		return 0;
	if (add_buckets(sums))
		return -ENOMEM;
	for (uint32_t i = 0; i < HS_STAT_BUCKET_NR; i++)
		sums->buckets[i] += more->buckets[i];
	return 0;
}

void hs_stat_sums_clear(struct hs_stat_sums *sums)
{
	free(sums->buckets);
	*sums = (struct hs_stat_sums){ 0 };
}

static void zero(struct hs_stat_sums *sums)
{
	uint64_t *buckets = sums->buckets;

	if (buckets)
		memset(buckets, 0, HS_STAT_BUCKET_NR * sizeof(*buckets));
	*sums = (struct hs_stat_sums){ .buckets = buckets };
}

/* A row is read while its thread writes it: a sum may be seen one event earlier than the one beside it. */
static uint64_t grown(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

/*
 * The longest of an interval is known when the longest of all time rose in it; else only that it lies in the highest
 * bucket that grew.
 */
static uint64_t interval_max(const struct hs_stat_sums *delta, uint64_t now_max, uint64_t last_max)
{
	uint64_t from, to;

	if (now_max > last_max)
		return now_max;
	for (uint32_t i = HS_STAT_BUCKET_NR; i-- > 0;) {
		if (!delta->buckets[i])
			continue;
		hs_stat_bucket_range(i, &from, &to);
		return to - 1 < now_max ? to - 1 : now_max;
	}
	return 0;
}

static int add_time(struct hs_stat_line *line, const struct hs_stat_time *now)
{
	uint64_t buckets[HS_STAT_BUCKET_NR];
	struct hs_stat_sums delta = { .buckets = buckets };

	if (add_buckets(&line->last))
		return -ENOMEM;
	delta.count = grown(now->count, line->last.count);
	delta.total_ns = grown(now->total_ns, line->last.total_ns);
	for (uint32_t i = 0; i < HS_STAT_BUCKET_NR; i++) {
		buckets[i] = grown(now->buckets[i], line->last.buckets[i]);
		delta.timed += buckets[i];
		line->last.buckets[i] = now->buckets[i];
	}
	delta.max_ns = interval_max(&delta, now->max_ns, line->last.max_ns);
	line->last.count = now->count;
	line->last.total_ns = now->total_ns;
	line->last.max_ns = now->max_ns;
	if (hs_stat_sums_add(&line->interval, &delta))
		return -ENOMEM;
	return hs_stat_sums_add(&line->total, &delta);
}

static void add_count(struct hs_stat_line *line, uint64_t now)
{
	uint64_t delta = grown(now, line->last.count);

	line->interval.count += delta;
	line->total.count += delta;
	line->last.count = now;
}

/* ---- lines ---- */

#define ORDER(a, b) ((a) < (b) ? -1 : (a) > (b))

static int compare_lines(const void *left, const void *right)
{
	const struct hs_stat_line *a = left, *b = right;
	int order = ORDER(a->tgid, b->tgid);

	return order ? order : memcmp(&a->key, &b->key, sizeof(a->key));
}

static int compare_vcpus(const void *left, const void *right)
{
	const struct hs_stat_vcpu_line *a = left, *b = right;
	int order = ORDER(a->tgid, b->tgid);

	return order ? order : ORDER(a->tid, b->tid);
}

/* One more pointer at the end; room doubles. */
static int append(void ***array, size_t *nr, void *item)
{
	if (!(*nr & (*nr - 1))) { /* 0 or a power of two: full */
		void **grown_array = reallocarray(*array, *nr ? *nr * 2 : 1, sizeof(**array));

		if (!grown_array)
			return -ENOMEM;
		*array = grown_array;
	}
	(*array)[(*nr)++] = item;
	return 0;
}

static struct hs_stat_line *line_of(struct hs_stat_table *table, uint32_t tgid, const struct hs_stat_key *key)
{
	struct hs_stat_line wanted = { .tgid = tgid, .key = *key }, **found, *line;

	found = tfind(&wanted, &table->line_index, compare_lines);
	if (found)
		return *found;
	line = calloc(1, sizeof(*line));
	if (!line)
		return NULL;
	line->tgid = tgid;
	line->key = *key;
	if (append((void ***)&table->lines, &table->line_nr, line)) {
		free(line);
		return NULL;
	}
	return tsearch(line, &table->line_index, compare_lines) ? line : NULL;
}

struct hs_stat_vcpu_line *hs_stat_table_vcpu(const struct hs_stat_table *table, uint32_t tgid, uint32_t tid)
{
	struct hs_stat_vcpu_line wanted = { .tgid = tgid, .tid = tid }, **found;

	found = tfind(&wanted, &table->vcpu_index, compare_vcpus);
	return found ? *found : NULL;
}

static struct hs_stat_vcpu_line *vcpu_of(struct hs_stat_table *table, uint32_t tgid, uint32_t tid)
{
	struct hs_stat_vcpu_line *vcpu = hs_stat_table_vcpu(table, tgid, tid);

	if (vcpu)
		return vcpu;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return NULL;
	vcpu->tgid = tgid;
	vcpu->tid = tid;
	vcpu->vcpu_id = HS_STAT_VCPU_UNKNOWN;
	vcpu->has_ended = true; /* until its row is read */
	if (append((void ***)&table->vcpus, &table->vcpu_nr, vcpu)) {
		free(vcpu);
		return NULL;
	}
	return tsearch(vcpu, &table->vcpu_index, compare_vcpus) ? vcpu : NULL;
}

static struct hs_stat_tap_line *tap_of(struct hs_stat_table *table, const struct hs_tap_key *key)
{
	struct hs_stat_tap_line *tap;

	for (size_t i = 0; i < table->tap_nr; i++) {
		if (!memcmp(&table->taps[i]->key, key, sizeof(*key)))
			return table->taps[i];
	}
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return NULL;
	tap->key = *key;
	if (append((void ***)&table->taps, &table->tap_nr, tap)) {
		free(tap);
		return NULL;
	}
	return tap;
}

/* ---- snapshots ---- */

static void add_sum(uint64_t now, uint64_t *last, uint64_t *interval, uint64_t *total)
{
	uint64_t delta = grown(now, *last);

	*last = now;
	*interval += delta;
	*total += delta;
}

static void set_cpu(struct hs_stat_vcpu_line *vcpu, uint64_t cpu_ns, uint64_t wait_ns, uint64_t switches)
{
	struct hs_stat_vcpu_sums *last = &vcpu->last, *interval = &vcpu->interval, *total = &vcpu->total;

	add_sum(cpu_ns, &last->cpu_ns, &interval->cpu_ns, &total->cpu_ns);
	add_sum(wait_ns, &last->wait_ns, &interval->wait_ns, &total->wait_ns);
	add_sum(switches, &last->switches, &interval->switches, &total->switches);
}

void hs_stat_table_set_cpu(struct hs_stat_table *table, uint32_t tid, uint64_t cpu_ns, uint64_t wait_ns,
			   uint64_t switches)
{
	for (size_t i = 0; i < table->vcpu_nr; i++) {
		if (table->vcpus[i]->tid == tid && !table->vcpus[i]->has_ended)
			set_cpu(table->vcpus[i], cpu_ns, wait_ns, switches);
	}
}

/* An exit that no entry will follow any more. */
static int add_open_exit(struct hs_stat_table *table, const struct hs_stat_vcpu_row *row)
{
	struct hs_stat_key key = {
		.tid = row->tid, .kind = HS_STAT_EXIT, .detail = row->value.exit_isa, .reason = row->value.exit_reason
	};
	struct hs_stat_line *line = line_of(table, row->value.tgid, &key);

	if (!line || add_buckets(&line->interval) || add_buckets(&line->total))
		return -ENOMEM;
	line->interval.count++;
	line->total.count++;
	return 0;
}

static int update_vcpu(struct hs_stat_table *table, const struct hs_stat_vcpu_row *row, bool is_final)
{
	struct hs_stat_vcpu_line *vcpu = vcpu_of(table, row->value.tgid, row->tid);

	if (!vcpu)
		return -ENOMEM;
	if (vcpu->has_ended) {
		vcpu->last.cpu_ns = row->value.first_cpu_ns;
		vcpu->last.wait_ns = row->value.first_wait_ns;
		vcpu->last.switches = row->value.first_switches;
	}
	vcpu->has_ended = false;
	if (row->value.vcpu_id != HS_STAT_VCPU_UNKNOWN)
		vcpu->vcpu_id = row->value.vcpu_id;
	memcpy(vcpu->name, row->value.name, sizeof(vcpu->name));
	vcpu->name[sizeof(vcpu->name) - 1] = '\0';
	add_sum(row->value.guest_ns, &vcpu->last.guest_ns, &vcpu->interval.guest_ns, &vcpu->total.guest_ns);
	add_sum(row->value.entries, &vcpu->last.entries, &vcpu->interval.entries, &vcpu->total.entries);
	if (row->value.has_ended)
		set_cpu(vcpu, row->value.cpu_ns, row->value.wait_ns, row->value.switches);
	return row->value.exit_ns && (is_final || row->value.has_ended) ? add_open_exit(table, row) : 0;
}

static struct hs_stat_vhost_line *vhost_of(struct hs_stat_table *table, uint32_t tgid)
{
	struct hs_stat_vhost_line *vhost;

	for (size_t i = 0; i < table->vhost_nr; i++) {
		if (table->vhosts[i]->tgid == tgid)
			return table->vhosts[i];
	}
	vhost = calloc(1, sizeof(*vhost));
	if (!vhost)
		return NULL;
	vhost->tgid = tgid;
	if (append((void ***)&table->vhosts, &table->vhost_nr, vhost)) {
		free(vhost);
		return NULL;
	}
	return vhost;
}

static int update_vhost(struct hs_stat_table *table, const struct hs_stat_vhost_row *row)
{
	struct hs_stat_vhost_line *vhost = vhost_of(table, row->tgid);
	const struct hs_stat_vhost *now = &row->value;

	if (!vhost)
		return -ENOMEM;
#define ADD(member) add_sum(now->member, &vhost->last.member, &vhost->interval.member, &vhost->total.member)
	ADD(tx_kicks);
	ADD(rx_kicks);
	ADD(signals);
	ADD(buffers);
#undef ADD
	return 0;
}

static int update_tap(struct hs_stat_table *table, const struct hs_stat_tap_row *row)
{
	struct hs_stat_tap_line *tap = tap_of(table, &row->key);
	const struct hs_tap_value *now = &row->value;

	if (!tap)
		return -ENOMEM;
#define ADD(member) add_sum(now->member, &tap->last.member, &tap->interval.member, &tap->total.member)
	ADD(to_guest_packets);
	ADD(to_guest_bytes);
	ADD(from_guest_packets);
	ADD(from_guest_bytes);
	ADD(refused_packets);
	ADD(refused_bytes);
#undef ADD
	return 0;
}

int hs_stat_table_update(struct hs_stat_table *table, const struct hs_stat_snapshot *snapshot, bool is_final)
{
	int err = 0;

	if (!table->start_ns)
		table->start_ns = table->begin_ns = snapshot->boot_ns;
	table->end_ns = snapshot->boot_ns;
	for (size_t i = 0; i < snapshot->vcpu_nr && !err; i++)
		err = update_vcpu(table, &snapshot->vcpus[i], is_final);
	for (size_t i = 0; i < snapshot->count_nr && !err; i++) {
		struct hs_stat_line *line = line_of(table, snapshot->counts[i].value.tgid, &snapshot->counts[i].key);

		if (line)
			add_count(line, snapshot->counts[i].value.count);
		else
			err = -ENOMEM;
	}
	for (size_t i = 0; i < snapshot->time_nr && !err; i++) {
		struct hs_stat_line *line = line_of(table, snapshot->times[i].value.tgid, &snapshot->times[i].key);

		err = line ? add_time(line, &snapshot->times[i].value) : -ENOMEM;
	}
	for (size_t i = 0; i < snapshot->vhost_nr && !err; i++)
		err = update_vhost(table, &snapshot->vhosts[i]);
	for (size_t i = 0; i < snapshot->tap_nr && !err; i++)
		err = update_tap(table, &snapshot->taps[i]);
	memcpy(table->no_room, snapshot->no_room, sizeof(table->no_room));
	table->missed = snapshot->missed;
	return err;
}

void hs_stat_table_begin(struct hs_stat_table *table)
{
	table->begin_ns = table->end_ns;
	for (size_t i = 0; i < table->line_nr; i++)
		zero(&table->lines[i]->interval);
	for (size_t i = 0; i < table->vcpu_nr; i++)
		table->vcpus[i]->interval = (struct hs_stat_vcpu_sums){ 0 };
	for (size_t i = 0; i < table->vhost_nr; i++)
		table->vhosts[i]->interval = (struct hs_stat_vhost){ 0 };
	for (size_t i = 0; i < table->tap_nr; i++)
		table->taps[i]->interval = (struct hs_tap_value){ 0 };
}

void hs_stat_table_forget(struct hs_stat_table *table, uint32_t tid)
{
	for (size_t i = 0; i < table->line_nr; i++) {
		if (table->lines[i]->key.tid == tid)
			zero(&table->lines[i]->last);
	}
	for (size_t i = 0; i < table->vcpu_nr; i++) {
		if (table->vcpus[i]->tid != tid)
			continue;
		table->vcpus[i]->has_ended = true;
		table->vcpus[i]->last = (struct hs_stat_vcpu_sums){ 0 };
	}
}

void hs_stat_table_forget_vhost(struct hs_stat_table *table, uint32_t tgid)
{
	for (size_t i = 0; i < table->vhost_nr; i++) {
		if (table->vhosts[i]->tgid == tgid)
			table->vhosts[i]->last = (struct hs_stat_vhost){ 0 };
	}
}

void hs_stat_table_forget_tap(struct hs_stat_table *table, const struct hs_tap_key *key)
{
	for (size_t i = 0; i < table->tap_nr; i++) {
		if (!memcmp(&table->taps[i]->key, key, sizeof(*key)))
			table->taps[i]->last = (struct hs_tap_value){ 0 };
	}
}

uint64_t hs_stat_table_uncounted(const struct hs_stat_table *table)
{
	uint64_t sum = table->missed;

	for (size_t i = 0; i < HS_STAT_NO_ROOM_NR; i++) {
		if (i != HS_STAT_NO_ROOM_THREAD) /* its events have rows all the same */
			sum += table->no_room[i];
	}
	return sum;
}

static void leave(void *item)
{
	(void)item; /* the arrays own the lines */
}

void hs_stat_table_clear(struct hs_stat_table *table)
{
	tdestroy(table->line_index, leave);
	tdestroy(table->vcpu_index, leave);
	for (size_t i = 0; i < table->line_nr; i++) {
		hs_stat_sums_clear(&table->lines[i]->interval);
		hs_stat_sums_clear(&table->lines[i]->total);
		hs_stat_sums_clear(&table->lines[i]->last);
		free(table->lines[i]);
	}
	for (size_t i = 0; i < table->vcpu_nr; i++)
		free(table->vcpus[i]);
	for (size_t i = 0; i < table->vhost_nr; i++)
		free(table->vhosts[i]);
	for (size_t i = 0; i < table->tap_nr; i++)
		free(table->taps[i]);
	free(table->lines);
	free(table->vcpus);
	free(table->vhosts);
	free(table->taps);
	*table = (struct hs_stat_table){ 0 };
}
