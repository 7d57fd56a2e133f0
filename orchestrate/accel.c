// SPDX-License-Identifier: GPL-2.0-only
/* The probe boots our own guest kernel and init under KVM and looks for init's words on the console. */
#include "accel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/argv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "qemu.h"

#define PROBE_MS 20000
#define INIT_WORDS "hsbpf-init:"

static bool has_nested(void)
{
	static const char *const paths[] = { "/sys/module/kvm_intel/parameters/nested",
					     "/sys/module/kvm_amd/parameters/nested" };

	for (size_t i = 0; i < HS_ARRAY_SIZE(paths); i++) {
		scoped(mem) char *text = NULL;

		if (!hs_read_file(paths[i], 64, &text, NULL) && (text[0] == 'Y' || text[0] == '1'))
			return true;
	}
	return false;
}

/* Waits for the probe's QEMU; kills it when it takes too long. True when it ended by itself. */
static bool wait_for_end(pid_t pid)
{
	scoped(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	bool by_itself = fd >= 0 && poll(&ended, 1, PROBE_MS) == 1;

	if (!by_itself)
		kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return by_itself;
}

static void say_why_not(const char *console, bool ended, char *reason, size_t size)
{
	scoped(mem) char *words = hs_tail_lines(console, 1);

	if (!ended)
		snprintf(reason, size, "a kernel did not boot under it within %d s", PROBE_MS / 1000);
	else
		snprintf(reason, size, "a kernel did not boot under it (%s)", words && *words ? words : "no output");
}

/* 1 it boots, 0 it does not, -1 this could not be found out. */
static int probe(const struct hs_accel_query *query, char *reason, size_t size)
{
	scoped(argv) struct hs_argv argv = { 0 };
	scoped(mem) char *console = hs_format("%s/kvm-probe.txt", query->work_dir);
	scoped(mem) char *text = NULL;
	scoped(fd) int out = console ? open(console, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	struct hs_spawn spawn = { .stdin_fd = -1, .stdout_fd = out, .stderr_fd = out, .netns_fd = -1 };
	bool ended;
	pid_t pid;

	hs_argv_add_words(&argv, HS_QEMU " -M q35 -accel kvm -cpu host -m 128M -nodefaults -no-user-config "
					 "-display none -no-reboot -serial stdio");
	hs_argv_add_pair(&argv, "-kernel", "%s", query->kernel);
	hs_argv_add_pair(&argv, "-initrd", "%s", query->initramfs);
	hs_argv_add_pair(&argv, "-append", "console=ttyS0 quiet panic=-1 no_timer_check");
	spawn.argv = argv.words;
	if (argv.err || out < 0 || hs_proc_spawn(&spawn, &pid)) {
		snprintf(reason, size, "the probe could not be started");
		return -1;
	}
	ended = wait_for_end(pid);
	if (!hs_read_file(console, 1 << 20, &text, NULL) && strstr(text, INIT_WORDS))
		return 1;
	say_why_not(console, ended, reason, size);
	return 0;
}

/* What the answer depends on; also the name of the file that keeps it. */
static char *cache_path(const struct hs_accel_query *query)
{
	struct utsname host;
	struct stat qemu = { 0 };

	uname(&host);
	if (stat("/usr/bin/" HS_QEMU, &qemu) < 0)
		qemu.st_mtime = 0;
	return hs_format("%s/accel-%s-%s-%lld", query->cache_dir, host.release, query->release,
			 (long long)qemu.st_mtime);
}

/* "yes" or "no REASON". */
static bool probe_cached(const struct hs_accel_query *query, char *reason, size_t size)
{
	scoped(mem) char *path = cache_path(query);
	scoped(mem) char *text = NULL;
	char line[300];
	int boots;

	if (path && !hs_read_file(path, 1024, &text, NULL)) {
		if (!strncmp(text, "no ", 3))
			snprintf(reason, size, "%.*s", (int)strcspn(text + 3, "\n"), text + 3);
		return !strncmp(text, "yes", 3);
	}
	hs_info("looking whether a kernel boots under KVM here (once)");
	boots = probe(query, reason, size);
	snprintf(line, sizeof(line), boots ? "yes\n" : "no %s\n", reason);
	if (path && boots >= 0)
		hs_write_file_atomic(path, line, strlen(line));
	return boots == 1;
}

static void answer_probed(const struct hs_accel_query *query, struct hs_accel_answer *answer)
{
	char why[200] = "";

	answer->client_kvm = probe_cached(query, why, sizeof(why));
	answer->l1_kvm = answer->client_kvm && has_nested();
	if (!answer->client_kvm)
		snprintf(answer->reason, sizeof(answer->reason), "KVM is not used: %s", why);
	else
		snprintf(answer->reason, sizeof(answer->reason), "a kernel boots under KVM here%s",
			 answer->l1_kvm ? "" : ", but it does not nest: L1 runs under TCG");
}

int hs_accel_choose(enum hs_accel wish, const struct hs_accel_query *query, struct hs_accel_answer *answer)
{
	*answer = (struct hs_accel_answer){ 0 };
	if (wish == HS_ACCEL_TCG) {
		snprintf(answer->reason, sizeof(answer->reason), "asked for with --accel tcg");
		return 0;
	}
	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		if (wish == HS_ACCEL_KVM)
			return hs_fail(-EOPNOTSUPP, "--accel kvm: cannot use /dev/kvm: %s", strerror(errno));
		snprintf(answer->reason, sizeof(answer->reason), "KVM is not used: cannot open /dev/kvm (%s)",
			 strerror(errno));
		return 0;
	}
	if (wish == HS_ACCEL_KVM) {
		answer->l1_kvm = answer->client_kvm = true;
		snprintf(answer->reason, sizeof(answer->reason), "asked for with --accel kvm");
		return 0;
	}
	answer_probed(query, answer);
	return 0;
}
