/*
 * The inventory's check, by `kosekictl inventory check` in a process of its own: at start, before
 * anything else runs, if a difference is a reason not to start; and on schedule while mounted, when
 * kosekictl tells the daemon, which raises the alert.
 */
#ifndef FS_SUPERVISOR_INVENTORY_H
#define FS_SUPERVISOR_INVENTORY_H

#include "base/config.h"

#include <stdint.h>
#include <sys/types.h>

enum { INVENTORY_START_MS = 60 * 1000, INVENTORY_TIME_MS = 10 * 60 * 1000 };

struct inventory_watch {
    pid_t pid;           /* 0: none runs */
    int64_t deadline_ms; /* of it */
    int64_t next_ms;     /* when the next one begins; 0: never */
};

/* 0, or EXIT_CONFIG after a message: something differs, or cannot be looked at. */
int inventory_check_start(const struct config *config, const char *config_path);

/* From now on it is checked; at once the first time. */
void inventory_watch_begin(struct inventory_watch *watch, const struct config *config);
/* Starts, collects and ends checks; returns when to call again (clock_monotonic_ms()), 0: not by
 * time. */
int64_t inventory_watch_tend(struct inventory_watch *watch, const struct config *config,
                             const char *config_path);
void inventory_watch_end(struct inventory_watch *watch);

#endif
