/*
 * How a child process lives under the supervisor. It is executed with descriptor ROOM_FD connected
 * to the supervisor. It receives ROOM_SANDBOX, then ROOM_SETUP with its part of the configuration
 * (and descriptors as its role's header says), opens what it needs, locks itself in
 * (base/room_confine.h) and answers ROOM_READY or ROOM_FAILED with a text for the operator. After
 * that it receives ROOM_PEER whenever a neighbour (re)appears, ROOM_TRUST when the trust bundle
 * changes. When ROOM_FD is closed it leaves at once.
 *
 * verify answers each ROOM_TRUST: ROOM_READY when it works with the new bundle, ROOM_FAILED with a
 * text when it does not and keeps the old one. One worker is asked first; the others and mount hear
 * of a bundle only after it was taken.
 *
 * ROOM_SETUP by role, payload and descriptors in order:
 *   mount   struct mount_setup; the descriptors of enum mount_setup_fd (fs/mount_setup.h)
 *   link    struct link_setup; the descriptors of enum link_setup_fd (transport/link_setup.h)
 *   verify  nothing; trust bundle (sealed)
 *   keys    struct keys_setup; the descriptors that base/keys_setup.h names
 * ROOM_PEER by role: mount hears of link, verify and keys; link of mount and keys; verify of
 * mount and of schema; keys of mount (may wrap and unwrap) and of link (may ask for handshake
 * signatures).
 *
 * schema is no room like the others: schema_worker.py validates by XSD 1.1 for the verify worker of
 * the same index. Its ROOM_FD is the connection to that worker, it is set up with nothing and says
 * nothing to the supervisor. It runs only while a schema is in use.
 */
#ifndef BASE_ROOM_H
#define BASE_ROOM_H

#include "base/cleanup.h"
#include "base/confine.h"
#include "base/ipc.h"

#include <stdint.h>

enum { ROOM_FD = 3, ROOM_TEXT_MAX = 1024, VERIFY_WORKER_MAX = 16 };

/* The status of a process that must not be started again before a person has changed something: a
 * token refused its PIN, and another try could lock it. */
enum { ROOM_EXIT_FINAL = 2 };

enum room_role {
    ROOM_SUPERVISOR = 0,
    ROOM_MOUNT,
    ROOM_LINK,
    ROOM_VERIFY,
    ROOM_KEYS,
    ROOM_SCHEMA,
    ROOM_ROLE_COUNT,
};

enum room_message {
    ROOM_SETUP = 1, /* to the child: a role's struct config_*; descriptors by role */
    ROOM_READY,     /* from the child: struct confine_report; verify after ROOM_TRUST: nothing */
    ROOM_FAILED,    /* from the child: text of at most ROOM_TEXT_MAX bytes, no NUL needed */
    ROOM_PEER,      /* to the child: struct room_peer and one connected descriptor */
    ROOM_TRUST,     /* to mount and verify: one sealed memory file with the trust bundle; to mount
                       with struct room_cause */
    ROOM_MOUNTED, /* to mount, once it is ready: struct room_mounted and two descriptors, /dev/fuse
                     of the mount and its request journal (fs/journal.h) */
    ROOM_POLICY,  /* to mount: struct room_cause and one sealed memory file with the access policy
                     (fs/access_policy.h) */
    ROOM_SINK,    /* to mount: uint32_t (enum audit_sink_kind) and one connected socket */
    ROOM_SCANNER, /* from mount: a connection to clamd is wanted; no payload. To mount: one
                     connected socket, or none if clamd cannot be reached */
    ROOM_KILL,  /* from mount: struct room_peer; that child misbehaves, replace it. From verify: its
                   own schema process */
    ROOM_ALIVE, /* to the child, which sends it back, mount with struct room_alive */
    ROOM_RELOAD,   /* from mount: struct room_reload; as SIGHUP does */
    ROOM_RELOADED, /* to mount: struct room_reloaded, with the id of each ROOM_RELOAD, and once with
                      id 0 for the record */
    ROOM_SANDBOX,  /* to the child, first of all: struct config_sandbox */
    ROOM_PROCESSES, /* to mount: struct room_process for each of our processes */
    ROOM_ENDED,     /* to mount: struct room_ended; a neighbour did */
    ROOM_RETIRE,    /* from mount: struct room_peer; a verify worker to be replaced, in order */
    ROOM_LISTS, /* to mount: one sealed memory file with the revocation lists from files, once it is
                   ready and whenever they change */
};

struct room_mounted {
    uint32_t fault;  /* the last kosekifs-mount ended by its own fault */
    uint32_t killed; /* the last one ended and nobody of us had asked it to */
};

struct room_alive {
    uint32_t owed;     /* requests of the kernel that wait for an answer */
    uint32_t stuck_ms; /* for how long no thread has had time for another request */
    uint32_t oldest_s; /* how long the one that waits longest has waited */
    uint64_t answered; /* requests so far */
};

struct room_reload {
    uint32_t upgrade; /* all processes are replaced, changed or not */
    uint32_t uid;     /* who asks */
};

/* Why something is read anew, for the record. */
struct room_cause {
    uint32_t kind;
    uint32_t uid; /* of SIGNAL and COMMAND */
};
enum room_cause_kind {
    ROOM_CAUSE_START = 0,
    ROOM_CAUSE_SIGNAL,   /* SIGHUP */
    ROOM_CAUSE_COMMAND,  /* kosekictl reload or upgrade */
    ROOM_CAUSE_PROGRAMS, /* those on the disk have changed */
    ROOM_CAUSE_COUNT,
};

struct room_reloaded {
    int32_t error;
    struct room_cause cause;
    char text[ROOM_TEXT_MAX * 2]; /* for the operator */
};

struct room_peer {
    uint32_t role;  /* enum room_role of the other end */
    uint32_t index; /* which verify worker, or whose schema process; 0 otherwise */
};

const char *room_role_name(enum room_role role); /* "mount", "link", … */

/* What the supervisor knows of a process. */
struct room_process {
    uint32_t role;
    uint32_t index;
    int32_t pid;
    struct confine_report report;
};
enum { ROOM_PROCESS_MAX = 2 * VERIFY_WORKER_MAX + 4 };

struct room_ended {
    struct room_peer peer;
    int32_t status;  /* of waitpid(2) */
    uint8_t retired; /* 1: as ROOM_RETIRE asked */
};

/* Waits for ROOM_SETUP with a payload of exactly `size` bytes; its descriptors are in
 * *ret_message, which the caller gives to ipc_message_done(). */
_must_use_ int room_receive_setup(size_t size, struct ipc_message *ret_message);
_must_use_ int room_send_ready(const struct confine_report *report);
/* Sends back a ROOM_ALIVE, with what it is to say. One that cannot be sent is asked for again. */
void room_answer_alive(const struct ipc_message *message, const void *payload, size_t size);
/* Tells the supervisor and ends the process with status 1. */
_Noreturn void room_fail(const char *format, ...) _printf_(1, 2);
/* The same with ROOM_EXIT_FINAL. */
_Noreturn void room_fail_for_good(const char *format, ...) _printf_(1, 2);

#endif
