// SPDX-License-Identifier: GPL-2.0-only
/* Reads plans and expands the lists of the matrix. A plan's line goes through the row of its option. */
#include "migrate/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/datadir.h"
#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"

#define PLAN_BYTES_MAX 65536
#define BANDWIDTH_MIN_BPS 1000000u

const char *const hs_fault_names[] = { "none", "source-dies", "destination-dies", "link-down", NULL };

static const char defaults[] = "mode = precopy\n"
			       "dirty = 50\n"
			       "bandwidth = 1G\n"
			       "trials = 3\n"
			       "mem = 256M\n"
			       "cpus = 1\n"
			       "interval = 10ms\n"
			       "settle = 2s\n"
			       "limit = 60s\n"
			       "downtime-limit = 300ms\n";

static size_t size_of(const struct hs_opt *row)
{
	switch (row->type) {
	case HS_OPT_FLAG:
		return sizeof(bool);
	case HS_OPT_U32:
		return sizeof(uint32_t);
	case HS_OPT_STR:
		return sizeof(const char *);
	case HS_OPT_LIST:
		return sizeof(struct hs_opt_list);
	case HS_OPT_SIZE:
	case HS_OPT_DURATION:
		return sizeof(uint64_t);
	case HS_OPT_CHOICE:
		return sizeof(int);
	}
	return 0;
}

/* Which rows somebody has said something of: their bytes in the config are not zero. */
static bool is_said(const struct hs_opt *row, const void *config)
{
	const char *at = (const char *)config + row->offset;

	for (size_t i = 0; i < size_of(row); i++)
		if (at[i])
			return true;
	return false;
}

/* Only what describes the experiment can stand in a plan. */
static const struct hs_opt *find_row(const struct hs_opt *rows, const void *config,
				     const struct hs_plan_options *options, const char *name)
{
	size_t from = (size_t)((const char *)options - (const char *)config);

	for (const struct hs_opt *row = rows; row->name; row++)
		if (!strcmp(row->name, name) && row->offset >= from && row->offset < from + sizeof(*options))
			return row;
	return NULL;
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	len = strlen(text);
	while (len && strchr(" \t\r", text[len - 1]))
		text[--len] = '\0';
	return text;
}

struct reading {
	const struct hs_opt *rows;
	void *config;
	struct hs_plan_options *options;
	const char *path;
	bool said[64]; /* by row: before this file was read */
};

static int take_line(struct reading *reading, char *line, unsigned number)
{
	char *hash = strchr(line, '#'), *equals, *name, *value;
	const struct hs_opt *row;

	if (hash)
		*hash = '\0';
	line = trim(line);
	if (!*line)
		return 0;
	equals = strchr(line, '=');
	if (equals)
		*equals = '\0';
	name = trim(line);
	value = equals ? trim(equals + 1) : NULL;
	row = value ? find_row(reading->rows, reading->config, reading->options, name) : NULL;
	if (!row)
		return hs_fail(-EINVAL,
			       "%s:%u: '%s' is no line of a plan: `option = value`, the options as in "
			       "`hsbpf migrate --help`",
			       reading->path, number, name);
	if (reading->said[row - reading->rows])
		return 0;
	if (!*value || hs_opt_set(row, reading->config, value))
		return hs_fail(-EINVAL, "%s:%u: '%s' is no value for %s", reading->path, number, value, name);
	return 0;
}

/* Cuts text in place; its pieces stay in use. */
static int take_lines(struct reading *reading, char *text)
{
	unsigned number = 0;

	for (const struct hs_opt *row = reading->rows; row->name; row++)
		reading->said[row - reading->rows] = is_said(row, reading->config);
	for (char *line = text, *next; line; line = next) {
		int err;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		err = take_line(reading, line, ++number);
		if (err)
			return err;
	}
	return 0;
}

static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash ? slash + 1 : path), *dot = name ? strrchr(name, '.') : NULL;

	if (dot)
		*dot = '\0';
	return name;
}

static int read_plan(struct hs_plan *plan, struct reading *reading, const char *file)
{
	scoped(mem) char *path = hs_datadir_find(file, "data/plans", "plan");
	int err;

	if (!path)
		return hs_fail(-ENOENT,
			       "--plan %s: there is no such file, nor a plan of that name (smoke, convergence, "
			       "postcopy)",
			       file);
	err = hs_read_file(path, PLAN_BYTES_MAX, &plan->text, NULL);
	if (err)
		return hs_fail(err, "cannot read the plan %s:", path);
	plan->name = name_of(path);
	reading->path = path;
	return plan->name ? take_lines(reading, plan->text) : -ENOMEM;
}

