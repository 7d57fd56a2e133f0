// SPDX-License-Identifier: GPL-2.0-only
/*
 * What mm_dirty's threads really write, with the kernel as the judge: userfaultfd write protection tells which pages
 * were written, and missing pages that this test hands out as a postcopy destination does stall the threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "migtools/mm_engine.h"
#include "tests/lab/lab.h"

#define MIB (1ull << 20)
#define PAGES 16384
#define PAGEMAP_UFFD_WP (1ull << 57) /* Documentation/admin-guide/mm/pagemap.rst */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15) /* Linux 6.7: the kernel itself takes the protection off */
#endif

/* A heated memory of 16384 pages, and an engine on it. */
struct setting {
	struct hs_page_format format;
	struct hs_memory memory;
	struct hs_ticks ticks;
	struct hs_engine *engine;
	int uffd;
};

static void nothing(void)
{
}

static void setting_close(struct setting *setting)
{
	hs_engine_free(setting->engine);
	hs_memory_unmap(&setting->memory);
	if (setting->uffd >= 0)
		close(setting->uffd);
}

static bool setting_open(struct setting *setting, const char *fill)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

	*setting = (struct setting){ .uffd = -1 };
	hs_ticks_start(&setting->ticks);
	return lab_ok(!hs_page_format_parse(fill, page_bytes, 4711, &setting->format) &&
			      !hs_memory_map(PAGES * page_bytes, 0, &setting->memory) &&
			      !hs_memory_heat(&setting->memory, &setting->format, nothing),
		      "16384 pages of '%s' are heated", fill);
}

static struct hs_dirty_config config_of(enum hs_pattern pattern, uint64_t mib_per_second, uint32_t threads)
{
	return (struct hs_dirty_config){
		.pattern = pattern,
		.pace = { .bytes_per_second = mib_per_second * MIB, .page_bytes = 4096, .threads = threads },
	};
}

static void start(struct setting *setting, const struct hs_dirty_config *config)
{
	hs_ticks_calibrate(&setting->ticks);
	lab_ok(!hs_engine_start(config, &setting->memory, &setting->format, &setting->ticks, &setting->engine),
	       "%u threads start", config->pace.threads);
}

static uint64_t pages_so_far(const struct setting *setting)
{
	struct hs_dirty_counts counts;

	hs_engine_count(setting->engine, &counts);
	return counts.pages;
}

static void wait_a_millisecond(void)
{
	poll(NULL, 0, 1);
}

static void end(struct setting *setting)
{
	hs_engine_stop(setting->engine);
	while (!hs_engine_has_ended(setting->engine))
		wait_a_millisecond();
}

/* ---- the judge --------------------------------------------------------------------------------- */

static int open_uffd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &api)) {
		close(uffd);
		uffd = -1;
	}
	return uffd;
}

static bool register_memory(const struct setting *setting, uint64_t mode)
{
	struct uffdio_register range = {
		.range = { (uintptr_t)setting->memory.base, setting->memory.bytes },
		.mode = mode,
	};

	return lab_ok(!ioctl(setting->uffd, UFFDIO_REGISTER, &range), "the kernel watches them");
}

/* From now on a page that is written is told from the others. */
static bool protect(struct setting *setting)
{
	struct uffdio_writeprotect range = {
		.range = { (uintptr_t)setting->memory.base, setting->memory.bytes },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	setting->uffd = open_uffd(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (setting->uffd < 0) {
		lab_skip("the kernel judges what was written", "userfaultfd has no asynchronous write protection: %s",
			 strerror(errno));
		return false;
	}
	return register_memory(setting, UFFDIO_REGISTER_MODE_WP) &&
	       lab_ok(!ioctl(setting->uffd, UFFDIO_WRITEPROTECT, &range), "... and has none written so far");
}

/* written[i]: page i was. Returns how many were. */
static uint64_t read_written(const struct setting *setting, bool *written)
{
	static uint64_t entries[PAGES];
	scoped(fd) int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)setting->memory.base / setting->memory.page_bytes * sizeof(*entries));
	uint64_t count = 0;

	if (pread(fd, entries, sizeof(entries), at) != sizeof(entries))
		return UINT64_MAX;
	for (size_t i = 0; i < PAGES; i++) {
		written[i] = !(entries[i] & PAGEMAP_UFFD_WP);
		count += written[i];
	}
	return count;
}

