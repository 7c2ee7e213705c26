/*
 * When one of our processes ends that should not have: what somebody should look at.
 *
 * Thread rule: any thread.
 */
#ifndef FS_PROCESS_ALERTS_H
#define FS_PROCESS_ALERTS_H

#include "base/room.h"
#include "fs/alerts.h"

/* A neighbour ended. An end by SIGSYS is an attempt at what its sandbox forbids. */
void process_alerts_ended(struct alerts *alerts, const struct room_ended *ended);
/* It did what a sound process does not, and is replaced. */
void process_alerts_misbehaved(struct alerts *alerts, enum room_role role, const char *what);
/* A document cost two verifying processes. */
void process_alerts_undecidable(struct alerts *alerts, const char *reason);

#endif
