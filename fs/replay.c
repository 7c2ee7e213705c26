/* A ring of keys, with chains of places that share a hash; place 0 of a chain means its end. */
#include "fs/replay.h"

enum { CHAINS = REPLAY_MAX * 2 };

struct key {
    uint64_t connection, unique;
    uint16_t next; /* place + 1 */
};

struct replay {
    uint16_t chains[CHAINS]; /* place + 1 of the newest key */
    struct key keys[REPLAY_MAX];
    uint32_t oldest; /* place of the key that leaves next */
};

struct replay *replay_new(void)
{
    return calloc(1, sizeof(struct replay));
}

struct replay *replay_free(struct replay *replay)
{
    free(replay);
    return NULL;
}

/* Both numbers come from our kernel and our supervisor: no hostile choice to fear. Requests are
 * numbered one after the other, in steps of 2: so are the chains, which keeps them in the CPU's
 * cache. */
static uint32_t chain_of(uint64_t connection, uint64_t unique)
{
    return (uint32_t)((connection ^ (unique >> 1)) % CHAINS);
}

bool replay_find(const struct replay *replay, uint64_t connection, uint64_t unique)
{
    if (connection == 0 && unique == 0)
        return false;
    uint16_t place = replay->chains[chain_of(connection, unique)];
    while (place) {
        const struct key *key = &replay->keys[place - 1];
        if (key->connection == connection && key->unique == unique)
            return true;
        place = key->next;
    }
    return false;
}

static void remove_oldest(struct replay *replay)
{
    struct key *key = &replay->keys[replay->oldest];
    if (key->connection == 0 && key->unique == 0)
        return; /* the ring is not full yet */
    uint16_t *link = &replay->chains[chain_of(key->connection, key->unique)];
    while (*link != replay->oldest + 1)
        link = &replay->keys[*link - 1].next;
    *link = key->next;
}

void replay_add(struct replay *replay, uint64_t connection, uint64_t unique)
{
    if ((connection == 0 && unique == 0) || replay_find(replay, connection, unique))
        return;
    remove_oldest(replay);
    uint16_t *chain = &replay->chains[chain_of(connection, unique)];
    replay->keys[replay->oldest] =
        (struct key){.connection = connection, .unique = unique, .next = *chain};
    *chain = (uint16_t)(replay->oldest + 1);
    replay->oldest = (replay->oldest + 1) % REPLAY_MAX;
}
