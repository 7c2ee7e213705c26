/* See link_test.h. */
#include "transport/link_test.h"

#include "base/clock.h"
#include "base/log.h"
#include "transport/link_findings.h"
#include "transport/link_message.h"
#include "transport/validator.h"

#include <openssl/x509.h>
#include <string.h>

enum {
    TELL_AGAIN_MS = 50, /* when the socket was full */
    OWED_MS = 500, /* what may be owed to the limit on bytes: link_loop.c does not ask for all */
};

void link_test_init(struct link_test *test, CURLM *multi, const struct attempt_setting *setting,
                    struct pace *requests, struct pace *bytes)
{
    *test = (struct link_test){
        .multi = multi, .setting = setting, .requests = requests, .bytes = bytes};
}

static void drop_exchange(struct link_test *test)
{
    if (!test->exchange)
        return;
    curl_multi_remove_handle(test->multi, link_exchange_handle(test->exchange));
    test->exchange = link_exchange_free(test->exchange);
}

void link_test_abandon(struct link_test *test)
{
    drop_exchange(test);
    test->taken = false;
}

/* --- requests and answers --------------------------------------------------------------------- */

static void refuse(int mount_fd, uint64_t id, enum link_result result, const char *detail)
{
    struct link_event event = {.kind = LINK_DONE, .id = id, .result = result};
    link_detail_set(event.detail, "%s", detail);
    if (link_message_send_event(mount_fd, &event) < 0)
        log_warning("kosekifs-mount could not be told of a link test");
}

static bool request_ok(const struct link_test *test, const struct link_test_request *request)
{
    static const struct certname none;
    return request->endpoint < test->setting->endpoints->count && request->timeout_ms > 0 &&
           request->timeout_ms <= LINK_TIMEOUT_MAX_MS && request->zero[0] == 0 &&
           request->zero[1] == 0 && request->zero[2] == 0 &&
           (memcmp(&request->name, &none, sizeof none) == 0 || certname_valid(&request->name));
}

void link_test_take(struct link_test *test, int mount_fd, const struct ipc_message *message)
{
    struct link_test_request request;
    if (ipc_message_take(message, &request, sizeof request, 0) < 0 || !request_ok(test, &request)) {
        refuse(mount_fd, message->id, LINK_INTERNAL, "malformed request");
        return;
    }
    if (test->taken) {
        refuse(mount_fd, message->id, LINK_BUSY, "another test is under way");
        return;
    }
    test->taken = true;
    test->id = message->id;
    test->endpoint = request.endpoint;
    test->name = request.name;
    test->named = request.name.text[0] != '\0';
    test->deadline_ms = clock_monotonic_ms() + request.timeout_ms;
    test->stage = LINK_TEST_LOOKUP;
    test->result = LINK_OK;
    test->told = 0;
    link_findings_init(test->steps, "not reached");
}

void link_test_tell(struct link_test *test, int mount_fd)
{
    if (!test->taken || test->stage != LINK_TEST_OVER)
        return;
    for (; test->told < LINK_STEP_COUNT; test->told++)
        if (mount_fd >= 0 &&
            link_message_send_step(mount_fd, test->id, &test->steps[test->told]) == -EAGAIN)
            return;
    struct link_event event = {
        .kind = LINK_DONE, .id = test->id, .result = test->result, .status = 200};
    if (test->result != LINK_OK)
        link_detail_set(event.detail, "%s",
                        test->result == LINK_TIMED_OUT ? "its turn did not come in time"
                                                       : "memory is short");
    if (mount_fd >= 0 && link_message_send_event(mount_fd, &event) == -EAGAIN)
        return;
    test->taken = false;
}

/* --- exchanges -------------------------------------------------------------------------------- */

static int64_t window_ms(const struct link_test *test)
{
    int64_t patience_ms = test->setting->config->low_speed_time;
    return patience_ms < LINK_TEST_BODY_MS ? patience_ms : LINK_TEST_BODY_MS;
}

static struct link_exchange *next_exchange(const struct link_test *test, int64_t now_ms)
{
    int64_t most_ms = test->setting->config->connect_timeout + 2 * window_ms(test);
    int64_t left_ms = test->deadline_ms - now_ms;
    /* Without a name the handshake alone is of interest; the template still needs one. */
    struct link_exchange_question question = {
        .name = &test->name,
        .endpoint = test->endpoint,
        .connect_only = !test->named,
        .head = test->stage == LINK_TEST_LOOKUP,
        .held = &test->validator,
        .body_ms = window_ms(test),
        .timeout_ms = left_ms < 1         ? 1
                      : left_ms < most_ms ? left_ms
                                          : most_ms,
    };
    if (test->stage == LINK_TEST_REST) {
        question.offset = test->offset;
        question.size = test->size;
        question.wanted = test->size - test->offset;
    } else if (test->stage == LINK_TEST_BODY) {
        question.wanted = test->size < LINK_TEST_BODY_MAX ? test->size : LINK_TEST_BODY_MAX;
    }
    return link_exchange_new(test->setting, test->bytes, &question);
}

