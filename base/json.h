/*
 * The one JSON writer and reader (RFC 8259), over jansson. A struct json is a reference-counted
 * tree; json_free() gives up one reference. Setters that meet a shortage of memory mark nothing
 * and return -ENOMEM; text that is not UTF-8 is written with U+FFFD in place of the bad bytes.
 *
 * Thread rule: a tree belongs to one thread at a time.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

struct json *json_object_new(void); /* NULL when memory is short, as the next */
struct json *json_array_new(void);
struct json *json_text_new(const char *text);
struct json *json_integer_new(int64_t value);
struct json *json_free(struct json *json); /* returns NULL */

_must_use_ int json_set_text(struct json *object, const char *key, const char *text);
_must_use_ int json_set_integer(struct json *object, const char *key, int64_t value);
_must_use_ int json_set_bool(struct json *object, const char *key, bool value);
_must_use_ int json_set_null(struct json *object, const char *key);
/* Null for an empty text. */
_must_use_ int json_set_text_or_null(struct json *object, const char *key, const char *text);
/* Lower-case hexadecimal. At most 128 bytes. */
_must_use_ int json_set_hex(struct json *object, const char *key, const void *data, size_t size);
/* Takes `child`, also when it fails; a NULL child is -ENOMEM, so calls nest. */
_must_use_ int json_set(struct json *object, const char *key, struct json *child);
_must_use_ int json_append(struct json *array, struct json *child);

/* One line without a line feed, members in order of insertion; NULL when memory is short. The
 * caller frees. */
char *json_print(const struct json *json);
/* The same with sorted keys: the canonical form of audit records. */
char *json_print_canonical(const struct json *json);

/* Parses one whole text of at most `size` bytes with nesting up to 16 and no duplicate member;
 * -EBADMSG if it is not that. */
_must_use_ int json_parse(const char *text, size_t size, struct json **ret_json);
/* Borrowed from the object; NULL if absent or of another type. */
const char *json_get_text(const struct json *object, const char *key);
const struct json *json_get(const struct json *object, const char *key);
/* False if absent or of another type; ret untouched. */
bool json_get_integer(const struct json *object, const char *key, int64_t *ret_value);
bool json_get_bool(const struct json *object, const char *key, bool *ret_value);
bool json_is_object(const struct json *json);
bool json_is_array(const struct json *json);
size_t json_array_count(const struct json *json); /* 0 unless an array */
const struct json *json_array_at(const struct json *json, size_t index);
const char *json_text(const struct json *json);                    /* of a JSON string, else NULL */
bool json_as_integer(const struct json *json, int64_t *ret_value); /* false if it is none */
/* Walks members in order; start with *cursor NULL. False after the last. */
bool json_next(const struct json *object, void **cursor, const char **ret_key,
               const struct json **ret_value);

static inline void cleanup_json(struct json **slot)
{
    json_free(*slot);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

#endif
