/* A struct json is jansson's json_t under another name; only this file knows. */
#include "base/json.h"

#include "base/bytes.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#undef json_is_array /* jansson's macros; ours are functions */
#undef json_is_object

enum { NESTING_MAX = 16, HEX_MAX = 128 };

static json_t *tree(const struct json *json)
{
    return (json_t *)(uintptr_t)json; /* jansson's readers take no const */
}

static struct json *ours(json_t *json)
{
    return (struct json *)json;
}

/* Length of the well-formed UTF-8 sequence at `text` (RFC 3629 4), 0 if there is none. */
static size_t sequence_size(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] < 0x80)
        return 1;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    size_t size = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    /* The second byte's range keeps out over-long forms, surrogates and beyond U+10FFFF. */
    unsigned char least = c[0] == 0xe0 ? 0xa0 : c[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = c[0] == 0xed ? 0x9f : c[0] == 0xf4 ? 0x8f : 0xbf;
    if (c[1] < least || c[1] > most)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if (c[i] < 0x80 || c[i] > 0xbf)
            return 0;
    }
    return size;
}

/* A copy with U+FFFD for each byte that is not part of a sequence. */
static char *replace_malformed(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t text_size = strlen(text);
    if (text_size > SIZE_MAX / 3 - 1)
        return NULL;
    char *out = malloc(text_size * 3 + 1);
    if (!out)
        return NULL;
    char *end = out;
    while (*text) {
        size_t size = sequence_size(text);
        memcpy(end, size > 0 ? text : replacement, size > 0 ? size : 3);
        end += size > 0 ? size : 3;
        text += size > 0 ? size : 1;
    }
    *end = '\0';
    return out;
}

struct json *json_object_new(void)
{
    return ours(json_object());
}

struct json *json_array_new(void)
{
    return ours(json_array());
}

struct json *json_integer_new(int64_t value)
{
    return ours(json_integer(value));
}

struct json *json_text_new(const char *text)
{
    _cleanup_free_ char *clean = replace_malformed(text);
    return clean ? ours(json_string(clean)) : NULL;
}

struct json *json_free(struct json *json)
{
    json_decref(tree(json));
    return NULL;
}

int json_set(struct json *object, const char *key, struct json *child)
{
    return json_object_set_new(tree(object), key, tree(child)) < 0 ? -ENOMEM : 0;
}

int json_append(struct json *array, struct json *child)
{
    return json_array_append_new(tree(array), tree(child)) < 0 ? -ENOMEM : 0;
}

int json_set_text(struct json *object, const char *key, const char *text)
{
    return json_set(object, key, json_text_new(text));
}

int json_set_integer(struct json *object, const char *key, int64_t value)
{
    return json_set(object, key, ours(json_integer(value)));
}

int json_set_bool(struct json *object, const char *key, bool value)
{
    return json_set(object, key, ours(json_boolean(value)));
}

int json_set_null(struct json *object, const char *key)
{
    return json_set(object, key, ours(json_null()));
}

int json_set_text_or_null(struct json *object, const char *key, const char *text)
{
    return *text ? json_set_text(object, key, text) : json_set_null(object, key);
}

int json_set_hex(struct json *object, const char *key, const void *data, size_t size)
{
    char text[2 * HEX_MAX + 1];
    assert(size <= HEX_MAX);
    hex_encode(data, size, text);
    return json_set_text(object, key, text);
}

char *json_print(const struct json *json)
{
    return json_dumps(tree(json), JSON_COMPACT | JSON_ENCODE_ANY);
}

char *json_print_canonical(const struct json *json)
{
    return json_dumps(tree(json), JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
}

/* jansson recurses as deep as 2,048 levels; this looks ahead without recursion. */
static bool nesting_ok(const char *text, size_t size)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > NESTING_MAX)
                return false;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

int json_parse(const char *text, size_t size, struct json **ret_json)
{
    json_error_t error;
    /* jansson takes a NUL for the end of the text. */
    if (size == 0 || memchr(text, '\0', size) || !nesting_ok(text, size))
        return -EBADMSG;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    *ret_json = ours(json);
    return 0;
}

const struct json *json_get(const struct json *object, const char *key)
{
    return ours(json_object_get(tree(object), key));
}

const char *json_text(const struct json *json)
{
    return json_string_value(tree(json));
}

const char *json_get_text(const struct json *object, const char *key)
{
    return json_text(json_get(object, key));
}

bool json_as_integer(const struct json *json, int64_t *ret_value)
{
    const json_t *value = tree(json);
    if (!json_is_integer(value))
        return false;
    *ret_value = json_integer_value(value);
    return true;
}

bool json_get_integer(const struct json *object, const char *key, int64_t *ret_value)
{
    return json_as_integer(json_get(object, key), ret_value);
}

bool json_get_bool(const struct json *object, const char *key, bool *ret_value)
{
    const json_t *value = tree(json_get(object, key));
    if (!json_is_boolean(value))
        return false;
    *ret_value = json_is_true(value);
    return true;
}

bool json_is_object(const struct json *json)
{
    return json && json_typeof(tree(json)) == JSON_OBJECT;
}

bool json_is_array(const struct json *json)
{
    return json && json_typeof(tree(json)) == JSON_ARRAY;
}

size_t json_array_count(const struct json *json)
{
    return json_array_size(tree(json));
}

const struct json *json_array_at(const struct json *json, size_t index)
{
    return ours(json_array_get(tree(json), index));
}

bool json_next(const struct json *object, void **cursor, const char **ret_key,
               const struct json **ret_value)
{
    void *next =
        *cursor ? json_object_iter_next(tree(object), *cursor) : json_object_iter(tree(object));
    if (!next)
        return false;
    *cursor = next;
    *ret_key = json_object_iter_key(next);
    *ret_value = ours(json_object_iter_value(next));
    return true;
}
