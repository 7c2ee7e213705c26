/*
 * kosekifs-mount: answers the kernel, decides who may read, keeps store and audit trail. Started by
 * the supervisor with everything it needs (fs/mount_setup.h); opens nothing outside its state
 * directory and /proc.
 *
 * Threads: main runs the FUSE session's threads and waits for them; the loop thread hears
 * supervisor, link and verify; provide has a store thread; the control socket has one.
 */
#include "fs/mountfs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/room.h"
#include "base/room_confine.h"
#include "fs/chores.h"
#include "fs/control.h"
#include "fs/control_reload.h"
#include "fs/control_seal.h"
#include "fs/hidden.h"
#include "fs/journal.h"
#include "fs/mount_confine.h"
#include "fs/key_watch.h"
#include "fs/list_import.h"
#include "fs/mount_setup.h"
#include "fs/mount_trust.h"
#include "fs/ops.h"
#include "fs/process_alerts.h"
#include "fs/processes.h"
#include "fs/provide_news.h"
#include "fs/replica.h"
#include "fs/scanning.h"
#include "fs/trust_tell.h"
#include "fs/upkeep.h"
#include "fs/uses.h"
#include "keys/keys_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

enum { EARLY_PEERS_MAX = VERIFY_WORKER_MAX + 1 };

struct early_peer {
    struct room_peer peer;
    int fd;
};

struct program {
    struct mount_setup setup;
    struct mountfs fs;
    struct keys_client *keys;
    struct control *control;
    pthread_t loop;
    int ending; /* eventfd: the loop thread shall leave */
    int state_fd, proc_fd;
    int replica_fd; /* -1: none */
    int fuse_fd;    /* -1 until mounted; then the session's */
    struct journal *journal;
};

/* --- what others tell of ---------------------------------------------------------------------- */

static int on_alert(void *context, const struct alert_message *message)
{
    (void)context;
    return ipc_send(ROOM_FD, ROOM_ALERT, 0, message, sizeof *message, NULL, 0);
}

static int sign_checkpoint(void *context, const void *statement, size_t size,
                           uint8_t ret_signature[AUDIT_SIGNATURE_SIZE],
                           uint8_t ret_public_key[AUDIT_PUBLIC_KEY_SIZE])
{
    return keys_client_sign_checkpoint(context, statement, size, ret_signature, ret_public_key);
}
_Static_assert((int)AUDIT_SIGNATURE_SIZE == (int)KEYS_SIGNATURE_SIZE &&
                   (int)AUDIT_PUBLIC_KEY_SIZE == (int)KEYS_PUBLIC_KEY_SIZE &&
                   (int)AUDIT_SIGNED_MAX <= (int)KEYS_STATEMENT_MAX,
               "one form of checkpoints");

/* --- loop thread ------------------------------------------------------------------------------ */

static void take_peer(struct program *program, struct ipc_message *message)
{
    struct room_peer peer;
    if (ipc_message_take(message, &peer, sizeof peer, 1) < 0)
        return;
    int fd = steal_fd(&message->fds[0]);
    if (peer.role == ROOM_KEYS)
        keys_client_connect(program->keys, fd);
    else
        provide_connect(program->fs.provide, peer.role, peer.index, fd);
}

static void answer_alive(struct program *program, const struct ipc_message *message)
{
    struct room_alive alive = {0};
    if (program->fs.session)
        session_status(program->fs.session, &alive);
    room_answer_alive(message, &alive, sizeof alive);
}

/* How a reload went, for the record or for the peer of the control socket that asked. */
static int take_reloaded(struct program *program, struct ipc_message *message)
{
    struct room_reloaded reloaded;
    int error = ipc_message_take(message, &reloaded, sizeof reloaded, 0);
    if (error == 0 && !ipc_text_ok(reloaded.text, sizeof reloaded.text))
        error = -EBADMSG;
    if (error == 0 && message->id == 0)
        error = mount_trust_record_reload(&program->fs, &reloaded);
    else if (error == 0)
        control_reloaded(program->control, message->id, reloaded.error, reloaded.text);
    return error;
}

