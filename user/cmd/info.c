// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf info DIR`: what is in a run or a recording, machine by machine. One thread. */
#include "info/info.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "cmd.h"

struct info_config {
	bool json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct info_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document"),
	HS_OPT_END,
};

static int run(void *config_ptr, int argc, char **argv)
{
	const struct info_config *config = config_ptr;
	scoped(hs_trace_folders) struct hs_trace_folders *folders = NULL;
	scoped(json) json_object *document = NULL;
	int err;

	if (argc != 1) {
		hs_err("info needs one folder: of a run, of a recording, or a trace");
		return HS_EXIT_USAGE;
	}
	err = hs_trace_find(argv[0], &folders);
	if (!err)
		err = hs_info_read(argv[0], folders, &document);
	if (err)
		return err;
	if (config->json)
		printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	else
		hs_info_print(stdout, document);
	if (fflush(stdout))
		return hs_fail(-EIO, "cannot write what was found");
	return hs_info_say_silent(document) ? HS_EXIT_FAILURE : 0;
}

const struct hs_verb cmd_info = {
	.name = "info",
	.synopsis = "DIR",
	.help = "what is in a run or a recording, machine by machine",
	.text = "DIR is what `hsbpf collect`, `hsbpf record` or `hsbpf guest` made, or a CTF trace of hsbpf. Of each "
		"machine:\n"
		"its events by name (counted in the trace itself) and what was lost of them, the first and the last "
		"time by\n"
		"the host's clock, how far its own clock may be off from that, files. The exit code is 1 when a "
		"machine "
		"that\n"
		"was to be recorded sent nothing.",
	.options = options,
	.config_size = sizeof(struct info_config),
	.run = run,
};
