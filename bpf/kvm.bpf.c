// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM tracepoints of the watched processes. Handlers run wherever KVM does: the vCPU's thread mostly, for
 * interrupt lines also other threads, kernel workers and interrupts (those have another tgid: seen host-wide
 * only).
 */
#include "bpf/hs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Whether the current process is watched, and which it is (0: the idle task). */
static __always_inline bool is_watched(u32 *tgid)
{
	*tgid = bpf_get_current_pid_tgid() >> 32;
	return host_wide || bpf_map_lookup_elem(&tgids, tgid);
}

/* A classic tracepoint: the exit reason is worked out inside it, no argument carries it. */
SEC("tp/kvm/kvm_exit")
int on_kvm_exit(struct trace_event_raw_kvm_exit *ctx)
{
	u32 tgid;

	if (!is_watched(&tgid))
		return 0;
	return hs_emit(kvm_exit, .guest_rip = ctx->guest_rip, .info1 = ctx->info1, .info2 = ctx->info2,
		       .exit_reason = ctx->exit_reason, .isa = ctx->isa, .intr_info = ctx->intr_info,
		       .error_code = ctx->error_code, .vcpu_id = ctx->vcpu_id, .tgid = tgid);
}

SEC("tp_btf/kvm_entry")
int BPF_PROG(on_kvm_entry, struct kvm_vcpu *vcpu)
{
	u32 tgid;

	if (!is_watched(&tgid))
		return 0;
	return hs_emit(kvm_entry, .vcpu_id = vcpu->vcpu_id, .tgid = tgid);
}

SEC("tp_btf/kvm_userspace_exit")
int BPF_PROG(on_kvm_userspace_exit, u32 reason, int err)
{
	u32 tgid;

	if (!is_watched(&tgid))
		return 0;
	return hs_emit(kvm_userspace_exit, .reason = reason, .err = err, .tgid = tgid);
}

/* raw_tp: Linux 6.1 refuses a tp_btf program an argument of type `const void *`. */
SEC("raw_tp/kvm_pio")
int BPF_PROG(on_kvm_pio, u32 rw, u32 port, u32 size, u32 count, const void *data)
{
	u32 tgid, val = 0;

	if (!is_watched(&tgid))
		return 0;
	hs_read_bounded(&val, sizeof(val), (u64)data, size);
	return hs_emit(kvm_pio, .rw = rw, .port = port, .size = size, .count = count, .val = val, .tgid = tgid);
}

SEC("tp_btf/kvm_mmio")
int BPF_PROG(on_kvm_mmio, int type, int len, u64 gpa, const void *data)
{
	u32 tgid;
	u64 val = 0;

	if (!is_watched(&tgid))
		return 0;
	if (data)
		hs_read_bounded(&val, sizeof(val), (u64)data, (u32)len);
	return hs_emit(kvm_mmio, .type = type, .len = len, .tgid = tgid, .gpa = gpa, .val = val);
}

SEC("tp_btf/kvm_set_irq")
int BPF_PROG(on_kvm_set_irq, u32 gsi, int level, int irq_source_id)
{
	u32 tgid;

	if (!is_watched(&tgid))
		return 0;
	return hs_emit(kvm_set_irq, .gsi = gsi, .level = level, .irq_source_id = irq_source_id, .tgid = tgid);
}

SEC("tp_btf/kvm_msi_set_irq")
int BPF_PROG(on_kvm_msi_set_irq, u64 address, u64 data)
{
	u32 tgid;

	if (!is_watched(&tgid))
		return 0;
	return hs_emit(kvm_msi_set_irq, .address = address, .data = data, .tgid = tgid);
}

SEC("tp_btf/kvm_inj_virq")
int BPF_PROG(on_kvm_inj_virq, u32 vector, bool soft, bool reinjected)
{
	u32 tgid;

	if (!is_watched(&tgid))
		return 0;
	return hs_emit(kvm_inj_virq, .vector = vector, .soft = soft, .reinjected = reinjected, .tgid = tgid);
}
