/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA traces of many tenants, as a file: `hsbpf trace-gen` writes them, `hsbpf iommu-sim` and `hsbpf explore` map
 * them. Little-endian; a header, a row for each source log, a row for each tenant, then records of 16 bytes from a page
 * boundary to the end of the file. Nothing is compressed or relative, so that any number of processes walk one copy in
 * the page cache. A trace is read-only once it is open: any number of threads. A writer belongs to one thread.
 */
#ifndef HS_HYPER_DMATRACE_H
#define HS_HYPER_DMATRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"

#define HS_DMATRACE_MAGIC "HSDMATR\n"
#define HS_DMATRACE_VERSION 1
#define HS_DMATRACE_TENANTS_MAX (1u << 20)
#define HS_DMATRACE_SOURCES_MAX (1u << 16)
#define HS_DMATRACE_NAME_BYTES 192
#define HS_DMATRACE_SHA256_BYTES 32

enum hs_dmatrace_order {
	HS_DMATRACE_RR,	  /* tenant after tenant, `burst` packets each */
	HS_DMATRACE_RAND, /* a random tenant of those that have packets left, `burst` packets each */
	HS_DMATRACE_ORIG, /* as they are in the logs, one log after another */
	HS_DMATRACE_ORDER_NR
};

enum hs_dmatrace_kind {
	HS_DMATRACE_TRANSLATION,
	/* What the guest asked to forget. Each concerns the tenant of its record only: what hits several is there
	 * once for each of them. */
	HS_DMATRACE_INV_PAGES,	 /* 2^order pages of 4 KiB from iova on */
	HS_DMATRACE_INV_DOMAIN,	 /* all pages of the tenant's domain */
	HS_DMATRACE_INV_GLOBAL,	 /* all pages of all domains */
	HS_DMATRACE_INV_CONTEXT, /* the context entry; what was cached by it is stale as well */
	HS_DMATRACE_KIND_NR
};

/* Flags of a header. */
enum {
	HS_DMATRACE_CUT = 1 << 0, /* tenants have packets that are not in the trace: see the header's cut */
};

/* Flags of a tenant. */
enum {
	HS_DMATRACE_IS_COPY = 1 << 0,	     /* uses the stream of `copy_of` again, from another packet on */
	HS_DMATRACE_LEVELS_GUESSED = 1 << 1, /* the log has no context entry; from the largest iova */
};

struct hs_dmatrace_header {
	char magic[8];
	uint32_t version;
	uint32_t header_bytes, source_bytes, tenant_bytes, record_bytes; /* of one each */
	uint32_t source_nr, tenant_nr;
	uint32_t order;	      /* enum hs_dmatrace_order */
	uint32_t burst;	      /* packets of one tenant in a row; 0 for ORIG */
	uint32_t packet_rule; /* 0: packets were found in the log; else each is so many translations */
	uint32_t flags;	      /* HS_DMATRACE_CUT */
	uint32_t unused;
	uint64_t seed;	      /* of RAND, else 0 */
	uint64_t cut_packets; /* with CUT: none has more packets than that; 0: the trace ends where the first
			       * tenant ran out */
	uint64_t first_end;   /* records before the first tenant ran out; from there on fewer tenants take turns */
	uint64_t sources_at, tenants_at, records_at; /* offsets in bytes */
	uint64_t record_nr, translation_nr, packet_nr;
	uint64_t reserved[4]; /* 0 */
};

/* Why lines of a log, or translations in it, are not in the trace. */
enum hs_dmatrace_ignored {
	HS_DMATRACE_IGNORED_FOREIGN,	  /* lines that are no trace event */
	HS_DMATRACE_IGNORED_TORN,	  /* cut, merged or damaged lines */
	HS_DMATRACE_IGNORED_EVENT,	  /* lines of events that a trace does not need */
	HS_DMATRACE_IGNORED_STRAY,	  /* translations that belong to no packet */
	HS_DMATRACE_IGNORED_OPEN,	  /* translations of packets that the log's end cut off */
	HS_DMATRACE_IGNORED_ADDRESS,	  /* translations of addresses over 57 bits or of an unknown page size */
	HS_DMATRACE_IGNORED_TENANT,	  /* translations in packets of devices that are beyond the tenants asked for */
	HS_DMATRACE_IGNORED_INVALIDATION, /* invalidations of what no tenant has */
	HS_DMATRACE_IGNORED_NR
};

/* One source log. */
struct hs_dmatrace_source {
	char name[HS_DMATRACE_NAME_BYTES];	  /* without its folders, NUL-terminated */
	uint8_t sha256[HS_DMATRACE_SHA256_BYTES]; /* of the file as it lies there: what sha256sum prints */
	uint64_t file_bytes, text_bytes, lines;
	uint64_t translations, packets, invalidations; /* that were taken from it, once, before any reuse */
	uint64_t ignored[HS_DMATRACE_IGNORED_NR];
	uint64_t reserved[2];
};

