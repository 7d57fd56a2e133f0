// SPDX-License-Identifier: GPL-2.0-only
/* hsbpf-agent: `hsbpf agent` alone, as one static program for guests that have no library. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/scoped.h"
#include "cmd/cmd.h"

static const struct hs_verb *const verbs[] = { &cmd_agent, NULL };

/* Its options come without the verb, which the table wants. */
int main(int argc, char **argv)
{
	static char verb[] = "agent";
	scoped(mem) char **words = calloc((size_t)argc + 2, sizeof(*words));

	if (!words)
		return HS_EXIT_FAILURE;
	words[0] = argv[0];
	words[1] = verb;
	memcpy(words + 2, argv + 1, (size_t)argc * sizeof(*words)); /* with the NULL at the end */
	umask(077);
	return hs_verb_main(verbs, "the agent in a guest", argc + 1, words);
}
