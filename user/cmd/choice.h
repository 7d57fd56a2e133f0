/* SPDX-License-Identifier: GPL-2.0-only */
/* Options that several reading verbs share: VMs and vCPUs of a recording. Called while a verb starts; one thread. */
#ifndef HS_CMD_CHOICE_H
#define HS_CMD_CHOICE_H

#include "analysis/scope.h"
#include "base/opt.h"
#include "trace_events/event_set.h"
#include "capture/vm.h"

/* Takes the VMs' names from a recording's document; it may be missing (NULL, or of a killed recorder). 0 or -ENOMEM. */
int hs_choice_read_names(const char *record_path, struct hs_vm_list *vms);

/* Sets *chosen to list when there is a text. 0, or an exit code after a message. */
int hs_choice_parse_list(const char *option, const char *text, struct hs_cpulist *list,
			 const struct hs_cpulist **chosen);

/* Appends the process of every VM that a user names, by name or PID, to tgids (HS_OPT_LIST_MAX). 0 or -ENOENT (said).
 */
int hs_choice_add_vms(const struct hs_vm_list *vms, const struct hs_opt_list *names, uint32_t *tgids, size_t *tgid_nr);

/* Adds what -P and -e name. 0, or an exit code after a message. */
int hs_choice_add_events(const struct hs_opt_list *profiles, const struct hs_opt_list *events,
			 struct hs_event_set *set);

#endif