int hs_plan_parse_bandwidth(const char *text, uint64_t *bps)
{
	char *end;
	double value = strtod(text, &end);
	double unit = !*end ? 1 : !strcmp(end, "K") ? 1e3 : !strcmp(end, "M") ? 1e6 : !strcmp(end, "G") ? 1e9 : 0;

	if (end == text || !unit || !(value * unit >= BANDWIDTH_MIN_BPS) || value * unit > 16e9)
		return -EINVAL;
	*bps = (uint64_t)(value * unit);
	return 0;
}

typedef int (*take_word)(struct hs_plan *plan, const char *word);

static int take_mode(struct hs_plan *plan, const char *word)
{
	const struct hs_mode *mode = hs_mode_find(word);

	if (!mode)
		return hs_fail(-EINVAL, "--mode %s: there is no such mode; `hsbpf migrate --list-modes` lists them",
			       word);
	if (plan->mode_nr == HS_PLAN_AXIS_MAX)
		return -E2BIG;
	plan->modes[plan->mode_nr++] = mode;
	return 0;
}

static int take_dirty(struct hs_plan *plan, const char *word)
{
	uint64_t rate;

	if (hs_parse_u64(word, &rate) || rate > 1000000)
		return hs_fail(-EINVAL, "--dirty %s: a number of MiB a second is expected", word);
	if (plan->dirty_nr == HS_PLAN_AXIS_MAX)
		return -E2BIG;
	plan->dirty[plan->dirty_nr++] = rate;
	return 0;
}

static int take_bandwidth(struct hs_plan *plan, const char *word)
{
	uint64_t bps;

	if (hs_plan_parse_bandwidth(word, &bps))
		return hs_fail(-EINVAL, "--bandwidth %s: bits a second are expected, from 1M to 16G", word);
	if (plan->bandwidth_nr == HS_PLAN_AXIS_MAX)
		return -E2BIG;
	plan->bandwidth_bps[plan->bandwidth_nr++] = bps;
	return 0;
}

static int expand(struct hs_plan *plan, const struct hs_opt_list *list, take_word take_it, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		scoped(mem) char *words = strdup(list->items[i]);
		char *save = NULL;

		if (!words)
			return -ENOMEM;
		for (char *word = strtok_r(words, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
			int err = take_it(plan, word);

			if (err == -E2BIG)
				return hs_fail(err, "--%s: %d values at most", name, HS_PLAN_AXIS_MAX);
			if (err)
				return err;
		}
	}
	return 0;
}

static int expand_all(struct hs_plan *plan)
{
	int err = expand(plan, &plan->options.modes, take_mode, "mode");

	if (!err)
		err = expand(plan, &plan->options.dirty, take_dirty, "dirty");
	if (!err)
		err = expand(plan, &plan->options.bandwidth, take_bandwidth, "bandwidth");
	if (!err && (!plan->mode_nr || !plan->dirty_nr || !plan->bandwidth_nr))
		err = hs_fail(-EINVAL, "--mode, --dirty and --bandwidth need a value each");
	return err;
}

static int check_memory(struct hs_plan_options *options)
{
	char mem[32], dirty[32];

	if (!options->dirty_mem_bytes)
		options->dirty_mem_bytes = options->mem_bytes / 4 >> 20 << 20;
	if (options->dirty_mem_bytes + (96ull << 20) <= options->mem_bytes)
		return 0;
	return hs_fail(-EINVAL, "--dirty-mem %s: a guest of %s needs 96 MiB for itself",
		       hs_format_bytes(dirty, sizeof(dirty), options->dirty_mem_bytes),
		       hs_format_bytes(mem, sizeof(mem), options->mem_bytes));
}

int hs_plan_make(const struct hs_opt *rows, void *config, struct hs_plan_options *options, const char *file,
		 struct hs_plan **out)
{
	scoped(hs_plan) struct hs_plan *plan = calloc(1, sizeof(*plan));
	struct reading reading = { .rows = rows, .config = config, .options = options, .path = "the defaults" };
	static char default_text[sizeof(defaults)];
	int err = 0;

	if (!plan)
		return -ENOMEM;
	if (file)
		err = read_plan(plan, &reading, file);
	else
		plan->name = strdup("options");
	memcpy(default_text, defaults, sizeof(defaults));
	reading.path = "the defaults";
	if (!err)
		err = plan->name ? take_lines(&reading, default_text) : -ENOMEM;
	if (!err)
		err = check_memory(options);
	plan->options = *options;
	if (!err)
		err = expand_all(plan);
	if (err)
		return err == -EINVAL || err == -ENOENT || err == -E2BIG ? HS_EXIT_USAGE : HS_EXIT_FAILURE;
	*out = take(plan);
	return 0;
}

void hs_plan_free(struct hs_plan *plan)
{
	if (!plan)
		return;
	free(plan->name);
	free(plan->text);
	free(plan);
}
