/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From rings into packets: a CPU's records in time order, each packet with what was lost before its end. Used by a
 * capture for its own rings and by hs_salvage() for those of a dead one; one thread per trace.
 */
#ifndef HS_CAPTURE_DRAIN_H
#define HS_CAPTURE_DRAIN_H

#include "capture/ring.h"
#include "trace/ctf_writer.h"

/*
 * Takes every record of the CPU that is complete and writes it; what cannot be written is counted by the writer. Also
 * writes a packet without records when only losses are new.
 */
void hs_drain_cpu(struct hs_rings *rings, uint32_t cpu, struct hs_ctf_writer *writer);

/*
 * An overwriting ring: writes what it holds now, oldest first, and leaves it there; the kernel may go on. The answer is
 * the number of this CPU's records that were there before and are written over.
 */
uint64_t hs_drain_snapshot(const struct hs_rings *rings, uint32_t cpu, struct hs_ctf_writer *writer);

#endif
