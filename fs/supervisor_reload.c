/*
 * The light part of a reload: the files of section [trust] and the access policy are read again. A
 * new trust bundle is tried by one verify worker first: only kosekifs-verify can tell whether it is
 * usable, and a bundle that is not must leave every process with the old one. What cannot be read
 * changes nothing.
 */
#include "fs/supervisor_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/trust.h"
#include "fs/audit.h"
#include "fs/supervisor_processes.h"
#include "fs/supervisor_schema.h"

#include <string.h>

enum { TRIAL_MS = 30000 };

static bool same_content(int a, int b)
{
    _cleanup_mapping_ struct mapping first = {0};
    _cleanup_mapping_ struct mapping second = {0};
    return mapping_open(a, TRUST_BUNDLE_MAX, &first) == 0 &&
           mapping_open(b, TRUST_BUNDLE_MAX, &second) == 0 &&
           bytes_equal(bytes_of(first.data, first.size), bytes_of(second.data, second.size));
}

static int reload_policy(struct supervisor *supervisor)
{
    struct supervisor_inputs *inputs = supervisor->task->inputs;
    int fd = -1;
    if (supervisor_read_policy(inputs->config.mount.access_policy, &fd) < 0) {
        log_error("the access policy stays as it was");
        return -EINVAL;
    }
    cleanup_close(&inputs->policy_fd);
    inputs->policy_fd = fd;
    rooms_send(rooms_find(&supervisor->rooms, ROOM_MOUNT, 0), ROOM_POLICY, &supervisor->cause,
               sizeof supervisor->cause, fd);
    log_info("access policy read again");
    return 0;
}

static struct child *find_ready_worker(struct rooms *rooms)
{
    for (unsigned i = 0; i < rooms->count; i++) {
        if (rooms->list[i].role == ROOM_VERIFY && rooms->list[i].state == CHILD_READY)
            return &rooms->list[i];
    }
    return NULL;
}

static void reload_trust(struct supervisor *supervisor)
{
    struct supervisor_inputs *inputs = supervisor->task->inputs;
    struct child *worker = find_ready_worker(&supervisor->rooms);
    int fd = -1;
    if (supervisor_read_trust(&inputs->config.trust, &fd) < 0) {
        log_error("trust stays as it was");
        supervisor_reload_ended(supervisor, -EINVAL, "the files of [trust] changed meanwhile");
        return;
    }
    if (same_content(fd, inputs->trust_fd)) {
        log_info("trust is unchanged");
        close(fd);
        supervisor_reload_ended(supervisor, 0, "access policy read again, trust is unchanged");
        return;
    }
    supervisor->trial_fd = fd;
    if (!worker) {
        supervisor_trial_failed(supervisor, "no verify worker is ready to try it; reload again");
        return;
    }
    supervisor->trial_worker = worker->index;
    supervisor->trial_deadline_ms = clock_monotonic_ms() + TRIAL_MS;
    rooms_send(worker, ROOM_TRUST, NULL, 0, fd);
}

void supervisor_reload(struct supervisor *supervisor)
{
    if (reload_policy(supervisor) < 0) {
        supervisor_reload_ended(supervisor, -EINVAL, "the access policy changed meanwhile");
        return;
    }
    supervisor_lists_reload(supervisor);
    supervisor_send_sinks(supervisor);
    reload_trust(supervisor);
}

static void end_trial(struct supervisor *supervisor, int error, const char *text)
{
    struct child *tried = rooms_find(&supervisor->rooms, ROOM_VERIFY, supervisor->trial_worker);
    if (tried->retired && tried->state == CHILD_READY)
        rooms_retire(tried, false);
    supervisor->trial_fd = -1;
    supervisor->trial_deadline_ms = 0;
    supervisor_reload_ended(supervisor, error, text);
}

void supervisor_trial_accepted(struct supervisor *supervisor)
{
    struct supervisor_inputs *inputs = supervisor->task->inputs;
    struct rooms *rooms = &supervisor->rooms;
    struct child *tried = rooms_find(rooms, ROOM_VERIFY, supervisor->trial_worker);
    cleanup_close(&inputs->trust_fd);
    inputs->trust_fd = supervisor->trial_fd;
    rooms->trust_serial++;
    rooms->trust_cause = supervisor->cause;
    rooms->trust_known[tried - rooms->list] = rooms->trust_serial;
    for (unsigned i = 0; i < rooms->count; i++) {
        struct child *child = &rooms->list[i];
        if (child->state == CHILD_READY && child != tried &&
            (child->role == ROOM_VERIFY || child->role == ROOM_MOUNT))
            rooms_send_trust(rooms, child);
    }
    rooms_schema_follow_trust(rooms);
    log_info("trust anchors, revocation lists and schemas read again");
    end_trial(supervisor, 0,
              "access policy, trust anchors, revocation lists and schemas read again");
}

void supervisor_trial_failed(struct supervisor *supervisor, const char *reason)
{
    log_error("trust stays as it was: %s", reason);
    cleanup_close(&supervisor->trial_fd);
    end_trial(supervisor, -EINVAL, reason);
}

static void send_sink(struct supervisor *supervisor, enum audit_sink_kind kind, const char *path)
{
    const uint32_t payload = kind;
    _cleanup_close_ int fd = -1;
    if (*path == '\0')
        return;
    int r = log_socket_connect(path, &fd);
    if (r < 0)
        log_warning("%s: %s; audit records do not go there (SIGHUP tries again)", path,
                    strerror(-r));
    else
        rooms_send(rooms_find(&supervisor->rooms, ROOM_MOUNT, 0), ROOM_SINK, &payload,
                   sizeof payload, fd);
}

void supervisor_send_sinks(struct supervisor *supervisor)
{
    const struct config_audit *audit = &supervisor->task->inputs->config.audit;
    send_sink(supervisor, AUDIT_SINK_SYSLOG, audit->syslog);
    send_sink(supervisor, AUDIT_SINK_JOURNALD, audit->journald);
}
