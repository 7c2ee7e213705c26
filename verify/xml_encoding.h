/*
 * Encodings of XML documents: what the first bytes say (XML 1.0 appendix F), strict UTF-8, and
 * conversion to UTF-8.
 */
#ifndef VERIFY_XML_ENCODING_H
#define VERIFY_XML_ENCODING_H

#include "base/bytes.h"

enum xml_family {
    XML_FAMILY_UTF8, /* or another superset of ASCII; the declaration tells */
    XML_FAMILY_UTF16_LE,
    XML_FAMILY_UTF16_BE,
    XML_FAMILY_UTF32_LE,
    XML_FAMILY_UTF32_BE,
};

/* What the byte order mark, or the first characters without one, say. */
enum xml_family xml_family_of(struct bytes document, size_t *ret_mark_size);

/* The offset of the first octet that is not part of strict UTF-8 (RFC 3629) for a Char of XML 1.0
 * 2.2; size if all is. */
size_t xml_utf8_check(struct bytes text);

/* Appends UTF-16 as UTF-8. -EILSEQ at an unpaired surrogate or odd length; as buffer_append(). */
_must_use_ int xml_utf16_convert(struct bytes text, bool big_endian, struct buffer *out);

/* Loads the tables of the other character sets that an operator may allow: once, before threads and
 * before a sandbox. */
void xml_charsets_load(void);
/* One of those; names in upper case. */
bool xml_charset_known(const char *charset);
/* Appends text of such a character set as UTF-8. -EILSEQ; -EOPNOTSUPP: not loaded; as
 * buffer_append(). */
_must_use_ int xml_charset_convert(struct bytes text, const char *charset, struct buffer *out);

#endif
