/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From one IOMMU log to the streams of its devices: translations with their page sizes, in packets, with what
 * invalidates them between. A device (source id) has one stream whatever domains it goes through: where it changes its
 * domain or its context entry, the stream forgets what it had translated. One object for each log, one thread; memory
 * does not depend on the length of the log.
 */
#ifndef HS_HYPER_INGEST_H
#define HS_HYPER_INGEST_H

#include "hyper/gen_spool.h"
#include "hyper/gen_watch.h"
#include "hyper/ingest_walk.h"

#define HS_INGEST_DEVICES_MAX 1024 /* of one log; hsbpf's and hypersio's have 24 */

struct hs_ingest_config {
	struct hs_gen_spool *spool;    /* streams go there; borrowed */
	struct hs_ingest_walks *walks; /* steps of page walks go there, or NULL: they are not needed; borrowed */
	uint32_t source;	       /* number of the log for them */
	uint32_t packet_translations;  /* 0: packets are found; else each is so many translations */
	bool keeps_order;	       /* keep how the packets of the devices were interleaved */
	bool accepts_truncated;	       /* use a log whose last line is cut off */
};

/* A page of 1 GiB looks like one of 2 MiB until it is seen at addresses that are too far apart: then it is here. */
struct hs_ingest_giants {
	uint64_t *frames; /* ascending; NULL: none */
	uint32_t nr;
};

struct hs_ingest_device {
	uint32_t stream; /* of the spool; its records' tenant is 0 */
	uint16_t sid, domain, epochs;
	uint8_t levels;
	bool levels_guessed;
	uint64_t context_high, context_low;
	uint64_t translations, packets, invalidations; /* in the stream */
	struct hs_ingest_giants giants;
};

enum hs_ingest_format { HS_INGEST_NO_FORMAT, HS_INGEST_STOCK, HS_INGEST_PATCHED, HS_INGEST_FORMAT_NR };

/* "stock QEMU", "hypersio's QEMU" */
const char *hs_ingest_format_name(enum hs_ingest_format format);

struct hs_ingest_result {
	struct hs_dmatrace_source source; /* without the file's own: name, hash, bytes */
	enum hs_ingest_format format;
	struct hs_ingest_device *devices; /* all, in the order of their first line; owned */
	uint32_t device_nr;
	uint32_t order_stream; /* with keeps_order: a record for each packet, whose iova is the device's index */
};

void hs_ingest_result_clear(struct hs_ingest_result *result);

struct hs_ingest;

/* `name` is what messages call the log; borrowed. */
int hs_ingest_open(const struct hs_ingest_config *config, const char *name, struct hs_ingest **out);
void hs_ingest_free(struct hs_ingest *ingest);
HS_SCOPED(hs_ingest, struct hs_ingest *, hs_ingest_free)

/* The next bytes of the log, cut anywhere. Message on failure. */
int hs_ingest_feed(struct hs_ingest *ingest, const void *bytes, size_t len);

/* The log has ended. Message on failure: nothing to translate, truncated, packets that cannot be found. */
int hs_ingest_finish(struct hs_ingest *ingest, struct hs_ingest_result *result);

/* All of it from a file, plain or packed, whose bytes are told the watch. Message on failure. */
int hs_ingest_log(const struct hs_ingest_config *config, const char *path, struct hs_gen_watch *watch,
		  struct hs_ingest_result *result);

#endif
