/* Neither side believes the other: every field of requests and events out of its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memfd.h"
#include "transport/link_message.h"
#include "transport/validator.h"

#include <string.h>

static int mount_fd;
static int link_fd;

static int set_up(void **state)
{
    int fds[2];
    (void)state;
    if (ipc_pair(fds) < 0)
        return -1;
    mount_fd = fds[0];
    link_fd = fds[1];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(mount_fd);
    close(link_fd);
    return 0;
}

static struct link_request good_request(void)
{
    struct link_request request = {.timeout_ms = 1000,
                                   .size_max = 1000,
                                   .expected_size = UINT64_MAX,
                                   .expected = {.etag = "\"v1\"", .last_modified_s = 5}};
    assert_true(certname_parse("a.pdf", &request.name));
    return request;
}

static struct link_event good_event(void)
{
    return (struct link_event){.kind = LINK_DONE,
                               .id = 7,
                               .result = LINK_OK,
                               .size = 1000,
                               .status = 200,
                               .resumed = 2,
                               .retry_after_s = 3,
                               .validator = {.etag = "W/\"v1\"", .last_modified_s = 5},
                               .date_s = 6,
                               .detail = "all is well"};
}

/* What kosekifs-link makes of a request with a body file. */
static int carry_request(const struct link_request *request, struct link_request *ret_request)
{
    _cleanup_ipc_message_ struct ipc_message message = {0};
    _cleanup_close_ int memfd = -1;
    assert_int_equal(memfd_new("body", &memfd), 0);
    assert_int_equal(link_client_request(mount_fd, 9, request, memfd), 0);
    assert_int_equal(ipc_receive(link_fd, &message), 0);
    assert_int_equal(message.id, 9);
    return link_message_read_request(&message, ret_request);
}

static void assert_request_refused(const struct link_request *request)
{
    struct link_request untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    struct link_request received = untouched;
    assert_int_equal(carry_request(request, &received), -EBADMSG);
    assert_memory_equal(&received, &untouched, sizeof untouched);
}

static void test_request(void **state)
{
    (void)state;
    struct link_request received;
    struct link_request request = good_request();
    assert_int_equal(carry_request(&request, &received), 0);
    assert_false(received.head);
    assert_string_equal(received.name.text, "a.pdf");
    assert_int_equal(received.timeout_ms, 1000);
    assert_int_equal(received.size_max, 1000);
    assert_true(received.expected_size == UINT64_MAX);
    assert_string_equal(received.expected.etag, "\"v1\"");
    assert_int_equal(received.expected.last_modified_s, 5);
    request.size_max = LINK_BODY_MAX;
    request.timeout_ms = LINK_TIMEOUT_MAX_MS;
    assert_int_equal(carry_request(&request, &received), 0);
    request.head = true;
    assert_int_equal(carry_request(&request, &received), 0);
    assert_true(received.head);
}

static void test_request_refused(void **state)
{
    static const char *const names[] = {"", "a", ".pdf", "a.exe", "../a.pdf", "a/b.pdf", "a.pdf "};
    (void)state;
    struct link_request request;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        request = good_request();
        memset(&request.name, 0, sizeof request.name);
        memcpy(request.name.text, names[i], strlen(names[i]));
        assert_request_refused(&request);
    }
    request = good_request();
    memset(&request.name, 'a', sizeof request.name); /* no end */
    assert_request_refused(&request);
    request = good_request();
    request.name.text[20] = 'x'; /* behind the end */
    assert_request_refused(&request);
    request = good_request();
    request.timeout_ms = 0;
    assert_request_refused(&request);
    request.timeout_ms = LINK_TIMEOUT_MAX_MS + 1;
    assert_request_refused(&request);
    request = good_request();
    request.size_max = 0;
    assert_request_refused(&request);
    request.size_max = (uint64_t)LINK_BODY_MAX + 1;
    assert_request_refused(&request);
    request = good_request();
    memset(request.expected.etag, 'x', sizeof request.expected.etag);
    assert_request_refused(&request);
    memcpy(request.expected.etag, "\"a\r\nX: y\"", 10); /* would be a header of its own */
    assert_request_refused(&request);
    request = good_request();
    request.expected.last_modified_s = -1;
    assert_request_refused(&request);
    request.expected.last_modified_s = LINK_TIME_MAX_S + 1;
    assert_request_refused(&request);
}

