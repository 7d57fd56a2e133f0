// SPDX-License-Identifier: GPL-2.0-only
/* Builds hsbpf.run/1. No I/O but reading a trace back and the interfaces' counters. Main thread. */
#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/io.h"
#include "guest/document.h"
#include "journal/last.h"
#include "timeline/clock_json.h"
#include "trace/ctf_reader.h"

#define QEMU_LOG_QUANTUM_NS 1000 /* its times are cut to microseconds */

void hs_trace_counts_from_capture(const struct hs_capture *capture, struct hs_trace_counts *counts)
{
	*counts = (struct hs_trace_counts){ 0 };
	for (unsigned i = 0; i < hs_event_nr; i++) {
		struct hs_capture_event_counts event;
		uint16_t id = hs_events[i].id;

		if (hs_capture_event_counts(capture, id, &event))
			continue;
		counts->events[id].recorded = event.recorded;
		counts->events[id].lost = event.ring_lost + event.disk_lost;
		counts->events[id].missed = event.missed;
	}
	for (size_t i = 0; i < hs_capture_tap_nr(capture); i++) {
		struct hs_capture_tap_counts tap;

		if (hs_capture_tap_counts(capture, i, &tap) || tap.tenant >= HS_PAIRS_MAX)
			continue;
		counts->taps[tap.tenant][tap.role == HS_ROLE_CLIENT] = (struct hs_tap_counts){
			.to_guest_packets = tap.to_guest_packets,
			.to_guest_bytes = tap.to_guest_bytes,
			.from_guest_packets = tap.from_guest_packets,
			.from_guest_bytes = tap.from_guest_bytes,
			.refused_packets = tap.refused_packets,
		};
	}
}

static void count_packet(struct hs_trace_counts *counts, const struct hs_ctf_record *record)
{
	const struct hs_event_netif_receive_skb *packet = (const void *)record->header;
	struct hs_tap_counts *tap;

	if (record->event->id == HS_EVENT_net_dev_xmit) {
		const struct hs_event_net_dev_xmit *refused = (const void *)record->header;

		if (refused->tenant < HS_PAIRS_MAX)
			counts->taps[refused->tenant][refused->role == HS_ROLE_CLIENT].refused_packets++;
		return;
	}
	if ((record->event->id != HS_EVENT_netif_receive_skb && record->event->id != HS_EVENT_net_dev_start_xmit) ||
	    packet->tenant >= HS_PAIRS_MAX)
		return;
	tap = &counts->taps[packet->tenant][packet->role == HS_ROLE_CLIENT];
	if (record->event->id == HS_EVENT_netif_receive_skb) {
		tap->from_guest_packets++;
		tap->from_guest_bytes += packet->len;
	} else {
		tap->to_guest_packets++;
		tap->to_guest_bytes += packet->len;
	}
}

int hs_trace_counts_from_disk(const char *dir, struct hs_trace_counts *counts)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	int result = hs_ctf_reader_open(dir, &reader);

	*counts = (struct hs_trace_counts){ 0 };
	if (result)
		return result;
	while ((result = hs_ctf_reader_next(reader, &record)) > 0) {
		counts->events[record.event->id].recorded++;
		if (!strcmp(record.event->system, "net"))
			count_packet(counts, &record);
	}
	return result;
}

/* ---- topology ---- */

static void add_machine(json_object *parent, const char *key, const char *name, const char *tap, const char *ip,
			const char *mac)
{
	json_object *machine = hs_json_add_object(parent, key);

	hs_json_add_string(machine, "machine", name);
	hs_json_add_string(machine, "tap", tap);
	hs_json_add_string(machine, "ip", ip);
	if (mac)
		hs_json_add_string(machine, "mac", mac);
}

