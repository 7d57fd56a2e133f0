/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bytes of one connection, in pieces of any size, to messages. Contents of pages are passed over, not kept. Both ends
 * use it; it belongs to one thread. What the peer sends is never trusted.
 */
#ifndef HS_MIGTOOLS_STREAM_PARSER_H
#define HS_MIGTOOLS_STREAM_PARSER_H

#include "migtools/stream_wire.h"

enum hs_stream_end { HS_STREAM_SOURCE, HS_STREAM_DESTINATION };

/* A whole message. A page 0 that carries a hello is told as HELLO instead. */
struct hs_stream_message {
	uint64_t magic; /* enum hs_stream_magic */
	uint64_t number;
	bool is_hello; /* magic is PAGE */
	union {
		struct hs_stream_hello hello;
		struct hs_stream_accept accept;
		struct hs_stream_times times;
	};
};

struct hs_stream_parser {
	enum hs_stream_end end; /* who reads */
	bool is_ours;		/* the peer has said so: messages beyond mig_mon's are taken */
	uint32_t page_bytes;	/* AGREED changes it */
	uint64_t vm_bytes;	/* page indexes of a source must lie below */
	/* Private: */
	bool has_begun;
	uint8_t kept[HS_STREAM_HEADER_BYTES + HS_STREAM_HELLO_BYTES];
	size_t kept_bytes, wanted_bytes; /* of header and what is kept of the body */
	uint64_t body_bytes;		 /* of this message, after what was kept */
	bool in_body;
	struct hs_stream_message message;
};

void hs_stream_parser_begin(struct hs_stream_parser *parser, enum hs_stream_end end, uint32_t page_bytes,
			    uint64_t vm_bytes);

/*
 * Takes bytes from *at, which it moves, until a message is whole or `limit` is reached.
 * 1: *out is a message; 0: all bytes are taken; -EPROTO: a header that this peer cannot send (its first number is in
 * out->magic); -ERANGE: a page beyond the memory (out->number). After an error the connection is of no use.
 */
int hs_stream_parser_next(struct hs_stream_parser *parser, const uint8_t **at, const uint8_t *limit,
			  struct hs_stream_message *out);

/* Whether the bytes so far end in the middle of a message. */
bool hs_stream_parser_is_inside(const struct hs_stream_parser *parser);

#endif
