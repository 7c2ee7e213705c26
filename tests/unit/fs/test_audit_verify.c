/* Each way of tampering with an exported trail is found, and where. */
#include "fs/audit_checkpoint.h"
#include "fs/audit_record.h"
#include "trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { RECORDS = 20, LINES_MAX = RECORDS + 4 };

/* A trail of 20 records as lines, with a checkpoint for record 15. */
struct sample {
    char lines[LINES_MAX][1024]; /* with line feed */
    int count;
    char checkpoint[1024];
    uint8_t key[AUDIT_PUBLIC_KEY_SIZE];
};

static struct sample sample;

static void chain_line(uint64_t sequence, const char *name, uint8_t hash[SHA256_SIZE],
                       char out[1024])
{
    static struct audit_line line;
    struct audit_stamp stamp = {.sequence = sequence, .time_ns = 1000000000, .boot = "boot"};
    char previous[2 * SHA256_SIZE + 1];
    hex_encode(hash, SHA256_SIZE, previous);
    struct audit_event event = {.kind = AUDIT_OPEN, .name = name};
    if (sequence == 1)
        event = (struct audit_event){.kind = AUDIT_TRAIL,
                                     .reason = AUDIT_REASON_FILE,
                                     .detail = {{"file", "1"}, {AUDIT_DETAIL_PREVIOUS, previous}}};
    assert_int_equal(audit_record_format(&event, &stamp, hash, &line, hash), 0);
    memcpy(out, line.text + line.begin, line.size);
    out[line.size] = '\0';
}

static void sign_checkpoint(uint64_t sequence, const uint8_t hash[SHA256_SIZE], char out[1024])
{
    struct audit_checkpoint checkpoint = {.sequence = sequence, .time_s = 5, .boot = "boot"};
    memcpy(checkpoint.hash, hash, SHA256_SIZE);
    _cleanup_free_ char *statement = NULL, *line = NULL;
    assert_int_equal(audit_checkpoint_statement(&checkpoint, &statement), 0);
    assert_int_equal(
        trail_sign(NULL, statement, strlen(statement), checkpoint.signature, checkpoint.public_key),
        0);
    assert_int_equal(audit_checkpoint_line(&checkpoint, &line), 0);
    snprintf(out, 1024, "%s\n", line);
}

static int make_sample(void **state)
{
    (void)state;
    uint8_t hash[SHA256_SIZE] = {0};
    for (int i = 0; i < RECORDS; i++) {
        char name[32];
        snprintf(name, sizeof name, "T%d.pdf", i + 1);
        chain_line((uint64_t)i + 1, name, hash, sample.lines[i]);
        if (i + 1 == 15)
            sign_checkpoint(15, hash, sample.checkpoint);
    }
    sample.count = RECORDS;
    return ed25519_public_key(trail_private_key, sample.key);
}

static char text[LINES_MAX * 1024];

