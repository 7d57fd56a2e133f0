/* SPDX-License-Identifier: GPL-2.0-only */
/* An experiment's document as one HTML file that loads nothing else. */
#ifndef HS_MIGRATE_PAGE_H
#define HS_MIGRATE_PAGE_H

#include "base/json.h"

/* 0 or -errno after a message. */
int hs_migrate_page_write(json_object *document, const char *path);

#endif
