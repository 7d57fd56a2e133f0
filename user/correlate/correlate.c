// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk along a run: the host's trace, QEMU's log and the guests' traces are read side by side, what is earliest on
 * the host's clock goes to the lane of its tenant. Called by `hsbpf correlate`.
 */
#include "correlate/correlate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "correlate/guest_source.h"
#include "correlate/injection.h"
#include "correlate/log_source.h"
#include "correlate/owner.h"
#include "timeline/clock_json.h"
#include "trace/ctf_reader.h"

#define SETTLE_NS 200000 /* how often lanes look at what can be joined */
#define GUESTS_MAX (2 * HS_PAIRS_MAX + 1)

struct tenant {
	struct hs_lane *lane; /* NULL: not asked for */
	struct hs_dma_parser *parser;
	struct hs_injections *injections;
	uint16_t sid;
	char pci[16];
	bool has_sid;
};

enum machine_kind { MACHINE_L1, MACHINE_L2, MACHINE_CLIENT };

struct guest {
	struct hs_guest_source *source;
	enum machine_kind kind;
	unsigned int tenant;
	bool has_record;
	struct hs_guest_record record;
	struct hs_correlate_machine *machine;
};

struct walk {
	const struct hs_correlate_config *config;
	struct hs_correlate_result *result;
	struct hs_clock_list clocks;
	struct tenant tenants[HS_PAIRS_MAX];
	struct hs_ctf_reader *host;
	bool has_host;
	struct hs_ctf_record host_record;
	struct hs_log_source *log;
	bool has_line;
	struct hs_log_line line;
	struct guest guests[GUESTS_MAX];
	size_t guest_nr;
	struct hs_owners owners;
	uint64_t settled_ns;
	bool is_enough;
};

/* ---- opening ---- */

static void on_packet(void *ctx, const struct hs_packet *packet)
{
	struct walk *walk = ctx;

	if (!walk->is_enough && !walk->config->on_packet(walk->config->ctx, packet))
		walk->is_enough = true;
}

static int read_tenants(struct walk *walk)
{
	json_object *rows = hs_json_get(walk->config->document, "tenants");
	size_t row_nr = json_object_is_type(rows, json_type_array) ? json_object_array_length(rows) : 0;

	for (size_t i = 0; i < row_nr; i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		uint64_t number = hs_json_get_u64(row, "tenant");
		const char *sid = hs_json_get_string(row, "l2.sid");
		struct tenant *tenant;

		if (number >= HS_PAIRS_MAX)
			return hs_fail(-EBADMSG, "the run's document has a tenant %llu; the most is %u",
				       (unsigned long long)number, HS_PAIRS_MAX - 1);
		tenant = &walk->tenants[number];
		tenant->has_sid = *sid;
		tenant->sid = (uint16_t)strtoul(sid, NULL, 0);
		snprintf(tenant->pci, sizeof(tenant->pci), "%s", hs_json_get_string(row, "l2.pci"));
		walk->result->tenants[number].is_there = true;
		if (number >= walk->result->tenant_nr)
			walk->result->tenant_nr = (unsigned int)number + 1;
	}
	walk->owners.tenant_nr = walk->result->tenant_nr;
	if (walk->config->tenant >= 0 &&
	    (walk->config->tenant >= (int)HS_PAIRS_MAX || !walk->result->tenants[walk->config->tenant].is_there))
		return hs_fail(-EINVAL, "the run has no tenant %d", walk->config->tenant);
	return 0;
}

static int open_log(struct walk *walk)
{
	int err;

	if (access(walk->config->log, F_OK) < 0) {
		hs_warn("the run has no IOMMU log %s: packets are not joined to translations", walk->config->log);
		return 0;
	}
	if (!walk->clocks.sample_nr) {
		hs_warn("the run was ended before its clock samples were written: the times of its IOMMU log are not "
			"known, packets are not joined to translations");
		return 0;
	}
	err = hs_log_source_open(walk->config->log, &walk->clocks, &walk->log);
	walk->result->has_log = !err;
	return err;
}

/* "l2-3" or "l2-3.2" (its second boot) is tenant 3's L2. */
static bool name_machine(const char *folder, enum machine_kind *kind, unsigned int *tenant)
{
	char *end;

	*tenant = 0;
	if (!strncmp(folder, "l1", 2) && (!folder[2] || folder[2] == '.')) {
		*kind = MACHINE_L1;
		return true;
	}
	if (!strncmp(folder, "l2-", 3))
		*kind = MACHINE_L2;
	else if (!strncmp(folder, "client-", 7))
		*kind = MACHINE_CLIENT;
	else
		return false;
	folder = strchr(folder, '-') + 1;
	*tenant = (unsigned int)strtoul(folder, &end, 10);
	return end > folder && (!*end || *end == '.') && *tenant < HS_PAIRS_MAX;
}

