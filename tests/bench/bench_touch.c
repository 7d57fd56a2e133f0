// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bound for every tool that dirties memory: plain loops over pages of 4 KiB that are there, a second each, on one
 * thread. Usage: bench_touch MIB; prints "LOOP MiB-dirtied-per-second" lines.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096
#define LOOK 8192 /* pages between two looks at the clock */

static volatile uint8_t *memory;
static uint64_t pages;

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void touch_next(uint64_t i)
{
	memory[i % pages * PAGE]++;
}

/* A congruential generator: the cheapest random page there is. */
static void touch_random(uint64_t i)
{
	static uint64_t state;

	(void)i;
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	memory[(state >> 32) * pages / (1ull << 32) * PAGE]++;
}

static void set_whole(uint64_t i)
{
	memset((void *)(memory + i % pages * PAGE), (int)i, PAGE);
}

static void measure(const char *name, void (*dirty)(uint64_t i))
{
	double start = now_s(), end;
	uint64_t i = 0;

	do {
		for (uint64_t stop = i + LOOK; i < stop; i++)
			dirty(i);
		end = now_s();
	} while (end - start < 1);
	printf("%s %.0f\n", name, (double)i * PAGE / (1 << 20) / (end - start));
}

int main(int argc, char **argv)
{
	uint64_t bytes = (argc == 2 ? strtoull(argv[1], NULL, 10) : 0) << 20;

	memory = bytes ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
	if (memory == MAP_FAILED) {
		fprintf(stderr, "usage: bench_touch MIB\n");
		return 2;
	}
	madvise((void *)memory, bytes, MADV_NOHUGEPAGE);
	memset((void *)memory, 1, bytes);
	pages = bytes / PAGE;
	measure("byte-sequential", touch_next);
	measure("byte-random", touch_random);
	measure("memset", set_whole);
	return 0;
}
