// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading, attaching and reading the counting programs. A program is called on_<event>, or on_<event>__<kind> when
 * there is another way to the same event; of these the first that attaches stays.
 */
#include "stat/source.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "bpf/stat.skel.h"
#include "capture/tracefs.h"

#define PROGRAM_PREFIX "on_"
#define PROGRAM_NR_MAX 64

struct hs_stat_source {
	struct hsbpf_stat *bpf;
	struct bpf_link *links[PROGRAM_NR_MAX];
	size_t link_nr;
	struct hs_stat_missing missing[PROGRAM_NR_MAX];
	size_t missing_nr;
};

static int on_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[512];

	if (level == LIBBPF_DEBUG || hs_log_level() < HS_LOG_DBG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	hs_dbg("%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

/* "kvm_exit" of "on_kvm_exit__tp" */
static void copy_event(const struct bpf_program *program, char *event, size_t event_bytes)
{
	const char *name = bpf_program__name(program) + strlen(PROGRAM_PREFIX), *kind = strstr(name, "__");

	snprintf(event, event_bytes, "%.*s", kind ? (int)(kind - name) : (int)strlen(name), name);
}

static bool is_fentry(const struct bpf_program *program)
{
	return !strncmp(bpf_program__section_name(program), "fentry/", strlen("fentry/"));
}

static bool is_kprobe(const struct bpf_program *program)
{
	return bpf_program__type(program) == BPF_PROG_TYPE_KPROBE;
}

static bool is_classic(const struct bpf_program *program)
{
	return bpf_program__type(program) == BPF_PROG_TYPE_TRACEPOINT;
}

static void btf_scoped(struct btf **btf)
{
	btf__free(*btf);
}

/* Whether the kernel or that module describes a type or function of that name. */
static bool has_type(struct btf *vmlinux, const char *module, const char *name, uint32_t kind)
{
	scoped(btf) struct btf *btf = NULL;

	if (btf__find_by_name_kind(vmlinux, name, kind) > 0)
		return true;
	btf = btf__load_module_btf(module, vmlinux);
	if (libbpf_get_error(btf))
		btf = NULL;
	return btf && btf__find_by_name_kind(btf, name, kind) > 0;
}

/*
 * Whether the program can be loaded here. The exit reason is read from the vendor module's structures, else given by
 * the classic tracepoint; fentry needs to know its function.
 */
static bool is_loadable(const struct bpf_program *program, struct btf *vmlinux, bool with_fentry)
{
	const char *name = bpf_program__name(program), *function = strchr(bpf_program__section_name(program), '/');
	bool knows_vendor;

	if (is_fentry(program))
		return with_fentry && vmlinux &&
		       (has_type(vmlinux, "vhost_net", function + 1, BTF_KIND_FUNC) ||
			has_type(vmlinux, "vhost", function + 1, BTF_KIND_FUNC));
	if (strncmp(name, "on_kvm_exit", strlen("on_kvm_exit")) != 0)
		return true;
	knows_vendor = vmlinux && (has_type(vmlinux, "kvm_intel", "vcpu_vmx", BTF_KIND_STRUCT) ||
				   has_type(vmlinux, "kvm_amd", "vcpu_svm", BTF_KIND_STRUCT));
	return knows_vendor != is_classic(program);
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

static int load_with(struct hs_stat_source *source, const struct hs_stat_source_config *config, struct btf *vmlinux,
		     bool with_fentry)
{
	struct bpf_program *program;

	hsbpf_stat__destroy(take(source->bpf));
	source->bpf = hsbpf_stat__open();
	if (!source->bpf)
		return -errno;
	source->bpf->rodata->host_wide = config->host_wide;
	bpf_object__for_each_program(program, source->bpf->obj)
	{
		bpf_program__set_autoload(program, is_loadable(program, vmlinux, with_fentry));
	}
	return hsbpf_stat__load(source->bpf);
}

/* libbpf loads all or nothing. A kernel that has the functions may still refuse fentry: kprobes then. */
static int load(struct hs_stat_source *source, const struct hs_stat_source_config *config)
{
	scoped(btf) struct btf *vmlinux = btf__load_vmlinux_btf();
	int err;

	if (libbpf_get_error(vmlinux))
		vmlinux = NULL;
	err = load_with(source, config, vmlinux, true);
	if (err)
		err = load_with(source, config, vmlinux, false);
	return err ? explain(config->reason, config->reason_bytes, err) : 0;
}

static struct bpf_link *attach_classic(const struct bpf_program *program, const char *event)
{
	scoped(fd) int tracefs = hs_tracefs_open();

	if (tracefs >= 0)
		return hs_tracefs_attach(tracefs, program, "kvm", event);
	errno = -tracefs;
	return NULL;
}

static const char *why_not(const struct bpf_program *program, int err, char *text, size_t text_bytes)
{
	if (err != -ENOENT && err != -EOPNOTSUPP)
		snprintf(text, text_bytes, "%s", strerror(-err));
	else if (is_kprobe(program))
		snprintf(text, text_bytes, "the module vhost_net is not loaded, or this kernel has no kprobes");
	else
		snprintf(text, text_bytes, "this kernel has no tracepoint of that name");
	return text;
}

/* The alternatives of an event stand one after the other; the last one's reason is told when none attaches. */
static int attach(struct hs_stat_source *source, const struct hs_stat_source_config *config)
{
	struct bpf_program *program;
	char attached[48] = "";
	int err = 0;

	bpf_object__for_each_program(program, source->bpf->obj)
	{
		struct hs_stat_missing missing;
		struct bpf_link *link;

		copy_event(program, missing.event, sizeof(missing.event));
		if (!bpf_program__autoload(program) || !strcmp(missing.event, attached))
			continue;
		link = is_classic(program) ? attach_classic(program, missing.event) : bpf_program__attach(program);
		if (link) {
			source->links[source->link_nr++] = link;
			strcpy(attached, missing.event);
			continue;
		}
		err = -errno;
		if (is_fentry(program)) /* its kprobe comes next */
			continue;
		why_not(program, err, missing.reason, sizeof(missing.reason));
		source->missing[source->missing_nr++] = missing;
	}
	if (source->link_nr)
		return 0;
	return explain(config->reason, config->reason_bytes, err ? err : -ENOENT);
}

int hs_stat_source_open(const struct hs_stat_source_config *config, struct hs_stat_source **out)
{
	scoped(hs_stat_source) struct hs_stat_source *source = calloc(1, sizeof(*source));
	int err;

	if (!source)
		return explain(config->reason, config->reason_bytes, -ENOMEM);
	libbpf_set_print(on_libbpf_print);
	err = load(source, config);
	if (!err)
		err = attach(source, config);
	if (err)
		return err;
	*out = take(source);
	return 0;
}

int hs_stat_source_watch_process(struct hs_stat_source *source, pid_t tgid)
{
	uint32_t key = tgid;
	uint8_t value = 1;

	if (bpf_map_update_elem(bpf_map__fd(source->bpf->maps.tgids), &key, &value, BPF_ANY))
		return hs_fail(-errno, "cannot watch process %d:", tgid);
	return 0;
}

int hs_stat_source_watch_tap(struct hs_stat_source *source, uint32_t netns_inum, uint32_t ifindex)
{
	struct hs_tap_key key = { .netns_inum = netns_inum, .ifindex = ifindex };
	struct hs_tap_value value = { 0 };

	if (!bpf_map_update_elem(bpf_map__fd(source->bpf->maps.taps), &key, &value, BPF_NOEXIST))
		return 0;
	return errno == EEXIST ? -EEXIST : hs_fail(-errno, "cannot watch interface %u:", ifindex);
}

void hs_stat_source_unwatch_tap(struct hs_stat_source *source, const struct hs_tap_key *key)
{
	bpf_map_delete_elem(bpf_map__fd(source->bpf->maps.taps), key);
}

/*
 * All entries of a hash map, rows of key and value one after the other. An entry that goes away meanwhile is left
 * out; only we delete.
 */
static int read_map(const struct bpf_map *map, size_t row_bytes, size_t value_offset, void **rows, size_t *row_nr)
{
	size_t key_bytes = bpf_map__key_size(map), room = 0, used = 0;
	int fd = bpf_map__fd(map);
	char key[32], *previous = NULL;

	while (!bpf_map_get_next_key(fd, previous, key)) {
		previous = key;
		if (used == room) {
			void *grown = reallocarray(*rows, room ? room * 2 : 64, row_bytes);

			if (!grown)
				return -ENOMEM;
			*rows = grown;
			room = room ? room * 2 : 64;
		}
		memset((char *)*rows + used * row_bytes, 0, row_bytes);
		memcpy((char *)*rows + used * row_bytes, key, key_bytes);
		if (!bpf_map_lookup_elem(fd, key, (char *)*rows + used * row_bytes + value_offset))
			used++;
	}
	*row_nr = used;
	return 0;
}

#define READ_MAP(map, row_type, rows, row_nr)                                                                          \
	read_map(map, sizeof(row_type), offsetof(row_type, value), (void **)(rows), row_nr)

static uint64_t missed(const struct hs_stat_source *source)
{
	struct bpf_program *program;
	uint64_t sum = 0;

	bpf_object__for_each_program(program, source->bpf->obj)
	{
		struct bpf_prog_info info = { 0 };
		uint32_t info_bytes = sizeof(info);

		if (bpf_program__autoload(program) &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &info_bytes))
			sum += info.recursion_misses;
	}
	return sum;
}

int hs_stat_source_read(const struct hs_stat_source *source, struct hs_stat_snapshot *snapshot)
{
	int err;

	snapshot->boot_ns = hs_now_ns();
	/* Threads first: one that has ended by now has all of its rows already. */
	err = READ_MAP(source->bpf->maps.vcpus, struct hs_stat_vcpu_row, &snapshot->vcpus, &snapshot->vcpu_nr);
	if (!err)
		err = READ_MAP(source->bpf->maps.counts, struct hs_stat_count_row, &snapshot->counts,
			       &snapshot->count_nr);
	if (!err)
		err = READ_MAP(source->bpf->maps.times, struct hs_stat_time_row, &snapshot->times, &snapshot->time_nr);
	if (!err)
		err = READ_MAP(source->bpf->maps.vhosts, struct hs_stat_vhost_row, &snapshot->vhosts,
			       &snapshot->vhost_nr);
	if (!err)
		err = READ_MAP(source->bpf->maps.taps, struct hs_stat_tap_row, &snapshot->taps, &snapshot->tap_nr);
	if (err)
		return hs_fail(err, "cannot read the counters:");
	memcpy(snapshot->no_room, source->bpf->bss->no_room, sizeof(snapshot->no_room));
	snapshot->missed = missed(source);
	return 0;
}

void hs_stat_source_forget(struct hs_stat_source *source, const struct hs_stat_snapshot *snapshot, uint32_t tid)
{
	for (size_t i = 0; i < snapshot->count_nr; i++) {
		if (snapshot->counts[i].key.tid == tid)
			bpf_map_delete_elem(bpf_map__fd(source->bpf->maps.counts), &snapshot->counts[i].key);
	}
	for (size_t i = 0; i < snapshot->time_nr; i++) {
		if (snapshot->times[i].key.tid == tid)
			bpf_map_delete_elem(bpf_map__fd(source->bpf->maps.times), &snapshot->times[i].key);
	}
	bpf_map_delete_elem(bpf_map__fd(source->bpf->maps.vcpus), &tid);
}

void hs_stat_source_forget_vhost(struct hs_stat_source *source, uint32_t tgid)
{
	bpf_map_delete_elem(bpf_map__fd(source->bpf->maps.vhosts), &tgid);
}

void hs_stat_source_stop(struct hs_stat_source *source)
{
	while (source->link_nr)
		bpf_link__destroy(source->links[--source->link_nr]);
	/* A grace period of RCU: handlers that ran when they were taken off have ended. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		hs_dbg("no membarrier: %s", strerror(errno));
}

const struct hs_stat_missing *hs_stat_source_missing(const struct hs_stat_source *source, size_t *missing_nr)
{
	*missing_nr = source ? source->missing_nr : 0;
	return source ? source->missing : NULL;
}

void hs_stat_source_free(struct hs_stat_source *source)
{
	if (!source)
		return;
	while (source->link_nr)
		bpf_link__destroy(source->links[--source->link_nr]);
	hsbpf_stat__destroy(source->bpf);
	free(source);
}

void hs_stat_snapshot_clear(struct hs_stat_snapshot *snapshot)
{
	free(snapshot->counts);
	free(snapshot->times);
	free(snapshot->vcpus);
	free(snapshot->vhosts);
	free(snapshot->taps);
	*snapshot = (struct hs_stat_snapshot){ 0 };
}
