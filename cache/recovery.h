/*
 * What the start makes good after a crash: erasures that were begun are finished, and slots that no
 * record names are overwritten, as nobody knows any more what was encrypted under them.
 */
#ifndef CACHE_RECOVERY_H
#define CACHE_RECOVERY_H

#include "base/cleanup.h"
#include "cache/store.h"

_must_use_ int recovery_run(struct cache *cache, char *ret_message);

#endif
