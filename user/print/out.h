/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text on its way to a file descriptor, and numbers turned into text without printf: `hsbpf print` writes millions of
 * lines. One buffer belongs to one thread. The first error sticks; what follows it is dropped.
 */
#ifndef HS_PRINT_OUT_H
#define HS_PRINT_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HS_OUT_BYTES 65536

struct hs_out {
	int fd;
	int err; /* 0 or -errno of the first write that failed */
	size_t used;
	char bytes[HS_OUT_BYTES];
};

/* 0 or -errno: also that of an earlier write. */
int hs_out_flush(struct hs_out *out);

/* Any number of bytes. */
void hs_out_bytes(struct hs_out *out, const void *bytes, size_t byte_nr);

/* Place for that many (at most HS_OUT_BYTES) bytes; whoever fills them adds to `used`. */
static inline char *hs_out_room(struct hs_out *out, size_t byte_nr)
{
	if (HS_OUT_BYTES - out->used < byte_nr)
		hs_out_flush(out);
	return out->bytes + out->used;
}

static inline void hs_out_char(struct hs_out *out, char byte)
{
	*hs_out_room(out, 1) = byte;
	out->used++;
}

static inline void hs_out_text(struct hs_out *out, const char *text)
{
	hs_out_bytes(out, text, strlen(text));
}

void hs_out_fill(struct hs_out *out, char byte, size_t byte_nr);
void hs_out_u64(struct hs_out *out, uint64_t value);
void hs_out_s64(struct hs_out *out, int64_t value);
void hs_out_hex(struct hs_out *out, uint64_t value);				 /* 0x1f */
void hs_out_u64_padded(struct hs_out *out, uint64_t value, unsigned int digits); /* at least: 007 */
void hs_out_ipv4(struct hs_out *out, uint32_t address);				 /* host byte order */

/* Words that others chose (names of VMs): control characters as \xNN; as a JSON string; as a CSV field. */
void hs_out_safe(struct hs_out *out, const char *text);
void hs_out_json(struct hs_out *out, const char *text);
void hs_out_csv(struct hs_out *out, const char *text);

/*
 * The same for what a guest chose, of any bytes: what is no UTF-8 is \xNN, in JSON U+FFFD. CSV: the inside of a quoted
 * field.
 */
void hs_out_safe_bytes(struct hs_out *out, const void *bytes, size_t byte_nr);
void hs_out_json_bytes(struct hs_out *out, const void *bytes, size_t byte_nr);
void hs_out_csv_bytes(struct hs_out *out, const void *bytes, size_t byte_nr);

/* A byte as a printable character, else as \xNN. */
void hs_out_byte(struct hs_out *out, uint8_t byte);

#endif
