/* See fs/supervisor_rooms.h. */
#include "fs/supervisor_rooms.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/keys_setup.h"
#include "base/log.h"
#include "fs/mount_setup.h"
#include "fs/supervisor_processes.h"
#include "fs/supervisor_schema.h"
#include "transport/link_setup.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* Of the installed programs; beside our own executable they are looked for first. */
#ifndef KOSEKIFS_LIBEXECDIR
#error "KOSEKIFS_LIBEXECDIR is set by the build"
#endif

void rooms_init(struct rooms *rooms, const struct supervisor_inputs *inputs, int log_fd)
{
    *rooms = (struct rooms){.inputs = inputs, .log_fd = log_fd};
    child_init(&rooms->list[rooms->count++], ROOM_KEYS, 0);
    child_init(&rooms->list[rooms->count++], ROOM_LINK, 0);
    for (uint32_t i = 0; i < inputs->config.mount.verify_workers; i++)
        child_init(&rooms->list[rooms->count++], ROOM_VERIFY, i);
    for (uint32_t i = 0; i < inputs->config.mount.verify_workers; i++)
        child_init(&rooms->list[rooms->count++], ROOM_SCHEMA, i);
    child_init(&rooms->list[rooms->count++], ROOM_MOUNT, 0);
    rooms_schema_follow_trust(rooms);
}

struct child *rooms_find(struct rooms *rooms, enum room_role role, uint32_t index)
{
    for (unsigned i = 0; i < rooms->count; i++) {
        if (rooms->list[i].role == role && rooms->list[i].index == index)
            return &rooms->list[i];
    }
    return NULL;
}

bool rooms_all_ready(const struct rooms *rooms)
{
    for (unsigned i = 0; i < rooms->count; i++) {
        const struct child *child = &rooms->list[i];
        if (child->role != ROOM_MOUNT && child->role != ROOM_SCHEMA && child->state != CHILD_READY)
            return false;
    }
    return true;
}

static int send_or_kill(struct child *child, enum room_message type, const void *payload,
                        size_t size, const int *fds, unsigned fd_count)
{
    int r = ipc_send(child->room_fd, type, 0, payload, size, fds, fd_count);
    if (r == -EPIPE)
        return r; /* its end will be seen */
    if (r < 0) {
        log_error("%s does not take its messages (%s); it is ended", child_name(child),
                  strerror(-r));
        child_kill(child);
    }
    return r;
}

void rooms_send(struct child *child, enum room_message type, const void *payload, size_t size,
                int fd)
{
    if (child->room_fd >= 0 && send_or_kill(child, type, payload, size, &fd, fd >= 0) < 0)
        log_debug("%s is ending", child_name(child));
}

void rooms_send_plain(struct child *child, enum room_message type, const void *payload, size_t size)
{
    if (child->room_fd >= 0 && send_or_kill(child, type, payload, size, NULL, 0) < 0)
        log_debug("%s is ending", child_name(child));
}

void rooms_send_trust(struct rooms *rooms, struct child *child)
{
    rooms->trust_known[child - rooms->list] = rooms->trust_serial;
    bool recorded = child->role == ROOM_MOUNT;
    rooms_send(child, ROOM_TRUST, recorded ? &rooms->trust_cause : NULL,
               recorded ? sizeof rooms->trust_cause : 0, rooms->inputs->trust_fd);
}

