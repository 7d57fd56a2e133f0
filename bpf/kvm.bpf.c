// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM tracepoints of the watched processes. Handlers run wherever KVM does: the vCPU's thread mostly, for
 * interrupt lines also other threads, kernel workers and interrupts (those have another tgid: seen host-wide
 * only).
 */
#include "bpf/compat.bpf.h"
#include "bpf/filter.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define NO_VCPU (-1)
#define PVPANIC_PORT 0x505 /* QEMU docs/specs/pvpanic.rst */

struct long_exit {
	u64 ts, guest_rip;
	u32 exit_reason, isa;
};

/* Thread -> its vCPU's last exit, while only long ones are wanted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct long_exit);
} last_exits SEC(".maps");

static __always_inline void remember_exit(const struct trace_event_raw_kvm_exit *ctx)
{
	struct long_exit last = { .ts = bpf_ktime_get_boot_ns(),
				  .guest_rip = ctx->guest_rip,
				  .exit_reason = ctx->exit_reason,
				  .isa = ctx->isa };
	u32 tid = hs_pid_tgid();

	if (bpf_map_update_elem(&last_exits, &tid, &last, BPF_ANY))
		hs_lost_count(HS_EVENT_kvm_exit_long);
}

/* A classic tracepoint: the exit reason is worked out inside it, no argument carries it. */
SEC("tp/kvm/kvm_exit")
int on_kvm_exit(struct trace_event_raw_kvm_exit *ctx)
{
	u32 tgid;

	if (!hs_is_watched(&tgid) || !hs_is_exit_watched(ctx->isa, ctx->exit_reason))
		return 0;
	if (min_exit_ns || trigger_exit_ns)
		remember_exit(ctx);
	if (min_exit_ns)
		return 0;
	return hs_emit(kvm_exit, .guest_rip = ctx->guest_rip, .info1 = ctx->info1, .info2 = ctx->info2,
		       .exit_reason = ctx->exit_reason, .isa = ctx->isa, .intr_info = ctx->intr_info,
		       .error_code = ctx->error_code, .vcpu_id = ctx->vcpu_id, .tgid = tgid);
}

static __always_inline int end_exit(u32 vcpu_id, u32 tgid)
{
	u32 tid = hs_pid_tgid();
	struct long_exit *last = bpf_map_lookup_elem(&last_exits, &tid), exit;
	u64 duration_ns;

	if (!last)
		return 0;
	exit = *last;
	bpf_map_delete_elem(&last_exits, &tid);
	duration_ns = bpf_ktime_get_boot_ns() - exit.ts;
	if (trigger_exit_ns && duration_ns >= trigger_exit_ns)
		hs_trigger();
	if (!min_exit_ns || duration_ns < min_exit_ns)
		return 0;
	return hs_emit(kvm_exit_long, .guest_rip = exit.guest_rip, .duration_ns = duration_ns,
		       .exit_reason = exit.exit_reason, .isa = exit.isa, .vcpu_id = vcpu_id, .tgid = tgid);
}

static __always_inline int on_entry(u32 vcpu_id)
{
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	if (min_exit_ns)
		return end_exit(vcpu_id, tgid);
	if (trigger_exit_ns)
		end_exit(vcpu_id, tgid);
	return hs_emit(kvm_entry, .vcpu_id = vcpu_id, .tgid = tgid);
}

SEC("tp_btf/kvm_entry")
int BPF_PROG(on_kvm_entry, struct kvm_vcpu *vcpu)
{
	return on_entry(vcpu->vcpu_id);
}

SEC("tp/kvm/kvm_entry")
int on_kvm_entry__tp(struct trace_event_raw_kvm_entry *ctx)
{
	return on_entry(ctx->vcpu_id);
}

static __always_inline int on_userspace_exit(u32 reason, int err)
{
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	return hs_emit(kvm_userspace_exit, .reason = reason, .err = err, .tgid = tgid);
}