/* Others took all that the limits allow. */
static void give_up_waiting(struct link_test *test)
{
    if (test->stage == LINK_TEST_LOOKUP)
        test->result = LINK_TIMED_OUT;
    else
        link_step_set(
            &test->steps[test->stage == LINK_TEST_REST ? LINK_STEP_RANGE : LINK_STEP_THROUGHPUT],
            LINK_STEP_WARN,
            "Programs take all that [link] requests_per_second and "
            "bytes_per_second allow: test again when less goes on.",
            "not begun in time");
    test->stage = LINK_TEST_OVER;
}

int64_t link_test_go_on(struct link_test *test, int64_t now_ms)
{
    int64_t at_ms;
    if (!test->taken || test->exchange)
        return INT64_MAX;
    if (test->stage == LINK_TEST_OVER)
        return now_ms + TELL_AGAIN_MS;
    if (now_ms >= test->deadline_ms) {
        give_up_waiting(test);
        return now_ms;
    }
    bool body = test->stage != LINK_TEST_LOOKUP;
    if ((body && !pace_paid(test->bytes, now_ms, OWED_MS, &at_ms)) ||
        !pace_take(test->requests, now_ms, &at_ms))
        return at_ms < test->deadline_ms ? at_ms : test->deadline_ms;
    test->exchange = next_exchange(test, now_ms);
    if (test->exchange &&
        curl_multi_add_handle(test->multi, link_exchange_handle(test->exchange)) != CURLM_OK)
        test->exchange = link_exchange_free(test->exchange);
    if (test->exchange)
        return INT64_MAX;
    test->stage = LINK_TEST_OVER;
    test->result = LINK_INTERNAL;
    return now_ms;
}

static void describe_ours(const struct link_test *test, struct link_findings_context *ret_context)
{
    const struct tls *tls = test->setting->tls;
    *ret_context = (struct link_findings_context){
        .config = test->setting->config,
        .host = test->setting->endpoints->list[test->endpoint].host.host,
        .ours = tls->certificate != NULL,
    };
    if (!tls->certificate)
        return;
    link_describe_name(X509_get_subject_name(tls->certificate), ret_context->subject);
    ret_context->ours_days_left = link_days_left(tls->certificate);
    ret_context->ours_expired = X509_cmp_current_time(X509_get0_notAfter(tls->certificate)) <= 0;
}

static void end_lookup(struct link_test *test, const struct link_findings_context *context,
                       const struct link_facts *facts)
{
    link_findings_lookup(context, facts, test->steps);
    test->stage = LINK_TEST_OVER;
    if (!facts->judged || facts->judgement.step != RESPONSE_HEADERS || facts->judgement.size == 0)
        return;
    test->size = facts->judgement.size;
    test->validator = facts->validator;
    test->stage = LINK_TEST_BODY;
    if (!validator_is_strong(&test->validator)) {
        link_step_set(&test->steps[LINK_STEP_RANGE], LINK_STEP_SKIPPED, "", "no strong ETag");
        return;
    }
    if (test->size < 2) {
        link_step_set(&test->steps[LINK_STEP_RANGE], LINK_STEP_SKIPPED, "", "it is too small");
        return;
    }
    uint64_t rest = test->size / 2 < LINK_TEST_REST_MAX ? test->size / 2 : LINK_TEST_REST_MAX;
    test->offset = test->size - rest;
    test->stage = LINK_TEST_REST;
}

bool link_test_ended(struct link_test *test, CURL *easy, CURLcode code)
{
    struct link_findings_context context;
    struct link_facts facts;
    if (!test->exchange || link_exchange_handle(test->exchange) != easy)
        return false;
    link_exchange_facts(test->exchange, code, &facts);
    describe_ours(test, &context);
    if (test->stage == LINK_TEST_LOOKUP) {
        end_lookup(test, &context, &facts);
    } else if (test->stage == LINK_TEST_REST) {
        link_findings_range(&facts, test->offset, test->size, test->steps);
        test->stage = LINK_TEST_BODY;
    } else {
        link_findings_throughput(&context, &facts, test->steps);
        test->stage = LINK_TEST_OVER;
    }
    drop_exchange(test);
    return true;
}