static struct hs_correlate_machine *add_machine(struct walk *walk, const char *name)
{
	struct hs_correlate_result *result = walk->result;
	struct hs_correlate_machine *machine;

	if (result->machine_nr == HS_ARRAY_SIZE(result->machines))
		return NULL;
	machine = &result->machines[result->machine_nr++];
	snprintf(machine->name, sizeof(machine->name), "%s", name);
	return machine;
}

static int open_guest(struct walk *walk, const char *folder, json_object *document)
{
	struct guest *guest = &walk->guests[walk->guest_nr];
	scoped(mem) char *path = hs_format("%s/%s", walk->config->trace_dir, folder);
	scoped(mem) char *metadata = hs_format("%s/%s/metadata", walk->config->trace_dir, folder);
	bool tells;
	int err;

	if (!path || !metadata)
		return -ENOMEM;
	if (walk->guest_nr == GUESTS_MAX || !name_machine(folder, &guest->kind, &guest->tenant))
		return 0;
	if (guest->kind != MACHINE_L1 && walk->config->tenant >= 0 &&
	    guest->tenant != (unsigned int)walk->config->tenant)
		return 0;
	if (access(metadata, F_OK) < 0) {
		hs_warn("%s has no trace in the run: what it saw of packets is missing", folder);
		return 0;
	}
	err = hs_guest_source_open(path, document, &guest->source);
	if (err == -EBADMSG)
		hs_warn("%s is left out: what it saw of packets is missing", folder);
	if (err == -ENODATA || err == -EBADMSG)
		return 0; /* said; the others are of use all the same */
	if (err)
		return err;
	guest->machine = add_machine(walk, folder);
	walk->guest_nr++;
	tells = hs_guest_source_tells_arrivals(guest->source);
	for (unsigned int i = 0; i < HS_PAIRS_MAX; i++) {
		struct hs_correlate_tenant *tenant = &walk->result->tenants[i];

		tenant->has.has_l2 |= guest->kind == MACHINE_L2 && guest->tenant == i;
		tenant->has.has_client |= guest->kind == MACHINE_CLIENT && guest->tenant == i;
		tenant->has.l2_tells_arrivals |= tells && guest->kind == MACHINE_L2 && guest->tenant == i;
		tenant->has.client_tells_arrivals |= tells && guest->kind == MACHINE_CLIENT && guest->tenant == i;
	}
	return 0;
}

static int open_guests(struct walk *walk)
{
	json_object *folders = hs_json_get(walk->config->document, "trace");
	int err = 0;

	if (!json_object_is_type(folders, json_type_object))
		return 0;
	json_object_object_foreach (folders, folder, document) {
		err = open_guest(walk, folder, document);
		if (err)
			break;
	}
	return err;
}

static int open_lanes(struct walk *walk)
{
	for (unsigned int i = 0; i < walk->result->tenant_nr; i++) {
		struct hs_correlate_tenant *tenant = &walk->result->tenants[i];
		struct hs_lane_config config = tenant->has;
		int err;

		if (!tenant->is_there || (walk->config->tenant >= 0 && walk->config->tenant != (int)i))
			continue;
		config.tenant = i;
		config.has_dma = walk->log && walk->tenants[i].has_sid;
		config.on_packet = on_packet;
		config.ctx = walk;
		config.causality = &walk->result->causality;
		tenant->has = config;
		err = hs_lane_open(&config, &walk->tenants[i].lane);
		if (!err)
			err = hs_dma_parser_open(&walk->tenants[i].parser);
		if (!err)
			err = hs_injections_open(&walk->result->causality, &walk->tenants[i].injections);
		if (err)
			return err;
	}
	return 0;
}

static void on_loss(void *ctx, const struct hs_ctf_loss *loss)
{
	struct walk *walk = ctx;

	walk->result->lost_nr += loss->events;
}

static int open_walk(struct walk *walk)
{
	scoped(mem) char *host = hs_format("%s/host", walk->config->trace_dir);
	json_object *samples = hs_json_get(walk->config->document, "clock.samples");
	int err = host ? hs_ctf_reader_open(host, &walk->host) : -ENOMEM;

	if (err)
		return err;
	hs_ctf_reader_on_loss(walk->host, on_loss, walk);
	walk->result->begin_ns = hs_ctf_reader_begin_ns(walk->host);
	walk->result->end_ns = walk->result->begin_ns;
	add_machine(walk, "host");
	if (samples && hs_clock_list_from_json(samples, &walk->clocks))
		return hs_fail(-EBADMSG, "the clock samples in the run's document make no sense");
	err = read_tenants(walk);
	if (!err)
		err = open_log(walk);
	if (!err)
		err = open_guests(walk);
	return err ? err : open_lanes(walk);
}

