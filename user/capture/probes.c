// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and attaching, program by program. libbpf loads all or nothing, so what the kernel cannot have is found
 * before (a tracepoint or function that is not there, fentry or kprobes that are refused) or by trying again without
 * the program that was rejected.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "bpf/hsbpf.skel.h"
#include "capture/probes.h"
#include "capture/tracefs.h"

#define PROGRAM_PREFIX "on_"
#define WAY_SEPARATOR "__"
#define LOG_BYTES 65536
#define SYMBOLS_BYTES_MAX (64u << 20)
#define ENOTSUPP_KERNEL 524 /* not in errno.h, but bpf() returns it */
#define CANDIDATES_MAX 192

/* One program: one way to get one event. */
struct candidate {
	const struct hs_event *event;
	enum hs_way way;
	bool is_impossible;
	char reason[160]; /* why it is */
	char *log;	  /* the verifier's, while loading */
	char name[64];
};

struct hs_probes {
	struct hsbpf_bpf *bpf;
	struct hs_probes_config config;
	int tracefs_fd; /* -errno when it cannot be opened */
	struct candidate candidates[CANDIDATES_MAX];
	size_t candidate_nr;
	struct bpf_link *links[HS_EVENT_ID_NR];
	const struct candidate *attached[HS_EVENT_ID_NR];
	uint64_t missed[HS_EVENT_ID_NR]; /* read when detached */
	struct hs_probe_missing missing[HS_EVENT_ID_NR];
	size_t missing_nr;
};

static const char *const way_names[HS_WAY_NR] = { "tp_btf", "tracepoint", "fentry", "kprobe" };

static int on_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[512];

	if (level == LIBBPF_DEBUG || hs_log_level() < HS_LOG_DBG)
		return 0; /* its debug messages are thousands of lines about relocations */
	vsnprintf(text, sizeof(text), format, args);
	hs_dbg("%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

/* on_kvm_entry__tp is an alternative of on_kvm_entry. */
static const struct hs_event *event_of(const char *program)
{
	char name[64];
	const char *end;

	if (strncmp(program, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) != 0)
		return NULL;
	program += strlen(PROGRAM_PREFIX);
	end = strstr(program, WAY_SEPARATOR);
	snprintf(name, sizeof(name), "%.*s", (int)(end ? (size_t)(end - program) : strlen(program)), program);
	return hs_event_find_name(name);
}

static enum hs_way way_of(const struct bpf_program *program)
{
	switch (bpf_program__type(program)) {
	case BPF_PROG_TYPE_TRACEPOINT:
		return HS_WAY_TRACEPOINT;
	case BPF_PROG_TYPE_KPROBE:
		return HS_WAY_KPROBE;
	case BPF_PROG_TYPE_TRACING:
		return bpf_program__expected_attach_type(program) == BPF_TRACE_FENTRY ? HS_WAY_FENTRY : HS_WAY_TP_BTF;
	default:
		return HS_WAY_TP_BTF; /* a raw tracepoint differs only in how its arguments are typed */
	}
}

__attribute__((format(printf, 2, 3))) static void set_impossible(struct candidate *candidate, const char *format, ...)
{
	va_list args;

	candidate->is_impossible = true;
	va_start(args, format);
	vsnprintf(candidate->reason, sizeof(candidate->reason), format, args);
	va_end(args);
}

static struct candidate *candidate_of(struct hs_probes *probes, const struct bpf_program *program)
{
	for (size_t i = 0; i < probes->candidate_nr; i++) {
		if (!strcmp(probes->candidates[i].name, bpf_program__name(program)))
			return &probes->candidates[i];
	}
	return NULL;
}

/* ---- what this kernel has ---- */

/* Types of the kernel and of the modules that have events of ours; a module that is not there is left out. */
struct kernel_types {
	struct btf *vmlinux;
	struct btf *modules[6];
	char *symbols; /* /proc/kallsyms, once it was asked for */
};

static void kernel_types_scoped(struct kernel_types *types)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(types->modules); i++)
		btf__free(types->modules[i]);
	btf__free(types->vmlinux);
	free(types->symbols);
}

static int load_types(struct kernel_types *types)
{
	static const char *const modules[] = { "kvm", "kvm_intel", "kvm_amd", "vhost", "vhost_net", "vhost_iotlb" };

	types->vmlinux = btf__load_vmlinux_btf();
	if (libbpf_get_error(types->vmlinux)) {
		types->vmlinux = NULL;
		return -ENOENT;
	}
	for (size_t i = 0; i < HS_ARRAY_SIZE(modules); i++) {
		struct btf *module = btf__load_module_btf(modules[i], types->vmlinux);

		types->modules[i] = libbpf_get_error(module) ? NULL : module;
	}
	return 0;
}

