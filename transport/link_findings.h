/*
 * What the exchanges of a link test say of each step: verdict, text, hint. No network in here.
 */
#ifndef TRANSPORT_LINK_FINDINGS_H
#define TRANSPORT_LINK_FINDINGS_H

#include "transport/link_exchange.h"
#include "transport/link_steps.h"

enum {
    LINK_DAYS_WARN = 30,        /* a certificate that ends within is a warning */
    LINK_CLOCK_OK_S = 3,        /* a Date has whole seconds, and has been on its way */
    LINK_CLOCK_WARN_S = 60,     /* beyond it the clocks contradict */
    LINK_SIGNIFICANT = 64 << 10 /* bytes; of fewer the throughput says little */
};

struct link_findings_context {
    const struct config_link *config;
    const char *host; /* as the address has it */
    bool ours;        /* we have a certificate */
    bool ours_expired;
    int64_t ours_days_left; /* of it */
    char subject[LINK_EXCHANGE_SUBJECT_MAX];
};

/* All steps skipped, with this text. */
void link_findings_init(struct link_step steps[LINK_STEP_COUNT], const char *text);

/* Of the look-up: every step up to LINK_STEP_HEAD. */
void link_findings_lookup(const struct link_findings_context *context,
                          const struct link_facts *facts, struct link_step *steps);
/* Of a range of `size` bytes from `offset`. */
void link_findings_range(const struct link_facts *facts, uint64_t offset, uint64_t size,
                         struct link_step *steps);
void link_findings_throughput(const struct link_findings_context *context,
                              const struct link_facts *facts, struct link_step *steps);

/* One step. */
void link_step_set(struct link_step *step, enum link_step_verdict verdict, const char *hint,
                   const char *format, ...) _printf_(4, 5);

#endif
