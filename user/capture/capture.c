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

#include "base/cpulist.h"
#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "bpf/hsbpf.skel.h"
#include "bpf/shared.h"
#include "capture/capture.h"
#include "capture/drain.h"
#include "capture/pin.h"
#include "timeline/clock.h"

#define RING_BYTES_DEFAULT (8u << 20)
#define SLOT_BITS_MIN 6 /* a page */
#define SLOT_BITS_MAX 24
#define FINAL_DRAINS 1000

struct hs_capture {
	struct hs_probes *probes;
	struct hs_ctf_writer *writer;
	struct hs_ctf_output output; /* put is NULL: files */
	struct hs_rings rings;
	unsigned int slot_bits; /* a ring has 2^slot_bits slots */
	bool flight;
	uint64_t *woken;       /* the wake ring: what was taken, */
	const uint64_t *wakes; /* and what was put in */
	uint32_t cpu_nr;
	struct hs_filter filter;
	uint32_t ring_nr;
	struct hs_cpulist online; /* those have a ring */
	char machine[64];
	struct hs_pin *pin; /* NULL: not pinned */
	uint64_t start_ns;  /* CLOCK_BOOTTIME; no record is earlier */
	int fill_fd;	    /* epoll over the wake ring */
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

static int read_cpus(const char *path, struct hs_cpulist *list)
{
	scoped(mem) char *text = NULL;
	int err = hs_read_file(path, 65536, &text, NULL);

	if (!err)
		err = hs_cpulist_parse(text, list);
	return err ? hs_fail(err, "cannot read which CPUs there are from %s:", path) : 0;
}

/* A CPU that is only possible gets counters, no ring: memory for CPUs that never come would be memory lost. */
static int find_cpus(struct hs_capture *capture)
{
	struct hs_cpulist possible;
	int err = read_cpus("/sys/devices/system/cpu/possible", &possible);

	if (!err)
		err = read_cpus("/sys/devices/system/cpu/online", &capture->online);
	for (uint32_t cpu = 0; !err && cpu < HS_CPULIST_MAX; cpu++) {
		if (hs_cpulist_has(&possible, cpu))
			capture->cpu_nr = cpu + 1;
		capture->ring_nr += hs_cpulist_has(&capture->online, cpu);
	}
	return err;
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

static void place_rings(struct hs_capture *capture)
{
	uint32_t slot = 0;

	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++) {
		if (!hs_cpulist_has(&capture->online, cpu))
			continue;
		capture->rings.controls[cpu].first_slot = slot;
		capture->rings.controls[cpu].slot_nr = 1u << capture->slot_bits;
		slot += 1u << capture->slot_bits;
	}
}

static int open_rings(struct hs_capture *capture)
{
	struct hsbpf_bpf *bpf = hs_probes_bpf(capture->probes);
	int err = hs_rings_map(bpf_map__fd(bpf->maps.slots), capture->ring_nr << capture->slot_bits,
			       bpf_map__fd(bpf->maps.controls), bpf_map__fd(bpf->maps.lost), capture->cpu_nr,
			       &capture->rings);

	if (err)
		return hs_fail(err, "cannot map the rings:");
	place_rings(capture);
	return open_wake(capture, bpf_map__fd(bpf->maps.wake));
}

static int prepare_maps(void *ctx, struct hsbpf_bpf *bpf)
{
	const struct hs_capture *capture = ctx;

	bpf->rodata->slot_bits = capture->slot_bits;
	bpf->rodata->overwriting = capture->flight;
	bpf_map__set_max_entries(bpf->maps.slots, capture->ring_nr << capture->slot_bits);
	bpf_map__set_max_entries(bpf->maps.controls, capture->cpu_nr);
	hs_filter_prepare(&capture->filter, capture->cpu_nr, bpf);
	bpf_map__set_max_entries(bpf->maps.lost, HS_LOST_PART_NR * capture->cpu_nr * HS_EVENT_ID_NR);
	return 0;
}

static int open_writer(const struct hs_capture *capture, const char *dir, struct hs_ctf_writer **out)
{
	struct hs_clock_sample now;
	struct hs_ctf_writer_config config = { .dir = dir, .machine = capture->machine, .start_ns = capture->start_ns };

	if (capture->output.put)
		config.output = &capture->output;
	hs_clock_sample_take(&now);
	config.clock_offset_ns = now.real_ns - now.boot_ns;
	return hs_ctf_writer_open(&config, out);
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

	err = hs_probes_load(&probes, reason, reason_bytes, &capture->probes);

	if (err)
		return err;
	err = open_rings(capture);
	if (err) {
		snprintf(reason, reason_bytes, "%s", hs_log_last_error());
		return err;
	}
	err = hs_filter_apply(&config->filter, capture->cpu_nr, hs_probes_bpf(capture->probes));
	if (err) {
		snprintf(reason, reason_bytes, "%s", hs_log_last_error());
		return err;
	}
	err = hs_probes_attach(capture->probes, reason, reason_bytes);
	if (err || capture->flight)
		return err;
	err = open_writer(capture, config->trace_dir, &capture->writer);
	if (err)
		snprintf(reason, reason_bytes, "%s", hs_log_last_error());
	return err;
}

static int describe(const struct hs_capture *capture, const char *trace_dir)
{
	struct hs_about about = {
		.magic = HS_ABOUT_MAGIC,
		.schema = HS_EVENTS_SCHEMA,
		.event_id_nr = HS_EVENT_ID_NR,
		.cpu_nr = capture->cpu_nr,
		.slot_nr = capture->ring_nr << capture->slot_bits,
		.overwriting = capture->flight,
		.pid = (uint32_t)getpid(),
		.start_boot_ns = capture->start_ns,
	};
	scoped(mem) char *here = getcwd(NULL, 0);
	scoped(mem) char *absolute = NULL;
	struct hs_clock_sample now;
	uint32_t key = 0;

	if (!here)
		return -errno;
	absolute = trace_dir[0] == '/' ? strdup(trace_dir) : hs_format("%s/%s", here, trace_dir);
	if (!absolute)
		return -ENOMEM;
	if (strlen(absolute) >= sizeof(about.trace_dir))
		return -ENAMETOOLONG;
	strcpy((char *)about.trace_dir, absolute);
	strcpy((char *)about.machine, capture->machine);
	hs_clock_sample_take(&now);
	about.clock_offset_ns = now.real_ns - now.boot_ns;
	if (bpf_map_update_elem(bpf_map__fd(hs_probes_bpf(capture->probes)->maps.about), &key, &about, BPF_ANY))
		return -errno;
	return 0;
}

static int pin_maps(const struct hs_capture *capture)
{
	struct hsbpf_bpf *bpf = hs_probes_bpf(capture->probes);
	struct bpf_map *maps[] = { bpf->maps.slots, bpf->maps.controls, bpf->maps.lost, bpf->maps.about };
	int err = 0;

	for (size_t i = 0; i < HS_ARRAY_SIZE(maps) && !err; i++)
		err = hs_pin_add(capture->pin, bpf_map__name(maps[i]), bpf_map__fd(maps[i]));
	return err;
}

static void pin(struct hs_capture *capture, const struct hs_capture_config *config)
{
	int err = describe(capture, config->trace_dir ? config->trace_dir : "");

	if (!err)
		err = hs_pin_open(config->pin, &capture->pin);
	if (!err)
		err = pin_maps(capture);
	if (!err)
		return;
	hs_warn("the rings are not pinned (%s): a recorder that is killed loses what is in them", strerror(-err));
	hs_pin_free(take(capture->pin));
}

int hs_capture_open(const struct hs_capture_config *config, struct hs_capture **out)
{
	scoped(hs_capture) struct hs_capture *capture = calloc(1, sizeof(*capture));
	char unwanted[256], *reason = config->reason ? config->reason : unwanted;
	size_t reason_bytes = config->reason ? config->reason_bytes : sizeof(unwanted);
	int err;

	if (!capture)
		return -ENOMEM;
	capture->fill_fd = -1;
	capture->flight = config->flight;
	capture->filter = config->filter;
	if (config->output)
		capture->output = *config->output;
	snprintf(capture->machine, sizeof(capture->machine), "%s", config->machine);
	capture->start_ns = hs_now_ns();
	capture->slot_bits = slot_bits_of(config->ring_bytes);
	err = find_cpus(capture);
	if (!err)
		err = open_parts(capture, config, reason, reason_bytes);
	if (err)
		return err;
	if (config->pin)
		pin(capture, config);
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
		return errno == EEXIST ? 0
				       : hs_fail(-errno, "cannot watch interface %u of network namespace %u:", ifindex,
						 netns_inum);
	taps[capture->tap_nr++] = key;
	return 0;
}

int hs_capture_fd(const struct hs_capture *capture)
{
	return capture->fill_fd;
}

bool hs_capture_take_wake(struct hs_capture *capture)
{
	struct epoll_event event;

	if (*capture->woken == __atomic_load_n(capture->wakes, __ATOMIC_ACQUIRE))
		return false;
	__atomic_store_n(capture->woken, *capture->wakes, __ATOMIC_RELEASE);
	epoll_wait(capture->fill_fd, &event, 1, 0);
	return true;
}

static bool is_output_ready(const struct hs_capture *capture, uint32_t cpu)
{
	const struct hs_ctf_output *output = &capture->output;

	return !output->put || !output->is_ready || output->is_ready(output->ctx, cpu);
}

void hs_capture_drain(struct hs_capture *capture)
{
	if (capture->flight)
		return;
	hs_capture_take_wake(capture);
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++) {
		if (!hs_ring_is_empty(&capture->rings, cpu) && is_output_ready(capture, cpu))
			hs_drain_cpu(&capture->rings, cpu, capture->writer);
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
	if (capture->flight)
		return;
	for (int i = 0; i < FINAL_DRAINS && !are_rings_empty(capture); i++) {
		hs_capture_drain(capture);
		sched_yield();
	}
	/* Losses after a CPU's last record belong into its stream too. */
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++)
		hs_drain_cpu(&capture->rings, cpu, capture->writer);
}

