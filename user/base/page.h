/* SPDX-License-Identifier: GPL-2.0-only */
/* Documents as one HTML file that loads nothing else: a verb's template, what all pages share, the data. Host only. */
#ifndef HS_BASE_PAGE_H
#define HS_BASE_PAGE_H

#include "json.h"

/* The file at `path` (from the top directory) becomes the text `symbol` of this translation unit. */
#define HS_PAGE_EMBED(symbol, path)                                                                                    \
	__asm__(".section .rodata\n" #symbol ": .incbin \"" path "\"\n"                                                \
		".byte 0\n"                                                                                            \
		".previous\n");                                                                                        \
	extern const char symbol[]

/*
 * Writes `html` with @STYLE@ and @PLOT@ replaced by the shared style sheet and plotting functions (page.css, page.js),
 * and @DOCUMENT@ by the document. 0 or -errno after a message.
 */
int hs_page_write(const char *html, json_object *document, const char *path);

#endif
