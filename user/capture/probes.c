// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and attaching, program by program. libbpf loads all or nothing, so what the kernel cannot have is
 * found before (its tracepoint is not in BTF or tracefs) or by trying again without the program that was
 * rejected.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "bpf/hsbpf.skel.h"
#include "capture/probes.h"
#include "capture/tracefs.h"

#define PROGRAM_PREFIX "on_"
#define LOG_BYTES 65536

struct hs_probes {
	struct hsbpf_bpf *bpf;
	struct hs_probes_config config;
	int tracefs_fd; /* -errno when it cannot be opened */
	struct bpf_link *links[HS_EVENT_ID_NR];
	uint64_t missed[HS_EVENT_ID_NR]; /* read when detached */
	bool is_missing[HS_EVENT_ID_NR];
	struct hs_probe_missing missing[HS_EVENT_ID_NR];
	size_t missing_nr;
	char *logs[HS_EVENT_ID_NR]; /* the verifier's, while loading */
};

static int on_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[512];

	if (level == LIBBPF_DEBUG || hs_log_level() < HS_LOG_DBG)
		return 0; /* its debug messages are thousands of lines about relocations */
	vsnprintf(text, sizeof(text), format, args);
	hs_dbg("%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

static const struct hs_event *event_of(const struct bpf_program *program)
{
	const char *name = bpf_program__name(program);

	return strncmp(name, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX))
		       ? NULL
		       : hs_event_find_name(name + strlen(PROGRAM_PREFIX));
}

static bool is_classic(const struct bpf_program *program)
{
	return bpf_program__type(program) == BPF_PROG_TYPE_TRACEPOINT;
}

__attribute__((format(printf, 3, 4))) static void set_missing(struct hs_probes *probes, const struct hs_event *event,
							      const char *format, ...)
{
	struct hs_probe_missing *missing;
	va_list args;

	if (probes->is_missing[event->id])
		return;
	probes->is_missing[event->id] = true;
	missing = &probes->missing[probes->missing_nr++];
	missing->event = event;
	va_start(args, format);
	vsnprintf(missing->reason, sizeof(missing->reason), format, args);
	va_end(args);
}

static void btf_scoped(struct btf **btf)
{
	btf__free(*btf);
}

/* In the kernel's own BTF or, when KVM is a module, in that. */
static bool has_btf_tracepoint(struct btf *vmlinux, struct btf *module, const char *name)
{
	char type[80];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(vmlinux, type, BTF_KIND_TYPEDEF) > 0 ||
	       (module && btf__find_by_name_kind(module, type, BTF_KIND_TYPEDEF) > 0);
}

/* Lists what is wanted and has no tracepoint here. */
static void find_missing(struct hs_probes *probes, struct bpf_object *object, struct btf *vmlinux)
{
	scoped(btf) struct btf *module = btf__load_module_btf("kvm", vmlinux);
	struct bpf_program *program;

	if (libbpf_get_error(module))
		module = NULL;
	bpf_object__for_each_program(program, object)
	{
		const struct hs_event *event = event_of(program);

		if (!event || !probes->config.wanted.has[event->id])
			continue;
		if (!is_classic(program)) {
			if (!has_btf_tracepoint(vmlinux, module, event->name))
				set_missing(probes, event, "this kernel has no tracepoint of that name (in BTF)");
		} else if (probes->tracefs_fd < 0) {
			set_missing(probes, event, "tracefs cannot be opened: %s", strerror(-probes->tracefs_fd));
		} else if (hs_tracefs_event_id(probes->tracefs_fd, event->system, event->name) < 0) {
			set_missing(probes, event, "this kernel has no tracepoint of that name (in tracefs)");
		}
	}
}

static int open_bpf(struct hs_probes *probes)
{
	struct hsbpf_bpf *bpf = hsbpf_bpf__open();
	struct bpf_program *program;
	int err;

	if (!bpf)
		return -errno;
	probes->bpf = bpf;
	bpf->rodata->host_wide = probes->config.host_wide;
	err = probes->config.prepare(probes->config.ctx, bpf);
	if (err)
		return err;
	bpf_object__for_each_program(program, bpf->obj)
	{
		const struct hs_event *event = event_of(program);

		if (!event || !probes->config.wanted.has[event->id] || probes->is_missing[event->id]) {
			bpf_program__set_autoload(program, false);
			continue;
		}
		if (!probes->logs[event->id])
			probes->logs[event->id] = malloc(LOG_BYTES);
		if (!probes->logs[event->id])
			return -ENOMEM;
		probes->logs[event->id][0] = '\0';
		bpf_program__set_log_buf(program, probes->logs[event->id], LOG_BYTES);
	}
	return 0;
}

/* The verifier's last word before its statistics. */
static void copy_verdict(char *log, char *verdict, size_t verdict_bytes)
{
	const char *last = "";

	for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, "processed ", 10))
			last = line;
	}
	snprintf(verdict, verdict_bytes, "%s", last);
}

/* Lists the program that the verifier rejected. False: no program's fault. */
static bool drop_rejected(struct hs_probes *probes)
{
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		const struct hs_event *event = &hs_events[i];
		char verdict[100];

		if (!probes->logs[event->id] || !probes->logs[event->id][0] || probes->is_missing[event->id])
			continue;
		copy_verdict(probes->logs[event->id], verdict, sizeof(verdict));
		set_missing(probes, event, "the kernel rejects its program: %s", verdict);
		return true;
	}
	return false;
}

static bool has_any_to_load(const struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		if (bpf_program__autoload(program))
			return true;
	}
	return false;
}

