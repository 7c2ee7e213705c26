/*
 * Tokens of PDF (ISO 32000-1 7.2, 7.3). What is no token is an error; nothing is guessed.
 */
#ifndef VERIFY_PDF_LEX_H
#define VERIFY_PDF_LEX_H

#include "base/bytes.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum pdf_token_type {
    PDF_TOKEN_ERROR,
    PDF_TOKEN_END,
    PDF_TOKEN_INTEGER,
    PDF_TOKEN_REAL, /* also an integer of more than 18 digits, which nothing here may use */
    PDF_TOKEN_STRING,
    PDF_TOKEN_HEX,
    PDF_TOKEN_NAME,
    PDF_TOKEN_ARRAY_OPEN,
    PDF_TOKEN_ARRAY_CLOSE,
    PDF_TOKEN_DICTIONARY_OPEN,
    PDF_TOKEN_DICTIONARY_CLOSE,
    PDF_TOKEN_KEYWORD,
};

struct pdf_token {
    enum pdf_token_type type;
    bool digits_only; /* an integer without a sign */
    size_t start, end;
    uint64_t hash; /* of a name, its escapes undone */
    int64_t integer;
};

struct pdf_lexer {
    const uint8_t *data;
    size_t size;
    size_t position;
};

static inline struct pdf_lexer pdf_lexer_at(struct bytes source, size_t position)
{
    return (struct pdf_lexer){.data = source.data, .size = source.size, .position = position};
}

void pdf_lex(struct pdf_lexer *lexer, struct pdf_token *ret_token);

/* White space and comments. */
void pdf_skip_blank(struct pdf_lexer *lexer);
/* White space only. */
void pdf_skip_white(struct pdf_lexer *lexer);
bool pdf_is_white(uint8_t byte);
bool pdf_is_delimiter(uint8_t byte);
bool pdf_is_regular(uint8_t byte);

bool pdf_token_is(const struct pdf_lexer *lexer, const struct pdf_token *token,
                  const char *keyword);

/* Hash of a name as tokens carry it. */
uint64_t pdf_name_hash(const char *name);
/* Compares a name as it stands in the file, with '/' and escapes, with a plain one. */
bool pdf_name_equals(struct bytes raw, const char *name);

/* The value of a hexadecimal digit, or -1. A table, since /Contents is thousands of them. */
extern const int8_t pdf_hex_values[256];
static inline int pdf_hex_value(uint8_t byte)
{
    return pdf_hex_values[byte];
}

#endif
