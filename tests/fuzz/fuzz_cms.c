/*
 * A CMS token over an empty document, down to the signer's certificate and signature value. In the
 * corpus are the tokens of the vectors.
 */
#include "fuzz_trust.h"

#include "../unit/verify/vectors.h"

#include "verify/cms.h"

#include <stdlib.h>
#include <string.h>

static struct verify_trust *trust;
static struct check_run run;
static struct verdict verdict;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct path_signer *signer;
    uint8_t digest[SHA256_SIZE] = {0};
    struct cms cms;

    if (!trust)
        trust = vectors_trust(NULL);
    checks_begin(&run, &trust->levels);
    if (!cms_parse(&run, bytes_of(data, size), &cms))
        return 0;
    /* Take the digest from the token, so that a changed one does not end the way here. */
    memcpy(digest, cms.attributes.message_digest.data, sizeof digest);
    if (cms_verify(&run, trust, &cms, digest, &signer) < 0 || !signer)
        return 0;
    if (path_check(&run, trust, &(struct verify_request){.time_s = VECTORS_NOW_S}, &verdict) < 0)
        return 0;
    return 0;
}
