/*
 * Revocation lists in kosekifs-mount, as rows of bytes: those in force, and those that somebody
 * brought and kosekifs-verify has to look at first. Life of a list: offered (a file, or fetched) →
 * examined by kosekifs-verify → in force, kept in the store until a newer one of the same scope
 * replaces it; or refused, with a reason that is shown.
 *
 * A list from a file whose issuer is not known yet is in force too, as waiting: path validation
 * checks its signature, and it is examined again when a signer brings the issuer's certificate.
 *
 * Thread rule: the owner's lock.
 */
#ifndef FS_REVOCATION_H
#define FS_REVOCATION_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crl.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    REVOCATION_LISTS_MAX = 64,
    /* Of these, lists whose signature nobody could check yet: they leave room for the others. */
    REVOCATION_WAITING_MAX = 16,
    REVOCATION_WAITING_SIZE_MAX = 16 * 1024 * 1024, /* bytes, together */
    REVOCATION_OFFERS_MAX = 256,
    REVOCATION_REFUSALS_MAX = 32, /* remembered for the operator */
    REVOCATION_SOURCE_MAX = 256,
    REVOCATION_KEY_SIZE = 16,
};

struct revocation_list {
    struct crl_info info;
    struct buffer content; /* PEM or DER, as it came */
    uint8_t sha256[SHA256_SIZE];
    char source[REVOCATION_SOURCE_MAX]; /* file name or address */
    int64_t received_s;
    bool waiting;       /* its issuer is not known yet */
    uint8_t told_state; /* enum revocation_state that was told of */
};

struct revocation_offer {
    TAILQ_ENTRY(revocation_offer) next;
    struct buffer content;
    uint8_t sha256[SHA256_SIZE];
    char source[REVOCATION_SOURCE_MAX];
    bool fetched;
    uint64_t asker; /* who waits to hear what became of it; 0 = nobody */
};

struct revocation_refusal {
    char source[REVOCATION_SOURCE_MAX];
    char text[CRL_TEXT_MAX];
    uint8_t sha256[SHA256_SIZE];
    int64_t at_s;
    bool fetched;
};

struct revocation {
    struct revocation_list *lists[REVOCATION_LISTS_MAX];
    size_t count;
    TAILQ_HEAD(revocation_offers, revocation_offer) offers;
    size_t offer_count;
    struct revocation_refusal refusals[REVOCATION_REFUSALS_MAX]; /* newest first */
    size_t refusal_count;
};

void revocation_init(struct revocation *revocation);
void revocation_done(struct revocation *revocation);

/* The form in the store. */
_must_use_ int revocation_list_encode(const struct revocation_list *list, struct buffer *out);
/* A row of the store; -EBADMSG. */
_must_use_ int revocation_load(struct revocation *revocation, struct bytes encoded);
void revocation_list_key(const struct revocation_list *list, uint8_t ret_key[REVOCATION_KEY_SIZE]);

/* Somebody brings a file, which may hold several lists in PEM. What is in force or was refused
 * before is not looked at again. -ENOSPC: too many wait; -ENOMEM. */
_must_use_ int revocation_bring(struct revocation *revocation, const char *source,
                                struct bytes content, bool fetched);
/* The same by a person, who waits for what becomes of each, known or refused before or not: returns
 * how many were taken in. -ENOSPC, none taken in then; -ENOMEM. */
_must_use_ int revocation_import(struct revocation *revocation, uint64_t asker, const char *source,
                                 struct bytes content);
/* The lists whose issuer was unknown are to be examined again. */
void revocation_bring_waiting(struct revocation *revocation);
/* The first offer, or NULL. It stays first until revocation_decide(). */
struct revocation_offer *revocation_first(const struct revocation *revocation);

enum revocation_decision {
    REVOCATION_TAKEN,
    REVOCATION_KNOWN, /* in force already */
    REVOCATION_OLDER, /* than what is in force, which stays */
    REVOCATION_REFUSED,
};
/* The verdict on the first offer, which leaves. TAKEN: *ret_list is in force. Otherwise *ret_list
 * is NULL and ret_text (CRL_TEXT_MAX bytes) says why. A negative errno if memory or places are
 * short. */
_must_use_ int revocation_decide(struct revocation *revocation, const struct crl_info *info,
                                 int64_t now_s, struct revocation_list **ret_list, char *ret_text);

/* All in force as a bundle (base/trust.h) in a sealed memory file. */
_must_use_ int revocation_bundle(const struct revocation *revocation, int *ret_fd,
                                 uint8_t ret_generation[SHA256_SIZE]);

/* fresh; aging: in the last quarter of its life, or past nextUpdate within the grace; stale. */
enum revocation_state { REVOCATION_FRESH = 0, REVOCATION_AGING, REVOCATION_STALE };
enum revocation_state revocation_state(const struct crl_info *info, int64_t now_s);
const char *revocation_state_text(enum revocation_state state);
/* When it begins to age. */
int64_t revocation_aging_s(const struct crl_info *info);

#endif
