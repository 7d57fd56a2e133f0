/* SPDX-License-Identifier: GPL-2.0-only */
/* A folder with room for one DMA trace, of a load of tenants or record by record: for the tests of traces and models. */
#ifndef HS_TESTS_UNIT_TRACE_FIXTURE_H
#define HS_TESTS_UNIT_TRACE_FIXTURE_H

#include "cm.h"

#include <string.h>

#include "base/io.h"
#include "hyper/dmatrace.h"
#include "tests/lib/tenants.h"

struct fixture {
	char dir[32];
	char *path;
};

static inline int start(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->dir, "/tmp/hsbpf-trace.XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	fixture->path = hs_format("%s/trace", fixture->dir);
	*state = fixture;
	return 0;
}

static inline int stop(void **state)
{
	struct fixture *fixture = *state;

	hs_remove_tree(fixture->dir);
	free(fixture->path);
	free(fixture);
	return 0;
}

static inline struct hs_dmatrace *make_trace(void **state, const struct tenants_load *load)
{
	const struct fixture *fixture = *state;
	struct hs_dmatrace *trace = NULL;

	assert_int_equal(tenants_write(fixture->path, load), 0);
	assert_int_equal(hs_dmatrace_open(fixture->path, &trace), 0);
	return trace;
}

/* A trace of these records, of one tenant with so many levels. */
static inline struct hs_dmatrace *trace_of(void **state, const struct hs_dmatrace_record *records, size_t count,
					   int levels)
{
	const struct fixture *fixture = *state;
	const struct hs_dmatrace_header plan = { .source_nr = 1, .tenant_nr = 1, .burst = 1 };
	const struct hs_dmatrace_source source = { .name = "by hand" };
	const struct hs_dmatrace_tenant tenant = { .epochs = 1, .levels = (uint8_t)levels };
	scoped(hs_dmatrace_writer) struct hs_dmatrace_writer *writer = NULL;
	struct hs_dmatrace *trace = NULL;

	assert_int_equal(hs_dmatrace_writer_open(fixture->path, &plan, &writer), 0);
	for (size_t i = 0; i < count; i++)
		hs_dmatrace_writer_put(writer, &records[i]);
	assert_int_equal(hs_dmatrace_writer_finish(writer, &source, &tenant, NULL), 0);
	assert_int_equal(hs_dmatrace_open(fixture->path, &trace), 0);
	return trace;
}

#endif
