/*
 * What a document holds besides its signature that readers and signature see differently.
 */
#ifndef VERIFY_XML_CONTENT_H
#define VERIFY_XML_CONTENT_H

#include "verify/dsig.h"

#include <libxml/tree.h>

/* Notes XML_NAMESPACE_NAMES. */
void xml_check_namespace_names(struct check_run *run, const xmlDoc *document);

/* Notes XML_COMMENT_IN_TEXT and XML_COMMENTS, outside the Signature. */
void xml_check_comments(struct check_run *run, const struct dsig_signature *signature);

#endif
