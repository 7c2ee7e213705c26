/*
 * The record, its words, its encoding and its report. Decoding accepts exactly what encoding
 * writes; a verdict that contradicts itself passes neither, so no reader has to wonder which half
 * of it to believe.
 */
#include "base/verdict.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdarg.h>

static const char *const indication_texts[] = {
    [VERDICT_INDETERMINATE] = "INDETERMINATE",
    [VERDICT_TOTAL_FAILED] = "TOTAL-FAILED",
    [VERDICT_TOTAL_PASSED] = "TOTAL-PASSED",
};

static const char *const sub_texts[VERDICT_SUB_COUNT] = {
    [VERDICT_SUB_NONE] = "",
    [VERDICT_FORMAT_FAILURE] = "FORMAT_FAILURE",
    [VERDICT_HASH_FAILURE] = "HASH_FAILURE",
    [VERDICT_SIG_CRYPTO_FAILURE] = "SIG_CRYPTO_FAILURE",
    [VERDICT_REVOKED] = "REVOKED",
    [VERDICT_EXPIRED] = "EXPIRED",
    [VERDICT_NOT_YET_VALID] = "NOT_YET_VALID",
    [VERDICT_SIG_CONSTRAINTS_FAILURE] = "SIG_CONSTRAINTS_FAILURE",
    [VERDICT_CHAIN_CONSTRAINTS_FAILURE] = "CHAIN_CONSTRAINTS_FAILURE",
    [VERDICT_CERTIFICATE_CHAIN_GENERAL_FAILURE] = "CERTIFICATE_CHAIN_GENERAL_FAILURE",
    [VERDICT_CRYPTO_CONSTRAINTS_FAILURE] = "CRYPTO_CONSTRAINTS_FAILURE",
    [VERDICT_POLICY_PROCESSING_ERROR] = "POLICY_PROCESSING_ERROR",
    [VERDICT_SIGNATURE_POLICY_NOT_AVAILABLE] = "SIGNATURE_POLICY_NOT_AVAILABLE",
    [VERDICT_TIMESTAMP_ORDER_FAILURE] = "TIMESTAMP_ORDER_FAILURE",
    [VERDICT_NO_SIGNING_CERTIFICATE_FOUND] = "NO_SIGNING_CERTIFICATE_FOUND",
    [VERDICT_NO_CERTIFICATE_CHAIN_FOUND] = "NO_CERTIFICATE_CHAIN_FOUND",
    [VERDICT_REVOKED_NO_POE] = "REVOKED_NO_POE",
    [VERDICT_REVOKED_CA_NO_POE] = "REVOKED_CA_NO_POE",
    [VERDICT_OUT_OF_BOUNDS_NO_POE] = "OUT_OF_BOUNDS_NO_POE",
    [VERDICT_NO_POE] = "NO_POE",
    [VERDICT_TRY_LATER] = "TRY_LATER",
    [VERDICT_SIGNED_DATA_NOT_FOUND] = "SIGNED_DATA_NOT_FOUND",
};

static const char *const outcome_texts[CHECK_OUTCOME_COUNT] = {
    [CHECK_PASSED] = "pass",    [CHECK_FAILED] = "fail",         [CHECK_WARNED] = "warn",
    [CHECK_IGNORED] = "ignore", [CHECK_UNDECIDED] = "undecided",
};

const char *verdict_indication_text(uint8_t indication)
{
    return indication <= VERDICT_TOTAL_PASSED ? indication_texts[indication] : "?";
}

const char *verdict_sub_text(uint8_t sub)
{
    return sub < VERDICT_SUB_COUNT ? sub_texts[sub] : "?";
}

const char *verdict_outcome_text(uint8_t outcome)
{
    return outcome < CHECK_OUTCOME_COUNT ? outcome_texts[outcome] : "?";
}

void verdict_init(struct verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict);
}

/* Cuts after the last whole UTF-8 sequence that fits; zeros behind it, as the whole record goes
 * through memory comparisons in the store. */
static void set_text(char *out, size_t out_size, const char *text)
{
    size_t size = strnlen(text, out_size);
    if (size == out_size) {
        size--;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
            size--;
    }
    memset(out, 0, out_size);
    memcpy(out, text, size);
}

static int gravity(uint8_t outcome)
{
    static const int by_outcome[CHECK_OUTCOME_COUNT] = {[CHECK_PASSED] = 0,
                                                        [CHECK_IGNORED] = 1,
                                                        [CHECK_WARNED] = 2,
                                                        [CHECK_UNDECIDED] = 3,
                                                        [CHECK_FAILED] = 4};
    return by_outcome[outcome];
}

