/* Marks: what is marked, and that none is left of another standing, whoever asks at the same time.
 */
#include "cache/cache.h"
#include "cache/marks.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    ROUNDS = 300,
    STEP = 32768, /* at least one in each page */
    SPAN = 64 * STEP,
    ASKING = 3,
};

static struct marks *marks;

static void test_set_and_clear(void **state)
{
    (void)state;
    static const uint32_t inodes[] = {0, 1, 63, 64, 32767, 32768, CACHE_INODE_LAST};
    enum { COUNT = sizeof inodes / sizeof *inodes };
    marks_begin(marks, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        for (unsigned k = 0; k < COUNT; k++)
            assert_int_equal(marks_has(marks, inodes[k]), k < i);
        marks_set(marks, inodes[i]);
    }
    marks_clear(marks, 64);
    assert_false(marks_has(marks, 64));
    assert_true(marks_has(marks, 63) && marks_has(marks, 1));
    marks_begin(marks, 0);
    assert_true(marks_has(marks, CACHE_INODE_LAST));
    marks_begin(marks, 1);
    assert_true(marks_keep(marks, 1));
    assert_false(marks_keep(marks, 0));
    for (unsigned i = 0; i < COUNT; i++)
        assert_false(marks_has(marks, inodes[i]));
}

struct asking {
    pthread_barrier_t begin, end;
    uint64_t standing;
    unsigned left[ASKING]; /* marks seen of an older standing */
};

struct one {
    struct asking *asking;
    unsigned number;
};

static void *run_asking(void *argument)
{
    const struct one *one = argument;
    struct asking *asking = one->asking;
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&asking->begin);
        marks_begin(marks, asking->standing);
        for (uint32_t inode = SPAN - STEP; inode > 0; inode -= STEP)
            asking->left[one->number] += marks_has(marks, inode);
        pthread_barrier_wait(&asking->end);
    }
    return NULL;
}

/* All come with the new standing at once: one clears, the others wait for it. */
static void test_none_is_left(void **state)
{
    (void)state;
    struct asking asking = {.standing = 2};
    struct one all[ASKING];
    pthread_t threads[ASKING];
    assert_int_equal(pthread_barrier_init(&asking.begin, NULL, ASKING + 1), 0);
    assert_int_equal(pthread_barrier_init(&asking.end, NULL, ASKING + 1), 0);
    for (unsigned i = 0; i < ASKING; i++) {
        all[i] = (struct one){.asking = &asking, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_asking, &all[i]), 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint32_t inode = 0; inode < SPAN; inode += STEP)
            marks_set(marks, inode);
        asking.standing++;
        pthread_barrier_wait(&asking.begin);
        pthread_barrier_wait(&asking.end);
    }
    for (unsigned i = 0; i < ASKING; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(asking.left[i], 0);
    }
    pthread_barrier_destroy(&asking.begin);
    pthread_barrier_destroy(&asking.end);
}

static int make(void **state)
{
    (void)state;
    return marks_new(&marks);
}

static int unmake(void **state)
{
    (void)state;
    marks = marks_free(marks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_clear),
        cmocka_unit_test(test_none_is_left),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