static void send_raw(int fd, uint32_t type, size_t size, const void *payload, unsigned fd_count)
{
    int fds[2] = {0, 1};
    assert_int_equal(ipc_send(fd, type, 9, payload, size, fds, fd_count), 0);
}

/* The bytes of a good message, to be bent. */
static size_t good_payload(uint8_t *out, bool event)
{
    _cleanup_ipc_message_ struct ipc_message message = {0};
    struct link_event good = good_event();
    struct link_request request = good_request();
    request.head = true;
    if (event)
        assert_int_equal(link_message_send_event(link_fd, &good), 0);
    else
        assert_int_equal(link_client_request(mount_fd, 9, &request, -1), 0);
    assert_int_equal(ipc_receive(event ? mount_fd : link_fd, &message), 0);
    memcpy(out, message.payload, message.size);
    return message.size;
}

static int receive_request(void)
{
    _cleanup_ipc_message_ struct ipc_message message = {0};
    struct link_request request;
    assert_int_equal(ipc_receive(link_fd, &message), 0);
    int r = link_message_read_request(&message, &request);
    if (r == 0) { /* whatever was bent, the bounds hold */
        assert_true(certname_valid(&request.name));
        assert_in_range(request.timeout_ms, 1, LINK_TIMEOUT_MAX_MS);
        assert_non_null(memchr(request.expected.etag, '\0', sizeof request.expected.etag));
    }
    return r;
}

static void test_request_bent(void **state)
{
    static uint8_t payload[IPC_PAYLOAD_MAX];
    (void)state;
    size_t size = good_payload(payload, false);
    send_raw(mount_fd, LINK_REQUEST, size, payload, 0);
    assert_int_equal(receive_request(), 0);
    send_raw(mount_fd, LINK_REQUEST, size - 1, payload, 0);
    assert_int_equal(receive_request(), -EBADMSG);
    send_raw(mount_fd, LINK_REQUEST, size + 1, payload, 0);
    assert_int_equal(receive_request(), -EBADMSG);
    send_raw(mount_fd, LINK_REQUEST, 0, NULL, 0);
    assert_int_equal(receive_request(), -EBADMSG);
    send_raw(mount_fd, LINK_EVENT, size, payload, 0);
    assert_int_equal(receive_request(), -EBADMSG);
    send_raw(mount_fd, LINK_REQUEST, size, payload, 1); /* HEAD has no file */
    assert_int_equal(receive_request(), -EBADMSG);
    payload[0] = 2; /* a bool that is neither */
    send_raw(mount_fd, LINK_REQUEST, size, payload, 0);
    assert_int_equal(receive_request(), -EBADMSG);
    payload[0] = 0; /* GET without a file, and with two */
    send_raw(mount_fd, LINK_REQUEST, size, payload, 0);
    assert_int_equal(receive_request(), -EBADMSG);
    send_raw(mount_fd, LINK_REQUEST, size, payload, 2);
    assert_int_equal(receive_request(), -EBADMSG);
    payload[0] = 1;
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            payload[i] ^= (uint8_t)(1 << bit);
            send_raw(mount_fd, LINK_REQUEST, size, payload, 0);
            (void)receive_request();
            payload[i] ^= (uint8_t)(1 << bit);
        }
    }
}

static int carry_event(const struct link_event *event, struct link_event *ret_event)
{
    assert_int_equal(link_message_send_event(link_fd, event), 0);
    return link_client_receive(mount_fd, ret_event);
}

static void assert_event_refused(const struct link_event *event)
{
    struct link_event untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    struct link_event received = untouched;
    assert_int_equal(carry_event(event, &received), -EBADMSG);
    assert_memory_equal(&received, &untouched, sizeof untouched);
}

