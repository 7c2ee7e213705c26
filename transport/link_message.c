/*
 * The structs on the wire have no bool and no enum: a receiver may not even look at one whose
 * bytes it has not checked.
 */
#include "transport/link_message.h"

#include "base/config.h"
#include "transport/validator.h"

#include <stdarg.h>
#include <string.h>

struct wire_validator {
    char etag[LINK_ETAG_MAX];
    int64_t last_modified_s;
};

struct wire_request {
    uint32_t head;
    uint32_t timeout_ms;
    uint32_t ready_timeout_ms;
    uint64_t size_max;
    uint64_t expected_size;
    uint64_t held;
    struct wire_validator expected;
    struct certname name;
};

struct wire_event {
    uint32_t kind;
    uint32_t result;
    uint64_t size;
    uint32_t status;
    uint32_t resumed;
    uint32_t retry_after_s;
    int64_t date_s;
    struct wire_validator validator;
    char detail[LINK_DETAIL_MAX];
};

static void wire_validator_write(struct wire_validator *wire,
                                 const struct link_validator *validator)
{
    memcpy(wire->etag, validator->etag, sizeof wire->etag);
    wire->last_modified_s = validator->last_modified_s;
}

static bool wire_time_ok(int64_t seconds)
{
    return seconds >= 0 && seconds <= LINK_TIME_MAX_S;
}

static bool wire_validator_ok(const struct wire_validator *wire)
{
    if (!ipc_text_ok(wire->etag, sizeof wire->etag) || !wire_time_ok(wire->last_modified_s))
        return false;
    return wire->etag[0] == '\0' || validator_etag_valid(wire->etag);
}

/* Only the text is copied: what stands behind its NUL stays with the sender. */
static void wire_validator_read(const struct wire_validator *wire, struct link_validator *validator)
{
    memset(validator, 0, sizeof *validator);
    memcpy(validator->etag, wire->etag, strlen(wire->etag));
    validator->last_modified_s = wire->last_modified_s;
}

/* What is continued must be named so that two versions cannot be taken for one. */
static bool wire_held_ok(const struct wire_validator *wire)
{
    struct link_validator validator;
    if (!wire_validator_ok(wire))
        return false;
    wire_validator_read(wire, &validator);
    return validator_is_strong(&validator);
}

int link_message_send_request(int fd, uint64_t id, const struct link_request *request, int memfd)
{
    struct wire_request wire;
    memset(&wire, 0, sizeof wire); /* padding too: it leaves the process */
    wire.head = request->head;
    wire.timeout_ms = request->timeout_ms;
    wire.ready_timeout_ms = request->ready_timeout_ms;
    wire.held = request->held;
    wire.size_max = request->size_max;
    wire.expected_size = request->expected_size;
    wire_validator_write(&wire.expected, &request->expected);
    wire.name = request->name;
    return ipc_send(fd, LINK_REQUEST, id, &wire, sizeof wire, &memfd, request->head ? 0 : 1);
}

int link_message_read_request(const struct ipc_message *message, struct link_request *ret_request)
{
    struct wire_request wire;
    if (message->type != LINK_REQUEST)
        return -EBADMSG;
    int r = ipc_message_take(message, &wire, sizeof wire, message->fd_count);
    if (r < 0)
        return r;
    if (wire.head > 1 || message->fd_count != (wire.head ? 0 : 1))
        return -EBADMSG;
    if (wire.timeout_ms == 0 || wire.timeout_ms > LINK_TIMEOUT_MAX_MS ||
        wire.ready_timeout_ms > LINK_TIMEOUT_MAX_MS)
        return -EBADMSG;
    if (wire.held > 0 && (wire.head || wire.held >= wire.expected_size ||
                          wire.expected_size > wire.size_max || !wire_held_ok(&wire.expected)))
        return -EBADMSG;
    if (!wire.head && (wire.size_max == 0 || wire.size_max > LINK_BODY_MAX))
        return -EBADMSG;
    if (!certname_valid(&wire.name) || !wire_validator_ok(&wire.expected))
        return -EBADMSG;

    ret_request->head = wire.head == 1;
    ret_request->name = wire.name;
    ret_request->timeout_ms = wire.timeout_ms;
    ret_request->ready_timeout_ms = wire.ready_timeout_ms;
    ret_request->held = wire.held;
    ret_request->size_max = wire.size_max;
    ret_request->expected_size = wire.expected_size;
    wire_validator_read(&wire.expected, &ret_request->expected);
    return 0;
}

int link_message_send_event(int fd, const struct link_event *event)
{
    struct wire_event wire;
    memset(&wire, 0, sizeof wire);
    wire.kind = event->kind;
    wire.result = event->result;
    wire.size = event->size;
    wire.status = event->status;
    wire.resumed = event->resumed;
    wire.retry_after_s = event->retry_after_s;
    wire.date_s = event->date_s;
    wire_validator_write(&wire.validator, &event->validator);
    memcpy(wire.detail, event->detail, sizeof wire.detail);
    return ipc_send(fd, LINK_EVENT, event->id, &wire, sizeof wire, NULL, 0);
}

static bool wire_line_ok(const char *text, size_t size)
{
    if (!ipc_text_ok(text, size))
        return false;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e)
            return false;
    }
    return true;
}

static bool wire_detail_ok(const char detail[LINK_DETAIL_MAX])
{
    return wire_line_ok(detail, LINK_DETAIL_MAX);
}

