// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as records with any values, between losses anywhere: every analysis ends, and what it counts adds up.
 * Each record takes three bytes and its event's size: which event, CPU, a loss before it, then its fields.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cpus_report.h"
#include "analysis/exits_report.h"
#include "analysis/irqs_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

struct analyses {
	struct hs_exits exits;
	struct hs_irqs irqs;
	struct hs_cpus cpus;
	struct hs_report report;
	uint64_t exit_records, user_records;
};

static void take_record(struct analyses *all, const struct hs_event_header *record, uint32_t cpu)
{
	struct hs_report *report = &all->report;

	REQUIRE(!hs_exits_add(&all->exits, record, cpu));
	REQUIRE(!hs_irqs_add(&all->irqs, record, cpu));
	REQUIRE(!hs_cpus_add(&all->cpus, record, cpu));
	all->exit_records += record->id == HS_EVENT_kvm_exit;
	all->user_records += record->id == HS_EVENT_kvm_userspace_exit;
	report->seen[record->id]++;
	report->start_ns = report->records++ && report->start_ns < record->ts ? report->start_ns : record->ts;
	report->end_ns = record->ts > report->end_ns ? record->ts : report->end_ns;
}

static void take_loss(struct analyses *all, uint64_t now_ns, uint8_t what)
{
	struct hs_ctf_loss loss = { .cpu = what, .begin_ns = now_ns, .events = what };

	loss.end_ns = __builtin_add_overflow(now_ns, (uint64_t)what << 4, &loss.end_ns) ? UINT64_MAX : loss.end_ns;
	hs_exits_add_loss(&all->exits, &loss);
	hs_irqs_add_loss(&all->irqs, &loss);
	hs_cpus_add_loss(&all->cpus, &loss);
	REQUIRE(!hs_report_add_loss(&all->report, &loss));
}

/* A time is the one before plus its lowest bytes, sometimes minus, sometimes anything: else nothing would pair. */
static uint64_t choose_time(uint64_t last_ns, uint64_t ts)
{
	if ((ts & 0xf0) == 0xf0)
		return ts;
	return (ts & 0xf0) == 0xe0 ? last_ns - (ts & 0xf) : last_ns + (ts & 0xffff);
}

static void feed(struct analyses *all, const uint8_t *data, size_t size)
{
	uint64_t last_ns = 1000;

	while (size > 3) {
		const struct hs_event *event = &hs_events[data[0] % hs_event_nr];
		_Alignas(8) uint8_t record[256] = { 0 };
		struct hs_event_header *header = (void *)record;
		uint8_t cpu = data[1], lost = data[2];
		size_t take = event->size < size - 3 ? event->size : size - 3;

		memcpy(record, data + 3, take);
		data += 3 + take;
		size -= 3 + take;
		header->id = event->id;
		header->tid &= 0x80000007;
		header->ts = last_ns = choose_time(last_ns, header->ts);
		if (lost > 0xe0)
			take_loss(all, last_ns, lost);
		take_record(all, header, cpu & 0x0f);
	}
}

static void check_exits(const struct analyses *all)
{
	const struct hs_exits *exits = &all->exits;
	const struct hs_exits_untimed *u = &exits->untimed, *v = &exits->user_untimed;
	uint64_t count[2] = { 0 }, timed[2] = { 0 };

	for (size_t i = 0; i < exits->rows.count; i++) {
		const struct hs_exits_row *row = (const void *)exits->rows.entries[i]->value;
		/* The isa of a record may be anything, so also what stands for user space. */
		bool user = exits->rows.entries[i]->key.kind == HS_EXITS_USERSPACE;

		REQUIRE(row->time.count <= row->count);
		count[user] += row->count;
		timed[user] += row->time.count;
	}
	REQUIRE(exits->exits - exits->long_exits == all->exit_records && exits->user_exits == all->user_records);
	REQUIRE(count[0] + count[1] == exits->exits + exits->user_exits);
	REQUIRE(timed[0] + timed[1] + u->no_entry + u->at_end + u->lost + u->stepped_back + v->no_entry + v->at_end +
			v->lost + v->stepped_back ==
		count[0] + count[1]);
}

static void check_irqs(const struct hs_irqs *irqs)
{
	uint64_t injections = 0;

	for (size_t i = 0; i < irqs->rows.count; i++) {
		const struct hs_irqs_row *row = (const void *)irqs->rows.entries[i]->value;

		if (irqs->rows.entries[i]->key.kind != HS_IRQS_VECTOR)
			continue;
		injections += row->count;
		REQUIRE(row->service.count + row->no_eoi + row->lost + row->soft == row->count);
		REQUIRE(row->delivery.count <= row->count);
	}
	REQUIRE(injections == irqs->injections);
}

/* What the vCPUs used is what was used of the CPUs. */
static void check_cpus(const struct hs_cpus *cpus)
{
	uint64_t by_vcpu[HS_CPUS_USE_NR] = { 0 }, by_cpu[HS_CPUS_USE_NR] = { 0 };

	for (unsigned int use = 0; use < HS_CPUS_HALTED; use++) {
		for (size_t i = 0; i < cpus->vcpus.count; i++)
			by_vcpu[use] += ((struct hs_cpus_row *)cpus->vcpus.entries[i]->value)->ns[use];
		for (size_t i = 0; i < cpus->pcpus.count; i++)
			by_cpu[use] += ((struct hs_cpus_row *)cpus->pcpus.entries[i]->value)->ns[use];
		REQUIRE(by_vcpu[use] == by_cpu[use]);
	}
}

static void print_everything(struct analyses *all, uint8_t choice)
{
	FILE *null = fopen("/dev/null", "w");

	REQUIRE(null);
	all->report.machine = "host";
	all->report.format = choice % 2 ? HS_REPORT_TEXT : HS_REPORT_JSON;
	all->report.with_histograms = choice & 4;
	all->report.sort = "time_ns";
	all->report.kind = "vm_exit";
	REQUIRE(!hs_exits_report(&all->exits, &all->report, null));
	all->report.kind = "irq";
	REQUIRE(!hs_irqs_report(&all->irqs, &all->report, null));
	all->report.kind = "cpu";
	REQUIRE(!hs_cpus_report(&all->cpus, &all->report, null));
	fclose(null);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hs_vm_list no_vms;
	struct hs_scope scope = { .by = size ? data[0] % 3 : 0 };
	struct analyses all = { .report.vms = &no_vms };

	if (!size)
		return 0;
	REQUIRE(!hs_exits_start(&all.exits, &scope, NULL));
	REQUIRE(!hs_irqs_start(&all.irqs, &scope, NULL));
	REQUIRE(!hs_cpus_start(&all.cpus, &scope, NULL));
	feed(&all, data + 1, size - 1);
	REQUIRE(!hs_exits_finish(&all.exits) && !hs_irqs_finish(&all.irqs) && !hs_cpus_finish(&all.cpus));
	check_exits(&all);
	check_irqs(&all.irqs);
	check_cpus(&all.cpus);
	print_everything(&all, data[0] >> 2);
	hs_exits_clear(&all.exits);
	hs_irqs_clear(&all.irqs);
	hs_cpus_clear(&all.cpus);
	hs_report_clear(&all.report);
	return 0;
}
