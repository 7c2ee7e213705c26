/*
 * Canonical XML: 1.0, 1.1, Exclusive 1.0 and 2.0 of a parsed document, or of one element of it,
 * with one subtree left out (the Signature, for the enveloped form).
 *
 * Canonical octets go to a sink as they come; nothing is kept. Exclusive canonicalization and 2.0
 * leave out the namespace declarations that no name uses, so a declaration may be added or a prefix
 * rebound without changing the octets. struct c14n_coverage says whether such freedom was left in
 * this document; what that means is for the caller to judge.
 *
 * The document must come from xml_parse(): no DTD, no entity references, adjacent text merged.
 * Thread rule: the document belongs to the calling thread; it is not changed.
 */
#ifndef VERIFY_C14N_H
#define VERIFY_C14N_H

#include "base/cleanup.h"

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum c14n_version { C14N_1_0, C14N_1_1, C14N_EXCLUSIVE, C14N_2_0 };

/* What C14N 2.0 is told to hold a QName, or an XPath expression with QNames (C14N2 2.1,
 * QNameAware). */
enum c14n_qname_kind {
    C14N_QNAME_ELEMENT,
    C14N_QNAME_XPATH_ELEMENT,
    C14N_QNAME_QUALIFIED_ATTR,
    C14N_QNAME_UNQUALIFIED_ATTR,
};

enum {
    C14N_RULE_MAX = 32,
    C14N_PREFIX_MAX = 32,
    C14N_PREFIX_SIZE = 128,
};

struct c14n_qname_rule {
    enum c14n_qname_kind kind;
    const char *name, *uri;               /* of the element or attribute; uri "" = no namespace */
    const char *parent_name, *parent_uri; /* of the element that bears an unqualified attribute */
};

struct c14n_parameters {
    enum c14n_version version;
    bool with_comments;
    /* Exclusive: InclusiveNamespaces PrefixList; "" stands for #default. */
    const char *inclusive_prefixes[C14N_PREFIX_MAX];
    size_t inclusive_count;
    /* 2.0 */
    bool trim_text;
    bool rewrite_prefixes;
    struct c14n_qname_rule rules[C14N_RULE_MAX];
    size_t rule_count;
};

struct c14n_selection {
    const xmlDoc *document;
    const xmlNode *apex;     /* NULL = the whole document */
    const xmlNode *excluded; /* NULL = nothing */
};

/* Zero when every binding of a prefix that matters is in the canonical form. Lines are those of the
 * first place found; prefixes are cut to their array. */
struct c14n_coverage {
    long unsigned_declaration_line; /* a declaration that no name of the canonical form uses */
    char unsigned_declaration_prefix[C14N_PREFIX_SIZE];
    long unsigned_type_line; /* xsi:type whose prefix is bound outside the canonical form */
    char unsigned_type_prefix[C14N_PREFIX_SIZE];
    long unsigned_value_line; /* another value that reads like a QName with such a prefix */
    char unsigned_value_prefix[C14N_PREFIX_SIZE];
};

/* Returns 0 to go on; anything else ends the canonicalization with that result. */
typedef int c14n_sink(void *context, const void *data, size_t size);

/*
 * Writes the canonical form. ret_coverage may be NULL. -ENOMEM; -EBADMSG if the document holds what
 * cannot be canonicalized (entity references; xml:base that would have to be joined for an inner
 * apex under 1.1; a rule of 2.0 that meets an unbound prefix); the sink's own result.
 */
_must_use_ int c14n_write(const struct c14n_selection *selection,
                          const struct c14n_parameters *parameters, c14n_sink *sink, void *context,
                          struct c14n_coverage *ret_coverage);

#endif
