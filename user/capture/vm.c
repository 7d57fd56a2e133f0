// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding VMs. KVM makes a debugfs folder "PID-FD" for each VM and "vcpuN/pid" below it for each vCPU (virt/kvm/
 * kvm_main.c, kvm_create_vm_debugfs(); the file since Linux 5.20), whatever VMM runs it. Without debugfs a VM is a
 * process that holds an anon_inode:kvm-vm, and QEMU's threads tell their vCPU by name (-name debug-threads=on, as
 * libvirt starts it).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "capture/tracefs.h"
#include "capture/vm.h"

#define CMDLINE_BYTES_MAX (1u << 20)

static struct hs_vm *find(const struct hs_vm_list *list, pid_t tgid)
{
	for (size_t i = 0; i < list->vm_nr; i++) {
		if (list->vms[i].tgid == tgid)
			return &list->vms[i];
	}
	return NULL;
}

const struct hs_vm *hs_vms_find(const struct hs_vm_list *list, pid_t tgid)
{
	return find(list, tgid);
}

const struct hs_vcpu *hs_vms_find_thread(const struct hs_vm_list *list, pid_t tid, const struct hs_vm **vm)
{
	for (size_t i = 0; i < list->vm_nr; i++) {
		for (size_t j = 0; j < list->vms[i].vcpu_nr; j++) {
			if (list->vms[i].vcpus[j].tid != tid)
				continue;
			*vm = &list->vms[i];
			return &list->vms[i].vcpus[j];
		}
	}
	return NULL;
}

/* What follows -name on QEMU's command line (NUL-separated words): "NAME" or "guest=NAME,debug-threads=on". */
static bool copy_qemu_name(const char *cmdline, size_t bytes, char *name)
{
	const char *end = cmdline + bytes, *word = cmdline, *value;

	for (; word < end; word += strlen(word) + 1) {
		if (strcmp(word, "-name") != 0 && strcmp(word, "--name") != 0)
			continue;
		value = word + strlen(word) + 1;
		if (value >= end)
			return false;
		if (!strncmp(value, "guest=", 6))
			value += 6;
		snprintf(name, HS_VM_NAME_BYTES, "%.*s", (int)strcspn(value, ","), value);
		return *name != '\0';
	}
	return false;
}

static void set_name(struct hs_vm *vm)
{
	scoped(mem) char *cmdline_path = hs_format("/proc/%d/cmdline", vm->tgid);
	scoped(mem) char *comm_path = hs_format("/proc/%d/comm", vm->tgid);
	scoped(mem) char *cmdline = NULL;
	scoped(mem) char *comm = NULL;
	size_t bytes;

	if (cmdline_path && !hs_read_file(cmdline_path, CMDLINE_BYTES_MAX, &cmdline, &bytes) &&
	    copy_qemu_name(cmdline, bytes, vm->name))
		return;
	if (comm_path && !hs_read_file(comm_path, 64, &comm, NULL))
		snprintf(vm->name, sizeof(vm->name), "%.*s", (int)strcspn(comm, "\n"), comm);
	else
		snprintf(vm->name, sizeof(vm->name), "%d", vm->tgid);
}

static struct hs_vm *add(struct hs_vm_list *list, pid_t tgid)
{
	struct hs_vm *vm = find(list, tgid), *vms;

	if (vm)
		return vm;
	vms = reallocarray(list->vms, list->vm_nr + 1, sizeof(*vms));
	if (!vms)
		return NULL;
	list->vms = vms;
	vm = &vms[list->vm_nr++];
	*vm = (struct hs_vm){ .tgid = tgid };
	return vm;
}

static int add_vcpu(struct hs_vm *vm, pid_t tid, uint32_t vcpu_id)
{
	struct hs_vcpu *vcpus;

	for (size_t i = 0; i < vm->vcpu_nr; i++) {
		if (vm->vcpus[i].vcpu_id == vcpu_id) { /* a vCPU unplugged and plugged has a new thread */
			vm->vcpus[i].tid = tid;
			return 0;
		}
	}
	vcpus = reallocarray(vm->vcpus, vm->vcpu_nr + 1, sizeof(*vcpus));
	if (!vcpus)
		return -ENOMEM;
	vm->vcpus = vcpus;
	vcpus[vm->vcpu_nr++] = (struct hs_vcpu){ .tid = tid, .vcpu_id = vcpu_id };
	return 0;
}

static int add_running(struct hs_vm_list *list, pid_t tgid, struct hs_vm **vm)
{
	*vm = add(list, tgid);
	if (!*vm)
		return -ENOMEM;
	if (!*(*vm)->name)
		set_name(*vm);
	return 0;
}

int hs_vms_add_vcpu(struct hs_vm_list *list, pid_t tgid, pid_t tid, uint32_t vcpu_id)
{
	struct hs_vm *vm;
	int err = add_running(list, tgid, &vm);

	return err ? err : add_vcpu(vm, tid, vcpu_id);
}

