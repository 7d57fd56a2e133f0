/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One machine of a recording as `hsbpf print` walks along it: its reader, what is known of its events, and where its
 * clock lies on that of all. One thread.
 */
#ifndef HS_PRINT_MACHINE_H
#define HS_PRINT_MACHINE_H

#include "analysis/threads.h"
#include "trace/ctf_reader.h"
#include "trace/machine_clock.h"

/* What filters and columns need of an event; NULL: its records have no such field. */
struct hs_print_kind {
	const struct hs_event *event; /* NULL: nothing has this index */
	const struct hs_field *tgid, *other_tgid, *vcpu;
	bool is_wanted;
	uint64_t printed;
};

struct hs_print_machine {
	struct hs_ctf_reader *reader;
	void *ctx;		     /* of whoever opened it */
	const char *name;	     /* the reader's */
	struct hs_print_kind *kinds; /* by the index of the event */
	uint32_t kind_nr;
	struct hs_threads threads;
	const struct hs_vm_list *vms; /* NULL: nobody knows its VMs' names */

	struct hs_machine_clock clock;

	bool has_record; /* the next one */
	struct hs_ctf_record record;
	uint64_t boot_ns; /* of the record, by the host's CLOCK_BOOTTIME: what machines are merged by */
};

/* 0 or -errno (said). What is opened must be closed also after an error. */
int hs_print_machine_open(struct hs_print_machine *machine, const char *trace, const struct hs_vm_list *vms);
void hs_print_machine_close(struct hs_print_machine *machine);

/* Reads the next record. 0 or -errno (said). */
int hs_print_machine_advance(struct hs_print_machine *machine);

/* Only records of about [from_ns, to_ns], the host's CLOCK_BOOTTIME. Before the first record. */
void hs_print_machine_set_range(struct hs_print_machine *machine, uint64_t from_ns, uint64_t to_ns);

#endif
