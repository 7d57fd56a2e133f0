/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Both ends of `vm`, as the verb (vm.c) runs them: the source of an emulated migration and the destination. Main
 * thread; each connection has a thread of its own.
 */
#ifndef HS_MIGTOOLS_STREAM_H
#define HS_MIGTOOLS_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define HS_STREAM_STREAMS_MAX 64

struct hs_stream_config {
	const char *host; /* the destination; of a destination: the address to listen on, or NULL */
	uint16_t port;
	uint64_t vm_bytes;
	uint32_t page_bytes;
	bool page_size_fixed; /* the user named it */
	uint64_t duration_ns; /* 0: until interrupted */
	bool json;
	/* Of a source: */
	bool has_precopy, has_postcopy; /* at least one */
	uint32_t streams;		/* that share the pages */
	bool has_request_stream;	/* requests have a connection of their own */
	bool is_legacy;
	const char *fill;	    /* of hs_page_format_parse() */
	uint64_t bytes_per_s;	    /* of all streams together; 0: no limit */
	uint64_t burst_bytes;	    /* 0: what 10 ms may send */
	uint64_t dirty_bytes_per_s; /* 0: no rounds */
	uint64_t working_bytes;	    /* that are written; 0: all */
	uint64_t downtime_limit_ns;
	uint32_t max_rounds;
	/* Of a destination: */
	bool is_once; /* ends with the first source */
};

/* Each prints its summary or document. 0, -errno after a message, or an exit code. */
int hs_stream_run_source(const struct hs_stream_config *config);
int hs_stream_run_destination(const struct hs_stream_config *config);

#endif