/* The number in "prefixN", -1 when it is something else. */
static long number_after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);
	char *end;
	long number;

	if (strncmp(text, prefix, len) != 0 || !isdigit((unsigned char)text[len]))
		return -1;
	number = strtol(text + len, &end, 10);
	return *end && *end != '-' && *end != '/' ? -1 : number;
}

static DIR *open_dir_at(int dir_fd, const char *name)
{
	scoped(fd) int fd = openat(dir_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir)
		take_fd(&fd);
	return dir;
}

/* One debugfs folder of a VM. Files that vanish meanwhile are a VM that ends. */
static int scan_debugfs_vm(struct hs_vm *vm, int kvm_fd, const char *folder)
{
	scoped(dir) DIR *dir = open_dir_at(kvm_fd, folder);
	struct dirent *entry;
	int err = 0;

	while (dir && !err && (entry = readdir(dir))) {
		long vcpu_id = number_after(entry->d_name, "vcpu");
		char path[288], text[16] = "";

		if (vcpu_id < 0)
			continue;
		snprintf(path, sizeof(path), "%s/pid", entry->d_name);
		scoped(fd) int fd = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || atoi(text) <= 0)
			continue; /* a vCPU that never ran has no thread */
		err = add_vcpu(vm, atoi(text), (uint32_t)vcpu_id);
	}
	return err;
}

/* -errno when debugfs does not tell. */
static int scan_debugfs(struct hs_vm_list *list)
{
	struct dirent *entry;
	int err = 0;

	if (!list->has_debugfs) {
		list->debugfs_fd = hs_debugfs_open();
		list->has_debugfs = true;
	}
	if (list->debugfs_fd < 0)
		return list->debugfs_fd;

	scoped(dir) DIR *kvm = open_dir_at(list->debugfs_fd, "kvm");

	if (!kvm)
		return -ENOENT;
	while (!err && (entry = readdir(kvm))) {
		long tgid = number_after(entry->d_name, "");
		struct hs_vm *vm;

		if (tgid <= 0)
			continue;
		err = add_running(list, (pid_t)tgid, &vm);
		if (!err)
			err = scan_debugfs_vm(vm, dirfd(kvm), entry->d_name);
	}
	return err;
}

static bool runs_kvm(pid_t tgid)
{
	char path[64], target[64];
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", tgid);
	scoped(dir) DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (len <= 0)
			continue;
		target[len] = '\0';
		if (!strcmp(target, "anon_inode:kvm-vm"))
			return true;
	}
	return false;
}

/* "CPU 3/KVM" */
static int scan_threads(struct hs_vm *vm)
{
	char path[64];
	struct dirent *entry;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", vm->tgid);
	scoped(dir) DIR *dir = opendir(path);

	while (dir && !err && (entry = readdir(dir))) {
		scoped(mem) char *comm_path = hs_format("%s/%s/comm", path, entry->d_name);
		scoped(mem) char *comm = NULL;
		long vcpu_id;

		if (!isdigit((unsigned char)*entry->d_name) || !comm_path || hs_read_file(comm_path, 64, &comm, NULL))
			continue;
		vcpu_id = number_after(comm, "CPU ");
		if (vcpu_id >= 0)
			err = add_vcpu(vm, atoi(entry->d_name), (uint32_t)vcpu_id);
	}
	return err;
}

static int scan_proc(struct hs_vm_list *list)
{
	scoped(dir) DIR *proc = opendir("/proc");
	struct dirent *entry;
	int err = 0;

	while (proc && !err && (entry = readdir(proc))) {
		long tgid = number_after(entry->d_name, "");
		struct hs_vm *vm;

		if (tgid <= 0 || !runs_kvm((pid_t)tgid))
			continue;
		err = add_running(list, (pid_t)tgid, &vm);
		if (!err)
			err = scan_threads(vm);
	}
	return err;
}

int hs_vms_scan(struct hs_vm_list *list)
{
	int err = scan_debugfs(list);

	return err && err != -ENOMEM ? scan_proc(list) : err;
}

int hs_vms_refresh(struct hs_vm_list *list)
{
	scoped(hs_vms) struct hs_vm_list all = { 0 };
	int err = hs_vms_scan(&all);

	for (size_t i = 0; i < all.vm_nr && !err; i++) {
		struct hs_vm *vm = find(list, all.vms[i].tgid);

		for (size_t j = 0; vm && j < all.vms[i].vcpu_nr && !err; j++)
			err = add_vcpu(vm, all.vms[i].vcpus[j].tid, all.vms[i].vcpus[j].vcpu_id);
	}
	return err;
}

/* Moves the VM from one list to the end of another. */
static int move(struct hs_vm_list *to, struct hs_vm *vm)
{
	struct hs_vm *added = add(to, vm->tgid);

	if (!added)
		return -ENOMEM;
	free(added->vcpus);
	*added = *vm;
	vm->vcpus = NULL;
	vm->vcpu_nr = 0;
	return 0;
}

