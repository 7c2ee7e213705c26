/*
 * kosekifs-keys as seen by kosekifs-link: what it signs verifies with the public key; whatever is
 * not a TLS 1.3 client CertificateVerify is not signed; key files that will not do are refused.
 */
#include "base/memfd.h"
#include "keys_fixture.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static EVP_PKEY *rsa_key;
static EVP_PKEY *ec_key;

static struct sign_request handshake(uint32_t scheme, size_t hash_size)
{
    static const char context[] = "TLS 1.3, client CertificateVerify";
    struct sign_request request = {.scheme = scheme};
    memset(request.content, ' ', 64);
    memcpy(request.content + 64, context, sizeof context);
    for (size_t i = 0; i < hash_size; i++)
        request.content[64 + sizeof context + i] = (uint8_t)(i * 7);
    request.content_size = (uint32_t)(64 + sizeof context + hash_size);
    return request;
}

static void receive_reply(int fd, uint64_t id, struct sign_reply *reply)
{
    struct ipc_message message;
    assert_int_equal(ipc_receive_timeout(fd, 10000, &message), 0);
    assert_int_equal(message.type, SIGN_REPLY);
    assert_int_equal(message.id, id);
    assert_int_equal(ipc_message_take(&message, reply, sizeof *reply, 0), 0);
    ipc_message_done(&message);
}

static int ask(int fd, const struct sign_request *request, struct sign_reply *reply)
{
    static uint64_t id = 1000;
    assert_int_equal(ipc_send(fd, SIGN_REQUEST, ++id, request, sizeof *request, NULL, 0), 0);
    receive_reply(fd, id, reply);
    return reply->error;
}

static bool verifies(EVP_PKEY *key, const char *digest, const struct sign_request *request,
                     const struct sign_reply *reply)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context;
    assert_int_equal(EVP_DigestVerifyInit_ex(context, &key_context, digest, NULL, NULL, key, NULL),
                     1);
    if (EVP_PKEY_is_a(key, "RSA")) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING), 1);
        /* Exactly this salt; the default would accept any. */
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    int r = EVP_DigestVerify(context, reply->signature, reply->signature_size, request->content,
                             request->content_size);
    EVP_MD_CTX_free(context);
    return r == 1;
}

static void test_signs_handshakes(void **state)
{
    (void)state;
    static const struct {
        uint32_t scheme;
        const char *digest;
        bool rsa;
    } cases[] = {
        {SIGN_RSA_PSS_RSAE_SHA256, "SHA256", true},
        {SIGN_RSA_PSS_RSAE_SHA384, "SHA384", true},
        {SIGN_RSA_PSS_RSAE_SHA512, "SHA512", true},
        {SIGN_ECDSA_SECP256R1_SHA256, "SHA256", false},
    };
    for (int rsa = 0; rsa < 2; rsa++) {
        struct keys_process process = {0};
        EVP_PKEY *key = rsa ? rsa_key : ec_key;
        keys_process_start(&process, key);
        int fd = keys_process_peer(&process, ROOM_LINK);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            /* The transcript hash follows the cipher suite, not the scheme. */
            for (size_t hash_size = 32; hash_size <= 48; hash_size += 16) {
                struct sign_request request = handshake(cases[i].scheme, hash_size);
                struct sign_reply reply;
                int r = ask(fd, &request, &reply);
                if (cases[i].rsa == (rsa == 1)) {
                    assert_int_equal(r, 0);
                    assert_true(verifies(key, cases[i].digest, &request, &reply));
                } else {
                    assert_int_equal(r, -EOPNOTSUPP);
                    assert_int_equal(reply.signature_size, 0);
                }
            }
        }
        close(fd);
        keys_process_stop(&process);
    }
}

static void expect_refused(int fd, struct sign_request request)
{
    struct sign_reply reply;
    static const uint8_t zeros[SIGN_SIGNATURE_MAX];
    assert_int_equal(ask(fd, &request, &reply), -EPERM);
    assert_int_equal(reply.signature_size, 0);
    assert_memory_equal(reply.signature, zeros, sizeof zeros);
}