static void test_event(void **state)
{
    (void)state;
    struct link_event received;
    struct link_event event = good_event();
    assert_int_equal(carry_event(&event, &received), 0);
    assert_int_equal(received.kind, LINK_DONE);
    assert_int_equal(received.id, 7);
    assert_int_equal(received.result, LINK_OK);
    assert_int_equal(received.size, 1000);
    assert_int_equal(received.status, 200);
    assert_int_equal(received.resumed, 2);
    assert_int_equal(received.retry_after_s, 3);
    assert_string_equal(received.validator.etag, "W/\"v1\"");
    assert_int_equal(received.date_s, 6);
    assert_string_equal(received.detail, "all is well");
    event = (struct link_event){.kind = LINK_PROGRESS, .id = 1, .size = 5};
    assert_int_equal(carry_event(&event, &received), 0);
    assert_int_equal(received.kind, LINK_PROGRESS);
}

static void bend_numbers(unsigned which, struct link_event *event)
{
    switch (which) {
    case 0:
        event->kind = (enum link_event_kind)2;
        return;
    case 1:
        event->result = LINK_RESULT_COUNT;
        return;
    case 2:
        event->result = (enum link_result) - 1;
        return;
    case 3:
        event->size = (uint64_t)INT64_MAX + 1;
        return;
    case 4:
        event->status = 99;
        return;
    case 5:
        event->status = 600;
        return;
    case 6:
        event->status = 404; /* and yet ok */
        return;
    case 7:
        event->status = 0;
        return;
    case 8:
        event->retry_after_s = LINK_RETRY_AFTER_MAX_S + 1;
        return;
    case 9:
        event->date_s = -1;
        return;
    case 10:
        event->date_s = INT64_MAX;
        return;
    case 11:
        event->validator.last_modified_s = INT64_MIN;
        return;
    default:
        event->kind = LINK_PROGRESS; /* with a result */
        event->result = LINK_BUSY;
    }
}

static void test_event_refused(void **state)
{
    (void)state;
    struct link_event event;
    for (unsigned which = 0; which <= 12; which++) {
        event = good_event();
        bend_numbers(which, &event);
        assert_event_refused(&event);
    }
    event = good_event();
    memset(event.detail, 'x', sizeof event.detail); /* no end */
    assert_event_refused(&event);
    static const char *const details[] = {"two\nlines", "\x1b[31mred", "tab\there", "\xe3\x81\x82",
                                          "\x7f"};
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        event = good_event();
        memcpy(event.detail, details[i], strlen(details[i]) + 1);
        assert_event_refused(&event);
    }
    static const char *const tags[] = {"v1", "\"v1", "\"v\"1\"", "\"v1\"\r\nX: y", "W/"};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        event = good_event();
        memset(&event.validator, 0, sizeof event.validator);
        memcpy(event.validator.etag, tags[i], strlen(tags[i]));
        assert_event_refused(&event);
    }
    event = good_event();
    memset(event.validator.etag, '"', sizeof event.validator.etag);
    assert_event_refused(&event);
}

static void test_event_bent(void **state)
{
    static uint8_t payload[IPC_PAYLOAD_MAX];
    struct link_event event;
    (void)state;
    size_t size = good_payload(payload, true);
    send_raw(link_fd, LINK_EVENT, size + 1, payload, 0);
    assert_int_equal(link_client_receive(mount_fd, &event), -EBADMSG);
    send_raw(link_fd, LINK_EVENT, size - 1, payload, 0);
    assert_int_equal(link_client_receive(mount_fd, &event), -EBADMSG);
    send_raw(link_fd, LINK_EVENT, size, payload, 1); /* a descriptor nobody asked for */
    assert_int_equal(link_client_receive(mount_fd, &event), -EBADMSG);
    send_raw(link_fd, LINK_REQUEST, size, payload, 0);
    assert_int_equal(link_client_receive(mount_fd, &event), -EBADMSG);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            payload[i] ^= (uint8_t)(1 << bit);
            send_raw(link_fd, LINK_EVENT, size, payload, 0);
            if (link_client_receive(mount_fd, &event) == 0) {
                assert_true(event.result < LINK_RESULT_COUNT);
                assert_true(strlen(event.detail) < LINK_DETAIL_MAX);
                assert_true(event.date_s >= 0);
            }
            payload[i] ^= (uint8_t)(1 << bit);
        }
    }
    close(link_fd);
    assert_int_equal(link_client_receive(mount_fd, &event), IPC_CLOSED);
    link_fd = -1;
}