/* A domain whose VMM was started without -name has its pid in libvirt's run folder. */
static pid_t libvirt_pid(const char *domain)
{
	scoped(mem) char *path = strchr(domain, '/') ? NULL : hs_format("/run/libvirt/qemu/%s.pid", domain);
	scoped(mem) char *text = NULL;

	return path && !hs_read_file(path, 64, &text, NULL) ? atoi(text) : 0;
}

int hs_vms_select(struct hs_vm_list *list, const char *name_or_pid)
{
	scoped(hs_vms) struct hs_vm_list all = { 0 };
	struct hs_vm *match = NULL;
	uint64_t number = 0;
	int err = hs_vms_scan(&all);

	if (err)
		return hs_fail(err, "cannot look for VMs:");
	if (hs_parse_u64(name_or_pid, &number) || number > INT32_MAX)
		number = 0;
	for (size_t i = 0; i < all.vm_nr; i++) {
		struct hs_vm *vm = &all.vms[i];

		if (number ? vm->tgid != (pid_t)number : strcmp(vm->name, name_or_pid) != 0)
			continue;
		if (match)
			return hs_fail(-EEXIST, "two VMs are called '%s' (processes %d and %d): give the PID",
				       name_or_pid, match->tgid, vm->tgid);
		match = vm;
	}
	for (size_t i = 0; number && !match && i < all.vm_nr; i++) { /* no process has that number: a name of digits */
		if (!strcmp(all.vms[i].name, name_or_pid))
			match = &all.vms[i];
	}
	if (!match)
		match = find(&all, libvirt_pid(name_or_pid));
	if (match)
		return move(list, match);
	if (number && !kill((pid_t)number, 0))
		return hs_fail(-ENOENT,
			       "process %s runs no KVM guest (under TCG the host's kernel has no events of it)",
			       name_or_pid);
	return hs_fail(-ENOENT, "no running KVM guest is called '%s'; %zu run%s here", name_or_pid, all.vm_nr,
		       all.vm_nr == 1 ? "s" : "");
}

void hs_vms_to_json(const struct hs_vm_list *list, json_object *object, const char *key)
{
	json_object *array = hs_json_add_array(object, key);

	for (size_t i = 0; i < list->vm_nr; i++) {
		json_object *row = hs_json_append_object(array), *vcpus;

		hs_json_add_u64(row, "tgid", (uint64_t)list->vms[i].tgid);
		hs_json_add_string(row, "name", list->vms[i].name);
		vcpus = hs_json_add_array(row, "vcpus");
		for (size_t j = 0; j < list->vms[i].vcpu_nr; j++) {
			json_object *vcpu = hs_json_append_object(vcpus);

			hs_json_add_u64(vcpu, "tid", (uint64_t)list->vms[i].vcpus[j].tid);
			hs_json_add_u64(vcpu, "vcpu_id", list->vms[i].vcpus[j].vcpu_id);
		}
	}
}

static int vcpus_from_json(json_object *array, struct hs_vm *vm)
{
	int err = 0;

	if (!json_object_is_type(array, json_type_array))
		return 0;
	for (size_t i = 0; i < json_object_array_length(array) && !err; i++) {
		json_object *row = json_object_array_get_idx(array, i);
		uint64_t tid = hs_json_get_u64(row, "tid"), vcpu_id = hs_json_get_u64(row, "vcpu_id");

		if (tid && tid <= INT32_MAX && vcpu_id <= UINT32_MAX)
			err = add_vcpu(vm, (pid_t)tid, (uint32_t)vcpu_id);
	}
	return err;
}

int hs_vms_from_json(json_object *array, struct hs_vm_list *list)
{
	int err = 0;

	if (!json_object_is_type(array, json_type_array))
		return 0;
	for (size_t i = 0; i < json_object_array_length(array) && !err; i++) {
		json_object *row = json_object_array_get_idx(array, i);
		uint64_t tgid = hs_json_get_u64(row, "tgid");
		struct hs_vm *vm;

		if (!tgid || tgid > INT32_MAX)
			continue;
		vm = add(list, (pid_t)tgid);
		if (!vm)
			return -ENOMEM;
		snprintf(vm->name, sizeof(vm->name), "%s", hs_json_get_string(row, "name"));
		err = vcpus_from_json(hs_json_get(row, "vcpus"), vm);
	}
	return err;
}

void hs_vms_clear(struct hs_vm_list *list)
{
	for (size_t i = 0; i < list->vm_nr; i++)
		free(list->vms[i].vcpus);
	free(list->vms);
	if (list->has_debugfs && list->debugfs_fd >= 0)
		close(list->debugfs_fd);
	*list = (struct hs_vm_list){ 0 };
}
