/*
 * Names that the link system has spoken of lately, that it does not know them or that it does, so
 * that a program which asks again and again does not reach the network. A lack of right is never
 * remembered here.
 *
 * Thread rule: the caller holds the lock of provide.h.
 */
#ifndef FS_RECENT_H
#define FS_RECENT_H

#include "base/certname.h"
#include "base/cleanup.h"

#include <stdint.h>

enum { RECENT_MAX = 10000 };

struct recent;

struct recent *recent_new(void); /* NULL when memory is short */
struct recent *recent_free(struct recent *recent);

/* Remembers until the time given; the oldest name leaves when RECENT_MAX are held. */
void recent_add(struct recent *recent, const struct certname *name, int64_t until_ms);
/* Milliseconds left, 0 = not remembered. */
int64_t recent_left_ms(struct recent *recent, const struct certname *name, int64_t now_ms);
void recent_remove(struct recent *recent, const struct certname *name);

#endif
