/*
 * Headers libcurl lets pass and must not: two lengths, a length in a form that others read
 * differently, a body coded or without a length, a range that is not the one asked for, a tag with
 * control characters. Anything on which two readers may differ is refused, not repaired.
 */
#include "transport/response.h"

#include "transport/digest_header.h"
#include "transport/http_date.h"
#include "transport/link_message.h"
#include "transport/validator.h"

#include <string.h>
#include <strings.h>

/* Those whose names a profile chooses, then HTTP's own. */
enum response_header {
    HEADER_LENGTH = LINK_HEADER_COUNT,
    HEADER_RANGE,
    HEADER_CONTENT_CODING,
    HEADER_TRANSFER_CODING,
    HEADER_COUNT,
};

static const char *const framing_names[] = {"Content-Length", "Content-Range", "Content-Encoding",
                                            "Transfer-Encoding"};

static const char *header_name(const struct response *response, unsigned header)
{
    return header < LINK_HEADER_COUNT ? response->profile->names[header]
                                      : framing_names[header - LINK_HEADER_COUNT];
}

struct text {
    const char *data;
    size_t size;
};

void response_init(struct response *response, const struct link_profile *profile)
{
    memset(response, 0, sizeof *response);
    response->profile = profile;
}

static bool response_saw(const struct response *response, unsigned header)
{
    return response->seen & (1u << header);
}

/* Always false, so that a parser may return it. */
static bool response_refuse(struct response *response, const char *fault)
{
    link_detail_set(response->fault, "%s", fault);
    return false;
}

/* 1*DIGIT, at most RESPONSE_DIGITS_MAX of them, at most INT64_MAX; consumes them. */
static bool text_take_number(struct text *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t digits = 0;
    while (digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9') {
        if (digits == RESPONSE_DIGITS_MAX)
            return false;
        value = value * 10 + (uint64_t)(text->data[digits] - '0');
        digits++;
    }
    if (digits == 0 || value > INT64_MAX)
        return false;
    text->data += digits;
    text->size -= digits;
    *ret_value = value;
    return true;
}

static bool text_take(struct text *text, const char *prefix)
{
    size_t size = strlen(prefix);
    if (text->size < size || memcmp(text->data, prefix, size) != 0)
        return false;
    text->data += size;
    text->size -= size;
    return true;
}

/* HTTP-version SP status-code [SP reason]. An interim answer is followed by another status line;
 * the ceilings count through. */
static bool response_add_status(struct response *response, struct text text)
{
    unsigned line_count = response->line_count;
    size_t header_size = response->header_size;
    if (response->status >= 200 || response->status == 101)
        return response_refuse(response, "a second status line");
    bool http2 = response->http2;
    response_init(response, response->profile);
    response->http2 = http2;
    response->line_count = line_count;
    response->header_size = header_size;

    uint64_t status = 0;
    if (!text_take(&text, "HTTP/1.1 ") && !text_take(&text, "HTTP/1.0 ") &&
        !(response->http2 && text_take(&text, "HTTP/2 "))) /* made by libcurl of :status */
        return response_refuse(response, "a status line that is not of HTTP/1.0, 1.1 or 2");
    size_t before = text.size;
    if (!text_take_number(&text, &status) || before - text.size != 3 || status < 100 ||
        status > 599 || (text.size > 0 && text.data[0] != ' '))
        return response_refuse(response, "a malformed status line");
    response->status = (uint32_t)status;
    return true;
}

static bool response_add_range(struct response *response, struct text value)
{
    static const char fault[] = "a malformed Content-Range";
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t total = 0;
    if (!text_take(&value, "bytes "))
        return response_refuse(response, fault);
    if (text_take(&value, "*/")) {
        if (!text_take_number(&value, &total) || value.size > 0)
            return response_refuse(response, fault);
        response->range_unsatisfied = true;
        response->range_total = total;
        return true;
    }
    if (!text_take_number(&value, &first) || !text_take(&value, "-") ||
        !text_take_number(&value, &last) || !text_take(&value, "/") ||
        !text_take_number(&value, &total) || value.size > 0)
        return response_refuse(response, fault);
    if (first > last || last >= total)
        return response_refuse(response, "a Content-Range that contradicts itself");
    response->range_first = first;
    response->range_last = last;
    response->range_total = total;
    return true;
}

