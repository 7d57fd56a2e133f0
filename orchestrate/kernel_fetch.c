// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks apt which kernel is Debian's current one, downloads its package and unpacks it in a folder of its
 * own beside the place where it belongs; the last step is a rename, so that an interrupted run leaves only a
 * folder that the next one removes. A lock on a file in kernels_dir keeps several processes apart.
 */
#include "kernel_fetch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/scoped.h"
#include "modules.h"
#include "vmlinux_image.h"

#define META_PACKAGE "linux-image-amd64"
#define PACKAGE_PREFIX "linux-image-"
#define TEMP_PREFIX ".new-"
#define OUTPUT_MAX_BYTES (1u << 20)
#define NR_ATTEMPTS 2

extern char **environ;

/* What a program that was run left behind. */
struct output {
	char *text; /* its stdout */
	char *why; /* how it failed, with the line of stderr that says most */
};

static void output_release(struct output output)
{
	free(output.text);
	free(output.why);
}

HS_SCOPED(output, struct output, output_release)

/* ---- running programs -------------------------------------------------------------------------- */

static char *memory_file_read(int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	size_t room = len < 0 ? 0 : len > (off_t)OUTPUT_MAX_BYTES ? OUTPUT_MAX_BYTES : (size_t)len;
	char *text = calloc(1, room + 1);

	if (text && room > 0 && pread(fd, text, room, 0) < 0)
		text[0] = 0;
	return text;
}

/*
 * apt's last "E: " line or, since dpkg-deb ends with something vaguer, one about a full disk; else the last
 * line that is not empty. Points into `text`, which it cuts.
 */
static const char *telling_line(char *text)
{
	const char *last = "no message";
	bool is_cause = false;
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		bool says_cause = strncmp(line, "E: ", 3) == 0 || strstr(line, "No space left on device");

		if (line[strspn(line, " \t\r")] == 0 || (is_cause && !says_cause))
			continue;
		last = line;
		is_cause = says_cause;
	}
	return last;
}

/* Above stdin, stdout and stderr: where a child has the lock. */
#define CHILD_LOCK_FD 3

static int spawn(const char *const *argv, const char *dir, int lock, const int output_fds[2], pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err;

	/* The caller may block or ignore signals that should end a child. */
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output_fds[0], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output_fds[1], STDERR_FILENO);
	if (lock >= 0)
		posix_spawn_file_actions_adddup2(&actions, lock, CHILD_LOCK_FD);
	if (dir)
		posix_spawn_file_actions_addchdir_np(&actions, dir);
	err = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -err;
}

/*
 * Runs `env LC_ALL=C argv...` in `dir` to its end: env turns "not installed" into a message, and the texts
 * stay the same in every language. -ECHILD when it fails; out->why says how. Silent. The program
 * holds `lock` (-1: none) too: should we be killed, nobody cleans up under a program that still writes.
 */
static int program_run(const char *const *argv, const char *dir, int lock, struct output *out)
{
	scoped(fd) int out_fd = memfd_create("stdout", MFD_CLOEXEC);
	scoped(fd) int err_fd = memfd_create("stderr", MFD_CLOEXEC);
	const char *full[16] = { "env", "LC_ALL=C" };
	scoped(mem) char *words = NULL;
	int status, err;
	pid_t pid;

	for (size_t i = 0; argv[i] && i + 3 < HS_ARRAY_SIZE(full); i++)
		full[i + 2] = argv[i];
	output_release(*out);
	*out = (struct output){ 0 };
	err = out_fd < 0 || err_fd < 0 ? -errno : spawn(full, dir, lock, (int[]){ out_fd, err_fd }, &pid);
	if (err)
		return asprintf(&out->why, "cannot start %s: %s", argv[0], strerror(-err)) < 0 ? -ENOMEM :
												 -ECHILD;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	out->text = memory_file_read(out_fd);
	words = memory_file_read(err_fd);
	if (!out->text || !words)
		return -ENOMEM;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		err = asprintf(&out->why, "%s was ended by signal %d", argv[0], WTERMSIG(status));
	else
		err = asprintf(&out->why, "%s", telling_line(words));
	return err < 0 ? -ENOMEM : -ECHILD;
}

