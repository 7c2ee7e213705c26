/* See base/signer.h; the rule in words: docs/validation-policy.md, "Time". */
#include "base/signer.h"

#include "base/clock.h"

#include <stdio.h>

enum { STATUS_FORMAT = 1 };

const char *revocation_reason_text(uint8_t reason)
{
    static const char *const names[] = {
        [REASON_UNSPECIFIED] = "unspecified",
        [REASON_KEY_COMPROMISE] = "keyCompromise",
        [REASON_CA_COMPROMISE] = "cACompromise",
        [REASON_AFFILIATION_CHANGED] = "affiliationChanged",
        [REASON_SUPERSEDED] = "superseded",
        [REASON_CESSATION] = "cessationOfOperation",
        [REASON_HOLD] = "certificateHold",
        [REASON_PRIVILEGE_WITHDRAWN] = "privilegeWithdrawn",
        [REASON_AA_COMPROMISE] = "aACompromise",
    };
    if (reason >= sizeof names / sizeof *names || !names[reason])
        return "unknown";
    return names[reason];
}

/* --- encoding --------------------------------------------------------------------------------- */

static int encode_certificate(const struct certificate_status *certificate, struct buffer *out)
{
    const int64_t times[] = {certificate->not_before_s, certificate->not_after_s,
                             certificate->revoked_s,    certificate->list_issued_s,
                             certificate->list_next_s,  certificate->list_stale_at_s};
    int r = buffer_append(out, certificate->sha256, SHA256_SIZE);
    if (r == 0)
        r = buffer_append_u8(out, certificate->state);
    if (r == 0)
        r = buffer_append_u8(out, certificate->reason);
    for (size_t i = 0; r == 0 && i < sizeof times / sizeof *times; i++)
        r = buffer_append_be64(out, (uint64_t)times[i]);
    return r;
}

static int signer_status_encode(const struct signer_status *status, struct buffer *out)
{
    int r = buffer_append_u8(out, STATUS_FORMAT);
    if (r == 0)
        r = buffer_append(out, status->sha256, SHA256_SIZE);
    if (r == 0)
        r = buffer_append(out, status->trust_generation, SHA256_SIZE);
    if (r == 0)
        r = buffer_append(out, status->crl_generation, SHA256_SIZE);
    if (r == 0)
        r = buffer_append_u8(
            out, (uint8_t)((status->stale_accepted ? 1 : 0) | (status->later_rejected ? 2 : 0)));
    if (r == 0)
        r = buffer_append_text(out, status->subject);
    if (r == 0)
        r = buffer_append_u8(out, status->path_size);
    for (unsigned i = 0; r == 0 && i < status->path_size; i++)
        r = encode_certificate(&status->path[i], out);
    return r;
}

static void decode_certificate(struct reader *reader, struct certificate_status *certificate)
{
    reader_copy(reader, certificate->sha256, SHA256_SIZE);
    certificate->state = reader_u8(reader);
    certificate->reason = reader_u8(reader);
    certificate->not_before_s = (int64_t)reader_be64(reader);
    certificate->not_after_s = (int64_t)reader_be64(reader);
    certificate->revoked_s = (int64_t)reader_be64(reader);
    certificate->list_issued_s = (int64_t)reader_be64(reader);
    certificate->list_next_s = (int64_t)reader_be64(reader);
    certificate->list_stale_at_s = (int64_t)reader_be64(reader);
}

static int decode_status(struct reader *reader, struct signer_status *ret_status)
{
    struct signer_status status = {0};
    uint8_t format = reader_u8(reader);
    reader_copy(reader, status.sha256, SHA256_SIZE);
    reader_copy(reader, status.trust_generation, SHA256_SIZE);
    reader_copy(reader, status.crl_generation, SHA256_SIZE);
    uint8_t flags = reader_u8(reader);
    reader_text(reader, status.subject, sizeof status.subject);
    status.path_size = reader_u8(reader);
    if (reader->failed || format != STATUS_FORMAT || flags > 3 || status.path_size == 0 ||
        status.path_size > SIGNER_PATH_MAX)
        return -EBADMSG;
    status.stale_accepted = flags & 1;
    status.later_rejected = flags & 2;
    for (unsigned i = 0; i < status.path_size; i++) {
        decode_certificate(reader, &status.path[i]);
        if (status.path[i].state >= CERTIFICATE_STATE_COUNT)
            return -EBADMSG;
    }
    if (reader->failed || !memory_equal(status.path[0].sha256, status.sha256, SHA256_SIZE))
        return -EBADMSG;
    *ret_status = status;
    return 0;
}

