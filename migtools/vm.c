// SPDX-License-Identifier: GPL-2.0-only
/*
 * `vm`: emulates the TCP streams of a live migration between two hosts, without a VM. Its options, checked together;
 * stream_source.c and stream_destination.c are the two ends.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/unit.h"
#include "migtools/migtools.h"
#include "migtools/stream.h"
#include "migtools/stream_guest.h"
#include "migtools/stream_wire.h"

#define DEFAULT_ROUNDS "30"

struct vm_config {
	bool is_destination, is_source;
	const char *host;
	uint64_t vm_bytes, page_bytes;
	uint32_t port;
	struct hs_opt_list tests;
	uint32_t streams;
	bool request_stream, legacy;
	const char *fill;
	uint64_t bytes_per_s, burst_bytes;
	uint64_t dirty_bytes_per_s, working_bytes, downtime_limit_ns;
	uint32_t max_rounds;
	uint64_t duration_ns;
	bool once, json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct vm_config, is_destination, "dst", 'd', HS_OPT_FLAG, NULL, NULL, "emulate the destination"),
	HS_OPT(struct vm_config, is_source, "src", 's', HS_OPT_FLAG, NULL, NULL, "emulate the source"),
	HS_OPT(struct vm_config, host, "host", 'H', HS_OPT_STR, "ADDRESS", NULL,
	       "the destination's address or name, IPv4 or IPv6; with -d the address to listen on, every one unless "
	       "given"),
	HS_OPT(struct vm_config, port, "port", 'p', HS_OPT_U32, "PORT", "12323", "TCP port of the destination",
	       .min = 1, .max = 65535),
	HS_OPT(struct vm_config, vm_bytes, "size", 'S', HS_OPT_SIZE, "SIZE", "1024",
	       "memory of the VM; a bare number is GiB", .min = HS_STREAM_PAGE_BYTES_MIN, .unit = 1ull << 30),
	HS_OPT(struct vm_config, tests, "test", 't', HS_OPT_LIST, "precopy|postcopy", NULL,
	       "of a source: stream pages (speed matters), or answer the destination's requests (latency matters); "
	       "both "
	       "when given twice"),
	HS_OPT(struct vm_config, streams, "streams", 0, HS_OPT_U32, "N", "1",
	       "of a source: share the pages among N connections", .min = 1, .max = HS_STREAM_STREAMS_MAX),
	HS_OPT(struct vm_config, request_stream, "request-stream", 0, HS_OPT_FLAG, NULL, NULL,
	       "of a source: answer requests on a connection of their own, as QEMU's postcopy-preempt does"),
	HS_OPT(struct vm_config, page_bytes, "page-size", 0, HS_OPT_SIZE, "SIZE", NULL,
	       "insist on this page size; else two of ours take the larger of their own, and mig_mon's peer its own",
	       .min = HS_STREAM_PAGE_BYTES_MIN, .max = HS_STREAM_PAGE_BYTES_MAX),
	HS_OPT(struct vm_config, fill, "fill", 0, HS_OPT_STR, "CONTENTS", "zero",
	       "of a source: what pages hold: zero, random, or compressible=P% (that share is zeros)"),
	HS_OPT(struct vm_config, bytes_per_s, "max-bandwidth", 0, HS_OPT_SIZE, "SIZE", NULL,
	       "of a source: stream at most SIZE per second, answers to requests apart; a bare number is MiB",
	       .unit = 1ull << 20),
	HS_OPT(struct vm_config, burst_bytes, "burst", 0, HS_OPT_SIZE, "SIZE", NULL,
	       "with --max-bandwidth: a stream that was held up makes up for SIZE at most; what 10 ms may send unless "
	       "given"),
	HS_OPT(struct vm_config, dirty_bytes_per_s, "dirty-rate", 0, HS_OPT_SIZE, "SIZE", NULL,
	       "of a source: the VM writes that much memory per second while it is migrated, in rounds until what is "
	       "left fits into the downtime limit; a bare number is MiB",
	       .unit = 1ull << 20),
	HS_OPT(struct vm_config, working_bytes, "working-set", 0, HS_OPT_SIZE, "SIZE", NULL,
	       "with --dirty-rate: it writes to this much of its memory; all unless given"),
	HS_OPT(struct vm_config, downtime_limit_ns, "downtime-limit", 0, HS_OPT_DURATION, "TIME", "300ms",
	       "with --dirty-rate: how long the VM may stand still"),
	HS_OPT(struct vm_config, max_rounds, "max-rounds", 0, HS_OPT_U32, "N", DEFAULT_ROUNDS,
	       "with --dirty-rate: stop the VM after N rounds at the latest", .min = 1, .max = 100000),
	HS_OPT(struct vm_config, duration_ns, "duration", 0, HS_OPT_DURATION, "TIME", NULL,
	       "end after that time; else Ctrl-C ends it"),
	HS_OPT(struct vm_config, once, "once", 0, HS_OPT_FLAG, NULL, NULL,
	       "of a destination: end when the first source has gone"),
	HS_OPT(struct vm_config, legacy, "legacy", 0, HS_OPT_FLAG, NULL, NULL,
	       "of a source: mig_mon's bytes and nothing else, also between two of ours"),
	HS_OPT(struct vm_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print the result as one JSON document (hsbpf.vm/1); progress goes to stderr"),
	HS_OPT_END,
};

static int usage(const char *text)
{
	hs_err("vm: %s; see `hsbpf vm --help`", text);
	return HS_EXIT_USAGE;
}

static int read_tests(const struct hs_opt_list *tests, struct hs_stream_config *out)
{
	for (size_t i = 0; i < tests->count; i++) {
		if (!strcmp(tests->items[i], "precopy"))
			out->has_precopy = true;
		else if (!strcmp(tests->items[i], "postcopy"))
			out->has_postcopy = true;
		else
			return usage("-t takes precopy or postcopy");
	}
	return 0;
}

static int check_source(const struct vm_config *config, const struct hs_stream_config *stream)
{
	uint64_t pages = stream->vm_bytes / stream->page_bytes;

	if (!config->host)
		return usage("a source needs the destination's address: -H");
	if (!stream->has_precopy && !stream->has_postcopy)
		return usage("a source needs -t precopy, -t postcopy or both");
	if (config->once)
		return usage("--once is for a destination");
	if (config->streams > 1 && pages / config->streams < HS_STREAM_PART_PAGES)
		return usage("so many streams need more memory: 64 pages each");
	if (config->request_stream && !(stream->has_precopy && stream->has_postcopy))
		return usage("--request-stream is for -t precopy together with -t postcopy");
	if (config->dirty_bytes_per_s && !stream->has_precopy)
		return usage("--dirty-rate is for -t precopy");
	if (config->working_bytes > stream->vm_bytes)
		return usage("--working-set is larger than the memory");
	if (config->working_bytes && config->working_bytes < stream->page_bytes)
		return usage("--working-set is smaller than a page");
	return 0;
}

static int check_destination(const struct vm_config *config)
{
	if (config->tests.count)
		return usage("precopy and postcopy are said at the source");
	if (config->legacy || config->streams > 1 || config->dirty_bytes_per_s || config->bytes_per_s)
		return usage("how pages are sent is said at the source");
	return 0;
}

static struct hs_stream_config to_stream(const struct vm_config *config)
{
	return (struct hs_stream_config){
		.host = config->host,
		.port = (uint16_t)config->port,
		.vm_bytes = config->vm_bytes,
		.page_bytes = (uint32_t)(config->page_bytes ? config->page_bytes : (uint64_t)sysconf(_SC_PAGESIZE)),
		.page_size_fixed = config->page_bytes,
		.duration_ns = config->duration_ns,
		.json = config->json,
		.streams = config->streams,
		.has_request_stream = config->request_stream,
		.is_legacy = config->legacy,
		.fill = config->fill,
		.bytes_per_s = config->bytes_per_s,
		.burst_bytes = config->burst_bytes,
		.dirty_bytes_per_s = config->dirty_bytes_per_s,
		.working_bytes = config->working_bytes,
		.downtime_limit_ns = config->downtime_limit_ns,
		.max_rounds = config->max_rounds,
		.is_once = config->once,
	};
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct vm_config *config = config_ptr;
	struct hs_stream_config stream = to_stream(config);
	int err;

	(void)argv;
	if (argc)
		return usage("takes no operand");
	if (config->is_destination == config->is_source)
		return usage("either -d, the destination, or -s, the source");
	if (!hs_stream_is_page_size(stream.page_bytes))
		return usage("--page-size takes a power of two");
	if (stream.vm_bytes < stream.page_bytes)
		return usage("-S is less than a page");
	err = read_tests(&config->tests, &stream);
	if (!err)
		err = config->is_source ? check_source(config, &stream) : check_destination(config);
	if (err)
		return err;
	return config->is_source ? hs_stream_run_source(&stream) : hs_stream_run_destination(&stream);
}

const struct hs_verb cmd_vm = {
	.name = "vm",
	.synopsis = "",
	.help = "emulate the streams of a live migration: what the network between two hosts is good for",
	.text = "Start `vm -d` at one host, and at the other `vm -s -H ADDRESS -t precopy -t postcopy`. The source "
		"tells "
		"its speed\n"
		"once a second, the destination how long requested pages take. Either end may be mig_mon's: a source "
		"of "
		"ours puts what\n"
		"it offers where a mig_mon destination does not look, and speaks mig_mon's language until it is "
		"answered.\n\n"
		"Between two of ours a requested page's time is told in parts: how long it was queued in the source "
		"and "
		"in its\n"
		"socket, in the network, and in the destination's socket. With --dirty-rate the source emulates a VM "
		"that "
		"goes on\n"
		"writing: after each round it tells how many will follow, and how long the VM will stand still at the "
		"end.",
	.example = "vm -s -H host2 -t precopy  how fast a migration to host2 would be; there: vm -d",
	.options = options,
	.config_size = sizeof(struct vm_config),
	.run = run,
};