SEC("tp_btf/kvm_userspace_exit")
int BPF_PROG(on_kvm_userspace_exit, u32 reason, int err)
{
	return on_userspace_exit(reason, err);
}

SEC("tp/kvm/kvm_userspace_exit")
int on_kvm_userspace_exit__tp(struct trace_event_raw_kvm_userspace_exit *ctx)
{
	return on_userspace_exit(ctx->reason, ctx->errno);
}

/* raw_tp: Linux 6.1 refuses a tp_btf program an argument of type `const void *`. */
SEC("raw_tp/kvm_pio")
int BPF_PROG(on_kvm_pio, u32 rw, u32 port, u32 size, u32 count, const void *data)
{
	u32 tgid, val = 0;

	if (!hs_is_watched(&tgid))
		return 0;
	hs_read_bounded(&val, sizeof(val), (u64)data, size);
	hs_emit(kvm_pio, .rw = rw, .port = port, .size = size, .count = count, .val = val, .tgid = tgid);
	if (trigger_panic && rw && port == PVPANIC_PORT)
		hs_trigger();
	return 0;
}

SEC("tp_btf/kvm_mmio")
int BPF_PROG(on_kvm_mmio, int type, int len, u64 gpa, const void *data)
{
	u32 tgid;
	u64 val = 0;

	if (!hs_is_watched(&tgid))
		return 0;
	if (data)
		hs_read_bounded(&val, sizeof(val), (u64)data, (u32)len);
	return hs_emit(kvm_mmio, .type = type, .len = len, .tgid = tgid, .gpa = gpa, .val = val);
}

SEC("tp_btf/kvm_set_irq")
int BPF_PROG(on_kvm_set_irq, u32 gsi, int level, int irq_source_id)
{
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	return hs_emit(kvm_set_irq, .gsi = gsi, .level = level, .irq_source_id = irq_source_id, .tgid = tgid);
}

SEC("tp_btf/kvm_msi_set_irq")
int BPF_PROG(on_kvm_msi_set_irq, u64 address, u64 data)
{
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	return hs_emit(kvm_msi_set_irq, .address = address, .data = data, .tgid = tgid);
}

SEC("tp_btf/kvm_inj_virq")
int BPF_PROG(on_kvm_inj_virq, u32 vector, bool soft, bool reinjected)
{
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	return hs_emit(kvm_inj_virq, .vector = vector, .soft = soft, .reinjected = reinjected, .tgid = tgid);
}

/* Loads from a kernel type that the verifier knows cost less than a call that copies. */
SEC("tp_btf/kvm_emulate_insn")
int BPF_PROG(on_kvm_emulate_insn, struct kvm_vcpu *vcpu, u8 failed)
{
	const struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	u32 len = (u64)ctxt->fetch.ptr - (u64)&ctxt->fetch.data, tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	return hs_emit(kvm_emulate_insn, .rip = ctxt->_eip - len, .insn_0_7 = *(const u64 *)&ctxt->fetch.data[0],
		       .insn_8_14 = *(const u64 *)&ctxt->fetch.data[7] >> 8, .len = len, .failed = failed,
		       .vcpu_id = vcpu->vcpu_id, .tgid = tgid);
}

/* Where KVM is a module, its BTF may not have the emulator's types. */
SEC("tp/kvm/kvm_emulate_insn")
int on_kvm_emulate_insn__tp(struct trace_event_raw_kvm_emulate_insn *ctx)
{
	u64 bytes[2] = {};
	u32 tgid;

	if (!hs_is_watched(&tgid))
		return 0;
	bpf_probe_read_kernel(bytes, sizeof(ctx->insn), &ctx->insn);
	return hs_emit(kvm_emulate_insn, .rip = ctx->rip, .insn_0_7 = bytes[0], .insn_8_14 = bytes[1], .len = ctx->len,
		       .failed = ctx->failed, .vcpu_id = NO_VCPU, .tgid = tgid);
}

