/*
 * A room locks itself in before it says that it is ready, and says how far that went.
 *
 * Thread rule: as base/confine.h.
 */
#ifndef BASE_ROOM_CONFINE_H
#define BASE_ROOM_CONFINE_H

#include "base/confine.h"
#include "base/config.h"

/* Waits for ROOM_SANDBOX, which comes before ROOM_SETUP. Ends the process if something else, or
 * nothing any more, comes. */
void room_receive_sandbox(struct config_sandbox *ret_sandbox);

/* Applies the role's table. A room that cannot be locked in, or less than is demanded, ends. */
void room_confine(const struct confine *table, const struct config_sandbox *sandbox,
                  struct confine_report *ret_report);

#endif
