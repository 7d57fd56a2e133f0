/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The verbs for migrations, one per file of migtools/. They are in two programs: hsbpf, and hsbpf-migtools, which is
 * static and is what runs in guests. Nothing here may use more than user/base.
 */
#ifndef HS_MIGTOOLS_MIGTOOLS_H
#define HS_MIGTOOLS_MIGTOOLS_H

#include "base/opt.h"

extern const struct hs_verb cmd_mm_dirty;
extern const struct hs_verb cmd_server_rr, cmd_client_rr, cmd_client, cmd_server;
extern const struct hs_verb cmd_vm;

/* The rows of both programs' tables; one a line. */
/* clang-format off */
#define HS_MIGTOOLS_VERBS \
	&cmd_mm_dirty, \
	&cmd_server_rr, \
	&cmd_client_rr, \
	&cmd_client, \
	&cmd_server, \
	&cmd_vm,
/* clang-format on */

#endif