static bool has_type(const struct kernel_types *types, const char *name, uint32_t kind)
{
	if (btf__find_by_name_kind(types->vmlinux, name, kind) > 0)
		return true;
	for (size_t i = 0; i < HS_ARRAY_SIZE(types->modules); i++) {
		if (types->modules[i] && btf__find_by_name_kind(types->modules[i], name, kind) > 0)
			return true;
	}
	return false;
}

static bool has_kprobes(void)
{
	return !access("/sys/bus/event_source/devices/kprobe/type", F_OK);
}

/* A kprobe needs no types, which modules may be built without: lines are "address t name", then a tab and the module.
 */
static bool has_symbol(struct kernel_types *types, const char *name)
{
	char with_module[96], alone[96];

	if (!types->symbols && hs_read_file("/proc/kallsyms", SYMBOLS_BYTES_MAX, &types->symbols, NULL))
		return false;
	snprintf(with_module, sizeof(with_module), " %s\t", name);
	snprintf(alone, sizeof(alone), " %s\n", name);
	return strstr(types->symbols, with_module) || strstr(types->symbols, alone);
}

/* What to load or configure so that the function or tracepoint is there. */
static const char *provider(const struct hs_event *event)
{
	if (!strcmp(event->system, "vhost"))
		return "the module vhost_net is not loaded, or CONFIG_VHOST_NET is off";
	if (!strncmp(event->name, "kvm_dirty_ring", 14))
		return "KVM is not loaded, or CONFIG_HAVE_KVM_DIRTY_RING is off";
	if (!strncmp(event->name, "kvm_", 4))
		return "KVM is not loaded, or this version does not have it";
	if (!strcmp(event->name, "handle_userfault"))
		return "CONFIG_USERFAULTFD is off";
	return "this version does not have it";
}

/* The function after "fentry/" or "kprobe/". */
static const char *function_of(const struct bpf_program *program)
{
	const char *slash = strchr(bpf_program__section_name(program), '/');

	return slash ? slash + 1 : "";
}

/* "tp/kvm/kvm_exit" says the kernel's own system; ours group differently. */
static void tracepoint_system(const struct bpf_program *program, char *system, size_t bytes)
{
	const char *path = function_of(program);

	snprintf(system, bytes, "%.*s", (int)strcspn(path, "/"), path);
}

static void check_candidate(struct hs_probes *probes, struct candidate *candidate, const struct bpf_program *program,
			    struct kernel_types *types)
{
	const struct hs_event *event = candidate->event;
	char type[96], system[32];

	switch (candidate->way) {
	case HS_WAY_TP_BTF:
		snprintf(type, sizeof(type), "btf_trace_%s", event->name);
		if (!has_type(types, type, BTF_KIND_TYPEDEF))
			set_impossible(candidate, "no tracepoint of that name in BTF: %s", provider(event));
		return;
	case HS_WAY_TRACEPOINT:
		tracepoint_system(program, system, sizeof(system));
		if (probes->tracefs_fd < 0)
			set_impossible(candidate, "tracefs cannot be opened: %s", strerror(-probes->tracefs_fd));
		else if (hs_tracefs_event_id(probes->tracefs_fd, system, event->name) < 0)
			set_impossible(candidate, "no tracepoint of that name in tracefs: %s", provider(event));
		return;
	default:
		if (!has_type(types, function_of(program), BTF_KIND_FUNC) &&
		    (candidate->way != HS_WAY_KPROBE || !has_kprobes() || !has_symbol(types, function_of(program))))
			set_impossible(candidate, "no function of that name: %s", provider(event));
		else if (candidate->way == HS_WAY_KPROBE && !has_kprobes())
			set_impossible(candidate, "this kernel has no kprobes (CONFIG_KPROBE_EVENTS)");
	}
}

/* In the order of enum hs_way inside an event. */
static void sort_candidates(struct hs_probes *probes)
{
	for (size_t i = 1; i < probes->candidate_nr; i++) {
		struct candidate moved = probes->candidates[i];
		size_t at = i;

		for (; at && probes->candidates[at - 1].way > moved.way; at--)
			probes->candidates[at] = probes->candidates[at - 1];
		probes->candidates[at] = moved;
	}
}

static int find_candidates(struct hs_probes *probes, struct bpf_object *object, struct kernel_types *types)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		const struct hs_event *event = event_of(bpf_program__name(program));
		struct candidate *candidate = &probes->candidates[probes->candidate_nr];

		if (!event || !probes->config.wanted.has[event->id])
			continue;
		if (probes->candidate_nr == CANDIDATES_MAX)
			return -E2BIG;
		probes->candidate_nr++;
		candidate->event = event;
		candidate->way = way_of(program);
		snprintf(candidate->name, sizeof(candidate->name), "%s", bpf_program__name(program));
		check_candidate(probes, candidate, program, types);
	}
	sort_candidates(probes);
	return 0;
}

