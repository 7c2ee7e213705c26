/*
 * Which of the session's threads read requests. If all of them wait in read(2), the kernel wakes
 * the one that slept longest for each request, while the thread that has just answered, awake and
 * on a CPU, goes to sleep behind them: on two CPUs that takes longer than to answer. Here only a
 * few read; the session lets as many read as half of the CPUs can run, and leaves the other half to
 * the programs that ask.
 *
 * A thread has its turn at reading while what it answers is short. It passes it on before what may
 * take long, and loses it to another thread if it does not come back within TURNS_PATIENCE_MS: what
 * holds up one request must not hold up those behind it.
 *
 * Thread rule: any thread; `thread` is the number of the calling one, below `threads`. Own lock,
 * innermost.
 */
#ifndef FS_TURNS_H
#define FS_TURNS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum { TURNS_PATIENCE_MS = 10 };

struct turns;

/* `places`: how many read at once, at least one and at most all. NULL when memory is short. */
struct turns *turns_new(unsigned threads, unsigned places);
struct turns *turns_free(struct turns *turns);

/* Returns when it is this thread's turn, at once if it still is. False after turns_stop(). */
bool turns_wait(struct turns *turns, unsigned thread);
/* Before what may take long. Without a turn it does nothing. */
void turns_pass(struct turns *turns, unsigned thread);

/* Around the answer to a request. */
void turns_begin(struct turns *turns, unsigned thread);
void turns_end(struct turns *turns, unsigned thread);
/* For how long the thread has been busy with one request; 0 = it is not. */
int64_t turns_busy_ms(const struct turns *turns, unsigned thread);

/* Takes the turn of who is held up, until turns_stop(). Sleeps while nothing is asked. */
void turns_watch(struct turns *turns);
void turns_stop(struct turns *turns);

static inline void cleanup_turns(struct turns **slot)
{
    turns_free(*slot);
}
#define _cleanup_turns_ _cleanup_(cleanup_turns)

#endif
