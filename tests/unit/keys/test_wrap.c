/*
 * keys_client against the real kosekifs-keys, and against one that lies, stalls and goes away.
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/ed25519.h"
#include "keys/keys_client.h"
#include "keys/wrap_protocol.h"
#include "keys_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char aad[] = "slot 7, generation 1";

static void test_round_trip(void **state)
{
    (void)state;
    EVP_PKEY *tls_key = new_ec_key("P-256");
    struct keys_process process = {0};
    struct keys_client *client;
    uint8_t key[AEAD_KEY_SIZE], other[AEAD_KEY_SIZE], again[AEAD_KEY_SIZE];
    uint8_t wrapped[KEYS_WRAPPED_SIZE], second[KEYS_WRAPPED_SIZE];
    assert_int_equal(keys_client_new(&client), 0);
    keys_process_start(&process, tls_key);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));

    assert_int_equal(keys_client_generate(client, aad, sizeof aad, key, wrapped), 0);
    assert_int_equal(keys_client_generate(client, aad, sizeof aad, other, second), 0);
    assert_memory_not_equal(key, other, sizeof key);
    assert_memory_not_equal(wrapped, second, sizeof wrapped);
    assert_memory_equal(wrapped, second, 4); /* the key id */
    assert_int_equal(keys_client_unwrap(client, aad, sizeof aad, wrapped, again), 0);
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(keys_client_generate(client, NULL, 0, key, wrapped), 0);
    assert_int_equal(keys_client_unwrap(client, "", 0, wrapped, again), 0);
    assert_memory_equal(key, again, sizeof key);

    /* Any bit of it, any other aad: not ours, and the output is not touched. */
    uint8_t untouched[AEAD_KEY_SIZE];
    memset(untouched, 0xa5, sizeof untouched);
    for (size_t i = 0; i < sizeof second; i++) {
        uint8_t damaged[KEYS_WRAPPED_SIZE];
        memcpy(damaged, second, sizeof damaged);
        damaged[i] ^= (uint8_t)(1u << (i % 8));
        memcpy(again, untouched, sizeof again);
        assert_int_equal(keys_client_unwrap(client, aad, sizeof aad, damaged, again), -EBADMSG);
        assert_memory_equal(again, untouched, sizeof again);
    }
    assert_int_equal(keys_client_unwrap(client, aad, sizeof aad - 1, second, again), -EBADMSG);
    assert_int_equal(keys_client_unwrap(client, NULL, 0, second, again), -EBADMSG);
    uint8_t long_aad[KEYS_AAD_MAX + 1] = {0};
    assert_int_equal(keys_client_generate(client, long_aad, KEYS_AAD_MAX, key, wrapped), 0);
    assert_int_equal(keys_client_generate(client, long_aad, KEYS_AAD_MAX + 1, key, wrapped),
                     -EINVAL);
    assert_int_equal(keys_client_unwrap(client, long_aad, SIZE_MAX, wrapped, key), -EINVAL);

    /* The keys process is replaced; the same master key unwraps. */
    keys_process_stop(&process);
    keys_process_start(&process, tls_key);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    assert_int_equal(keys_client_unwrap(client, aad, sizeof aad, second, again), 0);
    assert_memory_equal(other, again, sizeof other);
    keys_process_stop(&process);
    keys_client_free(client);
    EVP_PKEY_free(tls_key);
}

/* Ready with this master key, and a previous one if it is not 0. */
static void start_generation(struct keys_process *process, EVP_PKEY *tls_key, unsigned char master,
                             unsigned char previous)
{
    struct ipc_message message;
    process->previous_fd = previous ? master_key_file(previous) : 0;
    keys_process_spawn(process, master_key_file(master), file_with_key(tls_key),
                       certificate_for(tls_key));
    assert_int_equal(ipc_receive_timeout(process->supervisor_fd, 20000, &message), 0);
    assert_int_equal(message.type, ROOM_READY);
    ipc_message_done(&message);
}

