// SPDX-License-Identifier: GPL-2.0-only
/* The table of VM exits, looked up by number and by name. Pure functions. */
#include "trace_events/exit_reason.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define VMX HS_ISA_VMX
#define SVM HS_ISA_SVM
#define VMX_NUMBER_MASK 0xffff /* above: flags such as a failed entry */

static const struct {
	uint32_t isa, reason;
	const char *text;
} reasons[] = {
#define EXIT_REASON(isa, number, name) { isa, number, name },
#include "trace_events/exit_reason.def"
};

#define REASON_NR (sizeof(reasons) / sizeof(reasons[0]))

const char *hs_exit_reason_text(uint32_t isa, uint32_t reason)
{
	if (isa == HS_ISA_VMX)
		reason &= VMX_NUMBER_MASK;
	for (unsigned int i = 0; i < REASON_NR; i++) {
		if (reasons[i].isa == isa && reasons[i].reason == reason)
			return reasons[i].text;
	}
	return NULL;
}

int hs_exit_reason_find(uint32_t isa, const char *text, uint32_t *reason)
{
	unsigned long number;
	char *end;

	for (unsigned int i = 0; i < REASON_NR; i++) {
		if (reasons[i].isa == isa && !strcasecmp(reasons[i].text, text)) {
			*reason = reasons[i].reason;
			return 0;
		}
	}
	errno = 0;
	number = strtoul(text, &end, 0);
	if (errno || end == text || *end || number > UINT32_MAX || *text == '-')
		return -ENOENT;
	*reason = (uint32_t)number;
	return 0;
}
