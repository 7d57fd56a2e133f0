// SPDX-License-Identifier: GPL-2.0-only
/*
 * A capture: rings, programs and the trace they go to. The collector thread owns all of it; drain makes no
 * system call on maps, because those keep tracepoint programs of the same CPU from running while they last.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "bpf/hsbpf.skel.h"
#include "bpf/shared.h"
#include "capture/capture.h"
#include "capture/ring.h"
#include "timeline/clock.h"

#define RING_BYTES_DEFAULT (8u << 20)
#define RING_BYTES_MAX (1ul << 30)
#define FINAL_DRAINS 1000

struct hs_capture {
	struct hs_probes *probes;
	struct hs_ctf_writer *writer;
	struct hs_ring *rings; /* one per CPU */
	size_t ring_bytes;     /* per CPU */
	uint32_t cpu_nr;
	uint32_t ring_nr;     /* opened */
	int fill_fd;	      /* epoll over the rings */
	const uint64_t *lost; /* the `lost` map */
	size_t lost_bytes;
	struct hs_tap_key *taps;
	size_t tap_nr;
	bool is_stopped;
};

static size_t round_ring_bytes(size_t bytes)
{
	size_t rounded = sysconf(_SC_PAGESIZE);

	if (!bytes)
		bytes = RING_BYTES_DEFAULT;
	while (rounded < bytes && rounded < RING_BYTES_MAX)
		rounded *= 2;
	return rounded;
}

/* Highest possible CPU number + 1; the file says "0-3" or "0,2-5". */
static int possible_cpu_nr(void)
{
	scoped(file) FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	char text[256];
	size_t last;

	if (!file || !fgets(text, sizeof(text), file))
		return hs_fail(-EIO, "cannot read /sys/devices/system/cpu/possible");
	last = strcspn(text, "\n");
	while (last > 0 && text[last - 1] >= '0' && text[last - 1] <= '9')
		last--;
	return atoi(text + last) + 1;
}

static int open_ring(struct hs_capture *capture, uint32_t cpu, size_t bytes)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct hs_ring *ring = &capture->rings[cpu];
	int rings_fd = bpf_map__fd(hs_probes_bpf(capture->probes)->maps.rings);
	int err = hs_ring_open(bytes, ring);

	if (err)
		return hs_fail(err, "cannot make a ring of %zu bytes for CPU %u:", bytes, cpu);
	capture->ring_nr++;
	if (bpf_map_update_elem(rings_fd, &cpu, &ring->fd, BPF_ANY))
		return hs_fail(-errno, "cannot give CPU %u its ring:", cpu);
	/* Edge: a ring always counts as readable when anything is in it, but only the fill mark wakes. */
	if (epoll_ctl(capture->fill_fd, EPOLL_CTL_ADD, ring->fd, &event))
		return hs_fail(-errno, "cannot watch the ring of CPU %u:", cpu);
	return 0;
}

static int map_lost(struct hs_capture *capture)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int fd = bpf_map__fd(hs_probes_bpf(capture->probes)->maps.lost);
	void *map;

	capture->lost_bytes = capture->cpu_nr * HS_EVENT_ID_NR * sizeof(*capture->lost);
	capture->lost_bytes = (capture->lost_bytes + page - 1) / page * page;
	map = mmap(NULL, capture->lost_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return hs_fail(-errno, "cannot map the loss counters:");
	capture->lost = map;
	return 0;
}

static int open_rings(struct hs_capture *capture, size_t bytes)
{
	int err = map_lost(capture);

	if (err)
		return err;
	capture->rings = calloc(capture->cpu_nr, sizeof(*capture->rings));
	capture->fill_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!capture->rings || capture->fill_fd < 0)
		return hs_fail(-errno, "cannot set up the rings:");
	for (uint32_t cpu = 0; cpu < capture->cpu_nr && !err; cpu++)
		err = open_ring(capture, cpu, bytes);
	return err;
}

static int prepare_maps(void *ctx, struct hsbpf_bpf *bpf)
{
	const struct hs_capture *capture = ctx;

	bpf->rodata->fill_mark_bytes = capture->ring_bytes / 2;
	bpf_map__set_max_entries(bpf->maps.rings, capture->cpu_nr);
	bpf_map__set_max_entries(bpf->maps.lost, capture->cpu_nr * HS_EVENT_ID_NR);
	return 0;
}

