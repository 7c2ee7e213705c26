/* See fs/uses.h. A list that is searched from its newest end: the same few certificates are opened
 * again and again. */
#include "fs/uses.h"

#include <pthread.h>
#include <string.h>

enum { SEARCH_MAX = 64 };

struct uses {
    pthread_mutex_t lock;
    size_t count; /* lock, as the next */
    struct cache_use list[USES_MAX];
};

struct uses *uses_new(void)
{
    struct uses *uses = calloc(1, sizeof *uses);
    if (uses)
        pthread_mutex_init(&uses->lock, NULL);
    return uses;
}

struct uses *uses_free(struct uses *uses)
{
    if (uses) {
        pthread_mutex_destroy(&uses->lock);
        free(uses);
    }
    return NULL;
}

void uses_note(struct uses *uses, uint32_t inode, int64_t now_s)
{
    pthread_mutex_lock(&uses->lock);
    size_t first = uses->count > SEARCH_MAX ? uses->count - SEARCH_MAX : 0;
    size_t i = uses->count;
    while (i > first && uses->list[i - 1].inode != inode)
        i--;
    if (i > first)
        uses->list[i - 1].at_s = now_s;
    else if (uses->count < USES_MAX)
        uses->list[uses->count++] = (struct cache_use){.inode = inode, .at_s = now_s};
    pthread_mutex_unlock(&uses->lock);
}

size_t uses_take(struct uses *uses, struct cache_use *ret_uses, size_t most)
{
    pthread_mutex_lock(&uses->lock);
    size_t taken = uses->count < most ? uses->count : most;
    memcpy(ret_uses, uses->list, taken * sizeof *ret_uses);
    uses->count -= taken;
    memmove(uses->list, uses->list + taken, uses->count * sizeof *uses->list);
    pthread_mutex_unlock(&uses->lock);
    return taken;
}
