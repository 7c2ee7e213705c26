/*
 * The generations of the master key that are open: the current one wraps, each unwraps what it
 * wrapped. A wrapped key begins with the id of its generation (keys/master_key.c).
 *
 * Thread rule: the process has one thread.
 */
#ifndef KEYS_KEY_RING_H
#define KEYS_KEY_RING_H

#include "keys/master_key.h"

struct key_ring {
    unsigned count;
    struct master_key *generations[KEYS_GENERATION_MAX]; /* [0] is the current one */
};

/* Takes the key, the current one first. -EINVAL, explained in ret_message (KEY_LOAD_MESSAGE_MAX
 * bytes), and the key is freed: it is there already, or too many are. */
_must_use_ int key_ring_add(struct key_ring *ring, struct master_key *key, char *ret_message);
void key_ring_done(struct key_ring *ring);

const struct master_key *key_ring_current(const struct key_ring *ring);

/* Under the generation that wrapped it. -EBADMSG: that one is not open, damaged, or another aad. */
_must_use_ int key_ring_unwrap(const struct key_ring *ring, const void *aad, size_t aad_size,
                               const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                               uint8_t ret_data_key[AEAD_KEY_SIZE]);
/* The same key under the current generation; KEYS_CURRENT if it is, after it was opened once. */
_must_use_ int key_ring_rewrap(const struct key_ring *ring, const void *aad, size_t aad_size,
                               const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                               uint8_t ret_wrapped[KEYS_WRAPPED_SIZE]);

void key_ring_generations(const struct key_ring *ring, struct keys_generations *ret_generations);

#endif
