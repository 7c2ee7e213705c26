/* See link_steps.h. */
#include "transport/link_steps.h"

#include <stddef.h>

static const struct {
    const char *text, *value;
} kinds[LINK_STEP_COUNT] = {
    [LINK_STEP_NAME] = {"name", NULL},
    [LINK_STEP_ROUTE] = {"route", NULL},
    [LINK_STEP_TLS] = {"tls", "days_left"},
    [LINK_STEP_IDENTITY] = {"identity", "days_left"},
    [LINK_STEP_CLOCK] = {"clock", "ahead_s"},
    [LINK_STEP_HEAD] = {"head", "size"},
    [LINK_STEP_RANGE] = {"range", NULL},
    [LINK_STEP_THROUGHPUT] = {"throughput", "bytes_per_second"},
};

const char *link_step_text(enum link_step_kind kind)
{
    return (unsigned)kind < LINK_STEP_COUNT ? kinds[kind].text : "?";
}

const char *link_step_value_text(enum link_step_kind kind)
{
    return (unsigned)kind < LINK_STEP_COUNT ? kinds[kind].value : NULL;
}

const char *link_step_verdict_text(enum link_step_verdict verdict)
{
    static const char *const texts[LINK_STEP_VERDICT_COUNT] = {
        [LINK_STEP_SKIPPED] = "skipped",
        [LINK_STEP_OK] = "ok",
        [LINK_STEP_WARN] = "warn",
        [LINK_STEP_FAIL] = "fail",
    };
    return (unsigned)verdict < LINK_STEP_VERDICT_COUNT ? texts[verdict] : "?";
}
