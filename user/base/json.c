// SPDX-License-Identifier: GPL-2.0-only
/* Documents over json-c. Reading never trusts that a member is there. */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "scoped.h"

#define MAX_DOCUMENT_BYTES (64u << 20)
#define WRITE_FLAGS (JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

void hs_json_add_u64(json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void hs_json_add_string(json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, value ? json_object_new_string(value) : NULL);
}

void hs_json_add_bool(json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void hs_json_add_double(json_object *object, const char *key, double value, int decimals)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*f", decimals, value);
	/* The value as it will be read back, so that what is printed from it is the same then. */
	json_object_object_add(object, key, json_object_new_double_s(strtod(text, NULL), text));
}

json_object *hs_json_add_object(json_object *object, const char *key)
{
	json_object *member = json_object_new_object();

	json_object_object_add(object, key, member);
	return member;
}

json_object *hs_json_add_array(json_object *object, const char *key)
{
	json_object *member = json_object_new_array();

	json_object_object_add(object, key, member);
	return member;
}

json_object *hs_json_append_object(json_object *array)
{
	json_object *element = json_object_new_object();

	json_object_array_add(array, element);
	return element;
}

json_object *hs_json_get(json_object *object, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, ".");
		char key[64];

		if (len >= sizeof(key) || !json_object_is_type(object, json_type_object))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		if (!json_object_object_get_ex(object, key, &object))
			return NULL;
		path += len + (path[len] == '.');
	}
	return object;
}

uint64_t hs_json_get_u64(json_object *object, const char *path)
{
	return json_object_get_uint64(hs_json_get(object, path));
}

double hs_json_get_double(json_object *object, const char *path)
{
	return json_object_get_double(hs_json_get(object, path));
}

const char *hs_json_get_string(json_object *object, const char *path)
{
	json_object *member = hs_json_get(object, path);

	return json_object_is_type(member, json_type_string) ? json_object_get_string(member) : "";
}

bool hs_json_get_bool(json_object *object, const char *path)
{
	return json_object_get_boolean(hs_json_get(object, path));
}

int hs_json_read_file(const char *path, json_object **out)
{
	enum json_tokener_error error;
	scoped(mem) char *text = NULL;
	json_object *document;
	int err = hs_read_file(path, MAX_DOCUMENT_BYTES, &text, NULL);

	if (err)
		return hs_fail(err, "cannot read %s:", path);
	document = json_tokener_parse_verbose(text, &error);
	if (!document)
		return hs_fail(-EBADMSG, "%s is not a JSON document: %s", path, json_tokener_error_desc(error));
	*out = document;
	return 0;
}

int hs_json_write_file(const char *path, json_object *document)
{
	const char *text = json_object_to_json_string_ext(document, WRITE_FLAGS);

	return text ? hs_write_file_atomic(path, text, strlen(text)) : -ENOMEM;
}

void hs_json_add_command_line(json_object *object, const char *key)
{
	json_object *words = hs_json_add_array(object, key);
	scoped(mem) char *text = NULL;
	size_t len = 0;

	if (hs_read_file("/proc/self/cmdline", 1 << 20, &text, &len))
		return;
	for (size_t at = strlen(text) + 1; at < len; at += strlen(text + at) + 1)
		json_object_array_add(words, json_object_new_string(text + at));
}