static void test_generations(void **state)
{
    (void)state;
    EVP_PKEY *tls_key = new_ec_key("P-256");
    struct keys_process process = {0};
    struct keys_client *client;
    struct keys_generations before, both;
    uint8_t key[AEAD_KEY_SIZE], again[AEAD_KEY_SIZE];
    uint8_t old[KEYS_WRAPPED_SIZE], new[KEYS_WRAPPED_SIZE], untouched[KEYS_WRAPPED_SIZE];
    uint8_t scratch[KEYS_WRAPPED_SIZE];
    assert_int_equal(keys_client_new(&client), 0);
    start_generation(&process, tls_key, 1, 0);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    assert_int_equal(keys_client_generations(client, &before), 0);
    assert_int_equal(before.count, 1);
    assert_int_equal(keys_client_generate(client, aad, sizeof aad, key, old), 0);
    assert_memory_equal(old, before.ids[0], KEYS_ID_SIZE);
    assert_int_equal(keys_client_rewrap(client, aad, sizeof aad, old, new), KEYS_CURRENT);
    keys_process_stop(&process);

    /* A new generation; the old one still unwraps, and is wrapped anew. */
    start_generation(&process, tls_key, 2, 1);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    assert_int_equal(keys_client_generations(client, &both), 0);
    assert_int_equal(both.count, 2);
    assert_memory_equal(both.ids[1], before.ids[0], KEYS_ID_SIZE);
    assert_memory_not_equal(both.ids[0], before.ids[0], KEYS_ID_SIZE);
    assert_int_equal(keys_client_unwrap(client, aad, sizeof aad, old, again), 0);
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(keys_client_rewrap(client, aad, sizeof aad, old, new), 0);
    assert_memory_equal(new, both.ids[0], KEYS_ID_SIZE);
    memset(untouched, 0xa5, sizeof untouched);
    for (size_t i = 0; i < sizeof old; i++) {
        uint8_t damaged[KEYS_WRAPPED_SIZE], out[KEYS_WRAPPED_SIZE];
        memcpy(out, untouched, sizeof out);
        memcpy(damaged, i % 2 ? old : new, sizeof damaged);
        damaged[i] ^= 0x40;
        assert_int_equal(keys_client_rewrap(client, aad, sizeof aad, damaged, out), -EBADMSG);
        assert_memory_equal(out, untouched, sizeof out);
    }
    assert_int_equal(keys_client_rewrap(client, aad, sizeof aad - 1, old, scratch), -EBADMSG);
    assert_int_equal(keys_client_rewrap(client, aad, KEYS_AAD_MAX + 1, old, scratch), -EINVAL);
    keys_process_stop(&process);

    /* Without the old one only what was wrapped anew opens. */
    start_generation(&process, tls_key, 2, 0);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    assert_int_equal(keys_client_unwrap(client, aad, sizeof aad, old, again), -EBADMSG);
    assert_int_equal(keys_client_rewrap(client, aad, sizeof aad, old, scratch), -EBADMSG);
    assert_int_equal(keys_client_unwrap(client, aad, sizeof aad, new, again), 0);
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(keys_client_rewrap(client, aad, sizeof aad, new, scratch), KEYS_CURRENT);
    keys_process_stop(&process);
    keys_client_free(client);
    EVP_PKEY_free(tls_key);
}

