/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One run of `hsbpf collect` from its first check to its document: lab, collector and files together. Also
 * raises the lab of `hsbpf lab up`, which is a run without a test and without a collector.
 */
#ifndef HS_RUN_SESSION_H
#define HS_RUN_SESSION_H

#include "document.h"
#include "orchestrate/ctl.h"
#include "orchestrate/lab.h"
#include "orchestrate/workload.h"
#include "rundir.h"

struct hs_session;

struct hs_session_config {
	struct hs_lab_config lab; /* console_dir, log_file and hooks are filled in here */
	const char *out, *prefix;
	unsigned number;
	const struct hs_workload_test *test;
	unsigned seconds;
	const char *iperf3_args;
	bool trace; /* BPF and the IOMMU log */
	bool log;   /* of all machines; of a lab that stays up `hsbpf log` may have it */
	const char *guest_events; /* what all machines are recorded for, NULL: by their kind; see lab.guest_trace */
};

/* Checks, creates the files, takes the lab's name. Nothing runs yet. */
int hs_session_open(struct hs_loop *loop, const struct hs_session_config *config, struct hs_session **out);
/* Raises the lab, with the collector from before its first process. 0, -EINTR or -errno. */
int hs_session_raise(struct hs_session *session);
/* Lets the machines record, runs the test in every pair, lets them stop. */
int hs_session_test(struct hs_session *session);
/*
 * Ends the run with what hs_session_raise() and _test() returned: takes the lab down (or leaves it, keep), completes
 * the document, writes it. Always call it; returns the run's own result.
 */
int hs_session_finish(struct hs_session *session, int result, bool keep);
void hs_session_free(struct hs_session *session);
HS_SCOPED(hs_session, struct hs_session *, hs_session_free)

/* Makes the run end well, from a signal or the disk's alarm. */
void hs_session_interrupt(struct hs_session *session);

/* Serves the control socket until the lab is asked down or interrupted; runs tests that are ordered. */
int hs_session_serve(struct hs_session *session);

/* Borrowed; complete after hs_session_finish(). */
json_object *hs_session_document(struct hs_session *session);
const struct hs_rundir *hs_session_rundir(const struct hs_session *session);

/* A document of what an interrupted run left: counted again from its log and trace. Message on failure. */
int hs_session_recount(const struct hs_rundir *rundir, json_object *document);

#endif
