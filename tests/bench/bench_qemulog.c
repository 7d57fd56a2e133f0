// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast one core parses the IOMMU log: the real sample repeated to 200 MB, and the same amount of an event
 * without a shape. Prints MB/s (10^6), best and median of nine passes, for counting, for full decoding of
 * every line, and for tailing a file in the page cache. Run from the top directory; an argument changes the
 * 200.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "qemulog/tail.h"
#include "tests/data/sample.h"

#define PASSES 9
#define FEED_BYTES (256 * 1024)

struct input {
	char *text;
	size_t len;
};

static const struct hs_qemulog_tenant tenants[] = { { .sid = 0x20, .tenant = 0 },
						    { .sid = 0x28, .tenant = 1 } };

/* Uses every field, so that none is left undecoded. */
static void sum_fields(void *ctx, const struct hs_qemulog_line *line)
{
	*(uint64_t *)ctx += line->time_ns + line->tid + line->sid + line->iova + line->slpte + line->domain +
			    line->high + line->low + line->gen;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool repeat(const char *text, size_t len, size_t target, struct input *out)
{
	size_t times = target / len + 1;

	out->len = times * len;
	out->text = malloc(out->len);
	for (size_t i = 0; out->text && i < times; i++)
		memcpy(out->text + i * len, text, len);
	return out->text;
}

static int feed_memory(struct hs_qemulog *log, const struct input *input, const char *path)
{
	(void)path;
	for (size_t at = 0; at < input->len; at += FEED_BYTES)
		hs_qemulog_feed(log, input->text + at,
				input->len - at < FEED_BYTES ? input->len - at : FEED_BYTES);
	return 0;
}

static int feed_tail(struct hs_qemulog *log, const struct input *input, const char *path)
{
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *tail = NULL;
	int64_t got = hs_qemulog_tail_open(path, log, &tail);

	if (!got)
		got = hs_qemulog_tail_poll(tail, SIZE_MAX);
	return got == (int64_t)input->len ? 0 : -1;
}

typedef int (*feed_fn)(struct hs_qemulog *log, const struct input *input, const char *path);

/* Seconds, or below 0 if a line was not decoded: a figure for failing fast would be worth nothing. */
static double pass(const struct input *input, feed_fn feed, const char *path, bool full)
{
	scoped(hs_qemulog) struct hs_qemulog *log = NULL;
	uint64_t sum = 0;
	struct hs_qemulog_config config = {
		.tenants = tenants, .tenant_nr = 2, .on_line = full ? sum_fields : NULL, .ctx = &sum
	};
	const struct hs_qemulog_counts *counts;
	double start, took;

	if (hs_qemulog_open(&config, &log))
		return -1;
	start = now_s();
	if (feed(log, input, path))
		return -1;
	took = now_s() - start;
	hs_qemulog_finish(log);
	counts = hs_qemulog_counts(log);
	return counts->decoded && counts->decoded == counts->lines && (!full || sum) ? took : -1;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

static int measure(const char *what, const struct input *input, feed_fn feed, const char *path, bool full)
{
	double took[PASSES];

	for (int i = 0; i < PASSES; i++) {
		took[i] = pass(input, feed, path, full);
		if (took[i] < 0) {
			fprintf(stderr, "bench_qemulog: %s: the log was not decoded whole\n", what);
			return 1;
		}
	}
	qsort(took, PASSES, sizeof(took[0]), compare);
	printf("%-22s best %6.0f MB/s  median %6.0f MB/s\n", what, (double)input->len / took[0] / 1e6,
	       (double)input->len / took[PASSES / 2] / 1e6);
	return 0;
}

static int measure_tail(const struct input *input)
{
	char path[] = "/tmp/bench_qemulog.XXXXXX";
	scoped(fd) int fd = mkstemp(path);
	int failed = 1;

	if (fd < 0)
		return failed;
	if (write(fd, input->text, input->len) == (ssize_t)input->len)
		failed = measure("tail, counting", input, feed_tail, path, false);
	unlink(path);
	return failed;
}

int main(int argc, char **argv)
{
	static const char other[] = "11574@1795228323.395074:vtd_dmar_translate dev 00:04.00 iova 0x2bff000 "
				    "-> gpa 0xf3ff000 mask 0xfff\n";
	size_t target = (argc > 1 ? strtoul(argv[1], NULL, 10) : 200) * 1000000, len = 0;
	scoped(mem) char *sample = sample_load(SAMPLE_IOMMU, &len);
	struct input hot = { 0 }, cold = { 0 };
	int failed = 1;

	if (!sample)
		fprintf(stderr, "bench_qemulog: cannot unpack %s: run from the top directory\n",
			SAMPLE_IOMMU);
	else if (repeat(sample, len, target, &hot) && repeat(other, sizeof(other) - 1, target, &cold))
		failed = measure("sample, counting", &hot, feed_memory, NULL, false) |
			 measure("sample, full decoding", &hot, feed_memory, NULL, true) |
			 measure_tail(&hot) |
			 measure("other event, counting", &cold, feed_memory, NULL, false);
	free(hot.text);
	free(cold.text);
	return failed;
}