static int send_mount_setup(struct rooms *rooms, struct child *child)
{
    const struct supervisor_inputs *inputs = rooms->inputs;
    const struct mount_setup setup = {.mount = inputs->config.mount,
                                      .audit = inputs->config.audit,
                                      .alerts = inputs->config.alerts,
                                      .crl = inputs->config.crl,
                                      .scan = inputs->config.scan,
                                      .retention = inputs->config.retention,
                                      .attempt = rooms->attempt,
                                      .has_ledger = inputs->ledger_fd >= 0,
                                      .has_replica = inputs->replica_fd >= 0,
                                      .waivers = inputs->config.waivers};

    const int fds[MOUNT_FD_COUNT] = {
        [MOUNT_FD_CONTROL] = inputs->control.fd,
        [MOUNT_FD_STATE] = inputs->state_fd,
        [MOUNT_FD_POLICY] = inputs->policy_fd,
        [MOUNT_FD_TRUST] = inputs->trust_fd,
        [MOUNT_FD_OPEN_FILES] = inputs->open_files_fd,
        [MOUNT_FD_LEDGER] = inputs->ledger_fd >= 0 ? inputs->ledger_fd : inputs->state_fd,
        [MOUNT_FD_REPLICA] = inputs->replica_fd >= 0 ? inputs->replica_fd : inputs->state_fd,
    };
    return send_or_kill(child, ROOM_SETUP, &setup, sizeof setup, fds, MOUNT_FD_COUNT);
}

void rooms_send_mounted(struct child *child, const struct room_mounted *mounted, const int fds[2])
{
    if (child->room_fd >= 0 &&
        send_or_kill(child, ROOM_MOUNTED, mounted, sizeof *mounted, fds, 2) < 0)
        log_debug("%s is ending", child_name(child));
}

static int send_keys_setup(const struct supervisor_inputs *inputs, struct child *child)
{
    const struct keys_setup setup = {.keys = inputs->config.keys,
                                     .tls12 = strcmp(inputs->config.link.tls_min, "1.2") == 0};
    const struct supervisor_keys *keys = &inputs->keys;
    int fds[KEYS_SETUP_FD_MAX] = {[KEYS_SETUP_CERTIFICATES] = inputs->certificate_fd};
    for (unsigned i = 0; i < keys->count; i++)
        fds[1 + i] = keys->fds[i];
    return send_or_kill(child, ROOM_SETUP, &setup, sizeof setup, fds, 1 + keys->count);
}

static int send_setup(struct rooms *rooms, struct child *child)
{
    const struct supervisor_inputs *inputs = rooms->inputs;
    const struct config_sandbox *sandbox = &inputs->config.sandbox;
    int r = send_or_kill(child, ROOM_SANDBOX, sandbox, sizeof *sandbox, NULL, 0);
    if (r < 0)
        return r;
    const struct link_setup link = {
        .link = inputs->config.link, .waivers = inputs->config.waivers, .profile = inputs->profile};
    const int link_fds[LINK_FD_COUNT] = {
        [LINK_FD_ISSUERS] = inputs->ca_fd, [LINK_FD_CERTIFICATES] = inputs->certificate_fd};
    switch (child->role) {
    case ROOM_KEYS:
        return send_keys_setup(inputs, child);
    case ROOM_LINK:
        return send_or_kill(child, ROOM_SETUP, &link, sizeof link, link_fds, LINK_FD_COUNT);
    case ROOM_VERIFY:
        return send_or_kill(child, ROOM_SETUP, NULL, 0, &inputs->trust_fd, 1);
    default:
        return send_mount_setup(rooms, child);
    }
}

static bool is_neighbour(const struct child *a, const struct child *b)
{
    if (a->role == ROOM_MOUNT)
        return b->role != ROOM_MOUNT && b->role != ROOM_SCHEMA;
    return a->role == ROOM_LINK && b->role == ROOM_KEYS;
}

static void introduce(struct child *a, struct child *b)
{
    int pair[2];
    if (!is_neighbour(a, b) && !is_neighbour(b, a))
        return;
    int r = ipc_pair(pair);
    if (r < 0) {
        log_error("%s cannot be connected: %s; it is ended", child_name(b), strerror(-r));
        child_kill(b);
        return;
    }
    const struct room_peer to_a = {.role = b->role, .index = b->index};
    const struct room_peer to_b = {.role = a->role, .index = a->index};
    rooms_send(a, ROOM_PEER, &to_a, sizeof to_a, pair[0]);
    rooms_send(b, ROOM_PEER, &to_b, sizeof to_b, pair[1]);
    close(pair[0]);
    close(pair[1]);
}

