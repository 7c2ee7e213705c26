/* Messages: what arrives, and every packet that is not one. */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/memfd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* The header as it goes over the wire, written down a second time on purpose. */
struct wire_header {
    uint32_t magic;
    uint32_t type;
    uint64_t id;
    uint32_t size;
    uint32_t fd_count;
};
static const uint32_t wire_magic = 0x6b736b31;

struct pair {
    int ends[2];
};

static int pair_setup(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    *state = pair;
    return pair ? ipc_pair(pair->ends) : -1;
}

static int pair_teardown(void **state)
{
    struct pair *pair = *state;
    cleanup_close(&pair->ends[0]);
    cleanup_close(&pair->ends[1]);
    free(pair);
    return 0;
}

static struct ipc_message *message_new(void)
{
    struct ipc_message *message = malloc(sizeof *message);
    assert_non_null(message);
    memset(message, 0x5a, sizeof *message);
    return message;
}

static int lowest_free_fd(void)
{
    int fd = dup(STDIN_FILENO);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

static void send_raw(int fd, const void *data, size_t size, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 64)];
    } control = {0};
    char copy[65536];
    assert_true(size <= sizeof copy);
    if (size > 0)
        memcpy(copy, data, size);
    struct iovec part = {.iov_base = copy, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 0) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), size);
}

/* Sends and expects -EBADMSG, with no descriptor left over. */
static void refuse(struct pair *pair, const void *data, size_t size, const int *fds,
                   size_t fd_count)
{
    _cleanup_free_ struct ipc_message *message = message_new();
    int before = lowest_free_fd();
    send_raw(pair->ends[0], data, size, fds, fd_count);
    assert_int_equal(ipc_receive(pair->ends[1], message), -EBADMSG);
    assert_int_equal(lowest_free_fd(), before);
}

static void message_arrives(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    assert_int_equal(ipc_send(pair->ends[0], 7, 99, "abc", 3, NULL, 0), 0);
    assert_int_equal(ipc_receive(pair->ends[1], message), 0);
    assert_int_equal(message->type, 7);
    assert_int_equal(message->id, 99);
    char text[3];
    assert_int_equal(ipc_message_take(message, text, 3, 0), 0);
    assert_memory_equal(text, "abc", 3);
    assert_int_equal(ipc_message_take(message, text, 2, 0), -EBADMSG);
    assert_int_equal(ipc_message_take(message, text, 3, 1), -EBADMSG);
    ipc_message_done(message);
}

