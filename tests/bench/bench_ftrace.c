// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many events a second of a guest's ftrace become CTF, and are read back: synthetic pages of sched_switch,
 * sched_waking and sys_enter_openat with a name, as a busy guest has them, the trace in a folder of /tmp. CPU time of
 * one thread. Usage: bench_ftrace [MILLIONS]. Exit code 1 below a million events a second.
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/scoped.h"
#include "ftrace/ctf.h"
#include "trace/ctf_reader.h"

#define PAGE 4096
#define PAGES 256 /* that a call gives */
#define DATA 16
#define AIM 1e6

#define COMMON                                                                                                         \
	"format:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                                \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"                                 \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

static const struct {
	const char *text;
	uint32_t bytes; /* of the event in the ring */
} formats[] = {
	{ "name: sched_switch\nID: 1\n" COMMON "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
	  "\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n"
	  "\tfield:int prev_prio;\toffset:28;\tsize:4;\tsigned:1;\n"
	  "\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n"
	  "\tfield:char next_comm[16];\toffset:40;\tsize:16;\tsigned:0;\n"
	  "\tfield:pid_t next_pid;\toffset:56;\tsize:4;\tsigned:1;\n"
	  "\tfield:int next_prio;\toffset:60;\tsize:4;\tsigned:1;\n\nprint fmt: \"\"\n",
	  64 },
	{ "name: sched_waking\nID: 2\n" COMMON "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
	  "\tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n"
	  "\tfield:int prio;\toffset:28;\tsize:4;\tsigned:1;\n"
	  "\tfield:int target_cpu;\toffset:32;\tsize:4;\tsigned:1;\n\nprint fmt: \"\"\n",
	  36 },
	{ "name: sys_enter_openat\nID: 3\n" COMMON "\tfield:int dfd;\toffset:8;\tsize:8;\tsigned:0;\n"
	  "\tfield:__data_loc char[] filename;\toffset:16;\tsize:4;\tsigned:0;\n\nprint fmt: \"\"\n",
	  44 },
};

static void put_event(uint8_t *at, uint32_t kind)
{
	static const char name[] = "/usr/lib/libhsbpf.so";
	uint16_t id = (uint16_t)(kind + 1);
	uint32_t head = 100u << 5 | formats[kind].bytes / 4, pid = 4242, loc = 20 | (uint32_t)sizeof(name) << 16;

	memcpy(at, &head, 4);
	memcpy(at + 4, &id, sizeof(id));
	memcpy(at + 8, &pid, sizeof(pid));
	if (kind == 2) {
		memcpy(at + 4 + 16, &loc, sizeof(loc));
		memcpy(at + 4 + 20, name, sizeof(name));
	} else {
		memcpy(at + 4 + 8, "qemu-system-x86", 16);
	}
}

/* Fills a page; how many events it holds. */
static unsigned int fill_page(uint8_t *page)
{
	uint64_t used = 0;
	unsigned int event_nr = 0;

	for (;; event_nr++) {
		uint32_t kind = event_nr % HS_ARRAY_SIZE(formats);

		if (DATA + used + 4 + formats[kind].bytes > PAGE)
			break;
		put_event(page + DATA + used, kind);
		used += 4 + formats[kind].bytes;
	}
	memcpy(page + 8, &used, sizeof(used));
	return event_nr;
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

/* CPU seconds for so many events; below 0: they did not all arrive. */
static double write_events(const char *dir, uint64_t event_nr)
{
	struct hs_ftrace_config config = { .dir = dir, .machine = "l1", .clock = "boot" };
	scoped(hs_ftrace) struct hs_ftrace *ftrace = NULL;
	scoped(mem) uint8_t *pages = calloc(PAGES, PAGE);
	unsigned int per_page = pages ? fill_page(pages) : 0;
	uint64_t ts = 1000000000, given = 0;
	double start;

	if (!per_page || hs_ftrace_open(&config, &ftrace))
		return -1;
	for (size_t i = 0; i < HS_ARRAY_SIZE(formats); i++)
		if (hs_ftrace_add_format(ftrace, "bench", formats[i].text, strlen(formats[i].text)))
			return -1;
	start = cpu_seconds();
	for (; given < event_nr; given += (uint64_t)per_page * PAGES) {
		for (unsigned int i = 0; i < PAGES; i++) {
			memcpy(pages + i * PAGE + 8, pages + 8, PAGE - 8);
			memcpy(pages + i * PAGE, &ts, sizeof(ts));
			ts += 10000;
		}
		if (hs_ftrace_add_pages(ftrace, 0, pages, PAGES * PAGE))
			return -1;
	}
	if (hs_ftrace_counts(ftrace)->recorded != given)
		return -1;
	return (cpu_seconds() - start) * (double)event_nr / (double)given;
}

static double read_events(const char *dir, uint64_t event_nr)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	double start = cpu_seconds();
	uint64_t got = 0;

	if (hs_ctf_reader_open_all(dir, &reader))
		return -1;
	while (hs_ctf_reader_next(reader, &record) > 0)
		got++;
	return got < event_nr ? -1 : (cpu_seconds() - start) * (double)event_nr / (double)got;
}

int main(int argc, char **argv)
{
	uint64_t event_nr = 1000000 * (argc > 1 ? strtoull(argv[1], NULL, 10) : 4);
	char folder[] = "/tmp/hsbpf-bench-ftrace-XXXXXX", dir[64];
	double written, read;

	if (!event_nr || !mkdtemp(folder))
		return 1;
	snprintf(dir, sizeof(dir), "%s/l1", folder);
	written = write_events(dir, event_nr);
	read = read_events(dir, event_nr);
	nftw(folder, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	if (written <= 0 || read <= 0)
		return 1;
	printf("   pages to CTF: %.1f M events/s, %.0f ns each; read back: %.1f M events/s\n",
	       (double)event_nr / written / 1e6, written / (double)event_nr * 1e9, (double)event_nr / read / 1e6);
	return (double)event_nr / written < AIM || (double)event_nr / read < AIM;
}
