/* See keys/key_ring.h. */
#include "keys/key_ring.h"

#include "base/keys_setup.h"

#include <string.h>

_Static_assert((int)KEYS_GENERATION_MAX == 1 + (int)KEYS_PREVIOUS_MAX, "current and previous ones");

static const struct master_key *find(const struct key_ring *ring, const uint8_t id[KEYS_ID_SIZE])
{
    for (unsigned i = 0; i < ring->count; i++)
        if (memcmp(master_key_id(ring->generations[i]), id, KEYS_ID_SIZE) == 0)
            return ring->generations[i];
    return NULL;
}

int key_ring_add(struct key_ring *ring, struct master_key *key, char *ret_message)
{
    const char *wrong = NULL;
    if (ring->count == KEYS_GENERATION_MAX)
        wrong = "there are more previous master keys than three";
    else if (find(ring, master_key_id(key)))
        wrong = "the same master key is named twice in master_key and previous_master_keys";
    if (wrong) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "[keys] %s", wrong);
        master_key_free(key);
        return -EINVAL;
    }
    ring->generations[ring->count++] = key;
    return 0;
}

void key_ring_done(struct key_ring *ring)
{
    while (ring->count > 0)
        master_key_free(ring->generations[--ring->count]);
}

const struct master_key *key_ring_current(const struct key_ring *ring)
{
    return ring->generations[0];
}

int key_ring_unwrap(const struct key_ring *ring, const void *aad, size_t aad_size,
                    const uint8_t wrapped[KEYS_WRAPPED_SIZE], uint8_t ret_data_key[AEAD_KEY_SIZE])
{
    const struct master_key *key = find(ring, wrapped);
    return key ? master_key_unwrap(key, aad, aad_size, wrapped, ret_data_key) : -EBADMSG;
}

int key_ring_rewrap(const struct key_ring *ring, const void *aad, size_t aad_size,
                    const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                    uint8_t ret_wrapped[KEYS_WRAPPED_SIZE])
{
    uint8_t data_key[AEAD_KEY_SIZE];
    const struct master_key *current = key_ring_current(ring);
    int r = key_ring_unwrap(ring, aad, aad_size, wrapped, data_key);
    if (r == 0 && memcmp(master_key_id(current), wrapped, KEYS_ID_SIZE) == 0)
        r = KEYS_CURRENT;
    if (r == 0)
        r = master_key_wrap(current, aad, aad_size, data_key, ret_wrapped);
    wipe(data_key, sizeof data_key);
    return r;
}

void key_ring_generations(const struct key_ring *ring, struct keys_generations *ret_generations)
{
    *ret_generations = (struct keys_generations){.count = ring->count};
    for (unsigned i = 0; i < ring->count; i++)
        memcpy(ret_generations->ids[i], master_key_id(ring->generations[i]), KEYS_ID_SIZE);
}
