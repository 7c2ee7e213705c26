/* What follows from revocation, age of lists and expiry for a document received at some time: every
 * reason of RFC 5280 5.3.1, and what is never forgotten. */
#include "base/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { RECEIVED = 1000000, NOW = 2000000, NEVER = 9000000 };

/* Signer, authority, anchor; fresh lists. */
static struct signer_status sample(void)
{
    struct signer_status status = {.path_size = 3};
    for (unsigned i = 0; i < status.path_size; i++) {
        memset(status.path[i].sha256, (int)i + 1, SHA256_SIZE);
        status.path[i].state = CERTIFICATE_GOOD;
        status.path[i].not_after_s = NEVER;
        status.path[i].list_issued_s = NOW - 1000;
        status.path[i].list_next_s = status.path[i].list_stale_at_s = NOW + 1000;
    }
    memcpy(status.sha256, status.path[0].sha256, SHA256_SIZE);
    return status;
}

static enum signer_outcome judge(const struct signer_status *status, int64_t received_s,
                                 int64_t now_s)
{
    struct signer_judgement judgement;
    signer_judge(status, received_s, now_s, &judgement);
    return judgement.outcome;
}

static void revoke_at(struct signer_status *status, unsigned depth, uint8_t reason, int64_t at_s)
{
    status->path[depth].state = reason == REASON_HOLD ? CERTIFICATE_HELD : CERTIFICATE_REVOKED;
    status->path[depth].reason = reason;
    status->path[depth].revoked_s = at_s;
}

static void each_reason(void **state)
{
    (void)state;
    for (unsigned reason = 0; reason < 256; reason++) {
        bool stays = reason == REASON_AFFILIATION_CHANGED || reason == REASON_SUPERSEDED ||
                     reason == REASON_CESSATION || reason == REASON_PRIVILEGE_WITHDRAWN;
        for (unsigned depth = 0; depth < 3; depth++) {
            struct signer_status status = sample();
            revoke_at(&status, depth, (uint8_t)reason, RECEIVED + 1);
            if (reason == REASON_HOLD) {
                assert_int_equal(judge(&status, RECEIVED, NOW), SIGNER_HELD);
                continue;
            }
            assert_int_equal(judge(&status, RECEIVED, NOW),
                             stays ? SIGNER_GOOD_EARLIER : SIGNER_REVOKED);
            assert_int_equal(judge(&status, RECEIVED + 1, NOW), SIGNER_REVOKED);
            status.later_rejected = true;
            assert_int_equal(judge(&status, RECEIVED, NOW), SIGNER_REVOKED);
        }
    }
}

static void age_of_lists(void **state)
{
    struct signer_status status = sample();
    struct signer_judgement judgement;
    (void)state;
    assert_int_equal(judge(&status, RECEIVED, NOW + 999), SIGNER_GOOD);
    assert_int_equal(judge(&status, RECEIVED, NOW + 1000), SIGNER_UNKNOWN);
    signer_judge(&status, RECEIVED, NOW, &judgement);
    assert_int_equal(judgement.fresh_until_s, NOW + 1000);
    status.stale_accepted = true;
    signer_judge(&status, RECEIVED, NOW + 1000, &judgement);
    assert_int_equal(judgement.outcome, SIGNER_GOOD);
    assert_true(judgement.stale);
    status = sample();
    status.path[1].list_stale_at_s = 0; /* none at all */
    assert_int_equal(judge(&status, RECEIVED, NOW), SIGNER_UNKNOWN);
    status = sample();
    status.path[2].list_stale_at_s = 0; /* the anchor needs none */
    assert_int_equal(judge(&status, RECEIVED, NOW), SIGNER_GOOD);
    status = sample(); /* a list from the future says nothing */
    assert_int_equal(judge(&status, RECEIVED, NOW - 1000 - SIGNER_SKEW_S - 1), SIGNER_UNKNOWN);
}

/* A list that counted until the end of the certificate is enough for ever; one that did not is not.
 */
static void expired(void **state)
{
    struct signer_status status = sample();
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        status.path[i].not_after_s = NOW + 500;
    assert_int_equal(judge(&status, RECEIVED, NEVER), SIGNER_GOOD);
    status.path[0].not_after_s = NOW + 1001;
    assert_int_equal(judge(&status, RECEIVED, NEVER), SIGNER_UNKNOWN);
    status.path[0].not_after_s = NOW + 500;
    revoke_at(&status, 0, REASON_KEY_COMPROMISE, NOW);
    assert_int_equal(judge(&status, RECEIVED, NEVER), SIGNER_REVOKED);
}

static void nothing_is_forgotten(void **state)
{
    struct signer_status before = sample(), now = sample();
    (void)state;
    assert_false(signer_status_keep(&now, &before));
    revoke_at(&before, 0, REASON_KEY_COMPROMISE, 500);
    assert_true(signer_status_keep(&now, &before)); /* gone from the list */
    assert_int_equal(now.path[0].state, CERTIFICATE_REVOKED);
    assert_int_equal(now.path[0].revoked_s, 500);
    now = sample();
    revoke_at(&now, 0, REASON_SUPERSEDED, 900); /* a milder story later */
    assert_true(signer_status_keep(&now, &before));
    assert_int_equal(now.path[0].reason, REASON_KEY_COMPROMISE);
    assert_int_equal(now.path[0].revoked_s, 500);
    now = sample();
    revoke_at(&now, 0, REASON_HOLD, 900);
    assert_true(signer_status_keep(&now, &before));
    assert_int_equal(now.path[0].state, CERTIFICATE_REVOKED);
    before = sample();
    revoke_at(&before, 1, REASON_HOLD, 500);
    now = sample(); /* a list that no longer has it lifts a hold … */
    assert_false(signer_status_keep(&now, &before));
    now.path[1].state = CERTIFICATE_UNKNOWN; /* … no list does not */
    assert_true(signer_status_keep(&now, &before));
    assert_int_equal(now.path[1].state, CERTIFICATE_HELD);
}

static void records_travel(void **state)
{
    _cleanup_buffer_ struct buffer encoded;
    struct signer_record record = {.status = sample(), .certificate_count = 3, .url_count = 1};
    struct signer_record back;
    (void)state;
    strcpy(record.status.subject, "CN=x");
    strcpy(record.urls[0], "http://a/b");
    for (unsigned i = 0; i < 3; i++)
        record.certificates[i] = bytes_of("der", 3);
    buffer_init(&encoded, SIGNER_RECORD_MAX);
    assert_int_equal(signer_record_encode(&record, &encoded), 0);
    assert_int_equal(signer_record_decode(bytes_of(encoded.data, encoded.size), &back), 0);
    assert_memory_equal(&back.status, &record.status, sizeof back.status);
    assert_string_equal(back.urls[0], "http://a/b");
    for (size_t size = 0; size < encoded.size; size++)
        assert_int_equal(signer_record_decode(bytes_of(encoded.data, size), &back), -EBADMSG);
    encoded.data[encoded.size - 4] = 'f';  /* not http:// any more, or not its text */
    encoded.data[1 + 3 * SHA256_SIZE] = 4; /* a flag that nobody knows */
    assert_int_equal(signer_record_decode(bytes_of(encoded.data, encoded.size), &back), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason),    cmocka_unit_test(age_of_lists),
        cmocka_unit_test(expired),        cmocka_unit_test(nothing_is_forgotten),
        cmocka_unit_test(records_travel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
