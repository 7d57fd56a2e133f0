// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the logs, makes tenants of their devices, and writes the trace in its order. Called by `hsbpf trace-gen`. One
 * thread.
 */
#include "hyper/gen.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "hyper/gen_internal.h"
#include "hyper/gen_series.h"

static void generator_scoped(struct hs_gen *gen)
{
	for (uint32_t i = 0; i < gen->log_nr; i++)
		hs_ingest_result_clear(&gen->logs[i]);
	for (uint32_t i = 0; gen->takers && i < gen->tenant_nr; i++)
		hs_gen_cursor_close(&gen->takers[i].cursor);
	free(gen->logs);
	free(gen->sources);
	free(gen->origins);
	free(gen->tenants);
	free(gen->takers);
	hs_gen_spool_free(gen->spool);
}

/* ---- logs ---------------------------------------------------------------------------------------- */

static int check_format(const struct hs_gen *gen, const struct hs_gen_series *series, uint32_t log)
{
	if (gen->logs[log].format == gen->logs[0].format)
		return 0;
	return hs_fail(-EINVAL, "the logs have mixed formats: %s has %s, %s has %s", series->paths[0],
		       hs_ingest_format_name(gen->logs[0].format), series->paths[log],
		       hs_ingest_format_name(gen->logs[log].format));
}

/* Of files that have a size: one that comes through a pipe is not known before its end. */
static uint64_t bytes_of(const struct hs_gen_series *series)
{
	uint64_t bytes = 0;
	struct stat st;

	for (uint32_t i = 0; i < series->path_nr; i++)
		bytes += stat(series->paths[i], &st) ? 0 : (uint64_t)st.st_size;
	return bytes;
}

static int read_logs(struct hs_gen *gen, const struct hs_gen_series *series)
{
	struct hs_ingest_config config = {
		.spool = gen->spool,
		.walks = gen->config->walks,
		.packet_translations = gen->config->packet_translations,
		.keeps_order = gen->config->order == HS_DMATRACE_ORIG,
		.accepts_truncated = gen->config->accepts_truncated,
	};
	int err;

	gen->logs = calloc(series->path_nr, sizeof(*gen->logs));
	gen->sources = calloc(series->path_nr, sizeof(*gen->sources));
	if (!gen->logs || !gen->sources)
		return -ENOMEM;
	hs_gen_watch_begin(&gen->watch, "logs read", bytes_of(series));
	for (uint32_t i = 0; i < series->path_nr; i++) {
		config.source = i;
		err = hs_ingest_log(&config, series->paths[i], &gen->watch, &gen->logs[i]);
		if (err)
			return err;
		gen->log_nr++;
		gen->sources[i] = gen->logs[i].source;
		gen->origin_nr += gen->logs[i].device_nr;
		err = check_format(gen, series, i);
		if (err)
			return err;
	}
	return 0;
}

/* ---- tenants ------------------------------------------------------------------------------------- */

/* Every device with a packet, log after log. */
static int list_origins(struct hs_gen *gen)
{
	gen->origins = calloc(gen->origin_nr, sizeof(*gen->origins));
	if (!gen->origins)
		return -ENOMEM;
	gen->origin_nr = 0;
	for (uint32_t log = 0; log < gen->log_nr; log++)
		for (uint32_t i = 0; i < gen->logs[log].device_nr; i++)
			if (gen->logs[log].devices[i].packets)
				gen->origins[gen->origin_nr++] = (struct hs_gen_origin){
					.device = &gen->logs[log].devices[i], .source = log, .device_index = i
				};
	return 0;
}

static uint64_t packets_of(const struct hs_gen *gen, const struct hs_ingest_device *device)
{
	uint64_t cut = gen->config->cut_packets;

	return cut && cut < device->packets ? cut : device->packets;
}

/* Tenant i uses origin i; those beyond use the origins again, each user of one beginning elsewhere in its stream. */
static void make_tenant(struct hs_gen *gen, uint32_t i)
{
	uint32_t origin = i % gen->origin_nr, turn = i / gen->origin_nr;
	uint32_t users = (gen->tenant_nr - origin - 1) / gen->origin_nr + 1;
	const struct hs_ingest_device *device = gen->origins[origin].device;
	struct hs_dmatrace_tenant *tenant = &gen->tenants[i];
	struct hs_gen_taker *taker = &gen->takers[i];

	tenant->context_high = device->context_high;
	tenant->context_low = device->context_low;
	tenant->phase_packets = (uint64_t)((unsigned __int128)device->packets * turn / users);
	tenant->source = gen->origins[origin].source;
	tenant->copy_of = origin;
	tenant->sid = device->sid;
	tenant->domain = device->domain;
	tenant->epochs = device->epochs;
	tenant->levels = device->levels;
	tenant->flags =
		(uint8_t)((turn ? HS_DMATRACE_IS_COPY : 0) | (device->levels_guessed ? HS_DMATRACE_LEVELS_GUESSED : 0));
	taker->device = device;
	taker->phase = tenant->phase_packets;
	taker->left = packets_of(gen, device);
	gen->is_cut |= taker->left < device->packets;
}