/* A connected socket of syslog or journald; the trail owns it from now on. */
static int take_sink(struct mountfs *fs, struct ipc_message *message)
{
    uint32_t kind;
    int error = ipc_message_take(message, &kind, sizeof kind, 1);
    if (error == 0 && kind >= AUDIT_SINK_COUNT)
        error = -EBADMSG;
    if (error == 0)
        audit_set_sink(fs->audit, (enum audit_sink_kind)kind, steal_fd(&message->fds[0]));
    return error;
}

static int take_ended(struct mountfs *fs, const struct ipc_message *message)
{
    struct room_ended ended;
    int error = ipc_message_take(message, &ended, sizeof ended, 0);
    if (error < 0)
        return error;
    process_alerts_ended(fs->alerts, &ended);
    if (ended.peer.role == ROOM_VERIFY)
        provide_worker_ended(fs->provide, ended.peer.index, ended.status);
    return 0;
}

/* The connection to the kernel, and what an earlier kosekifs-mount left on it. */
static int take_mounted(struct program *program, struct ipc_message *message)
{
    struct room_mounted mounted;
    int error = ipc_message_take(message, &mounted, sizeof mounted, 2);
    if (error == 0 && program->fuse_fd >= 0)
        error = -EBADMSG;
    if (error == 0)
        error = journal_open(message->fds[1], mounted.fault, &program->journal);
    if (error < 0)
        return error;
    program->fuse_fd = steal_fd(&message->fds[0]);
    program->fs.connection = journal_connection(program->journal);
    if (mounted.killed)
        alerts_raise(program->fs.alerts, mounted.fault ? ALERT_CRITICAL : ALERT_WARNING,
                     ALERT_PROCESS, "mount",
                     "Programs noticed nothing. Look at the log for what ended it.",
                     "kosekifs-mount %s and was replaced",
                     mounted.fault ? "ended by its own fault" : "was killed");
    uint32_t oldest_s;
    if (journal_init_request(program->journal))
        log_info("goes on where the last kosekifs-mount ended; %u requests are owed",
                 journal_count(program->journal, &oldest_s));
    return 0;
}

/* False when the supervisor is gone. */
static bool on_supervisor(struct program *program)
{
    _cleanup_free_ struct ipc_message *message = malloc(sizeof *message);
    if (!message)
        return true; /* poll says so again */
    int result = ipc_receive(ROOM_FD, message);
    if (result != 0)
        return result == -EBADMSG || result == -EAGAIN;
    int error = 0;
    if (message->type == ROOM_PEER)
        take_peer(program, message);
    else if (message->type == ROOM_MOUNTED)
        error = take_mounted(program, message);
    else if (message->type == ROOM_TRUST || message->type == ROOM_LISTS ||
             message->type == ROOM_POLICY)
        error = mount_trust_hear(&program->fs, message);
    else if (message->type == ROOM_ALIVE)
        answer_alive(program, message);
    else if (message->type == ROOM_RELOADED)
        error = take_reloaded(program, message);
    else if (message->type == ROOM_SCANNER && message->fd_count <= 1 && program->fs.scanner)
        scanner_connected(program->fs.scanner, message->fd_count ? steal_fd(&message->fds[0]) : -1);
    else if (message->type == ROOM_SINK)
        error = take_sink(&program->fs, message);
    else if (message->type == ROOM_PROCESSES)
        error = processes_take(program->fs.processes, message);
    else if (message->type == ROOM_ENDED)
        error = take_ended(&program->fs, message);
    if (error < 0)
        log_error("what the supervisor sent was not taken: %s", strerror(-error));
    ipc_message_done(message);
    return true;
}