static void add_tenant(json_object *tenants, unsigned tenant, bool client_netns)
{
	struct hs_pair pair = hs_pair_of(tenant);
	json_object *object = hs_json_append_object(tenants);
	char pci[16], sid[16];

	snprintf(pci, sizeof(pci), "0000:00:%02x.0", pair.slot);
	snprintf(sid, sizeof(sid), "0x%x", pair.sid);
	hs_json_add_u64(object, "tenant", tenant);
	hs_json_add_string(object, "bridge", pair.bridge);
	add_machine(object, "l2", pair.l2, pair.l2_tap, pair.l2_ip, pair.l2_mac);
	hs_json_add_string(hs_json_get(object, "l2"), "pci", pci);
	hs_json_add_string(hs_json_get(object, "l2"), "sid", sid);
	add_machine(object, "client", pair.client, pair.client_tap, pair.client_ip,
		    client_netns ? NULL : pair.client_mac);
}

json_object *hs_document_new(unsigned number, unsigned pairs, const char *nic, bool client_netns)
{
	json_object *document = json_object_new_object(), *tenants;
	struct utsname host;

	uname(&host);
	hs_json_add_string(document, "schema", HS_DOCUMENT_SCHEMA);
	hs_json_add_string(document, "hsbpf", HS_VERSION);
	hs_json_add_u64(document, "run", number);
	hs_json_add_string(document, "outcome", "running");
	hs_json_add_command_line(document, "options");
	hs_json_add_string(document, "host_kernel", host.release);
	hs_json_add_string(document, "nic", nic);
	hs_json_add_u64(document, "pairs", pairs);
	hs_json_add_string(document, "client", client_netns ? "netns" : "vm");
	tenants = hs_json_add_array(document, "tenants");
	for (unsigned tenant = 0; tenant < pairs; tenant++)
		add_tenant(tenants, tenant, client_netns);
	return document;
}

static bool is_object_or_absent(json_object *object, const char *path)
{
	json_object *member = hs_json_get(object, path);

	return !member || json_object_is_type(member, json_type_object);
}

static bool are_tenants_whole(json_object *document)
{
	json_object *tenants = hs_json_get(document, "tenants");
	uint64_t pairs = hs_json_get_u64(document, "pairs");

	if (pairs > HS_PAIRS_MAX || !json_object_is_type(tenants, json_type_array) ||
	    json_object_array_length(tenants) != pairs)
		return false;
	for (size_t i = 0; i < pairs; i++) {
		json_object *tenant = json_object_array_get_idx(tenants, i);

		if (!json_object_is_type(hs_json_get(tenant, "l2"), json_type_object) ||
		    !json_object_is_type(hs_json_get(tenant, "client"), json_type_object))
			return false;
	}
	return true;
}

static bool are_traces_whole(json_object *traces)
{
	if (!traces)
		return true;
	json_object_object_foreach (traces, folder, part)
		if (strchr(folder, '/') || !json_object_is_type(part, json_type_object) ||
		    !is_object_or_absent(part, "events"))
			return false;
	return true;
}

int hs_document_check(json_object *document)
{
	static const char *const objects[] = { "trace", "iommu_log", "iommu_log.events", "phases_seconds", "clock" };

	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		if (!is_object_or_absent(document, objects[i]))
			return -EBADMSG;
	return are_tenants_whole(document) && are_traces_whole(hs_json_get(document, "trace")) ? 0 : -EBADMSG;
}

static json_object *tenant_of(json_object *document, unsigned tenant)
{
	json_object *tenants = hs_json_get(document, "tenants");

	return json_object_is_type(tenants, json_type_array) && tenant < json_object_array_length(tenants)
		       ? json_object_array_get_idx(tenants, tenant)
		       : NULL;
}

void hs_document_set_outcome(json_object *document, const char *outcome, const char *error)
{
	hs_json_add_string(document, "outcome", outcome);
	hs_json_add_bool(document, "complete", !strcmp(outcome, "ok"));
	if (error)
		hs_json_add_string(document, "error", error);
}

/* ---- parts ---- */

static void add_machine_state(json_object *machines, const struct hs_machine *machine, const char *last_dir)
{
	json_object *object = hs_json_append_object(machines);
	uint64_t started = machine->state_ns[HS_STATE_STARTED], ready = machine->state_ns[HS_STATE_READY];

	hs_json_add_string(object, "machine", machine->name);
	hs_json_add_string(object, "state", hs_state_name(machine->state));
	if (*machine->state_text)
		hs_json_add_string(object, "detail", machine->state_text);
	hs_json_add_u64(object, "restarts", machine->restarts);
	if (ready)
		hs_json_add_double(object, "boot_seconds",
				   started && ready > started ? (double)(ready - started) / 1e9 : 0, 3);
	hs_json_add_u64(object, "crashes", hs_last_count(last_dir, machine->name));
}

