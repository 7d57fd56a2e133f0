// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf show RUN`: the summary of a run again, from its document; of an interrupted one counted anew. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analysis/summary.h"
#include "base/log.h"
#include "cmd.h"
#include "run/session.h"

struct show_config {
	bool json, recount;
};

static const struct hs_opt options[] = {
	HS_OPT(struct show_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print the run's document"),
	HS_OPT(struct show_config, recount, "recount", 0, HS_OPT_FLAG, NULL, NULL,
	       "count log and trace again from the files"),
	HS_OPT_END,
};

static int run(void *config_ptr, int argc, char **argv)
{
	const struct show_config *config = config_ptr;
	scoped(hs_rundir) struct hs_rundir *rundir = NULL;
	scoped(json) json_object *document = NULL;
	int err;

	if (argc != 1) {
		hs_err("show needs one run: its folder, its run.json or its log");
		return HS_EXIT_USAGE;
	}
	err = hs_rundir_find(argv[0], &rundir);
	if (!err)
		err = hs_json_read_file(rundir->document, &document);
	if (err)
		return err;
	if (strcmp(hs_json_get_string(document, "schema"), HS_DOCUMENT_SCHEMA) != 0)
		return hs_fail(-EBADMSG, "%s has the schema '%s'; this hsbpf reads " HS_DOCUMENT_SCHEMA,
			       rundir->document, hs_json_get_string(document, "schema"));
	if (hs_document_check(document))
		return hs_fail(-EBADMSG, "%s is damaged: it is not what a run writes", rundir->document);
	if (config->recount || !strcmp(hs_json_get_string(document, "outcome"), "running"))
		err = hs_session_recount(rundir, document);
	if (config->json)
		printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	else
		hs_summary_print(stdout, document);
	return err;
}

const struct hs_verb cmd_show = {
	.name = "show",
	.synopsis = "RUN",
	.help = "print the summary of a run again",
	.text = "A run that was killed has outcome \"running\": what its log and traces hold is counted anew.",
	.options = options,
	.config_size = sizeof(struct show_config),
	.run = run,
};