int hs_capture_snapshot(struct hs_capture *capture, const char *dir, struct hs_capture_snapshot *out)
{
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;
	const struct hs_ctf_writer_counts *written;
	uint64_t overwritten = 0;
	int err = capture->flight ? open_writer(capture, dir, &writer) : -EINVAL;

	if (err)
		return err;
	for (uint32_t cpu = 0; cpu < capture->cpu_nr; cpu++)
		overwritten += hs_drain_snapshot(&capture->rings, cpu, writer);
	written = hs_ctf_writer_counts(writer);
	*out = (struct hs_capture_snapshot){ .overwritten = overwritten, .bytes = written->bytes };
	memcpy(out->recorded, written->recorded, sizeof(out->recorded));
	memcpy(out->disk_lost, written->disk_lost, sizeof(out->disk_lost));
	return 0;
}

void hs_capture_free(struct hs_capture *capture)
{
	if (!capture)
		return;
	/* Programs first: they write into the rings. */
	hs_probes_free(capture->probes);
	hs_pin_free(capture->pin);
	hs_rings_unmap(&capture->rings);
	if (capture->woken)
		munmap(capture->woken, sysconf(_SC_PAGESIZE));
	if (capture->wakes)
		munmap((void *)capture->wakes, sysconf(_SC_PAGESIZE));
	if (capture->fill_fd >= 0)
		close(capture->fill_fd);
	hs_ctf_writer_free(capture->writer);
	free(capture->taps);
	free(capture);
}

