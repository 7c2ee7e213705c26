/*
 * Verification of a PDF document: the Minister's one narrow form, never repaired.
 */
#ifndef VERIFY_PDF_H
#define VERIFY_PDF_H

#include "base/bytes.h"
#include "verify/checks.h"
#include "verify/trust_store.h"
#include "verify/verify.h"

/*
 * Notes the checks of checks_pdf.h, checks_path.h and checks_content.h. *ret_complete becomes true
 * only if every one of them was reached; it is false when this is called. Sets document_sha256,
 * signing_time_s and what path_check() sets. -ENOMEM.
 */
_must_use_ int verify_pdf(struct check_run *run, struct verify_trust *trust,
                          const struct verify_request *request, struct bytes document,
                          struct verdict *verdict, bool *ret_complete);

#endif
