/* Published vectors, and every way in which sealed bytes can be wrong. */
#include "base/crypto.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* FIPS 180-2 B.1 and the empty message. */
static const char sha256_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char sha256_empty[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void assert_digest(const uint8_t digest[SHA256_SIZE], const char *expected)
{
    char text[2 * SHA256_SIZE + 1];
    hex_encode(digest, SHA256_SIZE, text);
    assert_string_equal(text, expected);
}

static void digests(void **state)
{
    (void)state;
    uint8_t digest[SHA256_SIZE];
    assert_int_equal(sha256("abc", 3, digest), 0);
    assert_digest(digest, sha256_abc);
    assert_int_equal(sha256(NULL, 0, digest), 0);
    assert_digest(digest, sha256_empty);

    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    assert_non_null(stream);
    assert_int_equal(sha256_stream_update(stream, "a", 1), 0);
    assert_int_equal(sha256_stream_update(stream, "", 0), 0);
    assert_int_equal(sha256_stream_update(stream, "bc", 2), 0);
    _cleanup_sha256_stream_ struct sha256_stream *copy = sha256_stream_copy(stream);
    assert_non_null(copy);
    assert_int_equal(sha256_stream_update(copy, "d", 1), 0);
    assert_int_equal(sha256_stream_finish(stream, digest), 0);
    assert_digest(digest, sha256_abc);
    /* The copy went its own way from where it was taken. */
    uint8_t abcd[SHA256_SIZE], of_copy[SHA256_SIZE];
    assert_int_equal(sha256("abcd", 4, abcd), 0);
    assert_int_equal(sha256_stream_finish(copy, of_copy), 0);
    assert_memory_equal(of_copy, abcd, SHA256_SIZE);
}

/* The GCM specification by McGrew and Viega, test case 16 (AES-256 with AAD). */
static const char gcm_key[] = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
static const char gcm_nonce[] = "cafebabefacedbaddecaf888";
static const char gcm_aad[] = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
static const char gcm_plain[] =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b5"
    "25b16aedf5aa0de657ba637b39";
static const char gcm_sealed[] = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8"
                                 "cb08e48590dbb3da7b08b1056828838"
                                 "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b";

enum { PLAIN_SIZE = 60, SEALED_SIZE = PLAIN_SIZE + AEAD_TAG_SIZE, AAD_SIZE = 20 };

struct vector {
    uint8_t key[AEAD_KEY_SIZE];
    uint8_t nonce[AEAD_NONCE_SIZE];
    uint8_t aad[AAD_SIZE];
    uint8_t plain[PLAIN_SIZE];
    uint8_t sealed[SEALED_SIZE];
};

static void vector_load(struct vector *vector)
{
    assert_true(hex_decode(gcm_key, strlen(gcm_key), vector->key, AEAD_KEY_SIZE));
    assert_true(hex_decode(gcm_nonce, strlen(gcm_nonce), vector->nonce, AEAD_NONCE_SIZE));
    assert_true(hex_decode(gcm_aad, strlen(gcm_aad), vector->aad, AAD_SIZE));
    assert_true(hex_decode(gcm_plain, strlen(gcm_plain), vector->plain, PLAIN_SIZE));
    assert_true(hex_decode(gcm_sealed, strlen(gcm_sealed), vector->sealed, SEALED_SIZE));
}

static void seals_as_published(void **state)
{
    (void)state;
    struct vector v;
    uint8_t sealed[SEALED_SIZE], plain[PLAIN_SIZE];
    vector_load(&v);
    assert_int_equal(aead_seal(v.key, v.nonce, v.aad, AAD_SIZE, v.plain, PLAIN_SIZE, sealed), 0);
    assert_memory_equal(sealed, v.sealed, SEALED_SIZE);
    assert_int_equal(aead_open(v.key, v.nonce, v.aad, AAD_SIZE, sealed, PLAIN_SIZE, plain), 0);
    assert_memory_equal(plain, v.plain, PLAIN_SIZE);
}

static void refuse(const struct vector *v, size_t aad_size, size_t size)
{
    static const uint8_t zeros[PLAIN_SIZE];
    uint8_t out[PLAIN_SIZE];
    memset(out, 0x77, sizeof out);
    assert_int_equal(aead_open(v->key, v->nonce, v->aad, aad_size, v->sealed, size, out), -EBADMSG);
    assert_memory_equal(out, zeros, size);
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    struct vector v;
    vector_load(&v);
    struct {
        uint8_t *data;
        size_t size;
    } parts[] = {{v.key, sizeof v.key},
                 {v.nonce, sizeof v.nonce},
                 {v.aad, sizeof v.aad},
                 {v.sealed, sizeof v.sealed}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (size_t bit = 0; bit < parts[i].size * 8; bit++) {
            parts[i].data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            refuse(&v, AAD_SIZE, PLAIN_SIZE);
            parts[i].data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

static void other_lengths_are_refused(void **state)
{
    (void)state;
    struct vector v;
    vector_load(&v);
    for (size_t size = 0; size < PLAIN_SIZE; size++)
        refuse(&v, AAD_SIZE, size);
    for (size_t aad_size = 0; aad_size < AAD_SIZE; aad_size++)
        refuse(&v, aad_size, PLAIN_SIZE);
}

static void empty_plaintext_is_sealed_too(void **state)
{
    (void)state;
    struct vector v;
    uint8_t tag[AEAD_TAG_SIZE], nothing[1];
    vector_load(&v);
    assert_int_equal(aead_seal(v.key, v.nonce, NULL, 0, NULL, 0, tag), 0);
    assert_int_equal(aead_open(v.key, v.nonce, NULL, 0, tag, 0, nothing), 0);
    assert_int_equal(aead_open(v.key, v.nonce, "a", 1, tag, 0, nothing), -EBADMSG);
}

static void random_wipe_equal(void **state)
{
    (void)state;
    uint8_t a[64] = {0}, b[64] = {0};
    assert_int_equal(random_bytes(a, sizeof a), 0);
    assert_int_equal(random_bytes(b, sizeof b), 0);
    assert_false(memory_equal(a, b, sizeof a));
    wipe(a, sizeof a);
    wipe(b, sizeof b);
    assert_true(memory_equal(a, b, sizeof a));
    assert_int_equal(a[63], 0);
    b[63] = 1;
    assert_false(memory_equal(a, b, sizeof a));
    assert_true(memory_equal(a, b, 63));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
        cmocka_unit_test(seals_as_published),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(other_lengths_are_refused),
        cmocka_unit_test(empty_plaintext_is_sealed_too),
        cmocka_unit_test(random_wipe_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
