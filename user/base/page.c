// SPDX-License-Identifier: GPL-2.0-only
/* Style sheet and plots of all pages are built in; a template's places are filled from left to right. */
#include "page.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "scoped.h"

HS_PAGE_EMBED(style_text, "user/base/page.css");
HS_PAGE_EMBED(plot_text, "user/base/page.js");

/* "</script>" inside the data would end it: '<' is written as its escape, which JSON has too. */
static void write_data(FILE *file, json_object *document)
{
	for (const char *json = json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN); *json; json++)
		if (*json == '<')
			fputs("\\u003c", file);
		else
			fputc(*json, file);
}

/* The length of the place that begins here, 0 if none does; what belongs there is written. */
static size_t fill_place(FILE *file, const char *html, json_object *document)
{
	static const struct {
		const char *name, *text; /* NULL: the document */
	} places[] = { { "@STYLE@", style_text }, { "@PLOT@", plot_text }, { "@DOCUMENT@", NULL } };

	for (size_t i = 0; i < HS_ARRAY_SIZE(places); i++) {
		if (strncmp(html, places[i].name, strlen(places[i].name)) != 0)
			continue;
		if (places[i].text)
			fputs(places[i].text, file);
		else
			write_data(file, document);
		return strlen(places[i].name);
	}
	return 0;
}

int hs_page_write(const char *html, json_object *document, const char *path)
{
	scoped(file) FILE *file = fopen(path, "we");

	if (!file)
		return hs_fail(-errno, "cannot write %s:", path);
	while (*html) {
		size_t filled = *html == '@' ? fill_place(file, html, document) : 0;

		if (!filled)
			fputc(*html, file);
		html += filled ? filled : 1;
	}
	return fflush(file) || ferror(file) ? hs_fail(-EIO, "cannot write %s", path) : 0;
}