static void test_signs_nothing_else(void **state)
{
    (void)state;
    struct keys_process process = {0};
    keys_process_start(&process, rsa_key);
    int fd = keys_process_peer(&process, ROOM_LINK);
    struct sign_request good = handshake(SIGN_RSA_PSS_RSAE_SHA256, 32);
    struct sign_request bad;

    /* Each byte before the hash counts. */
    for (size_t i = 0; i < 64 + 34; i++) {
        bad = good;
        bad.content[i] ^= 0x20;
        expect_refused(fd, bad);
    }
    /* "server" in place of "client": what the other side signs. */
    bad = good;
    memcpy(bad.content + 64 + 9, "server", 6);
    expect_refused(fd, bad);
    static const size_t sizes[] = {0, 1, 20, 31, 33, 47, 49, 63, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_refused(fd, handshake(SIGN_RSA_PSS_RSAE_SHA256, sizes[i]));
    static const uint32_t lengths[] = {0, 64, 97, SIGN_CONTENT_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        bad = good;
        bad.content_size = lengths[i];
        expect_refused(fd, bad);
    }
    /* TLS 1.2 signs a hash over the messages: any text. */
    bad = (struct sign_request){.scheme = SIGN_RSA_PSS_RSAE_SHA256, .content_size = 32};
    expect_refused(fd, bad);
    static const uint32_t schemes[] = {0, 0x0401, 0x0503, 0x0807, 0x0809, UINT32_MAX};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct sign_reply reply;
        bad = good;
        bad.scheme = schemes[i];
        assert_int_equal(ask(fd, &bad, &reply), -EOPNOTSUPP);
        assert_int_equal(reply.signature_size, 0);
    }
    struct sign_reply reply;
    assert_int_equal(ask(fd, &good, &reply), 0);
    close(fd);
    keys_process_stop(&process);
}

/* What mount may ask is not for link: refused, and the connection ends; others go on. */
static void test_cuts_off_whoever_asks_for_more(void **state)
{
    (void)state;
    struct keys_process process = {0};
    keys_process_start(&process, ec_key);
    struct sign_request good = handshake(SIGN_ECDSA_SECP256R1_SHA256, 32);
    struct sign_reply reply;
    for (uint32_t type = 0; type < 0x300; type++) {
        if (type == SIGN_REQUEST || (type > 8 && type < 0xf8) || (type > 0x108 && type < 0x1f8) ||
            type > 0x210)
            continue;
        struct ipc_message message;
        int fd = keys_process_peer(&process, ROOM_LINK);
        assert_int_equal(ipc_send(fd, type, 7, &good, sizeof good, NULL, 0), 0);
        receive_reply(fd, 7, &reply);
        assert_int_equal(reply.error, -EPERM);
        assert_int_equal(ipc_receive_timeout(fd, 10000, &message), IPC_CLOSED);
        close(fd);
    }
    static const size_t sizes[] = {0, 1, sizeof good - 1, sizeof good + 1, IPC_PAYLOAD_MAX};
    static uint8_t payload[IPC_PAYLOAD_MAX];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ipc_message message;
        int fd = keys_process_peer(&process, ROOM_LINK);
        assert_int_equal(ipc_send(fd, SIGN_REQUEST, 7, payload, sizes[i], NULL, 0), 0);
        receive_reply(fd, 7, &reply);
        assert_int_equal(reply.error, -EPERM);
        assert_int_equal(ipc_receive_timeout(fd, 10000, &message), IPC_CLOSED);
        close(fd);
    }
    /* A descriptor that nobody asked for. */
    struct ipc_message message;
    int fd = keys_process_peer(&process, ROOM_LINK);
    assert_int_equal(ipc_send(fd, SIGN_REQUEST, 7, &good, sizeof good, &fd, 1), 0);
    receive_reply(fd, 7, &reply);
    assert_int_equal(reply.error, -EPERM);
    close(fd);
    /* Neighbours of other roles may ask nothing at all. */
    for (int role = ROOM_SUPERVISOR; role <= ROOM_ROLE_COUNT; role++) {
        if (role == ROOM_MOUNT || role == ROOM_LINK)
            continue;
        fd = keys_process_peer(&process, (enum room_role)role);
        assert_int_equal(ipc_receive_timeout(fd, 10000, &message), IPC_CLOSED);
        close(fd);
    }
    fd = keys_process_peer(&process, ROOM_LINK);
    assert_int_equal(ask(fd, &good, &reply), 0);
    close(fd);
    keys_process_stop(&process);
}