static struct link_step good_step(void)
{
    return (struct link_step){.kind = LINK_STEP_CLOCK,
                              .verdict = LINK_STEP_WARN,
                              .took_us = 12,
                              .value = -20,
                              .text = "theirs is behind",
                              .hint = "look at both"};
}

static void test_step(void **state)
{
    (void)state;
    struct link_event received;
    struct link_step step = good_step();
    assert_int_equal(link_message_send_step(link_fd, 9, &step), 0);
    assert_int_equal(link_client_receive(mount_fd, &received), 0);
    assert_int_equal(received.kind, LINK_STEP);
    assert_int_equal(received.id, 9);
    assert_int_equal(received.step.kind, LINK_STEP_CLOCK);
    assert_int_equal(received.step.verdict, LINK_STEP_WARN);
    assert_int_equal(received.step.took_us, 12);
    assert_int_equal(received.step.value, -20);
    assert_string_equal(received.step.text, "theirs is behind");
    assert_string_equal(received.step.hint, "look at both");
}

static void test_step_refused(void **state)
{
    (void)state;
    struct link_event received;
    for (unsigned which = 0; which < 6; which++) {
        struct link_step step = good_step();
        if (which == 0)
            step.kind = LINK_STEP_COUNT;
        if (which == 1)
            step.verdict = LINK_STEP_VERDICT_COUNT;
        if (which == 2)
            step.kind = (enum link_step_kind) - 1;
        if (which == 3)
            step.text[0] = '\n';
        if (which == 4)
            step.hint[3] = (char)0xe3;
        if (which == 5)
            step.text[0] = '\x7f';
        assert_int_equal(link_message_send_step(link_fd, 9, &step), 0);
        assert_int_equal(link_client_receive(mount_fd, &received), -EBADMSG);
    }
}

/* Texts without an end, lengths that are not those of a step. */
static void test_step_bent(void **state)
{
    (void)state;
    static uint8_t payload[2 * LINK_STEP_TEXT_MAX + 24];
    struct link_event received;
    memset(payload + 24, 'x', sizeof payload - 24);
    send_raw(link_fd, LINK_TEST_STEP, sizeof payload, payload, 0);
    assert_int_equal(link_client_receive(mount_fd, &received), -EBADMSG);
    memset(payload, 0, sizeof payload);
    for (size_t size = 0; size < sizeof payload; size += 7) {
        send_raw(link_fd, LINK_TEST_STEP, size, payload, 0);
        assert_int_equal(link_client_receive(mount_fd, &received), -EBADMSG);
    }
    send_raw(link_fd, LINK_TEST_STEP, sizeof payload, payload, 1);
    assert_int_equal(link_client_receive(mount_fd, &received), -EBADMSG);
    payload[12] = 1;
    send_raw(link_fd, LINK_TEST_STEP, sizeof payload, payload, 0);
    assert_int_equal(link_client_receive(mount_fd, &received), -EBADMSG);
    payload[12] = 0;
    send_raw(link_fd, LINK_TEST_STEP, sizeof payload, payload, 0);
    assert_int_equal(link_client_receive(mount_fd, &received), 0);
    assert_string_equal(link_step_text(received.step.kind), "name");
}

static void test_detail_is_one_plain_line(void **state)
{
    (void)state;
    char detail[LINK_DETAIL_MAX];
    link_detail_set(detail, "a%sb", "\r\n\x1b\xff");
    assert_string_equal(detail, "a????b");
    char large[1000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    link_detail_set(detail, "%s", large);
    assert_int_equal(strlen(detail), LINK_DETAIL_MAX - 1);
}

static void test_result_texts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LINK_RESULT_COUNT; i++)
        assert_true(strlen(link_result_text((enum link_result)i)) > 1);
    assert_string_equal(link_result_text(LINK_RESULT_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_bent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_event_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_event_bent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_step_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_step_bent, set_up, tear_down),
        cmocka_unit_test(test_detail_is_one_plain_line),
        cmocka_unit_test(test_result_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
