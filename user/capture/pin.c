// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pins. A folder without a lock is a dead recorder's: who makes one locks it at once, and looks whether it is still the
 * one of that name, because a sweeper may have been quicker.
 */
#include "capture/pin.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"

#define SYSTEM_BPFFS "/sys/fs/bpf"
#define OWN_BPFFS "/run/hsbpf/.bpf" /* names with a dot are no labs' */
#define LOCK_TRIES 10

struct hs_pin {
	char *path;
	int lock_fd;
};

static bool is_bpffs(const char *path)
{
	struct statfs status;

	return !statfs(path, &status) && status.f_type == BPF_FS_MAGIC;
}

static int mount_own(void)
{
	int err;

	if (is_bpffs(OWN_BPFFS))
		return 0;
	err = hs_make_dirs(OWN_BPFFS);
	if (err)
		return err;
	return mount("hsbpf", OWN_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") ? -errno : 0;
}

/* malloc'd; NULL with errno set. */
static char *make_root(void)
{
	int err = is_bpffs(SYSTEM_BPFFS) ? 0 : mount_own();
	char *root = err ? NULL : hs_format("%s/hsbpf", is_bpffs(SYSTEM_BPFFS) ? SYSTEM_BPFFS : OWN_BPFFS);

	if (root && mkdir(root, 0700) && errno != EEXIST) {
		err = -errno;
		free(take(root));
	}
	if (!root)
		errno = err ? -err : ENOMEM;
	return root;
}

/* The lock's descriptor; -EWOULDBLOCK when somebody has it, -ESTALE when the folder is not that of the path any more.
 */
static int lock_folder(const char *path)
{
	scoped(fd) int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct stat locked, named;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	if (fstat(fd, &locked) || stat(path, &named) || locked.st_ino != named.st_ino)
		return -ESTALE;
	return take_fd(&fd);
}

static int make_locked(const char *path)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd;

		if (mkdir(path, 0700))
			return -errno;
		fd = lock_folder(path);
		if (fd != -ESTALE && fd != -ENOENT && fd != -EWOULDBLOCK)
			return fd;
	}
	return -EAGAIN;
}

int hs_pin_open(const char *name, struct hs_pin **out)
{
	scoped(mem) char *root = make_root();
	scoped(hs_pin) struct hs_pin *pin = NULL;
	int fd;

	if (!root)
		return -errno;
	pin = calloc(1, sizeof(*pin));
	if (!pin)
		return -ENOMEM;
	pin->lock_fd = -1;
	pin->path = hs_format("%s/%s", root, name);
	if (!pin->path)
		return -ENOMEM;
	fd = make_locked(pin->path);
	if (fd < 0) {
		free(take(pin->path)); /* not ours to remove */
		return fd;
	}
	pin->lock_fd = fd;
	*out = take(pin);
	return 0;
}

int hs_pin_add(const struct hs_pin *pin, const char *map_name, int map_fd)
{
	scoped(mem) char *path = hs_format("%s/%s", pin->path, map_name);

	if (!path)
		return -ENOMEM;
	return bpf_obj_pin(map_fd, path) ? -errno : 0;
}

void hs_pin_free(struct hs_pin *pin)
{
	if (!pin)
		return;
	if (pin->path)
		hs_remove_tree(pin->path);
	if (pin->lock_fd >= 0)
		close(pin->lock_fd);
	free(pin->path);
	free(pin);
}

static int visit_root(const char *root, int (*on_dead)(void *ctx, const char *path), void *ctx)
{
	scoped(dir) DIR *dir = opendir(root);
	struct dirent *entry;
	int first_err = 0;

	while (dir && (entry = readdir(dir))) {
		scoped(mem) char *path = entry->d_name[0] == '.' ? NULL : hs_format("%s/%s", root, entry->d_name);
		scoped(fd) int lock = path ? lock_folder(path) : -1;
		int err;

		if (lock < 0)
			continue;
		err = on_dead(ctx, path);
		if (!err)
			hs_remove_tree(path);
		else if (!first_err)
			first_err = err;
	}
	return first_err;
}

int hs_pins_each_dead(int (*on_dead)(void *ctx, const char *path), void *ctx)
{
	int err = is_bpffs(SYSTEM_BPFFS) ? visit_root(SYSTEM_BPFFS "/hsbpf", on_dead, ctx) : 0;
	int own_err = is_bpffs(OWN_BPFFS) ? visit_root(OWN_BPFFS "/hsbpf", on_dead, ctx) : 0;

	return err ? err : own_err;
}
