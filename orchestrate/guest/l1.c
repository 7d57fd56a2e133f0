// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only L1 does: takes its userland from the host's /usr, starts the L2 machines that the host orders,
 * a few at a time, restarts those that die while booting, and routes frames between the host and them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/proc.h"
#include "guest.h"

#define MAX_L2 32
#define QUEUE_BYTES (4u << 20)
/* An L2 that has not come up by then is stuck (seen under TCG), not slow: at most `boots` boot at a time. */
#define BOOT_LIMIT_NS (90ull * 1000000000u)

struct l2 {
	bool used, wanted; /* wanted: START was received and it is neither running nor given up */
	unsigned index;
	char *orders; /* copy of the START payload; argv points into it */
	char **argv;
	unsigned device_addr; /* slot on L1's root bus */
	unsigned restarts_left;
	pid_t pid; /* 0: not running */
	uint64_t started_ns;
	bool is_ready;
	struct hs_watch listener, console;
	struct hs_link *link;
};

static struct {
	struct hs_loop *loop;
	struct hs_agent *agent;
	struct hs_watch watchdog;
	unsigned boots;
	struct l2 l2[MAX_L2];
} l1;

static void start_waiting(void);

int guest_l1_enter_userland(void)
{
	static const char *const links[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	static const char *const moves[] = { "dev", "proc", "sys", "run", "tmp" };
	static const char *const dirs[] = { "usr", "boot", "etc", "dev", "proc", "sys", "run", "tmp", "var", "root" };
	const char *options = "trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose";
	char path[128], target[128];

	mkdir("/newroot", 0755);
	if (mount("tmpfs", "/newroot", "tmpfs", 0, "mode=755") < 0)
		return -errno;
	for (size_t i = 0; i < HS_ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "/newroot/%s", dirs[i]);
		mkdir(path, 0755);
	}
	for (size_t i = 0; i < HS_ARRAY_SIZE(links); i++) {
		snprintf(path, sizeof(path), "/newroot/%s", links[i]);
		snprintf(target, sizeof(target), "usr/%s", links[i]);
		if (symlink(target, path) < 0)
			return -errno;
	}
	if (mount("usr", "/newroot/usr", "9p", MS_RDONLY, options) < 0 ||
	    mount("boot", "/newroot/boot", "9p", MS_RDONLY, options) < 0) {
		guest_say("cannot mount the host's /usr or the guests' kernel over 9p: %s", strerror(errno));
		return -errno;
	}
	for (size_t i = 0; i < HS_ARRAY_SIZE(moves); i++) {
		snprintf(path, sizeof(path), "/%s", moves[i]);
		snprintf(target, sizeof(target), "/newroot/%s", moves[i]);
		if (mount(path, target, NULL, MS_MOVE, NULL) < 0)
			return -errno;
	}
	if (chdir("/newroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return -errno;
	return 0;
}

static void tell(const struct l2 *l2, enum hs_state state, const char *text)
{
	hs_agent_tell(l1.agent, (uint16_t)(l2->index + 1), state, text);
}

static void on_l2_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	struct l2 *l2 = ctx;
	struct hs_frame routed = *frame;

	routed.machine = (uint16_t)(l2->index + 1);
	hs_link_send(hs_agent_link(l1.agent), routed, payload, frame->len);
	hs_link_wait_below(hs_agent_link(l1.agent), QUEUE_BYTES);
	if (frame->type == HS_FRAME_STATE && frame->value == HS_STATE_READY) {
		l2->is_ready = true;
		start_waiting();
	}
}

static void on_l2_close(void *ctx, const char *reason)
{
	(void)ctx;
	(void)reason; /* its QEMU's exit follows, and says more */
}

static void on_l2_connect(void *ctx, uint32_t events)
{
	struct l2 *l2 = ctx;
	int fd = accept4(l2->listener.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	hs_loop_close(l1.loop, &l2->listener);
	hs_link_free(take(l2->link));
	if (hs_link_open(l1.loop, fd, on_l2_frame, on_l2_close, l2, &l2->link))
		close(fd);
}

static void on_l2_console(void *ctx, uint32_t events)
{
	struct l2 *l2 = ctx;
	struct hs_frame frame = { .type = HS_FRAME_CONSOLE, .machine = (uint16_t)(l2->index + 1) };
	char bytes[16384];
	ssize_t got = read(l2->console.fd, bytes, sizeof(bytes));

	(void)events;
	if (got <= 0) {
		hs_loop_close(l1.loop, &l2->console);
		return;
	}
	hs_link_send(hs_agent_link(l1.agent), frame, bytes, (size_t)got);
	hs_link_wait_below(hs_agent_link(l1.agent), QUEUE_BYTES);
}

/* Gives the NIC to vfio-pci. L1 has no driver of its own for it, so nothing has to be unbound. */
static int bind_vfio(const struct l2 *l2)
{
	char path[128], device[32];
	int err;

	snprintf(device, sizeof(device), "0000:00:%02x.0", l2->device_addr);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	if (access(path, F_OK) == 0)
		return 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
	err = hs_write_text(path, "vfio-pci");
	return err ? err : hs_write_text("/sys/bus/pci/drivers_probe", device);
}

static int listen_for(struct l2 *l2)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	snprintf(address.sun_path, sizeof(address.sun_path), "/run/l2-%u.agent", l2->index);
	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return -errno;
	err = hs_loop_add(l1.loop, &l2->listener, fd, EPOLLIN, on_l2_connect, l2);
	if (!err)
		take_fd(&fd);
	return err;
}

static int spawn_l2(struct l2 *l2)
{
	struct hs_spawn spawn = { .argv = l2->argv, .stdin_fd = -1, .netns_fd = -1 };
	int pipe_fds[2], err = bind_vfio(l2);

	if (!err)
		err = listen_for(l2);
	if (!err && pipe2(pipe_fds, O_CLOEXEC) < 0)
		err = -errno;
	if (err)
		return err;
	spawn.stdout_fd = spawn.stderr_fd = pipe_fds[1];
	err = hs_proc_spawn(&spawn, &l2->pid);
	close(pipe_fds[1]);
	if (!err)
		err = hs_loop_add(l1.loop, &l2->console, pipe_fds[0], EPOLLIN, on_l2_console, l2);
	if (err)
		close(pipe_fds[0]);
	return err;
}

static void start_l2(struct l2 *l2)
{
	int err;

	l2->wanted = false;
	l2->is_ready = false;
	l2->started_ns = hs_now_ns();
	err = spawn_l2(l2);
	if (err) {
		hs_loop_close(l1.loop, &l2->listener);
		l2->pid = 0;
		tell(l2, HS_STATE_FAILED, strerror(-err));
		return;
	}
	tell(l2, HS_STATE_STARTED, NULL);
}

static void start_waiting(void)
{
	unsigned booting = 0;

	for (int i = 0; i < MAX_L2; i++)
		booting += l1.l2[i].pid && !l1.l2[i].is_ready;
	for (int i = 0; i < MAX_L2 && booting < l1.boots; i++)
		if (l1.l2[i].wanted) {
			start_l2(&l1.l2[i]);
			booting += l1.l2[i].pid != 0;
		}
}

static void on_l2_exit(struct l2 *l2, int wait_status)
{
	char text[160], what[96];

	while (l2->console.fd >= 0)
		on_l2_console(l2, 0); /* its last words first */
	hs_loop_close(l1.loop, &l2->listener);
	hs_link_free(take(l2->link));
	l2->pid = 0;
	hs_proc_describe(wait_status, what, sizeof(what));
	if (l2->is_ready || l2->restarts_left == 0) {
		snprintf(text, sizeof(text), "its QEMU %s%s", what, l2->is_ready ? "" : " while booting, too often");
		tell(l2, HS_STATE_FAILED, text);
	} else {
		l2->restarts_left--;
		l2->wanted = true;
		snprintf(text, sizeof(text), "its QEMU %s while booting", what);
		tell(l2, HS_STATE_RESTARTED, text);
	}
	start_waiting();
}

void guest_l1_on_child(void *ctx, pid_t pid, int wait_status)
{
	(void)ctx;
	for (int i = 0; i < MAX_L2; i++)
		if (l1.l2[i].pid == pid)
			on_l2_exit(&l1.l2[i], wait_status);
}

static void on_watchdog(void *ctx, uint32_t events)
{
	(void)ctx, (void)events;
	for (int i = 0; i < MAX_L2; i++) {
		struct l2 *l2 = &l1.l2[i];

		if (l2->pid && !l2->is_ready && hs_now_ns() - l2->started_ns > BOOT_LIMIT_NS)
			kill(l2->pid, SIGKILL); /* on_l2_exit restarts it */
	}
}

static void on_start(const struct hs_frame *frame, const char *payload)
{
	struct l2 *l2 = &l1.l2[frame->machine - 1];

	if (l2->used)
		return;
	*l2 = (struct l2){ .used = true,
			   .wanted = true,
			   .index = frame->machine - 1u,
			   .device_addr = frame->value,
			   .restarts_left = frame->id,
			   .listener = HS_WATCH_NONE,
			   .console = HS_WATCH_NONE };
	l2->orders = malloc(frame->len);
	if (l2->orders)
		memcpy(l2->orders, payload, frame->len);
	l2->argv = l2->orders ? hs_frame_unpack_argv(l2->orders, frame->len) : NULL;
	if (!l2->argv) {
		l2->wanted = false;
		tell(l2, HS_STATE_FAILED, "malformed start order");
		return;
	}
	start_waiting();
}

/* The frame's own interrupt woke one CPU; moving there wakes each of the others. */
static void visit_cpus(void)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&all) > 1; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	sched_setaffinity(0, sizeof(all), &all);
}

void guest_l1_on_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	(void)ctx;
	if (frame->type == HS_FRAME_POKE) {
		visit_cpus(); /* comes back only if each of them still runs */
		hs_link_send(hs_agent_link(l1.agent), (struct hs_frame){ .type = HS_FRAME_POKE }, NULL, 0);
	}
	if (frame->machine == 0 || frame->machine > MAX_L2)
		return;
	if (frame->type == HS_FRAME_START) {
		on_start(frame, payload);
	} else if (l1.l2[frame->machine - 1].link) {
		struct hs_frame routed = *frame;

		routed.machine = 0;
		hs_link_send(l1.l2[frame->machine - 1].link, routed, payload, frame->len);
	}
}

int guest_l1_open(struct hs_loop *loop, unsigned boots)
{
	l1.loop = loop;
	l1.boots = boots ? boots : 1;
	return hs_loop_timer(loop, &l1.watchdog, 1000000000u, on_watchdog, NULL);
}

void guest_l1_set_agent(struct hs_agent *agent)
{
	l1.agent = agent;
}