/* kosekifs-mount needs its neighbours to become ready: its store asks for keys when it opens. */
static bool is_introducible(const struct child *child)
{
    return child->state == CHILD_READY ||
           (child->role == ROOM_MOUNT && child->state == CHILD_STARTED);
}

static void introduce_to_all(struct rooms *rooms, struct child *child)
{
    for (unsigned i = 0; i < rooms->count; i++) {
        if (&rooms->list[i] != child && is_introducible(&rooms->list[i]))
            introduce(&rooms->list[i], child);
    }
}

int rooms_start(struct rooms *rooms, struct child *child)
{
    if (child->role == ROOM_SCHEMA)
        return rooms_schema_start(rooms, child);
    int64_t wait_ms = child->role == ROOM_MOUNT ? ROOMS_MOUNT_READY_MS : ROOMS_READY_MS;
    int r = child_start(child, &rooms->inputs->accounts.rooms[child->role], KOSEKIFS_LIBEXECDIR,
                        rooms->log_fd);
    if (r < 0)
        return r;
    child->deadline_ms = child->started_ms + wait_ms;
    rooms->trust_known[child - rooms->list] = rooms->trust_serial;
    r = send_setup(rooms, child);
    if (r < 0 && r != -EPIPE)
        return r;
    if (child->role == ROOM_MOUNT)
        introduce_to_all(rooms, child);
    return 0;
}

void rooms_set_ready(struct rooms *rooms, struct child *child)
{
    child->state = CHILD_READY;
    child->deadline_ms = 0;
    rooms_tell_processes(rooms);
    if (child->role == ROOM_MOUNT) {
        rooms_send(child, ROOM_LISTS, NULL, 0, rooms->inputs->lists_fd);
        return;
    }
    /* Trust may have changed while it was starting. */
    if (child->role == ROOM_VERIFY &&
        rooms->trust_known[child - rooms->list] != rooms->trust_serial)
        rooms_send_trust(rooms, child);
    introduce_to_all(rooms, child);
    if (child->role == ROOM_VERIFY)
        rooms_schema_start_for(rooms, child);
}

static bool is_fault(const struct child *child, int status)
{
    bool by_others =
        WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
    if (child->condemned)
        return true;
    if (child->retired) /* with its worker, perhaps by itself when that was gone */
        return false;
    return !by_others && (!child->was_ready || !WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

/* Several that fell together shall not rise together each time. */
static int64_t spread_ms(int64_t delay_ms)
{
    uint32_t number = 0;
    if (random_bytes(&number, sizeof number) < 0)
        return delay_ms;
    return delay_ms - delay_ms / 4 + (int64_t)(number % (uint64_t)(delay_ms / 2 + 1));
}

int64_t rooms_schedule_restart(struct child *child, int status)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t delay_ms = ROOMS_DELAY_KILLED_MS;
    if (now_ms - child->started_ms >= ROOMS_STABLE_MS)
        child->faults = 0;
    /* Memory may be too short for it to start: less and less often. */
    child->early = child->was_ready                 ? 0
                   : child->early < ROOMS_EARLY_MAX ? child->early + 1
                                                    : child->early;
    delay_ms <<= child->early;
    if (is_fault(child, status)) {
        delay_ms = ROOMS_DELAY_FIRST_MS;
        for (unsigned i = 0; i < child->faults && delay_ms < ROOMS_DELAY_MAX_MS; i++)
            delay_ms *= 2;
        child->faults++;
        delay_ms = spread_ms(delay_ms < ROOMS_DELAY_MAX_MS ? delay_ms : ROOMS_DELAY_MAX_MS);
    }
    child->deadline_ms = now_ms + delay_ms;
    return delay_ms;
}
