// SPDX-License-Identifier: GPL-2.0-only
/* Messages to bytes and back, and what two offers make together. */
#include "migtools/stream_wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HELLO_MAGIC "HSBPF-VM"
#define FLAG_PAGE_SIZE_FIXED 1u

static void put32(uint8_t *bytes, uint32_t value)
{
	value = htole32(value);
	memcpy(bytes, &value, sizeof(value));
}

static void put64(uint8_t *bytes, uint64_t value)
{
	value = htole64(value);
	memcpy(bytes, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

void hs_stream_put_header(uint8_t *bytes, enum hs_stream_magic magic, uint64_t number)
{
	put64(bytes, magic);
	put64(bytes + 8, number);
}

void hs_stream_get_header(const uint8_t *bytes, uint64_t *magic, uint64_t *number)
{
	*magic = get64(bytes);
	*number = get64(bytes + 8);
}

/* 8 magic, 4 version, 4 page size, 8 memory, 8 session, 4 stream, 4 streams, 4 flags, 20 zeros. */
void hs_stream_put_hello(uint8_t *bytes, const struct hs_stream_hello *hello)
{
	memset(bytes, 0, HS_STREAM_HELLO_BYTES);
	memcpy(bytes, HELLO_MAGIC, 8);
	put32(bytes + 8, hello->offer.version);
	put32(bytes + 12, hello->offer.page_bytes);
	put64(bytes + 16, hello->offer.vm_bytes);
	put64(bytes + 24, hello->session);
	put32(bytes + 32, hello->stream);
	put32(bytes + 36, hello->streams);
	put32(bytes + 40, hello->offer.page_size_fixed ? FLAG_PAGE_SIZE_FIXED : 0);
}

int hs_stream_get_hello(const uint8_t *bytes, struct hs_stream_hello *out)
{
	struct hs_stream_hello hello;

	if (memcmp(bytes, HELLO_MAGIC, 8) != 0)
		return -ENOENT;
	hello = (struct hs_stream_hello){
		.offer = { .version = get32(bytes + 8),
			   .page_bytes = get32(bytes + 12),
			   .vm_bytes = get64(bytes + 16),
			   .page_size_fixed = get32(bytes + 40) & FLAG_PAGE_SIZE_FIXED },
		.session = get64(bytes + 24),
		.stream = get32(bytes + 32),
		.streams = get32(bytes + 36),
	};
	if (!hello.offer.version || !hs_stream_is_page_size(hello.offer.page_bytes) ||
	    hello.offer.vm_bytes < hello.offer.page_bytes || hello.stream >= hello.streams)
		return -EPROTO;
	*out = hello;
	return 0;
}

/* 4 version, 4 page size, 8 memory. */
void hs_stream_put_accept(uint8_t *bytes, const struct hs_stream_accept *accept)
{
	hs_stream_put_header(bytes, HS_STREAM_ACCEPT, accept->refusal);
	bytes += HS_STREAM_HEADER_BYTES;
	put32(bytes, accept->version);
	put32(bytes + 4, accept->page_bytes);
	put64(bytes + 8, accept->vm_bytes);
}

int hs_stream_get_accept(uint64_t number, const uint8_t *bytes, struct hs_stream_accept *out)
{
	struct hs_stream_accept accept = { .version = get32(bytes),
					   .page_bytes = get32(bytes + 4),
					   .vm_bytes = get64(bytes + 8) };

	if (number >= HS_STREAM_REFUSAL_NR || !hs_stream_is_page_size(accept.page_bytes))
		return -EPROTO;
	accept.refusal = (enum hs_stream_refusal)number;
	*out = accept;
	return 0;
}

void hs_stream_put_times(uint8_t *bytes, const struct hs_stream_times *times)
{
	put64(bytes, times->program_ns);
	put64(bytes + 8, times->socket_ns);
}

void hs_stream_get_times(const uint8_t *bytes, struct hs_stream_times *out)
{
	*out = (struct hs_stream_times){ .program_ns = get64(bytes), .socket_ns = get64(bytes + 8) };
}

static uint32_t agree_on_page_size(const struct hs_stream_offer *source, const struct hs_stream_offer *destination)
{
	if (source->page_size_fixed)
		return source->page_bytes;
	if (destination->page_size_fixed)
		return destination->page_bytes;
	return source->page_bytes > destination->page_bytes ? source->page_bytes : destination->page_bytes;
}

struct hs_stream_accept hs_stream_negotiate(const struct hs_stream_offer *source,
					    const struct hs_stream_offer *destination)
{
	struct hs_stream_accept accept = { .version = source->version < destination->version ? source->version
											     : destination->version,
					   .page_bytes = destination->page_bytes,
					   .vm_bytes = destination->vm_bytes };

	if (!accept.version)
		accept.refusal = HS_STREAM_BAD_VERSION;
	else if (source->vm_bytes > destination->vm_bytes)
		accept.refusal = HS_STREAM_TOO_LARGE;
	else if (source->page_size_fixed && destination->page_size_fixed &&
		 source->page_bytes != destination->page_bytes)
		accept.refusal = HS_STREAM_BAD_PAGE_SIZE;
	else
		accept.page_bytes = agree_on_page_size(source, destination);
	return accept;
}

bool hs_stream_is_page_size(uint64_t bytes)
{
	return bytes >= HS_STREAM_PAGE_BYTES_MIN && bytes <= HS_STREAM_PAGE_BYTES_MAX && !(bytes & (bytes - 1));
}
