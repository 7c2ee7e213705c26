/* What a link test says of each step, from facts that no test could produce on purpose everywhere.
 */
#include "transport/link_findings.h"

#include <openssl/x509_vfy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct config_link config = {.low_speed_bytes = 1000};
static struct link_findings_context context;
static struct link_facts facts;
static struct link_step steps[LINK_STEP_COUNT];

/* All is well. */
static int set_up(void **state)
{
    (void)state;
    context = (struct link_findings_context){.config = &config,
                                             .host = "link.example",
                                             .ours = true,
                                             .ours_days_left = 100,
                                             .subject = "CN=us"};
    facts = (struct link_facts){
        .connected = true,
        .sent = true,
        .asked = true,
        .name_us = 5,
        .connect_us = 6,
        .tls_us = 7,
        .answer_us = 8,
        .total_us = 50,
        .remote = "192.0.2.1:443",
        .local = "192.0.2.9:5000",
        .version = "TLSv1.3",
        .cipher = "X",
        .peer = {.certificates = 2, .days_left = 100, .subject = "CN=them", .issuer = "CN=ca"},
        .arrived_s = 1000,
        .date_s = 1000,
        .status = 200,
        .judged = true,
        .judgement = {.step = RESPONSE_HEADERS, .size = 77},
        .validator = {.etag = "\"v\""},
    };
    link_findings_init(steps, "not reached");
    return 0;
}

static void expect(const char *verdicts)
{
    static const char letters[] = {'-', 'o', 'w', 'f'};
    char found[LINK_STEP_COUNT + 1] = "";
    link_findings_lookup(&context, &facts, steps);
    for (unsigned i = 0; i < LINK_STEP_COUNT; i++) {
        found[i] = letters[steps[i].verdict];
        if (steps[i].verdict >= LINK_STEP_WARN)
            assert_true(steps[i].hint[0] != '\0' && steps[i].text[0] != '\0');
    }
    assert_string_equal(found, verdicts);
}

static void broken(CURLcode code, const char *error)
{
    facts.connected = facts.sent = facts.judged = false;
    facts.asked = false;
    facts.code = code;
    facts.status = 0;
    (void)snprintf(facts.error, sizeof facts.error, "%s", error);
}

static void test_well(void **state)
{
    (void)state;
    expect("oooooo--");
    assert_int_equal(steps[LINK_STEP_NAME].took_us, 5);
    assert_int_equal(steps[LINK_STEP_ROUTE].took_us, 6);
    assert_int_equal(steps[LINK_STEP_TLS].took_us, 7);
    assert_int_equal(steps[LINK_STEP_HEAD].took_us, 8);
    assert_int_equal(steps[LINK_STEP_HEAD].value, 77);
    assert_non_null(strstr(steps[LINK_STEP_ROUTE].text, "from 192.0.2.9:5000"));
}

static void test_silent_name_server(void **state)
{
    (void)state;
    broken(CURLE_OPERATION_TIMEDOUT, "Resolving timed out");
    facts.name_us = 0;
    expect("f-------");
}

static void test_route(void **state)
{
    (void)state;
    broken(CURLE_OPERATION_TIMEDOUT, "Connection timed out");
    expect("of------");
    assert_non_null(strstr(steps[LINK_STEP_ROUTE].hint, "firewall"));
    set_up(NULL);
    broken(CURLE_INTERFACE_FAILED, "bind failed");
    expect("of------");
    assert_non_null(strstr(steps[LINK_STEP_ROUTE].hint, "source_address"));
}

static void test_handshake_does_not_end(void **state)
{
    (void)state;
    broken(CURLE_OPERATION_TIMEDOUT, "SSL connection timeout");
    facts.connected = true;
    expect("oof-----");
}

static void test_their_certificate(void **state)
{
    (void)state;
    static const int faults[] = {X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID,
                                 X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        set_up(NULL);
        broken(CURLE_PEER_FAILED_VERIFICATION, "refused");
        facts.connected = true;
        facts.peer.fault = faults[i];
        facts.peer.days_left = -7;
        expect("oof-----");
        assert_int_equal(steps[LINK_STEP_TLS].value, -7);
        assert_non_null(strstr(steps[LINK_STEP_TLS].text, "CN=them"));
    }
    set_up(NULL);
    facts.peer.days_left = LINK_DAYS_WARN - 1;
    expect("oowooo--");
}

static void test_our_certificate(void **state)
{
    (void)state;
    context.ours_days_left = LINK_DAYS_WARN - 1;
    expect("ooowoo--");
    set_up(NULL);
    context.ours_expired = true;
    broken(CURLE_SSL_CERTPROBLEM, "problem");
    facts.connected = true;
    expect("oo-f----");
    assert_non_null(strstr(steps[LINK_STEP_IDENTITY].text, "expired"));
}

static void test_not_signed(void **state)
{
    (void)state;
    broken(CURLE_SSL_CONNECT_ERROR, "error");
    facts.connected = facts.asked = facts.not_signed = true;
    facts.not_signed_reason = "it is not running";
    expect("oo-f----");
    assert_non_null(strstr(steps[LINK_STEP_IDENTITY].text, "not running"));
    /* Another handshake was not signed meanwhile; ours was answered. */
    set_up(NULL);
    facts.not_signed = true;
    facts.not_signed_reason = "it refuses";
    expect("oooooo--");
}

