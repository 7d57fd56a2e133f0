// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many translations a CPU second `hsbpf iommu-sim` takes: synthetic tenants in turn and at random, the shipped
 * configurations, 64 to 4096 tenants; medians of three. Usage: bench_iommu_sim [MILLIONS of translations]. Exit code 1
 * below 5 million a second with 64 tenants, or half of that with 4096.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/log.h"
#include "hyper/sim.h"
#include "tests/lib/tenants.h"

#define AIM 5e6
#define RUNS 3

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Translations a CPU second, or 0 after a message. */
static double measure(const struct hs_dmatrace *trace, const char *name, double *link_pct)
{
	struct hs_sim_config config;
	double rates[RUNS];

	if (hs_sim_config_load(name, &config))
		return 0;
	for (int i = 0; i < RUNS; i++) {
		scoped(hs_sim_result) struct hs_sim_result result = { 0 };
		double start = cpu_seconds();

		if (hs_sim_run(trace, &config, &result))
			return 0;
		rates[i] = (double)result.translations / (cpu_seconds() - start);
		*link_pct = result.link_pct;
	}
	qsort(rates, RUNS, sizeof(*rates), compare);
	return rates[RUNS / 2];
}

static bool bench(const char *path, uint32_t tenants, bool random, uint32_t packets)
{
	static const char *const names[] = { "base", "hypertrio" };
	const struct tenants_load load = { .tenants = tenants, .packets = packets, .random = random, .seed = 1 };
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	double aim = tenants <= 64 ? AIM : tenants >= 4096 ? AIM / 2 : 0;
	bool good = true;

	if (tenants_write(path, &load) || hs_dmatrace_open(path, &trace))
		return false;
	for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
		double link_pct = 0, rate = measure(trace, names[i], &link_pct);

		printf("   %5u tenants %-4s %-9s %6.2f M translations/s, link use %6.2f %%%s\n", tenants,
		       random ? "rand" : "rr", names[i], rate / 1e6, link_pct, rate < aim ? "  BELOW THE AIM" : "");
		good &= rate >= aim && rate > 0;
	}
	return good;
}

int main(int argc, char **argv)
{
	static const uint32_t tenants[] = { 64, 1024, 4096 };
	uint32_t packets = (uint32_t)(argc > 1 ? atoi(argv[1]) : 3) * 1000000 / 3;
	char dir[] = "/tmp/hsbpf-bench-sim.XXXXXX";
	scoped(mem) char *path = NULL;
	struct rusage usage;
	bool good = true;

	if (!mkdtemp(dir))
		return 1;
	path = hs_format("%s/trace", dir);
	for (size_t i = 0; i < HS_ARRAY_SIZE(tenants); i++)
		for (int random = 0; random < 2; random++)
			good &= bench(path, tenants[i], random, packets);
	getrusage(RUSAGE_SELF, &usage);
	printf("   at most %ld MiB of memory, the mapped trace included\n", usage.ru_maxrss / 1024);
	hs_remove_tree(dir);
	return !good;
}