static void close_walk(struct walk *walk)
{
	hs_ctf_reader_free(walk->host);
	hs_log_source_free(walk->log);
	for (size_t i = 0; i < walk->guest_nr; i++)
		hs_guest_source_free(walk->guests[i].source);
	for (size_t i = 0; i < HS_PAIRS_MAX; i++) {
		hs_lane_free(walk->tenants[i].lane);
		hs_dma_parser_free(walk->tenants[i].parser);
		hs_injections_free(walk->tenants[i].injections);
	}
	hs_clock_list_clear(&walk->clocks);
}

/* ---- what is next goes to its lane ---- */

static struct hs_lane *lane_of(struct walk *walk, unsigned int tenant)
{
	return tenant < HS_PAIRS_MAX ? walk->tenants[tenant].lane : NULL;
}

static int advance_host(struct walk *walk)
{
	int result = hs_ctf_reader_next(walk->host, &walk->host_record);

	walk->has_host = result == 1;
	return result < 0 ? result : 0;
}

static int deliver_host(struct walk *walk)
{
	const struct hs_event_header *header = walk->host_record.header;
	bool is_to_guest = header->id == HS_EVENT_net_dev_start_xmit;
	struct hs_lane *lane;
	int err = 0;

	walk->result->machines[0].record_nr++;
	walk->result->end_ns = header->ts;
	if (is_to_guest || header->id == HS_EVENT_netif_receive_skb) {
		const struct hs_event_net_dev_start_xmit *record = (const void *)header;

		lane = lane_of(walk, record->tenant);
		walk->result->packet_nr += record->role == HS_ROLE_L2;
		if (lane)
			hs_lane_tap(lane, header, is_to_guest, walk->result->packet_nr, &err);
	} else if (header->id == HS_EVENT_net_dev_xmit) {
		const struct hs_event_net_dev_xmit *record = (const void *)header;

		lane = lane_of(walk, record->tenant);
		if (lane)
			hs_lane_refused(lane, record);
	}
	return err ? err : advance_host(walk);
}

static int advance_log(struct walk *walk)
{
	int result = walk->log ? hs_log_source_next(walk->log, &walk->line) : 0;

	walk->has_line = result == 1;
	return result < 0 ? result : 0;
}

static int deliver_line(struct walk *walk)
{
	struct hs_correlate_result *result = walk->result;
	struct tenant *tenant = NULL;
	struct hs_dma dma;
	int err = 0;

	result->line_nr++;
	if (walk->line.dma.error_ns > result->log_bound_ns)
		result->log_bound_ns = walk->line.dma.error_ns;
	for (unsigned int i = 0; i < result->tenant_nr && !tenant; i++)
		if (walk->tenants[i].has_sid && walk->tenants[i].sid == walk->line.sid)
			tenant = &walk->tenants[i];
	if (!tenant)
		result->foreign_line_nr++;
	else if (tenant->lane && hs_dma_parser_feed(tenant->parser, &walk->line.dma, &dma))
		err = hs_lane_dma(tenant->lane, &dma);
	return err ? err : advance_log(walk);
}

static int advance_guest(struct guest *guest)
{
	int result = hs_guest_source_next(guest->source, &guest->record);

	guest->has_record = result == 1;
	return result < 0 ? result : 0;
}

static void deliver_interrupt(struct walk *walk, const struct hs_guest_record *record)
{
	for (unsigned int i = 0; i < walk->result->tenant_nr; i++)
		if (*walk->tenants[i].pci && strstr(record->name, walk->tenants[i].pci) && walk->tenants[i].lane)
			hs_lane_interrupt(walk->tenants[i].lane, &record->sight);
}

static void deliver_l1(struct walk *walk, const struct hs_guest_record *record)
{
	unsigned int tenant = (unsigned int)hs_owners_tenant(&walk->owners, record->tid);
	struct hs_lane *lane = lane_of(walk, tenant);

	if (record->kind == HS_GUEST_RECORD_INTERRUPT)
		deliver_interrupt(walk, record);
	else if (record->kind == HS_GUEST_RECORD_THREAD)
		hs_owners_name(&walk->owners, record->tid, record->name);
	else if (lane && record->kind == HS_GUEST_RECORD_ENTRY)
		hs_lane_entry(lane, &record->sight);
	else if (lane && record->kind == HS_GUEST_RECORD_EXIT)
		hs_lane_exit(lane, &record->sight);
	else if (lane && record->kind == HS_GUEST_RECORD_INJECTION)
		hs_injections_add(walk->tenants[tenant].injections, record->vector, &record->sight);
}

