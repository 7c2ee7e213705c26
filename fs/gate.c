/*
 * Two counters by turns: whoever enters counts himself in under the phase of the moment; to settle
 * is to begin the next phase and wait until the counter of the one before is empty. One who took
 * the number of a phase and was held up before he counted himself in sees that it has passed, and
 * enters anew. All is sequentially consistent: the order of phase and counter is the whole point.
 */
#include "fs/gate.h"

void gate_init(struct gate *gate)
{
    *gate = (struct gate){0};
    pthread_mutex_init(&gate->turn, NULL);
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->left, NULL);
}

void gate_done(struct gate *gate)
{
    pthread_cond_destroy(&gate->left);
    pthread_mutex_destroy(&gate->lock);
    pthread_mutex_destroy(&gate->turn);
}

unsigned gate_enter(struct gate *gate)
{
    for (;;) {
        unsigned phase = atomic_load(&gate->phase);
        atomic_fetch_add(&gate->inside[phase % 2], 1);
        if (atomic_load(&gate->phase) == phase)
            return phase;
        gate_leave(gate, phase);
    }
}

void gate_leave(struct gate *gate, unsigned phase)
{
    if (atomic_fetch_sub(&gate->inside[phase % 2], 1) > 1 || !atomic_load(&gate->settling))
        return;
    pthread_mutex_lock(&gate->lock);
    pthread_cond_signal(&gate->left);
    pthread_mutex_unlock(&gate->lock);
}

void gate_settle(struct gate *gate)
{
    pthread_mutex_lock(&gate->turn);
    atomic_store(&gate->settling, true);
    unsigned before = atomic_fetch_add(&gate->phase, 1);
    pthread_mutex_lock(&gate->lock);
    while (atomic_load(&gate->inside[before % 2]) > 0)
        pthread_cond_wait(&gate->left, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    atomic_store(&gate->settling, false);
    pthread_mutex_unlock(&gate->turn);
}
