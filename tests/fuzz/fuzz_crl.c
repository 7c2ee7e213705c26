/*
 * Revocation lists that anybody may have brought in one file, on their whole way: taken apart, each
 * looked at, those that are not refused given to a trust, as every kosekifs-verify does, and a
 * signer judged by them. It aborts if a list counts whose body is none of the corpus; if what was
 * let through cannot be used by a trust, since its worker would end; or if lists that nobody
 * vouches for decide about a signer.
 */
#include "fuzz_trust.h"

#include "fs/revocation.h"
#include "verify/crl.h"
#include "verify/verify.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOW_S = 1798761600 /* 2027-01-01; the lists of the corpus are of that time */,
    KNOWN_MAX = 256
};

static struct verify_trust *trust;
static struct buffer officials, signer;
static uint8_t known[KNOWN_MAX][SHA256_SIZE];
static size_t known_count;

static void load(const char *name, struct buffer *content)
{
    const char *directory = getenv("TESTS_VECTORS");
    char path[1024];
    uint8_t piece[4096];
    size_t got;

    snprintf(path, sizeof path, "%s/crl/%s", directory ? directory : ".", name);
    _cleanup_fclose_ FILE *stream = fopen(path, "rb");
    buffer_init(content, CRL_SIZE_MAX);
    if (!stream) {
        fprintf(stderr, "%s cannot be opened\n", path);
        exit(99);
    }
    while ((got = fread(piece, 1, sizeof piece, stream)) > 0) {
        if (buffer_append(content, piece, got) < 0)
            abort();
    }
}

/* What is signed, without the signature. */
static bool hash_body(struct bytes content, uint8_t ret_digest[SHA256_SIZE])
{
    X509_CRL *list = crl_decode(content);
    uint8_t *body = NULL;
    int size = list ? i2d_re_X509_CRL_tbs(list, &body) : 0;
    int r = size > 0 ? sha256(body, (size_t)size, ret_digest) : -EINVAL;

    OPENSSL_free(body);
    X509_CRL_free(list);
    return r == 0;
}

static void note_known(void)
{
    char path[1024];
    const struct dirent *entry;

    snprintf(path, sizeof path, "%s/crl", getenv("TESTS_VECTORS"));
    DIR *directory = opendir(path);
    while (directory && (entry = readdir(directory))) {
        _cleanup_buffer_ struct buffer content = {0};
        if (!strchr(entry->d_name, '.') || entry->d_name[0] == '.' || known_count == KNOWN_MAX)
            continue;
        load(entry->d_name, &content);
        known_count += hash_body(bytes_of(content.data, content.size), known[known_count]);
    }
    closedir(directory);
}

static void prepare(void)
{
    static const char name[] =
        "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP";
    _cleanup_buffer_ struct buffer bundle, root = {0};
    char message[VERDICT_TEXT_MAX];

    load("pki/root.der", &root);
    load("pki/officials.der", &officials);
    load("pki/signer.der", &signer);
    note_known();
    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    if (trust_bundle_add(&bundle, TRUST_ANCHOR, "root", bytes_of(root.data, root.size)) < 0 ||
        trust_bundle_add(&bundle, TRUST_SIGNER_DN, "signer", bytes_of(name, sizeof name - 1)) < 0 ||
        verify_trust_new(bytes_of(bundle.data, bundle.size), message, &trust) < 0)
        abort();
}

static bool is_known(struct bytes content)
{
    uint8_t digest[SHA256_SIZE];

    for (size_t i = 0; hash_body(content, digest) && i < known_count; i++) {
        if (memory_equal(digest, known[i], SHA256_SIZE))
            return true;
    }
    return false;
}

static void check_encoding(const struct crl_info *info)
{
    struct crl_info decoded;
    _cleanup_buffer_ struct buffer encoded;

    buffer_init(&encoded, CRL_INFO_ENCODED_MAX);
    if (crl_info_encode(info, &encoded) < 0 ||
        crl_info_decode(bytes_of(encoded.data, encoded.size), &decoded) < 0 ||
        crl_info_compare(info, &decoded) != 0)
        abort();
}

static void judge_signer(const struct revocation *revocation)
{
    const struct bytes path[] = {bytes_of(signer.data, signer.size),
                                 bytes_of(officials.data, officials.size)};
    _cleanup_buffer_ struct buffer bundle;
    char message[VERDICT_TEXT_MAX];
    static struct signer_record record;
    bool vouched = false;

    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    for (size_t i = 0; i < revocation->count; i++) {
        const struct revocation_list *list = revocation->lists[i];
        vouched = vouched || !list->waiting;
        if (trust_bundle_add(&bundle, TRUST_CRL, list->source,
                             bytes_of(list->content.data, list->content.size)) < 0)
            abort();
    }
    if (verify_trust_set_crls(trust, bytes_of(bundle.data, bundle.size), message) < 0 ||
        verify_assess(trust, path, 2, NOW_S) < 0 || !verify_signer_last(trust, &record))
        abort();
    if (!vouched && (record.status.path[0].state != CERTIFICATE_UNKNOWN ||
                     record.status.path[1].state != CERTIFICATE_UNKNOWN))
        abort();
}

static void examine(struct revocation *revocation, const struct revocation_offer *offer)
{
    const struct bytes authority = bytes_of(officials.data, officials.size);
    struct bytes content = bytes_of(offer->content.data, offer->content.size);
    struct revocation_list *list;
    struct crl_info info;
    char text[CRL_TEXT_MAX];

    if (verify_crl(trust, content, &authority, 1, NOW_S, &info) < 0)
        abort();
    check_encoding(&info);
    if ((info.outcome == CRL_GOOD) != (info.text[0] == '\0'))
        abort();
    if (info.outcome == CRL_GOOD && !is_known(content))
        abort();
    if (revocation_decide(revocation, &info, NOW_S, &list, text) < 0 || (list && *text))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct revocation revocation;
    const struct revocation_offer *offer;

    if (!trust)
        prepare();
    revocation_init(&revocation);
    if (revocation_bring(&revocation, "file", bytes_of(data, size), false) == -ENOMEM)
        abort();
    while ((offer = revocation_first(&revocation)))
        examine(&revocation, offer);
    if (revocation.count > 0)
        judge_signer(&revocation);
    revocation_done(&revocation);
    return 0;
}
