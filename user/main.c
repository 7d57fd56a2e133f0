// SPDX-License-Identifier: GPL-2.0-only
/* The table of verbs. */
#include <sys/stat.h>

#include "base/opt.h"
#include "cmd/cmd.h"

int main(int argc, char **argv)
{
	static const struct hs_verb *const verbs[] = {
		&cmd_collect, &cmd_lab_up, &cmd_lab_test, &cmd_lab_exec, &cmd_lab_console, &cmd_lab_status, &cmd_lab_down,
		&cmd_check,   &cmd_show,   &cmd_gen,	  NULL,
	};

	umask(077); /* what a run writes is its owner's */
	return hs_verb_main(verbs, argc, argv);
}
