/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is simulated: the link, the device, the IOMMU. Every parameter is a row of sim_config.def and is set by name:
 * from a file of `name = value` lines, from options, from a sweep. A config is a plain value: copy it, change the copy.
 */
#ifndef HS_HYPER_SIM_CONFIG_H
#define HS_HYPER_SIM_CONFIG_H

#include <stdint.h>

#include "base/json.h"

#define HS_SIM_LEVELS 4		      /* whose entries the IOMMU can cache: 1 is the last */
#define HS_SIM_ENTRIES_MAX (1u << 30) /* of a cache: memory is taken as it fills, if it is one set */

enum hs_sim_policy { HS_SIM_LRU, HS_SIM_LFU, HS_SIM_FIFO, HS_SIM_RANDOM, HS_SIM_OPTIMUM };
enum hs_sim_index { HS_SIM_INDEX_REGION, HS_SIM_INDEX_HASH };
enum hs_sim_order { HS_SIM_OUT_OF_ORDER, HS_SIM_IN_ORDER };
enum hs_sim_invalidation { HS_SIM_APPLY, HS_SIM_IGNORE };

/* By these, NULL at the end. */
extern const char *const hs_sim_policies[], *const hs_sim_indexes[], *const hs_sim_orders[],
									     *const hs_sim_invalidations[];

struct hs_sim_cache_config {
	uint32_t entries, ways, partitions; /* 0 entries: there is none; 0 ways: one set of all */
	int policy;			    /* enum hs_sim_policy */
	int index;			    /* enum hs_sim_index */
};

struct hs_sim_config {
	char name[64];	  /* of the file it came from */
	const char *link; /* while it is set by name; then link_bps */
	uint64_t link_bps;
	uint32_t packet_bytes, queue;
	int order;
	uint64_t pcie_ns, memory_ns;
	uint32_t nested_levels, context_reads;
	int invalidations;
	uint32_t seed;
	struct hs_sim_cache_config dtlb, context, page[HS_SIM_LEVELS]; /* page: policy and index are page_policy's */
	int page_policy;
	uint64_t dtlb_hit_ns, context_hit_ns, page_hit_ns;
	uint32_t prefetch_entries, prefetch_history, prefetch_distance;
	uint64_t prefetch_hit_ns;
	uint32_t tenants; /* the first of the trace's; 0: all */
};

enum hs_sim_parameter {
#define HS_SIM_PARAMETER(id, name, kind, member, arg, help, ...) HS_SIM_##id,
#include "hyper/sim_config.def"
#undef HS_SIM_PARAMETER
	HS_SIM_PARAMETER_NR
};

/* What somebody said of the parameters, as texts; NULL: nothing. */
struct hs_sim_words {
	const char *word[HS_SIM_PARAMETER_NR];
};

/*
 * A configuration: what `said` says, then the lines of `file` (a path, or the name of a shipped one: base, hypertrio,
 * hypersio; NULL: base), then those of base. 0, or -errno after a message. Checked.
 */
int hs_sim_config_make(const struct hs_sim_words *said, const char *file, struct hs_sim_config *config);
/* The same where nothing else is said. */
int hs_sim_config_load(const char *file, struct hs_sim_config *config);

/* Sets one parameter by its name, as a file or a user writes it. -ENOENT: no such name; -EINVAL, -ERANGE. No message.
 */
int hs_sim_config_set(struct hs_sim_config *config, const char *name, const char *value);

/* Whether the parts fit together; hs_sim_run() asks as well. 0, or -EINVAL after a message. */
int hs_sim_config_check(const struct hs_sim_config *config);

/* All parameters by name, as member `key`. */
void hs_sim_config_to_json(const struct hs_sim_config *config, json_object *object, const char *key);

#endif
