/*
 * A would-be set of trust anchors, judged by the same function that judges in the daemon, before
 * anything is changed: whether it could be used, what speaks against each anchor, and whether the
 * signers of stored certificates would still lead to one.
 *
 * Complaints go to standard error.
 */
#ifndef TOOLS_ANCHOR_SET_H
#define TOOLS_ANCHOR_SET_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "verify/verify.h"

#include <stdbool.h>

enum { ANCHOR_FILE_MAX = 1024 * 1024 };

/* A trust bundle; what comes from no file of the configuration is a candidate. */
struct anchor_set {
    struct buffer bundle;
    size_t configured; /* anchor items of the configuration, which stand first */
};

/* As the daemon would read it now but for schemas, with its anchors or without. */
_must_use_ int anchor_set_read(const struct config_trust *config, bool with_anchors,
                               struct anchor_set *ret_set);
_must_use_ int anchor_set_add(struct anchor_set *set, const char *label, struct bytes content);
/* The set without the files that have this content. */
_must_use_ int anchor_set_without(const struct anchor_set *set, struct bytes content,
                                  struct anchor_set *ret_set);
void anchor_set_done(struct anchor_set *set);
#define _cleanup_anchor_set_ _cleanup_(anchor_set_done)

/* One file's anchors, judged alone under the rest of the set; -EINVAL with a text (VERDICT_TEXT_MAX
 * bytes) if it could not be used. */
_must_use_ int anchor_set_judge(const struct anchor_set *set, struct bytes content,
                                struct verify_anchor ret_anchors[VERIFY_ANCHORS_MAX],
                                unsigned *ret_count, char *ret_text);
/* What speaks against adding an anchor to the set, NULL if nothing. */
const char *anchor_set_objection(const struct anchor_set *set, const struct verify_anchor *anchor,
                                 int64_t now_s);

/* Prints a line for each anchor. False if a candidate, or the set as a whole, would be refused. */
_must_use_ bool anchor_set_print(const struct anchor_set *set, int64_t now_s);

/* Asks the daemon for the signers that it knows and prints those that lead to an anchor of `before`
 * and to none of `after`. Their number; a negative errno after a message. */
_must_use_ int anchor_set_broken(int control_fd, const struct anchor_set *before,
                                 const struct anchor_set *after, int64_t now_s,
                                 unsigned *ret_signers);

#endif
