/*
 * The CertificateVerify of TLS 1.2: signed when it is allowed and everything before it is a client
 * handshake with our certificate; nothing else is.
 */
#include "base/bytes.h"
#include "base/memfd.h"
#include "keys_fixture.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGES = 9, OURS = 7 };

/* One handshake: the messages in order, and our certificate in one of them. */
struct transcript {
    struct buffer messages[MESSAGES];
};

static struct buffer message_of(uint8_t type, const void *body, size_t size)
{
    struct buffer message;
    buffer_init(&message, 65536);
    assert_int_equal(buffer_append_u8(&message, type), 0);
    assert_int_equal(buffer_append_u8(&message, (uint8_t)(size >> 16)), 0);
    assert_int_equal(buffer_append_be16(&message, (uint16_t)size), 0);
    assert_int_equal(buffer_append(&message, body, size), 0);
    return message;
}

static struct buffer certificate_message(int fd)
{
    struct mapping pem;
    unsigned char *der = NULL;
    uint8_t body[8192] = {0};
    assert_int_equal(mapping_open(fd, 65536, &pem), 0);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    int size = i2d_X509(certificate, &der);
    assert_true(size > 0 && size < 4096);
    be16_put(body + 1, (uint16_t)(size + 3));
    be16_put(body + 4, (uint16_t)size);
    memcpy(body + 6, der, (size_t)size);
    OPENSSL_free(der);
    X509_free(certificate);
    BIO_free(bio);
    mapping_close(&pem);
    return message_of(11, body, (size_t)size + 6);
}

static void transcript_init(struct transcript *transcript, int certificate_fd)
{
    static const uint8_t types[MESSAGES] = {1, 2, 11, 22, 12, 13, 14, 11, 16};
    uint8_t body[64] = {3, 3, 7, 7, 7};
    for (unsigned i = 0; i < MESSAGES; i++)
        transcript->messages[i] = i == OURS
                                      ? certificate_message(certificate_fd)
                                      : message_of(types[i], body, types[i] == 14 ? 0 : 40 + i);
}

static void transcript_done(struct transcript *transcript)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        buffer_done(&transcript->messages[i]);
}

/* Those of `order`, a text of digits, one after another. */
static struct buffer join(const struct transcript *transcript, const char *order)
{
    struct buffer content;
    buffer_init(&content, 65536);
    for (; *order; order++) {
        const struct buffer *message = &transcript->messages[*order - '0'];
        assert_int_equal(buffer_append(&content, message->data, message->size), 0);
    }
    return content;
}

static int ask(int fd, uint32_t scheme, const void *content, size_t size, struct sign_reply *reply)
{
    static uint64_t id = 1;
    static uint8_t payload[IPC_PAYLOAD_MAX];
    struct ipc_message message;
    memcpy(payload, &scheme, sizeof scheme);
    if (size > 0)
        memcpy(payload + sizeof scheme, content, size);
    assert_int_equal(ipc_send(fd, SIGN_REQUEST_TLS12, ++id, payload, sizeof scheme + size, NULL, 0),
                     0);
    assert_int_equal(ipc_receive_timeout(fd, 10000, &message), 0);
    assert_int_equal(message.id, id);
    assert_int_equal(ipc_message_take(&message, reply, sizeof *reply, 0), 0);
    ipc_message_done(&message);
    return reply->error;
}

static int ask_buffer(int fd, struct buffer content)
{
    struct sign_reply reply;
    int r = ask(fd, SIGN_ECDSA_SECP256R1_SHA256, content.data, content.size, &reply);
    buffer_done(&content);
    if (r < 0)
        assert_int_equal(reply.signature_size, 0);
    return r;
}

static bool verifies(EVP_PKEY *key, const char *digest, int padding, struct bytes content,
                     const struct sign_reply *reply)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context;
    assert_int_equal(EVP_DigestVerifyInit_ex(context, &key_context, digest, NULL, NULL, key, NULL),
                     1);
    if (padding)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_context, padding), 1);
    int r = EVP_DigestVerify(context, reply->signature, reply->signature_size, content.data,
                             content.size);
    EVP_MD_CTX_free(context);
    return r == 1;
}

static void start(struct keys_process *process, EVP_PKEY *key, bool tls12, int certificate_fd)
{
    struct ipc_message message;
    process->tls12 = tls12;
    keys_process_spawn(process, master_key_file(1), file_with_key(key), certificate_fd);
    assert_int_equal(ipc_receive_timeout(process->supervisor_fd, 20000, &message), 0);
    assert_int_equal(message.type, ROOM_READY);
    ipc_message_done(&message);
}