struct hs_dmatrace_tenant {
	uint64_t context_high, context_low;	       /* its newest context entry; 0: the log has none */
	uint64_t translations, packets, invalidations; /* in this trace */
	uint64_t phase_packets; /* where in its log's stream it begins; from the end it goes on at the stream's begin */
	uint32_t source;	/* index of its log */
	uint32_t copy_of;	/* tenant whose stream it uses; itself if it is no copy */
	uint16_t sid;		/* bus << 8 | devfn */
	uint16_t domain;	/* the newest */
	uint16_t epochs;	/* domains that it had one after another, 1 or more */
	uint8_t levels;		/* of its page tables: 2..5 */
	uint8_t flags;		/* HS_DMATRACE_IS_COPY ... */
};

/*
 * a: iova in bits 0..56, kind 57..59, page size class 60..61 (4 KiB, 2 MiB, 1 GiB, 512 GiB), first translation of a
 * packet 62, write 63. b: tenant in bits 0..19; of the leaf entry (slpte) R, W, PS and SNP in bits 20..23 and bits
 * 12..51 in bits 24..63; of INV_PAGES the order there instead.
 */
struct hs_dmatrace_record {
	uint64_t a, b;
};

#define HS_DMATRACE_IOVA_MASK ((1ULL << 57) - 1)
#define HS_DMATRACE_KIND_SHIFT 57
#define HS_DMATRACE_SIZE_SHIFT 60
#define HS_DMATRACE_FIRST (1ULL << 62)
#define HS_DMATRACE_WRITE (1ULL << 63)
#define HS_DMATRACE_TENANT_MASK (HS_DMATRACE_TENANTS_MAX - 1ULL)
#define HS_DMATRACE_LEAF_SHIFT 20
#define HS_DMATRACE_FRAME_MASK 0x000ffffffffff000ULL
#define HS_DMATRACE_ORDER_SHIFT 24

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is mapped as it is");
_Static_assert(sizeof(struct hs_dmatrace_header) == 160, "layout of the file");
_Static_assert(sizeof(struct hs_dmatrace_source) == 352, "layout of the file");
_Static_assert(sizeof(struct hs_dmatrace_tenant) == 64, "layout of the file");
_Static_assert(sizeof(struct hs_dmatrace_record) == 16, "layout of the file");

/* ---- one record ---------------------------------------------------------------------------------- */

static inline uint64_t hs_dmatrace_iova(const struct hs_dmatrace_record *record)
{
	return record->a & HS_DMATRACE_IOVA_MASK;
}

static inline enum hs_dmatrace_kind hs_dmatrace_kind(const struct hs_dmatrace_record *record)
{
	return (enum hs_dmatrace_kind)(record->a >> HS_DMATRACE_KIND_SHIFT & 7);
}

/* Of a translation: 0 is 4 KiB, 1 2 MiB, 2 1 GiB, 3 512 GiB. A walk ends so many levels early. */
static inline unsigned int hs_dmatrace_size_class(const struct hs_dmatrace_record *record)
{
	return (unsigned int)(record->a >> HS_DMATRACE_SIZE_SHIFT & 3);
}

/* 12, 21, 30 or 39. */
static inline unsigned int hs_dmatrace_page_shift(const struct hs_dmatrace_record *record)
{
	return 12 + 9 * hs_dmatrace_size_class(record);
}

/* The first translation of a packet. */
static inline bool hs_dmatrace_is_first(const struct hs_dmatrace_record *record)
{
	return record->a & HS_DMATRACE_FIRST;
}

/* The device writes there; known only of packets that were found in the log. */
static inline bool hs_dmatrace_is_write(const struct hs_dmatrace_record *record)
{
	return record->a & HS_DMATRACE_WRITE;
}

static inline uint32_t hs_dmatrace_tenant(const struct hs_dmatrace_record *record)
{
	return (uint32_t)(record->b & HS_DMATRACE_TENANT_MASK);
}

/* Of a translation: bits 51:12 of its leaf entry, and R (0), W (1), PS (7), SNP (11). */
static inline uint64_t hs_dmatrace_slpte(const struct hs_dmatrace_record *record)
{
	uint64_t low = record->b >> HS_DMATRACE_LEAF_SHIFT;

	return (record->b >> 12 & HS_DMATRACE_FRAME_MASK) | (low & 3) | (low & 4) << 5 | (low & 8) << 8;
}

/* Of INV_PAGES: it is about 2^order pages of 4 KiB. */
static inline unsigned int hs_dmatrace_inv_order(const struct hs_dmatrace_record *record)
{
	return (unsigned int)(record->b >> HS_DMATRACE_ORDER_SHIFT & 63);
}

