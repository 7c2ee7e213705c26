/*
 * XSD 1.0 by libxml2.
 */
#ifndef VERIFY_SCHEMA_XSD10_H
#define VERIFY_SCHEMA_XSD10_H

#include "verify/trust_store.h"

#include <libxml/tree.h>
#include <libxml/xmlschemas.h>

enum { SCHEMA_NOT_COMPILED = 1, SCHEMA_NOT_VALID = 1 };

/* SCHEMA_NOT_COMPILED: libxml2 does not accept it; ret_text (VERDICT_TEXT_MAX) says why. -ENOMEM.
 */
_must_use_ int schema_xsd10_compile(const struct trust_schema *schemas, size_t schema_count,
                                    char *ret_text, xmlSchema **ret_schema);

/* SCHEMA_NOT_VALID with the first reason in ret_text (VERDICT_TEXT_MAX); -ENOMEM. The document must
 * hold no xsi:schemaLocation. */
_must_use_ int schema_xsd10_validate(xmlSchema *schema, xmlDoc *document, char *ret_text);

#endif
