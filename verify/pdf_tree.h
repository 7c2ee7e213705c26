/*
 * One PDF object as a tree of nodes (ISO 32000-1 7.3). A tree is a buffer that is used again for
 * object after object; nodes point into the source, which is the file or an inflated object stream.
 */
#ifndef VERIFY_PDF_TREE_H
#define VERIFY_PDF_TREE_H

#include "base/bytes.h"
#include "verify/pdf_lex.h"

enum {
    PDF_DEPTH_MAX = 64,        /* arrays and dictionaries inside one another */
    PDF_NODE_MAX = 128 * 1024, /* nodes in one object */
};

enum pdf_type {
    PDF_NULL,
    PDF_BOOLEAN,
    PDF_INTEGER,
    PDF_REAL,
    PDF_STRING,
    PDF_HEX,
    PDF_NAME,
    PDF_ARRAY,
    PDF_DICTIONARY,
    PDF_REFERENCE,
};

struct pdf_node {
    uint8_t type;
    bool digits_only;
    uint8_t role;        /* for pdf_inspect() */
    uint32_t next;       /* sibling; 0 = none. In a dictionary, keys and values alternate. */
    uint32_t start, end; /* in the source */
    union {
        int64_t integer; /* of a boolean: 0 or 1 */
        uint64_t hash;   /* of a name */
        struct {
            uint32_t number, generation;
        } reference;
        struct {
            uint32_t first, count; /* of children */
        } children;
    };
};

struct pdf_tree {
    struct bytes source;
    struct pdf_node *nodes; /* 0 is a null object, so that absent and null look alike (7.3.7) */
    uint32_t count, capacity;
};

enum pdf_parse {
    PDF_PARSED = 0,
    PDF_MALFORMED = 1,
    PDF_TOO_LARGE = 2, /* over PDF_NODE_MAX or PDF_DEPTH_MAX */
    PDF_DUPLICATE_KEY = 3,
};

void pdf_tree_done(struct pdf_tree *tree);

/*
 * Reads one value up to a keyword that is not part of it, or the end of the source. The keyword (or
 * the end) is in *ret_next. Returns enum pdf_parse or -ENOMEM; *ret_root is the value's node.
 */
_must_use_ int pdf_tree_parse(struct pdf_tree *tree, struct pdf_lexer *lexer, uint32_t *ret_root,
                              struct pdf_token *ret_next);

/* A value and the tree it stands in. */
struct pdf_value {
    const struct pdf_tree *tree;
    uint32_t index;
};

static inline const struct pdf_node *pdf_node(struct pdf_value value)
{
    return &value.tree->nodes[value.index];
}

static inline bool pdf_is(struct pdf_value value, enum pdf_type type)
{
    return pdf_node(value)->type == type;
}

/* The value of a key; null if it is absent or `dictionary` is not a dictionary. */
struct pdf_value pdf_get(struct pdf_value dictionary, const char *key);
/* The element of an array; null beyond its end or if `array` is not an array. Walks from the
 * front: for loops use pdf_first() and pdf_next(). */
struct pdf_value pdf_at(struct pdf_value array, uint32_t position);
struct pdf_value pdf_first(struct pdf_value container);
struct pdf_value pdf_next(struct pdf_value value);
uint32_t pdf_count(struct pdf_value container); /* 0 if it is neither array nor dictionary */

bool pdf_is_name(struct pdf_value value, const char *name);
/* False unless it is an integer from least to most. */
_must_use_ bool pdf_integer(struct pdf_value value, int64_t least, int64_t most,
                            int64_t *ret_integer);
/* The bytes of the token as they stand in the source. */
struct bytes pdf_raw(struct pdf_value value);

/* The bytes of a literal or hexadecimal string, escapes undone (7.3.4). False if it is none or
 * longer than out_size. */
_must_use_ bool pdf_string(struct pdf_value value, uint8_t *out, size_t out_size, size_t *ret_size);

#define _cleanup_pdf_tree_ _cleanup_(pdf_tree_done)

#endif
