/*
 * One document, one verdict: facts about the bytes, then the format's own path of checks.
 */
#include "verify/verify.h"

#include "base/crypto.h"
#include "verify/checks.h"
#include "verify/pdf.h"
#include "verify/trust_store.h"
#include "verify/xml.h"

#include <assert.h>

int verify_document(struct verify_trust *trust, const struct verify_request *request,
                    struct bytes document, struct verdict *ret_verdict)
{
    _cleanup_free_ struct check_run *run = malloc(sizeof *run);
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    bool complete = false;
    int r;

    if (!run || !verdict)
        return -ENOMEM;
    verdict_init(verdict);
    checks_begin(run, &trust->levels);
    verdict->document_size = document.size;
    memcpy(verdict->trust_generation, trust->generation, SHA256_SIZE);

    if (request->format == CERTFORMAT_PDF) {
        r = verify_pdf(run, trust, request, document, verdict, &complete);
    } else {
        assert(request->format == CERTFORMAT_XML);
        r = verify_xml(run, trust, request, document, verdict, &complete);
    }
    if (r < 0)
        return r;
    checks_finish(run, complete, verdict);
    *ret_verdict = *verdict;
    return 0;
}
