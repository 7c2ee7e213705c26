/*
 * A byte is white space, a delimiter or regular (ISO 32000-1 7.2.2); a table says which, since this
 * runs over every byte outside streams.
 */
#include "verify/pdf_lex.h"

enum { REGULAR = 0, WHITE = 1, DELIMITER = 2, INTEGER_DIGITS_MAX = 18 };

static const uint8_t classes[256] = {
    ['\0'] = WHITE,    ['\t'] = WHITE,    ['\n'] = WHITE,    ['\f'] = WHITE,
    ['\r'] = WHITE,    [' '] = WHITE,     ['('] = DELIMITER, [')'] = DELIMITER,
    ['<'] = DELIMITER, ['>'] = DELIMITER, ['['] = DELIMITER, [']'] = DELIMITER,
    ['{'] = DELIMITER, ['}'] = DELIMITER, ['/'] = DELIMITER, ['%'] = DELIMITER,
};

static const uint64_t fnv_basis = 0xcbf29ce484222325u, fnv_prime = 0x100000001b3u;

bool pdf_is_white(uint8_t byte)
{
    return classes[byte] == WHITE;
}

bool pdf_is_delimiter(uint8_t byte)
{
    return classes[byte] == DELIMITER;
}

bool pdf_is_regular(uint8_t byte)
{
    return classes[byte] == REGULAR;
}

/* clang-format off */
const int8_t pdf_hex_values[256] = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -1, -1, -1, -1, -1,
    -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};
/* clang-format on */

void pdf_skip_white(struct pdf_lexer *lexer)
{
    while (lexer->position < lexer->size && classes[lexer->data[lexer->position]] == WHITE)
        lexer->position++;
}

void pdf_skip_blank(struct pdf_lexer *lexer)
{
    for (;;) {
        pdf_skip_white(lexer);
        if (lexer->position == lexer->size || lexer->data[lexer->position] != '%')
            return;
        while (lexer->position < lexer->size && lexer->data[lexer->position] != '\n' &&
               lexer->data[lexer->position] != '\r')
            lexer->position++;
    }
}

/* Undoes one escape of a name at `*position`; -1 if it is malformed. */
static int name_byte(const uint8_t *data, size_t end, size_t *position)
{
    uint8_t byte = data[(*position)++];

    if (byte != '#')
        return byte;
    if (end - *position < 2)
        return -1;
    int high = pdf_hex_value(data[*position]), low = pdf_hex_value(data[*position + 1]);
    if (high < 0 || low < 0 || (high == 0 && low == 0))
        return -1;
    *position += 2;
    return high << 4 | low;
}

static void lex_name(struct pdf_lexer *lexer, struct pdf_token *token)
{
    size_t position = lexer->position + 1, end = position;
    uint64_t hash = fnv_basis;

    while (end < lexer->size && classes[lexer->data[end]] == REGULAR)
        end++;
    while (position < end) {
        int byte = name_byte(lexer->data, end, &position);
        if (byte < 0) {
            token->type = PDF_TOKEN_ERROR;
            return;
        }
        hash = (hash ^ (uint64_t)byte) * fnv_prime;
    }
    lexer->position = end;
    token->type = PDF_TOKEN_NAME;
    token->hash = hash;
}

static void lex_string(struct pdf_lexer *lexer, struct pdf_token *token)
{
    size_t depth = 0;

    for (size_t i = lexer->position; i < lexer->size; i++) {
        switch (lexer->data[i]) {
        case '\\':
            i++;
            break;
        case '(':
            depth++;
            break;
        case ')':
            if (--depth == 0) {
                lexer->position = i + 1;
                token->type = PDF_TOKEN_STRING;
                return;
            }
            break;
        }
    }
    token->type = PDF_TOKEN_ERROR;
}

static void lex_hex(struct pdf_lexer *lexer, struct pdf_token *token)
{
    for (size_t i = lexer->position + 1; i < lexer->size; i++) {
        uint8_t byte = lexer->data[i];
        if (byte == '>') {
            lexer->position = i + 1;
            token->type = PDF_TOKEN_HEX;
            return;
        }
        if (pdf_hex_value(byte) < 0 && classes[byte] != WHITE)
            break;
    }
    token->type = PDF_TOKEN_ERROR;
}

/* A run of regular characters: a number or a keyword. */
static void lex_word(struct pdf_lexer *lexer, struct pdf_token *token)
{
    const uint8_t *data = lexer->data;
    size_t start = lexer->position, i = start, digits = 0, points = 0, others = 0;
    bool sign = data[i] == '+' || data[i] == '-';
    int64_t value = 0;

    for (i += sign; i < lexer->size && classes[data[i]] == REGULAR; i++) {
        if (data[i] >= '0' && data[i] <= '9') {
            if (++digits <= INTEGER_DIGITS_MAX && !points)
                value = value * 10 + (data[i] - '0');
        } else if (data[i] == '.') {
            points++;
        } else {
            others++;
        }
    }
    lexer->position = i;
    if (others || digits == 0 || points > 1) {
        token->type = PDF_TOKEN_KEYWORD;
    } else if (points || digits > INTEGER_DIGITS_MAX) {
        token->type = PDF_TOKEN_REAL;
    } else {
        token->type = PDF_TOKEN_INTEGER;
        token->digits_only = !sign;
        token->integer = data[start] == '-' ? -value : value;
    }
}

static void lex_delimiter(struct pdf_lexer *lexer, struct pdf_token *token, uint8_t byte)
{
    bool doubled = lexer->size - lexer->position > 1 && lexer->data[lexer->position + 1] == byte;

    switch (byte) {
    case '/':
        lex_name(lexer, token);
        return;
    case '(':
        lex_string(lexer, token);
        return;
    case '[':
        token->type = PDF_TOKEN_ARRAY_OPEN;
        lexer->position++;
        return;
    case ']':
        token->type = PDF_TOKEN_ARRAY_CLOSE;
        lexer->position++;
        return;
    case '<':
        if (!doubled) {
            lex_hex(lexer, token);
            return;
        }
        token->type = PDF_TOKEN_DICTIONARY_OPEN;
        lexer->position += 2;
        return;
    case '>':
        if (doubled) {
            token->type = PDF_TOKEN_DICTIONARY_CLOSE;
            lexer->position += 2;
        }
        return;
    default: /* ) { } */
        return;
    }
}

void pdf_lex(struct pdf_lexer *lexer, struct pdf_token *ret_token)
{
    pdf_skip_blank(lexer);
    struct pdf_token token = {.type = PDF_TOKEN_ERROR, .start = lexer->position};

    if (lexer->position == lexer->size)
        token.type = PDF_TOKEN_END;
    else if (classes[lexer->data[lexer->position]] == REGULAR)
        lex_word(lexer, &token);
    else
        lex_delimiter(lexer, &token, lexer->data[lexer->position]);
    token.end = lexer->position;
    *ret_token = token;
}

bool pdf_token_is(const struct pdf_lexer *lexer, const struct pdf_token *token, const char *keyword)
{
    size_t size = strlen(keyword);

    return token->type == PDF_TOKEN_KEYWORD && token->end - token->start == size &&
           memcmp(lexer->data + token->start, keyword, size) == 0;
}

uint64_t pdf_name_hash(const char *name)
{
    uint64_t hash = fnv_basis;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * fnv_prime;
    return hash;
}

bool pdf_name_equals(struct bytes raw, const char *name)
{
    size_t position = 1;

    for (; position < raw.size; name++) {
        if (!*name || name_byte(raw.data, raw.size, &position) != (uint8_t)*name)
            return false;
    }
    return *name == '\0';
}
