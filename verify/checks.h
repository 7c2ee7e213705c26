/*
 * The checks: one table of names, clauses and meanings, and the record of one run through them.
 *
 * A check is fixed when cryptography, certificate path validation or the standard's own text
 * demands it (basis crypto, pki, profile), and a policy check when it is our prudence; only a
 * policy check has a level that an operator can set. A fixed check that fails ends the run. A
 * policy check never changes the way of a run, whatever its level: it is noted, the run goes on,
 * and checks_finish() lists fixed checks before policy checks. So a forged document is always
 * called forged, even when it is out of the ordinary too, and relaxing one policy check never skips
 * another.
 *
 * Life: checks_begin(), any number of notes, checks_finish() once.
 */
#ifndef VERIFY_CHECKS_H
#define VERIFY_CHECKS_H

#include "base/verdict.h"
#include "verify/checks_content.h"
#include "verify/checks_path.h"
#include "verify/checks_pdf.h"
#include "verify/xml_checks.h"

#include <stdbool.h>
#include <stdint.h>

/* BASIS_ADVICE is a policy check that warns unless an operator sets its level. */
enum check_basis { BASIS_CRYPTO, BASIS_PKI, BASIS_PROFILE, BASIS_POLICY, BASIS_ADVICE };
enum check_level { LEVEL_DEFAULT, LEVEL_FAIL, LEVEL_WARN, LEVEL_IGNORE };

/* X(IDENTIFIER, "name", "clause", basis, sub-indication when it fails, "meaning") */
#define CHECKS(X) CHECKS_PDF(X) CHECKS_XML(X) CHECKS_PATH(X) CHECKS_CONTENT(X)

enum check_id {
#define X(id, name, clause, basis, sub, meaning) CHECK_##id,
    CHECKS(X)
#undef X
        CHECK_COUNT,
};

/* Ranges of the table, for checks_all_noted(). */
enum {
    CHECK_PDF_FIRST = CHECK_PDF_LIMITS,
    CHECK_PDF_LAST = CHECK_SIG_DATE_PLAUSIBLE,
    CHECK_PATH_FIRST = CHECK_PATH_BUILT,
    CHECK_PATH_LAST = CHECK_REVOCATION,
    CHECK_CONTENT_FIRST = CHECK_IMAGE_FILTERS,
    CHECK_CONTENT_LAST = CHECK_COLLECTION,
};

/* The levels of one trust bundle, by check; those of fixed checks are never read. */
struct check_levels {
    uint8_t level[CHECK_COUNT];
};

/* Takes "NAME=LEVEL"; false if there is no such policy check or level. */
_must_use_ bool checks_set_level(struct check_levels *levels, struct bytes setting);

/* The level in force of a policy check: LEVEL_FAIL, LEVEL_WARN or LEVEL_IGNORE. */
enum check_level checks_level(const struct check_levels *levels, enum check_id id);

struct check_note {
    bool noted;
    uint8_t outcome; /* enum verdict_outcome */
    char text[VERDICT_TEXT_MAX];
};

struct check_run {
    const struct check_levels *levels;
    bool ended; /* a fixed check failed */
    struct check_note notes[CHECK_COUNT];
};

void checks_begin(struct check_run *run, const struct check_levels *levels);

/* Notes a pass, unless the check was noted before. */
void checks_pass(struct check_run *run, enum check_id id);

/*
 * Notes that a check does not hold, with the reason in plain words; of several failures of one
 * check the first is kept. A fixed check ends the run: the caller returns at once. Returns false
 * then, and true for a policy check of any level.
 */
bool checks_fail(struct check_run *run, enum check_id id, const char *format, ...) _printf_(3, 4);

/*
 * Notes that a check cannot be decided with what was given; at the level warn or ignore of a policy
 * check it becomes that outcome. The run goes on.
 */
void checks_undecided(struct check_run *run, enum check_id id, const char *format, ...)
    _printf_(3, 4);

/* checks_pass() or checks_fail(). */
#define checks_that(run, id, holds, ...)                                                           \
    ((holds) ? (checks_pass((run), (id)), true) : checks_fail((run), (id), __VA_ARGS__))

/* True while no fixed check has failed. */
static inline bool checks_going(const struct check_run *run)
{
    return !run->ended;
}

/* True if each check of the range was noted: what a complete path must have reached. */
_must_use_ bool checks_all_noted(const struct check_run *run, unsigned first, unsigned last);

/*
 * Writes the notes into the verdict, fixed checks first. If `complete`, that is, if the caller came
 * to the end of its path, and no check failed or is undecided, the verdict becomes TOTAL-PASSED;
 * otherwise it takes the sub-indication of the decisive check.
 */
void checks_finish(const struct check_run *run, bool complete, struct verdict *verdict);

#endif
