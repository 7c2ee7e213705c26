/* See keys_fixture.h. */
#include "keys_fixture.h"

#include "base/config.h"
#include "base/memfd.h"
#include "base/keys_setup.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

const char *keys_program;

int file_with(const void *data, size_t size, unsigned mode)
{
    char path[] = "keys-test-XXXXXX";
    int writer = mkstemp(path);
    assert_true(writer >= 0);
    assert_int_equal(write(writer, data, size), size);
    assert_int_equal(fchmod(writer, mode), 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(writer);
    unlink(path);
    return fd;
}

int file_with_key(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long size = BIO_get_mem_data(bio, &text);
    int fd = file_with(text, (size_t)size, 0400);
    BIO_free(bio);
    return fd;
}

int master_key_file(unsigned char fill)
{
    unsigned char key[32];
    memset(key, fill, sizeof key);
    return file_with(key, sizeof key, 0400);
}

int certificate_for(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    int fd;
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    long size = BIO_get_mem_data(bio, &text);
    assert_int_equal(memfd_of("certificate", text, (size_t)size, &fd), 0);
    BIO_free(bio);
    X509_free(certificate);
    return fd;
}

EVP_PKEY *new_rsa_key(unsigned bits)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    assert_non_null(key);
    return key;
}

EVP_PKEY *new_ec_key(const char *group)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", group);
    assert_non_null(key);
    return key;
}

void keys_process_spawn(struct keys_process *process, int master_fd, int tls_fd, int certificate_fd)
{
    int pair[2];
    assert_int_equal(ipc_pair(pair), 0);
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0) {
        if (dup2(pair[1], ROOM_FD) < 0 || fcntl(ROOM_FD, F_SETFD, 0) < 0)
            _exit(126);
        execl(keys_program, keys_program, NULL);
        _exit(127);
    }
    close(pair[1]);
    process->supervisor_fd = pair[0];
    const struct config_sandbox sandbox = {
        .level = "best", .landlock_abi_max = 1000, .verify_memory = 1 << 30};
    assert_int_equal(ipc_send(pair[0], ROOM_SANDBOX, 0, &sandbox, sizeof sandbox, NULL, 0), 0);
    struct keys_setup setup = {.keys = {.master_key = "/master",
                                        .tls_key = "/tls",
                                        .signatures_per_second = 200,
                                        .signatures_burst = 400},
                               .tls12 = process->tls12};
    int fds[4] = {certificate_fd, master_fd};
    unsigned count = 2;
    if (process->previous_fd > 0) {
        strcpy(setup.keys.previous_master_keys, "/previous");
        fds[count++] = process->previous_fd;
    }
    fds[count++] = tls_fd;
    assert_int_equal(ipc_send(pair[0], ROOM_SETUP, 0, &setup, sizeof setup, fds, count), 0);
    close(certificate_fd);
    close(master_fd);
    close(tls_fd);
}

void keys_process_start(struct keys_process *process, EVP_PKEY *tls_key)
{
    struct ipc_message message;
    keys_process_spawn(process, master_key_file(0x5a), file_with_key(tls_key),
                       certificate_for(tls_key));
    assert_int_equal(ipc_receive_timeout(process->supervisor_fd, 20000, &message), 0);
    assert_int_equal(message.type, ROOM_READY);
    ipc_message_done(&message);
}

static void expect_exit(pid_t pid, int code)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

void keys_process_expect_failure(int master_fd, int tls_fd, int certificate_fd, const char *words)
{
    struct keys_process process = {0};
    struct ipc_message message;
    char text[ROOM_TEXT_MAX + 1] = "";
    keys_process_spawn(&process, master_fd, tls_fd, certificate_fd);
    assert_int_equal(ipc_receive_timeout(process.supervisor_fd, 20000, &message), 0);
    assert_int_equal(message.type, ROOM_FAILED);
    assert_true(message.size <= ROOM_TEXT_MAX);
    memcpy(text, message.payload, message.size);
    if (!strstr(text, words))
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    ipc_message_done(&message);
    expect_exit(process.pid, 1);
    close(process.supervisor_fd);
}

int keys_process_peer(struct keys_process *process, enum room_role role)
{
    int pair[2];
    struct room_peer who = {.role = role};
    assert_int_equal(ipc_pair(pair), 0);
    assert_int_equal(ipc_send(process->supervisor_fd, ROOM_PEER, 0, &who, sizeof who, &pair[1], 1),
                     0);
    close(pair[1]);
    return pair[0];
}

void keys_process_stop(struct keys_process *process)
{
    close(process->supervisor_fd);
    expect_exit(process->pid, 0);
}
