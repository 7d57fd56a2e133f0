/* SPDX-License-Identifier: GPL-2.0-only */
/* What lab.c, lab_argv.c and lab_exec.c share; nobody else includes it. */
#ifndef HS_ORCHESTRATE_LAB_INTERNAL_H
#define HS_ORCHESTRATE_LAB_INTERNAL_H

#include "base/unit.h"
#include "images.h"
#include "lab.h"
#include "labdir.h"

struct hs_lab_exec_run {
	struct hs_lab_exec_run *next;
	uint32_t id;
	struct hs_machine *machine;
	struct hs_exec_ops ops;
	void *ctx;
};

struct hs_lab {
	struct hs_loop *loop;
	struct hs_watch poke; /* see on_poke() */
	struct hs_lab_config config;
	struct hs_memory memory;
	struct hs_labdir *dir;
	struct hs_images *images;
	struct hs_net *net;
	struct hs_accel_answer accel;
	struct hs_machine *machines;
	unsigned machines_nr, clients_started;
	bool interrupted, raising, lowering, lowered;
	bool l1_froze;	      /* and was killed for it */
	bool l1_can_be_tried; /* it has ended while raising, in a way that is worth another try */
	uint64_t l1_heard_ns; /* it answered a poke; 0: none was sent yet */
	uint64_t phase_start_ns[HS_PHASE_NR], phase_ns[HS_PHASE_NR];
	struct hs_lab_exec_run *runs;
	uint32_t last_run_id;
};

/* lab_argv.c */
void hs_lab_l1_argv(const struct hs_lab *lab, struct hs_argv *argv);
void hs_lab_client_argv(const struct hs_lab *lab, const struct hs_machine *machine, struct hs_argv *argv);
void hs_lab_l2_argv(const struct hs_lab *lab, unsigned tenant, struct hs_argv *argv);

/* lab_exec.c */
void hs_lab_exec_on_frame(struct hs_lab *lab, struct hs_machine *machine, const struct hs_frame *frame,
			  const char *payload);
/* Ends every run in that machine with status -1: it is gone. */
void hs_lab_exec_drop_machine(struct hs_lab *lab, unsigned number);
void hs_lab_exec_clear(struct hs_lab *lab);

#endif
