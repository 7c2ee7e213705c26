/*
 * One loop with a stack of open containers, no recursion. A reference is seen when its R comes: the
 * two integers before it, which then are the last two nodes, become one.
 */
#include "verify/pdf_tree.h"

struct frame {
    uint32_t container; /* node; 0 at the top */
    uint32_t last;      /* child added last; 0 = none yet */
    uint32_t before;    /* the child before it */
    uint32_t count;
};

struct parser {
    struct pdf_tree *tree;
    struct pdf_lexer *lexer;
    unsigned depth;
    uint32_t first_at_top;
    struct frame frames[PDF_DEPTH_MAX + 1];
};

void pdf_tree_done(struct pdf_tree *tree)
{
    free(tree->nodes);
    *tree = (struct pdf_tree){0};
}

static int grow(struct pdf_tree *tree)
{
    uint32_t capacity = tree->capacity ? tree->capacity * 2 : 256;

    if (tree->count >= PDF_NODE_MAX)
        return PDF_TOO_LARGE;
    struct pdf_node *nodes = realloc(tree->nodes, capacity * sizeof *nodes);
    if (!nodes)
        return -ENOMEM;
    tree->nodes = nodes;
    tree->capacity = capacity;
    return PDF_PARSED;
}

static int add_node(struct parser *parser, enum pdf_type type, const struct pdf_token *token)
{
    struct pdf_tree *tree = parser->tree;
    struct frame *frame = &parser->frames[parser->depth];

    if (tree->count == tree->capacity) {
        int r = grow(tree);
        if (r != PDF_PARSED)
            return r;
    }
    uint32_t index = tree->count++;
    struct pdf_node *node = &tree->nodes[index];
    *node = (struct pdf_node){
        .type = (uint8_t)type,
        .digits_only = token->digits_only,
        .start = (uint32_t)token->start,
        .end = (uint32_t)token->end,
    };
    if (frame->last)
        tree->nodes[frame->last].next = index;
    else if (frame->container)
        tree->nodes[frame->container].children.first = index;
    else
        parser->first_at_top = index;
    frame->before = frame->last;
    frame->last = index;
    frame->count++;
    return PDF_PARSED;
}

