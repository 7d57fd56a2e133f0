// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping and heating. What is not there is found out before the first page is written: a process that the kernel
 * kills for memory, or by SIGBUS for a huge page, cannot say why.
 */
#include "mm_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"

#define CHUNK_BYTES (2ull << 20) /* what a heating thread takes at a time */
#define GIB (1ull << 30)
#define HUGE_SHIFT 26 /* MAP_HUGE_SHIFT of linux/mman.h */
#define MEMINFO_MAX_BYTES 16384

/* A row of /proc/meminfo in bytes; UINT64_MAX when there is none. */
static uint64_t read_meminfo(const char *row)
{
	scoped(mem) char *text = NULL;
	unsigned long long kib;
	const char *at;

	if (hs_read_file("/proc/meminfo", MEMINFO_MAX_BYTES, &text, NULL))
		return UINT64_MAX;
	at = strstr(text, row);
	return at && sscanf(at + strlen(row), " %llu", &kib) == 1 ? kib * 1024 : UINT64_MAX;
}

static int check_available(uint64_t bytes)
{
	uint64_t available = read_meminfo("MemAvailable:"), swap = read_meminfo("SwapFree:");
	char wanted[32], left[32];

	if (available == UINT64_MAX)
		return 0;
	if (swap != UINT64_MAX)
		available += swap;
	if (bytes <= available)
		return 0;
	return hs_fail(-ENOMEM, "%s of memory are wanted and %s are available: give --memory less",
		       hs_format_bytes(wanted, sizeof(wanted), bytes), hs_format_bytes(left, sizeof(left), available));
}

/* One file of the kernel's pool of huge pages of this size, as a number; -1 when there is none. */
static long long read_pool(uint64_t huge_bytes, const char *file, char *path, size_t size)
{
	scoped(mem) char *text = NULL;
	long long value;

	snprintf(path, size, "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s", huge_bytes / 1024, file);
	if (hs_read_file(path, 64, &text, NULL) || sscanf(text, "%lld", &value) != 1)
		return -1;
	return value;
}

static int fail_huge(uint64_t bytes, uint64_t huge_bytes, int err)
{
	char path[128], name[32];
	long long unused = read_pool(huge_bytes, "free_hugepages", path, sizeof(path));
	long long total = read_pool(huge_bytes, "nr_hugepages", path, sizeof(path));
	uint64_t wanted = bytes / huge_bytes;

	hs_format_bytes(name, sizeof(name), huge_bytes);
	if (unused < 0 || total < 0)
		return hs_fail(-EOPNOTSUPP, "this kernel has no huge pages of %s", name);
	if ((uint64_t)unused < wanted)
		return hs_fail(-ENOMEM,
			       "%" PRIu64 " huge pages of %s are wanted and %lld are free: echo %" PRIu64 " > %s",
			       wanted, name, unused, (uint64_t)(total - unused) + wanted, path);
	return hs_fail(err, "cannot map %" PRIu64 " huge pages of %s:", wanted, name);
}

int hs_memory_map(uint64_t bytes, uint64_t backing_bytes, struct hs_memory *out)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	bool is_huge = backing_bytes && backing_bytes != page_bytes;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, err;
	char size[32], backing[32];
	void *base;

	if (!is_huge)
		backing_bytes = page_bytes;
	if (!bytes || bytes % backing_bytes)
		return hs_fail(-EINVAL, "%s of memory are no multiple of pages of %s",
			       hs_format_bytes(size, sizeof(size), bytes),
			       hs_format_bytes(backing, sizeof(backing), backing_bytes));
	if (is_huge)
		flags |= MAP_HUGETLB | __builtin_ctzll(backing_bytes) << HUGE_SHIFT;
	else if ((err = check_available(bytes)))
		return err;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (base == MAP_FAILED)
		return is_huge ? fail_huge(bytes, backing_bytes, -errno)
			       : hs_fail(-errno,
					 "cannot map %s of memory:", hs_format_bytes(size, sizeof(size), bytes));
	if (!is_huge)
		madvise(base, bytes, MADV_NOHUGEPAGE); /* a kernel without them says EINVAL, and has none */
	*out = (struct hs_memory){ base, bytes, bytes / page_bytes, page_bytes, backing_bytes };
	return 0;
}

void hs_memory_unmap(struct hs_memory *memory)
{
	if (memory->base)
		munmap(memory->base, memory->bytes);
	*memory = (struct hs_memory){ 0 };
}

/* What the heating threads share; next and done are atomic. */
struct heating {
	const struct hs_memory *memory;
	const struct hs_page_format *format;
	uint64_t next, done; /* bytes taken and written */
	pthread_mutex_t lock;
	void (*on_gib)(void);
};

static void heat_chunk(const struct heating *heating, uint64_t start, uint64_t end)
{
	const struct hs_memory *memory = heating->memory;

	for (uint64_t number = start / memory->page_bytes; number < end / memory->page_bytes; number++)
		hs_page_make(heating->format, hs_memory_page(memory, number), number, 0);
}

static void *heat(void *heating_ptr)
{
	struct heating *heating = heating_ptr;
	uint64_t bytes = heating->memory->bytes, start, end, done;

	while ((start = __atomic_fetch_add(&heating->next, CHUNK_BYTES, __ATOMIC_RELAXED)) < bytes) {
		end = start + CHUNK_BYTES < bytes ? start + CHUNK_BYTES : bytes;
		heat_chunk(heating, start, end);
		done = __atomic_fetch_add(&heating->done, end - start, __ATOMIC_RELAXED);
		if (done / GIB == (done + end - start) / GIB)
			continue;
		pthread_mutex_lock(&heating->lock);
		heating->on_gib();
		pthread_mutex_unlock(&heating->lock);
	}
	return NULL;
}

static long count_cpus(void)
{
	cpu_set_t cpus;

	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		return CPU_COUNT(&cpus);
	return sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than the set has room for */
}

int hs_memory_heat(const struct hs_memory *memory, const struct hs_page_format *format, void (*on_gib)(void))
{
	struct heating heating = { memory, format, 0, 0, PTHREAD_MUTEX_INITIALIZER, on_gib };
	long helper_nr = count_cpus() - 1, started = 0;
	scoped(mem) pthread_t *helpers = calloc(helper_nr > 0 ? (size_t)helper_nr : 1, sizeof(*helpers));

	if (!helpers)
		return hs_fail(-ENOMEM, "no memory for %ld threads", helper_nr);
	while (started < helper_nr && !pthread_create(&helpers[started], NULL, heat, &heating))
		started++; /* with fewer threads it only takes longer */
	heat(&heating);
	for (long i = 0; i < started; i++)
		pthread_join(helpers[i], NULL);
	return 0;
}

int hs_memory_lock(const struct hs_memory *memory)
{
	char size[32];

	if (!mlock(memory->base, memory->bytes))
		return 0;
	if (errno == ENOMEM || errno == EPERM)
		return hs_fail(-EPERM,
			       "cannot lock %s of memory: the limit is lower; `ulimit -l` raises it, or be root",
			       hs_format_bytes(size, sizeof(size), memory->bytes));
	return hs_fail(-errno, "cannot lock %s of memory:", hs_format_bytes(size, sizeof(size), memory->bytes));
}
