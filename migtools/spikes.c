// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delays as mig_mon has them, but for three things: a spike is two intervals and not two of the first delay, which may
 * itself be one; the log's first line has the delay 0 and not 2^64 - 1; what is late does not hide what comes after it.
 */
#include "migtools/spikes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scoped.h"

#define NS_PER_MS 1000000u

/* Nobody else's file is emptied. */
static int open_log(const char *path, int flags, FILE **out)
{
	scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | flags, 0600);
	FILE *file;

	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file)
		return -errno;
	take_fd(&fd);
	setvbuf(file, NULL, _IOLBF, 0);
	*out = file;
	return 0;
}

static void log_delay(struct hs_spikes *spikes, uint64_t delay_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (spikes->log)
		fprintf(spikes->log, "%lld,%" PRIu64 "\n", (long long)now.tv_sec, delay_ns / NS_PER_MS);
}

int hs_spikes_start(struct hs_spikes *spikes, const char *path, uint64_t throttle_ns, struct hs_progress *progress)
{
	int err;

	*spikes = (struct hs_spikes){ .progress = progress, .throttle_ns = throttle_ns };
	err = open_log(path ? path : HS_SPIKES_LOG, path ? 0 : O_NOFOLLOW, &spikes->log);
	if (err && path)
		return hs_fail(err, "cannot write the spike log %s:", path);
	if (err)
		hs_warn("no spike log: cannot write " HS_SPIKES_LOG ": %s", strerror(-err));
	return 0;
}

int hs_spikes_close(struct hs_spikes *spikes, const char *path)
{
	FILE *log = take(spikes->log);
	bool is_whole = !log || (!fflush(log) && !ferror(log));

	hs_file_close(log);
	return is_whole || !path ? 0 : hs_fail(-EIO, "the spike log %s could not be written to its end", path);
}

void hs_spikes_clear(struct hs_spikes *spikes)
{
	hs_file_close(take(spikes->log));
}

static void say_first_delay(struct hs_spikes *spikes, uint64_t delay_ns)
{
	hs_progress_note(spikes->progress, "1st and 2nd packet latency: %" PRIu64 " (ms)", delay_ns / NS_PER_MS);
	hs_progress_note(spikes->progress, "Setting spike throttle to: %" PRIu64 " (ms)",
			 spikes->throttle_ns / NS_PER_MS);
	hs_progress_note(spikes->progress, "Updating spike log initial timestamp");
	log_delay(spikes, 0);
}

void hs_spikes_arrival(struct hs_spikes *spikes, uint64_t arrival_ns)
{
	uint64_t delay_ns = arrival_ns > spikes->last_ns ? arrival_ns - spikes->last_ns : 0;

	spikes->received++;
	if (arrival_ns > spikes->last_ns)
		spikes->last_ns = arrival_ns;
	if (spikes->received == 1)
		return;
	if (spikes->received == 2)
		say_first_delay(spikes, delay_ns);
	spikes->cur_ns = delay_ns;
	if (delay_ns > spikes->max_ns)
		spikes->max_ns = delay_ns;
	if (delay_ns < spikes->throttle_ns)
		return;
	log_delay(spikes, delay_ns);
	spikes->spikes++;
	spikes->logged_ns = arrival_ns;
}

void hs_spikes_outage(struct hs_spikes *spikes, uint64_t start_ns, uint64_t end_ns)
{
	if (start_ns < spikes->logged_ns || end_ns - start_ns < spikes->throttle_ns)
		return;
	log_delay(spikes, end_ns - start_ns);
	spikes->spikes++;
	spikes->logged_ns = end_ns;
}

void hs_spikes_show(struct hs_spikes *spikes, uint64_t now_ns)
{
	uint64_t since_ns = now_ns > spikes->last_ns ? now_ns - spikes->last_ns : 0;
	/* A delay that is a spike already shows before it is over. */
	uint64_t cur_ns = since_ns < spikes->throttle_ns ? spikes->cur_ns : since_ns;
	uint64_t max_ns = cur_ns > spikes->max_ns ? cur_ns : spikes->max_ns;

	if (spikes->received > 1)
		hs_progress_line(spikes->progress, now_ns, "max_delay: %" PRIu64 " (ms), cur: %" PRIu64 " (ms)",
				 max_ns / NS_PER_MS, cur_ns / NS_PER_MS);
}