bool hs_capture_has_ring(const struct hs_capture *capture, uint32_t cpu)
{
	return cpu < capture->cpu_nr && hs_cpulist_has(&capture->online, cpu);
}

uint32_t hs_capture_cpu_nr(const struct hs_capture *capture)
{
	return capture->cpu_nr;
}

uint64_t hs_capture_ring_lost(const struct hs_capture *capture, uint32_t cpu, uint16_t event_id)
{
	if (cpu >= capture->cpu_nr || event_id >= HS_EVENT_ID_NR)
		return 0;
	return __atomic_load_n(&hs_rings_lost(&capture->rings, HS_LOST_NOW, cpu)[event_id], __ATOMIC_RELAXED);
}

int hs_capture_event_counts(const struct hs_capture *capture, uint16_t event_id, struct hs_capture_event_counts *counts)
{
	const struct hs_ctf_writer_counts *written = hs_capture_writer_counts(capture);

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

const char *hs_capture_how(const struct hs_capture *capture, uint16_t event_id)
{
	return hs_probes_how(capture->probes, event_id);
}

const struct hs_probe_missing *hs_capture_missing(const struct hs_capture *capture, size_t *missing_nr)
{
	return hs_probes_missing(capture->probes, missing_nr);
}

const struct hs_ctf_writer_counts *hs_capture_writer_counts(const struct hs_capture *capture)
{
	static const struct hs_ctf_writer_counts none;

	return capture->writer ? hs_ctf_writer_counts(capture->writer) : &none;
}
