#include "xml_fixture.h"

#include "base/clock.h"
#include "base/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { CHECKS_MAX = 256 };

struct buffer vector_read(const char *name)
{
    const char *directory = getenv("XML_VECTORS");
    char path[1024], block[16384];
    struct buffer content;
    size_t size;

    snprintf(path, sizeof path, "%s/%s", directory ? directory : "tests/vectors/xml", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    buffer_init(&content, 64 * 1024 * 1024);
    while ((size = fread(block, 1, sizeof block, file)) > 0)
        assert_int_equal(buffer_append(&content, block, size), 0);
    fclose(file);
    return content;
}

static void add_file(struct buffer *bundle, enum trust_kind kind, const char *name)
{
    struct buffer content = vector_read(name);

    assert_int_equal(trust_bundle_add(bundle, kind, name, bytes_of(content.data, content.size)), 0);
    buffer_done(&content);
}

struct verify_trust *vector_trust(const char *anchor, const char *crl, const char *const *policies,
                                  const char *const *schemas)
{
    struct verify_trust *trust;
    struct buffer bundle;
    char text[VERDICT_TEXT_MAX];

    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    add_file(&bundle, TRUST_ANCHOR, anchor);
    add_file(&bundle, TRUST_CRL, crl);
    assert_int_equal(trust_bundle_add(&bundle, TRUST_SIGNER_DN, "signer",
                                      bytes_of(SIGNER_DN, strlen(SIGNER_DN))),
                     0);
    for (; policies && *policies; policies++)
        assert_int_equal(trust_bundle_add(&bundle, TRUST_POLICY, "policy",
                                          bytes_of(*policies, strlen(*policies))),
                         0);
    for (; schemas && *schemas; schemas++)
        add_file(&bundle, TRUST_SCHEMA, *schemas);
    if (verify_trust_new(bytes_of(bundle.data, bundle.size), text, &trust) < 0)
        fail_msg("%s", text);
    buffer_done(&bundle);
    return trust;
}

void vector_verify(struct verify_trust *trust, const void *data, size_t size,
                   struct verdict *ret_verdict)
{
    struct verify_request request = {.format = CERTFORMAT_XML, .time_s = clock_realtime_s()};

    assert_int_equal(verify_document(trust, &request, bytes_of(data, size), ret_verdict), 0);
}

bool is_policy_check(const char *name)
{
    const struct verify_check *check;

    for (unsigned i = 0; (check = verify_check_at(i)); i++)
        if (strcmp(check->name, name) == 0)
            return check->policy;
    return false;
}

const char *const *all_ignored(void)
{
    static char texts[CHECKS_MAX][VERDICT_CHECK_MAX + 16];
    static const char *list[CHECKS_MAX + 1];
    const struct verify_check *check;
    unsigned count = 0;

    for (unsigned i = 0; (check = verify_check_at(i)); i++) {
        if (!check->policy)
            continue;
        assert_true(count < CHECKS_MAX);
        snprintf(texts[count], sizeof texts[count], "%s=ignore", check->name);
        list[count] = texts[count];
        count++;
    }
    list[count] = NULL;
    return list;
}

bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
    return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
    return false;
#endif
}
