/*
 * The control socket: kosekictl sends one JSON object a line, {"command": …, …}, and gets one back,
 * {"ok": true, …} or {"ok": false, "error": "…"}. Who asks is known from the kernel (SO_PEERCRED,
 * SO_PEERGROUPS); what he may ask comes from the roles of the access policy; each command is
 * recorded before it is carried out. Files that a command works on come as descriptors with its
 * line (SCM_RIGHTS): kosekictl opens them with the rights of who calls it.
 *
 * One thread serves all. A peer that sends slowly, without end, or does not read gets a deadline
 * and ceilings of its own and delays nobody.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "fs/mountfs.h"

enum {
    CONTROL_PEERS_MAX = 64,
    CONTROL_PEERS_OF_ONE_MAX = 8, /* of one uid: nobody takes all places */
    CONTROL_REQUEST_MAX = 16 * 1024,
    CONTROL_REPLY_MAX = 4 * 1024 * 1024,
    CONTROL_IDLE_MS = 30 * 1000,       /* without a whole request, or without reading the reply */
    CONTROL_WORK_MS = 2 * 3600 * 1000, /* until the answer to a command that takes long */
    CONTROL_FDS_MAX = 2,               /* descriptors that come with a command */
};

struct control;
struct json;
struct second_person;

/* Takes listen_fd and starts the thread. */
_must_use_ int control_new(struct mountfs *fs, int listen_fd, struct control **ret_control);
/* Ends the thread; peers are cut off. What waits with provide may still be answered until
 * control_free(), to nobody. */
void control_stop(struct control *control);
struct control *control_free(struct control *control);

/* Answers the peer whose command returned CONTROL_LATER; takes `reply` (NULL: memory was short).
 * From any thread; a peer that has gone is no error. */
void control_answer(struct control *control, uint64_t peer, struct json *reply);

/* For control_commands.c. */
struct control_call {
    struct control *control;
    struct mountfs *fs;
    struct second_person *second;
    struct caller *caller; /* who sent the line */
    uid_t asked_by;        /* whose command it is: another person, if this one confirms */
    uint64_t peer;
    const struct json *request;
    int *fds; /* CONTROL_FDS_MAX that came with the line, -1 = none; take with steal_fd() */
};

/* Carries the command out. NULL with *ret_later true: answered with control_answer(); NULL
 * otherwise: memory is short. */
struct json *control_command(const struct control_call *call, bool *ret_later);

#endif
