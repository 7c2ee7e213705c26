/*
 * The trail's copies on the way off: records wait in memory for the background thread, which hands
 * them to syslog (RFC 5424) and journald over connected datagram sockets without ever waiting. A
 * record that finds no room, or that a socket does not take at once, is lost to that sink and
 * counted; the file has it.
 *
 * Thread rule: audit_sinks_push() under the trail's lock; audit_sinks_drain() on one thread;
 * audit_sinks_set() and audit_sinks_counts() from any.
 */
#ifndef FS_AUDIT_SINK_H
#define FS_AUDIT_SINK_H

#include "base/cleanup.h"
#include "fs/audit.h"

#include <stdbool.h>
#include <stdint.h>

enum { AUDIT_SINK_PENDING_MAX = 4 * 1024 * 1024 };

struct audit_sinks;

struct audit_sinks *audit_sinks_new(void); /* NULL when memory is short */
struct audit_sinks *audit_sinks_free(struct audit_sinks *sinks);

/* Takes fd; -1 takes the sink away. */
void audit_sinks_set(struct audit_sinks *sinks, enum audit_sink_kind kind, int fd);

/* A line with its line feed. True when the thread should not wait longer: half of the room is
 * used. Does nothing while no sink is connected. */
bool audit_sinks_push(struct audit_sinks *sinks, enum audit_kind kind, enum audit_result result,
                      int64_t time_ns, const char *line, size_t size);
void audit_sinks_drain(struct audit_sinks *sinks);

void audit_sinks_counts(struct audit_sinks *sinks, struct audit_status *ret_status);

#endif
