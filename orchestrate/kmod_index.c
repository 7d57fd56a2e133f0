// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks an index of depmod (kmod, libkmod/libkmod-index.h: a radix tree, big endian) the way libkmod does,
 * with the checks that libkmod leaves out. A node is, by the flags in the top of its offset: a prefix
 * (text), children (first and last character, an offset for each), values (count; priority and text each).
 */
#include "kmod_index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bytes.h"

#define INDEX_MAGIC 0xb007f457u
#define INDEX_MAJOR 2u
#define NODE_PREFIX 0x80000000u
#define NODE_VALUES 0x40000000u
#define NODE_CHILDS 0x20000000u
#define NODE_OFFSET 0x0fffffffu
#define INDEX_MAX_BYTES (64u << 20)
#define DEPTH_MAX 1024u

struct cursor {
	const unsigned char *at;
	const unsigned char *end;
};

struct walk {
	const struct hs_bytes *file;
	size_t visits_left; /* more nodes than bytes means a circle */
};

static bool u32_read(struct cursor *cursor, uint32_t *value)
{
	if (cursor->end - cursor->at < 4)
		return false;
	*value = (uint32_t)cursor->at[0] << 24 | (uint32_t)cursor->at[1] << 16 |
		 (uint32_t)cursor->at[2] << 8 | cursor->at[3];
	cursor->at += 4;
	return true;
}

static bool text_skip(struct cursor *cursor)
{
	const unsigned char *zero = memchr(cursor->at, 0, (size_t)(cursor->end - cursor->at));

	if (!zero)
		return false;
	cursor->at = zero + 1;
	return true;
}

static bool values_skip(struct cursor *cursor)
{
	uint32_t count, priority;

	if (!u32_read(cursor, &count))
		return false;
	while (count-- > 0)
		if (!u32_read(cursor, &priority) || !text_skip(cursor))
			return false;
	return true;
}

static bool node_is_sound(struct walk *walk, uint32_t offset, unsigned int depth)
{
	struct cursor cursor = { walk->file->data, walk->file->data + walk->file->len };
	struct cursor children = { 0 };
	unsigned int children_nr = 0;

	/* libkmod takes offset 0 for "no such child"; an empty index has a root without parts at its end. */
	if ((offset & NODE_OFFSET) == 0)
		return true;
	if ((offset & NODE_OFFSET) > walk->file->len || depth == DEPTH_MAX || walk->visits_left-- == 0)
		return false;
	cursor.at += offset & NODE_OFFSET;
	if ((offset & NODE_PREFIX) && !text_skip(&cursor))
		return false;
	if (offset & NODE_CHILDS) {
		if (cursor.end - cursor.at < 2 || cursor.at[1] < cursor.at[0] || cursor.at[1] > 127)
			return false;
		children_nr = cursor.at[1] - cursor.at[0] + 1u;
		children = (struct cursor){ cursor.at + 2, cursor.end };
		if ((size_t)(cursor.end - children.at) < 4u * children_nr)
			return false;
		cursor.at = children.at + 4u * children_nr;
	}
	if ((offset & NODE_VALUES) && !values_skip(&cursor))
		return false;
	for (uint32_t child; children_nr > 0; children_nr--)
		if (!u32_read(&children, &child) || !node_is_sound(walk, child, depth + 1))
			return false;
	return true;
}

int hs_kmod_index_check(const char *path)
{
	scoped(bytes) struct hs_bytes file = { 0 };
	int err = hs_bytes_read(path, INDEX_MAX_BYTES, &file);
	struct cursor cursor = { file.data, file.data + file.len };
	struct walk walk = { &file, file.len };
	uint32_t magic, version, root;

	if (err)
		return err;
	if (u32_read(&cursor, &magic) && magic == INDEX_MAGIC && u32_read(&cursor, &version) &&
	    version >> 16 == INDEX_MAJOR && u32_read(&cursor, &root) && node_is_sound(&walk, root, 0))
		return 0;
	return -EBADMSG;
}
