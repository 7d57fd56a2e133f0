// SPDX-License-Identifier: GPL-2.0-only
/* The table of engines: another one is a row here, and a file of its own. */
#include "explore/engine.h"

#include <stddef.h>

const struct hs_engine hs_engines[] = { { "local", hs_engine_local_run } };
const char *const hs_engine_names[] = { "local", NULL };
