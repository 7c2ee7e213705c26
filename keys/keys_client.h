/*
 * kosekifs-mount's side of kosekifs-keys: wraps and unwraps data keys, signs
 * checkpoints of the audit trail. The master key never leaves
 * the keys process; a data key in clear exists here only while it is in use.
 *
 * Several generations of the master key may be open at once: [keys] master_key, the current one,
 * wraps; it and each of previous_master_keys unwrap. A wrapped key begins with the id of the
 * generation that wrapped it. A store is brought under the current generation by giving each of its
 * wrapped keys to keys_client_rewrap(); when none is left with another id, the old master key is
 * needed no more.
 *
 * Thread rule: any thread; calls on one client take turns under its own lock. A call waits at most
 * KEYS_TIMEOUT_MS for the answer.
 */
#ifndef KEYS_KEYS_CLIENT_H
#define KEYS_KEYS_CLIENT_H

#include "base/cleanup.h"
#include "base/crypto.h"

#include <stddef.h>
#include <stdint.h>

enum {
    KEYS_TIMEOUT_MS = 5000,
    KEYS_AAD_MAX = 64,
    KEYS_STATEMENT_MAX = 512,
    KEYS_SIGNATURE_SIZE = 64, /* Ed25519 */
    KEYS_PUBLIC_KEY_SIZE = 32,
    KEYS_ID_SIZE = 4, /* of a generation */
    KEYS_GENERATION_MAX = 4,
    /* id of the generation ‖ nonce ‖ wrapped key ‖ tag */
    KEYS_WRAPPED_SIZE = KEYS_ID_SIZE + AEAD_NONCE_SIZE + AEAD_KEY_SIZE + AEAD_TAG_SIZE,
};

enum { KEYS_CURRENT = 1 }; /* an outcome of keys_client_rewrap() */

struct keys_generations {
    uint32_t count;                                 /* 1 to KEYS_GENERATION_MAX */
    uint8_t ids[KEYS_GENERATION_MAX][KEYS_ID_SIZE]; /* [0] is the current one */
};

/* Where a key is, for people. The order is that of enum key_source. */
enum keys_source { KEYS_IN_FILE = 1, KEYS_IN_CREDENTIAL, KEYS_ON_TOKEN, KEYS_SOURCE_END };
enum keys_token {
    KEYS_TOKEN_UNUSED,
    KEYS_TOKEN_THERE,
    KEYS_TOKEN_AWAY,
    KEYS_TOKEN_NO_LOGIN,
    KEYS_TOKEN_END
};

/* Uses of keys since the process began: X(name), in alphabetical order. */
#define KEYS_USES(X)                                                                               \
    X(checkpoints)      /* of the audit trail, signed */                                           \
    X(failed)           /* what was asked for in order and could not be done */                    \
    X(limited)          /* signatures not made: too many in a short time */                        \
    X(refused)          /* signatures not made: not a handshake of ours */                         \
    X(tls12_signatures) /* handshakes of TLS 1.2 */                                                \
    X(tls13_signatures)                                                                            \
    X(unwrapped)                                                                                   \
    X(wrapped) /* generated or rewrapped */

#define KEYS_USE_MEMBER(name) uint64_t name;
struct keys_uses {
    KEYS_USES(KEYS_USE_MEMBER)
};
#undef KEYS_USE_MEMBER

enum { KEYS_SUBJECT_SIZE = 256 };

struct keys_status {
    uint64_t instance; /* random, of this life of kosekifs-keys: its counts began with zeros */
    struct keys_uses uses;
    struct keys_uses recorded;          /* what an asker said last */
    uint32_t master_source, tls_source; /* enum keys_source */
    uint32_t token;                     /* enum keys_token */
    uint32_t generation_count;
    int64_t not_after_s;             /* of our TLS client certificate */
    char subject[KEYS_SUBJECT_SIZE]; /* its subject, RFC 2253 */
};

struct keys_client;

_must_use_ int keys_client_new(struct keys_client **ret_client);
struct keys_client *keys_client_free(struct keys_client *client);

/* Gives the client a (new) connection, which it owns; -1 takes the old one away. Calls without a
 * connection wait for one within their timeout. */
void keys_client_connect(struct keys_client *client, int fd);
/* Whoever brought connections is gone, or we end: calls that find none, now or later, return
 * -EHOSTDOWN at once. One that is there goes on to be used. */
void keys_client_expect_no_other(struct keys_client *client);

/* A fresh random data key and its form wrapped by the current generation, bound to `aad` (at most
 * KEYS_AAD_MAX bytes). */
_must_use_ int keys_client_generate(struct keys_client *client, const void *aad, size_t aad_size,
                                    uint8_t ret_key[AEAD_KEY_SIZE],
                                    uint8_t ret_wrapped[KEYS_WRAPPED_SIZE]);

/* -EBADMSG: not wrapped by an open generation of our master key under this aad; -EHOSTDOWN: keys
 * process not there; -ENODEV: the token is not there; -EACCES: no login to it. So the others. */
_must_use_ int keys_client_unwrap(struct keys_client *client, const void *aad, size_t aad_size,
                                  const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                                  uint8_t ret_key[AEAD_KEY_SIZE]);

/*
 * Wraps the same data key again by the current generation, under the same aad; the data key is not
 * told. Returns 0 and the new form; KEYS_CURRENT, with nothing written, if `wrapped` is by the
 * current generation and whole; errors as of keys_client_unwrap(). `ret_wrapped` may be `wrapped`.
 */
_must_use_ int keys_client_rewrap(struct keys_client *client, const void *aad, size_t aad_size,
                                  const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                                  uint8_t ret_wrapped[KEYS_WRAPPED_SIZE]);

/* Which generations are open. */
_must_use_ int keys_client_generations(struct keys_client *client,
                                       struct keys_generations *ret_generations);

/*
 * What kosekifs-keys holds and did; nothing secret. `recorded` says which of the uses by `instance`
 * are on record; another kosekifs-mount that asks later is told. Of another instance (0: none) it
 * is passed over.
 */
_must_use_ int keys_client_status(struct keys_client *client, uint64_t instance,
                                  const struct keys_uses *recorded, struct keys_status *ret_status);

/*
 * Signs a statement of 1 to KEYS_STATEMENT_MAX bytes with Ed25519 under a key that is derived from
 * the master key and used for nothing but checkpoints of the audit trail. -EINVAL: too long or
 * empty.
 */
_must_use_ int keys_client_sign_checkpoint(struct keys_client *client, const void *statement,
                                           size_t size, uint8_t ret_signature[KEYS_SIGNATURE_SIZE],
                                           uint8_t ret_public_key[KEYS_PUBLIC_KEY_SIZE]);

#endif