static bool response_add_etag(struct response *response, struct text value)
{
    char etag[LINK_ETAG_MAX] = {0};
    if (value.size >= sizeof etag)
        return response_refuse(response, "an over-long ETag");
    if (value.size == 0 || memchr(value.data, '\0', value.size))
        return response_refuse(response, "a malformed ETag");
    memcpy(etag, value.data, value.size);
    if (!validator_etag_valid(etag))
        return response_refuse(response, "a malformed ETag");
    memcpy(response->validator.etag, etag, sizeof etag);
    return true;
}

/* Times that cannot be read are as good as absent (RFC 9110 5.6.7 lets a recipient ignore them),
 * so are those before 1970. */
static int64_t text_date(struct text value)
{
    int64_t seconds = 0;
    if (!http_date_parse(value.data, value.size, &seconds) || seconds < 0)
        return 0;
    return seconds;
}

static bool response_add_retry_after(struct response *response, struct text value)
{
    uint64_t seconds = 0;
    struct text rest = value;
    if (text_take_number(&rest, &seconds) && rest.size == 0)
        response->retry_after_s =
            seconds > LINK_RETRY_AFTER_MAX_S ? LINK_RETRY_AFTER_MAX_S : (int64_t)seconds;
    else if (text_date(value) > 0)
        response->retry_after_date_s = text_date(value);
    else
        response->seen &= ~(1u << LINK_HEADER_RETRY_AFTER);
    return true;
}

static bool response_add_digest(struct response *response, struct text value, enum digest_form form)
{
    uint8_t digest[SHA256_SIZE];
    switch (digest_header_parse(value.data, value.size, form, digest)) {
    case DIGEST_NONE:
        return true;
    case DIGEST_MALFORMED:
        return response_refuse(response, "a malformed digest");
    case DIGEST_GIVEN:
        break;
    }
    if (response->digest_known && memcmp(response->digest, digest, sizeof digest) != 0)
        return response_refuse(response, "two digests that differ");
    response->digest_known = true;
    memcpy(response->digest, digest, sizeof digest);
    return true;
}

static bool response_add_header(struct response *response, unsigned header, struct text value)
{
    if (response_saw(response, header)) {
        link_detail_set(response->fault, "two headers %s", header_name(response, header));
        return false;
    }
    response->seen |= 1u << header;
    switch (header) {
    case HEADER_LENGTH:
        if (!text_take_number(&value, &response->length) || value.size > 0)
            return response_refuse(response, "a malformed Content-Length");
        return true;
    case HEADER_RANGE:
        return response_add_range(response, value);
    case LINK_HEADER_ETAG:
        return response_add_etag(response, value);
    case LINK_HEADER_LAST_MODIFIED:
        response->validator.last_modified_s = text_date(value);
        return true;
    case LINK_HEADER_DATE:
        response->date_s = text_date(value);
        return true;
    case LINK_HEADER_RETRY_AFTER:
        return response_add_retry_after(response, value);
    case LINK_HEADER_REPR_DIGEST:
        return response_add_digest(response, value, DIGEST_REPR);
    case LINK_HEADER_DIGEST:
        return response_add_digest(response, value, DIGEST_PLAIN);
    case HEADER_CONTENT_CODING:
        response->coded = value.size != 8 || strncasecmp(value.data, "identity", 8) != 0;
        return true;
    default:
        return true;
    }
}

static bool name_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* field-name ":" OWS field-value OWS (RFC 9112 5). Folded lines and blanks before the colon are
 * where readers differ, so they are refused as the RFC wants. */