static void *loop_run(void *argument)
{
    struct program *program = argument;
    for (;;) {
        struct pollfd fds[PROVIDE_POLLFD_MAX + 2];
        int timeout_ms;
        unsigned count = provide_pollfds(program->fs.provide, fds, &timeout_ms);
        fds[count] = (struct pollfd){.fd = ROOM_FD, .events = POLLIN};
        fds[count + 1] = (struct pollfd){.fd = program->ending, .events = POLLIN};
        if (poll(fds, count + 2, timeout_ms) < 0)
            continue;
        if (fds[count + 1].revents)
            return NULL;
        provide_dispatch(program->fs.provide, fds, count);
        if (fds[count].revents && !on_supervisor(program)) {
            log_error("the supervisor is gone");
            session_stop(program->fs.session);
            return NULL;
        }
    }
}

/* --- start and end ---------------------------------------------------------------------------- */

static void open_records(struct program *program)
{
    struct mountfs *fs = &program->fs;
    int error = alerts_new(program->state_fd, &program->setup.alerts, on_alert, NULL, &fs->alerts);
    if (error < 0)
        room_fail("the list of alerts cannot be opened: %s", strerror(-error));
    error = audit_open(program->state_fd, &program->setup.audit, alerts_observe, fs->alerts,
                       &fs->audit);
    if (error < 0)
        room_fail("the audit trail cannot be opened: %s",
                  error == -EBUSY ? "another daemon writes it" : strerror(-error));
    alerts_set_audit(fs->alerts, fs->audit);
    error = grants_open(program->state_fd, NULL, NULL, &fs->grants);
    if (error < 0)
        room_fail("the grants cannot be read: %s", strerror(-error));
    error = seals_open(program->state_fd, &fs->seals);
    if (error < 0)
        room_fail("the seals cannot be read: %s", strerror(-error));
}

static void open_access(struct program *program, int policy_fd)
{
    _cleanup_mapping_ struct mapping policy = {0};
    struct mountfs *fs = &program->fs;
    int error = mount_trust_map_policy(policy_fd, &policy);
    if (error == 0)
        error = access_new((const struct access_policy *)(const void *)policy.data, fs->grants,
                           program->state_fd, &fs->access);
    if (error < 0)
        room_fail("the access policy was not taken: %s", strerror(-error));
    access_set_seals(fs->access, fs->seals);
    program->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (program->proc_fd < 0 || caller_table_new(program->proc_fd, &fs->callers) < 0)
        room_fail("/proc cannot be opened: %s", strerror(errno));
    fs->processes = processes_new(program->proc_fd);
    if (!fs->processes)
        room_fail("memory is short");
}

/* The store asks for data keys when it opens, so the keys process must be there first. Neighbours
 * that are announced before it wait in `early`. */
static unsigned wait_for_keys(struct program *program, struct early_peer early[EARLY_PEERS_MAX])
{
    static struct ipc_message message;
    unsigned count = 0;
    for (bool keys = false; !keys;) {
        struct room_peer peer;
        if (ipc_receive(ROOM_FD, &message) != 0)
            room_fail("no connection to the keys process");
        if (message.type == ROOM_PEER && ipc_message_take(&message, &peer, sizeof peer, 1) == 0) {
            int fd = steal_fd(&message.fds[0]);
            keys = peer.role == ROOM_KEYS;
            if (keys)
                keys_client_connect(program->keys, fd);
            else if (count < EARLY_PEERS_MAX)
                early[count++] = (struct early_peer){peer, fd};
            else
                close(fd);
        }
        ipc_message_done(&message);
    }
    return count;
}

static void open_provide(struct program *program)
{
    struct mountfs *fs = &program->fs;
    struct provide_listener listener;
    const struct provide_places places = {
        .state_fd = program->state_fd,
        .crl = &program->setup.crl,
        .ledger_fd = fs->ledger_fd,
        .replica_fd = program->replica_fd,
        .headroom = (uint64_t)program->setup.retention.headroom,
    };
    char message[256] = "";
    provide_news_listener(fs, &listener);
    if (keys_client_new(&program->keys) < 0)
        room_fail("memory is short");
    struct early_peer early[EARLY_PEERS_MAX];
    unsigned early_count = wait_for_keys(program, early);
    fs->keys = program->keys;
    int error = provide_new(&program->setup.mount, program->keys, &places, &listener, message,
                            &fs->provide);
    if (error < 0)
        room_fail("the store cannot be opened: %s", message[0] ? message : strerror(-error));
    fs->cache = provide_cache(fs->provide);
    audit_set_sign(fs->audit, sign_checkpoint, program->keys);
    for (unsigned i = 0; i < early_count; i++)
        provide_connect(fs->provide, early[i].peer.role, early[i].peer.index, early[i].fd);
}