/* Whether the candidate is the one to load now. fentry may be refused when it is attached: kprobe stands by. */
static bool is_chosen(const struct hs_probes *probes, const struct candidate *candidate)
{
	if (candidate->is_impossible)
		return false;
	for (const struct candidate *other = probes->candidates; other < candidate; other++) {
		if (other->event == candidate->event && !other->is_impossible && other->way != HS_WAY_FENTRY)
			return false;
	}
	return true;
}

/* ---- loading ---- */

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
		struct candidate *candidate = candidate_of(probes, program);

		if (!candidate || !is_chosen(probes, candidate)) {
			bpf_program__set_autoload(program, false);
			continue;
		}
		if (!candidate->log)
			candidate->log = malloc(LOG_BYTES);
		if (!candidate->log)
			return -ENOMEM;
		candidate->log[0] = '\0';
		bpf_program__set_log_buf(program, candidate->log, LOG_BYTES);
	}
	return 0;
}

/* The verifier's last word before its statistics. */
static void copy_verdict(char *log, char *verdict, size_t verdict_bytes)
{
	const char *last = "";
	char *save = NULL;

	for (char *line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "processed ", 10))
			last = line;
	}
	snprintf(verdict, verdict_bytes, "%s", last);
}

/* Leaves out the program that the verifier rejected. False: no program's fault. */
static bool drop_rejected(struct hs_probes *probes)
{
	for (size_t i = 0; i < probes->candidate_nr; i++) {
		struct candidate *candidate = &probes->candidates[i];
		char verdict[100];

		if (!candidate->log || !candidate->log[0] || candidate->is_impossible)
			continue;
		copy_verdict(candidate->log, verdict, sizeof(verdict));
		set_impossible(candidate, "the kernel rejects its program: %s", verdict);
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

/*
 * Some kernels refuse every fentry program, without a word in its log: one is loaded alone to know. Whatever is refused
 * so is left to kprobes.
 */
static int try_fentry(struct hs_probes *probes)
{
	struct hsbpf_bpf *bpf = hsbpf_bpf__open();
	struct bpf_program *program;
	bool has_one = false, is_refused;
	int err;

	if (!bpf)
		return -errno;
	err = probes->config.prepare(probes->config.ctx, bpf);
	bpf_object__for_each_program(program, bpf->obj)
	{
		const struct candidate *candidate = candidate_of(probes, program);
		bool is_one = !has_one && candidate && candidate->way == HS_WAY_FENTRY && !candidate->is_impossible;

		bpf_program__set_autoload(program, is_one);
		has_one = has_one || is_one;
	}
	if (!err && has_one)
		err = hsbpf_bpf__load(bpf);
	hsbpf_bpf__destroy(bpf);
	/* Other errors are that program's own, and its log says so when all are loaded. */
	is_refused = err == -EPERM || err == -EACCES || err == -ENOTSUPP_KERNEL;
	for (size_t i = 0; is_refused && i < probes->candidate_nr; i++) {
		if (probes->candidates[i].way == HS_WAY_FENTRY && !probes->candidates[i].is_impossible)
			set_impossible(&probes->candidates[i], "the kernel refuses fentry programs: %s",
				       strerror(-err));
	}
	return 0;
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

/* Lists the events of which no way was taken, each with the reasons of all of its ways. */
static void list_missing(struct hs_probes *probes)
{
	probes->missing_nr = 0;
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		struct hs_probe_missing *missing = &probes->missing[probes->missing_nr];
		const struct hs_event *event = &hs_events[i];
		size_t used = 0;
		bool is_known = false;

		for (size_t j = 0; j < probes->candidate_nr; j++) {
			const struct candidate *candidate = &probes->candidates[j];

			if (candidate->event != event || probes->attached[event->id])
				continue;
			is_known = true;
			if (candidate->is_impossible && used < sizeof(missing->reason) &&
			    (!used || !strstr(missing->reason, candidate->reason)))
				used += (size_t)snprintf(missing->reason + used, sizeof(missing->reason) - used,
							 "%s%s: %s", used ? "; " : "", way_names[candidate->way],
							 candidate->reason);
		}
		missing->event = event;
		probes->missing_nr += is_known;
	}
}

static int explain_none(struct hs_probes *probes, char *reason, size_t reason_bytes)
{
	const struct hs_probe_missing *first = probes->missing;

	list_missing(probes);
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
static int find_possible(struct hs_probes *probes, char *reason, size_t reason_bytes)
{
	__attribute__((cleanup(kernel_types_scoped))) struct kernel_types types = { 0 };
	struct hsbpf_bpf *bpf;
	int err;

	if (load_types(&types)) {
		snprintf(reason, reason_bytes, "the kernel describes no types (/sys/kernel/btf/vmlinux)");
		return -EOPNOTSUPP;
	}
	bpf = hsbpf_bpf__open();
	if (!bpf)
		return explain(reason, reason_bytes, -errno);
	err = find_candidates(probes, bpf->obj, &types);
	hsbpf_bpf__destroy(bpf);
	if (!err)
		err = try_fentry(probes);
	return err ? explain(reason, reason_bytes, err) : 0;
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
	err = find_possible(probes, reason, reason_bytes);
	if (!err)
		err = load_possible(probes, reason, reason_bytes);
	if (err)
		return err;
	*out = take(probes);
	return 0;
}

/* ---- attaching ---- */

static int attach(struct hs_probes *probes, struct candidate *candidate)
{
	struct bpf_program *program = bpf_object__find_program_by_name(probes->bpf->obj, candidate->name);
	struct bpf_link *link;
	char system[32];
	int err;

	if (!program || !bpf_program__autoload(program) || probes->attached[candidate->event->id])
		return 0;
	if (candidate->way == HS_WAY_TRACEPOINT) {
		tracepoint_system(program, system, sizeof(system));
		link = hs_tracefs_attach(probes->tracefs_fd, program, system, candidate->event->name);
	} else {
		link = bpf_program__attach(program);
	}
	if (!link) {
		err = -errno;
		set_impossible(candidate, "cannot be attached: %s", strerror(-err));
		return err;
	}
	probes->links[candidate->event->id] = link;
	probes->attached[candidate->event->id] = candidate;
	return 0;
}

int hs_probes_attach(struct hs_probes *probes, char *reason, size_t reason_bytes)
{
	bool has_any = false;
	int err = 0;

	for (size_t i = 0; i < probes->candidate_nr; i++) {
		int failed = attach(probes, &probes->candidates[i]);

		if (failed)
			err = failed;
	}
	for (size_t id = 0; id < HS_EVENT_ID_NR; id++)
		has_any = has_any || probes->attached[id];
	list_missing(probes);
	if (has_any)
		return 0;
	return err == -EPERM || err == -EACCES ? explain(reason, reason_bytes, err)
					       : explain_none(probes, reason, reason_bytes);
}

static void read_missed(struct hs_probes *probes)
{
	for (size_t id = 0; id < HS_EVENT_ID_NR; id++) {
		struct bpf_prog_info info = { 0 };
		uint32_t info_bytes = sizeof(info);
		struct bpf_program *program;

		if (!probes->attached[id])
			continue;
		program = bpf_object__find_program_by_name(probes->bpf->obj, probes->attached[id]->name);
		if (program && !bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &info_bytes))
			probes->missed[id] = info.recursion_misses;
	}
}

/* Every link of a classic tracepoint waits for grace periods of RCU: threads wait for the same ones together. */
struct detach_work {
	pthread_t thread;
	struct bpf_link *link;
	bool is_running;
};

static void *detach_one(void *arg)
{
	struct detach_work *work = arg;

	bpf_link__destroy(work->link);
	return NULL;
}

static void detach_all(struct hs_probes *probes)
{
	struct detach_work works[HS_EVENT_ID_NR] = { 0 };

	for (size_t i = 0; i < HS_EVENT_ID_NR; i++) {
		works[i].link = take(probes->links[i]);
		if (!works[i].link)
			continue;
		works[i].is_running = !pthread_create(&works[i].thread, NULL, detach_one, &works[i]);
		if (!works[i].is_running)
			detach_one(&works[i]);
	}
	for (size_t i = 0; i < HS_EVENT_ID_NR; i++) {
		if (works[i].is_running)
			pthread_join(works[i].thread, NULL);
	}
}

void hs_probes_detach(struct hs_probes *probes)
{
	detach_all(probes);
	/* A grace period of RCU: handlers that ran when they were taken off have ended. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		hs_dbg("no membarrier: %s", strerror(errno));
	read_missed(probes);
}

const char *hs_probes_how(const struct hs_probes *probes, uint16_t event_id)
{
	if (event_id >= HS_EVENT_ID_NR || !probes->attached[event_id])
		return NULL;
	return way_names[probes->attached[event_id]->way];
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
	detach_all(probes);
	for (size_t i = 0; i < probes->candidate_nr; i++)
		free(probes->candidates[i].log);
	hsbpf_bpf__destroy(probes->bpf);
	if (probes->tracefs_fd >= 0)
		close(probes->tracefs_fd);
	free(probes);
}
