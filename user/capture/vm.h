/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The KVM guests of this host: which process runs each, what it is called, and which thread is which vCPU. From
 * debugfs (any VMM), else from /proc. A list belongs to one thread.
 */
#ifndef HS_CAPTURE_VM_H
#define HS_CAPTURE_VM_H

#include <stdbool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"
#include "base/scoped.h"

#define HS_VM_NAME_BYTES 64

struct hs_vcpu {
	pid_t tid;
	uint32_t vcpu_id; /* inside its VM */
};

struct hs_vm {
	pid_t tgid;
	char name[HS_VM_NAME_BYTES]; /* QEMU's -name (libvirt: the domain), else the program's name */
	struct hs_vcpu *vcpus;
	size_t vcpu_nr;
	bool has_ended; /* kept by who follows VMs */
};

/* Starts as zeros. */
struct hs_vm_list {
	struct hs_vm *vms;
	size_t vm_nr;
	bool has_debugfs; /* opened by the first scan */
	int debugfs_fd;
};

/* Adds the VMs that run now and the vCPUs that are new; those that have ended stay. 0 or -ENOMEM. */
int hs_vms_scan(struct hs_vm_list *list);

/* Only the vCPUs that are new of the VMs in the list. 0 or -ENOMEM. */
int hs_vms_refresh(struct hs_vm_list *list);

/*
 * Adds the VM that a user means: a PID, a QEMU name, or a libvirt domain. -ENOENT: there is none (said); -EEXIST:
 * several VMs have that name (said).
 */
int hs_vms_select(struct hs_vm_list *list, const char *name_or_pid);

/* NULL when the list has none. */
const struct hs_vm *hs_vms_find(const struct hs_vm_list *list, pid_t tgid);
/* The vCPU of a thread; *vm is set when one is found. */
const struct hs_vcpu *hs_vms_find_thread(const struct hs_vm_list *list, pid_t tid, const struct hs_vm **vm);
/* Notes that `tid` of process `tgid` runs a vCPU; adds both when they are new. 0 or -ENOMEM. */
int hs_vms_add_vcpu(struct hs_vm_list *list, pid_t tgid, pid_t tid, uint32_t vcpu_id);

/* [{"tgid":1,"name":"a","vcpus":[{"tid":2,"vcpu_id":0}]}] as member `key`; and back, taking what makes sense of it. */
void hs_vms_to_json(const struct hs_vm_list *list, json_object *object, const char *key);
int hs_vms_from_json(json_object *array, struct hs_vm_list *list);

void hs_vms_clear(struct hs_vm_list *list);

/* scoped(hs_vms) struct hs_vm_list vms = { 0 }; */
static inline void hs_vms_scoped(struct hs_vm_list *list)
{
	hs_vms_clear(list);
}

#endif