static void record_life(struct mountfs *fs, enum audit_kind kind)
{
    const struct audit_event event = {.kind = kind, .detail = {{"version", KOSEKIFS_VERSION}}};
    if (audit_write(fs->audit, &event) < 0 && kind == AUDIT_START)
        room_fail("the audit trail cannot be written");
}

/* What the standard asks for and the site leaves out is on record at each start, with the reason.
 */
static void record_waivers(struct mountfs *fs)
{
    const struct {
        const char *name, *reason;
    } rows[] = {{"link_authentication", fs->waivers->link_authentication},
                {"link_encryption", fs->waivers->link_encryption}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct audit_event event = {
            .kind = AUDIT_CONFIGURATION,
            .reason = "waiver",
            .text = rows[i].reason,
            .detail = {{"waiver", rows[i].name}},
        };
        if (rows[i].reason[0] && audit_write(fs->audit, &event) < 0)
            room_fail("the audit trail cannot be written");
    }
}

static void start(struct program *program, struct ipc_message *message)
{
    struct mountfs *fs = &program->fs;
    int *fds = message->fds;
    fs->config = &program->setup.mount;
    fs->waivers = &program->setup.waivers;
    fs->alerting = &program->setup.alerts;
    fs->started_s = clock_realtime_s();
    pthread_mutex_init(&fs->relaxed_lock, NULL);
    fs->why = why_new();
    fs->hidden = hidden_new();
    fs->retention = &program->setup.retention;
    fs->uses = uses_new();
    fs->chores = chores_new();
    fs->upkeep = upkeep_new(fs);
    fs->list_import = list_import_new(fs);
    program->ending = eventfd(0, EFD_CLOEXEC);
    if (!fs->why || !fs->hidden || !fs->uses || !fs->chores || !fs->upkeep || !fs->list_import ||
        program->ending < 0)
        room_fail("memory or descriptors are short");
    program->state_fd = steal_fd(&fds[MOUNT_FD_STATE]);
    fs->state_fd = program->state_fd;
    fs->ledger_fd = program->setup.has_ledger ? steal_fd(&fds[MOUNT_FD_LEDGER]) : -1;
    program->replica_fd = program->setup.has_replica ? steal_fd(&fds[MOUNT_FD_REPLICA]) : -1;
    open_records(program);
    open_access(program, fds[MOUNT_FD_POLICY]);
    if (delivery_new(fds[MOUNT_FD_OPEN_FILES], &fs->delivery) < 0)
        room_fail("the table of open files was not taken");
    open_provide(program);
    if (scanning_start(fs, &program->setup.scan) < 0)
        room_fail("unscanned.json cannot be read, or memory is short");
    record_life(fs, AUDIT_START);
    record_waivers(fs);
    if (key_watch_new(fs, program->keys, program->setup.alerts.certificate, &fs->key_watch) < 0)
        room_fail("memory is short");
    int error = mount_trust_begin(fs, fds[MOUNT_FD_TRUST]);
    if (error == 0)
        error = control_new(fs, steal_fd(&fds[MOUNT_FD_CONTROL]), &program->control);
    if (error == 0 && program->replica_fd >= 0)
        error = replica_new(fs, program->replica_fd, &fs->replica);
    if (error < 0)
        room_fail("not started: %s", strerror(-error));
}

