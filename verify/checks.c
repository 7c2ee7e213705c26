/*
 * Notes of one run and how they become a verdict. The rule that matters stands at the end: a
 * verdict is TOTAL-PASSED only if the caller came to the end of its path and nothing spoke against
 * it.
 */
#include "verify/checks.h"

#include "verify/verify.h"

#include <stdarg.h>
#include <stdio.h>

static const struct check_entry {
    struct verify_check check;
    uint8_t sub;   /* enum verdict_sub */
    uint8_t level; /* unless an operator sets it */
} check_table[CHECK_COUNT] = {
#define X(id, check_name, check_clause, check_basis, check_sub, check_meaning)                     \
    [CHECK_##id] = {                                                                               \
        .check = {.name = check_name,                                                              \
                  .clause = check_clause,                                                          \
                  .meaning = check_meaning,                                                        \
                  .basis = (check_basis) == BASIS_CRYPTO    ? "crypto"                             \
                           : (check_basis) == BASIS_PKI     ? "pki"                                \
                           : (check_basis) == BASIS_PROFILE ? "profile"                            \
                                                            : "policy",                            \
                  .policy = (check_basis) >= BASIS_POLICY},                                        \
        .sub = check_sub,                                                                          \
        .level = (check_basis) == BASIS_ADVICE ? LEVEL_WARN : LEVEL_FAIL,                          \
    },
    CHECKS(X)
#undef X
};

#define X(id, check_name, check_clause, check_basis, check_sub, check_meaning)                     \
    _Static_assert(sizeof(check_name) <= VERDICT_CHECK_MAX, "name of a check too long");           \
    _Static_assert(sizeof(check_clause) <= VERDICT_CLAUSE_MAX, "clause of a check too long");
CHECKS(X)
#undef X

const struct verify_check *verify_check_at(unsigned index)
{
    return index < CHECK_COUNT ? &check_table[index].check : NULL;
}

static bool level_parse(struct bytes text, uint8_t *ret_level)
{
    static const char *const names[] = {
        [LEVEL_FAIL] = "fail", [LEVEL_WARN] = "warn", [LEVEL_IGNORE] = "ignore"};

    for (uint8_t i = LEVEL_FAIL; i < sizeof names / sizeof names[0]; i++) {
        if (bytes_equal(text, bytes_of(names[i], strlen(names[i])))) {
            *ret_level = i;
            return true;
        }
    }
    return false;
}

bool checks_set_level(struct check_levels *levels, struct bytes setting)
{
    const uint8_t *equals = setting.size ? memchr(setting.data, '=', setting.size) : NULL;
    if (!equals)
        return false;
    struct bytes name = bytes_of(setting.data, (size_t)(equals - setting.data));
    struct bytes level = bytes_of(equals + 1, setting.size - name.size - 1);

    for (unsigned i = 0; i < CHECK_COUNT; i++) {
        const struct verify_check *check = &check_table[i].check;
        if (check->policy && bytes_equal(name, bytes_of(check->name, strlen(check->name))))
            return level_parse(level, &levels->level[i]);
    }
    return false;
}

void checks_begin(struct check_run *run, const struct check_levels *levels)
{
    run->levels = levels;
    run->ended = false;
    for (unsigned i = 0; i < CHECK_COUNT; i++) {
        run->notes[i].noted = false;
        run->notes[i].text[0] = '\0';
    }
}

void checks_pass(struct check_run *run, enum check_id id)
{
    if (run->notes[id].noted)
        return;
    run->notes[id].noted = true;
    run->notes[id].outcome = CHECK_PASSED;
}

enum check_level checks_level(const struct check_levels *levels, enum check_id id)
{
    uint8_t level = levels->level[id];

    return (enum check_level)(level != LEVEL_DEFAULT ? level : check_table[id].level);
}

static enum verdict_outcome at_level(const struct check_run *run, enum check_id id,
                                     enum verdict_outcome strict)
{
    if (!check_table[id].check.policy)
        return strict;
    switch (checks_level(run->levels, id)) {
    case LEVEL_WARN:
        return CHECK_WARNED;
    case LEVEL_IGNORE:
        return CHECK_IGNORED;
    default:
        return strict;
    }
}

static void note(struct check_run *run, enum check_id id, enum verdict_outcome strict,
                 const char *format, va_list arguments) _printf_(4, 0);

static void note(struct check_run *run, enum check_id id, enum verdict_outcome strict,
                 const char *format, va_list arguments)
{
    struct check_note *slot = &run->notes[id];

    if (slot->noted && slot->outcome != CHECK_PASSED && slot->outcome != CHECK_UNDECIDED)
        return;
    if (slot->noted && slot->outcome == CHECK_UNDECIDED && strict == CHECK_UNDECIDED)
        return;
    slot->noted = true;
    slot->outcome = (uint8_t)at_level(run, id, strict);
    vsnprintf(slot->text, sizeof slot->text, format, arguments);
}

bool checks_fail(struct check_run *run, enum check_id id, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    note(run, id, CHECK_FAILED, format, arguments);
    va_end(arguments);
    if (!check_table[id].check.policy)
        run->ended = true;
    return check_table[id].check.policy;
}

void checks_undecided(struct check_run *run, enum check_id id, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    note(run, id, CHECK_UNDECIDED, format, arguments);
    va_end(arguments);
}

bool checks_all_noted(const struct check_run *run, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        if (!run->notes[i].noted)
            return false;
    }
    return true;
}

/* The first failed check, else the first undecided one, else CHECK_COUNT. */
static unsigned list_notes(const struct check_run *run, struct verdict *verdict)
{
    unsigned failed = CHECK_COUNT, undecided = CHECK_COUNT;

    for (int policy = 0; policy <= 1; policy++) {
        for (unsigned i = 0; i < CHECK_COUNT; i++) {
            const struct check_note *slot = &run->notes[i];
            const struct verify_check *check = &check_table[i].check;
            if (!slot->noted || check->policy != policy)
                continue;
            verdict_add(verdict, slot->outcome, check->name, check->clause, "%s", slot->text);
            if (slot->outcome == CHECK_FAILED && failed == CHECK_COUNT)
                failed = i;
            if (slot->outcome == CHECK_UNDECIDED && undecided == CHECK_COUNT)
                undecided = i;
        }
    }
    return failed != CHECK_COUNT ? failed : undecided;
}

void checks_finish(const struct check_run *run, bool complete, struct verdict *verdict)
{
    unsigned decisive = list_notes(run, verdict);

    if (decisive == CHECK_COUNT && (!complete || run->ended)) {
        verdict->indication = VERDICT_INDETERMINATE;
        verdict->sub = VERDICT_POLICY_PROCESSING_ERROR;
        return;
    }
    if (decisive != CHECK_COUNT) {
        uint8_t sub = check_table[decisive].sub;
        bool failed = run->notes[decisive].outcome == CHECK_FAILED;
        verdict->sub = sub;
        verdict->indication =
            failed && sub <= VERDICT_NOT_YET_VALID ? VERDICT_TOTAL_FAILED : VERDICT_INDETERMINATE;
        if (!failed && sub <= VERDICT_NOT_YET_VALID)
            verdict->sub = VERDICT_POLICY_PROCESSING_ERROR;
        return;
    }
    verdict->sub = VERDICT_SUB_NONE;
    verdict->indication = VERDICT_TOTAL_PASSED;
}
