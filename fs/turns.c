#include "fs/turns.h"

#include "base/clock.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* A thread's own, in a cache line of its own. */
struct turn {
    _Alignas(64) atomic_bool held; /* changed under the lock */
    atomic_llong busy_since_ms;    /* 0 = idle */
    atomic_ullong begun;           /* requests */
};

struct turns {
    unsigned threads, places;
    atomic_bool stopped;
    atomic_bool watching; /* turns_watch() looks again by itself */
    sem_t attention;      /* posted when it does not */

    pthread_mutex_t lock;
    pthread_cond_t free_place;
    unsigned taken; /* lock */

    struct turn list[];
};

struct turns *turns_new(unsigned threads, unsigned places)
{
    struct turns *turns =
        aligned_alloc(_Alignof(struct turn), sizeof *turns + threads * sizeof(struct turn));
    if (!turns)
        return NULL;
    memset(turns, 0, sizeof *turns + threads * sizeof(struct turn));
    turns->threads = threads;
    turns->places = places < 1 ? 1 : places < threads ? places : threads;
    sem_init(&turns->attention, 0, 0);
    pthread_mutex_init(&turns->lock, NULL);
    pthread_cond_init(&turns->free_place, NULL);
    return turns;
}

struct turns *turns_free(struct turns *turns)
{
    if (turns) {
        pthread_cond_destroy(&turns->free_place);
        pthread_mutex_destroy(&turns->lock);
        sem_destroy(&turns->attention);
        free(turns);
    }
    return NULL;
}

bool turns_wait(struct turns *turns, unsigned thread)
{
    struct turn *turn = &turns->list[thread];
    /* If its turn is taken from it just now, one more than `places` reads, for one request. */
    if (atomic_load(&turn->held))
        return !atomic_load(&turns->stopped);
    pthread_mutex_lock(&turns->lock);
    while (!atomic_load(&turns->stopped) && turns->taken == turns->places)
        pthread_cond_wait(&turns->free_place, &turns->lock);
    bool stopped = atomic_load(&turns->stopped);
    if (!stopped) {
        turns->taken++;
        atomic_store(&turn->held, true);
    }
    pthread_mutex_unlock(&turns->lock);
    return !stopped;
}

void turns_pass(struct turns *turns, unsigned thread)
{
    struct turn *turn = &turns->list[thread];
    if (!atomic_load(&turn->held))
        return;
    pthread_mutex_lock(&turns->lock);
    if (atomic_exchange(&turn->held, false)) {
        turns->taken--;
        pthread_cond_signal(&turns->free_place);
    }
    pthread_mutex_unlock(&turns->lock);
}

static void call_watch(struct turns *turns)
{
    if (!atomic_exchange(&turns->watching, true))
        sem_post(&turns->attention);
}

void turns_begin(struct turns *turns, unsigned thread)
{
    struct turn *turn = &turns->list[thread];
    atomic_store_explicit(&turn->begun,
                          atomic_load_explicit(&turn->begun, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store(&turn->busy_since_ms, clock_monotonic_ms());
    if (!atomic_load(&turns->watching)) /* it looks at busy_since_ms once more before it sleeps */
        call_watch(turns);
}

void turns_end(struct turns *turns, unsigned thread)
{
    atomic_store_explicit(&turns->list[thread].busy_since_ms, 0, memory_order_release);
}

int64_t turns_busy_ms(const struct turns *turns, unsigned thread)
{
    int64_t since_ms = atomic_load(&turns->list[thread].busy_since_ms);
    return since_ms ? clock_monotonic_ms() - since_ms : 0;
}

/* True if somebody with a turn is answering. */
static bool look(struct turns *turns)
{
    bool busy = false;
    for (unsigned i = 0; i < turns->threads; i++) {
        if (!atomic_load(&turns->list[i].held) || !atomic_load(&turns->list[i].busy_since_ms))
            continue;
        if (turns_busy_ms(turns, i) >= TURNS_PATIENCE_MS)
            turns_pass(turns, i);
        else
            busy = true;
    }
    return busy;
}

static uint64_t begun(const struct turns *turns)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < turns->threads; i++)
        sum += atomic_load_explicit(&turns->list[i].begun, memory_order_relaxed);
    return sum;
}

static void sleep_a_while(struct turns *turns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TURNS_PATIENCE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)!sem_clockwait(&turns->attention, CLOCK_MONOTONIC, &until);
}

void turns_watch(struct turns *turns)
{
    uint64_t seen = 0;
    while (!atomic_load(&turns->stopped)) {
        uint64_t now = begun(turns);
        bool busy = look(turns);
        if (busy || now != seen) {
            atomic_store(&turns->watching, true);
            sleep_a_while(turns);
        } else {
            atomic_store(&turns->watching, false);
            if (!look(turns))
                (void)!sem_wait(&turns->attention);
        }
        seen = now;
    }
}

void turns_stop(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    atomic_store(&turns->stopped, true);
    pthread_cond_broadcast(&turns->free_place);
    pthread_mutex_unlock(&turns->lock);
    sem_post(&turns->attention);
}
