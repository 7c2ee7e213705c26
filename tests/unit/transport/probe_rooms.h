/*
 * What the supervisor does for kosekifs-link and kosekifs-keys, for tests: start, set up, connect.
 */
#ifndef TESTS_UNIT_TRANSPORT_PROBE_ROOMS_H
#define TESTS_UNIT_TRANSPORT_PROBE_ROOMS_H

#include "base/config.h"
#include "base/room.h"

#include <sys/types.h>

struct probe_room {
    pid_t pid;
    int fd; /* our end of its ROOM_FD */
};

/* Starts `program`. Ends the test program when that cannot be done, as all of these. */
void probe_room_start(const char *program, struct probe_room *ret_room);
/* Sends ROOM_SETUP. */
void probe_room_setup(const struct probe_room *room, const void *payload, size_t size,
                      const int *fds, unsigned fd_count);
/* Waits for the answer: true = ready; else the text of the failure is in `ret_text`. */
bool probe_room_answer(const struct probe_room *room, char ret_text[ROOM_TEXT_MAX + 1]);
/* Sends ROOM_PEER; `fd` stays the caller's. */
void probe_room_peer(const struct probe_room *room, enum room_role role, int fd);
/* Closes the connection and waits for the end; returns the status of waitpid(). */
int probe_room_stop(struct probe_room *room);

/* A file's bytes in a sealed memory file, as the supervisor hands them over. */
int probe_sealed_file(const char *path);

_Noreturn void probe_die(const char *what, int error);

#endif
