// SPDX-License-Identifier: GPL-2.0-only
/*
 * The maps and settings that all programs share, defined once; hs.bpf.h says what they hold. User space sizes
 * `rings` and `lost` for the machine's CPUs before loading.
 */
#include "bpf/hs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct hs_rings rings SEC(".maps");
struct hs_lost lost SEC(".maps");
struct hs_tgids tgids SEC(".maps");
struct hs_taps taps SEC(".maps");

const volatile __u64 fill_mark_bytes = 0;
const volatile bool host_wide = 0;
