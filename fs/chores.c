/* See fs/chores.h. */
#include "fs/chores.h"

#include <pthread.h>

struct chores {
    atomic_bool ending;
    atomic_bool running; /* the thread has work */
    bool started;        /* there is a thread to be joined */
    pthread_t thread;
    struct chore *chore;
};

struct chores *chores_new(void)
{
    return calloc(1, sizeof(struct chores));
}

static void *chores_run(void *argument)
{
    struct chores *chores = argument;
    chores->chore->run(chores->chore);
    atomic_store(&chores->running, false);
    return NULL;
}

int chores_start(struct chores *chores, struct chore *chore)
{
    if (atomic_load(&chores->running))
        return -EBUSY;
    if (chores->started)
        pthread_join(chores->thread, NULL);
    chores->started = false;
    chores->chore = chore;
    chore->ending = &chores->ending;
    atomic_store(&chores->running, true);
    int error = pthread_create(&chores->thread, NULL, chores_run, chores);
    if (error) {
        atomic_store(&chores->running, false);
        return -error;
    }
    chores->started = true;
    return 0;
}

struct chores *chores_free(struct chores *chores)
{
    if (!chores)
        return NULL;
    atomic_store(&chores->ending, true);
    if (chores->started)
        pthread_join(chores->thread, NULL);
    free(chores);
    return NULL;
}