/*
 * Seldom ones, as classic tracepoints: their fields are the kernel's own, whatever the arguments are on each version.
 */
#define KVM_TRACEPOINT(event, ...)                                                                                     \
	SEC("tp/kvm/" #event)                                                                                          \
	int on_##event(struct trace_event_raw_##event *ctx)                                                            \
	{                                                                                                              \
		u32 tgid;                                                                                              \
                                                                                                                       \
		if (!hs_is_watched(&tgid))                                                                             \
			return 0;                                                                                      \
		return hs_emit(event, .tgid = tgid, __VA_ARGS__);                                                      \
	}
#define F(member) .member = ctx->member

KVM_TRACEPOINT(kvm_fast_mmio, F(gpa))
KVM_TRACEPOINT(kvm_msr, F(data), F(ecx), F(write), F(exception))
KVM_TRACEPOINT(kvm_cpuid, F(function), F(index), F(rax), F(rbx), F(rcx), F(rdx), F(found), F(used_max_basic))
KVM_TRACEPOINT(kvm_hypercall, F(nr), F(a0), F(a1), F(a2), F(a3))
KVM_TRACEPOINT(kvm_page_fault, F(guest_rip), F(fault_address), F(error_code), F(vcpu_id))
KVM_TRACEPOINT(kvm_inj_exception, F(error_code), F(exception), F(has_error), F(reinjected))
KVM_TRACEPOINT(kvm_pic_set_irq, F(chip), F(pin), F(elcr), F(imr), F(coalesced))
KVM_TRACEPOINT(kvm_ioapic_set_irq, .entry = ctx->e, F(pin), F(coalesced))
KVM_TRACEPOINT(kvm_eoi, F(apicid), F(vector))
KVM_TRACEPOINT(kvm_pv_eoi, F(apicid), F(vector))
KVM_TRACEPOINT(kvm_ack_irq, F(irqchip), F(pin))
KVM_TRACEPOINT(kvm_apic_accept_irq, F(apicid), F(dm), F(tm), F(vec))
KVM_TRACEPOINT(kvm_apic_ipi, F(icr_low), F(dest_id))
KVM_TRACEPOINT(kvm_vcpu_wakeup, F(ns), F(waited), F(valid))
KVM_TRACEPOINT(kvm_halt_poll_ns, F(vcpu_id), .new_ns = ctx->new, .old_ns = ctx->old, F(grow))
KVM_TRACEPOINT(kvm_ple_window_update, F(vcpu_id), .new_cycles = ctx->new, .old_cycles = ctx->old)
KVM_TRACEPOINT(kvm_nested_vmenter, F(rip), F(vmcb), F(nested_rip), F(guest_pgd), F(int_ctl), F(event_inj),
	       F(tdp_enabled), F(isa))
KVM_TRACEPOINT(kvm_nested_vmexit, F(guest_rip), F(info1), F(info2), F(exit_reason), F(isa), F(intr_info), F(error_code),
	       F(vcpu_id))
KVM_TRACEPOINT(kvm_nested_vmexit_inject, F(exit_info1), F(exit_info2), F(exit_code), F(exit_int_info),
	       F(exit_int_info_err), F(isa))
KVM_TRACEPOINT(kvm_nested_intr_vmexit, F(rip))
KVM_TRACEPOINT(kvm_dirty_ring_push, F(offset), F(index), F(dirty_index), F(reset_index), F(slot))
KVM_TRACEPOINT(kvm_dirty_ring_reset, F(index), F(dirty_index), F(reset_index))
KVM_TRACEPOINT(kvm_dirty_ring_exit, F(vcpu_id))
KVM_TRACEPOINT(kvm_write_tsc_offset, F(previous_tsc_offset), F(next_tsc_offset), F(vcpu_id))
KVM_TRACEPOINT(kvm_unmap_hva_range, F(start), F(end))
