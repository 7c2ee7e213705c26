/* The link profile: what a file may say, each thing it may not, and digests in headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/base/scratch_file.h"
#include "transport/digest_header.h"
#include "transport/link_profile.h"

#include <string.h>

static int read_text(const char *text, struct link_profile *ret_profile, struct mistakes *mistakes)
{
    __attribute__((cleanup(scratch_file_close))) struct scratch_file file = {.fd = -1};
    assert_int_equal(scratch_file_open(&file, text, strlen(text)), 0);
    return link_profile_read(file.path, mistakes_note, mistakes, ret_profile);
}

static void test_default(void **state)
{
    struct link_profile profile;
    (void)state;
    link_profile_default(&profile);
    assert_true(link_profile_valid(&profile));
    assert_string_equal(profile.title, "default");
    assert_string_equal(profile.names[LINK_HEADER_ETAG], "ETag");
    assert_int_equal(profile.meanings[404], LINK_MEANS_NOT_FOUND);
    assert_int_equal(profile.meanings[202], LINK_MEANS_NOT_READY);
    assert_int_equal(profile.meanings[500], LINK_MEANS_NOTHING);
}

static void test_all_that_it_can_say(void **state)
{
    static const char text[] = "[profile]\ntitle = interface specification 1.2\n"
                               "[request]\nlookup = GET\nfetch = POST\n"
                               "header = X-Agency: 131016\nheader = Accept: application/pdf\n"
                               "[headers]\netag = X-Version\nretry_after = X-Wait\n"
                               "repr_digest = X-Sum\n"
                               "[status]\n404 = protocol\n425 = not-ready\n500 = unavailable\n"
                               "203 = not-ready\n451 = gone\n";
    struct link_profile profile;
    struct mistakes mistakes = {0};
    (void)state;
    assert_int_equal(read_text(text, &profile, &mistakes), 0);
    assert_true(link_profile_valid(&profile));
    assert_string_equal(profile.title, "interface specification 1.2");
    assert_int_equal(profile.lookup, LINK_METHOD_GET);
    assert_int_equal(profile.fetch, LINK_METHOD_POST);
    assert_int_equal(profile.header_count, 2);
    assert_string_equal(profile.headers[0], "X-Agency: 131016");
    assert_string_equal(profile.names[LINK_HEADER_ETAG], "X-Version");
    assert_int_equal(profile.meanings[404], LINK_MEANS_NOTHING);
    assert_int_equal(profile.meanings[425], LINK_MEANS_NOT_READY);
    assert_int_equal(profile.meanings[203], LINK_MEANS_NOT_READY);
    assert_int_equal(profile.meanings[403], LINK_MEANS_FORBIDDEN); /* as by default */
}

static void test_mistakes(void **state)
{
    static const char *const texts[] = {
        "[request]\nlookup = OPTIONS\n",
        "[request]\nfetch = HEAD\n",
        "[request]\nlookup = head\n",
        "[request]\nmethod = GET\n",
        "[request]\nheader = Host: elsewhere\n",
        "[request]\nheader = host: elsewhere\n",
        "[request]\nheader = Range: bytes=0-\n",
        "[request]\nheader = Content-Length: 5\n",
        "[request]\nheader = Transfer-Encoding: chunked\n",
        "[request]\nheader = Cookie: a=b\n",
        "[request]\nheader = X-Agency\n",
        "[request]\nheader = X-Agency:131016\n",
        "[request]\nheader = X Agency: 131016\n",
        "[request]\nheader = : 131016\n",
        "[request]\nheader = X-Agency: \xe5\xb8\x82\n",
        "[headers]\netag = \n",
        "[headers]\netag = X Version\n",
        "[headers]\netag = Content-Length\n",
        "[headers]\netag = Content-Range\n",
        "[headers]\netag = Date\n",
        "[headers]\netag = date\n",
        "[headers]\nlength = X-Length\n",
        "[headers]\netag = Xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
        "[status]\n200 = not-found\n",
        "[status]\n206 = not-found\n",
        "[status]\n416 = not-found\n",
        "[status]\n301 = not-found\n",
        "[status]\n302 = protocol\n",
        "[status]\n204 = gone\n",
        "[status]\n199 = gone\n",
        "[status]\n600 = gone\n",
        "[status]\n4040 = gone\n",
        "[status]\n4x4 = gone\n",
        "[status]\n-404 = gone\n",
        "[status]\n404 = missing\n",
        "[status]\n404 = \n",
        "[profile]\ntitle = \n",
        "[profile]\nversion = 3\n",
        "[other]\nx = y\n",
        "x = y\n",
        "[request\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct link_profile profile = {.title = "untouched"};
        struct mistakes mistakes = {0};
        if (read_text(texts[i], &profile, &mistakes) == 0)
            fail_msg("accepted: %s", texts[i]);
        assert_true(mistakes.count >= 1);
        assert_string_equal(profile.title, "untouched");
    }
}

