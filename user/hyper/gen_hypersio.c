// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes hypersio's files. Its translations know when their page is used next, as the model's optimum policy does.
 * Called by `hsbpf trace-gen --format hypersio`. One thread.
 */
#include "hyper/gen_hypersio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "hyper/sim_cache.h"
#include "hyper/sim_next.h"

#define BLOCK_RECORDS 16384
#define TRANSLATE_EVENT 1
#define NEVER UINT64_MAX

struct translation {
	uint32_t type;
	uint16_t sid, did;
	uint64_t iova, mask, level, slpte, next_access;
};

struct context {
	uint16_t sid;
	uint64_t high, low;
	uint16_t gen;
} __attribute__((packed));

struct table_entry {
	uint16_t did;
	uint64_t address, level, slpte, iova, table;
} __attribute__((packed));

_Static_assert(sizeof(struct translation) == 48 && sizeof(struct context) == 20 && sizeof(struct table_entry) == 42,
	       "hypersio's records");

/* ---- translations -------------------------------------------------------------------------------- */

/* The records that are invalidations: hypersio's files do not have them, and count without them. */
struct gaps {
	uint64_t *at; /* ascending */
	uint64_t nr;
};

static void gaps_scoped(struct gaps *gaps)
{
	free(gaps->at);
}

static int find_gaps(const struct hs_dmatrace *trace, struct gaps *gaps)
{
	uint64_t nr = trace->header->record_nr - trace->header->translation_nr;

	gaps->at = malloc((nr ? nr : 1) * sizeof(*gaps->at));
	if (!gaps->at)
		return -ENOMEM;
	for (uint64_t i = 0; nr && i < trace->header->record_nr; i++)
		if (hs_dmatrace_kind(&trace->records[i]) != HS_DMATRACE_TRANSLATION)
			gaps->at[gaps->nr++] = i;
	return 0;
}

/* Of all translations, the number of the one that is record `record`. */
static uint64_t translation_number(const struct gaps *gaps, uint64_t record)
{
	uint64_t low = 0, high = gaps->nr;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (gaps->at[middle] < record)
			low = middle + 1;
		else
			high = middle;
	}
	return record - low;
}

static void fill_translation(struct translation *to, const struct hs_dmatrace_record *record, uint64_t next_access)
{
	*to = (struct translation){
		.type = TRANSLATE_EVENT,
		.sid = (uint16_t)hs_dmatrace_tenant(record),
		.did = (uint16_t)hs_dmatrace_tenant(record),
		.iova = hs_dmatrace_iova(record),
		.mask = ~((1ULL << hs_dmatrace_page_shift(record)) - 1),
		.level = hs_dmatrace_size_class(record) + 1,
		.slpte = hs_dmatrace_slpte(record),
		.next_access = next_access,
	};
}

static int write_translations(const struct hs_dmatrace *trace, int fd)
{
	scoped(mem) struct translation *block = malloc(BLOCK_RECORDS * sizeof(*block));
	scoped(mem) uint32_t *next = NULL;
	scoped(gaps) struct gaps gaps = { 0 };
	uint64_t nr = trace->header->record_nr;
	uint32_t used = 0;
	int err = block ? find_gaps(trace, &gaps) : -ENOMEM;

	if (!err)
		err = hs_sim_next_make(trace, false, &next);
	for (uint64_t i = 0; i < nr && !err; i++) {
		if (hs_dmatrace_kind(&trace->records[i]) == HS_DMATRACE_TRANSLATION)
			fill_translation(&block[used++], &trace->records[i],
					 next[i] == HS_SIM_NEVER ? NEVER : translation_number(&gaps, next[i]));
		if (used < BLOCK_RECORDS && i + 1 < nr)
			continue;
		err = hs_write_all(fd, block, used * sizeof(*block));
		used = 0;
	}
	return err;
}

/* ---- the others, and the files ------------------------------------------------------------------- */

static int write_contexts(const struct hs_dmatrace *trace, int fd)
{
	uint32_t nr = trace->header->tenant_nr;
	scoped(mem) struct context *contexts = calloc(nr, sizeof(*contexts));

	if (!contexts)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		contexts[i] = (struct context){ .sid = (uint16_t)i,
						.high = trace->tenants[i].context_high,
						.low = trace->tenants[i].context_low };
	return hs_write_all(fd, contexts, nr * sizeof(*contexts));
}

/* The first tenant that is no copy and has this domain of this log. */
static bool find_tenant(const struct hs_dmatrace *trace, const struct hs_ingest_walk *walk, uint16_t *did)
{
	for (uint32_t i = 0; i < trace->header->tenant_nr; i++) {
		const struct hs_dmatrace_tenant *tenant = &trace->tenants[i];

		if (tenant->flags & HS_DMATRACE_IS_COPY)
			return false; /* they come last */
		if (tenant->source == walk->source && tenant->domain == walk->domain) {
			*did = (uint16_t)i;
			return true;
		}
	}
	return false;
}

static int write_tables(const struct hs_dmatrace *trace, const struct hs_ingest_walks *walks, int fd)
{
	size_t nr, used = 0;
	const struct hs_ingest_walk *list = hs_ingest_walks_list(walks, &nr);
	scoped(mem) struct table_entry *entries = calloc(nr ? nr : 1, sizeof(*entries));
	uint16_t did;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		if (find_tenant(trace, &list[i], &did))
			entries[used++] = (struct table_entry){ .did = did,
								.address = list[i].address,
								.level = list[i].level,
								.slpte = list[i].slpte,
								.iova = list[i].iova,
								.table = list[i].table };
	if (!used)
		hs_info("the logs have no vtd_slpte_fetch: the file of page table entries is empty");
	return hs_write_all(fd, entries, used * sizeof(*entries));
}

static const char *const names[] = { "iotlb_trace.bin", "cc_data.bin", "slpt_data.bin" };

static void remove_files(const char *prefix)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
		scoped(mem) char *path = hs_format("%s_%s", prefix, names[i]);

		if (path)
			unlink(path);
	}
}

static int create(const char *prefix, const char *name, int *fd)
{
	scoped(mem) char *path = hs_format("%s_%s", prefix, name);

	if (!path)
		return -ENOMEM;
	*fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return *fd < 0 ? hs_fail(-errno, "cannot create %s:", path) : 0;
}

int hs_gen_hypersio_write(const struct hs_dmatrace *trace, const struct hs_ingest_walks *walks, const char *prefix)
{
	scoped(fd) int translations = -1;
	scoped(fd) int contexts = -1;
	scoped(fd) int tables = -1;
	int err;

	if (trace->header->tenant_nr > HS_GEN_HYPERSIO_TENANTS_MAX)
		return hs_fail(-E2BIG, "hypersio's files can tell %u tenants apart, not %u",
			       HS_GEN_HYPERSIO_TENANTS_MAX, trace->header->tenant_nr);
	err = create(prefix, names[0], &translations);
	if (!err)
		err = create(prefix, names[1], &contexts);
	if (!err)
		err = create(prefix, names[2], &tables);
	if (err)
		return err;
	err = write_translations(trace, translations);
	if (!err)
		err = write_contexts(trace, contexts);
	if (!err)
		err = write_tables(trace, walks, tables);
	if (err)
		remove_files(prefix);
	return err ? hs_fail(err, "cannot write hypersio's files %s_*.bin:", prefix) : 0;
}
