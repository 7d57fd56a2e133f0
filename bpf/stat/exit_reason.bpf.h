/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The exit reason of a vCPU, read where the kernel's own tracepoint finds it (vmx_get_exit_info(),
 * svm_get_exit_info()); kvm_exit has no argument that carries it. The types are those of kvm_intel and kvm_amd.
 */
#ifndef HS_BPF_STAT_EXIT_REASON_BPF_H
#define HS_BPF_STAT_EXIT_REASON_BPF_H

#include "bpf/hs.bpf.h"

#define HS_ISA_VMX 1

union vmx_exit_reason {
	u32 full;
} __attribute__((preserve_access_index));

/* Linux 6.16 (7172c753c26a "KVM: VMX: Move common fields of struct vcpu_{vmx,tdx} to a struct") moved it. */
struct vcpu_vt {
	union vmx_exit_reason exit_reason;
} __attribute__((preserve_access_index));

struct vcpu_vmx {
	struct vcpu_vt vt;
} __attribute__((preserve_access_index));

struct vcpu_vmx___before_6_16 {
	union vmx_exit_reason exit_reason;
} __attribute__((preserve_access_index));

struct vmcb_control_area {
	u32 exit_code;
} __attribute__((preserve_access_index));

struct vmcb {
	struct vmcb_control_area control;
} __attribute__((preserve_access_index));

struct vcpu_svm {
	struct vmcb *vmcb;
} __attribute__((preserve_access_index));

/* Both structs begin with their struct kvm_vcpu. A branch whose types this kernel lacks is cut off by the verifier. */
static __always_inline u32 stat_exit_reason(const struct kvm_vcpu *vcpu, u32 isa)
{
	const struct vcpu_vmx___before_6_16 *old = (const void *)vcpu;
	const struct vcpu_vmx *vmx = (const void *)vcpu;
	const struct vcpu_svm *svm = (const void *)vcpu;

	if (isa == HS_ISA_VMX) {
		if (bpf_core_field_exists(vmx->vt))
			return BPF_CORE_READ(vmx, vt.exit_reason.full);
		if (bpf_core_field_exists(old->exit_reason))
			return BPF_CORE_READ(old, exit_reason.full);
		return ~0u;
	}
	if (bpf_core_field_exists(svm->vmcb))
		return BPF_CORE_READ(svm, vmcb, control.exit_code);
	return ~0u;
}

#endif
