/*
 * Signers of stored certificates, in memory: who they are, what revocation lists say of them and of
 * the authorities above, and everything that was ever seen revoked. On each open the signer is
 * looked up here, so new revocation data change the state of all his certificates at once, without
 * touching one of them.
 *
 * Thread rule: any thread; own lock, innermost.
 */
#ifndef FS_SIGNERS_H
#define FS_SIGNERS_H

#include "base/cleanup.h"
#include "base/signer.h"

#include <stdbool.h>
#include <stdint.h>

enum { SIGNERS_MAX = 1024 };

enum signers_taken {
    SIGNERS_SAME = 1, /* nothing new, or of older data */
    SIGNERS_NEW,
    SIGNERS_FRESHER, /* same statuses by newer lists */
    SIGNERS_CHANGED, /* some status is another: certificates change state */
};

struct signers;

int signers_new(struct signers **ret_signers);
struct signers *signers_free(struct signers *signers);

/* What counts now; statuses by other data are looked at again. */
struct signers_generation {
    uint8_t trust[SHA256_SIZE];
    uint8_t lists[SHA256_SIZE];
};

/*
 * Takes a record of kosekifs-verify, or of the store at the start (generation NULL). Returns enum
 * signers_taken; unless SIGNERS_SAME, ret_status is what holds from now on and *ret_record (the
 * caller's to free) is the form to be stored. -EBADMSG: no such record; -ENOSPC: too many signers.
 */
_must_use_ int signers_take(struct signers *signers, struct bytes encoded,
                            const struct signers_generation *generation,
                            struct signer_status *ret_status, struct buffer *ret_record);

/* False: nobody knows this signer. */
_must_use_ bool signers_judge(struct signers *signers, const uint8_t sha256[SHA256_SIZE],
                              int64_t received_s, int64_t now_s,
                              struct signer_judgement *ret_judgement);

/* His status as it counts now; false as above. */
_must_use_ bool signers_status(struct signers *signers, const uint8_t sha256[SHA256_SIZE],
                               struct signer_status *ret_status);

/* Another number whenever signers_judge() may say something else for the same arguments but the
 * time. */
uint64_t signers_standing(struct signers *signers, int64_t now_s);

/* One whose status is not by this generation: true with his record (caller frees). */
_must_use_ bool signers_outdated(struct signers *signers,
                                 const struct signers_generation *generation,
                                 uint8_t ret_sha256[SHA256_SIZE], struct buffer *ret_record);
/* He was looked at by this generation, and no path leads from him any more or it could not be
 * found out: his status stays. */
void signers_set_looked_at(struct signers *signers, const uint8_t sha256[SHA256_SIZE],
                           const struct signers_generation *generation);

/* Walks all: `each` gets records whose bytes last for the call only. It may not call back. */
void signers_walk(struct signers *signers,
                  void (*each)(void *context, const struct signer_record *record), void *context);

#endif