static int deliver_l2(struct walk *walk, unsigned int tenant, const struct hs_guest_record *record)
{
	struct hs_injections *injections = walk->tenants[tenant].injections;

	if (record->kind == HS_GUEST_RECORD_NET)
		return hs_lane_guest(walk->tenants[tenant].lane, true, &record->net);
	if (record->kind == HS_GUEST_RECORD_TIMER)
		hs_injections_handled(injections, HS_INJECTION_TIMER, &record->sight);
	else if (record->kind == HS_GUEST_RECORD_INTERRUPT)
		hs_injections_handled(injections, HS_INJECTION_DEVICE, &record->sight);
	return 0;
}

static int deliver_guest(struct walk *walk, struct guest *guest)
{
	struct hs_lane *lane = lane_of(walk, guest->tenant);
	int err = 0;

	if (guest->kind == MACHINE_L1)
		deliver_l1(walk, &guest->record);
	else if (lane && guest->kind == MACHINE_L2)
		err = deliver_l2(walk, guest->tenant, &guest->record);
	else if (lane && guest->record.kind == HS_GUEST_RECORD_NET)
		err = hs_lane_guest(lane, false, &guest->record.net);
	return err ? err : advance_guest(guest);
}

static struct guest *earliest_guest(struct walk *walk)
{
	struct guest *found = NULL;

	for (size_t i = 0; i < walk->guest_nr; i++) {
		struct guest *guest = &walk->guests[i];

		if (guest->has_record && (!found || guest->record.sight.time_ns < found->record.sight.time_ns))
			found = guest;
	}
	return found;
}

static void settle(struct walk *walk, uint64_t now_ns)
{
	if (now_ns < walk->settled_ns + SETTLE_NS)
		return;
	walk->settled_ns = now_ns;
	for (unsigned int i = 0; i < walk->result->tenant_nr; i++)
		if (walk->tenants[i].lane) {
			hs_lane_settle(walk->tenants[i].lane, now_ns);
			hs_injections_settle(walk->tenants[i].injections, now_ns);
		}
}

/* 1: something was delivered; 0: nothing is left. */
static int step(struct walk *walk)
{
	struct guest *guest = earliest_guest(walk);
	uint64_t host_ns = walk->has_host ? walk->host_record.header->ts : UINT64_MAX;
	uint64_t line_ns = walk->has_line ? walk->line.dma.time_ns : UINT64_MAX;
	uint64_t guest_ns = guest ? guest->record.sight.time_ns : UINT64_MAX;
	int err;

	if (!walk->has_host && !walk->has_line && !guest)
		return 0;
	settle(walk, host_ns < line_ns	  ? host_ns < guest_ns ? host_ns : guest_ns
		     : line_ns < guest_ns ? line_ns
					  : guest_ns);
	if (walk->has_host && host_ns <= line_ns && host_ns <= guest_ns)
		err = deliver_host(walk);
	else if (guest && guest_ns <= line_ns)
		err = deliver_guest(walk, guest);
	else
		err = deliver_line(walk);
	return err ? err : 1;
}

static void finish(struct walk *walk)
{
	for (unsigned int i = 0; i < walk->result->tenant_nr; i++) {
		struct hs_correlate_tenant *tenant = &walk->result->tenants[i];

		if (!walk->tenants[i].lane)
			continue;
		hs_lane_finish(walk->tenants[i].lane);
		hs_injections_settle(walk->tenants[i].injections, UINT64_MAX);
		tenant->counts = *hs_lane_counts(walk->tenants[i].lane);
		tenant->unparsed_lines = hs_dma_parser_unparsed(walk->tenants[i].parser);
	}
	for (size_t i = 0; i < walk->guest_nr; i++) {
		struct hs_correlate_machine *machine = walk->guests[i].machine;

		machine->bound_ns = hs_guest_source_bound_ns(walk->guests[i].source);
		machine->record_nr = hs_guest_source_record_nr(walk->guests[i].source);
	}
}

int hs_correlate(const struct hs_correlate_config *config, struct hs_correlate_result *result)
{
	scoped(mem) struct walk *walk = calloc(1, sizeof(*walk));
	int err;

	if (!walk)
		return -ENOMEM;
	*result = (struct hs_correlate_result){ 0 };
	walk->config = config;
	walk->result = result;
	err = open_walk(walk);
	if (!err)
		err = advance_host(walk);
	if (!err)
		err = advance_log(walk);
	for (size_t i = 0; i < walk->guest_nr && !err; i++)
		err = advance_guest(&walk->guests[i]);
	while (!err && !walk->is_enough) {
		err = step(walk);
		if (err <= 0)
			break;
		err = 0;
	}
	if (!err)
		finish(walk);
	if (!err && !result->packet_nr)
		hs_warn("no packet was seen on the tap of an L2: there is nothing to follow");
	close_walk(walk);
	return err;
}
