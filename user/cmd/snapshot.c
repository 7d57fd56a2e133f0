// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf snapshot [DIR]`: asks a flight recorder to write what its rings hold, and waits until that is on the disk. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/proc.h"
#include "cmd.h"
#include "record/recorder.h"

#define PATIENCE_NS 30000000000ull

static const struct hs_opt options[] = {
	HS_OPT_END,
};

/* The recorder's process, from its document. 0 when it is not a flight that runs (said). */
static pid_t find_recorder(const char *dir, const char *path, uint64_t *snapshot_nr)
{
	scoped(json) json_object *document = NULL;
	pid_t pid;

	if (hs_json_read_file(path, &document))
		return 0;
	pid = (pid_t)hs_json_get_u64(document, "pid");
	if (!hs_json_get_bool(document, "flight")) {
		hs_err("%s is not a flight: it has everything already", dir);
		return 0;
	}
	if (pid <= 1 || !hs_proc_start_time(pid) ||
	    hs_proc_start_time(pid) != hs_json_get_u64(document, "pid_started")) {
		hs_err("the recorder of %s does not run any more", dir);
		return 0;
	}
	*snapshot_nr = hs_json_get_u64(document, "snapshots");
	return pid;
}

/* Until the document tells of one more. */
static int wait_for_snapshot(int inotify, const char *path, pid_t pid, uint64_t before, uint64_t *number)
{
	uint64_t deadline_ns = hs_now_ns() + PATIENCE_NS;
	char events[4096];

	while (hs_now_ns() < deadline_ns) {
		struct pollfd fd = { .fd = inotify, .events = POLLIN };
		scoped(json) json_object *document = NULL;

		if (!hs_json_read_file(path, &document)) {
			*number = hs_json_get_u64(document, "snapshots");
			if (*number > before)
				return 0;
		}
		if (!hs_proc_start_time(pid))
			return hs_fail(-ESRCH, "the recorder ended without a snapshot");
		if (poll(&fd, 1, 1000) > 0 && read(inotify, events, sizeof(events)) < 0)
			return -errno;
	}
	return hs_fail(-ETIMEDOUT, "the recorder (process %d) wrote no snapshot within 30 s", pid);
}

static int run(void *config, int argc, char **argv)
{
	const char *dir = argc ? argv[0] : "hsbpf-record";
	scoped(mem) char *path = hs_format("%s/record.json", dir);
	scoped(fd) int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	uint64_t before = 0, number = 0;
	pid_t pid;
	int err;

	(void)config;
	if (argc > 1) {
		hs_err("snapshot takes one recording's folder");
		return HS_EXIT_USAGE;
	}
	pid = path ? find_recorder(dir, path, &before) : 0;
	if (!pid)
		return HS_EXIT_FAILURE;
	if (inotify < 0 || inotify_add_watch(inotify, dir, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
		return hs_fail(-errno, "cannot watch %s:", dir);
	if (kill(pid, SIGUSR1))
		return hs_fail(-errno, "cannot reach the recorder (process %d):", pid);
	err = wait_for_snapshot(inotify, path, pid, before, &number);
	if (!err)
		printf("%s/snapshot-%" PRIu64 "\n", dir, number);
	return err;
}

const struct hs_verb cmd_snapshot = {
	.name = "snapshot",
	.synopsis = "[DIR]",
	.help = "let a flight (record --flight) write what it holds now",
	.text = "DIR is the recording's folder, hsbpf-record unless given. Prints the snapshot's folder, which print, "
		"report and "
		"babeltrace2 read like any recording.",
	.options = options,

	.run = run,
};
