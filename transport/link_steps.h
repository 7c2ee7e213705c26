/*
 * What a test of one address of the link system finds, step by step. Each step has a verdict, the
 * time it took, a line on what was seen, and for warnings and failures what the operator can do.
 */
#ifndef TRANSPORT_LINK_STEPS_H
#define TRANSPORT_LINK_STEPS_H

#include <stdint.h>

enum link_step_kind {
    LINK_STEP_NAME,
    LINK_STEP_ROUTE,    /* connect */
    LINK_STEP_TLS,      /* `value`: days until the first certificate of the chain ends */
    LINK_STEP_IDENTITY, /* ours; `value`: days until our certificate ends */
    LINK_STEP_CLOCK,    /* `value`: seconds that theirs is ahead of ours */
    LINK_STEP_HEAD,     /* `value`: bytes of the certificate */
    LINK_STEP_RANGE,
    LINK_STEP_THROUGHPUT, /* `value`: bytes a second */
    LINK_STEP_COUNT,
};

/* In the order of their weight: a test is as its worst step. */
enum link_step_verdict {
    LINK_STEP_SKIPPED = 0, /* not reached, waived, or there is nothing to try it with */
    LINK_STEP_OK,
    LINK_STEP_WARN,
    LINK_STEP_FAIL,
    LINK_STEP_VERDICT_COUNT,
};

enum { LINK_STEP_TEXT_MAX = 400 };

struct link_step {
    enum link_step_kind kind;
    enum link_step_verdict verdict;
    uint32_t took_us;
    int64_t value; /* as above; 0 where there is none */
    char text[LINK_STEP_TEXT_MAX];
    char hint[LINK_STEP_TEXT_MAX]; /* empty: nothing to do */
};

const char *link_step_text(enum link_step_kind kind);               /* "name", … */
const char *link_step_verdict_text(enum link_step_verdict verdict); /* "ok", … */
/* What `value` is, for programs: "days_left", …; NULL: it has no meaning in this step. */
const char *link_step_value_text(enum link_step_kind kind);

#endif