static int open_writer(struct hs_capture *capture, const struct hs_capture_config *config)
{
	struct hs_clock_sample now;
	struct hs_ctf_writer_config writer = { .dir = config->trace_dir, .machine = config->machine };

	hs_clock_sample_take(&now);
	writer.clock_offset_ns = now.real_ns - now.boot_ns;
	return hs_ctf_writer_open(&writer, &capture->writer);
}

/*
 * The folder last: whatever fails before leaves nothing behind, and the rings hold what is recorded
 * meanwhile.
 */
static int open_parts(struct hs_capture *capture, const struct hs_capture_config *config, char *reason,
		      size_t reason_bytes)
{
	struct hs_probes_config probes = {
		.wanted = config->events,
		.host_wide = config->host_wide,
		.prepare = prepare_maps,
		.ctx = capture,
	};
	int err;

	capture->ring_bytes = round_ring_bytes(config->ring_bytes);
	err = hs_probes_load(&probes, reason, reason_bytes, &capture->probes);

	if (err)
		return err;
	err = open_rings(capture, capture->ring_bytes);
	if (err) {
		snprintf(reason, reason_bytes, "%s", hs_log_last_error());
		return err;
	}
	err = hs_probes_attach(capture->probes, reason, reason_bytes);
	if (err)
		return err;
	err = open_writer(capture, config);
	if (err)
		snprintf(reason, reason_bytes, "%s", hs_log_last_error());
	return err;
}

int hs_capture_open(const struct hs_capture_config *config, struct hs_capture **out)
{
	scoped(hs_capture) struct hs_capture *capture = calloc(1, sizeof(*capture));
	char unwanted[256], *reason = config->reason ? config->reason : unwanted;
	size_t reason_bytes = config->reason ? config->reason_bytes : sizeof(unwanted);
	int cpu_nr, err;

	if (!capture)
		return -ENOMEM;
	capture->fill_fd = -1;
	cpu_nr = possible_cpu_nr();
	if (cpu_nr < 0)
		return cpu_nr;
	capture->cpu_nr = cpu_nr;
	err = open_parts(capture, config, reason, reason_bytes);
	if (err)
		return err;
	*out = take(capture);
	return 0;
}

int hs_capture_watch_process(struct hs_capture *capture, pid_t tgid)
{
	uint32_t key = tgid;
	uint8_t value = 1;

	if (bpf_map_update_elem(bpf_map__fd(hs_probes_bpf(capture->probes)->maps.tgids), &key, &value, BPF_ANY))
		return hs_fail(-errno, "cannot watch process %d:", tgid);
	return 0;
}

int hs_capture_unwatch_process(struct hs_capture *capture, pid_t tgid)
{
	uint32_t key = tgid;

	if (bpf_map_delete_elem(bpf_map__fd(hs_probes_bpf(capture->probes)->maps.tgids), &key) && errno != ENOENT)
		return hs_fail(-errno, "cannot stop watching process %d:", tgid);
	return 0;
}

static int taps_fd(const struct hs_capture *capture)
{
	return bpf_map__fd(hs_probes_bpf(capture->probes)->maps.taps);
}

int hs_capture_watch_tap(struct hs_capture *capture, uint32_t netns_inum, uint32_t ifindex, uint16_t tenant,
			 enum hs_role role)
{
	struct hs_tap_key key = { .netns_inum = netns_inum, .ifindex = ifindex };
	struct hs_tap_value value = { .tenant = tenant, .role = role };
	struct hs_tap_key *taps = reallocarray(capture->taps, capture->tap_nr + 1, sizeof(*taps));

	if (!taps)
		return -ENOMEM;
	capture->taps = taps;
	if (bpf_map_update_elem(taps_fd(capture), &key, &value, BPF_NOEXIST))
		return hs_fail(-errno, "cannot watch interface %u of network namespace %u:", ifindex, netns_inum);
	taps[capture->tap_nr++] = key;
	return 0;
}

int hs_capture_fd(const struct hs_capture *capture)
{
	return capture->fill_fd;
}

static uint64_t cpu_lost(const struct hs_capture *capture, uint32_t cpu)
{
	uint64_t sum = 0;

	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		sum += hs_capture_ring_lost(capture, cpu, id);
	return sum;
}

static int on_record(void *ctx, const void *record, uint32_t bytes)
{
	return hs_ctf_writer_add(ctx, record, bytes);
}

static void drain_ring(struct hs_capture *capture, uint32_t cpu)
{
	int err = hs_ctf_writer_begin(capture->writer, cpu);

	if (err) {
		hs_fail(err, "the trace of CPU %u cannot be written:", cpu);
		return;
	}
	err = hs_ring_consume(&capture->rings[cpu], on_record, capture->writer);
	if (err) /* a bug: our own programs write only records of the table */
		hs_fail(err, "a record of CPU %u makes no sense:", cpu);
	hs_ctf_writer_end(capture->writer, cpu_lost(capture, cpu));
}

