/* Pages of bits, made when the first of them is set and kept until the end. */
#include "cache/marks.h"

#include "cache/cache.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PAGE_BITS = 32768, /* 4 KiB */
    WORD_BITS = 64,
    PAGE_COUNT = CACHE_INODE_LAST / PAGE_BITS + 1, /* 256 KiB of pointers, mostly never touched */
};

struct page {
    atomic_ullong words[PAGE_BITS / WORD_BITS];
};

struct marks {
    pthread_mutex_t lock; /* of who changes the standing */
    atomic_ullong standing;
    atomic_ullong cleared; /* the standing since which no mark of another is left */
    _Atomic(struct page *) pages[PAGE_COUNT];
};

int marks_new(struct marks **ret_marks)
{
    struct marks *marks = calloc(1, sizeof *marks);
    if (!marks)
        return -ENOMEM;
    int error = pthread_mutex_init(&marks->lock, NULL);
    if (error != 0) {
        free(marks);
        return -error;
    }
    *ret_marks = marks;
    return 0;
}

struct marks *marks_free(struct marks *marks)
{
    if (marks) {
        for (size_t i = 0; i < PAGE_COUNT; i++)
            free(atomic_load(&marks->pages[i]));
        pthread_mutex_destroy(&marks->lock);
        free(marks);
    }
    return NULL;
}

void marks_clear_all(struct marks *marks)
{
    for (size_t i = 0; i < PAGE_COUNT; i++) {
        struct page *page = atomic_load(&marks->pages[i]);
        for (size_t k = 0; page && k < PAGE_BITS / WORD_BITS; k++)
            atomic_store(&page->words[k], 0);
    }
}

/* The number first: who set a mark under the old one either finds another number, or set it before
 * all are taken away. Nobody goes on under the new one before that is done. */
void marks_begin(struct marks *marks, uint64_t standing)
{
    if (atomic_load(&marks->cleared) == standing && marks_keep(marks, standing))
        return;
    pthread_mutex_lock(&marks->lock);
    if (!marks_keep(marks, standing)) {
        atomic_store(&marks->standing, standing);
        marks_clear_all(marks);
        atomic_store(&marks->cleared, standing);
    }
    pthread_mutex_unlock(&marks->lock);
}

bool marks_keep(const struct marks *marks, uint64_t standing)
{
    return atomic_load(&marks->standing) == standing;
}

static atomic_ullong *word_of(struct page *page, uint32_t inode)
{
    return &page->words[inode % PAGE_BITS / WORD_BITS];
}

static unsigned long long bit_of(uint32_t inode)
{
    return 1ULL << inode % WORD_BITS;
}

bool marks_has(const struct marks *marks, uint32_t inode)
{
    struct page *page = atomic_load(&marks->pages[inode / PAGE_BITS]);
    return page && (atomic_load(word_of(page, inode)) & bit_of(inode));
}

void marks_set(struct marks *marks, uint32_t inode)
{
    _Atomic(struct page *) *place = &marks->pages[inode / PAGE_BITS];
    struct page *page = atomic_load(place);
    if (!page) {
        struct page *made = calloc(1, sizeof *made);
        if (!made)
            return;
        if (atomic_compare_exchange_strong(place, &page, made))
            page = made;
        else
            free(made);
    }
    atomic_fetch_or(word_of(page, inode), bit_of(inode));
}

void marks_clear(struct marks *marks, uint32_t inode)
{
    struct page *page = atomic_load(&marks->pages[inode / PAGE_BITS]);
    if (page)
        atomic_fetch_and(word_of(page, inode), ~bit_of(inode));
}