/* How often each page was written, as it says itself. */
static uint64_t generation_of(const struct setting *setting, uint64_t number)
{
	return ((const struct hs_page_stamp *)hs_memory_page(&setting->memory, number))->generation;
}

/* Pages of [first, first + count) that were written while others before them were not: 0 for a sequential thread. */
static uint64_t count_gaps(const bool *written, uint64_t first, uint64_t count)
{
	uint64_t gaps = 0;

	for (uint64_t i = first + 1; i < first + count; i++)
		gaps += written[i] && !written[i - 1];
	return gaps;
}

static void test_the_count_is_the_kernels_at_any_time(uint32_t threads)
{
	static bool written[PAGES];
	struct hs_dirty_config config = config_of(HS_PATTERN_SEQUENTIAL, 40, threads);
	struct setting setting;
	uint64_t looks = 0, wrong = 0, gaps = 0;

	if (setting_open(&setting, "random") && protect(&setting)) {
		start(&setting, &config);
		while (pages_so_far(&setting) < PAGES / 2) {
			uint64_t before = pages_so_far(&setting), count = read_written(&setting, written), after;

			after = pages_so_far(&setting);
			/* A batch in each thread is written before it is counted. */
			wrong += count < before || count > after + threads * 32;
			looks++;
			wait_a_millisecond();
		}
		end(&setting);
		lab_ok(looks && !wrong, "%u threads: the pages counted were those written, at each of %llu looks",
		       threads, (unsigned long long)looks);
		lab_equal(read_written(&setting, written), pages_so_far(&setting), "... and exactly at the end");
		for (uint32_t i = 0; i < threads; i++)
			gaps += count_gaps(written, PAGES / threads * i, PAGES / threads);
		lab_equal(gaps, 0, "... one after the other, in each thread's part");
	}
	setting_close(&setting);
}

static void test_a_working_set_gets_its_share(void)
{
	static bool written[PAGES];
	struct hs_dirty_config config = config_of(HS_PATTERN_RANDOM, 400, 2);
	struct setting setting;
	uint64_t differ = 0, hot = 0, all = 0;

	config.hot_pages_pct = 10;
	config.hot_writes_pct = 90;
	if (setting_open(&setting, "stamp") && protect(&setting)) {
		start(&setting, &config);
		while (pages_so_far(&setting) < 2 * PAGES)
			wait_a_millisecond();
		end(&setting);
		read_written(&setting, written);
		for (uint64_t i = 0; i < PAGES; i++) {
			uint64_t times = generation_of(&setting, i);

			differ += written[i] != (times > 0);
			all += times;
			hot += i % (PAGES / 2) < PAGES / 2 / 10 ? times : 0;
		}
		lab_equal(differ, 0, "pages say that they were written when the kernel says so");
		lab_equal(all, pages_so_far(&setting), "... as often as was counted");
		lab_ok(hot >= all * 9 / 10 - 2 && hot <= all * 9 / 10 + 2,
		       "a tenth of the pages has nine of ten writes");
	}
	setting_close(&setting);
}

static void test_zeros_are_written_and_stay_zeros(void)
{
	static bool written[PAGES];
	struct hs_dirty_config config = config_of(HS_PATTERN_SEQUENTIAL, 0, 1);
	struct setting setting;
	uint64_t wrong = 0;

	if (setting_open(&setting, "zero") && protect(&setting)) {
		start(&setting, &config);
		while (pages_so_far(&setting) < PAGES)
			wait_a_millisecond();
		end(&setting);
		lab_equal(read_written(&setting, written), PAGES, "pages of zeros are written");
		for (uint64_t i = 0; i < setting.memory.bytes; i++)
			wrong += setting.memory.base[i] != 0;
		lab_equal(wrong, 0, "... and are zeros still");
	}
	setting_close(&setting);
}