/* Counts of what was done, and what the last asker had on record. */
static void test_status(void **state)
{
    (void)state;
    EVP_PKEY *tls_key = new_ec_key("P-256");
    struct keys_process process = {0};
    struct keys_client *client;
    struct keys_status first, second;
    uint8_t key[AEAD_KEY_SIZE], wrapped[KEYS_WRAPPED_SIZE], signature[KEYS_SIGNATURE_SIZE];
    uint8_t public_key[KEYS_PUBLIC_KEY_SIZE];
    const struct keys_uses none = {0};
    assert_int_equal(keys_client_new(&client), 0);
    keys_process_start(&process, tls_key);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    assert_int_equal(keys_client_status(client, 0, &none, &first), 0);
    assert_true(first.instance != 0);
    assert_memory_equal(&first.uses, &none, sizeof none);
    assert_int_equal(first.master_source, KEYS_IN_FILE);
    assert_int_equal(first.token, KEYS_TOKEN_UNUSED);
    assert_int_equal(first.generation_count, 1);
    assert_true(first.not_after_s > clock_realtime_s());

    for (int i = 0; i < 3; i++)
        assert_int_equal(keys_client_generate(client, aad, sizeof aad, key, wrapped), 0);
    assert_int_equal(keys_client_unwrap(client, aad, sizeof aad, wrapped, key), 0);
    assert_int_equal(keys_client_unwrap(client, aad, 1, wrapped, key), -EBADMSG);
    assert_int_equal(keys_client_sign_checkpoint(client, "x", 1, signature, public_key), 0);
    assert_int_equal(keys_client_status(client, first.instance, &first.uses, &second), 0);
    const struct keys_uses expected = {.wrapped = 3, .unwrapped = 1, .failed = 1, .checkpoints = 1};
    assert_memory_equal(&second.uses, &expected, sizeof expected);
    assert_memory_equal(&second.recorded, &none, sizeof none);

    /* Kept for whoever asks next, and of this life only. */
    assert_int_equal(keys_client_status(client, second.instance, &second.uses, &second), 0);
    assert_int_equal(keys_client_status(client, second.instance + 1, &none, &second), 0);
    assert_memory_equal(&second.recorded, &expected, sizeof expected);
    keys_process_stop(&process);
    keys_process_start(&process, tls_key);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    assert_int_equal(keys_client_status(client, second.instance, &second.uses, &first), 0);
    assert_true(first.instance != second.instance);
    assert_memory_equal(&first.uses, &none, sizeof none);
    assert_memory_equal(&first.recorded, &none, sizeof none);
    keys_process_stop(&process);
    keys_client_free(client);
    EVP_PKEY_free(tls_key);
}

static void test_signs_checkpoints(void **state)
{
    (void)state;
    EVP_PKEY *tls_key = new_ec_key("P-256");
    struct keys_process process = {0};
    struct keys_client *client;
    uint8_t signature[KEYS_SIGNATURE_SIZE], again[KEYS_SIGNATURE_SIZE];
    uint8_t public_key[KEYS_PUBLIC_KEY_SIZE], second_key[KEYS_PUBLIC_KEY_SIZE];
    uint8_t statement[KEYS_STATEMENT_MAX + 1] = "records up to 7";
    assert_int_equal(keys_client_new(&client), 0);
    keys_process_start(&process, tls_key);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    for (size_t size = 1; size <= KEYS_STATEMENT_MAX; size += KEYS_STATEMENT_MAX - 1) {
        assert_int_equal(
            keys_client_sign_checkpoint(client, statement, size, signature, public_key), 0);
        assert_true(ed25519_verify(public_key, statement, size, signature));
        statement[0] ^= 1;
        assert_false(ed25519_verify(public_key, statement, size, signature));
    }
    assert_int_equal(keys_client_sign_checkpoint(client, statement, 0, again, second_key), -EINVAL);
    assert_int_equal(
        keys_client_sign_checkpoint(client, statement, sizeof statement, again, second_key),
        -EINVAL);

    /* The key is the master key's, so it stays when the process is replaced. */
    keys_process_stop(&process);
    keys_process_start(&process, tls_key);
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    assert_int_equal(keys_client_sign_checkpoint(client, statement, 9, again, second_key), 0);
    assert_memory_equal(public_key, second_key, sizeof public_key);

    /* kosekifs-link may not ask for it. */
    int link = keys_process_peer(&process, ROOM_LINK);
    struct ipc_message answer;
    assert_int_equal(ipc_send(link, KEYS_SIGN, 1, statement, 9, NULL, 0), 0);
    assert_int_equal(ipc_receive_timeout(link, 5000, &answer), 0);
    assert_int_equal(answer.type, SIGN_REPLY);
    assert_int_equal(((struct sign_reply *)(void *)answer.payload)->error, -EPERM);
    ipc_message_done(&answer);
    close(link);
    keys_process_stop(&process);
    keys_client_free(client);
    EVP_PKEY_free(tls_key);
}

