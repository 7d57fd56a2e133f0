// SPDX-License-Identifier: GPL-2.0-only
/*
 * This host's kernel log. A read of /dev/kmsg gives one record; EPIPE says that the next ones were overwritten, and
 * the number of the one after tells how many. Where the log goes on is known by the kernel's boot id.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/io.h"
#include "base/log.h"
#include "journal/kmsg.h"
#include "timeline/sched_clock.h"
#include "journal/source.h"

#define KMSG "/dev/kmsg"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define RECORDS_PER_TURN 4096 /* then others get their turn */
#define SAMPLE_PERIOD_NS 1000000000ull

struct hs_host_log {
	struct hs_journal *journal;
	unsigned stream;
	struct hs_watch watch;
	struct hs_sched_clock *clock; /* the loop's thread's; NULL: perf is forbidden, or not tried yet */
	bool has_tried_clock;
	struct hs_sched_sample sample;
	uint64_t next; /* what is below was written by an earlier process */
	char bytes[HS_KMSG_BYTES_MAX], text[HS_KMSG_BYTES_MAX];
};

static void sample_clock(struct hs_host_log *source)
{
	if (!source->has_tried_clock && hs_sched_clock_open(&source->clock))
		hs_dbg("perf is not to be had: times of the kernel's log are known within a second only");
	source->has_tried_clock = true;
	if (source->sample.after_ns && hs_now_ns() - source->sample.after_ns < SAMPLE_PERIOD_NS)
		return;
	if (!source->clock || hs_sched_clock_sample(source->clock, &source->sample))
		source->sample = hs_sched_clock_guess();
}

static void put(struct hs_host_log *source, size_t len)
{
	struct hs_journal_record record = hs_journal_record_new(NULL, HS_JOURNAL_KERNEL);
	struct hs_kmsg kmsg;

	if (hs_kmsg_parse(source->bytes, len, source->text, &kmsg)) {
		hs_warn("a record of " KMSG " cannot be understood: it is left out");
		return;
	}
	if (kmsg.seq < source->next)
		return;
	record.severity = kmsg.severity;
	record.tid = kmsg.tid;
	record.cpu = kmsg.cpu;
	record.has_seq = record.has_machine_ns = true;
	record.seq = record.last_seq = kmsg.seq;
	record.machine_ns = kmsg.time_us * 1000;
	record.boot_ns = hs_sched_to_boot(&source->sample, record.machine_ns, &record.error_ns);
	record.text = source->text;
	record.len = kmsg.len;
	hs_journal_put(source->journal, source->stream, &record, kmsg.is_continuation);
}

/* Whether there was a record, or a hole. */
static bool read_one(struct hs_host_log *source)
{
	ssize_t got = read(source->watch.fd, source->bytes, sizeof(source->bytes));

	if (got > 0) {
		put(source, (size_t)got);
		return true;
	}
	if (got < 0 && (errno == EPIPE || errno == EINTR))
		return true;
	if (got < 0 && errno != EAGAIN) {
		hs_fail(-errno, "cannot read " KMSG ", which is not followed any more:");
		hs_loop_close(hs_journal_loop(source->journal), &source->watch);
	}
	return false;
}

static void on_records(void *ctx, uint32_t events)
{
	struct hs_host_log *source = ctx;

	(void)events;
	sample_clock(source);
	for (unsigned i = 0; i < RECORDS_PER_TURN && read_one(source); i++)
		;
}

void hs_host_log_drain(struct hs_host_log *source)
{
	sample_clock(source);
	while (source->watch.fd >= 0 && read_one(source))
		;
}

static int begin(struct hs_host_log *source, int fd)
{
	scoped(mem) char *boot_id = NULL;
	int err = hs_read_file(BOOT_ID, 64, &boot_id, NULL);

	if (err)
		return hs_fail(err, "cannot read " BOOT_ID ":");
	boot_id[strcspn(boot_id, "\n")] = '\0';
	err = hs_journal_add_stream(source->journal, "host", HS_JOURNAL_KERNEL);
	if (err < 0)
		return err;
	source->stream = (unsigned)err;
	err = hs_journal_begin_boot(source->journal, source->stream, boot_id, &source->next);
	if (!err && !source->next && hs_journal_config(source->journal)->only_new && lseek(fd, 0, SEEK_END) < 0)
		err = hs_fail(-errno, "cannot go to the end of " KMSG ":");
	return err;
}

int hs_host_log_open(struct hs_journal *journal, struct hs_host_log **out)
{
	scoped(hs_host_log) struct hs_host_log *source = calloc(1, sizeof(*source));
	scoped(fd) int fd = open(KMSG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (!source)
		return -ENOMEM;
	source->journal = journal;
	source->watch = HS_WATCH_NONE;
	if (fd < 0)
		return hs_fail(-errno, "cannot open " KMSG "%s:",
			       errno == EPERM ? " (kernel.dmesg_restrict leaves it to root)" : "");
	err = begin(source, fd);
	if (!err)
		err = hs_loop_add(hs_journal_loop(journal), &source->watch, fd, EPOLLIN, on_records, source);
	if (err)
		return err;
	take_fd(&fd);
	*out = take(source);
	return 0;
}

void hs_host_log_free(struct hs_host_log *source)
{
	if (!source)
		return;
	hs_loop_close(hs_journal_loop(source->journal), &source->watch);
	hs_sched_clock_free(source->clock);
	free(source);
}
