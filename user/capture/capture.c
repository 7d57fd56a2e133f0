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
#define SLOT_BITS_MIN 6 /* a page */
#define SLOT_BITS_MAX 24
#define FINAL_DRAINS 1000

struct hs_capture {
	struct hs_probes *probes;
	struct hs_ctf_writer *writer;
	struct hs_rings rings;
	unsigned int slot_bits; /* a ring has 2^slot_bits slots */
	bool flight;
	uint64_t *woken;       /* the wake ring: what was taken, */
	const uint64_t *wakes; /* and what was put in */
	uint32_t cpu_nr;
	int fill_fd;	      /* epoll over the rings */
	const uint64_t *lost; /* the `lost` map */
	size_t lost_bytes;
	struct hs_tap_key *taps;
	size_t tap_nr;
	bool is_stopped;
};

static unsigned int slot_bits_of(size_t ring_bytes)
{
	unsigned int bits = SLOT_BITS_MIN;

	if (!ring_bytes)
		ring_bytes = RING_BYTES_DEFAULT;
	while ((size_t)HS_SLOT_BYTES << bits < ring_bytes && bits < SLOT_BITS_MAX)
		bits++;
	return bits;
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

/* The two pages of a BPF ring buffer that hold its positions (kernel/bpf/ringbuf.c). */
static int open_wake(struct hs_capture *capture, int wake_fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	size_t page = sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, wake_fd, 0);

	if (at == MAP_FAILED)
		return hs_fail(-errno, "cannot map the wake-up ring:");
	capture->woken = at;
	at = mmap(NULL, page, PROT_READ, MAP_SHARED, wake_fd, page);
	if (at == MAP_FAILED)
		return hs_fail(-errno, "cannot map the wake-up ring:");
	capture->wakes = at;
	capture->fill_fd = epoll_create1(EPOLL_CLOEXEC);
	if (capture->fill_fd < 0 || epoll_ctl(capture->fill_fd, EPOLL_CTL_ADD, wake_fd, &event))
		return hs_fail(-errno, "cannot watch the rings:");
	return 0;
}

static int open_rings(struct hs_capture *capture)
{
	struct hsbpf_bpf *bpf = hs_probes_bpf(capture->probes);
	int err = map_lost(capture);

	if (err)
		return err;
	err = hs_rings_map(bpf_map__fd(bpf->maps.slots), bpf_map__fd(bpf->maps.controls), capture->cpu_nr,
			   capture->slot_bits, &capture->rings);
	if (err)
		return hs_fail(err, "cannot map the rings:");
	return open_wake(capture, bpf_map__fd(bpf->maps.wake));
}

static int prepare_maps(void *ctx, struct hsbpf_bpf *bpf)
{
	const struct hs_capture *capture = ctx;

	bpf->rodata->slot_bits = capture->slot_bits;
	bpf->rodata->overwriting = capture->flight;
	bpf_map__set_max_entries(bpf->maps.slots, capture->cpu_nr << capture->slot_bits);
	bpf_map__set_max_entries(bpf->maps.controls, capture->cpu_nr);
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

	capture->slot_bits = slot_bits_of(config->ring_bytes);
	err = hs_probes_load(&probes, reason, reason_bytes, &capture->probes);

	if (err)
		return err;
	err = open_rings(capture);
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

static int on_record(void *ctx, const struct hs_event_header *record)
{
	return hs_ctf_writer_add(ctx, record, HS_SLOT_BYTES);
}

static void drain_ring(struct hs_capture *capture, uint32_t cpu)
{
	int err = hs_ctf_writer_begin(capture->writer, cpu);

	if (err) {
		hs_fail(err, "the trace of CPU %u cannot be written:", cpu);
		return;
	}
	err = hs_ring_consume(&capture->rings, cpu, on_record, capture->writer);
	if (err) /* a bug: our own programs write only records of the table */
		hs_fail(err, "a record of CPU %u makes no sense:", cpu);
	hs_ctf_writer_end(capture->writer, cpu_lost(capture, cpu));
}

void hs_capture_drain(struct hs_capture *capture)
{
	struct epoll_event event;

	/* Takes the readiness away that a fill mark caused. */
	if (*capture->woken != __atomic_load_n(capture->wakes, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(capture->woken, *capture->wakes, __ATOMIC_RELEASE);
		epoll_wait(capture->fill_fd, &event, 1, 0);
	}
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++) {
		if (!hs_ring_is_empty(&capture->rings, cpu))
			drain_ring(capture, cpu);
	}
}

static bool are_rings_empty(const struct hs_capture *capture)
{
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++) {
		if (!hs_ring_is_empty(&capture->rings, cpu))
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
	hs_rings_unmap(&capture->rings);
	if (capture->woken)
		munmap(capture->woken, sysconf(_SC_PAGESIZE));
	if (capture->wakes)
		munmap((void *)capture->wakes, sysconf(_SC_PAGESIZE));
	if (capture->fill_fd >= 0)
		close(capture->fill_fd);
	if (capture->lost)
		munmap((void *)capture->lost, capture->lost_bytes);
	hs_ctf_writer_free(capture->writer);
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