static void descriptors_arrive_cloexec(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    _cleanup_close_ int memfd = -1;
    assert_int_equal(memfd_of("test", "x", 1, &memfd), 0);
    int fds[IPC_FD_MAX];
    for (size_t i = 0; i < IPC_FD_MAX; i++)
        fds[i] = memfd;
    int before = lowest_free_fd();
    assert_int_equal(ipc_send(pair->ends[0], 1, 2, NULL, 0, fds, IPC_FD_MAX), 0);
    assert_int_equal(ipc_receive(pair->ends[1], message), 0);
    assert_int_equal(message->fd_count, IPC_FD_MAX);
    struct stat sent, got;
    _cleanup_close_ int taken = steal_fd(&message->fds[5]);
    assert_int_equal(fstat(memfd, &sent), 0);
    assert_int_equal(fstat(taken, &got), 0);
    assert_int_equal(sent.st_ino, got.st_ino);
    assert_int_equal(fcntl(taken, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ipc_message_done(message);
    ipc_message_done(message);
    cleanup_close(&taken);
    taken = -1;
    assert_int_equal(lowest_free_fd(), before);
}

static void largest_payload_arrives(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    _cleanup_free_ uint8_t *payload = calloc(1, IPC_PAYLOAD_MAX + 1);
    assert_non_null(payload);
    payload[IPC_PAYLOAD_MAX - 1] = 9;
    assert_int_equal(ipc_send(pair->ends[0], 1, 1, payload, IPC_PAYLOAD_MAX, NULL, 0), 0);
    assert_int_equal(ipc_receive(pair->ends[1], message), 0);
    assert_int_equal(message->size, IPC_PAYLOAD_MAX);
    assert_memory_equal(message->payload, payload, IPC_PAYLOAD_MAX);
    ipc_message_done(message);
    assert_int_equal(ipc_send(pair->ends[0], 1, 1, payload, IPC_PAYLOAD_MAX + 1, NULL, 0),
                     -EMSGSIZE);
}

static void too_many_descriptors_are_not_sent(void **state)
{
    struct pair *pair = *state;
    int fds[IPC_FD_MAX + 1] = {0};
    assert_int_equal(ipc_send(pair->ends[0], 1, 1, NULL, 0, fds, IPC_FD_MAX + 1), -EMSGSIZE);
}

static void malformed_packets_are_refused(void **state)
{
    struct pair *pair = *state;
    const struct wire_header good = {.magic = wire_magic, .type = 1, .id = 1};
    struct wire_header bad;

    refuse(pair, "x", 1, NULL, 0);
    refuse(pair, &good, sizeof good - 1, NULL, 0);
    refuse(pair, (uint8_t[64]){0}, 64, NULL, 0);
    bad = good;
    bad.magic ^= 1;
    refuse(pair, &bad, sizeof bad, NULL, 0);
    bad = good;
    bad.size = 1;
    refuse(pair, &bad, sizeof bad, NULL, 0);
    bad.size = UINT32_MAX;
    refuse(pair, &bad, sizeof bad, NULL, 0);
    bad = good;
    bad.fd_count = 1;
    refuse(pair, &bad, sizeof bad, NULL, 0);

    uint8_t longer[sizeof good + 4] = {0};
    memcpy(longer, &good, sizeof good);
    refuse(pair, longer, sizeof longer, NULL, 0);
}

static void over_long_packet_is_refused(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ uint8_t *packet = calloc(1, 65536);
    assert_non_null(packet);
    struct wire_header header = {.magic = wire_magic, .type = 1, .size = IPC_PAYLOAD_MAX};
    memcpy(packet, &header, sizeof header);
    refuse(pair, packet, sizeof header + IPC_PAYLOAD_MAX + 1, NULL, 0);
}

static void surplus_descriptors_are_closed(void **state)
{
    struct pair *pair = *state;
    int fds[60];
    for (size_t i = 0; i < 60; i++)
        fds[i] = STDIN_FILENO;
    struct wire_header header = {.magic = wire_magic, .type = 1};
    refuse(pair, &header, sizeof header, fds, 1);
    refuse(pair, "x", 1, fds, 3);
    header.fd_count = IPC_FD_MAX + 1;
    refuse(pair, &header, sizeof header, fds, IPC_FD_MAX + 1);
    header.fd_count = 60;
    refuse(pair, &header, sizeof header, fds, 60);
    header.fd_count = IPC_FD_MAX;
    refuse(pair, &header, sizeof header, fds, 60);
}

static void bad_packet_does_not_harm_the_next(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    refuse(pair, "garbage", 7, NULL, 0);
    assert_int_equal(ipc_send(pair->ends[0], 3, 4, NULL, 0, NULL, 0), 0);
    assert_int_equal(ipc_receive(pair->ends[1], message), 0);
    assert_int_equal(message->type, 3);
    ipc_message_done(message);
}

static void closed_peer_is_told(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    close(pair->ends[0]);
    pair->ends[0] = -1;
    assert_int_equal(ipc_receive(pair->ends[1], message), IPC_CLOSED);
    assert_int_equal(ipc_receive_timeout(pair->ends[1], 1000, message), IPC_CLOSED);
    assert_int_equal(ipc_send(pair->ends[1], 1, 1, "x", 1, NULL, 0), -EPIPE);
}

static void message_before_close_still_arrives(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    assert_int_equal(ipc_send(pair->ends[0], 1, 1, "x", 1, NULL, 0), 0);
    close(pair->ends[0]);
    pair->ends[0] = -1;
    assert_int_equal(ipc_receive(pair->ends[1], message), 0);
    ipc_message_done(message);
    assert_int_equal(ipc_receive(pair->ends[1], message), IPC_CLOSED);
}

static void last_words_of_a_peer_that_read_nothing_arrive(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    assert_int_equal(ipc_send(pair->ends[1], 1, 1, "unread", 6, NULL, 0), 0);
    assert_int_equal(ipc_send(pair->ends[0], 2, 2, "why", 3, NULL, 0), 0);
    close(pair->ends[0]);
    pair->ends[0] = -1;
    assert_int_equal(ipc_receive(pair->ends[1], message), 0);
    assert_int_equal(message->type, 2);
    ipc_message_done(message);
    assert_int_equal(ipc_receive(pair->ends[1], message), IPC_CLOSED);
}

static void waiting_ends(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    int64_t start = clock_monotonic_ms();
    assert_int_equal(ipc_receive_timeout(pair->ends[1], 30, message), -ETIMEDOUT);
    assert_true(clock_monotonic_ms() - start >= 29);
    assert_int_equal(ipc_receive_timeout(pair->ends[1], 0, message), -ETIMEDOUT);
}

static void full_queue_is_told(void **state)
{
    struct pair *pair = *state;
    _cleanup_free_ struct ipc_message *message = message_new();
    uint8_t payload[4096] = {0};
    assert_int_equal(fcntl(pair->ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(pair->ends[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(ipc_receive(pair->ends[1], message), -EAGAIN);
    int r = 0;
    for (int i = 0; i < 100000 && r == 0; i++)
        r = ipc_send(pair->ends[0], 1, 1, payload, sizeof payload, NULL, 0);
    assert_int_equal(r, -EAGAIN);
}

static void text_needs_its_nul(void **state)
{
    (void)state;
    assert_true(ipc_text_ok("abc", 4));
    assert_false(ipc_text_ok("abc", 3));
    assert_true(ipc_text_ok("", 1));
}

#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(message_arrives),
        PAIR_TEST(descriptors_arrive_cloexec),
        PAIR_TEST(largest_payload_arrives),
        PAIR_TEST(too_many_descriptors_are_not_sent),
        PAIR_TEST(malformed_packets_are_refused),
        PAIR_TEST(over_long_packet_is_refused),
        PAIR_TEST(surplus_descriptors_are_closed),
        PAIR_TEST(bad_packet_does_not_harm_the_next),
        PAIR_TEST(closed_peer_is_told),
        PAIR_TEST(message_before_close_still_arrives),
        PAIR_TEST(last_words_of_a_peer_that_read_nothing_arrive),
        PAIR_TEST(waiting_ends),
        PAIR_TEST(full_queue_is_told),
        cmocka_unit_test(text_needs_its_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
