// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many records a second `hsbpf report` takes: a synthetic trace of 100 VMs with 4 vCPUs each on 8 CPUs, exits and
 * entries and every eighth time also a stay in user space; each kind of report once. One thread, the file in memory.
 * Usage: bench_report [MILLIONS]. Exit code 1 below a million records a second.
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "analysis/replay.h"
#include "trace/ctf_writer.h"

#define VMS 100
#define VCPUS 4
#define CPUS 8
#define PACKET_RECORDS 4000
#define AIM 1e6

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The next records of a CPU: its vCPUs take turns. How many were added. */
static unsigned int add_round(struct hs_ctf_writer *writer, uint32_t cpu, uint64_t round, uint64_t *now_ns)
{
	uint32_t number = (uint32_t)(round * CPUS + cpu) % (VMS * VCPUS), vcpu = number % VCPUS;
	uint32_t tgid = 1000 + number / VCPUS * 10, tid = tgid + 1 + vcpu;
	struct hs_event_kvm_exit exit = { .header = { .id = HS_EVENT_kvm_exit, .tid = tid },
					  .isa = 2,
					  .tgid = tgid,
					  .vcpu_id = vcpu,
					  .exit_reason = 0x60 + (uint32_t)(round * 7 % 29) };
	struct hs_event_kvm_userspace_exit user = { .header = { .id = HS_EVENT_kvm_userspace_exit, .tid = tid },
						    .reason = 2,
						    .tgid = tgid };
	struct hs_event_kvm_entry entry = { .header = { .id = HS_EVENT_kvm_entry, .tid = tid },
					    .vcpu_id = vcpu,
					    .tgid = tgid };

	exit.header.ts = *now_ns += 700 + round % 300;
	hs_ctf_writer_add(writer, &exit, sizeof(exit));
	if (round % 8 == 0) {
		user.header.ts = *now_ns += 400;
		hs_ctf_writer_add(writer, &user, sizeof(user));
	}
	entry.header.ts = *now_ns += 600 + round % 5000;
	hs_ctf_writer_add(writer, &entry, sizeof(entry));
	return 2 + (round % 8 == 0);
}

static uint64_t write_trace(const char *dir, uint64_t wanted)
{
	struct hs_ctf_writer_config config = { .dir = dir, .machine = "host" };
	uint64_t now_ns[CPUS] = { 0 }, rounds[CPUS] = { 0 }, written = 0;
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;

	if (hs_ctf_writer_open(&config, &writer))
		return 0;
	for (uint32_t cpu = 0; written < wanted; cpu = (cpu + 1) % CPUS) {
		if (hs_ctf_writer_begin(writer, cpu))
			return 0;
		for (unsigned int count = 0; count < PACKET_RECORDS;) {
			unsigned int added;

			if (!now_ns[cpu])
				now_ns[cpu] = 1000000000;
			added = add_round(writer, cpu, rounds[cpu]++, &now_ns[cpu]);
			count += added;
			written += added;
		}
		hs_ctf_writer_end(writer, 0);
	}
	return written;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

/* 0, or 1 when it is slower than the aim. */
static int measure(const char *trace, const char *kind, uint64_t records)
{
	struct hs_replay_config config = { .kind = kind, .trace = trace, .sort = "time_ns", .format = HS_REPORT_JSON };
	FILE *out = fopen("/dev/null", "w");
	double start = seconds(), rate;

	if (!out || hs_replay(&config, out))
		return 1;
	rate = (double)records / (seconds() - start);
	fclose(out);
	printf("   report %-8s %6.2f M records/s (aim: 1)\n", kind, rate / 1e6);
	return rate < AIM;
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = { "vm_exit", "irq", "cpu" };
	uint64_t wanted = (argc > 1 ? strtoull(argv[1], NULL, 10) : 4) * 1000000, records;
	char dir[] = "/tmp/hsbpf-bench-report-XXXXXX", trace[64];
	struct rusage usage;
	int slow = 0;

	if (!mkdtemp(dir))
		return 1;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	records = write_trace(trace, wanted);
	for (size_t i = 0; records && i < sizeof(kinds) / sizeof(*kinds); i++)
		slow |= measure(trace, kinds[i], records);
	getrusage(RUSAGE_SELF, &usage);
	printf("   %" PRIu64 " records of %d VMs with %d vCPUs each; %ld MiB of memory at most\n", records, VMS, VCPUS,
	       usage.ru_maxrss / 1024);
	nftw(dir, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	return !records || slow;
}