void hs_document_add_lab(json_object *document, const struct hs_lab *lab)
{
	json_object *phases = hs_json_add_object(document, "phases_seconds");
	json_object *machines = hs_json_add_array(document, "machines");
	const struct hs_accel_answer *accel = hs_lab_accel(lab);

	for (int phase = 0; phase < HS_PHASE_NR; phase++)
		hs_json_add_double(phases, hs_phase_name(phase), (double)hs_lab_phase_ns(lab, phase) / 1e9, 3);
	hs_json_add_string(document, "qemu", hs_lab_machine(lab, 0)->qemu_version);
	hs_json_add_string(document, "guest_kernel", hs_lab_kernel_release(lab));
	hs_json_add_string(document, "accel_l1", accel->l1_kvm ? "kvm" : "tcg");
	hs_json_add_string(document, "accel_client", accel->client_kvm ? "kvm" : "tcg");
	hs_json_add_string(document, "accel_reason", accel->reason);
	for (unsigned i = 0; i < hs_lab_machines(lab); i++)
		add_machine_state(machines, hs_lab_machine(lab, i), hs_lab_config(lab)->crash_dir);
}

void hs_document_add_results(json_object *document, const char *test, unsigned seconds,
			     const struct hs_workload_result *results, unsigned pairs)
{
	hs_json_add_string(document, "test", test);
	hs_json_add_u64(document, "test_seconds", seconds);
	for (unsigned i = 0; i < pairs; i++) {
		const struct hs_workload_result *result = &results[i];
		json_object *object = hs_json_add_object(tenant_of(document, i), "result");

		hs_json_add_bool(object, "ok", result->ok);
		if (*result->error)
			hs_json_add_string(object, "error", result->error);
		hs_json_add_double(object, "bits_per_second", result->bits_per_second, 0);
		hs_json_add_u64(object, "bytes", result->bytes);
		hs_json_add_u64(object, "retransmits", result->retransmits);
		hs_json_add_double(object, "seconds", result->seconds, 3);
		if (result->rtt_avg_ms > 0) {
			hs_json_add_double(object, "rtt_min_ms", result->rtt_min_ms, 3);
			hs_json_add_double(object, "rtt_avg_ms", result->rtt_avg_ms, 3);
			hs_json_add_double(object, "rtt_max_ms", result->rtt_max_ms, 3);
		}
	}
}

static void add_interface(json_object *machine, struct hs_net *net, const char *name)
{
	struct hs_net_counters counters;
	json_object *object;

	if (hs_net_read_counters(net, name, &counters))
		return;
	object = hs_json_add_object(machine, "interface");
	hs_json_add_u64(object, "rx_packets", counters.rx_packets);
	hs_json_add_u64(object, "rx_bytes", counters.rx_bytes);
	hs_json_add_u64(object, "tx_packets", counters.tx_packets);
	hs_json_add_u64(object, "tx_bytes", counters.tx_bytes);
	hs_json_add_u64(object, "tx_dropped", counters.tx_dropped);
}

void hs_document_add_interfaces(json_object *document, struct hs_net *net, unsigned pairs)
{
	for (unsigned tenant = 0; net && tenant < pairs; tenant++) {
		struct hs_pair pair = hs_pair_of(tenant);

		add_interface(hs_json_get(tenant_of(document, tenant), "l2"), net, pair.l2_tap);
		add_interface(hs_json_get(tenant_of(document, tenant), "client"), net, pair.client_tap);
	}
}

static void add_tap(json_object *machine, const struct hs_tap_counts *tap)
{
	json_object *packets = hs_json_add_object(machine, "packets");

	hs_json_add_u64(packets, "to_guest", tap->to_guest_packets);
	hs_json_add_u64(packets, "to_guest_bytes", tap->to_guest_bytes);
	hs_json_add_u64(packets, "from_guest", tap->from_guest_packets);
	hs_json_add_u64(packets, "from_guest_bytes", tap->from_guest_bytes);
	hs_json_add_u64(packets, "refused", tap->refused_packets);
}

