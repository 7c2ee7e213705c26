/*
 * Verification of an XML document: XML Signature 2.0 or its compatibility mode, enveloped over the
 * whole document, and the Minister's schema.
 */
#ifndef VERIFY_XML_H
#define VERIFY_XML_H

#include "base/bytes.h"
#include "verify/checks.h"
#include "verify/trust_store.h"
#include "verify/verify.h"

/* Initialises libxml2 and xmlsec1 for the process: once, before threads and before a sandbox.
 * verify_xml() does it otherwise, which opens files. */
void verify_xml_init(void);

/*
 * Notes the checks of xml_checks.h and, through path.h, of checks_path.h. *ret_complete becomes
 * true only if every check was reached; it is false when this is called. -ENOMEM.
 */
_must_use_ int verify_xml(struct check_run *run, struct verify_trust *trust,
                          const struct verify_request *request, struct bytes document,
                          struct verdict *verdict, bool *ret_complete);

#endif