static const char *output_why(const struct output *output)
{
	return output->why ?: "out of memory";
}

/* ---- folders ----------------------------------------------------------------------------------- */

int hs_kernel_folder_make(const char *path)
{
	scoped(mem) char *part = strdup(path);

	if (!part)
		return hs_fail(-ENOMEM, "cannot make the folder %s:", path);
	for (char *slash = part; slash;) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = 0;
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return hs_fail(-errno,
				       "cannot make the folder %s (%s): set HSBPF_CACHE to a folder that can "
				       "be written",
				       path, strerror(errno));
		if (slash)
			*slash = '/';
	}
	return 0;
}

static int visit_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int tree_remove(const char *path)
{
	if (nftw(path, visit_remove, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
		return hs_fail(-errno, "cannot remove %s:", path);
	return 0;
}

static void temp_tree_remove(char *path)
{
	if (path)
		tree_remove(path);
	free(path);
}

/* Owned path of a folder that is removed unless it is taken. */
HS_SCOPED(temp_tree, char *, temp_tree_remove)

/* What runs that were interrupted left. Called with the lock held, so nobody is using them. */
static int leftovers_remove(const char *kernels_dir)
{
	scoped(dir) DIR *dir = opendir(kernels_dir);
	struct dirent *item;
	int err = 0;

	while (!err && dir && (item = readdir(dir))) {
		scoped(mem) char *path = NULL;

		if (strncmp(item->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) != 0)
			continue;
		if (asprintf(&path, "%s/%s", kernels_dir, item->d_name) < 0)
			return hs_fail(-ENOMEM, "cannot clean %s:", kernels_dir);
		err = tree_remove(path);
	}
	return err;
}

static int lock_take(const char *kernels_dir, int *out_fd)
{
	scoped(mem) char *path = NULL;
	scoped(fd) int fd = -1;

	if (asprintf(&path, "%s/lock", kernels_dir) < 0)
		return hs_fail(-ENOMEM, "cannot lock %s:", kernels_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return hs_fail(-errno, "cannot lock %s (%s): set HSBPF_CACHE to a folder that can be written",
			       path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			hs_info("waiting for another hsbpf that is fetching a kernel");
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return hs_fail(-errno, "cannot lock %s:", path);
	}
	*out_fd = take_fd(&fd);
	return 0;
}

char *hs_kernel_modules_dir(const char *root, const char *release)
{
	static const char *const below[] = { "", "/usr" };

	for (size_t i = 0; i < HS_ARRAY_SIZE(below); i++) {
		scoped(mem) char *path = NULL;
		char *dir;

		if (asprintf(&path, "%s%s/lib/modules/%s", root, below[i], release) < 0)
			return NULL;
		if (access(path, F_OK) == 0)
			return asprintf(&dir, "%s%s", root, below[i]) < 0 ? NULL : dir;
	}
	return NULL;
}

static int depmod_run(const char *modules_dir, const char *release, int lock)
{
	const char *const argv[] = { "depmod", "-b", modules_dir, release, NULL };
	scoped(output) struct output output = { 0 };
	int err = program_run(argv, NULL, lock, &output);

	if (err)
		return hs_fail(
			err,
			"depmod failed for the modules in %s/lib/modules/%s (%s): install kmod, or run "
			"depmod -b there by hand",
			modules_dir, release, output_why(&output));
	return 0;
}

int hs_kernel_depmod(const char *modules_dir, const char *release)
{
	return depmod_run(modules_dir, release, -1);
}

/* ---- the package ------------------------------------------------------------------------------- */

/* Debian's package names and kernel releases: nothing that a path or an option could be made of. */
static bool is_package_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("+-.", name[i]))
			return false;
	return len > strlen(PACKAGE_PREFIX) && strncmp(name, PACKAGE_PREFIX, strlen(PACKAGE_PREFIX)) == 0 &&
	       name[strlen(PACKAGE_PREFIX)] != '.';
}

/* "  Depends: linux-image-6.1.0-56-amd64" out of apt-cache's answer. */
static int package_resolve(int lock, struct output *output, char **package)
{
	static const char depends[] = "Depends: ";
	const char *const argv[] = { "apt-cache", "depends", META_PACKAGE, NULL };
	int err = program_run(argv, NULL, lock, output);

	if (err)
		return err;
	for (const char *at = output->text; (at = strstr(at, depends));) {
		size_t len;

		at += strlen(depends);
		len = strcspn(at, " \n");
		if (!is_package_name(at, len))
			continue;
		*package = strndup(at, len);
		return *package ? 0 : -ENOMEM;
	}
	output->why = strdup("apt knows no package " META_PACKAGE " that depends on a kernel");
	return -ENOENT;
}

static int package_download(const char *package, const char *dir, int lock, struct output *output)
{
	/* apt's own user cannot write to our folder, and a dead mirror should not hold us for minutes. */
	const char *const argv[] = {
		"apt-get",  "-q",    "-o", "APT::Sandbox::User=root", "-o", "Acquire::http::Timeout=20",
		"download", package, NULL
	};

	return program_run(argv, dir, lock, output);
}

static int deb_find(const char *dir_path, char **deb)
{
	scoped(dir) DIR *dir = opendir(dir_path);
	struct dirent *item;

	while (dir && (item = readdir(dir))) {
		size_t len = strlen(item->d_name);

		if (len > 4 && strcmp(item->d_name + len - 4, ".deb") == 0)
			return asprintf(deb, "%s/%s", dir_path, item->d_name) < 0 ? -ENOMEM : 0;
	}
	return -ENOENT;
}

static int package_unpack(const char *package, const char *dir, int lock)
{
	scoped(output) struct output output = { 0 };
	scoped(mem) char *deb = NULL;
	int err = deb_find(dir, &deb);

	if (err)
		return hs_fail(err, "apt-get download %s left no package in %s: give a kernel with --kernel",
			       package, dir);
	err = program_run((const char *const[]){ "dpkg-deb", "-x", deb, dir, NULL }, NULL, lock, &output);
	if (err)
		return hs_fail(err, "cannot unpack %s (%s): make room there, or give a kernel with --kernel",
			       deb, output_why(&output));
	if (unlink(deb) < 0)
		return hs_fail(-errno, "cannot remove %s:", deb);
	return 0;
}

/* depmod's files and the image, in the unpacked package. */
static int tree_finish(const char *dir, const char *package, const char *release, int lock)
{
	scoped(mem) char *modules_dir = hs_kernel_modules_dir(dir, release);
	scoped(mem) char *bzimage = NULL;
	scoped(mem) char *image = NULL;
	int err;

	if (asprintf(&bzimage, "%s/boot/vmlinuz-%s", dir, release) < 0 ||
	    asprintf(&image, "%s/boot/vmlinux-%s", dir, release) < 0)
		return hs_fail(-ENOMEM, "cannot unpack %s:", package);
	if (!modules_dir || access(bzimage, R_OK) < 0)
		return hs_fail(-ENOENT,
			       "the package %s holds no kernel %s with modules: give a kernel with --kernel",
			       package, release);
	err = depmod_run(modules_dir, release, lock);
	if (!err)
		err = hs_vmlinux_image_write(bzimage, image);
	return err == -ENOTSUP ? 0 : err;
}

static int tree_name(char **temp, const char *path)
{
	scoped(fd) int fd = open(*temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* On disk before it has its name: after a power cut, too, it is whole or not there. */
	if (fd < 0 || fchmod(fd, 0755) < 0 || syncfs(fd) < 0 || rename(*temp, path) < 0)
		return hs_fail(-errno, "cannot put the kernel at %s:", path);
	free(take(*temp));
	return 0;
}

/*
 * 1: the cache has this kernel, 0: it does not, or had a damaged one, which is removed.
 * -ENOENT: it has, but without a module that is needed, and fetching it again would not help.
 */
static int cached_check(const char *path, const char *release, const char *const *needed)
{
	scoped(mem) char *modules_dir = hs_kernel_modules_dir(path, release);
	char why[HS_MODULES_WHY_BYTES] = "";
	int err;

	if (access(path, F_OK) < 0)
		return 0;
	err = modules_dir ? hs_modules_check(modules_dir, release, needed, why) : -EBADMSG;
	if (!err)
		return 1;
	if (err == -ENOENT)
		return hs_fail(err, "%s", why);
	return tree_remove(path);
}

/* Downloads `package` into a folder of its own. With *temp set the caller owns that folder. */
static int package_get(const char *kernels_dir, const char *package, int lock, struct output *output,
		       char **temp)
{
	scoped(temp_tree) char *dir = NULL;
	int err;

	if (asprintf(&dir, "%s/" TEMP_PREFIX "XXXXXX", kernels_dir) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(dir)) {
		err = -errno;
		output_release(*output);
		*output = (struct output){ .why = strdup(strerror(-err)) };
		free(take(dir));
		return err;
	}
	hs_info("fetching Debian's %s (70 MB, once) into %s", package, kernels_dir);
	err = package_download(package, dir, lock, output);
	if (!err)
		*temp = take(dir);
	return err;
}

/*
 * Resolves and downloads; on any failure renews apt's lists once and tries again: empty lists know no
 * package, old ones know one that the mirror has no more. Sets *release alone when the cache has it.
 */
static int package_obtain(const char *kernels_dir, const char *const *needed, int lock, char **release,
			  char **temp)
{
	const char *const update[] = { "apt-get", "-q", "-o", "Acquire::http::Timeout=20", "update", NULL };
	scoped(output) struct output output = { 0 };
	const char *step = "";
	int err = 0;

	for (int attempt = 0; attempt < NR_ATTEMPTS; attempt++) {
		scoped(output) struct output ignored = { 0 };
		scoped(mem) char *package = NULL;
		scoped(mem) char *path = NULL;

		if (attempt > 0) {
			hs_info("that failed (%s): renewing apt's package lists", output_why(&output));
			program_run(update, NULL, lock, &ignored);
		}
		step = "apt-cache depends " META_PACKAGE;
		err = package_resolve(lock, &output, &package);
		if (err)
			continue;
		if (asprintf(&path, "%s/%s", kernels_dir, package + strlen(PACKAGE_PREFIX)) < 0)
			return hs_fail(-ENOMEM, "cannot fetch a guest kernel:");
		err = cached_check(path, package + strlen(PACKAGE_PREFIX), needed);
		if (err < 0)
			return err;
		step = "apt-get download of Debian's kernel";
		if (err == 0)
			err = package_get(kernels_dir, package, lock, &output, temp);
		if (err < 0)
			continue;
		*release = strdup(package + strlen(PACKAGE_PREFIX));
		return *release ? 0 : hs_fail(-ENOMEM, "cannot fetch a guest kernel:");
	}
	return hs_fail(-ENOENT,
		       "cannot fetch a guest kernel: %s failed (%s): check the network and apt's sources, or "
		       "give a kernel with --kernel",
		       step, output_why(&output));
}

int hs_kernel_fetch(const char *kernels_dir, const char *const *needed, char **release)
{
	scoped(fd) int lock = -1;
	scoped(mem) char *found = NULL;
	scoped(temp_tree) char *temp = NULL;
	scoped(mem) char *package = NULL;
	scoped(mem) char *path = NULL;
	int err = hs_kernel_folder_make(kernels_dir);

	if (!err)
		err = lock_take(kernels_dir, &lock);
	if (!err)
		err = leftovers_remove(kernels_dir);
	if (!err)
		err = package_obtain(kernels_dir, needed, lock, &found, &temp);
	if (!err && temp) {
		if (asprintf(&package, PACKAGE_PREFIX "%s", found) < 0 ||
		    asprintf(&path, "%s/%s", kernels_dir, found) < 0)
			return hs_fail(-ENOMEM, "cannot fetch a guest kernel:");
		err = package_unpack(package, temp, lock);
		if (!err)
			err = tree_finish(temp, package, found, lock);
		if (!err)
			err = tree_name(&temp, path);
	}
	if (err)
		return err;
	*release = take(found);
	return 0;
}