/* 450 questions in a run: the first 400 fit the burst, and not all of the rest can. */
static void test_limits_the_rate(void **state)
{
    (void)state;
    struct keys_process process = {0};
    keys_process_start(&process, ec_key);
    int fd = keys_process_peer(&process, ROOM_LINK);
    struct sign_request good = handshake(SIGN_ECDSA_SECP256R1_SHA256, 48);
    struct sign_reply reply;
    unsigned refused = 0;
    for (unsigned i = 0; i < 20000 && refused == 0; i++) {
        int r = ask(fd, &good, &reply);
        assert_true(r == 0 || r == -EAGAIN);
        if (r == -EAGAIN) {
            assert_true(i >= 400);
            assert_int_equal(reply.signature_size, 0);
            refused++;
        }
    }
    assert_int_equal(refused, 1);
    close(fd);
    keys_process_stop(&process);
}

/* With no free descriptor number an open() anywhere would fail, and the signature with it. */
static void test_needs_no_file_after_start(void **state)
{
    (void)state;
    struct keys_process process = {0};
    keys_process_start(&process, rsa_key);
    int fd = keys_process_peer(&process, ROOM_LINK);
    struct sign_request good = handshake(SIGN_RSA_PSS_RSAE_SHA512, 48);
    struct sign_reply reply;
    assert_int_equal(ask(fd, &good, &reply), 0);
    struct rlimit before;
    assert_int_equal(prlimit(process.pid, RLIMIT_NOFILE, NULL, &before), 0);
    struct rlimit limit = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(prlimit(process.pid, RLIMIT_NOFILE, &limit, NULL), 0);
    assert_int_equal(ask(fd, &good, &reply), 0);
    /* The leak check of a sanitizer does open files. */
    assert_int_equal(prlimit(process.pid, RLIMIT_NOFILE, &before, NULL), 0);
    struct rlimit core;
    assert_int_equal(prlimit(process.pid, RLIMIT_CORE, NULL, &core), 0);
    assert_int_equal(core.rlim_max, 0);
    close(fd);
    keys_process_stop(&process);
}

static void test_ends_on_sigterm(void **state)
{
    (void)state;
    struct keys_process process = {0};
    int status;
    keys_process_start(&process, ec_key);
    kill(process.pid, SIGINT); /* for the whole terminal, not for this process */
    kill(process.pid, SIGTERM);
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(process.supervisor_fd);
}