/* TLS 1.2 refuses within the handshake, TLS 1.3 behind it. */
static void test_refused(void **state)
{
    (void)state;
    broken(CURLE_SSL_CONNECT_ERROR, "tlsv1 alert unknown ca");
    facts.connected = facts.asked = true;
    expect("ooff----");
    set_up(NULL);
    broken(CURLE_RECV_ERROR, "tlsv13 alert certificate required");
    facts.connected = facts.sent = facts.asked = true;
    expect("ooof----");
    set_up(NULL);
    facts.status = 400;
    facts.judgement = (struct response_judgement){
        .step = RESPONSE_END, .result = LINK_PROTOCOL, .detail = "status 400"};
    expect("ooofo---");
    set_up(NULL); /* without a certificate in play 400 is a matter of the request */
    facts.status = 400;
    facts.asked = false;
    facts.judgement = (struct response_judgement){
        .step = RESPONSE_END, .result = LINK_PROTOCOL, .detail = "status 400"};
    expect("ooowof--");
}

static void test_waived(void **state)
{
    (void)state;
    facts.plain = true;
    facts.asked = context.ours = false;
    expect("oo--oo--");
    set_up(NULL);
    context.ours = facts.asked = false;
    expect("ooo-oo--");
}

static void test_only_connected(void **state)
{
    (void)state;
    facts.connect_only = true;
    facts.status = 0;
    facts.judged = false;
    expect("ooo-----");
    assert_non_null(strstr(steps[LINK_STEP_HEAD].text, "no certificate to ask for"));
    set_up(NULL);
    facts.connect_only = true;
    facts.status = 0;
    facts.judged = facts.asked = false;
    expect("ooow----");
}

static void test_no_answer(void **state)
{
    (void)state;
    facts.status = 0;
    facts.judged = false;
    facts.code = CURLE_OPERATION_TIMEDOUT;
    (void)snprintf(facts.error, sizeof facts.error, "timed out");
    expect("ooo--f--");
    assert_non_null(strstr(steps[LINK_STEP_HEAD].hint, "stuck"));
}

static void test_clock(void **state)
{
    (void)state;
    static const struct {
        int64_t ahead_s;
        const char *verdicts;
    } rows[] = {{3, "oooooo--"},
                {-3, "oooooo--"},
                {4, "oooowo--"},
                {-60, "oooowo--"},
                {61, "oooofo--"},
                {-61, "oooofo--"},
                {INT64_C(200000000000), "oooofo--"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_up(NULL);
        facts.date_s = facts.arrived_s + rows[i].ahead_s;
        expect(rows[i].verdicts);
        assert_int_equal(steps[LINK_STEP_CLOCK].value, rows[i].ahead_s);
    }
}

static void body(enum response_step step, uint64_t received, CURLcode code)
{
    facts.judgement = (struct response_judgement){.step = step, .detail = "said"};
    facts.wanted = 1000000;
    facts.received = received;
    facts.body_ms = 1000;
    facts.answer_us = 0;
    facts.code = code;
}

static void test_throughput(void **state)
{
    (void)state;
    const struct link_step *step = &steps[LINK_STEP_THROUGHPUT];
    body(RESPONSE_WHOLE, 1000000, CURLE_OK);
    link_findings_throughput(&context, &facts, steps);
    assert_int_equal(step->verdict, LINK_STEP_OK);
    assert_int_equal(step->value, 1000000);
    body(RESPONSE_WHOLE, 500000, CURLE_OK); /* as much as its time allowed */
    link_findings_throughput(&context, &facts, steps);
    assert_int_equal(step->verdict, LINK_STEP_OK);
    body(RESPONSE_WHOLE, 999, CURLE_OK);
    link_findings_throughput(&context, &facts, steps);
    assert_int_equal(step->verdict, LINK_STEP_FAIL);
    body(RESPONSE_WHOLE, 500000, CURLE_PARTIAL_FILE);
    link_findings_throughput(&context, &facts, steps);
    assert_int_equal(step->verdict, LINK_STEP_FAIL);
    body(RESPONSE_END, 0, CURLE_WRITE_ERROR);
    link_findings_throughput(&context, &facts, steps);
    assert_int_equal(step->verdict, LINK_STEP_FAIL);
    assert_string_equal(step->text, "said");
    body(RESPONSE_WHOLE, 0, CURLE_OPERATION_TIMEDOUT);
    facts.body_ms = 0;
    link_findings_throughput(&context, &facts, steps);
    assert_int_equal(step->verdict, LINK_STEP_FAIL);
}

static void test_texts_are_one_plain_line(void **state)
{
    (void)state;
    struct link_step step = {0};
    char endless[2 * LINK_STEP_TEXT_MAX];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    link_step_set(&step, LINK_STEP_FAIL, endless, "a%sb", "\r\n\x1b\xff");
    assert_string_equal(step.text, "a????b");
    assert_int_equal(strlen(step.hint), LINK_STEP_TEXT_MAX - 1);
    link_step_set(&step, LINK_STEP_FAIL, "", "%s", endless);
    assert_int_equal(strlen(step.text), LINK_STEP_TEXT_MAX - 1);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup(test, set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_well),
        TEST(test_silent_name_server),
        TEST(test_route),
        TEST(test_handshake_does_not_end),
        TEST(test_their_certificate),
        TEST(test_our_certificate),
        TEST(test_not_signed),
        TEST(test_refused),
        TEST(test_waived),
        TEST(test_only_connected),
        TEST(test_no_answer),
        TEST(test_clock),
        TEST(test_throughput),
        TEST(test_texts_are_one_plain_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
