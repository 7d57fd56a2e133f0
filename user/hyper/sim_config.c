// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configurations from their files. What is said first weighs most, and what nobody says is in base.conf: so all is
 * collected as texts by the rows of sim_config.def, and set once at the end. Any thread.
 */
#include "hyper/sim_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/datadir.h"
#include "base/io.h"
#include "base/log.h"
#include "base/opt_lines.h"
#include "base/page.h"
#include "base/scoped.h"
#include "base/unit.h"

#define FILE_BYTES_MAX 65536
#define FOLDER "data/iommu"
#define LINK_MAX_BPS 1e14
#define SLOT_MIN_PS 100
#define SLOT_MAX_PS 1e12
#define TIME_MAX_NS 1000000000ull

const char *const hs_sim_policies[] = { "lru", "lfu", "fifo", "random", "optimum", NULL };
const char *const hs_sim_indexes[] = { "region", "hash", NULL };
const char *const hs_sim_orders[] = { "out", "in", NULL };
const char *const hs_sim_invalidations[] = { "apply", "ignore", NULL };

static const struct hs_opt rows[] = {
#define HS_SIM_PARAMETER(id, name, kind, member, arg, help, ...)                                                       \
	HS_OPT(struct hs_sim_config, member, name, 0, kind, arg, NULL, help, ##__VA_ARGS__),
#include "hyper/sim_config.def"
#undef HS_SIM_PARAMETER
	HS_OPT_END,
};

static const struct hs_opt word_rows[] = {
#define HS_SIM_PARAMETER(id, name, kind, member, arg, help, ...)                                                       \
	HS_OPT(struct hs_sim_words, word[HS_SIM_##id], name, 0, HS_OPT_STR, arg, NULL, help),
#include "hyper/sim_config.def"
#undef HS_SIM_PARAMETER
	HS_OPT_END,
};

static int set_row(struct hs_sim_config *config, const struct hs_opt *row, const char *value)
{
	int err = hs_opt_set(row, config, value);

	if (!err && config->link) {
		err = hs_parse_rate(config->link, &config->link_bps);
		if (!err && (!config->link_bps || (double)config->link_bps > LINK_MAX_BPS))
			err = -ERANGE;
		config->link = NULL;
	}
	return err;
}

int hs_sim_config_set(struct hs_sim_config *config, const char *name, const char *value)
{
	for (const struct hs_opt *row = rows; row->name; row++)
		if (!strcmp(row->name, name))
			return set_row(config, row, value);
	return -ENOENT;
}

HS_PAGE_EMBED(base_text, FOLDER "/base.conf");
HS_PAGE_EMBED(hypertrio_text, FOLDER "/hypertrio.conf");
HS_PAGE_EMBED(hypersio_text, FOLDER "/hypersio.conf");

/* They are built in, so that what they say goes with the program, and files beside it, to read and to copy from. */
static const struct {
	const char *name, *text;
} shipped[] = { { "base", base_text }, { "hypertrio", hypertrio_text }, { "hypersio", hypersio_text } };

static int read_text(const char *file, char **path, char **text)
{
	int err;

	for (size_t i = 0; i < HS_ARRAY_SIZE(shipped); i++) {
		if (strcmp(shipped[i].name, file) != 0)
			continue;
		*path = strdup(file);
		*text = strdup(shipped[i].text);
		return *path && *text ? 0 : -ENOMEM;
	}
	*path = hs_datadir_find(file, FOLDER, "conf");
	if (!*path)
		return hs_fail(-ENOENT,
			       "there is no configuration %s: neither a file, nor one that is shipped (base, "
			       "hypertrio, hypersio)",
			       file);
	err = hs_read_file(*path, FILE_BYTES_MAX, text, NULL);
	return err ? hs_fail(err, "cannot read the configuration %s:", *path) : 0;
}

/* The lines of a file behind what is said already. Its text, which they point into, is *text. */
static int take_file(struct hs_sim_words *said, const char *file, char **path, char **text)
{
	const struct hs_opt_lines lines = {
		.verb = "iommu-sim", .rows = word_rows, .config = said, .size = sizeof(*said)
	};
	int err = read_text(file, path, text);

	return err ? err : hs_opt_lines_take(&lines, *path, *text);
}

static void set_name(struct hs_sim_config *config, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dot;

	snprintf(config->name, sizeof(config->name), "%s", slash ? slash + 1 : path);
	dot = strrchr(config->name, '.');
	if (dot)
		*dot = '\0';
}

int hs_sim_config_make(const struct hs_sim_words *said, const char *file, struct hs_sim_config *config)
{
	scoped(mem) char *path = NULL, *text = NULL, *base_path = NULL, *base_text = NULL;
	struct hs_sim_config made = { 0 };
	struct hs_sim_words words = { 0 };
	int err;

	if (said)
		words = *said;
	err = take_file(&words, file ? file : "base", &path, &text);
	if (!err)
		err = take_file(&words, "base", &base_path, &base_text);
	for (unsigned int i = 0; !err && i < HS_SIM_PARAMETER_NR; i++) {
		if (!words.word[i])
			return hs_fail(-EINVAL, "%s says nothing of %s", base_path, rows[i].name);
		if (set_row(&made, &rows[i], words.word[i]))
			return hs_fail(-EINVAL, "'%s' is no value for %s (%s)", words.word[i], rows[i].name,
				       rows[i].help);
	}
	if (!err)
		err = hs_sim_config_check(&made);
	if (err)
		return err;
	set_name(&made, path);
	*config = made;
	return 0;
}

int hs_sim_config_load(const char *file, struct hs_sim_config *config)
{
	return hs_sim_config_make(NULL, file, config);
}

static int check_cache(const struct hs_sim_cache_config *cache, const char *name)
{
	uint32_t sets, partitions = cache->partitions ? cache->partitions : 1;

	if (!cache->entries)
		return 0;
	if (cache->ways && cache->entries % cache->ways)
		return hs_fail(-EINVAL, "%s: %u entries cannot be %u ways", name, cache->entries, cache->ways);
	sets = cache->ways ? cache->entries / cache->ways : 1;
	if (sets % partitions)
		return hs_fail(-EINVAL, "%s: %u sets cannot be %u partitions", name, sets, partitions);
	if (cache->ways && cache->entries > 1 << 24 && sets > 1)
		return hs_fail(-EINVAL, "%s: more than %u entries are for one set only (%s-ways = 0)", name, 1 << 24,
			       name);
	return 0;
}

/* Picoseconds in 64 bits are 213 days: steps of a second leave the clock room to be seen running over. */
static int check_times(const struct hs_sim_config *config)
{
	double slot_ps = (double)config->packet_bytes * 8e12 / (double)config->link_bps;

	if (slot_ps < SLOT_MIN_PS)
		return hs_fail(-EINVAL, "link: a packet of %u bytes takes less than %u ps", config->packet_bytes,
			       SLOT_MIN_PS);
	if (slot_ps > SLOT_MAX_PS)
		return hs_fail(-EINVAL, "link: a packet of %u bytes takes more than a second", config->packet_bytes);
	for (const struct hs_opt *row = rows; row->name; row++) {
		const void *at = (const char *)config + row->offset;

		if (row->type == HS_OPT_DURATION && *(const uint64_t *)at > TIME_MAX_NS)
			return hs_fail(-EINVAL, "%s: more than a second (a number without a unit is seconds)",
				       row->name);
	}
	return 0;
}

int hs_sim_config_check(const struct hs_sim_config *config)
{
	static const char *const pages[HS_SIM_LEVELS] = { "l1", "l2", "l3", "l4" };
	int err = check_times(config);

	if (!err)
		err = check_cache(&config->dtlb, "dtlb");
	if (!err)
		err = check_cache(&config->context, "context");
	for (unsigned int i = 0; !err && i < HS_SIM_LEVELS; i++)
		err = check_cache(&config->page[i], pages[i]);
	if (!err && (config->context.policy == HS_SIM_OPTIMUM || config->page_policy == HS_SIM_OPTIMUM))
		err = hs_fail(-EINVAL,
			      "the policy optimum is for the device's TLB: what the IOMMU's caches will be asked "
			      "for depends on it, and is not known in advance");
	return err;
}

void hs_sim_config_to_json(const struct hs_sim_config *config, json_object *object, const char *key)
{
	json_object *json = hs_json_add_object(object, key);

	hs_json_add_string(json, "name", config->name);
	for (const struct hs_opt *row = rows; row->name; row++) {
		const void *at = (const char *)config + row->offset;

		if (row->offset == offsetof(struct hs_sim_config, link))
			hs_json_add_u64(json, "link_bps", config->link_bps);
		else if (row->type == HS_OPT_U32)
			hs_json_add_u64(json, row->name, *(const uint32_t *)at);
		else if (row->type == HS_OPT_DURATION)
			hs_json_add_u64(json, row->name, *(const uint64_t *)at);
		else if (row->type == HS_OPT_CHOICE)
			hs_json_add_string(json, row->name, row->choices[*(const int *)at]);
	}
}
