// SPDX-License-Identifier: GPL-2.0-only
/*
 * The maps and settings that all programs share, defined once; hs.bpf.h says what they hold. User space sizes
 * `slots`, `controls` and `lost` for the machine's CPUs before loading.
 */
#include "bpf/filter.bpf.h"
#include "bpf/hs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct hs_slots slots SEC(".maps");
struct hs_controls controls SEC(".maps");
struct hs_wake wake SEC(".maps");
struct hs_lost lost SEC(".maps");
struct hs_about_map about SEC(".maps");
struct hs_tgids tgids SEC(".maps");
struct hs_taps taps SEC(".maps");

const volatile __u32 slot_bits = 0;
const volatile bool overwriting = 0;
const volatile bool host_wide = 0;
struct hs_cpus cpus SEC(".maps");
struct hs_exit_reasons exit_reasons SEC(".maps");
const volatile bool by_cpu = 0;
const volatile bool by_exit_reason = 0;
const volatile __u64 min_exit_ns = 0;
const volatile __u64 trigger_exit_ns = 0;
const volatile bool trigger_panic = 0;
