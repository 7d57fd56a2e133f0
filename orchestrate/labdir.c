// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lock, the list of processes and the sweep. A process is known by pid and start time, so that a reused
 * pid is never ended.
 */
#include "labdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "crash.h"
#include "net.h"

#define NAME_MAX_LEN 24
#define END_WAIT_MS 5000
#define CRASH_DIR "crash" /* a link */

struct hs_labdir {
	char *name, *path;
	int lock_fd, pids_fd;
};

/* Serialises the taking of names and the sweep: a folder just made must not look like a dead lab's. */
static int lock_root(void)
{
	scoped(fd) int fd = open(HS_LAB_ROOT "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return -errno;
	return take_fd(&fd);
}

int hs_lab_name_check(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
	size_t len = strlen(name);

	if (len >= 1 && len <= NAME_MAX_LEN && strspn(name, allowed) == len && name[0] != '.')
		return 0;
	return hs_fail(-EINVAL, "--lab '%s': a lab's name is 1 to %d letters, digits, '_' or '.'", name, NAME_MAX_LEN);
}

/* The lock's descriptor, -EWOULDBLOCK when a live lab holds it, or another -errno. */
static int try_lock(const char *name)
{
	scoped(mem) char *path = hs_format(HS_LAB_ROOT "/%s/lock", name);
	scoped(fd) int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return take_fd(&fd);
}

/* Kills it if it is still the recorded one, and waits until it is gone (it may hold files of the folder). */
static void end_recorded(pid_t pid, uint64_t start_time)
{
	scoped(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd gone = { .fd = fd, .events = POLLIN };

	if (fd < 0 || hs_proc_start_time(pid) != start_time)
		return;
	if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0)
		poll(&gone, 1, END_WAIT_MS);
}

static void end_recorded_all(const char *name)
{
	scoped(mem) char *path = hs_format(HS_LAB_ROOT "/%s/pids", name);
	scoped(file) FILE *file = path ? fopen(path, "re") : NULL;
	unsigned long long start_time;
	int pid;

	while (file && fscanf(file, "%d %llu", &pid, &start_time) == 2)
		end_recorded(pid, start_time);
}

/* A crash that nobody has seen: the lab was dead before it could save what its guests' kernels left. */
static void keep_crash_dir(const char *name)
{
	scoped(mem) char *link = hs_format(HS_LAB_ROOT "/%s/" CRASH_DIR, name);
	char dir[PATH_MAX];
	ssize_t len = link ? readlink(link, dir, sizeof(dir) - 1) : -1;

	if (len < 0)
		return;
	dir[len] = '\0';
	if (!hs_crash_is_left(dir))
		return;
	hs_crash_link_set(dir);
	hs_info("a guest of the dead lab '%s' had crashed: `hsbpf log last` shows what its kernel left", name);
}

static void remove_remains(const char *name)
{
	scoped(mem) char *path = hs_format(HS_LAB_ROOT "/%s", name);

	end_recorded_all(name);
	keep_crash_dir(name);
	hs_net_sweep(name);
	if (path)
		hs_remove_tree(path);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void hs_labs_sweep(void)
{
	scoped(fd) int root __attribute__((unused)) = lock_root(); /* held, not used */
	struct dirent **names;
	int count = scandir(HS_LAB_ROOT, &names, is_visible, alphasort);

	for (int i = 0; i < count; i++) {
		scoped(fd) int lock = try_lock(names[i]->d_name);

		if (lock >= 0) {
			remove_remains(names[i]->d_name);
			hs_info("removed what a dead lab '%s' had left behind", names[i]->d_name);
		}
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

void hs_labdir_wait_gone(const char *name)
{
	scoped(mem) char *path = hs_format(HS_LAB_ROOT "/%s/lock", name);
	scoped(fd) int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	/* The owner lets go of its lock last of all, when the folder is already removed. */
	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		continue;
}

static pid_t read_owner(const char *name)
{
	scoped(mem) char *path = hs_format(HS_LAB_ROOT "/%s/lock", name);
	scoped(mem) char *text = NULL;

	return path && !hs_read_file(path, 64, &text, NULL) ? (pid_t)strtol(text, NULL, 10) : 0;
}

int hs_labs_each(void (*on_lab)(void *ctx, const char *name, pid_t owner), void *ctx)
{
	struct dirent **names;
	int count = scandir(HS_LAB_ROOT, &names, is_visible, alphasort);

	if (count < 0 && errno != ENOENT)
		return hs_fail(-errno, "cannot look for labs in " HS_LAB_ROOT " (root alone may):");
	for (int i = 0; i < count; i++) {
		scoped(fd) int lock = try_lock(names[i]->d_name);

		if (lock == -EWOULDBLOCK)
			on_lab(ctx, names[i]->d_name, read_owner(names[i]->d_name));
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return 0;
}

static int take_name(struct hs_labdir *labdir)
{
	char owner[32];
	int len = snprintf(owner, sizeof(owner), "%d\n", getpid());
	scoped(mem) char *pids = hs_format("%s/pids", labdir->path);

	labdir->lock_fd = try_lock(labdir->name);
	if (labdir->lock_fd == -EWOULDBLOCK)
		return hs_fail(-EBUSY,
			       "the lab '%s' is up already (owner: process %d); `hsbpf lab down --lab %s` takes "
			       "it down, --lab NAME raises another beside it",
			       labdir->name, read_owner(labdir->name), labdir->name);
	if (labdir->lock_fd < 0)
		return hs_fail(labdir->lock_fd, "cannot lock %s:", labdir->path);
	labdir->pids_fd = pids ? open(pids, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	if (labdir->pids_fd < 0 || ftruncate(labdir->lock_fd, 0) < 0 ||
	    hs_write_all(labdir->lock_fd, owner, (size_t)len))
		return hs_fail(-EIO, "cannot write below %s", labdir->path);
	return 0;
}

int hs_labdir_open(const char *name, struct hs_labdir **out)
{
	scoped(mem) struct hs_labdir *labdir = calloc(1, sizeof(*labdir));
	scoped(fd) int root = -1;
	int err = hs_lab_name_check(name);

	if (!err)
		err = hs_make_dirs(HS_LAB_ROOT);
	if (err)
		return err;
	if (!labdir)
		return -ENOMEM;
	root = lock_root();
	if (root < 0)
		return hs_fail(root, "cannot lock " HS_LAB_ROOT ":");
	labdir->lock_fd = labdir->pids_fd = -1;
	labdir->name = strdup(name);
	labdir->path = hs_format(HS_LAB_ROOT "/%s", name);
	err = labdir->name && labdir->path ? hs_make_dirs(labdir->path) : -ENOMEM;
	if (!err)
		err = take_name(labdir);
	if (err) {
		free(labdir->name);
		free(labdir->path);
		return err;
	}
	*out = take(labdir);
	return 0;
}

void hs_labdir_free(struct hs_labdir *labdir)
{
	if (!labdir)
		return;
	hs_remove_tree(labdir->path);
	if (labdir->pids_fd >= 0)
		close(labdir->pids_fd);
	close(labdir->lock_fd);
	free(labdir->name);
	free(labdir->path);
	free(labdir);
}

void hs_labdir_note_crash_dir(struct hs_labdir *labdir, const char *dir)
{
	scoped(mem) char *link = hs_format("%s/" CRASH_DIR, labdir->path);

	if (!link || symlink(dir, link) < 0)
		hs_warn("cannot note %s below %s", dir, labdir->path);
}

const char *hs_labdir_path(const struct hs_labdir *labdir)
{
	return labdir->path;
}

void hs_labdir_record(struct hs_labdir *labdir, pid_t pid)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%d %llu\n", pid, (unsigned long long)hs_proc_start_time(pid));

	if (hs_write_all(labdir->pids_fd, line, (size_t)len))
		hs_warn("cannot note process %d below %s", pid, labdir->path);
}