/* After ROOM_READY: the supervisor mounts. Then the loop thread takes over what it says. */
static int begin_session(struct program *program)
{
    struct mountfs *fs = &program->fs;
    while (program->fuse_fd < 0)
        if (!on_supervisor(program))
            return -EPIPE;
    /* A supervisor that does not listen must not stop a thread that has an alert for it. */
    if (fcntl(ROOM_FD, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    int error = session_new(program->fuse_fd, program->journal, ops_table(), fs, &fs->session);
    if (error == 0) {
        atomic_store(&fs->serving, true);
        seal_apply(fs);           /* a crash may have come between seal and effect */
        mountfs_drop_refused(fs); /* or between a withdrawal and its effect */
    }
    if (error == 0)
        error = key_watch_start(fs->key_watch);
    return error < 0 ? error : -pthread_create(&program->loop, NULL, loop_run, program);
}

static void end(struct program *program)
{
    struct mountfs *fs = &program->fs;
    uint64_t one = 1;
    /* The supervisor starts no other kosekifs-keys for who ends, and perhaps it is gone itself. */
    keys_client_expect_no_other(program->keys);
    if (write(program->ending, &one, sizeof one) < 0)
        log_debug("eventfd full");
    if (program->loop)
        pthread_join(program->loop, NULL);
    control_stop(program->control);
    chores_free(fs->chores);
    replica_free(fs->replica);
    scanner_free(fs->scanner);
    provide_free(fs->provide); /* tells all that wait, peers of the control socket too */
    control_free(program->control);
    key_watch_free(fs->key_watch);
    record_life(fs, AUDIT_STOP);
    alerts_set_audit(fs->alerts, NULL);
    audit_close(fs->audit); /* with a last checkpoint, so keys must still be there */
    if (program->replica_fd >= 0 && replica_copy_files(program->state_fd, program->replica_fd) < 0)
        log_warning("the last records are not in the replica's directory");
    alerts_free(fs->alerts);
    access_free(fs->access);
    grants_close(fs->grants);
    seals_close(fs->seals);
    caller_table_free(fs->callers);
    processes_free(fs->processes);
    cleanup_close(&program->proc_fd);
    cleanup_close(&program->state_fd);
    cleanup_close(&fs->ledger_fd);
    cleanup_close(&program->replica_fd);
    upkeep_free(fs->upkeep);
    uses_free(fs->uses);
    session_free(fs->session);
    journal_close(program->journal);
    delivery_free(fs->delivery);
    keys_client_free(program->keys);
    hidden_free(fs->hidden);
    why_free(fs->why);
    cleanup_close(&program->ending);
}

/* kosekifs --try: this program starts and understands its supervisor; that is all it asks. */
static int attend_attempt(struct ipc_message *message, const struct confine_report *report)
{
    ipc_message_done(message);
    if (room_send_ready(report) < 0)
        return 1;
    while (ipc_receive(ROOM_FD, message) == 0)
        ipc_message_done(message);
    return 0;
}

int main(void)
{
    static struct program program = {.fuse_fd = -1};
    static struct ipc_message message;
    struct config_sandbox sandbox;
    struct mount_confine confine;
    struct confine_report report;
    log_init("kosekifs-mount", LOG_LEVEL_INFO);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    room_receive_sandbox(&sandbox);
    if (room_receive_setup(sizeof program.setup, &message) < 0)
        return 1; /* not started by the supervisor */
    if (ipc_message_take(&message, &program.setup, sizeof program.setup, MOUNT_FD_COUNT) < 0)
        room_fail("the setup does not fit this program: are all programs of one version?");
    const int directories[MOUNT_DIRECTORY_MAX] = {
        message.fds[MOUNT_FD_STATE],
        program.setup.has_ledger ? message.fds[MOUNT_FD_LEDGER] : -1,
        program.setup.has_replica ? message.fds[MOUNT_FD_REPLICA] : -1,
    };
    mount_confine_init(&confine, directories);
    room_confine(&confine.table, &sandbox, &report);
    if (program.setup.attempt)
        return attend_attempt(&message, &report);
    start(&program, &message);
    ipc_message_done(&message);
    if (room_send_ready(&report) < 0)
        return 1;
    int error = begin_session(&program);
    if (error == 0)
        error = session_run(program.fs.session, (unsigned)program.setup.mount.fuse_threads);
    end(&program);
    return error < 0 ? 1 : 0;
}
