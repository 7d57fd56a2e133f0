// SPDX-License-Identifier: GPL-2.0-only
/*
 * Builds the guests' initramfs on the spot and puts the kernel where L1 can read it. What goes into a guest
 * is listed here and nowhere else.
 */
#include "images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "initramfs.h"
#include "kernel.h"
#include "modules.h"
#include "ports.h"

#ifndef HS_LIBEXECDIR
#define HS_LIBEXECDIR "/usr/local/libexec/hsbpf"
#endif

#define COMMON_MODULES "virtio_pci", "virtio_console"

static const char *const l1_modules[] = { COMMON_MODULES, "9p",	      "9pnet_virtio",	  "kvm_amd",
					  "kvm_intel",	  "vfio-pci", "vfio_iommu_type1", NULL };
static const char *const l2_modules[] = { COMMON_MODULES, "e1000", "e1000e", NULL };
static const char *const client_modules[] = { COMMON_MODULES, "virtio_net", NULL };

/* What keeps a dying kernel's words; a kernel without it can be a guest's all the same. */
static const char *const crash_modules[] = { "ramoops", NULL };

/* What a person at `hsbpf lab exec` will try first; all are busybox. */
static const char *const applets[] = { "cat",	"dmesg", "echo",  "env",   "free",  "grep", "head", "ip",
				       "kill",	"ls",	 "lsmod", "lspci", "mount", "ping", "ps",   "sh",
				       "sleep", "tail",	 "top",	  "uname", "wc",    NULL };

char *hs_images_find_program(const char *name)
{
	char exe[4096];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	scoped(mem) char *beside = NULL, *installed = hs_format(HS_LIBEXECDIR "/%s", name);

	if (len > 0) {
		exe[len] = '\0';
		*strrchr(exe, '/') = '\0';
		beside = hs_format("%s/%s", exe, name);
		if (beside && access(beside, R_OK) == 0)
			return take(beside);
	}
	if (installed && access(installed, R_OK) == 0)
		return take(installed);
	hs_err("cannot find the guests' %s beside hsbpf or in " HS_LIBEXECDIR ": run `make` or `make install`", name);
	return NULL;
}

/* The program's path in PATH's usual folders, or NULL after a message. */
static const char *find_program(const char *const *candidates, const char *package)
{
	for (const char *const *path = candidates; *path; path++)
		if (access(*path, X_OK) == 0)
			return *path;
	hs_err("%s is not installed here, and the guests need it: install the package %s", candidates[0], package);
	return NULL;
}

static int add_userland(struct hs_initramfs *ramfs)
{
	static const char *const iperf3[] = { "/usr/bin/iperf3", "/usr/local/bin/iperf3", NULL };
	static const char *const busybox[] = { "/bin/busybox", "/usr/bin/busybox", NULL };
	const char *program = find_program(iperf3, "iperf3"), *box = find_program(busybox, "busybox-static");
	int err;

	if (!program || !box)
		return -ENOENT;
	err = hs_initramfs_add_program(ramfs, program);
	if (!err)
		err = hs_initramfs_add_program(ramfs, box);
	for (const char *const *applet = applets; !err && *applet; applet++) {
		char path[64];

		snprintf(path, sizeof(path), "/sbin/%s", *applet);
		err = hs_initramfs_add_symlink(ramfs, path, box);
	}
	return err;
}

/* agent: the trace agent, NULL for none. */
static int add_basics(struct hs_initramfs *ramfs, const char *init, const char *agent,
		      const struct hs_guest_kernel *kernel, const char *const *modules)
{
	char why[HS_MODULES_WHY_BYTES];
	int err = hs_initramfs_add_file(ramfs, "/init", init, 0755);

	if (!err && agent)
		err = hs_initramfs_add_file(ramfs, "/" HS_TRACE_AGENT, agent, 0755);
	if (!err)
		err = hs_initramfs_add_dir(ramfs, "/dev", 0755);
	if (!err)
		err = hs_initramfs_add_node(ramfs, "/dev/console", 0600, 5, 1);
	if (!err)
		err = hs_initramfs_add_dir(ramfs, "/tmp", 0755);
	if (!err)
		err = hs_initramfs_add_modules(ramfs, kernel->modules_dir, kernel->release, modules);
	if (!err && !hs_modules_check(kernel->modules_dir, kernel->release, crash_modules, why))
		err = hs_initramfs_add_modules(ramfs, kernel->modules_dir, kernel->release, crash_modules);
	return err;
}

static int make_initramfs(const char *path, const char *init, const char *agent, const struct hs_guest_kernel *kernel,
			  const char *const *modules, bool with_userland)
{
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;
	int err = hs_initramfs_open(path, &ramfs);

	if (!err)
		err = add_basics(ramfs, init, agent, kernel, modules);
	if (!err && with_userland)
		err = add_userland(ramfs);
	return err ? err : hs_initramfs_close(ramfs);
}

