/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory in which a guest's kernel leaves its last words: a file of the host's, in the guest a PCI device whose
 * BAR the module ramoops writes to. A file beside the guest's own memory, so nothing is taken from that. L1 has one
 * more device for each L2, and L2's QEMU passes that BAR on: its words are on the host also when L1 dies with it.
 * What host, QEMU's command lines and init must agree on; the layout is what ramoops makes of these parameters.
 */
#ifndef HS_ORCHESTRATE_CRASH_H
#define HS_ORCHESTRATE_CRASH_H

#include <stdbool.h>

#include "labdir.h"

#define HS_CRASH_BYTES 0x100000u
/* Zones in the order in which they lie there: five dumps, the console's (only where the kernel has
 * CONFIG_PSTORE_CONSOLE), function calls (CONFIG_PSTORE_FTRACE), what programs left (CONFIG_PSTORE_PMSG). A dump is
 * packed: 128 KiB hold some 220 KB of log, which is a whole one. */
#define HS_CRASH_ZONE_BYTES 0x20000u
#define HS_CRASH_DUMPS 5u
#define HS_CRASH_ECC_BYTES 16u

/* The file, below the lab's crash_dir: MACHINE.ramoops. */
#define HS_CRASH_SUFFIX ".ramoops"

/*
 * Makes that file with all its blocks, so that a full disk is no guest's end; one that is there stays as it is.
 * Message on failure.
 */
int hs_crash_memory_make(const char *dir, const char *machine);

/* Whether a kernel has left something in one of the memories there. */
bool hs_crash_is_left(const char *dir);

/* The folder in which a crash was seen last, for who does not know it: a link, which may dangle. */
#define HS_CRASH_LINK HS_LAB_ROOT "/.last"
void hs_crash_link_set(const char *dir);

#endif
