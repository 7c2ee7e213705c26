/*
 * Memory that runs short on demand, in a program linked with --wrap for malloc, calloc and realloc:
 * allocation number `allocations_left` from now on fails, once. Libraries that are linked already
 * are given these functions by calls of their own.
 */
#ifndef TESTS_UNIT_SHORT_MEMORY_H
#define TESTS_UNIT_SHORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned long allocations_left; /* 0 = none fails */
static bool failed;                    /* one has */

static inline bool fails_now(void)
{
    if (allocations_left == 0 || --allocations_left > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

/* For CRYPTO_set_mem_functions(). */
static inline void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return __wrap_malloc(size);
}

static inline void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return __wrap_realloc(old, size);
}

static inline void crypto_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

#endif
