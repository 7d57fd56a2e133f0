// SPDX-License-Identifier: GPL-2.0-only
/*
 * What live migration waits for, beside KVM's own tracepoints (kvm.bpf.c): pages that a userfaultfd delivers, and dirty
 * logs that are read. Handlers run in the thread that faults, and in the VMM's migration thread.
 */
#include "bpf/compat.bpf.h"
#include "bpf/filter.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int emit_fault(const struct vm_fault *fault, u32 reason)
{
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	return hs_emit(handle_userfault, .address = BPF_CORE_READ(fault, address), .flags = hs_fault_flags(fault),
		       .reason = reason, .tgid = tgid);
}

SEC("fentry/handle_userfault")
int BPF_PROG(on_handle_userfault, const struct vm_fault *fault, unsigned long reason)
{
	return emit_fault(fault, reason);
}

SEC("kprobe/handle_userfault")
int BPF_KPROBE(on_handle_userfault__kprobe, const struct vm_fault *fault, unsigned long reason)
{
	return emit_fault(fault, reason);
}

static __always_inline int emit_dirty_log(const struct kvm_memory_slot *slot)
{
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	return hs_emit(kvm_arch_sync_dirty_log, .base_gfn = BPF_CORE_READ(slot, base_gfn),
		       .npages = BPF_CORE_READ(slot, npages), .slot = BPF_CORE_READ(slot, id), .tgid = tgid);
}

SEC("fentry/kvm_arch_sync_dirty_log")
int BPF_PROG(on_kvm_arch_sync_dirty_log, const void *kvm, const struct kvm_memory_slot *slot)
{
	return emit_dirty_log(slot);
}

SEC("kprobe/kvm_arch_sync_dirty_log")
int BPF_KPROBE(on_kvm_arch_sync_dirty_log__kprobe, const void *kvm, const struct kvm_memory_slot *slot)
{
	return emit_dirty_log(slot);
}
