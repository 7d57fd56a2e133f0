/* SPDX-License-Identifier: GPL-2.0-only */
/* Short names over json-c for documents that we write and read. Host only. Allocation failure leaves members out. */
#ifndef HS_BASE_JSON_H
#define HS_BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* How documents are printed. */
#define HS_JSON_PRINT_FLAGS (JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)

/* scoped(json) json_object *document = NULL; */
static inline void json_scoped(json_object **object)
{
	json_object_put(*object);
}

void hs_json_add_u64(json_object *object, const char *key, uint64_t value);
void hs_json_add_string(json_object *object, const char *key, const char *value); /* NULL: null */
void hs_json_add_bool(json_object *object, const char *key, bool value);
/* With that many decimals, not json-c's 17 digits. */
void hs_json_add_double(json_object *object, const char *key, double value, int decimals);
/* A new object or array, owned by `object`. */
json_object *hs_json_add_object(json_object *object, const char *key);
json_object *hs_json_add_array(json_object *object, const char *key);
json_object *hs_json_append_object(json_object *array);
/* This process's command line as an array of words, without the program. */
void hs_json_add_command_line(json_object *object, const char *key);

/* Members of anything: NULL, 0, "" or false when it is not there or of another type. Dots go deeper: "taps.l2". */
json_object *hs_json_get(json_object *object, const char *path);
uint64_t hs_json_get_u64(json_object *object, const char *path);
double hs_json_get_double(json_object *object, const char *path);
const char *hs_json_get_string(json_object *object, const char *path);
bool hs_json_get_bool(json_object *object, const char *path);

/* Reads a document from a file. Message on failure. */
int hs_json_read_file(const char *path, json_object **out);
/* Writes it, pretty, in one step. Message on failure. */
int hs_json_write_file(const char *path, json_object *document);

#endif