static void test_signs_with_each_scheme(void **state)
{
    (void)state;
    static const struct {
        uint32_t scheme;
        const char *digest;
        int padding;
    } cases[] = {
        {SIGN_RSA_PKCS1_SHA256, "SHA256", RSA_PKCS1_PADDING},
        {SIGN_RSA_PKCS1_SHA384, "SHA384", RSA_PKCS1_PADDING},
        {SIGN_RSA_PKCS1_SHA512, "SHA512", RSA_PKCS1_PADDING},
        {SIGN_RSA_PSS_RSAE_SHA256, "SHA256", RSA_PKCS1_PSS_PADDING},
        {SIGN_RSA_PSS_RSAE_SHA384, "SHA384", RSA_PKCS1_PSS_PADDING},
        {SIGN_RSA_PSS_RSAE_SHA512, "SHA512", RSA_PKCS1_PSS_PADDING},
        {SIGN_ECDSA_SECP256R1_SHA256, "SHA256", 0},
        {SIGN_ECDSA_SHA384, "SHA384", 0},
        {SIGN_ECDSA_SHA512, "SHA512", 0},
        {0x0201, NULL, 1}, /* SHA-1 */
        {0x0203, NULL, 0},
        {0x0807, NULL, 0}, /* Ed25519 */
        {0, NULL, 0},
    };
    for (int rsa = 0; rsa < 2; rsa++) {
        EVP_PKEY *key = rsa ? new_rsa_key(2048) : new_ec_key("P-256");
        struct keys_process process = {0};
        struct transcript transcript;
        int certificate = certificate_for(key);
        transcript_init(&transcript, certificate);
        start(&process, key, true, certificate);
        int fd = keys_process_peer(&process, ROOM_LINK);
        struct buffer content = join(&transcript, "012345678");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct sign_reply reply;
            int r = ask(fd, cases[i].scheme, content.data, content.size, &reply);
            bool fits = cases[i].digest && (cases[i].padding != 0) == (rsa == 1);
            assert_int_equal(r, fits ? 0 : -EOPNOTSUPP);
            if (fits)
                assert_true(verifies(key, cases[i].digest, cases[i].padding,
                                     bytes_of(content.data, content.size), &reply));
        }
        buffer_done(&content);
        transcript_done(&transcript);
        close(fd);
        keys_process_stop(&process);
        EVP_PKEY_free(key);
    }
}

static void test_signs_nothing_else(void **state)
{
    (void)state;
    static const char *const good[] = {"012345678", "01245678", "01235678", "0125678"};
    static const char *const bad[] = {
        "",          "0",          "01",       "12345678",  "02345678", "0135678",   "012678",
        "01234578",  "01234568",   "01234567", "0123456",   "10345678", "012435678", "0123456788",
        "012345677", "0012345678", "78",       "012345687", "012345672"};
    EVP_PKEY *key = new_ec_key("P-256"), *other = new_ec_key("P-256");
    struct keys_process process = {0};
    struct transcript transcript, foreign;
    int certificate = certificate_for(key), foreign_certificate = certificate_for(other);
    transcript_init(&transcript, certificate);
    transcript_init(&foreign, foreign_certificate);
    start(&process, key, true, certificate);
    int fd = keys_process_peer(&process, ROOM_LINK);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(ask_buffer(fd, join(&transcript, good[i])), 0);
        assert_int_equal(ask_buffer(fd, join(&foreign, good[i])), -EPERM);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ask_buffer(fd, join(&transcript, bad[i])), -EPERM);

    /* Every shorter one, and one byte more. */
    struct buffer whole = join(&transcript, "0125678");
    struct sign_reply reply;
    for (size_t size = 0; size < whole.size; size += 7)
        assert_int_equal(ask(fd, SIGN_ECDSA_SECP256R1_SHA256, whole.data, size, &reply), -EPERM);
    assert_int_equal(buffer_append_u8(&whole, 0), 0);
    assert_int_equal(ask_buffer(fd, whole), -EPERM);

    /* Other versions, other lengths within, other kinds: each byte of the heads. */
    static const size_t places[] = {0, 1, 2, 3, 4, 5};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct buffer changed = join(&transcript, "0125678");
        changed.data[places[i]] ^= 1;
        assert_int_equal(ask_buffer(fd, changed), -EPERM);
    }
    for (size_t i = 0; i < 12; i++) {
        struct transcript copy = transcript;
        uint8_t before = copy.messages[OURS].data[i];
        copy.messages[OURS].data[i] ^= 1;
        assert_int_equal(ask_buffer(fd, join(&copy, "0125678")), -EPERM);
        copy.messages[OURS].data[i] = before;
    }
    static uint8_t long_content[SIGN_HANDSHAKE_MAX + 1];
    assert_int_equal(
        ask(fd, SIGN_ECDSA_SECP256R1_SHA256, long_content, sizeof long_content, &reply), -EPERM);
    transcript_done(&transcript);
    transcript_done(&foreign);
    close(foreign_certificate);
    close(fd);
    keys_process_stop(&process);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

/* Whoever asks for it all the same is cut off. */
static void test_not_by_default(void **state)
{
    (void)state;
    EVP_PKEY *key = new_ec_key("P-256");
    struct keys_process process = {0};
    struct transcript transcript;
    struct ipc_message message;
    int certificate = certificate_for(key);
    transcript_init(&transcript, certificate);
    start(&process, key, false, certificate);
    int fd = keys_process_peer(&process, ROOM_LINK);
    assert_int_equal(ask_buffer(fd, join(&transcript, "0125678")), -EPERM);
    assert_int_equal(ipc_receive_timeout(fd, 10000, &message), IPC_CLOSED);
    transcript_done(&transcript);
    close(fd);
    keys_process_stop(&process);
    EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 64;
    keys_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs_with_each_scheme),
        cmocka_unit_test(test_signs_nothing_else),
        cmocka_unit_test(test_not_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
