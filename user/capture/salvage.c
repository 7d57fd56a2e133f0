// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading a dead recorder's rings. They are never changed: positions and counts are copied and corrected by what its
 * own files say, then drained like living ones. So a salvage that fails, or is killed, can be done again.
 */
#include "capture/salvage.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "capture/drain.h"
#include "capture/pin.h"

#define QUIET_TRIES 500
#define QUIET_POLL_MS 10

struct remains {
	struct hs_about about;
	struct hs_rings rings;		  /* as the kernel left them */
	struct hs_ring_control *controls; /* corrected copies */
	uint64_t *lost;
	uint32_t slots_id; /* the kernel's number of the map */
};

/* scoped(remains) struct remains remains = { 0 }; */
static void remains_scoped(struct remains *remains)
{
	hs_rings_unmap(&remains->rings);
	free(remains->controls);
	free(remains->lost);
}

static int get_map(const char *path, const char *name, struct bpf_map_info *info)
{
	scoped(mem) char *file = hs_format("%s/%s", path, name);
	scoped(fd) int fd = file ? bpf_obj_get(file) : -1;
	uint32_t info_bytes = sizeof(*info);

	if (fd < 0)
		return -errno;
	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(fd, info, &info_bytes))
		return -errno;
	return take_fd(&fd);
}

static int read_about(const char *path, struct hs_about *about)
{
	struct bpf_map_info info;
	scoped(fd) int fd = get_map(path, "about", &info);
	uint32_t key = 0;

	if (fd < 0)
		return fd;
	if (info.value_size != sizeof(*about))
		return -EPROTO;
	if (bpf_map_lookup_elem(fd, &key, about))
		return -errno;
	if (about->magic != HS_ABOUT_MAGIC || about->schema != HS_EVENTS_SCHEMA ||
	    about->event_id_nr != HS_EVENT_ID_NR || !memchr(about->machine, 0, sizeof(about->machine)) ||
	    !memchr(about->trace_dir, 0, sizeof(about->trace_dir)))
		return -EPROTO;
	return 0;
}

/* Whether each ring lies inside the slots and has a size that positions can be masked with. */
static bool do_rings_fit(const struct remains *remains)
{
	for (uint32_t cpu = 0; cpu < remains->about.cpu_nr; cpu++) {
		const struct hs_ring_control *control = &remains->rings.controls[cpu];

		if (control->slot_nr & (control->slot_nr - 1) ||
		    (uint64_t)control->first_slot + control->slot_nr > remains->about.slot_nr ||
		    control->consumed > control->head || control->next_consumed > control->head)
			return false;
	}
	return true;
}

static int map_rings(const char *path, struct remains *remains)
{
	const struct hs_about *about = &remains->about;
	struct bpf_map_info slots, controls, lost;
	scoped(fd) int slots_fd = get_map(path, "slots", &slots);
	scoped(fd) int controls_fd = get_map(path, "controls", &controls);
	scoped(fd) int lost_fd = get_map(path, "lost", &lost);
	int err;

	if (slots_fd < 0 || controls_fd < 0 || lost_fd < 0)
		return -ENOENT;
	if (slots.max_entries != about->slot_nr || slots.value_size != HS_SLOT_BYTES ||
	    controls.max_entries != about->cpu_nr || controls.value_size != sizeof(struct hs_ring_control) ||
	    lost.max_entries != HS_LOST_PART_NR * about->cpu_nr * HS_EVENT_ID_NR)
		return -EPROTO;
	remains->slots_id = slots.id;
	err = hs_rings_map(slots_fd, about->slot_nr, controls_fd, lost_fd, about->cpu_nr, &remains->rings);
	if (!err && !do_rings_fit(remains))
		err = -EPROTO;
	return err;
}

static bool uses_map(uint32_t prog_id, uint32_t map_id)
{
	scoped(fd) int fd = bpf_prog_get_fd_by_id(prog_id);
	uint32_t ids[64], info_bytes = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = HS_ARRAY_SIZE(ids), .map_ids = (uintptr_t)ids };

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &info_bytes))
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < HS_ARRAY_SIZE(ids); i++) {
		if (ids[i] == map_id)
			return true;
	}
	return false;
}

