// SPDX-License-Identifier: GPL-2.0-only
/* One dummy event of perf on this thread, whose record of a new name (PERF_RECORD_COMM) carries the time. */
#include "timeline/sched_clock.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/loop.h"

#define SLEW_PPM 500
#define START_ERROR_NS 1000000000ull /* the two clocks begin while the kernel boots, not together */
#define TRIES 3

struct hs_sched_clock {
	int fd;
	size_t page_bytes;
	struct perf_event_mmap_page *page; /* and one page of records */
};

int hs_sched_clock_open(struct hs_sched_clock **out)
{
	struct perf_event_attr attr = { .size = sizeof(attr),
					.type = PERF_TYPE_SOFTWARE,
					.config = PERF_COUNT_SW_DUMMY,
					.comm = 1,
					.sample_id_all = 1,
					.sample_type = PERF_SAMPLE_TIME,
					.exclude_kernel = 1 };
	scoped(hs_sched_clock) struct hs_sched_clock *clock = calloc(1, sizeof(*clock));
	void *pages;

	if (!clock)
		return -ENOMEM;
	clock->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	clock->fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (clock->fd < 0)
		return -errno;
	pages = mmap(NULL, 2 * clock->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, clock->fd, 0);
	if (pages == MAP_FAILED)
		return -errno;
	clock->page = pages;
	*out = take(clock);
	return 0;
}

void hs_sched_clock_free(struct hs_sched_clock *clock)
{
	if (!clock)
		return;
	if (clock->page)
		munmap(clock->page, 2 * clock->page_bytes);
	if (clock->fd >= 0)
		close(clock->fd);
	free(clock);
}

static void copy_out(const struct hs_sched_clock *clock, uint64_t at, void *to, size_t len)
{
	const char *data = (const char *)clock->page + clock->page_bytes;

	for (size_t i = 0; i < len; i++)
		((char *)to)[i] = data[(at + i) % clock->page_bytes];
}

/* The time of the newest record, its last 8 bytes; 0: there is none. Empties the ring. */
static uint64_t take_newest(struct hs_sched_clock *clock)
{
	uint64_t head = __atomic_load_n(&clock->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t at = clock->page->data_tail, time_ns = 0;
	struct perf_event_header header;

	while (head - at >= sizeof(header)) {
		copy_out(clock, at, &header, sizeof(header));
		if (header.size < sizeof(header) + sizeof(time_ns) || header.size > head - at)
			break;
		if (header.type == PERF_RECORD_COMM)
			copy_out(clock, at + header.size - sizeof(time_ns), &time_ns, sizeof(time_ns));
		at += header.size;
	}
	__atomic_store_n(&clock->page->data_tail, head, __ATOMIC_RELEASE);
	return time_ns;
}

int hs_sched_clock_sample(struct hs_sched_clock *clock, struct hs_sched_sample *sample)
{
	struct hs_sched_sample best = { 0 }, one;
	char name[16];

	prctl(PR_GET_NAME, name);
	for (int i = 0; i < TRIES; i++) {
		one.before_ns = hs_now_ns();
		prctl(PR_SET_NAME, name);
		one.after_ns = hs_now_ns();
		one.sched_ns = take_newest(clock);
		if (one.sched_ns && (!best.sched_ns || one.after_ns - one.before_ns < best.after_ns - best.before_ns))
			best = one;
	}
	if (!best.sched_ns)
		return -EIO;
	*sample = best;
	return 0;
}

struct hs_sched_sample hs_sched_clock_guess(void)
{
	struct timespec time;
	uint64_t boot_ns = hs_now_ns(), mono_ns, spread_ns;

	clock_gettime(CLOCK_MONOTONIC, &time);
	mono_ns = (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
	spread_ns = START_ERROR_NS + mono_ns / 1000000 * SLEW_PPM;
	return (struct hs_sched_sample){ boot_ns > spread_ns ? boot_ns - spread_ns : 0, mono_ns, boot_ns + spread_ns };
}

uint64_t hs_sched_to_boot(const struct hs_sched_sample *sample, uint64_t sched_ns, uint64_t *error_ns)
{
	uint64_t width = sample->after_ns > sample->before_ns ? sample->after_ns - sample->before_ns : 0;
	uint64_t middle = sample->before_ns + width / 2;
	uint64_t away = sched_ns > sample->sched_ns ? sched_ns - sample->sched_ns : sample->sched_ns - sched_ns;

	/* Records are in whole microseconds, cut. */
	*error_ns = width / 2 + width % 2 + away / 1000000 * SLEW_PPM + 1000;
	if (sched_ns >= sample->sched_ns)
		return middle + away < middle ? UINT64_MAX : middle + away;
	return middle > away ? middle - away : 1;
}
