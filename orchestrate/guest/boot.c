// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first steps of a guest: kernel file systems, modules in the order of their file names, the kernel
 * command line, the agent's port. Runs before anything else, in PID 1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "guest.h"
#include "orchestrate/crash.h"

#define MODULES_DIR "/lib/modules-ordered"
#define PORT_PATTERN "/dev/vport*p1" /* port 1 of the only virtio-serial device (qemu.c); its number varies */

int guest_mount_basics(void)
{
	static const struct {
		const char *type, *where;
	} mounts[] = {
		{ "devtmpfs", "/dev" }, { "proc", "/proc" }, { "sysfs", "/sys" },
		{ "tmpfs", "/tmp" },	{ "tmpfs", "/run" },
	};

	for (size_t i = 0; i < HS_ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].where, 0755);
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL) < 0 && errno != EBUSY) {
			guest_say("cannot mount %s: %s", mounts[i].where, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

static int is_module(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* A module that is not for this machine (kvm_intel on AMD) is not an error: what is missing shows later, by name. */
static void load_module(const char *name, const char *parameters)
{
	scoped(mem) char *path = hs_format(MODULES_DIR "/%s", name);
	scoped(fd) int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) < 0 && errno != EEXIST))
		guest_say("module %s not loaded: %s", name, strerror(errno));
}

/* Where the crash memory lies is known once the kernel has placed its BAR 2; ramoops runs without where there is none.
 */
static void set_crash_memory(const char *addr, char *parameters, size_t size)
{
	scoped(mem) char *path = hs_format("/sys/bus/pci/devices/0000:00:%s/resource", addr);
	scoped(mem) char *text = NULL;
	unsigned long long start;

	if (!*addr || !path)
		return;
	if (hs_read_file(path, 4096, &text, NULL) || sscanf(text, "%*s %*s %*s %*s %*s %*s %llx", &start) != 1 ||
	    !start) {
		guest_say("there is no crash memory at %s", addr);
		return;
	}
	snprintf(parameters, size,
		 "mem_address=0x%llx mem_size=0x%x record_size=0x%x console_size=0x%x ftrace_size=0x%x pmsg_size=0x%x "
		 "ecc=%u",
		 start, HS_CRASH_BYTES, HS_CRASH_ZONE_BYTES, HS_CRASH_ZONE_BYTES, HS_CRASH_ZONE_BYTES,
		 HS_CRASH_ZONE_BYTES, HS_CRASH_ECC_BYTES);
}

void guest_load_modules(const char *crash_addr)
{
	struct dirent **names;
	int count = scandir(MODULES_DIR, &names, is_module, alphasort);
	char crash[256] = "";

	set_crash_memory(crash_addr, crash, sizeof(crash));
	for (int i = 0; i < count; i++) {
		load_module(names[i]->d_name, strstr(names[i]->d_name, "ramoops") ? crash : "");
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

static void read_word(const char *cmdline, const char *key, char *value, size_t size)
{
	const char *found = strstr(cmdline, key);

	if (!found)
		return;
	found += strlen(key);
	snprintf(value, size, "%.*s", (int)strcspn(found, " \n"), found);
}

int guest_read_args(struct guest_args *args)
{
	scoped(mem) char *cmdline = NULL;
	char boots[16] = "1";
	int err = hs_read_file("/proc/cmdline", 65536, &cmdline, NULL);

	if (err)
		return err;
	read_word(cmdline, "hsbpf.role=", args->role, sizeof(args->role));
	read_word(cmdline, "hsbpf.ip=", args->address, sizeof(args->address));
	read_word(cmdline, "hsbpf.boots=", boots, sizeof(boots));
	read_word(cmdline, "hsbpf.crash=", args->crash, sizeof(args->crash));
	args->boots = (unsigned)strtoul(boots, NULL, 10);
	if (!*args->role) {
		guest_say("the kernel command line has no hsbpf.role=");
		return -EINVAL;
	}
	return 0;
}

static bool find_port(char *path, size_t size)
{
	glob_t found;
	bool is_there = glob(PORT_PATTERN, GLOB_NOSORT, NULL, &found) == 0;

	if (is_there)
		snprintf(path, size, "%s", found.gl_pathv[0]);
	globfree(&found);
	return is_there;
}

/* The port is announced by the device after its driver has loaded: /dev is watched from before the first look. */
static int wait_for_port(char *path, size_t size)
{
	scoped(fd) int watch = inotify_init1(IN_CLOEXEC);
	char events[4096];

	if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE) < 0)
		return -errno;
	while (!find_port(path, size))
		if (read(watch, events, sizeof(events)) < 0 && errno != EINTR)
			return -errno;
	return 0;
}

int guest_open_port(int *fd)
{
	/* A write on a port that the host has not opened yet waits until it has; a read would see end of file. */
	const struct hs_frame hello = { .magic = HS_FRAME_MAGIC, .type = HS_FRAME_STATE, .value = HS_STATE_STARTED };
	scoped(fd) int port = -1;
	char path[64];
	int err = wait_for_port(path, sizeof(path));

	if (!err) {
		port = open(path, O_RDWR | O_CLOEXEC);
		err = port < 0 ? -errno : hs_write_all(port, &hello, sizeof(hello));
	}
	if (err) {
		guest_say("cannot open the agent's port: %s", strerror(-err));
		return err;
	}
	*fd = take_fd(&port);
	return 0;
}