static void test_once_writes_no_more(void)
{
	static bool written[PAGES];
	struct hs_dirty_config config = config_of(HS_PATTERN_ONCE, 100, 1);
	struct setting setting;

	config.verify = true;
	if (setting_open(&setting, "random") && protect(&setting)) {
		start(&setting, &config);
		hs_engine_verify(setting.engine);
		while (hs_engine_window_nr(setting.engine) < 2)
			wait_a_millisecond();
		end(&setting);
		lab_equal(read_written(&setting, written), 0,
			  "'once' writes nothing, and neither does reading all pages");
	}
	setting_close(&setting);
}

/* ---- postcopy ---------------------------------------------------------------------------------- */

/* A source that hands out pages on request. */
struct source {
	const struct setting *setting;
	uint8_t *copy;	     /* of every page as it was heated */
	int hold_ms;	     /* before the first page goes out */
	uint64_t held_ns;    /* how long that really took */
	uint64_t swap, lose; /* pages that are handed out wrong; 0: none */
	uint64_t handed_out;
	pthread_t thread;
};

static void hand_out(struct source *source, uint64_t number)
{
	const struct hs_memory *memory = &source->setting->memory;
	uint64_t from = number == source->swap && number ? number + 1 : number;
	struct uffdio_copy copy = {
		.dst = (uintptr_t)hs_memory_page(memory, number),
		.src = (uintptr_t)(source->copy + from * memory->page_bytes),
		.len = memory->page_bytes,
	};

	if (number == source->lose && number)
		memset(source->copy + from * memory->page_bytes, 0, memory->page_bytes);
	source->handed_out += !ioctl(source->setting->uffd, UFFDIO_COPY, &copy);
}

static void hold(struct source *source)
{
	uint64_t before = hs_monotonic_ns();

	poll(NULL, 0, source->hold_ms);
	source->held_ns = hs_monotonic_ns() - before;
}

/* Until every page was asked for. */
static void *serve(void *source_ptr)
{
	struct source *source = source_ptr;
	const struct hs_memory *memory = &source->setting->memory;
	struct uffd_msg message;

	while (source->handed_out < PAGES &&
	       read(source->setting->uffd, &message, sizeof(message)) == sizeof(message)) {
		if (!source->handed_out)
			hold(source);
		hand_out(source, (message.arg.pagefault.address - (uintptr_t)memory->base) / memory->page_bytes);
	}
	return NULL;
}

/* The memory's pages are now at the source alone. */
static bool take_away(struct setting *setting, struct source *source)
{
	struct hs_memory *memory = &setting->memory;

	source->setting = setting;
	source->copy = malloc(memory->bytes);
	memcpy(source->copy, memory->base, memory->bytes);
	setting->uffd = open_uffd(0);
	if (setting->uffd < 0) {
		lab_skip("a postcopy source hands out pages", "no userfaultfd: %s", strerror(errno));
		return false;
	}
	return register_memory(setting, UFFDIO_REGISTER_MODE_MISSING) &&
	       lab_ok(!madvise(memory->base, memory->bytes, MADV_DONTNEED), "... which are at the source now") &&
	       !pthread_create(&source->thread, NULL, serve, source);
}