/* Buffers of all cursors together: 64 MiB, or 1 KiB each. */
static uint32_t cursor_records(uint32_t tenant_nr)
{
	uint32_t records = (64u << 20) / (uint32_t)sizeof(struct hs_dmatrace_record) / tenant_nr;

	if (records > HS_GEN_CHUNK_RECORDS)
		return HS_GEN_CHUNK_RECORDS;
	return records < 64 ? 64 : records;
}

static int make_tenants(struct hs_gen *gen)
{
	gen->tenant_nr = gen->config->tenants ? gen->config->tenants : gen->origin_nr;
	if (gen->tenant_nr > gen->origin_nr && gen->config->order == HS_DMATRACE_ORIG)
		return hs_fail(-EINVAL,
			       "--order orig has a place for the %u tenants of the logs only, not for %u: give --order "
			       "rr or rand",
			       gen->origin_nr, gen->tenant_nr);
	gen->tenants = calloc(gen->tenant_nr, sizeof(*gen->tenants));
	gen->takers = calloc(gen->tenant_nr, sizeof(*gen->takers));
	if (!gen->tenants || !gen->takers)
		return -ENOMEM;
	for (uint32_t i = 0; i < gen->tenant_nr; i++) {
		int err;

		make_tenant(gen, i);
		err = hs_gen_cursor_open(&gen->takers[i].cursor, gen->spool, gen->takers[i].device->stream,
					 cursor_records(gen->tenant_nr));
		if (err)
			return err;
		hs_gen_cursor_seek(&gen->takers[i].cursor, gen->takers[i].phase);
	}
	for (uint32_t i = gen->tenant_nr; i < gen->origin_nr; i++) {
		gen->sources[gen->origins[i].source].ignored[HS_DMATRACE_IGNORED_TENANT] +=
			gen->origins[i].device->translations;
		gen->is_cut = true;
	}
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static void tell_reuse(const struct hs_gen *gen)
{
	if (gen->tenant_nr > gen->origin_nr)
		hs_info("%u tenants from %u in the logs: each is used again, up to %u times, from different packets on",
			gen->tenant_nr, gen->origin_nr, (gen->tenant_nr - 1) / gen->origin_nr + 1);
	if (gen->tenant_nr < gen->origin_nr)
		hs_info("%u of the %u tenants in the logs are left out", gen->origin_nr - gen->tenant_nr,
			gen->origin_nr);
}

static int write_trace(struct hs_gen *gen)
{
	const struct hs_gen_config *config = gen->config;
	struct hs_dmatrace_header header = {
		.source_nr = gen->log_nr,
		.tenant_nr = gen->tenant_nr,
		.order = config->order,
		.burst = config->order == HS_DMATRACE_ORIG ? 0 : config->burst,
		.packet_rule = config->packet_translations,
		.flags = gen->is_cut || config->cut_first ? HS_DMATRACE_CUT : 0,
		.seed = config->order == HS_DMATRACE_RAND ? config->seed : 0,
		.cut_packets = config->cut_packets,
	};
	scoped(hs_dmatrace_writer) struct hs_dmatrace_writer *writer = NULL;
	int err = hs_dmatrace_writer_open(config->output, &header, &writer);

	if (!err)
		err = hs_gen_interleave(gen, writer);
	if (!err)
		err = hs_dmatrace_writer_finish(writer, gen->sources, gen->tenants, NULL);
	return err;
}

/* Before anything is read: the trace takes the place of what has its name. */
static int check_output(const char *output, const struct hs_gen_series *series)
{
	scoped(mem) char *target = NULL;
	struct stat written, log;
	int err = hs_dmatrace_find_target(output, &target);

	if (err || stat(target, &written) < 0)
		return err;
	for (uint32_t i = 0; i < series->path_nr; i++)
		if (!stat(series->paths[i], &log) && log.st_dev == written.st_dev && log.st_ino == written.st_ino)
			return hs_fail(-EINVAL, "the trace %s would take the place of the log %s: give it another name",
				       output, series->paths[i]);
	return 0;
}

int hs_gen_write(const struct hs_gen_config *config)
{
	scoped(generator) struct hs_gen gen = { .config = config };
	scoped(hs_gen_series) struct hs_gen_series *series = NULL;
	int err = hs_gen_series_find(config->prefix, &series);

	if (!err)
		err = check_output(config->output, series);

	if (!err)
		err = hs_gen_spool_open(config->output, &gen.spool);
	if (!err)
		err = read_logs(&gen, series);
	if (!err)
		err = list_origins(&gen);
	if (!err)
		err = make_tenants(&gen);
	if (err)
		return err;
	tell_reuse(&gen);
	return write_trace(&gen);
}
