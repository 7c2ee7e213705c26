/*
 * The surest way to have done everything once is to do it once: the first anchor goes through
 * decoding, path validation and a signature check as if it were a signer. What the verdict is does
 * not matter.
 */
#include "verify/warm_up.h"

#include "base/crypto.h"
#include "verify/path.h"
#include "verify/schema.h"
#include "verify/xml.h"

#include <openssl/evp.h>
#include <time.h>

static int try_digests(void)
{
    static const char *const names[] = {"SHA1", "SHA256", "SHA384", "SHA512"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t digest[EVP_MAX_MD_SIZE];
        const EVP_MD *algorithm = EVP_get_digestbyname(names[i]);
        if (!algorithm || EVP_Digest("", 0, digest, NULL, algorithm, NULL) != 1)
            return -EIO;
    }
    return 0;
}

static int try_path(struct verify_trust *trust)
{
    _cleanup_free_ struct check_run *run = malloc(sizeof *run);
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    const struct path_signer *signer;
    uint8_t zeros[1024] = {0};
    uint8_t *der = NULL;

    int size = i2d_X509(sk_X509_value(trust->anchors, 0), &der);
    int r = run && verdict && size > 0 ? 0 : -ENOMEM;
    if (r == 0)
        r = path_signer_get(trust, bytes_of(der, (size_t)size), NULL, 0, &signer);
    OPENSSL_free(der);
    if (r != 0)
        return r == PATH_UNDECODABLE ? 0 : r; /* an anchor larger than a document's certificates */
    size_t signature_size = (size_t)EVP_PKEY_get_size(signer->key);
    if (signature_size <= sizeof zeros)
        r = path_signature_good(signer, zeros, bytes_of(zeros, signature_size));
    if (r < 0)
        return r;
    const struct verify_request request = {.time_s = (int64_t)time(NULL)};
    verdict_init(verdict);
    checks_begin(run, &trust->levels);
    return path_check(run, trust, &request, verdict);
}

int verify_warm_up(struct verify_trust *trust)
{
    /* All times here are UTC; with TZ set the C library looks for no file. */
    if (setenv("TZ", "UTC0", 1) < 0)
        return -ENOMEM;
    tzset();
    verify_xml_init();
    int r = try_digests();
    if (r == 0)
        r = schema_prepare(trust);
    return r < 0 ? r : try_path(trust);
}
