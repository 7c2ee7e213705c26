/* `kosekictl revalidate`: everything stored is verified once more (fs/revalidation.h). */
#ifndef FS_CONTROL_REVALIDATE_H
#define FS_CONTROL_REVALIDATE_H

#include "fs/control.h"

struct revalidation_totals;

/* revalidate and revalidate-apply, {"after": NUMBER}: begins a run; {"stop": true}: ends it. */
struct json *control_revalidate(const struct control_call *call, bool *ret_later);
/* {"after": SERIAL}: how far the run is, and what it found since; asked for several times a second,
 * so not recorded. */
struct json *control_revalidation(const struct control_call *call, bool *ret_later);

/* Puts the end of a run on record; the listener's of provide, `context` is the mountfs. */
void control_revalidated(void *context, const struct revalidation_totals *totals);

#endif
