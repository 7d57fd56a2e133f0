// SPDX-License-Identifier: GPL-2.0-only
/* The page is page.html, built in; the document goes into its place in it. */
#include "migrate/page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scoped.h"

__asm__(".section .rodata\n"
	"hs_page_html: .incbin \"user/migrate/page.html\"\n"
	".byte 0\n"
	".previous\n");
extern const char hs_page_html[];

#define PLACE "@DOCUMENT@"

/* "</script>" inside the data would end it: '<' is written as its escape, which JSON has too. */
static void write_data(FILE *file, const char *json)
{
	for (; *json; json++)
		if (*json == '<')
			fputs("\\u003c", file);
		else
			fputc(*json, file);
}

int hs_page_write(json_object *document, const char *path)
{
	const char *place = strstr(hs_page_html, PLACE);
	scoped(file) FILE *file = fopen(path, "we");

	if (!file)
		return hs_fail(-errno, "cannot write %s:", path);
	if (!place)
		return hs_fail(-EINVAL, "the page has no place for its data");
	fwrite(hs_page_html, 1, (size_t)(place - hs_page_html), file);
	write_data(file, json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN));
	fputs(place + strlen(PLACE), file);
	return fflush(file) || ferror(file) ? hs_fail(-EIO, "cannot write %s", path) : 0;
}