static bool response_add_field(struct response *response, struct text line)
{
    size_t name_size = 0;
    while (name_size < line.size && name_character(line.data[name_size]))
        name_size++;
    if (name_size == 0 || name_size == line.size || line.data[name_size] != ':')
        return response_refuse(response, "a malformed header line");

    struct text value = {line.data + name_size + 1, line.size - name_size - 1};
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return response_refuse(response, "a control character in a header line");
    }
    while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
        value.data++;
        value.size--;
    }
    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t'))
        value.size--;

    for (unsigned header = 0; header < HEADER_COUNT; header++) {
        const char *name = header_name(response, header);
        if (strlen(name) == name_size && strncasecmp(name, line.data, name_size) == 0)
            return response_add_header(response, header, value);
    }
    return true;
}

bool response_add_line(struct response *response, const char *line, size_t size)
{
    if (response->fault[0] != '\0')
        return false;
    response->line_count++;
    response->header_size += size;
    if (response->line_count > RESPONSE_LINES_MAX || response->header_size > RESPONSE_HEADER_MAX)
        return response_refuse(response, "a header without end");

    struct text text = {line, size};
    if (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    if (text.size > 0 && text.data[text.size - 1] == '\r')
        text.size--;
    if (text.size == 0)
        return true;
    if (text.size >= 5 && memcmp(text.data, "HTTP/", 5) == 0)
        return response_add_status(response, text);
    if (response->status == 0)
        return response_refuse(response, "no status line");
    return response_add_field(response, text);
}

int64_t response_date(const struct response *response)
{
    return response->validator.last_modified_s > 0 ? response->validator.last_modified_s
                                                   : response->date_s;
}

static void judge_end(struct response_judgement *judgement, enum link_result result,
                      const char *detail)
{
    judgement->step = RESPONSE_END;
    judgement->result = result;
    link_detail_set(judgement->detail, "%s", detail);
}

/* Framing that leaves no doubt where the body ends. */
static bool judge_framing(const struct response *response, struct response_judgement *judgement)
{
    if (response_saw(response, HEADER_TRANSFER_CODING))
        judge_end(judgement, LINK_PROTOCOL, "the answer has a Transfer-Encoding, so no length");
    else if (response->coded)
        judge_end(judgement, LINK_PROTOCOL, "the answer has a Content-Encoding nobody asked for");
    else if (!response_saw(response, HEADER_LENGTH))
        judge_end(judgement, LINK_PROTOCOL, "the answer has no Content-Length");
    else
        return true;
    return false;
}

static void judge_whole(const struct response *response, const struct response_question *question,
                        struct response_judgement *judgement)
{
    if (!judge_framing(response, judgement))
        return;
    if (response_saw(response, HEADER_RANGE)) {
        judge_end(judgement, LINK_PROTOCOL, "a Content-Range in an answer with status 200");
        return;
    }
    judgement->size = response->length;
    if (question->head) {
        judgement->step = RESPONSE_HEADERS;
        judgement->result = LINK_OK;
        return;
    }
    if (response->length > question->size_max) {
        judge_end(judgement, LINK_TOO_LARGE, "");
        link_detail_set(judgement->detail, "%llu bytes are announced, %llu are the limit",
                        (unsigned long long)response->length,
                        (unsigned long long)question->size_max);
    } else if (question->expected_size != UINT64_MAX &&
               question->expected_size != response->length) {
        judge_end(judgement, LINK_CHANGED, "the length is not the one that was looked up");
    } else if (!validator_agrees(question->expected, &response->validator)) {
        judge_end(judgement, LINK_CHANGED, "the validator is not the one that was looked up");
    } else {
        judgement->step = RESPONSE_WHOLE;
        judgement->result = LINK_OK;
    }
}

static void judge_rest(const struct response *response, const struct response_question *question,
                       struct response_judgement *judgement)
{
    if (question->offset == 0) {
        judge_end(judgement, LINK_PROTOCOL, "status 206, but no range was asked for");
        return;
    }
    if (!judge_framing(response, judgement))
        return;
    if (!response_saw(response, HEADER_RANGE) || response->range_unsatisfied)
        judge_end(judgement, LINK_PROTOCOL, "status 206 without the range");
    else if (strcmp(response->validator.etag, question->held->etag) != 0)
        judge_end(judgement, LINK_CHANGED, "the validator changed during the transfer");
    else if (response->range_total != question->held_size)
        judge_end(judgement, LINK_CHANGED, "the total size changed during the transfer");
    else if (response->range_first != question->offset ||
             response->range_last != question->held_size - 1)
        judge_end(judgement, LINK_PROTOCOL, "the Content-Range is not the one asked for");
    else if (response->length != response->range_last - response->range_first + 1)
        judge_end(judgement, LINK_PROTOCOL, "Content-Length and Content-Range contradict");
    else {
        judgement->step = RESPONSE_REST;
        judgement->result = LINK_OK;
        judgement->size = response->range_total;
    }
}

static void judge_wait(const struct response *response, int64_t now_s, enum link_result result,
                       struct response_judgement *judgement)
{
    judgement->step = RESPONSE_WAIT;
    judgement->result = result;
    judgement->retry_after_known = response_saw(response, LINK_HEADER_RETRY_AFTER);
    int64_t wait_s = response->retry_after_s;
    if (response->retry_after_date_s > 0) /* their date against their clock, if they tell it */
        wait_s = response->retry_after_date_s - (response->date_s > 0 ? response->date_s : now_s);
    if (wait_s < 0)
        wait_s = 0;
    if (wait_s > LINK_RETRY_AFTER_MAX_S)
        wait_s = LINK_RETRY_AFTER_MAX_S;
    judgement->retry_after_s = (uint32_t)wait_s;
    link_detail_set(judgement->detail, "status %u: %s", response->status,
                    result == LINK_NOT_READY ? "the certificate is still being prepared"
                                             : "the link system asks us to wait");
}

/* What the profile says of any other status. */
static void judge_status(const struct response *response, int64_t now_s,
                         struct response_judgement *judgement)
{
    uint32_t status = response->status;
    switch ((enum link_meaning)response->profile->meanings[status]) {
    case LINK_MEANS_NOT_READY:
        judge_wait(response, now_s, LINK_NOT_READY, judgement);
        return;
    case LINK_MEANS_BUSY:
        judge_wait(response, now_s, LINK_BUSY, judgement);
        return;
    case LINK_MEANS_NOT_FOUND:
        judge_end(judgement, LINK_NOT_FOUND, "");
        link_detail_set(judgement->detail, "status %u: no such certificate", status);
        return;
    case LINK_MEANS_GONE:
        judge_end(judgement, LINK_GONE, "");
        link_detail_set(judgement->detail, "status %u: the provision period is over", status);
        return;
    case LINK_MEANS_FORBIDDEN:
        judge_end(judgement, LINK_FORBIDDEN, "");
        link_detail_set(judgement->detail, "status %u: the link system refuses us", status);
        return;
    case LINK_MEANS_UNAVAILABLE:
        judgement->step = RESPONSE_UNAVAILABLE;
        judgement->result = LINK_UNREACHABLE;
        link_detail_set(judgement->detail, "status %u: it does not work now", status);
        return;
    case LINK_MEANS_NOTHING:
    case LINK_MEANS_COUNT:
        break;
    }
    judge_end(judgement, LINK_PROTOCOL, "");
    link_detail_set(judgement->detail, "status %u%s", status,
                    status / 100 == 3 ? ": redirects are not followed"
                    : status == 400   ? ": is our certificate the one it wants?"
                                      : " means nothing to us");
}

void response_judge(const struct response *response, const struct response_question *question,
                    int64_t now_s, struct response_judgement *ret_judgement)
{
    memset(ret_judgement, 0, sizeof *ret_judgement);
    if (response->fault[0] != '\0') {
        judge_end(ret_judgement, LINK_PROTOCOL, response->fault);
    } else if (response->status == 200) {
        judge_whole(response, question, ret_judgement);
    } else if (response->status == 206) {
        judge_rest(response, question, ret_judgement);
    } else if (response->status == 416 && question->offset > 0) {
        ret_judgement->step = RESPONSE_AFRESH;
        link_detail_set(ret_judgement->detail, "status 416: the range is refused");
    } else {
        judge_status(response, now_s, ret_judgement);
    }
}