void hs_document_add_trace(json_object *document, const struct hs_trace_counts *counts)
{
	json_object *trace = hs_json_get(document, "trace");
	json_object *host = hs_json_add_object(trace ? trace : hs_json_add_object(document, "trace"), "host");
	json_object *events = hs_json_add_object(host, "events");
	unsigned pairs = (unsigned)hs_json_get_u64(document, "pairs");
	uint64_t recorded = 0, lost = 0;

	for (unsigned i = 0; i < hs_event_nr; i++) {
		uint16_t id = hs_events[i].id;
		json_object *event;

		if (!counts->events[id].recorded && !counts->events[id].lost && !counts->events[id].missed)
			continue;
		event = hs_json_add_object(events, hs_events[i].name);
		hs_json_add_u64(event, "recorded", counts->events[id].recorded);
		hs_json_add_u64(event, "lost", counts->events[id].lost);
		hs_json_add_u64(event, "missed", counts->events[id].missed);
		recorded += counts->events[id].recorded;
		lost += counts->events[id].lost;
	}
	hs_json_add_u64(host, "recorded", recorded);
	hs_json_add_u64(host, "lost", lost);
	for (unsigned tenant = 0; tenant < pairs && tenant < HS_PAIRS_MAX; tenant++) {
		add_tap(hs_json_get(tenant_of(document, tenant), "l2"), &counts->taps[tenant][0]);
		add_tap(hs_json_get(tenant_of(document, tenant), "client"), &counts->taps[tenant][1]);
	}
}

static void add_guest_event(json_object *events, const char *name, uint64_t recorded)
{
	json_object *event = NULL;

	if (!json_object_object_get_ex(events, name, &event)) /* the same name by BPF and by ftrace is one row */
		event = hs_json_add_object(events, name);
	hs_json_add_u64(event, "recorded", hs_json_get_u64(event, "recorded") + recorded);
	hs_json_add_u64(event, "lost", 0);
}

int hs_document_recount_guest(json_object *part, const char *dir)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	uint64_t recorded = 0;
	struct hs_ctf_record record;
	json_object *events;
	int result = hs_ctf_reader_open_all(dir, &reader);

	if (result)
		return result;
	while ((result = hs_ctf_reader_next(reader, &record)) > 0)
		recorded++;
	events = hs_json_add_object(part, "events");
	for (uint32_t i = 0; i < hs_ctf_reader_event_nr(reader); i++)
		if (hs_ctf_reader_read_nr(reader, i))
			add_guest_event(events, hs_ctf_reader_event(reader, i)->name, hs_ctf_reader_read_nr(reader, i));
	hs_json_add_u64(part, "recorded", recorded);
	hs_json_add_u64(part, "lost", hs_ctf_reader_counts(reader)->discarded);
	return result;
}

void hs_document_add_missing(json_object *document, const struct hs_capture *capture, const char *why_no_trace)
{
	json_object *list = hs_json_add_array(document, "not_recorded");
	const struct hs_probe_missing *missing = NULL;
	size_t missing_nr = 0;

	if (*why_no_trace) {
		json_object *row = hs_json_append_object(list);

		hs_json_add_string(row, "event", "all events of the host's kernel");
		hs_json_add_string(row, "reason", why_no_trace);
	}
	if (capture)
		missing = hs_capture_missing(capture, &missing_nr);
	for (size_t i = 0; i < missing_nr; i++) {
		json_object *row = hs_json_append_object(list);

		hs_json_add_string(row, "event", missing[i].event->name);
		hs_json_add_string(row, "reason", missing[i].reason);
	}
}

static void add_translations(json_object *tenant, const uint64_t *decoded)
{
	json_object *object = hs_json_add_object(tenant, "translations");

	hs_json_add_u64(object, "hit", decoded[HS_QEMULOG_PAGE_HIT]);
	hs_json_add_u64(object, "update", decoded[HS_QEMULOG_PAGE_UPDATE]);
	hs_json_add_u64(object, "context_hit", decoded[HS_QEMULOG_CC_HIT]);
	hs_json_add_u64(object, "context_update", decoded[HS_QEMULOG_CC_UPDATE]);
	hs_json_add_u64(object, "other", decoded[HS_QEMULOG_OTHER]);
}