void verdict_add(struct verdict *verdict, enum verdict_outcome outcome, const char *check,
                 const char *clause, const char *format, ...)
{
    if (verdict->reason_count == VERDICT_REASON_MAX) {
        /* The gravest outcome that was dropped stays visible: no rejection is lost to a flood. */
        struct verdict_reason *last = &verdict->reasons[VERDICT_REASON_MAX - 1];
        uint8_t gravest =
            gravity((uint8_t)outcome) > gravity(last->outcome) ? (uint8_t)outcome : last->outcome;
        memset(last, 0, sizeof *last);
        last->outcome = gravest;
        set_text(last->check, sizeof last->check, "reasons");
        set_text(last->text, sizeof last->text, "more reasons were dropped");
        return;
    }

    struct verdict_reason *reason = &verdict->reasons[verdict->reason_count++];
    char text[2 * VERDICT_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    va_end(arguments);
    reason->outcome = (uint8_t)outcome;
    set_text(reason->check, sizeof reason->check, check);
    set_text(reason->clause, sizeof reason->clause, clause);
    set_text(reason->text, sizeof reason->text, text);
}

static const struct verdict_reason *find_reason(const struct verdict *verdict,
                                                enum verdict_outcome outcome)
{
    for (size_t i = 0; i < verdict->reason_count; i++) {
        if (verdict->reasons[i].outcome == outcome)
            return &verdict->reasons[i];
    }
    return NULL;
}

const struct verdict_reason *verdict_decisive(const struct verdict *verdict)
{
    const struct verdict_reason *failed = find_reason(verdict, CHECK_FAILED);
    return failed ? failed : find_reason(verdict, CHECK_UNDECIDED);
}

static bool contradicts_itself(const struct verdict *verdict)
{
    return verdict->indication == VERDICT_TOTAL_PASSED &&
           (verdict->sub != VERDICT_SUB_NONE || verdict_decisive(verdict) != NULL);
}

static int encode_reason(const struct verdict_reason *reason, struct buffer *out)
{
    int r = buffer_append_u8(out, reason->outcome);
    if (r == 0)
        r = buffer_append_text(out, reason->check);
    if (r == 0)
        r = buffer_append_text(out, reason->clause);
    if (r == 0)
        r = buffer_append_text(out, reason->text);
    return r;
}

static int encode_fields(const struct verdict *verdict, struct buffer *out)
{
    const uint8_t head[] = {VERDICT_VERSION, verdict->indication, verdict->sub};
    int r = buffer_append(out, head, sizeof head);
    if (r == 0)
        r = buffer_append_be64(out, verdict->document_size);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)verdict->signing_time_s);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)verdict->verified_at_s);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)verdict->fresh_until_s);
    if (r == 0)
        r = buffer_append(out, verdict->document_sha256, SHA256_SIZE);
    if (r == 0)
        r = buffer_append(out, verdict->signer_sha256, SHA256_SIZE);
    if (r == 0)
        r = buffer_append(out, verdict->trust_generation, SHA256_SIZE);
    if (r == 0)
        r = buffer_append_text(out, verdict->signer);
    if (r == 0)
        r = buffer_append_text(out, verdict->schema);
    if (r == 0)
        r = buffer_append_be16(out, verdict->reason_count);
    return r;
}

int verdict_encode(const struct verdict *verdict, struct buffer *out)
{
    if (contradicts_itself(verdict))
        return -EINVAL;
    size_t before = out->size;
    int r = encode_fields(verdict, out);
    for (size_t i = 0; r == 0 && i < verdict->reason_count; i++)
        r = encode_reason(&verdict->reasons[i], out);
    if (r < 0)
        out->size = before;
    return r;
}

static void decode_reason(struct reader *reader, struct verdict_reason *reason)
{
    reason->outcome = reader_u8(reader);
    reader_text(reader, reason->check, sizeof reason->check);
    reader_text(reader, reason->clause, sizeof reason->clause);
    reader_text(reader, reason->text, sizeof reason->text);
    if (reason->outcome >= CHECK_OUTCOME_COUNT)
        reader->failed = true;
}

