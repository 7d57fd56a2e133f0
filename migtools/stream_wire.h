/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `vm` sends: mig_mon's three messages, and what two of ours say to each other beyond them. Numbers are
 * little-endian, which is what mig_mon sends on every little-endian host. Pure; any thread.
 *
 * A source of ours hides its hello in the contents of the first page, which a mig_mon destination throws away unread;
 * a destination of ours answers it (ACCEPT), one of mig_mon's does not. The source streams in mig_mon's form from the
 * first byte and says AGREED once it was answered: nobody waits, nobody guesses by time.
 */
#ifndef HS_MIGTOOLS_STREAM_WIRE_H
#define HS_MIGTOOLS_STREAM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_STREAM_PORT 12323 /* TCP */
#define HS_STREAM_VERSION 1u

#define HS_STREAM_HEADER_BYTES 16
#define HS_STREAM_HELLO_BYTES 64  /* at the start of page 0's contents */
#define HS_STREAM_ACCEPT_BYTES 16 /* after its header */
#define HS_STREAM_TIMES_BYTES 16  /* between an answer's header and its page */

#define HS_STREAM_PAGE_BYTES_MIN 512u
#define HS_STREAM_PAGE_BYTES_MAX (2u << 20)

/* First number of a header; the second one follows in brackets. */
enum hs_stream_magic {
	HS_STREAM_PAGE = 0x123,	     /* source to destination: [page index], a page */
	HS_STREAM_REQUEST = 0x124,   /* destination to source: [page index] */
	HS_STREAM_HANDSHAKE = 0x125, /* source to destination: [0]; from now on the destination requests pages */
	/* Only between two of ours: */
	HS_STREAM_ACCEPT = 0x68730001,	/* destination to source: [enum hs_stream_refusal], its version and sizes */
	HS_STREAM_AGREED = 0x68730002,	/* source to destination: [page size of all that follows] */
	HS_STREAM_ANSWER = 0x68730003,	/* source to destination: [page index], times of the answer before, a page */
	HS_STREAM_FLUSH = 0x68730004,	/* source to destination: [number] */
	HS_STREAM_FLUSHED = 0x68730005, /* destination to source: [number]: all that came before has been read */
};

enum hs_stream_refusal {
	HS_STREAM_ACCEPTED,
	HS_STREAM_BAD_VERSION,
	HS_STREAM_TOO_LARGE,	 /* the source emulates more memory than the destination */
	HS_STREAM_BAD_PAGE_SIZE, /* both insist, on different ones */
	HS_STREAM_REFUSAL_NR
};

/* What a source offers, or a destination is. */
struct hs_stream_offer {
	uint32_t version;
	uint32_t page_bytes;
	bool page_size_fixed; /* the user named it */
	uint64_t vm_bytes;
};

struct hs_stream_hello {
	struct hs_stream_offer offer;
	uint64_t session; /* the same in all connections of one source */
	uint32_t stream, streams;
};

struct hs_stream_accept {
	enum hs_stream_refusal refusal;
	uint32_t version;    /* what both speak */
	uint32_t page_bytes; /* agreed; the destination's own when refused */
	uint64_t vm_bytes;   /* the destination's */
};

/* How long the answer before this one had waited at the source, UINT64_MAX: not known. */
struct hs_stream_times {
	uint64_t program_ns; /* from the request's arrival until the answer was handed to the socket */
	uint64_t socket_ns;  /* from there until it left for the device */
};

void hs_stream_put_header(uint8_t *bytes, enum hs_stream_magic magic, uint64_t number);
void hs_stream_get_header(const uint8_t *bytes, uint64_t *magic, uint64_t *number);

void hs_stream_put_hello(uint8_t *bytes, const struct hs_stream_hello *hello);
/* 0; -ENOENT: no hello, but any page's contents; -EPROTO: one that makes no sense. */
int hs_stream_get_hello(const uint8_t *bytes, struct hs_stream_hello *out);

/* With its header: HS_STREAM_HEADER_BYTES + HS_STREAM_ACCEPT_BYTES. */
void hs_stream_put_accept(uint8_t *bytes, const struct hs_stream_accept *accept);
/* number is the header's second one, bytes what follows the header. -EPROTO: makes no sense. */
int hs_stream_get_accept(uint64_t number, const uint8_t *bytes, struct hs_stream_accept *out);

void hs_stream_put_times(uint8_t *bytes, const struct hs_stream_times *times);
void hs_stream_get_times(const uint8_t *bytes, struct hs_stream_times *out);

/* What the destination makes of the offer: the larger page size unless one end insists on its own. */
struct hs_stream_accept hs_stream_negotiate(const struct hs_stream_offer *source,
					    const struct hs_stream_offer *destination);

/* A power of two within the limits. */
bool hs_stream_is_page_size(uint64_t bytes);

#endif
