// SPDX-License-Identifier: GPL-2.0-only
/*
 * A message is its header, a part of its body that is kept (hello, acceptance, times), and a part that is passed over.
 * How long they are is known when the header is there, only for a hello when that is there.
 */
#include "migtools/stream_parser.h"

#include <errno.h>
#include <string.h>

void hs_stream_parser_begin(struct hs_stream_parser *parser, enum hs_stream_end end, uint32_t page_bytes,
			    uint64_t vm_bytes)
{
	*parser = (struct hs_stream_parser){
		.end = end, .page_bytes = page_bytes, .vm_bytes = vm_bytes, .wanted_bytes = HS_STREAM_HEADER_BYTES
	};
}

static bool may_send(const struct hs_stream_parser *parser, uint64_t magic)
{
	bool to_source = parser->end == HS_STREAM_SOURCE;

	switch (magic) {
	case HS_STREAM_PAGE:
	case HS_STREAM_HANDSHAKE:
		return !to_source;
	case HS_STREAM_REQUEST:
		return to_source;
	case HS_STREAM_ACCEPT: /* the answer to our hello: how a source learns that the peer is ours */
		return to_source;
	case HS_STREAM_FLUSHED:
		return to_source && parser->is_ours;
	case HS_STREAM_AGREED:
	case HS_STREAM_ANSWER:
	case HS_STREAM_FLUSH:
		return !to_source && parser->is_ours;
	}
	return false;
}

static bool has_page(uint64_t magic)
{
	return magic == HS_STREAM_PAGE || magic == HS_STREAM_ANSWER;
}

/* A hello can only be the first message: later pages may hold anything. */
static bool may_be_hello(const struct hs_stream_parser *parser)
{
	return !parser->has_begun && parser->message.magic == HS_STREAM_PAGE && !parser->message.number;
}

static int begin_message(struct hs_stream_parser *parser)
{
	struct hs_stream_message *message = &parser->message;

	*message = (struct hs_stream_message){ 0 };
	hs_stream_get_header(parser->kept, &message->magic, &message->number);
	if (!may_send(parser, message->magic))
		return -EPROTO;
	if (message->magic == HS_STREAM_AGREED && !hs_stream_is_page_size(message->number))
		return -EPROTO;
	if (has_page(message->magic) && message->number >= parser->vm_bytes / parser->page_bytes)
		return -ERANGE;
	if (may_be_hello(parser))
		parser->wanted_bytes += HS_STREAM_HELLO_BYTES;
	else if (message->magic == HS_STREAM_ACCEPT)
		parser->wanted_bytes += HS_STREAM_ACCEPT_BYTES;
	else if (message->magic == HS_STREAM_ANSWER)
		parser->wanted_bytes += HS_STREAM_TIMES_BYTES;
	return 0;
}

static int read_first_page(struct hs_stream_parser *parser, const uint8_t *body)
{
	struct hs_stream_message *message = &parser->message;
	int err = hs_stream_get_hello(body, &message->hello);

	if (err == -EPROTO)
		return err;
	message->is_hello = !err;
	parser->body_bytes =
		(err ? parser->page_bytes : message->hello.offer.page_bytes) - (uint64_t)HS_STREAM_HELLO_BYTES;
	return 0;
}

/* What was kept of the body is there. */
static int begin_body(struct hs_stream_parser *parser)
{
	const uint8_t *body = parser->kept + HS_STREAM_HEADER_BYTES;
	struct hs_stream_message *message = &parser->message;

	parser->in_body = true;
	parser->body_bytes = has_page(message->magic) ? parser->page_bytes : 0;
	if (may_be_hello(parser))
		return read_first_page(parser, body);
	if (message->magic == HS_STREAM_ACCEPT)
		return hs_stream_get_accept(message->number, body, &message->accept);
	if (message->magic == HS_STREAM_ANSWER)
		hs_stream_get_times(body, &message->times);
	return 0;
}

/* Fills what is kept; 0 when it is complete, 1 when bytes are missing. */
static int keep(struct hs_stream_parser *parser, const uint8_t **at, const uint8_t *limit)
{
	size_t missing = parser->wanted_bytes - parser->kept_bytes, there = (size_t)(limit - *at);
	size_t taken = missing < there ? missing : there;

	memcpy(parser->kept + parser->kept_bytes, *at, taken);
	parser->kept_bytes += taken;
	*at += taken;
	return taken < missing;
}

static int read_head(struct hs_stream_parser *parser, const uint8_t **at, const uint8_t *limit)
{
	bool had_header = parser->kept_bytes >= HS_STREAM_HEADER_BYTES;
	int err;

	if (keep(parser, at, limit))
		return 1;
	if (!had_header) {
		err = begin_message(parser);
		if (err)
			return err;
		if (keep(parser, at, limit))
			return 1;
	}
	return begin_body(parser);
}

static void end_message(struct hs_stream_parser *parser, struct hs_stream_message *out)
{
	*out = parser->message;
	if (out->magic == HS_STREAM_AGREED)
		parser->page_bytes = (uint32_t)out->number;
	parser->has_begun = true;
	parser->in_body = false;
	parser->kept_bytes = 0;
	parser->wanted_bytes = HS_STREAM_HEADER_BYTES;
}

int hs_stream_parser_next(struct hs_stream_parser *parser, const uint8_t **at, const uint8_t *limit,
			  struct hs_stream_message *out)
{
	uint64_t there;
	int err;

	if (!parser->in_body) {
		err = read_head(parser, at, limit);
		if (err < 0)
			*out = parser->message;
		if (err)
			return err < 0 ? err : 0;
	}
	there = (uint64_t)(limit - *at);
	if (there < parser->body_bytes) {
		parser->body_bytes -= there;
		*at = limit;
		return 0;
	}
	*at += parser->body_bytes;
	end_message(parser, out);
	return 1;
}

bool hs_stream_parser_is_inside(const struct hs_stream_parser *parser)
{
	return parser->in_body || parser->kept_bytes;
}