/* iova below 2^57, size_class below 4, tenant below HS_DMATRACE_TENANTS_MAX. */
static inline struct hs_dmatrace_record hs_dmatrace_make_translation(uint32_t tenant, uint64_t iova, uint64_t slpte,
								     unsigned int size_class, bool first, bool write)
{
	uint64_t low = (slpte & 3) | (slpte >> 5 & 4) | (slpte >> 8 & 8);

	return (struct hs_dmatrace_record){
		.a = iova | (uint64_t)size_class << HS_DMATRACE_SIZE_SHIFT | (first ? HS_DMATRACE_FIRST : 0) |
		     (write ? HS_DMATRACE_WRITE : 0),
		.b = tenant | low << HS_DMATRACE_LEAF_SHIFT | (slpte & HS_DMATRACE_FRAME_MASK) << 12,
	};
}

/* iova and order (below 64) count for INV_PAGES only. */
static inline struct hs_dmatrace_record hs_dmatrace_make_invalidation(uint32_t tenant, enum hs_dmatrace_kind kind,
								      uint64_t iova, unsigned int order)
{
	return (struct hs_dmatrace_record){
		.a = iova | (uint64_t)kind << HS_DMATRACE_KIND_SHIFT,
		.b = tenant | (uint64_t)order << HS_DMATRACE_ORDER_SHIFT,
	};
}

/* ---- reading ------------------------------------------------------------------------------------- */

struct hs_dmatrace {
	const struct hs_dmatrace_header *header;
	const struct hs_dmatrace_source *sources; /* header->source_nr */
	const struct hs_dmatrace_tenant *tenants; /* header->tenant_nr */
	const struct hs_dmatrace_record *records; /* header->record_nr */
	void *map;
	size_t map_bytes;
};

/*
 * Maps a trace. Every offset, length, count, tenant and kind in it was checked when this returns 0: nothing needs to be
 * checked again (reads all of it once, some 3 GB/s). Message on failure: -EINVAL for what is no trace or a damaged one.
 */
int hs_dmatrace_open(const char *path, struct hs_dmatrace **out);
/* The same without the records, which are neither checked nor there (NULL). */
int hs_dmatrace_open_front(const char *path, struct hs_dmatrace **out);
void hs_dmatrace_free(struct hs_dmatrace *trace);
HS_SCOPED(hs_dmatrace, struct hs_dmatrace *, hs_dmatrace_free)

/*
 * The same for bytes in memory, 8-byte aligned, which *trace points into afterwards; nothing to free. NULL, or what is
 * wrong with them; *trace is written only on success.
 */
const char *hs_dmatrace_parse(const void *bytes, size_t len, struct hs_dmatrace *trace);

/* "rr", "rand", "orig"; NULL for others. */
const char *hs_dmatrace_order_name(uint32_t order);
/* "torn lines" ...: for people. */
const char *hs_dmatrace_ignored_name(enum hs_dmatrace_ignored reason);

/* ---- writing ------------------------------------------------------------------------------------- */

struct hs_dmatrace_writer;

/*
 * The file that a trace of that name will be: itself, or what a link leads to; the caller's to free. -EINVAL if something
 * is there that is no regular file, which would be gone otherwise, devices included; message on failure.
 */
int hs_dmatrace_find_target(const char *path, char **target);

/*
 * Of *header the caller's part is used: source_nr, tenant_nr, order, burst, packet_rule, flags, seed, cut_packets. The
 * file appears under its name when it is finished, not before. Message on failure.
 */
int hs_dmatrace_writer_open(const char *path, const struct hs_dmatrace_header *header, struct hs_dmatrace_writer **out);

/* The next record: its tenant is below tenant_nr. Errors show up in finish(). */
void hs_dmatrace_writer_put(struct hs_dmatrace_writer *writer, const struct hs_dmatrace_record *record);

/* The first tenant has run out: header->first_end. Only the first call counts; without one it is the end. */
void hs_dmatrace_writer_mark_end(struct hs_dmatrace_writer *writer);

/*
 * Completes the file, from source_nr sources and tenant_nr tenants whose counts of records are filled in here. *header,
 * if not NULL, is what was written. Message on failure; the writer can only be freed afterwards.
 */
int hs_dmatrace_writer_finish(struct hs_dmatrace_writer *writer, const struct hs_dmatrace_source *sources,
			      const struct hs_dmatrace_tenant *tenants, struct hs_dmatrace_header *header);

/* A file that was not finished is removed. */
void hs_dmatrace_writer_free(struct hs_dmatrace_writer *writer);
HS_SCOPED(hs_dmatrace_writer, struct hs_dmatrace_writer *, hs_dmatrace_writer_free)

#endif
