/*
 * The whole function on a PDF document, with every policy check relaxed so that nothing stops
 * early. It aborts if a document is accepted that is not one of the vectors: whoever makes such a
 * one has forged a signature.
 */
#include "fuzz_trust.h"

#include "../unit/verify/vectors.h"

#include "base/crypto.h"

#include <stdlib.h>
#include <string.h>

static struct verify_trust *trust;
static struct vectors vectors;
static uint8_t (*digests)[SHA256_SIZE];
static struct verdict verdict;

static void prepare(void)
{
    trust = vectors_trust("ignore");
    vectors_read(&vectors);
    digests = calloc(vectors.count, sizeof *digests);
    for (size_t i = 0; i < vectors.count; i++) {
        struct buffer document;
        vectors_load(vectors.items[i].file, &document);
        if (!digests || sha256(document.data, document.size, digests[i]) < 0)
            abort();
        buffer_done(&document);
    }
}

/* The signature does not cover the case of its own hexadecimal digits, so compare what they say. */
static int is_known(void)
{
    for (size_t i = 0; i < vectors.count; i++) {
        if (memcmp(verdict.document_sha256, digests[i], SHA256_SIZE) == 0)
            return 1;
    }
    return 0;
}

/* What the signature leaves open: the digits of /Contents, which hold unsigned parts of the CMS
 * structure (certificates and lists that are not used, padding). */
static int has_changed_contents_only(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < vectors.count; i++) {
        struct buffer document;
        size_t different = 0;
        vectors_load(vectors.items[i].file, &document);
        int same_size = document.size == size;
        for (size_t k = 0; same_size && k < size; k++) {
            if (document.data[k] != data[k] &&
                (!memchr("0123456789abcdefABCDEF", data[k], 22) || ++different > size))
                same_size = 0;
        }
        buffer_done(&document);
        if (same_size)
            return 1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!trust)
        prepare();
    vectors_judge(trust, bytes_of(data, size), &verdict);
    if (verdict.indication == VERDICT_TOTAL_PASSED && !is_known() &&
        !has_changed_contents_only(data, size))
        abort();
    return 0;
}
