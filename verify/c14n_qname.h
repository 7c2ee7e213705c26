/*
 * Prefixes inside values: in a QName, in an XPath 1.0 expression, and in text that only looks like
 * a QName.
 */
#ifndef VERIFY_C14N_QNAME_H
#define VERIFY_C14N_QNAME_H

#include "verify/c14n.h"

/* A prefix within a text; size 0 = no prefix stands there, so the default namespace applies. */
struct c14n_span {
    size_t offset, size;
};

/* White space of XML, and only that. */
bool c14n_is_space(char octet);

/* Where the prefix of a QName is, with white space around the QName allowed. False if there is no
 * name at all. */
bool c14n_qname_prefix(const char *text, struct c14n_span *ret_span);

/* The next prefix of an XPath expression at or after *offset, which moves on; false at the end.
 * Literals and axis names are passed over. */
bool c14n_xpath_prefix(const char *text, size_t *offset, struct c14n_span *ret_span);

/* True if the whole text, white space aside, is NCName ':' NCName. */
bool c14n_looks_qualified(const char *text, struct c14n_span *ret_prefix);

/* The rule for this element or attribute; NULL if there is none. */
const struct c14n_qname_rule *c14n_element_rule(const struct c14n_parameters *parameters,
                                                const xmlNode *element);
const struct c14n_qname_rule *c14n_attribute_rule(const struct c14n_parameters *parameters,
                                                  const xmlAttr *attribute);

/* Copies a prefix out of a text; false if it is longer than the array. */
bool c14n_prefix_copy(const char *text, struct c14n_span span, char out[C14N_PREFIX_SIZE]);

#endif
