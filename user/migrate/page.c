// SPDX-License-Identifier: GPL-2.0-only
/* The page's template is page.html, built in. */
#include "migrate/page.h"

#include "base/page.h"

HS_PAGE_EMBED(template, "user/migrate/page.html");

int hs_migrate_page_write(json_object *document, const char *path)
{
	return hs_page_write(template, document, path);
}
