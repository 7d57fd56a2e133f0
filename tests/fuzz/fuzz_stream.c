// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as what a peer of `vm` sends: cut in pieces or whole they make the same messages and the same end, and
 * nothing is taken that this end's peer cannot send. The first byte chooses the end, the second the size of pieces.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migtools/stream_parser.h"

#define PAGE_BYTES 512
#define PAGES 64

struct result {
	char text[8192];
	size_t used;
	int end;
	bool is_inside;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hs_stream_parser *parser, const struct hs_stream_message *message)
{
	if (parser->end == HS_STREAM_SOURCE && message->magic == HS_STREAM_PAGE)
		abort();
	if (message->magic == HS_STREAM_ACCEPT && message->accept.refusal >= HS_STREAM_REFUSAL_NR)
		abort();
	if (!hs_stream_is_page_size(parser->page_bytes))
		abort();
}

static void parse(const uint8_t *data, size_t size, enum hs_stream_end end, size_t piece, struct result *result)
{
	struct hs_stream_parser parser;

	memset(result, 0, sizeof(*result));
	hs_stream_parser_begin(&parser, end, PAGE_BYTES, PAGES * PAGE_BYTES);
	for (size_t start = 0; start < size && !result->end; start += piece) {
		const uint8_t *at = data + start, *limit = data + (start + piece < size ? start + piece : size);
		struct hs_stream_message message;

		while ((result->end = hs_stream_parser_next(&parser, &at, limit, &message)) > 0) {
			int len = snprintf(result->text + result->used, sizeof(result->text) - result->used,
					   "%d:%llx:%llx ", message.is_hello, (unsigned long long)message.magic,
					   (unsigned long long)message.number);

			check(&parser, &message);
			if (result->used + (size_t)len < sizeof(result->text))
				result->used += (size_t)len;
			parser.is_ours = parser.is_ours || message.is_hello || message.magic == HS_STREAM_ACCEPT;
		}
	}
	result->is_inside = hs_stream_parser_is_inside(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, pieces;
	enum hs_stream_end end;
	size_t piece;

	if (size < 3)
		return 0;
	end = data[0] & 1 ? HS_STREAM_SOURCE : HS_STREAM_DESTINATION;
	piece = data[1] + 1u;
	parse(data + 2, size - 2, end, size, &whole);
	parse(data + 2, size - 2, end, piece, &pieces);
	if (whole.end != pieces.end || strcmp(whole.text, pieces.text) != 0 ||
	    (!whole.end && whole.is_inside != pieces.is_inside))
		abort();
	return 0;
}