static size_t join(const struct sample *from, int first)
{
    size_t size = 0;
    for (int i = first; i < from->count; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s", from->lines[i]);
    return size;
}

static void expect(const struct sample *tampered, const char *checkpoints, const char *faults)
{
    struct trail_check check;
    assert_int_equal(trail_check_text(text, join(tampered, 0), checkpoints, sample.key, &check), 0);
    if (strcmp(check.faults, faults) != 0)
        fail_msg("expected: %s\nfound:    %s", faults, check.faults);
}

static void a_whole_trail_is_good(void **state)
{
    (void)state;
    struct trail_check check;
    expect(&sample, sample.checkpoint, "");
    expect(&sample, NULL, "");
    assert_int_equal(trail_check_text(text, join(&sample, 0), sample.checkpoint, NULL, &check), 0);
    assert_int_equal(check.verified.records, RECORDS);
    assert_int_equal(check.verified.first, 1);
    assert_int_equal(check.verified.last, RECORDS);
    assert_int_equal(check.verified.covered, 15);
    assert_int_equal(check.verified.checkpoints, 1);
    assert_true(check.verified.from_beginning && check.verified.key_set);
    assert_memory_equal(check.verified.key, sample.key, sizeof sample.key);
}

/* One byte of any line, at any place, changed to another. */
static void every_changed_byte_is_found_at_its_line(void **state)
{
    (void)state;
    static struct sample tampered;
    for (int line = 0; line < RECORDS; line += 3) {
        size_t size = strlen(sample.lines[line]) - 1;
        for (size_t at = 0; at < size; at++) {
            tampered = sample;
            tampered.lines[line][at] ^= 1;
            if (tampered.lines[line][at] == '\n')
                continue; /* two lines then: found as well, elsewhere */
            struct trail_check check;
            assert_int_equal(trail_check_text(text, join(&tampered, 0), NULL, sample.key, &check),
                             0);
            /* A changed hash shows in its line and in the one that builds upon it; a line that is
             * no record any more, or has another number, shows as a gap too. */
            char here[32];
            snprintf(here, sizeof here, "@t:%d ", line + 1);
            if (!strstr(check.faults, here))
                fail_msg("line %d byte %zu: %s", line + 1, at, check.faults);
            assert_true(check.verified.faults <= 3);
        }
    }
}

static void edit_delete_insert_and_reorder_are_told_apart(void **state)
{
    (void)state;
    static struct sample tampered;
    static const struct {
        int line;
    } places[] = {{1}, {7}, {18}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int at = places[i].line;
        char faults[256];

        tampered = sample; /* edited: another certificate */
        *strstr(tampered.lines[at], "T") = 'S';
        snprintf(faults, sizeof faults, "changed@t:%d ", at + 1);
        expect(&tampered, NULL, faults);

        tampered = sample; /* edited with a hash that fits: the next one does not any more */
        uint8_t hash[SHA256_SIZE];
        struct bytes event;
        assert_int_equal(
            audit_record_split(bytes_of(sample.lines[at - 1], strlen(sample.lines[at - 1]) - 1),
                               &event, hash),
            0);
        chain_line((uint64_t)at + 1, "S.pdf", hash, tampered.lines[at]);
        snprintf(faults, sizeof faults, "changed@t:%d ", at + 2);
        expect(&tampered, NULL, faults);

        tampered = sample; /* deleted */
        memmove(tampered.lines[at], tampered.lines[at + 1],
                (size_t)(RECORDS - at - 1) * sizeof tampered.lines[0]);
        tampered.count--;
        snprintf(faults, sizeof faults, "missing@t:%d ", at + 1);
        expect(&tampered, NULL, faults);

        tampered = sample; /* doubled */
        memmove(tampered.lines[at + 1], sample.lines[at],
                (size_t)(RECORDS - at) * sizeof tampered.lines[0]);
        tampered.count++;
        snprintf(faults, sizeof faults, "moved@t:%d ", at + 2);
        expect(&tampered, NULL, faults);

        tampered = sample; /* inserted: a line of its own, chained well, numbers repeat */
        assert_int_equal(
            audit_record_split(bytes_of(sample.lines[at], strlen(sample.lines[at]) - 1), &event,
                               hash),
            0);
        memmove(tampered.lines[at + 2], sample.lines[at + 1],
                (size_t)(RECORDS - at - 1) * sizeof tampered.lines[0]);
        chain_line((uint64_t)at + 2, "S.pdf", hash, tampered.lines[at + 1]);
        tampered.count++;
        snprintf(faults, sizeof faults, "moved@t:%d ", at + 3);
        expect(&tampered, NULL, faults);

        if (at + 1 < RECORDS - 1) { /* two exchanged */
            tampered = sample;
            memcpy(tampered.lines[at], sample.lines[at + 1], 1024);
            memcpy(tampered.lines[at + 1], sample.lines[at], 1024);
            snprintf(faults, sizeof faults, "missing@t:%d moved@t:%d missing@t:%d ", at + 1, at + 2,
                     at + 3);
            expect(&tampered, NULL, at + 2 < RECORDS ? faults : "");
        }

        tampered = sample; /* something else */
        snprintf(tampered.lines[at], 1024, "hello\n");
        snprintf(faults, sizeof faults, "form@t:%d missing@t:%d ", at + 1, at + 2);
        expect(&tampered, NULL, faults);
    }
}

static void the_beginning_cannot_be_taken_away(void **state)
{
    (void)state;
    static struct sample tampered;
    tampered = sample;
    memmove(tampered.lines[0], sample.lines[1], (RECORDS - 1) * sizeof sample.lines[0]);
    tampered.count--;
    expect(&tampered, NULL, "missing@t:1 ");
}

static void a_cut_end_is_found_by_a_checkpoint(void **state)
{
    (void)state;
    static struct sample tampered;
    tampered = sample;
    tampered.lines[RECORDS - 1][50] = '\0'; /* inside a line */
    expect(&tampered, NULL, "torn@t:20 ");
    tampered = sample;
    for (tampered.count = RECORDS; tampered.count >= 15; tampered.count--) {
        expect(&tampered, NULL, "");
        expect(&tampered, sample.checkpoint, "");
    }
    expect(&tampered, NULL, ""); /* at a line's end nothing shows without a checkpoint */
    expect(&tampered, sample.checkpoint, "truncated@t:0 ");
    tampered.count = 0;
    expect(&tampered, sample.checkpoint, "truncated@c:0 ");
}

static void a_history_written_anew_is_found_by_a_checkpoint(void **state)
{
    (void)state;
    static struct sample tampered;
    uint8_t hash[SHA256_SIZE] = {0};
    tampered = sample;
    for (int i = 0; i < RECORDS; i++)
        chain_line((uint64_t)i + 1, i == 9 ? "Harmless.pdf" : "T.pdf", hash, tampered.lines[i]);
    expect(&tampered, NULL, "");
    expect(&tampered, sample.checkpoint, "checkpoint@t:15 ");
}

static void false_checkpoints_are_refused(void **state)
{
    (void)state;
    char changed[1024];
    size_t size = strlen(sample.checkpoint) - 1;
    for (size_t at = 0; at < size; at++) { /* any byte */
        memcpy(changed, sample.checkpoint, size + 2);
        changed[at] ^= 1;
        if (changed[at] == '\n')
            continue;
        struct trail_check check;
        assert_int_equal(trail_check_text(text, join(&sample, 0), changed, sample.key, &check), 0);
        if (strcmp(check.faults, "form@c:1 ") != 0 && strcmp(check.faults, "signature@c:1 ") != 0)
            fail_msg("byte %zu: %s", at, check.faults);
        assert_int_equal(check.verified.covered, 0);
    }
    memcpy(changed, sample.checkpoint, size); /* torn */
    changed[size] = '\0';
    expect(&sample, changed, "torn@c:1 ");

    uint8_t other[AUDIT_PUBLIC_KEY_SIZE] = {1};
    struct trail_check check;
    assert_int_equal(trail_check_text(text, join(&sample, 0), sample.checkpoint, other, &check), 0);
    assert_string_equal(check.faults, "signature@c:1 ");
}

static void an_export_from_the_middle_is_checked_with_its_head(void **state)
{
    (void)state;
    static struct sample tampered;
    uint8_t hash[SHA256_SIZE];
    struct bytes event;
    assert_int_equal(
        audit_record_split(bytes_of(sample.lines[4], strlen(sample.lines[4]) - 1), &event, hash),
        0);
    char hex[2 * SHA256_SIZE + 1];
    hex_encode(hash, SHA256_SIZE, hex);
    tampered = sample;
    memmove(tampered.lines[1], sample.lines[5], (RECORDS - 5) * sizeof sample.lines[0]);
    snprintf(tampered.lines[0], 1024, AUDIT_EXPORT_HEAD "%s\"}\n", hex);
    tampered.count = RECORDS - 5 + 1;
    expect(&tampered, sample.checkpoint, "");

    *strstr(tampered.lines[1], "T6") = 'S'; /* the first record */
    expect(&tampered, NULL, "changed@t:2 ");
    memcpy(tampered.lines[1], sample.lines[5], 1024);
    tampered.lines[0][20] = tampered.lines[0][20] == '0' ? '1' : '0';
    expect(&tampered, NULL, "changed@t:2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_trail_is_good),
        cmocka_unit_test(every_changed_byte_is_found_at_its_line),
        cmocka_unit_test(edit_delete_insert_and_reorder_are_told_apart),
        cmocka_unit_test(the_beginning_cannot_be_taken_away),
        cmocka_unit_test(a_cut_end_is_found_by_a_checkpoint),
        cmocka_unit_test(a_history_written_anew_is_found_by_a_checkpoint),
        cmocka_unit_test(false_checkpoints_are_refused),
        cmocka_unit_test(an_export_from_the_middle_is_checked_with_its_head),
    };
    return cmocka_run_group_tests(tests, make_sample, NULL);
}
