// SPDX-License-Identifier: GPL-2.0-only
/* Where orchestrate's files and the journal's decoder meet. */
#include "lab_last.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "journal/last.h"
#include "orchestrate/crash.h"

const struct hs_ramoops_layout hs_lab_last_layout = {
	.dump_bytes = HS_CRASH_ZONE_BYTES,
	.console_bytes = HS_CRASH_ZONE_BYTES,
	.ftrace_bytes = HS_CRASH_ZONE_BYTES,
	.pmsg_bytes = HS_CRASH_ZONE_BYTES,
	.region_bytes = HS_CRASH_BYTES,
};

void hs_lab_last_save(const char *last_dir, const char *machine)
{
	if (hs_last_save_region(last_dir, machine, &hs_lab_last_layout) > 0)
		hs_crash_link_set(last_dir);
}

void hs_lab_last_finish(const char *last_dir, const struct hs_lab *lab)
{
	for (unsigned i = 0; i < hs_lab_machines(lab); i++) {
		const char *machine = hs_lab_machine(lab, i)->name;
		scoped(mem) char *path = hs_format("%s/%s" HS_CRASH_SUFFIX, last_dir, machine);
		int saved;

		if (!path || access(path, F_OK) < 0)
			continue;
		saved = hs_last_save_region(last_dir, machine, &hs_lab_last_layout);
		if (saved > 0)
			hs_crash_link_set(last_dir);
		if (saved >= 0)
			unlink(path); /* what could not be saved stays in it */
	}
	rmdir(last_dir);
}
