// SPDX-License-Identifier: GPL-2.0-only
/*
 * The orders of a trace: takes packets from the tenants' streams in turn, by lot, or as their log had them. Called by
 * the generator once the streams are complete. One thread.
 */
#include <errno.h>
#include <string.h>

#include "hyper/gen_internal.h"
#include "migtools/random.h"

#define GIANT_CLASS 2

/* ---- one tenant ---------------------------------------------------------------------------------- */

static bool is_giant(const struct hs_ingest_giants *giants, uint64_t frame)
{
	for (uint32_t i = 0; i < giants->nr && giants->frames[i] <= frame; i++)
		if (giants->frames[i] == frame)
			return true;
	return false;
}

static void put_record(struct hs_dmatrace_writer *writer, const struct hs_gen_taker *taker, uint32_t tenant,
		       const struct hs_dmatrace_record *from)
{
	struct hs_dmatrace_record record = *from;
	const struct hs_ingest_giants *giants = &taker->device->giants;

	record.b |= tenant;
	if (giants->nr && hs_dmatrace_size_class(&record) == GIANT_CLASS - 1 &&
	    is_giant(giants, hs_dmatrace_slpte(&record) & HS_DMATRACE_FRAME_MASK)) {
		record.a &= ~(3ULL << HS_DMATRACE_SIZE_SHIFT);
		record.a |= (uint64_t)GIANT_CLASS << HS_DMATRACE_SIZE_SHIFT;
	}
	hs_dmatrace_writer_put(writer, &record);
}

/* From the stream's end to its begin; what was translated at the end may be another's at the begin. */
static void wrap(struct hs_gen_taker *taker, uint32_t tenant, struct hs_dmatrace_writer *writer)
{
	struct hs_dmatrace_record record = hs_dmatrace_make_invalidation(tenant, HS_DMATRACE_INV_CONTEXT, 0, 0);

	taker->phase = 0;
	hs_gen_cursor_seek(&taker->cursor, 0);
	if (taker->device->epochs > 1 || taker->device->invalidations)
		hs_dmatrace_writer_put(writer, &record);
}

/* Its next packet, with the invalidations before it and behind it; false when there was none. */
static bool put_packet(struct hs_gen_taker *taker, uint32_t tenant, struct hs_dmatrace_writer *writer)
{
	const struct hs_dmatrace_record *record;
	bool has_packet = false;

	if (!taker->left)
		return false;
	for (;;) {
		record = hs_gen_cursor_peek(&taker->cursor);
		if (!record && taker->phase && (!has_packet || taker->left > 1)) {
			wrap(taker, tenant, writer);
			continue;
		}
		if (!record || (has_packet && hs_dmatrace_is_first(record)))
			break;
		has_packet |= hs_dmatrace_is_first(record);
		put_record(writer, taker, tenant, record);
		taker->cursor.at++;
	}
	taker->left = has_packet ? taker->left - 1 : 0;
	return has_packet;
}

/* True: it has run out now. */
static bool put_burst(struct hs_gen *gen, uint32_t tenant, struct hs_dmatrace_writer *writer)
{
	struct hs_gen_taker *taker = &gen->takers[tenant];

	for (uint32_t i = 0; i < gen->config->burst && put_packet(taker, tenant, writer); i++)
		hs_gen_watch_add(&gen->watch, 1);
	if (!taker->left)
		hs_dmatrace_writer_mark_end(writer);
	return !taker->left;
}

/* ---- orders -------------------------------------------------------------------------------------- */

/* Round after round; who has run out leaves, the others keep their places. */
static void go_round(struct hs_gen *gen, uint32_t *alive, struct hs_dmatrace_writer *writer)
{
	uint32_t nr = gen->tenant_nr;

	while (nr) {
		uint32_t kept = 0;

		for (uint32_t i = 0; i < nr; i++) {
			alive[kept] = alive[i];
			kept += !put_burst(gen, alive[i], writer);
		}
		if (kept < nr && gen->config->cut_first)
			return;
		nr = kept;
	}
}

static void draw_lots(struct hs_gen *gen, uint32_t *alive, struct hs_dmatrace_writer *writer)
{
	uint64_t state = gen->config->seed;
	uint32_t nr = gen->tenant_nr;

	while (nr) {
		uint32_t drawn = (uint32_t)hs_random_below(&state, nr);

		if (!put_burst(gen, alive[drawn], writer))
			continue;
		if (gen->config->cut_first)
			return;
		alive[drawn] = alive[--nr];
	}
}

/* Tenants are the first of the origins, so an origin's index is its tenant's. */
static int replay_log(struct hs_gen *gen, uint32_t log, uint32_t first_origin, struct hs_dmatrace_writer *writer)
{
	uint32_t tenant_of[HS_INGEST_DEVICES_MAX];
	const struct hs_dmatrace_record *record;
	struct hs_gen_cursor order = { 0 };
	int err = hs_gen_cursor_open(&order, gen->spool, gen->logs[log].order_stream, HS_GEN_CHUNK_RECORDS);

	if (err)
		return err;
	memset(tenant_of, 0xff, sizeof(tenant_of));
	for (uint32_t i = first_origin; i < gen->tenant_nr && gen->origins[i].source == log; i++)
		tenant_of[gen->origins[i].device_index] = i;
	while ((record = hs_gen_cursor_peek(&order))) {
		uint32_t tenant = tenant_of[hs_dmatrace_iova(record)];

		order.at++;
		if (tenant == UINT32_MAX || !put_packet(&gen->takers[tenant], tenant, writer))
			continue;
		hs_gen_watch_add(&gen->watch, 1);
		if (gen->takers[tenant].left)
			continue;
		hs_dmatrace_writer_mark_end(writer);
		if (gen->config->cut_first)
			break;
	}
	hs_gen_cursor_close(&order);
	return 0;
}

static int replay_logs(struct hs_gen *gen, struct hs_dmatrace_writer *writer)
{
	uint32_t origin = 0;

	for (uint32_t log = 0; log < gen->log_nr; log++) {
		int err = replay_log(gen, log, origin, writer);

		if (err)
			return err;
		while (origin < gen->origin_nr && gen->origins[origin].source == log)
			origin++;
	}
	return 0;
}

int hs_gen_interleave(struct hs_gen *gen, struct hs_dmatrace_writer *writer)
{
	scoped(mem) uint32_t *alive = calloc(gen->tenant_nr, sizeof(*alive));
	uint64_t packets = 0;
	int err = 0;

	if (!alive)
		return -ENOMEM;
	for (uint32_t i = 0; i < gen->tenant_nr; i++) {
		alive[i] = i;
		packets += gen->takers[i].left;
	}
	hs_gen_watch_begin(&gen->watch, "trace written", packets);
	if (gen->config->order == HS_DMATRACE_RR)
		go_round(gen, alive, writer);
	else if (gen->config->order == HS_DMATRACE_RAND)
		draw_lots(gen, alive, writer);
	else
		err = replay_logs(gen, writer);
	return err ? err : hs_gen_spool_error(gen->spool);
}
