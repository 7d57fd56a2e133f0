// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast one core takes the logs of two machines from bytes of /dev/kmsg to rotated files: parsed, merged by time
 * with clocks 3 ms apart, printed, written, rotated. Prints records/s, best and median of five passes, and what memory
 * it took at most. Pinned to one CPU. An argument changes the number of records, 1 million.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/io.h"
#include "base/log.h"
#include "journal/journal.h"
#include "journal/kmsg.h"

#define PASSES 5
#define BATCH 256 /* records between two turns of the loop, as a source takes them */
#define SKEW_NS 3000000

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* One record of 90 bytes of text, as a kernel gives them; a hole every 10 000. */
static void put(struct hs_journal *journal, unsigned stream, uint64_t number)
{
	struct hs_journal_record record = hs_journal_record_new(NULL, HS_JOURNAL_KERNEL);
	char bytes[400], text[400];
	struct hs_kmsg kmsg;
	int len = snprintf(bytes, sizeof(bytes),
			   "6,%" PRIu64 ",%" PRIu64 ",-,caller=T%d;e1000e 0000:00:04.0 eth%d: NIC Link is Up 1000 Mbps "
			   "Full Duplex, Flow Control: Rx/Tx, record %" PRIu64
			   "\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:04.0\n",
			   number + number / 10000, hs_now_ns() / 1000, (int)(number % 5000), stream, number);

	if (hs_kmsg_parse(bytes, (size_t)len, text, &kmsg))
		return;
	record.severity = kmsg.severity;
	record.tid = kmsg.tid;
	record.has_seq = record.has_machine_ns = true;
	record.seq = record.last_seq = kmsg.seq;
	record.machine_ns = kmsg.time_us * 1000;
	record.boot_ns = record.machine_ns - stream * SKEW_NS;
	record.error_ns = 1000;
	record.text = text;
	record.len = kmsg.len;
	hs_journal_put(journal, stream, &record, kmsg.is_continuation);
}

/* CPU time of one pass in ns; 0: something was lost. */
static uint64_t pass(const char *dir, uint64_t records, bool json)
{
	struct hs_journal_config config = { .dir = dir,
					    .json = json,
					    .max_bytes = 1 << 20,
					    .max_files = 4,
					    .window_ns = HS_MERGE_WINDOW_NS,
					    .level = 7 };
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;
	struct hs_journal_counts counts;
	uint64_t begin_ns = cpu_ns();

	if (hs_loop_open(&loop) || hs_journal_open(loop, &config, &journal) ||
	    hs_journal_add_stream(journal, "host", HS_JOURNAL_KERNEL) != 0 ||
	    hs_journal_add_stream(journal, "l1", HS_JOURNAL_KERNEL) != 1)
		return 0;
	for (uint64_t i = 0; i < records; i++) {
		put(journal, i & 1, i / 2);
		if (i % BATCH == BATCH - 1)
			hs_loop_step(loop, 0);
	}
	hs_journal_finish(journal);
	hs_journal_counts(journal, &counts);
	if (counts.merge.records != records || counts.merge.late || counts.files.lost_lines ||
	    counts.merge.missing != 2 * ((records / 2 - 1) / 10000))
		return 0;
	return cpu_ns() - begin_ns;
}

static int compare(const void *a, const void *b)
{
	return *(const uint64_t *)a < *(const uint64_t *)b ? -1 : 1;
}

static int measure(uint64_t records, bool json)
{
	char dir[] = "/tmp/bench_log.XXXXXX";
	uint64_t took[PASSES];
	struct rusage usage;

	if (!mkdtemp(dir))
		return 1;
	for (int i = 0; i < PASSES; i++) {
		took[i] = pass(dir, records, json);
		hs_remove_tree(dir);
		if (!took[i]) {
			fprintf(stderr, "bench_log: records were lost, late or not told as missing\n");
			return 1;
		}
	}
	qsort(took, PASSES, sizeof(took[0]), compare);
	getrusage(RUSAGE_SELF, &usage);
	printf("%-6s best %7.0f records/s  median %7.0f records/s  memory at most %ld MiB\n", json ? "JSON" : "text",
	       (double)records * 1e9 / (double)took[0], (double)records * 1e9 / (double)took[PASSES / 2],
	       usage.ru_maxrss >> 10);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	hs_log_set_level(HS_LOG_ERR);
	return measure(records, false) | measure(records, true);
}
