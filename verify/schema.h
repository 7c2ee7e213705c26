/*
 * The Minister's schema: which processor can honour it, and what it says about a document.
 *
 * The schema documents of a trust are those of its bundle; the first is the one to begin with, the
 * others serve its include, import, redefine and override. None is ever fetched from anywhere
 * else, and hints in a document (xsi:schemaLocation) are not looked at.
 *
 * A schema without any construct of XSD 1.1 is compiled once per trust and applied by libxml2.
 * Whatever uses XSD 1.1, or is more than libxml2 can compile, goes to the hook.
 */
#ifndef VERIFY_SCHEMA_H
#define VERIFY_SCHEMA_H

#include "verify/dsig.h"
#include "verify/schema_hook.h"
#include "verify/trust_store.h"

#include <libxml/tree.h>

enum { SCHEMA_DOCUMENT_MAX = 64 };

enum schema_processor {
    SCHEMA_BY_XSD_1_0,
    SCHEMA_BY_XSD_1_1,
    SCHEMA_BY_NONE, /* refused */
};

struct schema_inspection {
    enum schema_processor processor;
    bool knows_signature; /* it has a word for the Signature element: imports its namespace */
    char text[VERDICT_TEXT_MAX]; /* the construct that decided, with file and line */
};

/* Which processor the schema needs. -ENOMEM. */
_must_use_ int schema_inspect(const struct trust_schema *schemas, size_t schema_count,
                              struct schema_inspection *ret_inspection);

/* True if the schema document uses a construct of XSD 1.1; ret_text (of VERDICT_TEXT_MAX) names it
 * with its line. */
bool schema_uses_xsd11(const xmlDoc *schema, char *ret_text);

/* One schema document for a hook: label and content, each behind its length in 32 bits. */
_must_use_ int schema_bundle_add(struct buffer *out, const struct trust_schema *schema);

/* Compiles the schema of a trust, if it has one, ahead of the first document: libxml2 looks for
 * included files before it asks for them, which a sandbox may forbid. -ENOMEM. */
_must_use_ int schema_prepare(struct verify_trust *trust);

/* Notes SCHEMA_CONFIGURED, SCHEMA_HONOURED and SCHEMA_VALID, and the verdict's schema. It is the
 * last step: the Signature and hints about schemas are taken out of the document. -ENOMEM. */
_must_use_ int schema_check(struct check_run *run, struct verify_trust *trust,
                            const struct dsig_signature *signature, xmlDoc *document,
                            struct verdict *verdict);

#endif