void hs_document_add_log(json_object *document, const struct hs_qemulog_counts *counts)
{
	json_object *log = hs_json_add_object(document, "iommu_log"), *events;

	hs_json_add_u64(log, "bytes", counts->bytes);
	hs_json_add_u64(log, "lines", counts->lines);
	hs_json_add_u64(log, "decoded", counts->decoded);
	hs_json_add_u64(log, "torn", counts->torn);
	hs_json_add_u64(log, "foreign", counts->foreign);
	events = hs_json_add_object(log, "events");
	for (size_t i = 0; i < counts->event_nr; i++)
		if (counts->events[i].decoded)
			hs_json_add_u64(events, counts->events[i].name, counts->events[i].decoded);
	hs_json_add_u64(log, "other_devices",
			counts->unmapped->decoded[HS_QEMULOG_PAGE_HIT] +
				counts->unmapped->decoded[HS_QEMULOG_PAGE_UPDATE]);
	for (size_t i = 0; i < counts->tenant_nr; i++)
		add_translations(tenant_of(document, counts->tenants[i].tenant), counts->tenants[i].decoded);
}

void hs_document_add_clocks(json_object *document, struct hs_clock_list *clocks, const struct hs_qemulog_counts *log)
{
	json_object *object = hs_json_add_object(document, "clock");
	uint64_t boot_ns, error_ns, bound_ns = 0;

	hs_json_add_string(object, "trace", "BOOTTIME");
	hs_json_add_string(object, "iommu_log", "REALTIME");
	if (log && log->has_time) {
		if (!hs_clock_real_to_boot(clocks, log->first_ns, QEMU_LOG_QUANTUM_NS, &boot_ns, &error_ns))
			bound_ns = error_ns;
		if (!hs_clock_real_to_boot(clocks, log->last_ns, QEMU_LOG_QUANTUM_NS, &boot_ns, &error_ns) &&
		    error_ns > bound_ns)
			bound_ns = error_ns;
		hs_json_add_u64(object, "error_bound_ns", bound_ns);
	}
	hs_clock_list_to_json(clocks, object, "samples");
}

static uint64_t excess(uint64_t counted, uint64_t seen)
{
	return counted > seen ? counted - seen : 0;
}

/*
 * What the interface counted and no program saw: a kernel may run no BPF program where an interrupt came on top of
 * certain processes, and says so nowhere.
 */
static void derive_unseen(json_object *machine)
{
	json_object *packets = hs_json_get(machine, "packets"), *interface = hs_json_get(machine, "interface");
	uint64_t taken = excess(hs_json_get_u64(packets, "to_guest"), hs_json_get_u64(packets, "refused"));

	if (packets && interface)
		hs_json_add_u64(
			packets, "unseen",
			excess(hs_json_get_u64(interface, "rx_packets"), hs_json_get_u64(packets, "from_guest")) +
				excess(hs_json_get_u64(interface, "tx_packets"), taken));
}

void hs_document_derive(json_object *document)
{
	unsigned pairs = (unsigned)hs_json_get_u64(document, "pairs");

	for (unsigned i = 0; i < pairs; i++) {
		derive_unseen(hs_json_get(tenant_of(document, i), "l2"));
		derive_unseen(hs_json_get(tenant_of(document, i), "client"));
	}
	for (unsigned i = 0; i < pairs; i++) {
		json_object *translations = hs_json_get(tenant_of(document, i), "translations");
		uint64_t hit = hs_json_get_u64(translations, "hit"), update = hs_json_get_u64(translations, "update");
		uint64_t packets = hs_json_get_u64(tenant_of(document, i), "l2.packets.to_guest");

		if (!translations)
			continue;
		if (packets)
			hs_json_add_double(translations, "per_received_packet",
					   (double)(hit + update) / (double)packets, 3);
		if (hit + update)
			hs_json_add_double(translations, "miss_ratio", (double)update / (double)(hit + update), 6);
	}
}

uint64_t hs_document_lost(json_object *document)
{
	return hs_trace_document_lost(document);
}