static void decode_fields(struct reader *reader, struct verdict *verdict)
{
    if (reader_u8(reader) != VERDICT_VERSION)
        reader->failed = true;
    verdict->indication = reader_u8(reader);
    verdict->sub = reader_u8(reader);
    verdict->document_size = reader_be64(reader);
    verdict->signing_time_s = (int64_t)reader_be64(reader);
    verdict->verified_at_s = (int64_t)reader_be64(reader);
    verdict->fresh_until_s = (int64_t)reader_be64(reader);
    reader_copy(reader, verdict->document_sha256, SHA256_SIZE);
    reader_copy(reader, verdict->signer_sha256, SHA256_SIZE);
    reader_copy(reader, verdict->trust_generation, SHA256_SIZE);
    reader_text(reader, verdict->signer, sizeof verdict->signer);
    reader_text(reader, verdict->schema, sizeof verdict->schema);
    verdict->reason_count = reader_be16(reader);
    if (verdict->indication > VERDICT_TOTAL_PASSED || verdict->sub >= VERDICT_SUB_COUNT ||
        verdict->reason_count > VERDICT_REASON_MAX)
        reader->failed = true;
}

int verdict_decode(struct bytes encoded, struct verdict *ret_verdict)
{
    _cleanup_free_ struct verdict *verdict = calloc(1, sizeof *verdict);
    if (!verdict)
        return -ENOMEM;
    struct reader reader;
    reader_init(&reader, encoded);
    decode_fields(&reader, verdict);
    for (size_t i = 0; !reader.failed && i < verdict->reason_count; i++)
        decode_reason(&reader, &verdict->reasons[i]);
    if (encoded.size > VERDICT_ENCODED_MAX || !reader_finish(&reader) ||
        contradicts_itself(verdict))
        return -EBADMSG;
    *ret_verdict = *verdict;
    return 0;
}

static int set_time_or_null(struct json *object, const char *key, int64_t seconds)
{
    char text[RFC3339_SIZE];
    if (seconds == 0)
        return json_set_null(object, key);
    rfc3339_format(seconds, text);
    return json_set_text(object, key, text);
}

static int set_digest_or_null(struct json *object, const char *key,
                              const uint8_t digest[SHA256_SIZE])
{
    static const uint8_t none[SHA256_SIZE];
    if (memcmp(digest, none, SHA256_SIZE) == 0)
        return json_set_null(object, key);
    return json_set_hex(object, key, digest, SHA256_SIZE);
}

static struct json *report_reason(const struct verdict_reason *reason)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "check", reason->check) < 0 ||
        json_set_text(object, "outcome", verdict_outcome_text(reason->outcome)) < 0 ||
        json_set_text(object, "clause", reason->clause) < 0 ||
        json_set_text(object, "text", reason->text) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *report_reasons(const struct verdict *verdict)
{
    _cleanup_json_ struct json *array = json_array_new();
    for (size_t i = 0; array && i < verdict->reason_count; i++) {
        if (json_append(array, report_reason(&verdict->reasons[i])) < 0)
            return NULL;
    }
    return steal_ptr(&array);
}

struct json *verdict_report(const struct verdict *verdict)
{
    _cleanup_json_ struct json *report = json_object_new();
    if (!report ||
        json_set_text(report, "indication", verdict_indication_text(verdict->indication)) < 0 ||
        json_set_text_or_null(report, "sub_indication", verdict_sub_text(verdict->sub)) < 0 ||
        json_set_text_or_null(report, "signer", verdict->signer) < 0 ||
        set_time_or_null(report, "signing_time", verdict->signing_time_s) < 0 ||
        set_time_or_null(report, "verified_at", verdict->verified_at_s) < 0 ||
        set_digest_or_null(report, "document_sha256", verdict->document_sha256) < 0 ||
        json_set_integer(report, "document_size", (int64_t)verdict->document_size) < 0 ||
        set_digest_or_null(report, "signer_sha256", verdict->signer_sha256) < 0 ||
        set_digest_or_null(report, "trust_generation", verdict->trust_generation) < 0 ||
        json_set_text_or_null(report, "schema", verdict->schema) < 0 ||
        json_set(report, "checks", report_reasons(verdict)) < 0)
        return NULL;
    return steal_ptr(&report);
}

void verdict_explain(const struct verdict *verdict, char *out)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);
    if (reason)
        snprintf(out, VERDICT_TEXT_MAX, "%s: %.*s", reason->check,
                 VERDICT_TEXT_MAX - VERDICT_CHECK_MAX - 3, reason->text);
    else
        snprintf(out, VERDICT_TEXT_MAX, "%s", verdict_indication_text(verdict->indication));
}
