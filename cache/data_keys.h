/*
 * Data keys in clear that are in use: the most recent few, so that a read seldom asks
 * kosekifs-keys. Known by slot and generation. Wiped when they leave.
 *
 * Thread rule: any thread; its own lock, innermost.
 */
#ifndef CACHE_DATA_KEYS_H
#define CACHE_DATA_KEYS_H

#include "base/cleanup.h"
#include "cache/record.h"

#include <stdbool.h>
#include <stdint.h>

enum { DATA_KEYS_MAX = 1024 };

struct data_keys;

_must_use_ int data_keys_new(struct data_keys **ret_keys);
struct data_keys *data_keys_free(struct data_keys *keys);

bool data_keys_find(struct data_keys *keys, uint32_t slot, uint64_t generation,
                    struct data_key *ret_key);

/*
 * A key that was unwrapped while its slot was being erased must not come back: take the epoch
 * before the slot is read; data_keys_add() keeps nothing when a key was dropped since.
 */
uint64_t data_keys_epoch(struct data_keys *keys);
void data_keys_add(struct data_keys *keys, uint64_t epoch, uint32_t slot, uint64_t generation,
                   const struct data_key *key);
void data_keys_drop(struct data_keys *keys, uint32_t slot, uint64_t generation);
/* Drops all; `keep`: what is added later is kept again. */
void data_keys_forget(struct data_keys *keys, bool keep);

#endif
