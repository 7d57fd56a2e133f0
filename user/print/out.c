// SPDX-License-Identifier: GPL-2.0-only
/* The buffer between `hsbpf print` and its output. Called from one thread. */
#include "print/out.h"

#include <stdbool.h>

#include "base/io.h"

static const char hex_digits[] = "0123456789abcdef";

int hs_out_flush(struct hs_out *out)
{
	if (!out->err && out->used)
		out->err = hs_write_all(out->fd, out->bytes, out->used);
	out->used = 0;
	return out->err;
}

void hs_out_bytes(struct hs_out *out, const void *bytes, size_t byte_nr)
{
	const char *from = bytes;

	while (byte_nr) {
		size_t part = byte_nr < HS_OUT_BYTES ? byte_nr : HS_OUT_BYTES;

		memcpy(hs_out_room(out, part), from, part);
		out->used += part;
		from += part;
		byte_nr -= part;
	}
}

void hs_out_fill(struct hs_out *out, char byte, size_t byte_nr)
{
	while (byte_nr--)
		hs_out_char(out, byte);
}

void hs_out_u64_padded(struct hs_out *out, uint64_t value, unsigned int digits)
{
	char text[20];
	unsigned int at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (at > 0 && sizeof(text) - at < digits)
		text[--at] = '0';
	hs_out_bytes(out, text + at, sizeof(text) - at);
}

void hs_out_u64(struct hs_out *out, uint64_t value)
{
	hs_out_u64_padded(out, value, 1);
}

void hs_out_s64(struct hs_out *out, int64_t value)
{
	if (value < 0)
		hs_out_char(out, '-');
	hs_out_u64(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void hs_out_hex(struct hs_out *out, uint64_t value)
{
	char text[18];
	unsigned int at = sizeof(text);

	do {
		text[--at] = hex_digits[value & 15];
		value >>= 4;
	} while (value);
	text[--at] = 'x';
	text[--at] = '0';
	hs_out_bytes(out, text + at, sizeof(text) - at);
}

void hs_out_ipv4(struct hs_out *out, uint32_t address)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		hs_out_u64(out, address >> shift & 0xff);
		if (shift)
			hs_out_char(out, '.');
	}
}

void hs_out_byte(struct hs_out *out, uint8_t byte)
{
	if (byte >= ' ' && byte < 0x7f) {
		hs_out_char(out, (char)byte);
		return;
	}
	hs_out_text(out, "\\x");
	hs_out_char(out, hex_digits[byte >> 4]);
	hs_out_char(out, hex_digits[byte & 15]);
}

/* Bytes of the UTF-8 character at `at`, of which `left` are there; 0: it is none. */
static size_t utf8_bytes(const uint8_t *at, size_t left)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
	uint32_t code = length > 1 ? *at & (0x7fu >> length) : *at;

	if (!length || length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	return code < lowest[length] || code > 0x10ffff || code >> 11 == 0x1b ? 0 : length;
}

/* A terminal may take U+0080 to U+009F for orders. */
static bool is_control(const uint8_t *at, size_t length)
{
	return length == 1 ? *at < ' ' || *at == 0x7f : length == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

static void put_safe(struct hs_out *out, const uint8_t *at, size_t byte_nr, bool is_quoted)
{
	for (size_t i = 0, length; i < byte_nr; i += length) {
		length = utf8_bytes(at + i, byte_nr - i);
		if (!length || is_control(at + i, length)) {
			length = 1;
			hs_out_byte(out, at[i]);
			continue;
		}
		if (is_quoted && at[i] == '"')
			hs_out_char(out, '"');
		hs_out_bytes(out, at + i, length);
	}
}

void hs_out_safe_bytes(struct hs_out *out, const void *bytes, size_t byte_nr)
{
	put_safe(out, bytes, byte_nr, false);
}

void hs_out_csv_bytes(struct hs_out *out, const void *bytes, size_t byte_nr)
{
	put_safe(out, bytes, byte_nr, true);
}

void hs_out_json_bytes(struct hs_out *out, const void *bytes, size_t byte_nr)
{
	const uint8_t *at = bytes;

	hs_out_char(out, '"');
	for (size_t i = 0, length; i < byte_nr; i += length) {
		length = utf8_bytes(at + i, byte_nr - i);
		if (!length) {
			length = 1;
			hs_out_text(out, "\\ufffd");
		} else if (length > 1) {
			hs_out_bytes(out, at + i, length);
		} else if (at[i] == '"' || at[i] == '\\') {
			hs_out_char(out, '\\');
			hs_out_char(out, (char)at[i]);
		} else if (is_control(at + i, length)) {
			hs_out_text(out, "\\u00");
			hs_out_char(out, hex_digits[at[i] >> 4]);
			hs_out_char(out, hex_digits[at[i] & 15]);
		} else {
			hs_out_char(out, (char)at[i]);
		}
	}
	hs_out_char(out, '"');
}

void hs_out_safe(struct hs_out *out, const char *text)
{
	hs_out_safe_bytes(out, text, strlen(text));
}

void hs_out_json(struct hs_out *out, const char *text)
{
	hs_out_json_bytes(out, text, strlen(text));
}

void hs_out_csv(struct hs_out *out, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		hs_out_text(out, text);
		return;
	}
	hs_out_char(out, '"');
	for (; *text; text++) {
		if (*text == '"')
			hs_out_char(out, '"');
		hs_out_char(out, *text);
	}
	hs_out_char(out, '"');
}
