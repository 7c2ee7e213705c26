/*
 * Scope-bound ownership: a local that owns something is declared with one of the attributes below
 * and is released on every way out of its block; steal_*() gives it away.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _must_use_ __attribute__((warn_unused_result))
#define _printf_(format_index, first_argument)                                                     \
    __attribute__((format(printf, format_index, first_argument)))

static inline void cleanup_free(void *slot)
{
    free(*(void **)slot);
}

static inline void cleanup_close(int *slot)
{
    if (*slot >= 0) {
        int saved_errno = errno;
        close(*slot);
        errno = saved_errno;
    }
}

static inline void cleanup_fclose(FILE **slot)
{
    if (*slot)
        fclose(*slot);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* Yields the descriptor and leaves -1 behind. */
static inline int steal_fd(int *slot)
{
    int fd = *slot;
    *slot = -1;
    return fd;
}

/* Yields the pointer and leaves NULL behind. */
#define steal_ptr(slot)                                                                            \
    __extension__({                                                                                \
        __typeof__(slot) steal_slot_ = (slot);                                                     \
        __typeof__(*steal_slot_) steal_value_ = *steal_slot_;                                      \
        *steal_slot_ = NULL;                                                                       \
        steal_value_;                                                                              \
    })

#endif
