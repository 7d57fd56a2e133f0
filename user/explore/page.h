/* SPDX-License-Identifier: GPL-2.0-only */
/* A sweep's document as one HTML file that loads nothing else. */
#ifndef HS_EXPLORE_PAGE_H
#define HS_EXPLORE_PAGE_H

#include "base/json.h"

/* 0 or -errno after a message. */
int hs_explore_page_write(json_object *document, const char *path);

#endif