/* The kernel takes a dead process's programs off a little after its lock. */
static int wait_until_quiet(uint32_t map_id)
{
	for (int i = 0; i < QUIET_TRIES; i++) {
		uint32_t prog_id = 0;
		bool is_used = false;

		while (!is_used && !bpf_prog_get_next_id(prog_id, &prog_id))
			is_used = uses_map(prog_id, map_id);
		if (!is_used)
			return 0;
		poll(NULL, 0, QUIET_POLL_MS);
	}
	return -EBUSY;
}

/* Whether the packet that was being written is in the file; half of one is cut off. */
static bool is_in_file(const struct remains *remains, uint32_t cpu, const struct hs_ring_control *control)
{
	scoped(mem) char *path = hs_format("%s/cpu%u", (const char *)remains->about.trace_dir, cpu);
	struct stat status;

	if (!path || stat(path, &status))
		return false;
	if ((uint64_t)status.st_size >= control->next_bytes)
		return true;
	if ((uint64_t)status.st_size > control->file_bytes && truncate(path, (off_t)control->file_bytes))
		hs_warn("the end of %s is half a packet: %s", path, strerror(errno));
	return false;
}

/* Positions and losses as they are after the last packet on disk. Losses of no known event count under id 0. */
static void correct(struct remains *remains, uint32_t cpu)
{
	struct hs_rings copies = { .lost = remains->lost, .cpu_nr = remains->about.cpu_nr };
	struct hs_ring_control *control = &remains->controls[cpu];
	uint64_t *lost = hs_rings_lost(&copies, HS_LOST_NOW, cpu);
	bool has_told = control->next_bytes && is_in_file(remains, cpu, control);
	const uint64_t *told = hs_rings_lost(&copies, has_told ? HS_LOST_TELLING : HS_LOST_TOLD, cpu);

	if (has_told) {
		control->consumed = control->next_consumed;
		control->told_disk_lost = control->disk_lost;
	}
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		lost[id] -= told[id];
	lost[0] += control->disk_lost - control->told_disk_lost;
}

static int copy_state(struct remains *remains)
{
	const struct hs_rings *rings = &remains->rings;
	size_t controls_bytes = rings->cpu_nr * sizeof(*rings->controls);
	size_t lost_bytes = (size_t)HS_LOST_PART_NR * rings->cpu_nr * HS_EVENT_ID_NR * sizeof(*rings->lost);

	remains->controls = malloc(controls_bytes);
	remains->lost = malloc(lost_bytes);
	if (!remains->controls || !remains->lost)
		return -ENOMEM;
	memcpy(remains->controls, rings->controls, controls_bytes);
	memcpy(remains->lost, rings->lost, lost_bytes);
	for (uint32_t cpu = 0; cpu < rings->cpu_nr; cpu++)
		correct(remains, cpu);
	return 0;
}

static int open_remains(const char *path, struct remains *remains)
{
	int err = read_about(path, &remains->about);

	if (!err)
		err = map_rings(path, remains);
	if (!err)
		err = wait_until_quiet(remains->slots_id);
	return err ? err : copy_state(remains);
}

static bool is_anything_left(const struct remains *remains)
{
	const struct hs_rings copies = { .lost = remains->lost, .cpu_nr = remains->about.cpu_nr };

	for (uint32_t cpu = 0; cpu < copies.cpu_nr; cpu++) {
		if (remains->controls[cpu].consumed != remains->controls[cpu].head ||
		    hs_rings_lost_sum(&copies, HS_LOST_NOW, cpu))
			return true;
	}
	return false;
}

static void drain(struct remains *remains, struct hs_ctf_writer *writer)
{
	struct hs_rings copies = remains->rings;

	copies.controls = remains->controls;
	copies.lost = remains->lost;
	for (uint32_t cpu = 0; cpu < copies.cpu_nr; cpu++) {
		if (remains->about.overwriting)
			hs_drain_snapshot(&copies, cpu, writer);
		else
			hs_drain_cpu(&copies, cpu, writer);
	}
}