/* mount's messages are checked as link's are, and two mounts never share: the newer one stays. */
static void test_refuses_other_questions(void **state)
{
    (void)state;
    EVP_PKEY *tls_key = new_ec_key("P-256");
    struct keys_process process = {0};
    struct ipc_message message;
    static uint8_t payload[4096];
    keys_process_start(&process, tls_key);
    static const struct {
        uint32_t type;
        size_t size;
    } bad[] = {
        {SIGN_REQUEST, sizeof(struct sign_request)},
        {KEYS_GENERATE, 0},
        {KEYS_GENERATE, 67},
        {KEYS_GENERATE, 69},
        {KEYS_UNWRAP, 0},
        {KEYS_UNWRAP, 131},
        {KEYS_UNWRAP, 133},
        {KEYS_REWRAP, 131},
        {KEYS_REWRAPPED, 68},
        {KEYS_LIST, 1},
        {KEYS_ASK_STATUS, 0},
        {KEYS_ASK_STATUS, sizeof(struct keys_ask_status) + 1},
        {KEYS_STATUS, sizeof(struct keys_status)},
        {KEYS_GENERATED, 100},
        {ROOM_SETUP, 0},
        {ROOM_PEER, 8},
        {0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int fd = keys_process_peer(&process, ROOM_MOUNT);
        assert_int_equal(ipc_send(fd, bad[i].type, 5, payload, bad[i].size, NULL, 0), 0);
        int32_t error;
        assert_int_equal(ipc_receive_timeout(fd, 10000, &message), 0);
        assert_int_equal(message.id, 5);
        assert_int_equal(ipc_message_take(&message, &error, sizeof error, 0), 0);
        assert_int_equal(error, -EPERM);
        assert_int_equal(ipc_receive_timeout(fd, 10000, &message), IPC_CLOSED);
        close(fd);
    }
    /* An aad longer than the message. */
    int fd = keys_process_peer(&process, ROOM_MOUNT);
    memset(payload, 0xff, 4);
    assert_int_equal(ipc_send(fd, KEYS_GENERATE, 5, payload, 68, NULL, 0), 0);
    assert_int_equal(ipc_receive_timeout(fd, 10000, &message), 0);
    assert_int_equal(message.size, 4);
    assert_int_equal(ipc_receive_timeout(fd, 10000, &message), IPC_CLOSED);
    close(fd);

    int older = keys_process_peer(&process, ROOM_MOUNT);
    int newer = keys_process_peer(&process, ROOM_MOUNT);
    assert_int_equal(ipc_receive_timeout(older, 10000, &message), IPC_CLOSED);
    memset(payload, 0, 4);
    assert_int_equal(ipc_send(newer, KEYS_GENERATE, 5, payload, 68, NULL, 0), 0);
    assert_int_equal(ipc_receive_timeout(newer, 10000, &message), 0);
    assert_int_equal(message.type, KEYS_GENERATED);
    close(older);
    close(newer);
    keys_process_stop(&process);
    EVP_PKEY_free(tls_key);
}

/* A script of what a false keys process answers to one question. */
enum lie { LIE_WRONG_IDS, LIE_WRONG_SIZE, LIE_WRONG_TYPE, LIE_REFUSE, LIE_CLOSE, LIE_POSITIVE };

struct liar {
    int fd;
    enum lie lie;
};

static void *answer_falsely(void *argument)
{
    struct liar *liar = argument;
    struct ipc_message question;
    uint8_t answer[4 + AEAD_KEY_SIZE + KEYS_WRAPPED_SIZE] = {0};
    if (ipc_receive_timeout(liar->fd, 10000, &question) != 0)
        return NULL;
    switch (liar->lie) {
    case LIE_WRONG_IDS: /* as late answers would come; then the right one */
        memset(answer + 4, 0x11, sizeof answer - 4);
        for (uint64_t id = question.id - 20; id != question.id; id++)
            (void)!ipc_send(liar->fd, KEYS_GENERATED, id, answer, sizeof answer, NULL, 0);
        memset(answer + 4, 0x22, sizeof answer - 4);
        (void)!ipc_send(liar->fd, KEYS_GENERATED, question.id, answer, sizeof answer, NULL, 0);
        break;
    case LIE_WRONG_SIZE:
        (void)!ipc_send(liar->fd, KEYS_GENERATED, question.id, answer, sizeof answer - 1, NULL, 0);
        break;
    case LIE_WRONG_TYPE:
        (void)!ipc_send(liar->fd, KEYS_UNWRAPPED, question.id, answer, sizeof answer, NULL, 0);
        break;
    case LIE_REFUSE:
        (void)!ipc_send(liar->fd, KEYS_REFUSED, question.id, answer, 4, NULL, 0);
        break;
    case LIE_POSITIVE:
        answer[0] = 1;
        (void)!ipc_send(liar->fd, KEYS_GENERATED, question.id, answer, sizeof answer, NULL, 0);
        break;
    case LIE_CLOSE:
        break;
    }
    ipc_message_done(&question);
    close(liar->fd);
    return NULL;
}

/* Returns what generate says; the client meets the liar first and nobody after it. */
static int meet_liar(struct keys_client *client, struct liar liar, uint8_t *key)
{
    int pair[2];
    pthread_t thread;
    uint8_t wrapped[KEYS_WRAPPED_SIZE];
    assert_int_equal(ipc_pair(pair), 0);
    liar.fd = pair[1];
    assert_int_equal(pthread_create(&thread, NULL, answer_falsely, &liar), 0);
    keys_client_connect(client, pair[0]);
    int r = keys_client_generate(client, aad, sizeof aad, key, wrapped);
    pthread_join(thread, NULL);
    keys_client_connect(client, -1);
    return r;
}

static void test_believes_no_liar(void **state)
{
    (void)state;
    struct keys_client *client;
    uint8_t key[AEAD_KEY_SIZE];
    uint8_t right[AEAD_KEY_SIZE];
    uint8_t untouched[AEAD_KEY_SIZE], wrapped[KEYS_WRAPPED_SIZE];
    memset(right, 0x22, sizeof right);
    memset(untouched, 0xa5, sizeof untouched);
    assert_int_equal(keys_client_new(&client), 0);
    assert_int_equal(meet_liar(client, (struct liar){.lie = LIE_WRONG_IDS}, key), 0);
    assert_memory_equal(key, right, sizeof key);
    memcpy(key, untouched, sizeof key);
    assert_int_equal(meet_liar(client, (struct liar){.lie = LIE_REFUSE}, key), -EPERM);
    assert_int_equal(meet_liar(client, (struct liar){.lie = LIE_POSITIVE}, key), -EPROTO);
    /* Three waits to the deadline would take 15 s, so only one of those that end as a lost
     * connection does. */
    int64_t before_ms = clock_monotonic_ms();
    assert_int_equal(meet_liar(client, (struct liar){.lie = LIE_WRONG_SIZE}, key), -EHOSTDOWN);
    int64_t waited_ms = clock_monotonic_ms() - before_ms;
    assert_true(waited_ms >= KEYS_TIMEOUT_MS - 50 && waited_ms < 4 * KEYS_TIMEOUT_MS);
    assert_memory_equal(key, untouched, sizeof key);
    /* Now one of them ends at once. */
    keys_client_expect_no_other(client);
    before_ms = clock_monotonic_ms();
    assert_int_equal(meet_liar(client, (struct liar){.lie = LIE_WRONG_SIZE}, key), -EHOSTDOWN);
    assert_int_equal(keys_client_generate(client, aad, sizeof aad, key, wrapped), -EHOSTDOWN);
    assert_true(clock_monotonic_ms() - before_ms < KEYS_TIMEOUT_MS - 50);
    keys_client_free(client);
}

struct caller {
    struct keys_client *client;
    int result;
    uint8_t key[AEAD_KEY_SIZE];
};

static void *call_generate(void *argument)
{
    struct caller *caller = argument;
    uint8_t wrapped[KEYS_WRAPPED_SIZE];
    caller->result = keys_client_generate(caller->client, aad, sizeof aad, caller->key, wrapped);
    return NULL;
}

/* The connection dies under a call; the call goes on with the next one. */
static void test_survives_lost_connections(void **state)
{
    (void)state;
    EVP_PKEY *tls_key = new_ec_key("P-256");
    struct keys_process process = {0};
    keys_process_start(&process, tls_key);
    static const enum lie lies[] = {LIE_CLOSE, LIE_WRONG_TYPE, LIE_WRONG_SIZE};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct caller caller = {0};
        struct liar liar = {.lie = lies[i]};
        int pair[2];
        pthread_t threads[2];
        assert_int_equal(keys_client_new(&caller.client), 0);
        assert_int_equal(ipc_pair(pair), 0);
        liar.fd = pair[1];
        assert_int_equal(pthread_create(&threads[0], NULL, answer_falsely, &liar), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, call_generate, &caller), 0);
        keys_client_connect(caller.client, pair[0]);
        pthread_join(threads[0], NULL);
        keys_client_connect(caller.client, keys_process_peer(&process, ROOM_MOUNT));
        pthread_join(threads[1], NULL);
        assert_int_equal(caller.result, 0);
        keys_client_free(caller.client);
    }

    /* One that never answers is replaced while a call waits for it. */
    struct caller caller = {0};
    struct ipc_message message;
    int pair[2];
    pthread_t thread;
    assert_int_equal(keys_client_new(&caller.client), 0);
    assert_int_equal(ipc_pair(pair), 0);
    keys_client_connect(caller.client, pair[0]);
    assert_int_equal(pthread_create(&thread, NULL, call_generate, &caller), 0);
    assert_int_equal(ipc_receive_timeout(pair[1], 10000, &message), 0);
    keys_client_connect(caller.client, keys_process_peer(&process, ROOM_MOUNT));
    pthread_join(thread, NULL);
    assert_int_equal(caller.result, 0);
    assert_int_equal(ipc_receive_timeout(pair[1], 10000, &message), IPC_CLOSED);
    close(pair[1]);
    keys_client_free(caller.client);
    keys_process_stop(&process);
    EVP_PKEY_free(tls_key);
}

static void test_turns_are_taken(void **state)
{
    (void)state;
    enum { CALLERS = 8 };
    EVP_PKEY *tls_key = new_ec_key("P-256");
    struct keys_process process = {0};
    struct keys_client *client;
    struct caller callers[CALLERS] = {0};
    pthread_t threads[CALLERS];
    assert_int_equal(keys_client_new(&client), 0);
    keys_process_start(&process, tls_key);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i].client = client;
        assert_int_equal(pthread_create(&threads[i], NULL, call_generate, &callers[i]), 0);
    }
    keys_client_connect(client, keys_process_peer(&process, ROOM_MOUNT));
    for (unsigned i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].result, 0);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(callers[i].key, callers[k].key, AEAD_KEY_SIZE);
    }
    keys_process_stop(&process);
    keys_client_free(client);
    EVP_PKEY_free(tls_key);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 64;
    keys_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_refuses_other_questions),
        cmocka_unit_test(test_believes_no_liar), cmocka_unit_test(test_survives_lost_connections),
        cmocka_unit_test(test_turns_are_taken),  cmocka_unit_test(test_signs_checkpoints),
        cmocka_unit_test(test_generations),      cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