int signer_record_encode(const struct signer_record *record, struct buffer *out)
{
    int r = signer_status_encode(&record->status, out);
    if (r == 0)
        r = buffer_append_u8(out, (uint8_t)record->certificate_count);
    for (unsigned i = 0; r == 0 && i < record->certificate_count; i++) {
        r = buffer_append_be32(out, (uint32_t)record->certificates[i].size);
        if (r == 0)
            r = buffer_append(out, record->certificates[i].data, record->certificates[i].size);
    }
    if (r == 0)
        r = buffer_append_u8(out, (uint8_t)record->url_count);
    for (unsigned i = 0; r == 0 && i < record->url_count; i++)
        r = buffer_append_text(out, record->urls[i]);
    return r;
}

int signer_record_decode(struct bytes encoded, struct signer_record *ret_record)
{
    struct signer_record record = {0};
    struct reader reader;
    reader_init(&reader, encoded);
    int r = decode_status(&reader, &record.status);
    if (r < 0)
        return r;
    record.certificate_count = reader_u8(&reader);
    if (record.certificate_count != record.status.path_size)
        return -EBADMSG;
    for (unsigned i = 0; i < record.certificate_count; i++) {
        record.certificates[i] = reader_view(&reader, reader_be32(&reader));
        if (record.certificates[i].size == 0)
            return -EBADMSG;
    }
    record.url_count = reader_u8(&reader);
    if (record.url_count > SIGNER_URLS_MAX)
        return -EBADMSG;
    for (unsigned i = 0; i < record.url_count; i++) {
        reader_text(&reader, record.urls[i], sizeof record.urls[i]);
        if (strncmp(record.urls[i], "http://", 7) != 0)
            return -EBADMSG;
    }
    if (!reader_finish(&reader))
        return -EBADMSG;
    *ret_record = record;
    return 0;
}

/* --- what is not forgotten -------------------------------------------------------------------- */

/* Says something about the key, and so about signatures of any time. A reason that is not known
 * here may do so too. */
static bool compromises(uint8_t reason)
{
    switch (reason) {
    case REASON_AFFILIATION_CHANGED:
    case REASON_SUPERSEDED:
    case REASON_CESSATION:
    case REASON_PRIVILEGE_WITHDRAWN:
    case REASON_HOLD:
        return false;
    default:
        return true;
    }
}

static bool keep_certificate(struct certificate_status *now, const struct certificate_status *was)
{
    if (was->state == CERTIFICATE_HELD && now->state == CERTIFICATE_UNKNOWN) {
        now->state = was->state;
        now->reason = was->reason;
        now->revoked_s = was->revoked_s;
        return true;
    }
    if (was->state != CERTIFICATE_REVOKED)
        return false;
    if (now->state != CERTIFICATE_REVOKED) {
        now->state = was->state;
        now->reason = was->reason;
        now->revoked_s = was->revoked_s;
        return true;
    }
    bool kept = false;
    if (was->revoked_s < now->revoked_s) {
        now->revoked_s = was->revoked_s;
        kept = true;
    }
    if (compromises(was->reason) && !compromises(now->reason)) {
        now->reason = was->reason;
        kept = true;
    }
    return kept;
}

bool signer_status_keep(struct signer_status *status, const struct signer_status *before)
{
    bool kept = false;
    for (unsigned i = 0; i < status->path_size; i++) {
        for (unsigned k = 0; k < before->path_size; k++) {
            if (memory_equal(status->path[i].sha256, before->path[k].sha256, SHA256_SIZE))
                kept = keep_certificate(&status->path[i], &before->path[k]) || kept;
        }
    }
    return kept;
}

