// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf gen man|completion|events`: documents made from the tables that the program itself runs on. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd.h"
#include "trace_events/events.h"

static const struct hs_opt options[] = { HS_OPT_END };

static int print_man(const char *name)
{
	if (!name) {
		hs_verbs_print_man(stdout, hs_verbs, hs_summary);
		return 0;
	}
	for (const struct hs_verb *const *verb = hs_verbs; *verb; verb++)
		if (!strcmp((*verb)->name, name)) {
			hs_verb_print_man(stdout, *verb);
			return 0;
		}
	hs_err("there is no verb '%s'", name);
	return HS_EXIT_USAGE;
}

static int run(void *config, int argc, char **argv)
{
	(void)config;
	if (argc >= 1 && argc <= 2 && !strcmp(argv[0], "man"))
		return print_man(argv[1]);
	if (argc == 1 && !strcmp(argv[0], "completion")) {
		hs_verbs_print_completion(stdout, hs_verbs);
		return 0;
	}
	if (argc == 1 && !strcmp(argv[0], "events")) {
		hs_events_print_doc(stdout);
		return 0;
	}
	if (argc == 1 && !strcmp(argv[0], "verbs")) {
		for (const struct hs_verb *const *verb = hs_verbs; *verb; verb++)
			printf("%s\n", (*verb)->name);
		return 0;
	}
	hs_err("gen makes one of: man [VERB], completion, events, verbs");
	return HS_EXIT_USAGE;
}

const struct hs_verb cmd_gen = {
	.name = "gen",
	.synopsis = "man [VERB] | completion | events | verbs",
	.options = options,
	.help = "print man pages, bash completion, the events' documentation or the list of verbs",
	.run = run,
};