static int make_migrating_initramfs(const char *path, const struct hs_guest_kernel *kernel)
{
	scoped(mem) char *init = hs_images_find_program("hsbpf-init");
	scoped(mem) char *tools = hs_images_find_program("hsbpf-migtools");
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;
	int err = init && tools ? hs_initramfs_open(path, &ramfs) : -ENOENT;

	if (!err)
		err = add_basics(ramfs, init, NULL, kernel, client_modules);
	if (!err)
		err = hs_initramfs_add_file(ramfs, HS_IMAGES_MIGTOOLS, tools, 0755);
	return err ? err : hs_initramfs_close(ramfs);
}

static int copy_file(const char *from, const char *to, mode_t mode)
{
	scoped(fd) int in = open(from, O_RDONLY | O_CLOEXEC);
	scoped(fd) int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	struct stat st;
	off_t at = 0;

	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		return hs_fail(-errno, "cannot copy %s to %s:", from, to);
	while (at < st.st_size)
		if (sendfile(out, in, &at, (size_t)(st.st_size - at)) <= 0)
			return hs_fail(errno ? -errno : -EIO, "cannot copy %s to %s:", from, to);
	return 0;
}

static int name_files(struct hs_images *images, const char *dir)
{
	images->boot_dir = hs_format("%s/boot", dir);
	images->l1 = hs_format("%s/l1.cpio", dir);
	images->client = hs_format("%s/client.cpio", dir);
	return images->boot_dir && images->l1 && images->client ? hs_make_dirs(images->boot_dir) : -ENOMEM;
}

static int make_all(struct hs_images *images, const struct hs_guest_kernel *kernel, bool with_tracer)
{
	scoped(mem) char *init = hs_images_find_program("hsbpf-init");
	scoped(mem) char *agent = with_tracer ? hs_images_find_program(HS_TRACE_AGENT) : NULL;
	scoped(mem) char *l2 = hs_format("%s/l2.cpio", images->boot_dir);
	scoped(mem) char *shared_kernel = hs_format("%s/kernel", images->boot_dir);
	scoped(mem) char *shared_agent = hs_format("%s/" HS_TRACE_AGENT, images->boot_dir);
	int err;

	if (!init || (with_tracer && !agent))
		return -ENOENT;
	if (!l2 || !shared_kernel || !shared_agent)
		return -ENOMEM;
	err = make_initramfs(images->l1, init, NULL, kernel, l1_modules, false);
	if (!err)
		err = make_initramfs(images->client, init, agent, kernel, client_modules, true);
	if (!err)
		err = make_initramfs(l2, init, agent, kernel, l2_modules, true);
	if (!err && agent) /* L1 leaves its initramfs behind */
		err = copy_file(agent, shared_agent, 0700);
	return err ? err : copy_file(kernel->image, shared_kernel, 0600);
}

static const char *const *needed_modules(void)
{
	static const char *const needed[] = { "virtio_console",	  "9p",	       "9pnet_virtio",
					      "kvm_amd",	  "kvm_intel", "vfio-pci",
					      "vfio_iommu_type1", "e1000",     "e1000e",
					      "virtio_net",	  NULL };

	return needed;
}

static int copy_kernel_names(struct hs_images *images, const struct hs_guest_kernel *kernel)
{
	images->kernel = strdup(kernel->image);
	images->release = strdup(kernel->release);
	images->cache_dir = strdup(hs_cache_dir(NULL));
	return images->kernel && images->release && images->cache_dir ? 0 : -ENOMEM;
}

int hs_images_make(const char *kernel_path, const char *dir, bool with_tracer, struct hs_images **out)
{
	scoped(hs_images) struct hs_images *images = calloc(1, sizeof(*images));
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;
	struct hs_guest_kernel_config config = { .kernel = kernel_path, .needed = needed_modules() };
	char why[HS_MODULES_WHY_BYTES];
	int err = images ? hs_guest_kernel_find(&config, &kernel) : -ENOMEM;

	if (!err)
		err = name_files(images, dir);
	if (!err)
		err = copy_kernel_names(images, kernel);
	if (!err && hs_modules_check(kernel->modules_dir, kernel->release, crash_modules, why))
		hs_warn("what guests' kernels say when they crash is not kept: %s", why);
	if (!err)
		err = make_all(images, kernel, with_tracer);
	if (!err)
		*out = take(images);
	return err;
}

int hs_images_make_migrating(const char *kernel_path, const char *dir, struct hs_images **out)
{
	scoped(hs_images) struct hs_images *images = calloc(1, sizeof(*images));
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;
	struct hs_guest_kernel_config config = { .kernel = kernel_path, .needed = client_modules };
	int err = images ? hs_guest_kernel_find(&config, &kernel) : -ENOMEM;

	if (!err) {
		images->client = hs_format("%s/guest.cpio", dir);
		err = images->client ? copy_kernel_names(images, kernel) : -ENOMEM;
	}
	if (!err)
		err = make_migrating_initramfs(images->client, kernel);
	if (!err)
		*out = take(images);
	return err;
}

void hs_images_free(struct hs_images *images)
{
	if (!images)
		return;
	free(images->kernel);
	free(images->release);
	free(images->boot_dir);
	free(images->l1);
	free(images->client);
	free(images->cache_dir);
	free(images);
}
