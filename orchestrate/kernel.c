// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chooses the guests' kernel: --kernel, the cache, the host's, Debian's package, in this order. The cache
 * holds kernels/<release> (kernel_fetch.c) and images/ with what was made of kernels that lie elsewhere.
 */
#include "kernel.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "kernel_fetch.h"
#include "modules.h"
#include "vmlinux_image.h"

#define DEFAULT_CACHE_DIR "/var/cache/hsbpf"
#define VMLINUZ_PREFIX "vmlinuz-"

static const char *const nothing_needed[] = { NULL };

struct search {
	const struct hs_guest_kernel_config *config;
	const char *cache_dir;
	const char *host_root;
	const char *const *needed;
};

/* ---- the pieces of an answer ------------------------------------------------------------------- */

/* Absolute paths of what is there. `image` NULL: the bzImage. Takes nothing over. */
static int kernel_new(const char *release, const char *image, const char *bzimage, const char *modules_dir,
		      struct hs_guest_kernel **out)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return hs_fail(-ENOMEM, "cannot use kernel %s:", release);
	kernel->release = strdup(release);
	kernel->image = realpath(image ?: bzimage, NULL);
	kernel->bzimage = realpath(bzimage, NULL);
	kernel->modules_dir = realpath(modules_dir[0] ? modules_dir : "/", NULL);
	if (!kernel->release || !kernel->image || !kernel->bzimage || !kernel->modules_dir)
		return hs_fail(-errno, "cannot use kernel %s from %s:", release, bzimage);
	*out = take(kernel);
	return 0;
}

/* The greatest name in `dir_path` that starts with `prefix`, by version, without the prefix; NULL: none. */
static char *newest_find(const char *dir_path, const char *prefix, const char *below)
{
	scoped(dir) DIR *dir = opendir(dir_path);
	scoped(mem) char *newest = NULL;
	struct dirent *item;

	while (dir && (item = readdir(dir))) {
		const char *name = item->d_name + strlen(prefix);

		if (item->d_name[0] == '.' || strncmp(item->d_name, prefix, strlen(prefix)) != 0 || !*name ||
		    strcmp(name, "lock") == 0 || (below && strverscmp(name, below) >= 0) ||
		    (newest && strverscmp(name, newest) < 0))
			continue;
		free(newest);
		newest = strdup(name);
		if (!newest)
			return NULL;
	}
	return take(newest);
}

/*
 * The image of a kernel outside the cache, made on first use: cache_dir/images/vmlinux-<release>-<size>-
 * <mtime>. *image stays NULL when this kernel gives none.
 */