/* --- the rule --------------------------------------------------------------------------------- */

struct wording {
    const char *who;
    char date[RFC3339_SIZE];
};

static void word(unsigned depth, int64_t time_s, struct wording *ret_wording)
{
    ret_wording->who = depth == 0 ? "the signer's certificate" : "a certificate of an authority";
    rfc3339_format(time_s, ret_wording->date);
}

static void judge_revoked(const struct certificate_status *certificate, unsigned depth,
                          bool later_rejected, int64_t received_s, struct signer_judgement *out)
{
    struct wording w;
    word(depth, certificate->revoked_s, &w);
    bool earlier = received_s < certificate->revoked_s && !compromises(certificate->reason);
    out->revoked_later = out->revoked_later || earlier;
    enum signer_outcome outcome = earlier && !later_rejected ? SIGNER_GOOD_EARLIER : SIGNER_REVOKED;
    if (outcome <= out->outcome)
        return;
    out->outcome = outcome;
    out->depth = depth;
    snprintf(out->text, sizeof out->text, "%s is revoked as of %s (%s)%s", w.who, w.date,
             revocation_reason_text(certificate->reason),
             earlier ? ", after the document was received" : "");
}

static void judge_held(const struct certificate_status *certificate, unsigned depth,
                       struct signer_judgement *out)
{
    struct wording w;
    word(depth, certificate->revoked_s, &w);
    if (out->outcome >= SIGNER_HELD)
        return;
    out->outcome = SIGNER_HELD;
    out->depth = depth;
    snprintf(out->text, sizeof out->text, "%s is suspended since %s (certificateHold)", w.who,
             w.date);
}

/* A list that was fresh when the certificate expired is enough: there is nothing left to revoke,
 * and later lists need not name it any more (RFC 5280 3.3). */
static bool list_needed(const struct certificate_status *certificate)
{
    return certificate->list_stale_at_s <= certificate->not_after_s;
}

static void judge_freshness(const struct signer_status *status, unsigned depth, int64_t now_s,
                            struct signer_judgement *out)
{
    const struct certificate_status *certificate = &status->path[depth];
    struct wording w;
    bool unknown =
        certificate->list_stale_at_s == 0 || now_s + SIGNER_SKEW_S < certificate->list_issued_s;
    if (!unknown && !list_needed(certificate))
        return;
    if (!unknown && (!out->fresh_until_s || certificate->list_stale_at_s < out->fresh_until_s))
        out->fresh_until_s = certificate->list_stale_at_s;
    if (!unknown && now_s < certificate->list_stale_at_s)
        return;
    out->stale = true;
    if (status->stale_accepted || out->outcome >= SIGNER_UNKNOWN)
        return;
    word(depth, certificate->list_stale_at_s, &w);
    out->outcome = SIGNER_UNKNOWN;
    out->depth = depth;
    if (unknown)
        snprintf(out->text, sizeof out->text, "there is no revocation list for %s", w.who);
    else
        snprintf(out->text, sizeof out->text, "the revocation list for %s is too old since %s",
                 w.who, w.date);
}

void signer_judge(const struct signer_status *status, int64_t received_s, int64_t now_s,
                  struct signer_judgement *ret_judgement)
{
    struct signer_judgement judgement = {.outcome = SIGNER_GOOD};
    for (unsigned i = 0; i < status->path_size; i++) {
        const struct certificate_status *certificate = &status->path[i];
        if (certificate->state == CERTIFICATE_REVOKED)
            judge_revoked(certificate, i, status->later_rejected, received_s, &judgement);
        else if (certificate->state == CERTIFICATE_HELD)
            judge_held(certificate, i, &judgement);
        /* Of the anchor no list is asked for: it is trusted by configuration. */
        if (i + 1u < status->path_size)
            judge_freshness(status, i, now_s, &judgement);
    }
    *ret_judgement = judgement;
}
