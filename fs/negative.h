/*
 * Names that the link system does not know, remembered for a few seconds so that a program which
 * asks again and again does not reach the network. A lack of right is never remembered here.
 *
 * Thread rule: the caller holds the lock of provide.h.
 */
#ifndef FS_NEGATIVE_H
#define FS_NEGATIVE_H

#include "base/certname.h"
#include "base/cleanup.h"

#include <stdint.h>

enum { NEGATIVE_MAX = 10000 };

struct negative;

struct negative *negative_new(void); /* NULL when memory is short */
struct negative *negative_free(struct negative *negative);

/* Remembers until the time given; the oldest name leaves when NEGATIVE_MAX are held. */
void negative_add(struct negative *negative, const struct certname *name, int64_t until_ms);
/* Milliseconds left, 0 = not remembered. */
int64_t negative_left_ms(struct negative *negative, const struct certname *name, int64_t now_ms);
void negative_remove(struct negative *negative, const struct certname *name);

#endif