static bool wire_event_ok(const struct wire_event *wire)
{
    if (wire->kind != LINK_PROGRESS && wire->kind != LINK_DONE)
        return false;
    if (wire->result >= LINK_RESULT_COUNT)
        return false;
    if (wire->kind == LINK_PROGRESS && (wire->result != LINK_OK || wire->size > LINK_BODY_MAX))
        return false;
    if (wire->size > INT64_MAX || wire->retry_after_s > LINK_RETRY_AFTER_MAX_S)
        return false;
    if (wire->status != 0 && (wire->status < 100 || wire->status > 599))
        return false;
    if (wire->kind == LINK_DONE && wire->result == LINK_OK && wire->status / 100 != 2)
        return false;
    return wire_time_ok(wire->date_s) && wire_validator_ok(&wire->validator) &&
           wire_detail_ok(wire->detail);
}

struct wire_endpoint {
    char address[LINK_ADDRESS_MAX];
    uint32_t open;
    uint64_t answers;
    uint64_t failures[LINK_FAILURE_COUNT];
    uint64_t opened;
    char last_failure[LINK_DETAIL_MAX];
};

int link_message_send_endpoint(int fd, unsigned index, const struct link_endpoint_state *state)
{
    struct wire_endpoint wire;
    memset(&wire, 0, sizeof wire);
    memcpy(wire.address, state->address, sizeof wire.address);
    wire.open = state->open;
    wire.answers = state->answers;
    memcpy(wire.failures, state->failures, sizeof wire.failures);
    wire.opened = state->opened;
    memcpy(wire.last_failure, state->last_failure, sizeof wire.last_failure);
    return ipc_send(fd, LINK_STATE, index, &wire, sizeof wire, NULL, 0);
}

static int read_endpoint(const struct ipc_message *message, struct link_event *ret_event)
{
    struct wire_endpoint wire;
    int r = ipc_message_take(message, &wire, sizeof wire, 0);
    if (r < 0)
        return r;
    if (message->id >= CONFIG_LINK_URLS_MAX || wire.open > 1 ||
        !ipc_text_ok(wire.address, sizeof wire.address) || !wire_detail_ok(wire.last_failure))
        return -EBADMSG;
    for (const char *c = wire.address; *c != '\0'; c++)
        if (*c < 0x21 || *c > 0x7e)
            return -EBADMSG;
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->kind = LINK_ENDPOINT;
    ret_event->id = message->id;
    struct link_endpoint_state *state = &ret_event->endpoint;
    memcpy(state->address, wire.address, strlen(wire.address));
    state->open = wire.open == 1;
    state->answers = wire.answers;
    memcpy(state->failures, wire.failures, sizeof state->failures);
    state->opened = wire.opened;
    memcpy(state->last_failure, wire.last_failure, strlen(wire.last_failure));
    return 0;
}

struct wire_step {
    uint32_t kind;
    uint32_t verdict;
    uint32_t took_us;
    uint32_t zero;
    int64_t value;
    char text[LINK_STEP_TEXT_MAX];
    char hint[LINK_STEP_TEXT_MAX];
};

int link_message_send_step(int fd, uint64_t id, const struct link_step *step)
{
    struct wire_step wire;
    memset(&wire, 0, sizeof wire);
    wire.kind = step->kind;
    wire.verdict = step->verdict;
    wire.took_us = step->took_us;
    wire.value = step->value;
    memcpy(wire.text, step->text, strlen(step->text));
    memcpy(wire.hint, step->hint, strlen(step->hint));
    return ipc_send(fd, LINK_TEST_STEP, id, &wire, sizeof wire, NULL, 0);
}

static int read_step(const struct ipc_message *message, struct link_event *ret_event)
{
    struct wire_step wire;
    int r = ipc_message_take(message, &wire, sizeof wire, 0);
    if (r < 0)
        return r;
    if (wire.kind >= LINK_STEP_COUNT || wire.verdict >= LINK_STEP_VERDICT_COUNT || wire.zero ||
        !wire_line_ok(wire.text, sizeof wire.text) || !wire_line_ok(wire.hint, sizeof wire.hint))
        return -EBADMSG;
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->kind = LINK_STEP;
    ret_event->id = message->id;
    struct link_step *step = &ret_event->step;
    step->kind = (enum link_step_kind)wire.kind;
    step->verdict = (enum link_step_verdict)wire.verdict;
    step->took_us = wire.took_us;
    step->value = wire.value;
    memcpy(step->text, wire.text, strlen(wire.text));
    memcpy(step->hint, wire.hint, strlen(wire.hint));
    return 0;
}

int link_message_read_event(const struct ipc_message *message, struct link_event *ret_event)
{
    struct wire_event wire;
    if (message->type == LINK_STATE)
        return read_endpoint(message, ret_event);
    if (message->type == LINK_TEST_STEP)
        return read_step(message, ret_event);
    if (message->type != LINK_EVENT)
        return -EBADMSG;
    int r = ipc_message_take(message, &wire, sizeof wire, 0);
    if (r < 0)
        return r;
    if (!wire_event_ok(&wire))
        return -EBADMSG;

    memset(ret_event, 0, sizeof *ret_event);
    ret_event->kind = (enum link_event_kind)wire.kind;
    ret_event->id = message->id;
    ret_event->result = (enum link_result)wire.result;
    ret_event->size = wire.size;
    ret_event->status = wire.status;
    ret_event->resumed = wire.resumed;
    ret_event->retry_after_s = wire.retry_after_s;
    wire_validator_read(&wire.validator, &ret_event->validator);
    ret_event->date_s = wire.date_s;
    memcpy(ret_event->detail, wire.detail, strlen(wire.detail));
    return 0;
}

void link_detail_set(char detail[LINK_DETAIL_MAX], const char *format, ...)
{
    memset(detail, 0, LINK_DETAIL_MAX);
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(detail, LINK_DETAIL_MAX, format, arguments);
    va_end(arguments);
    if (size < 0)
        detail[0] = '\0';
    for (char *c = detail; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    }
}
