/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM records for the tests of analyses: one line a record, fed to an analysis or written as a trace. */
#ifndef HS_TESTS_UNIT_ANALYSIS_FIXTURE_H
#define HS_TESTS_UNIT_ANALYSIS_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "trace_events/events.h"

#define TGID 100
#define SVM_HLT 0x78
#define SVM_NPF 0x400
#define SVM_IOIO 0x7b

/* A record of any event, and the CPU it is from. */
struct step {
	uint32_t cpu;
	union {
		struct hs_event_header header;
		struct hs_event_kvm_exit exit;
		struct hs_event_kvm_entry entry;
		struct hs_event_kvm_userspace_exit user;
		struct hs_event_kvm_inj_virq inj;
		struct hs_event_kvm_set_irq set_irq;
		struct hs_event_kvm_msi_set_irq msi;
		unsigned char bytes[64];
	};
};

#define HEADER(event, time, thread) .header = { .ts = (time), .id = HS_EVENT_##event, .tid = (thread) }

struct named_value {
	const char *field;
	uint64_t value;
};

/* A record of an event that is known by name, of a thread of TGID; the values end with a NULL field. */
static inline struct step make_step(const char *event_name, uint64_t time, uint32_t tid,
				    const struct named_value *values)
{
	const struct hs_event *event = hs_event_find_name(event_name);
	struct step step = { .cpu = 0 };

	if (!event)
		abort();
	step.header = (struct hs_event_header){ .ts = time, .id = event->id, .tid = tid };
	for (; values->field; values++)
		for (unsigned int i = 0; i < event->field_nr; i++)
			if (!strcmp(event->fields[i].name, values->field))
				memcpy(step.bytes + event->fields[i].offset, &values->value, event->fields[i].size);
	return step;
}
#define STEP(event, time, tid, ...)                                                                                    \
	make_step(event, time, tid, (const struct named_value[]){ __VA_ARGS__, { NULL, 0 } })

/* Tests of events by name: only when the event table has the row. */
#define RUN_TESTS_IF(event, name, tests)                                                                               \
	(hs_event_find_name(event) ? RUN_TESTS(name, tests)                                                            \
				   : (printf("ok 1 - " name " # SKIP there is no event " event "\n"), 0))

/* The thread of a vCPU of the process `pid`. */
#define TID(pid, vcpu) ((pid) + 1 + (vcpu))

#define EXIT_OF(time, on_cpu, pid, vcpu, why)                                                                          \
	((struct step){ .cpu = (on_cpu),                                                                               \
			.exit = { HEADER(kvm_exit, time, TID(pid, vcpu)), .exit_reason = (why), .isa = 2,              \
				  .vcpu_id = (vcpu), .tgid = (pid) } })
#define ENTRY_OF(time, on_cpu, pid, vcpu)                                                                              \
	((struct step){ .cpu = (on_cpu),                                                                               \
			.entry = { HEADER(kvm_entry, time, TID(pid, vcpu)), .vcpu_id = (vcpu), .tgid = (pid) } })
#define USER_OF(time, on_cpu, pid, vcpu, why)                                                                          \
	((struct step){                                                                                                \
		.cpu = (on_cpu),                                                                                       \
		.user = { HEADER(kvm_userspace_exit, time, TID(pid, vcpu)), .reason = (why), .tgid = (pid) } })

/* Of the one VM, on CPU 0. */
#define EXIT(time, vcpu, why) EXIT_OF(time, 0, TGID, vcpu, why)
#define ENTRY(time, vcpu) ENTRY_OF(time, 0, TGID, vcpu)
#define USER(time, vcpu, why) USER_OF(time, 0, TGID, vcpu, why)

#define STEPS(...) (const struct step[]){ __VA_ARGS__ }, sizeof((struct step[]){ __VA_ARGS__ }) / sizeof(struct step)

#endif
