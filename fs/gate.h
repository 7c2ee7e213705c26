/*
 * Lets a thread wait until all others have left what they were in when it began to wait, without
 * holding up anybody who enters meanwhile: those see what was changed before it began.
 *
 * Thread rule: any thread; gate_settle() not from inside.
 */
#ifndef FS_GATE_H
#define FS_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct gate {
    atomic_uint phase;     /* grows with each gate_settle() */
    atomic_uint inside[2]; /* who entered in an even, in an odd phase */
    atomic_bool settling;
    pthread_mutex_t turn; /* one settles at a time */
    pthread_mutex_t lock; /* of `left` */
    pthread_cond_t left;
};

void gate_init(struct gate *gate);
void gate_done(struct gate *gate);

/* What gate_leave() is to be given. */
unsigned gate_enter(struct gate *gate);
void gate_leave(struct gate *gate, unsigned phase);

/* Returns when nobody is inside any more who had entered before the call. */
void gate_settle(struct gate *gate);

#endif
