// SPDX-License-Identifier: GPL-2.0-only
/* Reads plans and expands the lists of the matrix. */
#include "migrate/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/opt_lines.h"
#include "base/unit.h"

#define BANDWIDTH_MIN_BPS 1000000u
#define DELAY_MAX_NS 1000000000u
#define BANDWIDTH_MAX_BPS 16000000000u

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

int hs_plan_parse_bandwidth(const char *text, uint64_t *bps)
{
	uint64_t rate;

	if (hs_parse_rate(text, &rate) || rate < BANDWIDTH_MIN_BPS || rate > BANDWIDTH_MAX_BPS)
		return -EINVAL;
	*bps = rate;
	return 0;
}

static int take_mode(void *ctx, const char *word)
{
	struct hs_plan *plan = ctx;
	const struct hs_mode *mode = hs_mode_find(word);

	if (!mode)
		return hs_fail(-EINVAL, "--mode %s: there is no such mode; `hsbpf migrate --list-modes` lists them",
			       word);
	if (plan->mode_nr == HS_PLAN_AXIS_MAX)
		return -E2BIG;
	plan->modes[plan->mode_nr++] = mode;
	return 0;
}

static int take_dirty(void *ctx, const char *word)
{
	struct hs_plan *plan = ctx;
	uint64_t rate;

	if (hs_parse_u64(word, &rate) || rate > 1000000)
		return hs_fail(-EINVAL, "--dirty %s: a number of MiB a second is expected", word);
	if (plan->dirty_nr == HS_PLAN_AXIS_MAX)
		return -E2BIG;
	plan->dirty[plan->dirty_nr++] = rate;
	return 0;
}

static int take_bandwidth(void *ctx, const char *word)
{
	struct hs_plan *plan = ctx;
	uint64_t bps;

	if (hs_plan_parse_bandwidth(word, &bps))
		return hs_fail(-EINVAL, "--bandwidth %s: bits a second are expected, from 1M to 16G", word);
	if (plan->bandwidth_nr == HS_PLAN_AXIS_MAX)
		return -E2BIG;
	plan->bandwidth_bps[plan->bandwidth_nr++] = bps;
	return 0;
}

static int expand(struct hs_plan *plan, const struct hs_opt_list *list, hs_opt_take_word take_word, const char *name)
{
	int err = hs_opt_list_each(list, take_word, plan);

	return err == -E2BIG ? hs_fail(err, "--%s: %d values at most", name, HS_PLAN_AXIS_MAX) : err;
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

/* Whoever asks for a neighbour's address waits three seconds for an answer. */
static int check_delay(const struct hs_plan_options *options)
{
	return options->delay_ns <= DELAY_MAX_NS ? 0
						 : hs_fail(-EINVAL, "--delay: one second at most, else nobody "
								    "finds the other side");
}

int hs_plan_make(const struct hs_opt *rows, void *config, struct hs_plan_options *options, const char *file,
		 struct hs_plan **out)
{
	scoped(hs_plan) struct hs_plan *plan = calloc(1, sizeof(*plan));
	struct hs_opt_lines lines = { .verb = "migrate",
				      .rows = rows,
				      .config = config,
				      .from = (size_t)((const char *)options - (const char *)config),
				      .size = sizeof(*options) };
	static char default_text[sizeof(defaults)];
	scoped(mem) char *path = NULL;
	int err = 0;

	if (!plan)
		return -ENOMEM;
	if (file)
		err = hs_opt_lines_read(file, &path, &plan->name, &plan->text);
	else
		plan->name = strdup("options");
	if (!err && file)
		err = hs_opt_lines_take(&lines, path, plan->text);
	memcpy(default_text, defaults, sizeof(defaults));
	if (!err)
		err = plan->name ? hs_opt_lines_take(&lines, "the defaults", default_text) : -ENOMEM;
	if (!err)
		err = check_memory(options);
	if (!err)
		err = check_delay(options);
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