static int report(const struct remains *remains, const char *dir, const struct hs_ctf_writer_counts *written,
		  hs_salvage_fn on_saved, void *ctx)
{
	const struct hs_rings copies = { .lost = remains->lost, .cpu_nr = remains->about.cpu_nr };
	scoped(mem) uint64_t *cpu_lost = calloc(copies.cpu_nr, sizeof(*cpu_lost));
	struct hs_salvaged salvaged = {
		.machine = (const char *)remains->about.machine,
		.trace_dir = (const char *)remains->about.trace_dir,
		.pid = remains->about.pid,
		.flight = remains->about.overwriting,
		.start_ns = remains->about.start_boot_ns,
		.clock_offset_ns = (int64_t)remains->about.clock_offset_ns,
		.cpu_nr = copies.cpu_nr,
		.cpu_lost = cpu_lost,
		.bytes = written->bytes,
		.sorted = written->sorted,
		.clamped = written->clamped,
	};

	if (!cpu_lost)
		return -ENOMEM;
	memcpy(salvaged.recorded, written->recorded, sizeof(salvaged.recorded));
	for (uint32_t cpu = 0; cpu < copies.cpu_nr; cpu++) {
		const uint64_t *lost = hs_rings_lost(&copies, HS_LOST_NOW, cpu);

		salvaged.untold_disk_lost += lost[0];
		for (uint16_t id = 1; id < HS_EVENT_ID_NR; id++) {
			salvaged.ring_lost[id] += lost[id];
			cpu_lost[cpu] += lost[id];
		}
	}
	return on_saved(ctx, dir, &salvaged);
}

static int save(struct remains *remains, const char *dir, hs_salvage_fn on_saved, void *ctx)
{
	scoped(mem) char *parent = hs_format("%s/trace", dir);
	scoped(mem) char *trace = hs_format("%s/trace/%s", dir, (const char *)remains->about.machine);
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;
	struct hs_ctf_writer_config config = {
		.dir = trace,
		.machine = (const char *)remains->about.machine,
		.clock_offset_ns = (int64_t)remains->about.clock_offset_ns,
		.start_ns = remains->about.start_boot_ns,
	};
	const struct hs_ctf_writer_counts *written;
	int err = parent && trace ? hs_make_dirs(parent) : -ENOMEM;

	if (!err)
		err = hs_ctf_writer_open(&config, &writer);
	if (err)
		return err;
	drain(remains, writer);
	written = hs_ctf_writer_counts(writer);
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++) {
		if (written->disk_lost[id])
			return -ENOSPC;
	}
	return report(remains, dir, written, on_saved, ctx);
}

struct salvage {
	const char *dir;
	hs_salvage_fn on_saved;
	void *ctx;
	int saved_nr;
};

/* The next of last, last2, ... that is not there: a recording that failed to start may have saved some. malloc'd. */
static char *next_dir(const struct salvage *salvage)
{
	char *dir = hs_format("%s/last", salvage->dir);

	for (int i = 2; dir && !access(dir, F_OK); i++) {
		free(dir);
		dir = hs_format("%s/last%d", salvage->dir, i);
	}
	return dir;
}

static int on_dead(void *ctx, const char *path)
{
	struct salvage *salvage = ctx;
	scoped(remains) struct remains remains = { 0 };
	scoped(mem) char *dir = next_dir(salvage);
	int err = dir ? open_remains(path, &remains) : -ENOMEM;

	if (err == -ENOENT)
		return 0; /* killed before anything was pinned, or after it was removed */
	if (err == -EPROTO)
		return hs_fail(err, "%s was left by another version of hsbpf, which can save it; `rm -r` drops it",
			       path);
	if (err)
		return hs_fail(err, "cannot read what a killed recorder left in %s:", path);
	if (!is_anything_left(&remains))
		return 0;
	err = save(&remains, dir, salvage->on_saved, salvage->ctx);
	if (err) {
		hs_remove_tree(dir);
		return hs_fail(err, "what a killed recorder left in %s is not saved, and stays there:", path);
	}
	salvage->saved_nr++;
	return 0;
}

int hs_salvage(const char *dir, hs_salvage_fn on_saved, void *ctx)
{
	struct salvage salvage = { .dir = dir, .on_saved = on_saved, .ctx = ctx };
	int err = hs_pins_each_dead(on_dead, &salvage);

	return err ? err : salvage.saved_nr;
}