static void test_refuses_master_key_files(void **state)
{
    (void)state;
    static uint8_t bytes[64 * 1024];
    static const size_t sizes[] = {0, 16, 31, 33, 64, sizeof bytes};
    memset(bytes, 0x33, sizeof bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        keys_process_expect_failure(file_with(bytes, sizes[i], 0400), file_with_key(ec_key),
                                    certificate_for(ec_key), "exactly 32");
    static const unsigned modes[] = {0440, 0404, 0644, 0620, 0601};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        keys_process_expect_failure(file_with(bytes, 32, modes[i]), file_with_key(ec_key),
                                    certificate_for(ec_key), "mode");
    memset(bytes, 0, 32);
    keys_process_expect_failure(file_with(bytes, 32, 0600), file_with_key(ec_key),
                                certificate_for(ec_key), "zeros");
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    keys_process_expect_failure(pipe_fds[0], file_with_key(ec_key), certificate_for(ec_key),
                                "regular");
    close(pipe_fds[1]);
}

static int tls_file_from_bio(BIO *bio)
{
    char *text;
    long size = BIO_get_mem_data(bio, &text);
    int fd = file_with(text, (size_t)size, 0400);
    BIO_free(bio);
    return fd;
}

static void test_refuses_tls_key_files(void **state)
{
    (void)state;
    keys_process_expect_failure(master_key_file(1), file_with("", 0, 0400), certificate_for(ec_key),
                                "no PEM");
    keys_process_expect_failure(master_key_file(1), file_with("hello", 5, 0400),
                                certificate_for(ec_key), "no PEM");
    static char large[64 * 1024 + 1];
    keys_process_expect_failure(master_key_file(1), file_with(large, sizeof large, 0400),
                                certificate_for(ec_key), "too large");

    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, ec_key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
    keys_process_expect_failure(master_key_file(1), tls_file_from_bio(bio), certificate_for(ec_key),
                                "encrypted");
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, rsa_key, EVP_aes_256_cbc(),
                                                          (const unsigned char *)"secret", 6, NULL,
                                                          NULL),
                     1);
    keys_process_expect_failure(master_key_file(1), tls_file_from_bio(bio), certificate_for(ec_key),
                                "encrypted");
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, rsa_key, NULL, NULL, 0, NULL, NULL),
                     1);
    keys_process_expect_failure(master_key_file(1), tls_file_from_bio(bio), certificate_for(ec_key),
                                "PKCS#8");
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, rsa_key), 1);
    keys_process_expect_failure(master_key_file(1), tls_file_from_bio(bio), certificate_for(ec_key),
                                "no PEM");
    keys_process_expect_failure(
        master_key_file(1),
        file_with("-----BEGIN PRIVATE KEY-----\nMAAwAA==\n-----END PRIVATE KEY-----\n", 64, 0400),
        certificate_for(ec_key), "TLS key file");

    EVP_PKEY *keys[] = {new_rsa_key(1024), new_ec_key("P-384"), new_ec_key("secp256k1"),
                        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
                        EVP_PKEY_Q_keygen(NULL, NULL, "X25519")};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        keys_process_expect_failure(master_key_file(1), file_with_key(keys[i]),
                                    certificate_for(ec_key), "is needed");
        EVP_PKEY_free(keys[i]);
    }
}

static void test_refuses_a_foreign_certificate(void **state)
{
    (void)state;
    int garbage;
    assert_int_equal(memfd_of("certificate", "no PEM", 6, &garbage), 0);
    keys_process_expect_failure(master_key_file(1), file_with_key(ec_key), certificate_for(rsa_key),
                                "is not the private key");
    keys_process_expect_failure(master_key_file(1), file_with_key(rsa_key), certificate_for(ec_key),
                                "is not the private key");
    keys_process_expect_failure(master_key_file(1), file_with_key(ec_key), garbage,
                                "no certificate");
    keys_process_expect_failure(master_key_file(1), file_with_key(ec_key), master_key_file(2),
                                "certificate_file");
}

static int make_keys(void **state)
{
    (void)state;
    rsa_key = new_rsa_key(2048);
    ec_key = new_ec_key("P-256");
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa_key);
    EVP_PKEY_free(ec_key);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 64;
    keys_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs_handshakes),
        cmocka_unit_test(test_signs_nothing_else),
        cmocka_unit_test(test_cuts_off_whoever_asks_for_more),
        cmocka_unit_test(test_limits_the_rate),
        cmocka_unit_test(test_needs_no_file_after_start),
        cmocka_unit_test(test_ends_on_sigterm),
        cmocka_unit_test(test_refuses_master_key_files),
        cmocka_unit_test(test_refuses_tls_key_files),
        cmocka_unit_test(test_refuses_a_foreign_certificate),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