static void test_too_many_headers(void **state)
{
    char text[1024] = "[request]\n";
    struct link_profile profile;
    struct mistakes mistakes = {0};
    (void)state;
    for (int i = 0; i <= LINK_PROFILE_HEADERS_MAX; i++)
        strcat(text, "header = X-A: b\n");
    assert_int_equal(read_text(text, &profile, &mistakes), -EINVAL);
}

/* As a message might bring it from a process that was taken over. */
static void test_hostile_profiles(void **state)
{
    struct link_profile good, bad;
    (void)state;
    link_profile_default(&good);
#define BAD(change)                                                                                \
    do {                                                                                           \
        bad = good;                                                                                \
        change;                                                                                    \
        assert_false(link_profile_valid(&bad));                                                    \
    } while (0)
    BAD(memset(bad.title, 'x', sizeof bad.title));
    BAD(bad.lookup = LINK_METHOD_COUNT);
    BAD(bad.fetch = LINK_METHOD_HEAD);
    BAD(bad.header_count = LINK_PROFILE_HEADERS_MAX + 1);
    BAD(bad.header_count = 1);
    BAD(memset(bad.names[0], 'x', sizeof bad.names[0]));
    BAD(strcpy(bad.names[0], "Content-Length"));
    BAD(strcpy(bad.names[0], bad.names[1]));
    BAD(bad.meanings[404] = LINK_MEANS_COUNT);
    BAD(bad.meanings[200] = LINK_MEANS_GONE);
    BAD(bad.meanings[301] = LINK_MEANS_NOT_FOUND);
#undef BAD
}

#define SUM "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" /* of nothing */

static void test_digests(void **state)
{
    static const struct {
        const char *value;
        enum digest_form form;
        enum digest_outcome outcome;
    } rows[] = {
        {"sha-256=:" SUM ":", DIGEST_REPR, DIGEST_GIVEN},
        {"md5=:AAAA:, sha-256=:" SUM ":", DIGEST_REPR, DIGEST_GIVEN},
        {"sha-512=:AAAA:", DIGEST_REPR, DIGEST_NONE},
        {"", DIGEST_REPR, DIGEST_NONE},
        {"sha-256=" SUM, DIGEST_REPR, DIGEST_MALFORMED},
        {"sha-256=:" SUM, DIGEST_REPR, DIGEST_MALFORMED},
        {"sha-256=::", DIGEST_REPR, DIGEST_MALFORMED},
        {"sha-256=:AAAA:", DIGEST_REPR, DIGEST_MALFORMED},
        {"sha-256=" SUM, DIGEST_PLAIN, DIGEST_GIVEN},
        {"SHA-256=" SUM ", unixsum=1", DIGEST_PLAIN, DIGEST_GIVEN},
        {"sha-256=:" SUM ":", DIGEST_PLAIN, DIGEST_MALFORMED},
        {"sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", DIGEST_PLAIN, DIGEST_MALFORMED},
        {"sha-256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", DIGEST_PLAIN, DIGEST_MALFORMED},
        {"sha-256=", DIGEST_PLAIN, DIGEST_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t digest[SHA256_SIZE], expected[SHA256_SIZE];
        if (digest_header_parse(rows[i].value, strlen(rows[i].value), rows[i].form, digest) !=
            rows[i].outcome)
            fail_msg("%s", rows[i].value);
        if (rows[i].outcome != DIGEST_GIVEN)
            continue;
        assert_int_equal(sha256("", 0, expected), 0);
        assert_memory_equal(digest, expected, sizeof expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),          cmocka_unit_test(test_all_that_it_can_say),
        cmocka_unit_test(test_mistakes),         cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_hostile_profiles), cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