/* What of a run with a stall must be true whatever the machine does meanwhile. */
static void judge_stall(const struct setting *setting, const struct source *source)
{
	struct hs_stall longest = { 0 };
	struct hs_dirty_window window;
	uint64_t total, over = 0, inside = 0, inside_pages = 0, nr = hs_engine_window_nr(setting->engine);

	hs_engine_stalls(setting->engine, &longest, 1, &total);
	lab_ok(longest.length_ns >= source->held_ns, "a page that takes %llu ms stalls the thread as long: %llu ms",
	       (unsigned long long)(source->held_ns / 1000000), (unsigned long long)(longest.length_ns / 1000000));
	for (uint64_t i = 0; i < nr; i++) {
		hs_engine_window(setting->engine, i, &window);
		over += window.verdict == HS_WINDOW_OVER;
		if (i * HS_PACE_WINDOW_NS < longest.start_ns ||
		    (i + 1) * HS_PACE_WINDOW_NS > longest.start_ns + longest.length_ns)
			continue;
		inside++;
		inside_pages += window.done;
		over += window.verdict != HS_WINDOW_STALLED;
	}
	lab_ok(inside >= 8, "... through whole windows");
	lab_equal(inside_pages, 0, "... in which nothing is written");
	lab_equal(over, 0, "... which are said to be stalled, and are made up for in none");
}

static void test_pages_of_a_postcopy_source(void)
{
	struct hs_dirty_config config = config_of(HS_PATTERN_SEQUENTIAL, 100, 1);
	scoped(mem) uint8_t *copy = NULL;
	struct hs_histogram latency = { 0 };
	struct hs_dirty_counts counts;
	struct source source = { .hold_ms = 1000 };
	struct setting setting;

	config.latency = true;
	config.verify = true;
	if (setting_open(&setting, "random") && take_away(&setting, &source)) {
		start(&setting, &config);
		while (pages_so_far(&setting) < 2 * PAGES)
			wait_a_millisecond();
		end(&setting);
		pthread_join(source.thread, NULL);
		hs_engine_count(setting.engine, &counts);
		lab_equal(source.handed_out, PAGES, "every page came from the source once");
		lab_ok(counts.verified >= PAGES, "all 16384 pages are read at the end");
		lab_equal(counts.faults, 0, "... and are as they were written");
		judge_stall(&setting, &source);
		hs_engine_take_latency(setting.engine, &latency);
		lab_equal(latency.count, counts.pages, "every write is timed");
		lab_ok(latency.max >= source.held_ns / 100 * 99, "... that of the held page too");
		hs_histogram_clear(&latency);
	}
	copy = source.copy;
	setting_close(&setting);
}

static void expect_fault(const struct hs_page_verdict *faults, size_t count, uint64_t number, enum hs_page_state state)
{
	size_t i = 0;

	while (i < count && faults[i].number != number)
		i++;
	lab_ok(i < count && faults[i].state == state, "page %llu is found to be %s", (unsigned long long)number,
	       hs_page_state_name(state));
}

static void test_a_source_that_mistakes_pages_is_found_out(void)
{
	struct hs_dirty_config config = config_of(HS_PATTERN_RANDOM, 10, 2);
	const struct hs_page_verdict *faults;
	scoped(mem) uint8_t *copy = NULL;
	struct source source = { .swap = 1000, .lose = 9000 };
	struct setting setting;
	size_t count;

	config.verify = true;
	if (setting_open(&setting, "stamp") && take_away(&setting, &source)) {
		start(&setting, &config);
		while (pages_so_far(&setting) < 256)
			wait_a_millisecond();
		end(&setting);
		pthread_join(source.thread, NULL);
		faults = hs_engine_faults(setting.engine, &count);
		lab_equal(count, 2, "two pages came wrong, and two are found");
		expect_fault(faults, count, source.swap, HS_PAGE_SWAPPED);
		expect_fault(faults, count, source.lose, HS_PAGE_LOST);
	}
	copy = source.copy;
	setting_close(&setting);
}

int main(void)
{
	if (sysconf(_SC_PAGESIZE) != 4096)
		return lab_skip_all("the kernel's pages are not of 4 KiB");
	test_the_count_is_the_kernels_at_any_time(1);
	test_the_count_is_the_kernels_at_any_time(4);
	test_a_working_set_gets_its_share();
	test_zeros_are_written_and_stay_zeros();
	test_once_writes_no_more();
	test_pages_of_a_postcopy_source();
	test_a_source_that_mistakes_pages_is_found_out();
	return lab_done();
}
