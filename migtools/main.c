// SPDX-License-Identifier: GPL-2.0-only
/* hsbpf-migtools: the verbs for migrations alone, as one static program for guests that have no library. */
#include <sys/stat.h>

#include "migtools/migtools.h"

static const struct hs_verb *const verbs[] = { HS_MIGTOOLS_VERBS NULL };

int main(int argc, char **argv)
{
	umask(077); /* what is written is its owner's */
	return hs_verb_main(verbs, "tools for tests of live migrations, for use inside guests", argc, argv);
}