static int image_get(const struct search *search, const char *bzimage, const char *release, char **image)
{
	scoped(mem) char *dir = NULL;
	scoped(mem) char *path = NULL;
	struct stat st;
	int err;

	if (stat(bzimage, &st) < 0)
		return hs_fail(-errno, "cannot read %s:", bzimage);
	if (asprintf(&dir, "%s/images", search->cache_dir) < 0 ||
	    asprintf(&path, "%s/vmlinux-%s-%lld-%lld.%09ld", dir, release, (long long)st.st_size,
		     (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec) < 0)
		return hs_fail(-ENOMEM, "cannot use kernel %s:", release);
	if (access(path, R_OK) < 0) {
		err = hs_kernel_folder_make(dir);
		if (!err)
			err = hs_vmlinux_image_write(bzimage, path);
		if (err)
			return err == -ENOTSUP ? 0 : err;
	}
	*image = take(path);
	return 0;
}

/* ---- --kernel ---------------------------------------------------------------------------------- */

static int given_use(const struct search *search, const char *bzimage, const char *release,
		     const char *modules_dir, struct hs_guest_kernel **out)
{
	char why[HS_MODULES_WHY_BYTES];
	scoped(mem) char *image = NULL;
	int err = hs_modules_check(modules_dir, release, search->needed, why);

	if (err)
		return hs_fail(err, "cannot use %s: %s", search->config->kernel, why);
	err = image_get(search, bzimage, release, &image);
	if (err)
		return err;
	return kernel_new(release, image, bzimage, modules_dir, out);
}

static int given_folder_use(const struct search *search, struct hs_guest_kernel **out)
{
	const char *folder = search->config->kernel;
	scoped(mem) char *boot = NULL;
	scoped(mem) char *release = NULL;
	scoped(mem) char *bzimage = NULL;
	scoped(mem) char *modules_dir = NULL;
	scoped(mem) char *dep = NULL;
	int err;

	if (asprintf(&boot, "%s/boot", folder) < 0)
		return hs_fail(-ENOMEM, "cannot use %s:", folder);
	release = newest_find(boot, VMLINUZ_PREFIX, NULL);
	if (!release)
		return hs_fail(-ENOENT,
			       "cannot use %s: there is no " VMLINUZ_PREFIX
			       "* in %s: give the folder of an unpacked linux-image package",
			       folder, boot);
	modules_dir = hs_kernel_modules_dir(folder, release);
	if (!modules_dir)
		return hs_fail(-ENOENT, "cannot use %s: there is no lib/modules/%s in it", folder, release);
	if (asprintf(&bzimage, "%s/" VMLINUZ_PREFIX "%s", boot, release) < 0 ||
	    asprintf(&dep, "%s/lib/modules/%s/modules.dep.bin", modules_dir, release) < 0)
		return hs_fail(-ENOMEM, "cannot use %s:", folder);
	/* dpkg-deb -x does not run depmod, installing the package would. */
	err = access(dep, F_OK) < 0 ? hs_kernel_depmod(modules_dir, release) : 0;
	return err ? err : given_use(search, bzimage, release, modules_dir, out);
}

/* The modules of a lone vmlinuz: X/boot/vmlinuz has them in X, else they are beside it, or the host's. */
static int given_file_use(const struct search *search, struct hs_guest_kernel **out)
{
	const char *path = search->config->kernel;
	scoped(mem) char *real = realpath(path, NULL);
	scoped(mem) char *release = NULL;
	scoped(mem) char *modules_dir = NULL;
	scoped(mem) char *folder = NULL;
	scoped(mem) char *above = NULL;
	int err;

	if (!real)
		return hs_fail(-errno, "cannot use the kernel %s:", path);
	err = hs_bzimage_release(real, &release);
	if (err)
		return err;
	*strrchr(real, '/') = 0;
	if (asprintf(&above, "%s/..", real) < 0)
		return hs_fail(-ENOMEM, "cannot use the kernel %s:", path);
	folder = take(real);
	modules_dir = hs_kernel_modules_dir(above, release);
	if (!modules_dir)
		modules_dir = hs_kernel_modules_dir(folder, release);
	if (!modules_dir)
		modules_dir = hs_kernel_modules_dir(search->host_root, release);
	if (!modules_dir)
		return hs_fail(
			-ENOENT,
			"cannot use the kernel %s: its modules, lib/modules/%s, are neither beside %s nor "
			"on the host: give the folder of an unpacked linux-image package",
			path, release, folder);
	return given_use(search, path, release, modules_dir, out);
}

static int given_find(const struct search *search, struct hs_guest_kernel **out)
{
	struct stat st;

	if (stat(search->config->kernel, &st) < 0)
		return hs_fail(-errno, "cannot use the kernel %s:", search->config->kernel);
	return S_ISDIR(st.st_mode) ? given_folder_use(search, out) : given_file_use(search, out);
}

/* ---- the cache and the host -------------------------------------------------------------------- */

/* 1: found, 0: not this one (which was said), or an error. */
static int cached_use(const struct search *search, const char *kernels_dir, const char *release,
		      struct hs_guest_kernel **out)
{
	scoped(mem) char *root = NULL;
	scoped(mem) char *bzimage = NULL;
	scoped(mem) char *image = NULL;
	scoped(mem) char *modules_dir = NULL;
	char why[HS_MODULES_WHY_BYTES] = "its files are incomplete";
	int err;

	if (asprintf(&root, "%s/%s", kernels_dir, release) < 0 ||
	    asprintf(&bzimage, "%s/boot/" VMLINUZ_PREFIX "%s", root, release) < 0 ||
	    asprintf(&image, "%s/boot/vmlinux-%s", root, release) < 0)
		return hs_fail(-ENOMEM, "cannot use kernel %s:", release);
	modules_dir = hs_kernel_modules_dir(root, release);
	if (access(bzimage, R_OK) < 0 || !modules_dir ||
	    hs_modules_check(modules_dir, release, search->needed, why)) {
		hs_info("passing over the kernel in %s: %s", root, why);
		return 0;
	}
	/* A kernel that gives no image was fetched without one. */
	err = kernel_new(release, access(image, R_OK) == 0 ? image : NULL, bzimage, modules_dir, out);
	return err ? err : 1;
}

/* Newest first. */
static int cache_find(const struct search *search, const char *kernels_dir, struct hs_guest_kernel **out)
{
	scoped(mem) char *release = newest_find(kernels_dir, "", NULL);
	int found = 0;

	while (release && !found) {
		char *older = newest_find(kernels_dir, "", release);

		found = cached_use(search, kernels_dir, release, out);
		free(release);
		release = older;
	}
	return found;
}

static int host_find(const struct search *search, struct hs_guest_kernel **out)
{
	scoped(mem) char *boot = NULL;
	scoped(mem) char *release = NULL;
	scoped(mem) char *modules_dir = NULL;
	scoped(mem) char *bzimage = NULL;
	scoped(mem) char *image = NULL;
	char why[HS_MODULES_WHY_BYTES] = "its modules are missing";
	int err;

	if (asprintf(&boot, "%s/boot", search->host_root) < 0)
		return hs_fail(-ENOMEM, "cannot look for a kernel:");
	release = newest_find(boot, VMLINUZ_PREFIX, NULL);
	if (!release)
		return 0;
	if (asprintf(&bzimage, "%s/" VMLINUZ_PREFIX "%s", boot, release) < 0)
		return hs_fail(-ENOMEM, "cannot use kernel %s:", release);
	modules_dir = hs_kernel_modules_dir(search->host_root, release);
	if (!modules_dir || hs_modules_check(modules_dir, release, search->needed, why)) {
		hs_info("passing over the host's kernel %s: %s", release, why);
		return 0;
	}
	/* Debian's are readable by all, Ubuntu's by root alone. */
	if (access(bzimage, R_OK) < 0) {
		hs_info("passing over the host's kernel %s: cannot read %s: %s", release, bzimage,
			strerror(errno));
		return 0;
	}
	err = image_get(search, bzimage, release, &image);
	if (!err)
		err = kernel_new(release, image, bzimage, modules_dir, out);
	return err ? err : 1;
}

static int fetched_find(const struct search *search, const char *kernels_dir, struct hs_guest_kernel **out)
{
	scoped(mem) char *release = NULL;
	int err = hs_kernel_fetch(kernels_dir, search->needed, &release);

	if (err)
		return err;
	err = cached_use(search, kernels_dir, release, out);
	if (err == 0)
		return hs_fail(-ENOENT, "Debian's kernel %s cannot be used: give another one with --kernel",
			       release);
	return err < 0 ? err : 0;
}

const char *hs_cache_dir(const char *given)
{
	const char *from_environment = getenv("HSBPF_CACHE");

	if (given)
		return given;
	return from_environment && *from_environment ? from_environment : DEFAULT_CACHE_DIR;
}

int hs_guest_kernel_find(const struct hs_guest_kernel_config *config, struct hs_guest_kernel **out)
{
	const struct search search = {
		.config = config,
		.cache_dir = hs_cache_dir(config->cache_dir),
		.host_root = config->host_root ?: "",
		.needed = config->needed ?: nothing_needed,
	};
	scoped(mem) char *kernels_dir = NULL;
	int found;

	if (config->kernel)
		return given_find(&search, out);
	if (asprintf(&kernels_dir, "%s/kernels", search.cache_dir) < 0)
		return hs_fail(-ENOMEM, "cannot look for a kernel:");
	found = cache_find(&search, kernels_dir, out);
	if (!found)
		found = host_find(&search, out);
	if (!found)
		return fetched_find(&search, kernels_dir, out);
	return found < 0 ? found : 0;
}

void hs_guest_kernel_free(struct hs_guest_kernel *kernel)
{
	if (!kernel)
		return;
	free(kernel->release);
	free(kernel->image);
	free(kernel->bzimage);
	free(kernel->modules_dir);
	free(kernel);
}
