// SPDX-License-Identifier: GPL-2.0-only
/* Where the logs of a lab's machines are. */
#include "lab_log.h"

#include <errno.h>

#include "base/argv.h"
#include "orchestrate/ports.h"

int hs_lab_log_start(const struct hs_lab *lab, const char *dir, struct hs_journal_recorder **out)
{
	scoped(mem) struct hs_journal_machine *machines = calloc(hs_lab_machines(lab), sizeof(*machines));
	scoped(argv) struct hs_argv sockets = { 0 };
	bool has_agents = hs_lab_config(lab)->guest_trace;
	unsigned count = 0;

	for (unsigned i = 0; machines && i < hs_lab_machines(lab); i++) {
		const struct hs_machine *machine = hs_lab_machine(lab, i);

		hs_argv_add(&sockets, "%s/%s." HS_LOG_PORT, hs_lab_dir(lab), machine->name);
		if (!machine->console_path || sockets.err)
			continue; /* a process in a namespace */
		machines[count++] = (struct hs_journal_machine){ .name = machine->name,
								 .agent = has_agents ? sockets.words[i] : NULL,
								 .console = machine->console_path,
								 .qemu = machine->errors_path };
	}
	return machines && !sockets.err ? hs_journal_recorder_start(dir, machines, count, out) : -ENOMEM;
}