void hs_capture_drain(struct hs_capture *capture)
{
	struct epoll_event events[64];

	/* Takes the readiness away that the fill marks caused. */
	while (epoll_wait(capture->fill_fd, events, HS_ARRAY_SIZE(events), 0) == HS_ARRAY_SIZE(events))
		continue;
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++) {
		if (!hs_ring_is_empty(&capture->rings[cpu]))
			drain_ring(capture, cpu);
	}
}

static bool are_rings_empty(const struct hs_capture *capture)
{
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++) {
		if (!hs_ring_is_empty(&capture->rings[cpu]))
			return false;
	}
	return true;
}

void hs_capture_stop(struct hs_capture *capture)
{
	if (capture->is_stopped)
		return;
	capture->is_stopped = true;
	hs_probes_detach(capture->probes);
	for (int i = 0; i < FINAL_DRAINS && !are_rings_empty(capture); i++) {
		hs_capture_drain(capture);
		sched_yield();
	}
	/* Losses after a CPU's last record belong into its stream too. */
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++)
		drain_ring(capture, cpu);
}

void hs_capture_free(struct hs_capture *capture)
{
	if (!capture)
		return;
	/* Programs first: they write into the rings. */
	hs_probes_free(capture->probes);
	for (uint32_t cpu = 0; cpu < capture->ring_nr; cpu++)
		hs_ring_close(&capture->rings[cpu]);
	if (capture->fill_fd >= 0)
		close(capture->fill_fd);
	if (capture->lost)
		munmap((void *)capture->lost, capture->lost_bytes);
	hs_ctf_writer_free(capture->writer);
	free(capture->rings);
	free(capture->taps);
	free(capture);
}

uint32_t hs_capture_cpu_nr(const struct hs_capture *capture)
{
	return capture->cpu_nr;
}

uint64_t hs_capture_ring_lost(const struct hs_capture *capture, uint32_t cpu, uint16_t event_id)
{
	if (cpu >= capture->cpu_nr || event_id >= HS_EVENT_ID_NR)
		return 0;
	return __atomic_load_n(&capture->lost[cpu * HS_EVENT_ID_NR + event_id], __ATOMIC_RELAXED);
}

int hs_capture_event_counts(const struct hs_capture *capture, uint16_t event_id, struct hs_capture_event_counts *counts)
{
	const struct hs_ctf_writer_counts *written = hs_ctf_writer_counts(capture->writer);

	if (!hs_event_find(event_id))
		return -ENOENT;
	*counts = (struct hs_capture_event_counts){
		.recorded = written->recorded[event_id],
		.disk_lost = written->disk_lost[event_id],
		.missed = hs_probes_missed(capture->probes, event_id),
	};
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++)
		counts->ring_lost += hs_capture_ring_lost(capture, cpu, event_id);
	return 0;
}

size_t hs_capture_tap_nr(const struct hs_capture *capture)
{
	return capture->tap_nr;
}

int hs_capture_tap_counts(const struct hs_capture *capture, size_t index, struct hs_capture_tap_counts *counts)
{
	struct hs_tap_value value;

	if (index >= capture->tap_nr)
		return -ENOENT;
	if (bpf_map_lookup_elem(taps_fd(capture), &capture->taps[index], &value))
		return hs_fail(-errno, "cannot read the counters of interface %u:", capture->taps[index].ifindex);
	*counts = (struct hs_capture_tap_counts){
		.netns_inum = capture->taps[index].netns_inum,
		.ifindex = capture->taps[index].ifindex,
		.tenant = value.tenant,
		.role = value.role,
		.to_guest_packets = value.to_guest_packets,
		.to_guest_bytes = value.to_guest_bytes,
		.from_guest_packets = value.from_guest_packets,
		.from_guest_bytes = value.from_guest_bytes,
		.refused_packets = value.refused_packets,
		.refused_bytes = value.refused_bytes,
	};
	return 0;
}

const struct hs_probe_missing *hs_capture_missing(const struct hs_capture *capture, size_t *missing_nr)
{
	return hs_probes_missing(capture->probes, missing_nr);
}

const struct hs_ctf_writer_counts *hs_capture_writer_counts(const struct hs_capture *capture)
{
	return hs_ctf_writer_counts(capture->writer);
}
