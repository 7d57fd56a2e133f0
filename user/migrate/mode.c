// SPDX-License-Identifier: GPL-2.0-only
/* The table of modes and what QEMU is told of each. */
#include "migrate/mode.h"

#include <stdio.h>
#include <string.h>

/* The link is what limits it, not QEMU. */
#define NO_BANDWIDTH_LIMIT (1ll << 40)

const struct hs_mode hs_modes[] = {
	{ "precopy", "", NULL, 0, "rounds until the rest fits into the downtime limit" },
	{ "postcopy", "postcopy-ram postcopy-blocktime", NULL, 1,
	  "the guest goes first, its pages follow when it needs them" },
	{ "precopy-postcopy", "postcopy-ram postcopy-blocktime", NULL, 2, "one round of precopy, then postcopy" },
	{ "postcopy-preempt", "postcopy-ram postcopy-blocktime postcopy-preempt", NULL, 2,
	  "as precopy-postcopy, urgent pages on a connection of their own" },
	{ "auto-converge", "auto-converge", "{\"cpu-throttle-initial\":30,\"cpu-throttle-increment\":20}", 0,
	  "a guest that dirties too fast gets less CPU" },
	{ "multifd", "multifd", "{\"multifd-channels\":4}", 0, "four connections" },
	{ "multifd-zlib", "multifd", "{\"multifd-channels\":2,\"multifd-compression\":\"zlib\"}", 0,
	  "two connections, packed by zlib" },
	{ "multifd-zstd", "multifd", "{\"multifd-channels\":2,\"multifd-compression\":\"zstd\"}", 0,
	  "two connections, packed by zstd" },
	{ "xbzrle", "xbzrle", "{\"xbzrle-cache-size\":67108864}", 0, "pages sent again go as differences" },
	{ "compress", "compress", "{\"compress-threads\":2,\"decompress-threads\":2,\"compress-level\":1}", 0,
	  "pages are packed by threads (QEMU up to 9.0)" },
	{ "zero-page-legacy", "", "{\"zero-page-detection\":\"legacy\"}", 0,
	  "zero pages are found by the migration thread (QEMU from 9.0)" },
	{ "zero-page-multifd", "multifd", "{\"multifd-channels\":2,\"zero-page-detection\":\"multifd\"}", 0,
	  "zero pages are found by the multifd threads (QEMU from 9.0)" },
	{ "zero-page-none", "", "{\"zero-page-detection\":\"none\"}", 0,
	  "zero pages are sent as they are (QEMU from 9.0)" },
	{ "zero-copy", "multifd zero-copy-send", "{\"multifd-channels\":2}", 0,
	  "the kernel sends from guest memory (needs locked memory)" },
	{ NULL, NULL, NULL, 0, NULL },
};

const struct hs_mode *hs_mode_find(const char *name)
{
	for (const struct hs_mode *mode = hs_modes; mode->name; mode++)
		if (!strcmp(mode->name, name))
			return mode;
	return NULL;
}

static void add_capability(json_object *list, const char *name)
{
	json_object *capability = hs_json_append_object(list);

	hs_json_add_string(capability, "capability", name);
	hs_json_add_bool(capability, "state", true);
}

json_object *hs_mode_capabilities(const struct hs_mode *mode)
{
	json_object *arguments = json_object_new_object();
	json_object *list = hs_json_add_array(arguments, "capabilities");
	char words[128], *save = NULL;

	snprintf(words, sizeof(words), "%s", mode->capabilities);
	add_capability(list, "events");
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		add_capability(list, word);
	return arguments;
}

json_object *hs_mode_parameters(const struct hs_mode *mode, uint64_t downtime_limit_ms)
{
	json_object *arguments = mode->parameters ? json_tokener_parse(mode->parameters) : json_object_new_object();

	/* What is to end in postcopy must not end in precopy before it gets there. */
	hs_json_add_u64(arguments, "downtime-limit", mode->postcopy_round ? 1 : downtime_limit_ms);
	hs_json_add_u64(arguments, "max-bandwidth", NO_BANDWIDTH_LIMIT);
	return arguments;
}
