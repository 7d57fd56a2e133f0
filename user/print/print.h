/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prints the records of a recording's traces, all machines and CPUs merged by time, filtered, in one of several
 * forms. For `hsbpf print`; one call at a time.
 */
#ifndef HS_PRINT_PRINT_H
#define HS_PRINT_PRINT_H

#include "analysis/scope.h"
#include "base/opt.h"
#include "capture/vm.h"
#include "print/formats.h"
#include "print/row.h"

enum hs_print_form { HS_PRINT_TEXT, HS_PRINT_JSON, HS_PRINT_JSONL, HS_PRINT_CSV, HS_PRINT_FORMATS, HS_PRINT_COUNT };

struct hs_print_config {
	char *const *traces; /* folders, the host's first */
	size_t trace_nr;
	const char *document; /* path of the run's or recording's, with the machines' clocks; or NULL */
	const struct hs_opt_list *events, *profiles; /* only these, by name, pattern or profile; NULL or none: all */
	struct hs_scope scope;			     /* only these VMs, vCPUs, CPUs */
	const struct hs_vm_list *vms;		     /* of the first machine, for their names */
	uint64_t from_ns, to_ns;		     /* after the first record; to_ns is outside; 0: to the end */
	enum hs_print_clock clock;
	enum hs_print_form form;
	bool json;			  /* of HS_PRINT_COUNT: a document */
	const struct hs_formats *formats; /* of HS_PRINT_FORMATS */
};

/* 0, also when whoever reads fd has enough; HS_EXIT_USAGE: nothing is called what `events` has; -errno. All said. */
int hs_print(const struct hs_print_config *config, int fd);

#endif
