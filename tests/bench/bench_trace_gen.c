// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast one core makes a trace of logs: the real sample, and the same as hypersio's QEMU would have written it,
 * repeated to 200 MB, read from the page cache, hashed, parsed, cut into packets, interleaved and written. Prints MB/s
 * (10^6 bytes of text) of CPU time, best and median of five passes. Run from the top directory; an argument changes the
 * 200.
 */
#include <string.h>
#include <sys/resource.h>

#include "base/io.h"
#include "base/log.h"
#include "hyper/gen.h"
#include "tests/data/sample.h"

#define PASSES 5

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* All pages of the sample have 2 MiB: "slpte 0x..." becomes "pmask ... slpte 0x..." and "slpte 0x... level 0x2". */
static char *make_patched(const char *text, size_t len, size_t *patched_len)
{
	char *patched = malloc(2 * len), *to = patched;

	for (const char *line = text; patched && line < text + len;) {
		const char *end = (const char *)memchr(line, '\n', (size_t)(text + len - line)) + 1;
		const char *slpte = memmem(line, (size_t)(end - line), "slpte", 5);
		const char *domain = memmem(line, (size_t)(end - line), "domain", 6);
		bool is_hit = memmem(line, (size_t)(end - line), "page_hit", 8);
		const char *split = is_hit ? slpte : domain;

		if (!slpte || !domain)
			split = end;
		to = mempcpy(to, line, (size_t)(split - line));
		if (split < end)
			to = stpcpy(to, is_hit ? "pmask 0xffffffffffe00000 " : "level 0x2 ");
		to = mempcpy(to, split, (size_t)(end - split));
		line = end;
	}
	*patched_len = (size_t)(to - patched);
	return patched;
}

static int write_log(const char *path, const char *text, size_t len, size_t target)
{
	scoped(file) FILE *file = fopen(path, "w");
	size_t times = target / len + 1;

	for (size_t i = 0; file && i < times; i++)
		if (fwrite(text, len, 1, file) != 1)
			return -1;
	return file ? 0 : -1;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

static int measure(const char *what, const char *dir, const char *text, size_t len, size_t target)
{
	scoped(mem) char *prefix = hs_format("%s/log", dir), *log = hs_format("%s/log_0.txt", dir);
	scoped(mem) char *output = hs_format("%s/trace", dir);
	struct hs_gen_config config = { .prefix = prefix, .output = output, .burst = 1 };
	double took[PASSES], bytes = (double)len * (double)(target / len + 1);
	int err = write_log(log, text, len, target);

	for (int i = 0; i < PASSES && !err; i++) {
		double start = cpu_s();

		err = hs_gen_write(&config);
		took[i] = cpu_s() - start;
	}
	if (err) {
		fprintf(stderr, "bench_trace_gen: %s: no trace was made\n", what);
		return 1;
	}
	qsort(took, PASSES, sizeof(took[0]), compare);
	printf("%-22s best %6.0f MB/s  median %6.0f MB/s\n", what, bytes / took[0] / 1e6,
	       bytes / took[PASSES / 2] / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	size_t target = (argc > 1 ? strtoul(argv[1], NULL, 10) : 200) * 1000000, len = 0, patched_len = 0;
	scoped(mem) char *text = sample_load(SAMPLE_IOMMU, &len), *patched = NULL;
	char dir[] = "/tmp/bench_trace_gen.XXXXXX";
	int failed;

	if (!text || !mkdtemp(dir)) {
		fprintf(stderr, "bench_trace_gen: cannot unpack %s: run from the top directory\n", SAMPLE_IOMMU);
		return 1;
	}
	patched = make_patched(text, len, &patched_len);
	failed = measure("stock log to trace", dir, text, len, target) |
		 measure("patched log to trace", dir, patched, patched_len, target);
	hs_remove_tree(dir);
	return failed;
}