static int explain(char *reason, size_t reason_bytes, int err)
{
	if (err == -EPERM || err == -EACCES) {
		snprintf(reason, reason_bytes,
			 "the kernel refuses BPF programs here (%s): needs root or CAP_BPF and CAP_PERFMON",
			 strerror(-err));
		return -EPERM;
	}
	snprintf(reason, reason_bytes, "BPF programs cannot be loaded: %s", strerror(-err));
	return err == -ENOMEM ? err : -EOPNOTSUPP;
}

static int explain_none(const struct hs_probes *probes, char *reason, size_t reason_bytes)
{
	const struct hs_probe_missing *first = probes->missing;

	if (probes->missing_nr)
		snprintf(reason, reason_bytes, "none of the probes can run here; %s: %s", first->event->name,
			 first->reason);
	else
		snprintf(reason, reason_bytes, "no probe was asked for");
	return -EOPNOTSUPP;
}

static int load_possible(struct hs_probes *probes, char *reason, size_t reason_bytes)
{
	for (;;) {
		int err = open_bpf(probes);

		if (err)
			return explain(reason, reason_bytes, err);
		if (!has_any_to_load(probes->bpf->obj))
			return explain_none(probes, reason, reason_bytes);
		err = hsbpf_bpf__load(probes->bpf);
		if (!err)
			return 0;
		hsbpf_bpf__destroy(take(probes->bpf));
		if (!drop_rejected(probes))
			return explain(reason, reason_bytes, err);
	}
}

/* Which programs there are is known only from an opened object. */
static int find_all_missing(struct hs_probes *probes, char *reason, size_t reason_bytes)
{
	scoped(btf) struct btf *vmlinux = btf__load_vmlinux_btf();
	struct hsbpf_bpf *bpf;

	if (libbpf_get_error(vmlinux)) {
		vmlinux = NULL;
		snprintf(reason, reason_bytes, "the kernel describes no types (/sys/kernel/btf/vmlinux)");
		return -EOPNOTSUPP;
	}
	bpf = hsbpf_bpf__open();
	if (!bpf)
		return explain(reason, reason_bytes, -errno);
	find_missing(probes, bpf->obj, vmlinux);
	hsbpf_bpf__destroy(bpf);
	return 0;
}

int hs_probes_load(const struct hs_probes_config *config, char *reason, size_t reason_bytes, struct hs_probes **out)
{
	scoped(hs_probes) struct hs_probes *probes = calloc(1, sizeof(*probes));
	int err;

	if (!probes)
		return explain(reason, reason_bytes, -ENOMEM);
	libbpf_set_print(on_libbpf_print);
	probes->config = *config;
	probes->tracefs_fd = hs_tracefs_open();
	err = find_all_missing(probes, reason, reason_bytes);
	if (!err)
		err = load_possible(probes, reason, reason_bytes);
	if (err)
		return err;
	*out = take(probes);
	return 0;
}

/* libbpf would look the number up below a mounted tracefs, so this opens the perf event itself. */
static struct bpf_link *attach_classic(struct hs_probes *probes, const struct bpf_program *program,
				       const struct hs_event *event)
{
	int id = hs_tracefs_event_id(probes->tracefs_fd, event->system, event->name);
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = id };
	scoped(fd) int fd = -1;
	struct bpf_link *link;

	if (id < 0) {
		errno = -id;
		return NULL;
	}
	/* One event on one CPU is the handle; the program then runs on every CPU. */
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return NULL;
	link = bpf_program__attach_perf_event(program, fd);
	if (link)
		take_fd(&fd);
	return link;
}

int hs_probes_attach(struct hs_probes *probes, char *reason, size_t reason_bytes)
{
	struct bpf_program *program;
	int attached = 0, err = 0;

	bpf_object__for_each_program(program, probes->bpf->obj)
	{
		const struct hs_event *event = event_of(program);
		struct bpf_link *link;

		if (!bpf_program__autoload(program))
			continue;
		link = is_classic(program) ? attach_classic(probes, program, event) : bpf_program__attach(program);
		if (!link) {
			err = -errno;
			set_missing(probes, event, "cannot be attached: %s", strerror(-err));
			continue;
		}
		probes->links[event->id] = link;
		attached++;
	}
	if (attached)
		return 0;
	return err == -EPERM || err == -EACCES ? explain(reason, reason_bytes, err)
					       : explain_none(probes, reason, reason_bytes);
}

static void read_missed(struct hs_probes *probes)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, probes->bpf->obj)
	{
		struct bpf_prog_info info = { 0 };
		uint32_t info_bytes = sizeof(info);

		if (!bpf_program__autoload(program))
			continue;
		if (!bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &info_bytes))
			probes->missed[event_of(program)->id] = info.recursion_misses;
	}
}

void hs_probes_detach(struct hs_probes *probes)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(probes->links); i++)
		bpf_link__destroy(take(probes->links[i]));
	/* A grace period of RCU: handlers that ran when they were taken off have ended. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		hs_dbg("no membarrier: %s", strerror(errno));
	read_missed(probes);
}

struct hsbpf_bpf *hs_probes_bpf(struct hs_probes *probes)
{
	return probes->bpf;
}

const struct hs_probe_missing *hs_probes_missing(const struct hs_probes *probes, size_t *missing_nr)
{
	*missing_nr = probes->missing_nr;
	return probes->missing;
}

uint64_t hs_probes_missed(const struct hs_probes *probes, uint16_t event_id)
{
	return event_id < HS_EVENT_ID_NR ? probes->missed[event_id] : 0;
}

void hs_probes_free(struct hs_probes *probes)
{
	if (!probes)
		return;
	for (size_t i = 0; i < HS_ARRAY_SIZE(probes->links); i++) {
		bpf_link__destroy(probes->links[i]);
		free(probes->logs[i]);
	}
	hsbpf_bpf__destroy(probes->bpf);
	if (probes->tracefs_fd >= 0)
		close(probes->tracefs_fd);
	free(probes);
}
