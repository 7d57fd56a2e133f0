// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes hypersio's files. Its translations know when their page is used next, so they are made from the last to the
 * first. Called by `hsbpf trace-gen --format hypersio`. One thread.
 */
#include "hyper/gen_hypersio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>

#include "base/io.h"
#include "base/log.h"
#include "migtools/random.h"

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

/* ---- when a page is used next -------------------------------------------------------------------- */

struct use {
	uint64_t page; /* iova without its offset, and the size class */
	uint64_t at;   /* NEVER: the slot is free */
	uint32_t tenant;
};

struct uses {
	struct use *slots;
	uint64_t slot_nr, nr; /* slots: a power of two, at most half full */
};

static void uses_scoped(struct uses *uses)
{
	free(uses->slots);
}

static struct use *find_use(const struct uses *uses, uint64_t page, uint32_t tenant)
{
	uint64_t at = hs_page_mix(page ^ (uint64_t)tenant << 40) & (uses->slot_nr - 1);

	while (uses->slots[at].at != NEVER && (uses->slots[at].page != page || uses->slots[at].tenant != tenant))
		at = (at + 1) & (uses->slot_nr - 1);
	return &uses->slots[at];
}

static int grow_uses(struct uses *uses)
{
	struct uses grown = { .slot_nr = uses->slot_nr ? 2 * uses->slot_nr : 4096, .nr = uses->nr };

	grown.slots = malloc(grown.slot_nr * sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (uint64_t i = 0; i < grown.slot_nr; i++)
		grown.slots[i].at = NEVER;
	for (uint64_t i = 0; i < uses->slot_nr; i++)
		if (uses->slots[i].at != NEVER)
			*find_use(&grown, uses->slots[i].page, uses->slots[i].tenant) = uses->slots[i];
	free(uses->slots);
	*uses = grown;
	return 0;
}

/* The page is used at `at`, before all that were told up to now: when it is used next, or NEVER. */
static int tell_use(struct uses *uses, const struct hs_dmatrace_record *record, uint64_t at, uint64_t *next)
{
	uint64_t page = hs_dmatrace_iova(record) >> hs_dmatrace_page_shift(record) << hs_dmatrace_page_shift(record) |
			hs_dmatrace_size_class(record);
	uint32_t tenant = hs_dmatrace_tenant(record);
	struct use *use;

	if (2 * uses->nr == uses->slot_nr && grow_uses(uses))
		return -ENOMEM;
	use = find_use(uses, page, tenant);
	uses->nr += use->at == NEVER;
	*next = use->at;
	*use = (struct use){ .page = page, .at = at, .tenant = tenant };
	return 0;
}

/* ---- files --------------------------------------------------------------------------------------- */

static int write_at(int fd, const void *bytes, size_t len, uint64_t at)
{
	const char *from = bytes;

	while (len) {
		ssize_t done = pwrite(fd, from, len, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		from += done;
		at += (uint64_t)done;
		len -= (size_t)done;
	}
	return 0;
}

static void fill_translation(struct translation *to, const struct hs_dmatrace_record *record)
{
	*to = (struct translation){
		.type = TRANSLATE_EVENT,
		.sid = (uint16_t)hs_dmatrace_tenant(record),
		.did = (uint16_t)hs_dmatrace_tenant(record),
		.iova = hs_dmatrace_iova(record),
		.mask = ~((1ULL << hs_dmatrace_page_shift(record)) - 1),
		.level = hs_dmatrace_size_class(record) + 1,
		.slpte = hs_dmatrace_slpte(record),
	};
}

static int write_translations(const struct hs_dmatrace *trace, int fd)
{
	scoped(mem) struct translation *block = malloc(BLOCK_RECORDS * sizeof(*block));
	scoped(uses) struct uses uses = { 0 };
	uint64_t at = trace->header->translation_nr;
	uint32_t free_nr = BLOCK_RECORDS;
	int err = block ? 0 : -ENOMEM;

	for (uint64_t i = trace->header->record_nr; i-- > 0 && !err;) {
		const struct hs_dmatrace_record *record = &trace->records[i];

		if (hs_dmatrace_kind(record) != HS_DMATRACE_TRANSLATION)
			continue;
		at--;
		fill_translation(&block[--free_nr], record);
		err = tell_use(&uses, record, at, &block[free_nr].next_access);
		if (err || (free_nr && at))
			continue;
		err = write_at(fd, block + free_nr, (BLOCK_RECORDS - free_nr) * sizeof(*block), at * sizeof(*block));
		free_nr = BLOCK_RECORDS;
	}
	return err;
}

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