static int open_container(struct parser *parser, enum pdf_type type, const struct pdf_token *token)
{
    int r = add_node(parser, type, token);

    if (r != PDF_PARSED)
        return r;
    if (parser->depth == PDF_DEPTH_MAX)
        return PDF_TOO_LARGE;
    parser->frames[++parser->depth] = (struct frame){.container = parser->tree->count - 1};
    return PDF_PARSED;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

/* Equal hashes count as equal keys: who crafts a collision only gets his own file refused. */
static int find_duplicates(const struct pdf_tree *tree, const struct pdf_node *dictionary)
{
    uint64_t few[64];
    uint32_t keys = dictionary->children.count / 2, filled = 0;
    uint64_t *hashes = few;
    int r = PDF_PARSED;

    if (keys > sizeof few / sizeof few[0]) {
        hashes = malloc(keys * sizeof *hashes);
        if (!hashes)
            return -ENOMEM;
    }
    for (uint32_t i = dictionary->children.first; i; i = tree->nodes[tree->nodes[i].next].next)
        hashes[filled++] = tree->nodes[i].hash;
    if (keys <= 12) {
        for (uint32_t i = 1; i < keys; i++) {
            for (uint32_t k = 0; k < i; k++)
                r = hashes[i] == hashes[k] ? PDF_DUPLICATE_KEY : r;
        }
    } else {
        qsort(hashes, keys, sizeof *hashes, compare_hashes);
        for (uint32_t i = 1; i < keys; i++)
            r = hashes[i] == hashes[i - 1] ? PDF_DUPLICATE_KEY : r;
    }
    if (hashes != few)
        free(hashes);
    return r;
}

static int close_container(struct parser *parser, enum pdf_type type, const struct pdf_token *token)
{
    struct pdf_tree *tree = parser->tree;
    const struct frame *frame = &parser->frames[parser->depth];

    if (parser->depth == 0)
        return PDF_MALFORMED;
    struct pdf_node *node = &tree->nodes[frame->container];
    if (node->type != type)
        return PDF_MALFORMED;
    node->children.count = frame->count;
    node->end = (uint32_t)token->end;
    parser->depth--;
    if (type == PDF_ARRAY)
        return PDF_PARSED;
    if (frame->count % 2)
        return PDF_MALFORMED;
    for (uint32_t i = node->children.first; i; i = tree->nodes[tree->nodes[i].next].next) {
        if (tree->nodes[i].type != PDF_NAME)
            return PDF_MALFORMED;
    }
    return find_duplicates(tree, node);
}

static int make_reference(struct parser *parser, const struct pdf_token *token)
{
    struct pdf_tree *tree = parser->tree;
    struct frame *frame = &parser->frames[parser->depth];

    if (frame->count < 2 || frame->last != tree->count - 1 || frame->before != tree->count - 2)
        return PDF_MALFORMED;
    struct pdf_node *number = &tree->nodes[frame->before];
    const struct pdf_node *generation = &tree->nodes[frame->last];
    if (number->type != PDF_INTEGER || generation->type != PDF_INTEGER || !number->digits_only ||
        !generation->digits_only || number->integer < 1 || number->integer > UINT32_MAX ||
        generation->integer > UINT16_MAX)
        return PDF_MALFORMED;
    uint32_t object = (uint32_t)number->integer;
    number->type = PDF_REFERENCE;
    number->reference.number = object;
    number->reference.generation = (uint32_t)generation->integer;
    number->end = (uint32_t)token->end;
    number->next = 0;
    tree->count--;
    /* `before` is now unknown, which is right: a second R cannot use this node again. */
    frame->last = frame->before;
    frame->before = 0;
    frame->count--;
    return PDF_PARSED;
}

static int take_keyword(struct parser *parser, const struct pdf_token *token, bool *ret_taken)
{
    struct pdf_tree *tree = parser->tree;
    bool is_true = pdf_token_is(parser->lexer, token, "true");
    int r;

    *ret_taken = true;
    if (is_true || pdf_token_is(parser->lexer, token, "false")) {
        r = add_node(parser, PDF_BOOLEAN, token);
        if (r == PDF_PARSED)
            tree->nodes[tree->count - 1].integer = is_true;
        return r;
    }
    if (pdf_token_is(parser->lexer, token, "R"))
        return make_reference(parser, token);
    if (pdf_token_is(parser->lexer, token, "null"))
        return add_node(parser, PDF_NULL, token);
    *ret_taken = false;
    return parser->depth == 0 ? PDF_PARSED : PDF_MALFORMED;
}

static int take_token(struct parser *parser, const struct pdf_token *token, bool *ret_taken)
{
    struct pdf_tree *tree = parser->tree;
    int r;

    *ret_taken = true;
    switch (token->type) {
    case PDF_TOKEN_ARRAY_OPEN:
        return open_container(parser, PDF_ARRAY, token);
    case PDF_TOKEN_ARRAY_CLOSE:
        return close_container(parser, PDF_ARRAY, token);
    case PDF_TOKEN_DICTIONARY_OPEN:
        return open_container(parser, PDF_DICTIONARY, token);
    case PDF_TOKEN_DICTIONARY_CLOSE:
        return close_container(parser, PDF_DICTIONARY, token);
    case PDF_TOKEN_INTEGER:
        r = add_node(parser, PDF_INTEGER, token);
        if (r == PDF_PARSED)
            tree->nodes[tree->count - 1].integer = token->integer;
        return r;
    case PDF_TOKEN_NAME:
        r = add_node(parser, PDF_NAME, token);
        if (r == PDF_PARSED)
            tree->nodes[tree->count - 1].hash = token->hash;
        return r;
    case PDF_TOKEN_REAL:
        return add_node(parser, PDF_REAL, token);
    case PDF_TOKEN_STRING:
        return add_node(parser, PDF_STRING, token);
    case PDF_TOKEN_HEX:
        return add_node(parser, PDF_HEX, token);
    case PDF_TOKEN_KEYWORD:
        return take_keyword(parser, token, ret_taken);
    case PDF_TOKEN_END:
        *ret_taken = false;
        return parser->depth == 0 ? PDF_PARSED : PDF_MALFORMED;
    case PDF_TOKEN_ERROR:
        break;
    }
    return PDF_MALFORMED;
}

int pdf_tree_parse(struct pdf_tree *tree, struct pdf_lexer *lexer, uint32_t *ret_root,
                   struct pdf_token *ret_next)
{
    struct parser parser = {.tree = tree, .lexer = lexer};
    struct pdf_token token;
    bool taken = true;
    int r = PDF_PARSED;

    tree->source = bytes_of(lexer->data, lexer->size);
    if (!tree->capacity)
        r = grow(tree);
    if (r != PDF_PARSED)
        return r;
    tree->nodes[0] = (struct pdf_node){.type = PDF_NULL};
    tree->count = 1;
    while (taken) {
        pdf_lex(lexer, &token);
        r = take_token(&parser, &token, &taken);
        if (r != PDF_PARSED)
            return r;
    }
    if (parser.frames[0].count != 1)
        return PDF_MALFORMED;
    *ret_root = parser.first_at_top;
    *ret_next = token;
    return PDF_PARSED;
}

struct pdf_value pdf_get(struct pdf_value dictionary, const char *key)
{
    const struct pdf_tree *tree = dictionary.tree;
    const struct pdf_node *node = pdf_node(dictionary);
    uint64_t hash = pdf_name_hash(key);

    if (node->type == PDF_DICTIONARY) {
        for (uint32_t i = node->children.first; i; i = tree->nodes[tree->nodes[i].next].next) {
            if (tree->nodes[i].hash == hash &&
                pdf_name_equals(pdf_raw((struct pdf_value){tree, i}), key))
                return (struct pdf_value){tree, tree->nodes[i].next};
        }
    }
    return (struct pdf_value){tree, 0};
}

struct pdf_value pdf_first(struct pdf_value container)
{
    const struct pdf_node *node = pdf_node(container);
    bool has_children = node->type == PDF_ARRAY || node->type == PDF_DICTIONARY;

    return (struct pdf_value){container.tree, has_children ? node->children.first : 0};
}

struct pdf_value pdf_next(struct pdf_value value)
{
    return (struct pdf_value){value.tree, pdf_node(value)->next};
}

struct pdf_value pdf_at(struct pdf_value array, uint32_t position)
{
    struct pdf_value value = {array.tree, pdf_is(array, PDF_ARRAY) ? pdf_first(array).index : 0};

    while (position-- && value.index)
        value = pdf_next(value);
    return value;
}

uint32_t pdf_count(struct pdf_value container)
{
    const struct pdf_node *node = pdf_node(container);

    return node->type == PDF_ARRAY || node->type == PDF_DICTIONARY ? node->children.count : 0;
}

bool pdf_is_name(struct pdf_value value, const char *name)
{
    return pdf_is(value, PDF_NAME) && pdf_name_equals(pdf_raw(value), name);
}

bool pdf_integer(struct pdf_value value, int64_t least, int64_t most, int64_t *ret_integer)
{
    const struct pdf_node *node = pdf_node(value);

    if (node->type != PDF_INTEGER || node->integer < least || node->integer > most)
        return false;
    *ret_integer = node->integer;
    return true;
}

struct bytes pdf_raw(struct pdf_value value)
{
    const struct pdf_node *node = pdf_node(value);

    return bytes_of(value.tree->source.data + node->start, node->end - node->start);
}
