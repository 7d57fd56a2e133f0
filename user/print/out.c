// SPDX-License-Identifier: GPL-2.0-only
/* The buffer between `hsbpf print` and its output. Called from one thread. */
#include "print/out.h"

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

void hs_out_safe(struct hs_out *out, const char *text)
{
	for (; *text; text++) {
		if ((uint8_t)*text >= 0x80) /* UTF-8 */
			hs_out_char(out, *text);
		else
			hs_out_byte(out, (uint8_t)*text);
	}
}

void hs_out_json(struct hs_out *out, const char *text)
{
	hs_out_char(out, '"');
	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;

		if (byte == '"' || byte == '\\') {
			hs_out_char(out, '\\');
			hs_out_char(out, (char)byte);
		} else if (byte < ' ' || byte == 0x7f) {
			hs_out_text(out, "\\u00");
			hs_out_char(out, hex_digits[byte >> 4]);
			hs_out_char(out, hex_digits[byte & 15]);
		} else {
			hs_out_char(out, (char)byte);
		}
	}
	hs_out_char(out, '"');
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
