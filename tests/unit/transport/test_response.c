/* What is made of answers: framing, validators, ranges, statuses. No network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transport/link_message.h"
#include "transport/response.h"

#include <stdio.h>
#include <string.h>

static const int64_t now_s = 1800000000;
static const struct link_validator nothing;
static const struct link_validator held = {.etag = "\"v1\""};

static const struct link_profile *default_profile(void)
{
    static struct link_profile profile;
    link_profile_default(&profile);
    return &profile;
}

static struct response_question whole(void)
{
    return (struct response_question){
        .size_max = 1000, .expected_size = UINT64_MAX, .expected = &nothing};
}

static struct response_question rest(void)
{
    struct response_question question = whole();
    question.offset = 100;
    question.held_size = 300;
    question.held = &held;
    return question;
}

static struct response_judgement judge(const struct response_question *question, const char *header)
{
    struct response response;
    struct response_judgement judgement;
    response_init(&response, default_profile());
    for (const char *line = header; *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t size = end ? (size_t)(end - line) + 1 : strlen(line);
        if (!response_add_line(&response, line, size))
            break;
        line += size;
    }
    response_judge(&response, question, now_s, &judgement);
    return judgement;
}

static void assert_end(const struct response_question *question, const char *header,
                       enum link_result result)
{
    struct response_judgement judgement = judge(question, header);
    if (judgement.step != RESPONSE_END || judgement.result != result)
        fail_msg("step %d, %s (%s) for:\n%s", judgement.step, link_result_text(judgement.result),
                 judgement.detail, header);
    assert_true(judgement.detail[0] != '\0');
}

static void test_whole_body(void **state)
{
    (void)state;
    struct response_question question = whole();
    struct response_judgement judgement =
        judge(&question, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: \"v1\"\r\n\r\n");
    assert_int_equal(judgement.step, RESPONSE_WHOLE);
    assert_int_equal(judgement.size, 1000);
    judgement = judge(&question, "HTTP/1.0 200\r\ncontent-length:\t7 \r\n"
                                 "Content-Encoding: Identity\r\n\r\n");
    assert_int_equal(judgement.step, RESPONSE_WHOLE);
    assert_int_equal(judgement.size, 7);
    question.head = true;
    judgement = judge(&question, "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n");
    assert_int_equal(judgement.step, RESPONSE_HEADERS);
    assert_int_equal(judgement.size, 99999);
}

static void test_framing_refused(void **state)
{
    static const char *const headers[] = {
        "",
        "\r\n",
        "Content-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 00000000000000000005\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: identity, gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nrubbish\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x01\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \x7f\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/3 200\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 600 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    };
    (void)state;
    struct response_question question = whole();
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_end(&question, headers[i], LINK_PROTOCOL);
}

static void test_etag_refused(void **state)
{
    static const char *const tags[] = {
        "",           "v1",
        "\"v1",       "v1\"",
        "\"",         "'v1'",
        "\"a\"b\"",   "\"a\" \"b\"",
        "\"a b\"",    "w/\"v1\"",
        "W/v1",       "W/",
        "W/\"",       "\"\xe3\x81\x82\"",
        "\"a\tb\"",   "\"a\"x",
        "W/W/\"v1\"",
    };
    (void)state;
    char header[512];
    struct response_question question = whole();
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        (void)snprintf(header, sizeof header,
                       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: %s\r\n\r\n", tags[i]);
        assert_end(&question, header, LINK_PROTOCOL);
    }
    assert_end(&question,
               "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"a\"\r\nETag: \"a\"\r\n\r\n",
               LINK_PROTOCOL);
}

/* The longest tag that fits is taken, one more is not. */
static void test_etag_size(void **state)
{
    (void)state;
    struct response_question question = whole();
    for (int size = LINK_ETAG_MAX - 2; size <= LINK_ETAG_MAX + 1; size++) {
        char tag[LINK_ETAG_MAX + 2] = {0};
        char header[512];
        memset(tag, 'x', (size_t)size);
        tag[0] = tag[size - 1] = '"';
        (void)snprintf(header, sizeof header,
                       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: %s\r\n\r\n", tag);
        if (size < LINK_ETAG_MAX)
            assert_int_equal(judge(&question, header).step, RESPONSE_WHOLE);
        else
            assert_end(&question, header, LINK_PROTOCOL);
    }
}

static void test_header_ceilings(void **state)
{
    (void)state;
    struct response response;
    response_init(&response, default_profile());
    assert_true(response_add_line(&response, "HTTP/1.1 200 OK\r\n", 17));
    unsigned lines = 1;
    while (response_add_line(&response, "X: y\r\n", 6))
        lines++;
    assert_int_equal(lines, RESPONSE_LINES_MAX);

    /* Interim answers count through. */
    response_init(&response, default_profile());
    lines = 0;
    while (response_add_line(&response, lines % 2 == 0 ? "HTTP/1.1 103 Hint\r\n" : "\r\n",
                             lines % 2 == 0 ? 19 : 2))
        lines++;
    assert_int_equal(lines, RESPONSE_LINES_MAX);

    static char line[RESPONSE_HEADER_MAX + 1];
    memset(line, 'y', sizeof line);
    memcpy(line, "X: ", 3);
    response_init(&response, default_profile());
    assert_true(response_add_line(&response, "HTTP/1.1 200 OK\r\n", 17));
    assert_true(response_add_line(&response, line, RESPONSE_HEADER_MAX - 17));
    assert_false(response_add_line(&response, "\r\n", 2));
    assert_false(response_add_line(&response, "X: y\r\n", 6));
}

/* What an interim answer said does not count. */
static void test_interim(void **state)
{
    (void)state;
    struct response_question question = whole();
    struct response_judgement judgement =
        judge(&question, "HTTP/1.1 103 Hint\r\nContent-Length: 9\r\nETag: \"x\"\r\n\r\n"
                         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(judgement.step, RESPONSE_WHOLE);
    assert_int_equal(judgement.size, 5);
}

static void test_too_large(void **state)
{
    (void)state;
    struct response_question question = whole();
    assert_end(&question, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", LINK_TOO_LARGE);
    assert_end(&question, "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
               LINK_TOO_LARGE);
}

static void test_expected(void **state)
{
    static const struct link_validator strong = {.etag = "\"v1\"", .last_modified_s = 784111777};
    static const struct link_validator weak = {.etag = "W/\"v1\"", .last_modified_s = 784111777};
    static const struct link_validator dated = {.last_modified_s = 784111777};
    static const char date[] = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    static const char later[] = "Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT\r\n";
    static const struct {
        const struct link_validator *expected;
        uint64_t size;
        const char *etag;
        const char *date;
        bool same;
    } cases[] = {
        {&strong, 5, "ETag: \"v1\"\r\n", date, true},
        {&strong, UINT64_MAX, "ETag: \"v1\"\r\n", later, true}, /* the tag decides */
        {&strong, UINT64_MAX, "ETag: \"v1\"\r\n", "", true},
        {&strong, 6, "ETag: \"v1\"\r\n", date, false},
        {&strong, 0, "ETag: \"v1\"\r\n", date, false},
        {&strong, 5, "ETag: \"v2\"\r\n", date, false},
        {&strong, 5, "ETag: W/\"v1\"\r\n", date, false},
        {&strong, 5, "", date, false},
        {&weak, 5, "ETag: W/\"v1\"\r\n", date, true},
        {&weak, 5, "ETag: W/\"v1\"\r\n", later, false},
        {&weak, 5, "ETag: \"v1\"\r\n", date, false},
        {&dated, 5, "", date, true},
        {&dated, 5, "ETag: \"new\"\r\n", date, true},
        {&dated, 5, "", later, false},
        {&dated, 5, "", "", false},
        {&dated, 5, "", "Last-Modified: yesterday\r\n", false},
        {&nothing, UINT64_MAX, "", "", true},
        {&nothing, 4, "", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[512];
        struct response_question question = whole();
        question.expected = cases[i].expected;
        question.expected_size = cases[i].size;
        (void)snprintf(header, sizeof header, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n%s%s\r\n",
                       cases[i].etag, cases[i].date);
        if (cases[i].same)
            assert_int_equal(judge(&question, header).step, RESPONSE_WHOLE);
        else
            assert_end(&question, header, LINK_CHANGED);
    }
}

static void test_rest(void **state)
{
    (void)state;
    struct response_question question = rest();
    struct response_judgement judgement =
        judge(&question, "HTTP/1.1 206 Partial Content\r\nContent-Length: 200\r\n"
                         "Content-Range: bytes 100-299/300\r\nETag: \"v1\"\r\n\r\n");
    assert_int_equal(judgement.step, RESPONSE_REST);
    assert_int_equal(judgement.size, 300);
    /* 200: no ranges there, or another version; what was looked up would have its say. */
    judgement = judge(&question, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"v2\"\r\n\r\n");
    assert_int_equal(judgement.step, RESPONSE_WHOLE);
    judgement = judge(&question, "HTTP/1.1 416 No\r\nContent-Range: bytes */5\r\n\r\n");
    assert_int_equal(judgement.step, RESPONSE_AFRESH);
}

static void test_rest_refused(void **state)
{
    static const struct {
        const char *range;
        const char *length;
        const char *etag;
        enum link_result result;
    } cases[] = {
        {"bytes 100-299/300", "200", "\"v2\"", LINK_CHANGED},
        {"bytes 100-299/300", "200", "W/\"v1\"", LINK_CHANGED},
        {"bytes 100-299/300", "200", NULL, LINK_CHANGED},
        {"bytes 100-299/301", "200", "\"v1\"", LINK_CHANGED},
        {"bytes 100-300/301", "201", "\"v1\"", LINK_CHANGED},
        {"bytes 99-299/300", "201", "\"v1\"", LINK_PROTOCOL},
        {"bytes 101-299/300", "199", "\"v1\"", LINK_PROTOCOL},
        {"bytes 0-299/300", "300", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-298/300", "199", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-299/300", "199", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-299/300", "201", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-300/300", "201", "\"v1\"", LINK_PROTOCOL},
        {"bytes 299-100/300", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-299/*", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes */300", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-299", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes=100-299/300", "200", "\"v1\"", LINK_PROTOCOL},
        {"Bytes 100-299/300", "200", "\"v1\"", LINK_PROTOCOL},
        {"lines 100-299/300", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-299/300 ,", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100 - 299/300", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes -100-299/300", "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes 18446744073709551716-299/300", "200", "\"v1\"", LINK_PROTOCOL},
        {NULL, "200", "\"v1\"", LINK_PROTOCOL},
        {"bytes 100-299/300", NULL, "\"v1\"", LINK_PROTOCOL},
    };
    (void)state;
    struct response_question question = rest();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[512] = "HTTP/1.1 206 Partial Content\r\n";
        size_t at = strlen(header);
        if (cases[i].range)
            at += (size_t)snprintf(header + at, sizeof header - at, "Content-Range: %s\r\n",
                                   cases[i].range);
        if (cases[i].length)
            at += (size_t)snprintf(header + at, sizeof header - at, "Content-Length: %s\r\n",
                                   cases[i].length);
        if (cases[i].etag)
            at += (size_t)snprintf(header + at, sizeof header - at, "ETag: %s\r\n", cases[i].etag);
        (void)snprintf(header + at, sizeof header - at, "\r\n");
        assert_end(&question, header, cases[i].result);
    }
    /* Nobody asked for a range. */
    question = whole();
    assert_end(&question,
               "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n"
               "Content-Range: bytes 0-4/5\r\n\r\n",
               LINK_PROTOCOL);
    question.head = true;
    assert_end(&question, "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n",
               LINK_PROTOCOL);
}

static void test_status(void **state)
{
    static const struct {
        const char *status;
        enum link_result result;
    } cases[] = {
        {"404", LINK_NOT_FOUND}, {"410", LINK_GONE},     {"401", LINK_FORBIDDEN},
        {"403", LINK_FORBIDDEN}, {"100", LINK_PROTOCOL}, {"101", LINK_PROTOCOL},
        {"201", LINK_PROTOCOL},  {"204", LINK_PROTOCOL}, {"300", LINK_PROTOCOL},
        {"301", LINK_PROTOCOL},  {"302", LINK_PROTOCOL}, {"304", LINK_PROTOCOL},
        {"307", LINK_PROTOCOL},  {"400", LINK_PROTOCOL}, {"405", LINK_PROTOCOL},
        {"407", LINK_PROTOCOL},  {"416", LINK_PROTOCOL}, {"500", LINK_PROTOCOL},
        {"599", LINK_PROTOCOL},
    };
    (void)state;
    struct response_question question = whole();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[128];
        (void)snprintf(header, sizeof header, "HTTP/1.1 %s Text\r\nContent-Length: 5\r\n\r\n",
                       cases[i].status);
        assert_end(&question, header, cases[i].result);
    }
}

static void assert_wait(const char *lines, bool known, uint32_t seconds)
{
    static const char *const statuses[] = {"202", "429", "503"};
    struct response_question question = whole();
    for (size_t i = 0; i < 3; i++) {
        char header[512];
        (void)snprintf(header, sizeof header, "HTTP/1.1 %s Wait\r\n%s\r\n", statuses[i], lines);
        struct response_judgement judgement = judge(&question, header);
        assert_int_equal(judgement.step, RESPONSE_WAIT);
        assert_int_equal(judgement.result, i == 0 ? LINK_NOT_READY : LINK_BUSY);
        assert_int_equal(judgement.retry_after_known, known);
        assert_int_equal(judgement.retry_after_s, seconds);
    }
}

static void test_retry_after(void **state)
{
    (void)state;
    assert_wait("", false, 0);
    assert_wait("Retry-After: 0\r\n", true, 0);
    assert_wait("Retry-After: 120\r\n", true, 120);
    assert_wait("Retry-After: 999999999\r\n", true, LINK_RETRY_AFTER_MAX_S);
    assert_wait("Retry-After: 9223372036854775807\r\n", true, LINK_RETRY_AFTER_MAX_S);
    assert_wait("Retry-After: -1\r\n", false, 0);
    assert_wait("Retry-After: 1.5\r\n", false, 0);
    assert_wait("Retry-After: soon\r\n", false, 0);
    assert_wait("Retry-After: 99999999999999999999\r\n", false, 0);
    /* Against their own clock, else ours: 1,800,000,000 is 15 January 2027, 08:00:00. */
    assert_wait("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n",
                true, 30);
    assert_wait("Retry-After: Fri, 15 Jan 2027 08:00:45 GMT\r\n", true, 45);
    assert_wait("Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n", true, 0);
    assert_wait("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", true, LINK_RETRY_AFTER_MAX_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_body),
        cmocka_unit_test(test_framing_refused),
        cmocka_unit_test(test_etag_refused),
        cmocka_unit_test(test_etag_size),
        cmocka_unit_test(test_header_ceilings),
        cmocka_unit_test(test_interim),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_expected),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_rest_refused),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
