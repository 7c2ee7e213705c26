/* Turns at reading: no more at once than places, passed on before what takes long, taken from who
 * is held up, and over when the session ends. */
#include "fs/turns.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

enum { THREADS = 8, PLACES = 2, NEVER_MS = 60 * 1000, ROUNDS = 20000 };

struct crew {
    struct turns *turns;
    atomic_uint inside, most;
    atomic_uint entered; /* threads that had their turn so far, a bit each */
    sem_t has_turn;      /* posted by each that has */
    sem_t held_up;       /* who waits for it stands for one that is held up */
    pthread_t threads[THREADS], watch;
    atomic_uint next;
    bool watched;
};

static void *watch_run(void *argument)
{
    turns_watch(((struct crew *)argument)->turns);
    return NULL;
}

static void crew_begin(struct crew *crew, void *(*run)(void *), bool watched)
{
    *crew = (struct crew){.turns = turns_new(THREADS, PLACES)};
    assert_non_null(crew->turns);
    sem_init(&crew->has_turn, 0, 0);
    sem_init(&crew->held_up, 0, 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&crew->threads[i], NULL, run, crew), 0);
    crew->watched = watched;
    if (watched)
        assert_int_equal(pthread_create(&crew->watch, NULL, watch_run, crew), 0);
}

static void crew_end(struct crew *crew)
{
    turns_stop(crew->turns);
    for (unsigned i = 0; i < THREADS; i++)
        sem_post(&crew->held_up);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(crew->threads[i], NULL);
    if (crew->watched)
        pthread_join(crew->watch, NULL);
    crew->turns = turns_free(crew->turns);
}

/* False if it does not come within a minute, which is never. */
static bool comes(sem_t *event)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += NEVER_MS / 1000;
    return sem_clockwait(event, CLOCK_MONOTONIC, &until) == 0;
}

static void note_entry(struct crew *crew, unsigned self)
{
    unsigned inside = atomic_fetch_add(&crew->inside, 1) + 1, most = atomic_load(&crew->most);
    while (inside > most && !atomic_compare_exchange_weak(&crew->most, &most, inside))
        ;
    atomic_fetch_or(&crew->entered, 1u << self);
}

/* Passes its turn on each time, so that all come to read. */
static void *pass_on(void *argument)
{
    struct crew *crew = argument;
    unsigned self = atomic_fetch_add(&crew->next, 1);
    for (unsigned i = 0; i < ROUNDS && turns_wait(crew->turns, self); i++) {
        note_entry(crew, self);
        turns_begin(crew->turns, self);
        atomic_fetch_sub(&crew->inside, 1);
        turns_pass(crew->turns, self);
        turns_end(crew->turns, self);
    }
    sem_post(&crew->has_turn);
    return NULL;
}

static void no_more_than_places_read(void **state)
{
    struct crew crew;
    (void)state;
    crew_begin(&crew, pass_on, false); /* a slow machine looks like threads that are held up */
    for (unsigned i = 0; i < THREADS; i++)
        assert_true(comes(&crew.has_turn));
    crew_end(&crew);
    assert_int_equal(atomic_load(&crew.entered), (1u << THREADS) - 1);
    assert_in_range(atomic_load(&crew.most), 1, PLACES);
}

/* Takes a turn, tells so, and is held up in its answer. */
static void *be_held_up(void *argument)
{
    struct crew *crew = argument;
    unsigned self = atomic_fetch_add(&crew->next, 1);
    while (turns_wait(crew->turns, self)) {
        turns_begin(crew->turns, self);
        sem_post(&crew->has_turn);
        sem_wait(&crew->held_up);
        turns_end(crew->turns, self);
    }
    return NULL;
}

static void who_is_held_up_loses_his_turn(void **state)
{
    struct crew crew;
    (void)state;
    crew_begin(&crew, be_held_up, true);
    /* Two have places; each of the others gets in because one of those before is held up. */
    for (unsigned i = 0; i < THREADS; i++)
        assert_true(comes(&crew.has_turn));
    /* All are held up. One that comes back has its turn again: there are places now. */
    sem_post(&crew.held_up);
    assert_true(comes(&crew.has_turn));
    crew_end(&crew);
}

static void who_comes_back_in_time_keeps_it(void **state)
{
    (void)state;
    _cleanup_turns_ struct turns *turns = turns_new(2, 0); /* at least one place */
    assert_non_null(turns);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(turns_wait(turns, 0));
        turns_begin(turns, 0);
        assert_in_range(turns_busy_ms(turns, 0), 0, NEVER_MS);
        turns_end(turns, 0);
        assert_int_equal(turns_busy_ms(turns, 0), 0);
    }
    turns_pass(turns, 1); /* has none to pass */
    turns_pass(turns, 0);
    assert_true(turns_wait(turns, 1));
    turns_stop(turns);
    assert_false(turns_wait(turns, 1));
    assert_false(turns_wait(turns, 0));
    turns_watch(turns); /* returns */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_than_places_read),
        cmocka_unit_test(who_is_held_up_loses_his_turn),
        cmocka_unit_test(who_comes_back_in_time_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
