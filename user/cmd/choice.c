// SPDX-License-Identifier: GPL-2.0-only
/* What users say of VMs and CPUs, for the verbs that read recordings. Called while a verb starts; one thread. */
#include "cmd/choice.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/unit.h"

int hs_choice_read_names(const char *record_path, struct hs_vm_list *vms)
{
	scoped(json) json_object *document = NULL;

	if (!record_path || hs_json_read_file(record_path, &document))
		return 0;
	return hs_vms_from_json(hs_json_get(document, "vms"), vms);
}

int hs_choice_parse_list(const char *option, const char *text, struct hs_cpulist *list,
			 const struct hs_cpulist **chosen)
{
	if (!text)
		return 0;
	if (hs_cpulist_parse(text, list)) {
		hs_err("--%s takes a list such as 0-3,7, not '%s'", option, text);
		return HS_EXIT_USAGE;
	}
	*chosen = list;
	return 0;
}

static int add_vm(const struct hs_vm_list *vms, const char *text, uint32_t *tgids, size_t *tgid_nr)
{
	size_t before = *tgid_nr;
	uint64_t tgid;

	for (size_t i = 0; i < vms->vm_nr && *tgid_nr < HS_OPT_LIST_MAX; i++)
		if (!strcmp(vms->vms[i].name, text))
			tgids[(*tgid_nr)++] = (uint32_t)vms->vms[i].tgid;
	if (*tgid_nr > before)
		return 0;
	if (hs_parse_u64(text, &tgid) || tgid > UINT32_MAX || *tgid_nr == HS_OPT_LIST_MAX)
		return hs_fail(-ENOENT, "the recording names no VM '%s'", text);
	tgids[(*tgid_nr)++] = (uint32_t)tgid;
	return 0;
}

int hs_choice_add_vms(const struct hs_vm_list *vms, const struct hs_opt_list *names, uint32_t *tgids, size_t *tgid_nr)
{
	int err = 0;

	for (size_t i = 0; i < names->count && !err; i++)
		err = add_vm(vms, names->items[i], tgids, tgid_nr);
	return err;
}

int hs_choice_add_events(const struct hs_opt_list *profiles, const struct hs_opt_list *events, struct hs_event_set *set)
{
	for (size_t i = 0; i < profiles->count; i++) {
		if (hs_event_set_add_profile(set, profiles->items[i])) {
			hs_err("there is no profile '%s'; `hsbpf events` lists them", profiles->items[i]);
			return HS_EXIT_USAGE;
		}
	}
	for (size_t i = 0; i < events->count; i++) {
		if (!hs_event_set_add_glob(set, events->items[i])) {
			hs_err("no event is called '%s'; `hsbpf events` lists them", events->items[i]);
			return HS_EXIT_USAGE;
		}
	}
	return 0;
}
