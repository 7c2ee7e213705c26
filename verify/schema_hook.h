/*
 * The way out of verification to a processor of XSD 1.1, which lives in a process of its own.
 * kosekictl and kosekifs-verify give a trust such a hook; without one a schema that needs XSD 1.1
 * leaves the verdict undecided.
 */
#ifndef VERIFY_SCHEMA_HOOK_H
#define VERIFY_SCHEMA_HOOK_H

#include "base/bytes.h"
#include "base/verdict.h"
#include "verify/verify.h"

enum schema_outcome {
    SCHEMA_VALID = 1,
    SCHEMA_INVALID, /* the document is not valid */
    SCHEMA_REFUSED, /* the schema cannot be honoured */
};

struct schema_answer {
    enum schema_outcome outcome;
    char text[VERDICT_TEXT_MAX]; /* UTF-8; why not */
};

struct schema_hook {
    /*
     * `schemas` is in the form of schema_bundle_add(), the schema to begin with first; `document`
     * is UTF-8 without DTD. 0 with an answer; a negative errno if there is none: -ETIMEDOUT,
     * -EPIPE.
     */
    int (*validate)(void *context, struct bytes schemas, struct bytes document,
                    struct schema_answer *ret_answer);
    void *context;
};

/* The hook must live as long as the trust; NULL takes it away. */
void verify_trust_set_schema_hook(struct verify_trust *trust, const struct schema_hook *hook);

#endif
