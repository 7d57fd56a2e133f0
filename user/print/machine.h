/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One machine of a recording as `hsbpf print` walks along it: its reader, what is known of its events, and where its
 * clock lies on that of all. One thread.
 */
#ifndef HS_PRINT_MACHINE_H
#define HS_PRINT_MACHINE_H

#include "analysis/threads.h"
#include "trace/ctf_reader.h"

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

	int64_t to_real_ns; /* added to its clock */
	int64_t to_boot_ns; /* added to its clock: the host's CLOCK_BOOTTIME */

	bool has_record; /* the next one */
	struct hs_ctf_record record;
	uint64_t real_ns; /* CLOCK_REALTIME of the record: what machines are merged by */
};

/* 0 or -errno (said). What is opened must be closed also after an error. */
int hs_print_machine_open(struct hs_print_machine *machine, const char *trace, const struct hs_vm_list *vms);
void hs_print_machine_close(struct hs_print_machine *machine);

/* Reads the next record. 0 or -errno (said). */
int hs_print_machine_advance(struct hs_print_machine *machine);

uint64_t hs_print_machine_real_ns(const struct hs_print_machine *machine, uint64_t ns);
uint64_t hs_print_machine_boot_ns(const struct hs_print_machine *machine, uint64_t ns);

/* Only records of [from_ns, to_ns], CLOCK_REALTIME. Before the first record. */
void hs_print_machine_set_range(struct hs_print_machine *machine, uint64_t from_ns, uint64_t to_ns);

#endif
