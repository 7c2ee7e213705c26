/* See session.h. */
#define FUSE_USE_VERSION 314
#include "fs/session.h"

#include "base/log.h"
#include "base/room.h"
#include "fs/journal.h"
#include "fs/turns.h"

#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

enum {
    SESSION_STACK = 512 * 1024,
    STOP_POLL_MS = 20,
    READ_PAGES_MAX = 256, /* of one READ: as much as is read ahead at most */
    NO_THREAD = -1,
};

struct session {
    struct fuse_session *fuse;
    struct journal *journal;
    void *context;
    int fd; /* fuse's */
    unsigned threads;
    struct turns *turns; /* at reading */
    atomic_ullong answered;
    atomic_uint running; /* threads that still answer */
};

/* Of those that read; the thread that starts the session replays, too. */
static _Thread_local int own_thread = NO_THREAD;

/* The request that this thread answers now. */
static _Thread_local struct current {
    struct fuse_in_header *place;
    uint64_t unique;
    bool replayed, kept; /* kept: in its small place, for later */
    uint32_t offers;     /* flags of an INIT */
} current;

uint64_t session_current_unique(void)
{
    return current.unique;
}

void *session_context(const struct session *session)
{
    return session->context;
}

void session_take_long(struct session *session)
{
    if (own_thread != NO_THREAD)
        turns_pass(session->turns, (unsigned)own_thread);
}

int session_park(struct session *session, struct fuse_in_header **ret_place)
{
    /* One that is replayed from a small place stays there. */
    if (journal_is_parked(session->journal, current.place)) {
        *ret_place = current.place;
        current.kept = true;
        return 0;
    }
    return journal_park(session->journal, current.place, ret_place);
}

void session_unpark(struct session *session, struct fuse_in_header *place)
{
    atomic_fetch_add(&session->answered, 1);
    journal_clear(session->journal, place);
}

void session_note_interrupt(struct session *session, const struct fuse_in_header *place)
{
    journal_interrupt(session->journal, place);
}

bool session_was_interrupted(const struct session *session, const struct fuse_in_header *place)
{
    const struct fuse_in_header *now = current.place;
    /* One that was killed between hearing of the signal and noting it has told nobody: whoever can
     * be looked at is looked at. */
    return journal_interrupted(session->journal, place) || (current.replayed && now->pid != 0);
}

/* Requests are read by session_thread(), into the journal; libfuse wants a function all the same.
 */
static ssize_t session_read(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

/* What libfuse cannot be told. It takes the size of a READ from that of a WRITE, which is one page
 * here since there are none: a certificate would be read and decrypted 4 KiB at a time. */
static void amend_init(struct fuse_init_out *init)
{
    init->flags |= current.offers & (FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES);
    if (init->flags & FUSE_MAX_PAGES)
        init->max_pages = READ_PAGES_MAX;
}

/* libfuse answers INIT in the thread that read it, and before anything else. */
static ssize_t session_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)userdata;
    if (current.offers && count == 2 && iov[0].iov_len == sizeof(struct fuse_out_header) &&
        iov[1].iov_len == sizeof(struct fuse_init_out)) {
        const struct fuse_out_header *header = iov[0].iov_base;
        if (header->unique == current.unique && header->error == 0)
            amend_init(iov[1].iov_base);
    }
    return writev(fd, iov, count);
}

/* Answers without asking anybody, when nobody must look at the request again. */
static void refuse(const struct session *session, uint64_t unique)
{
    const struct fuse_out_header header = {.len = sizeof header, .error = -EIO, .unique = unique};
    if (write(session->fd, &header, sizeof header) < 0 && errno != ENOENT)
        log_warning("a request could not be refused: %s", strerror(errno));
}

static uint32_t init_offers(const struct fuse_in_header *request)
{
    struct fuse_init_in init = {0};
    if (request->opcode != FUSE_INIT || request->len < sizeof *request + 16)
        return 0;
    memcpy(&init, request + 1, 16);
    return init.flags;
}

/* What is answered from memory, but for an open that has to wait for the disk: it says so by
 * session_take_long(). To hand the turn over costs more than these. */
static bool is_short(uint32_t opcode)
{
    switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_GETATTR:
    case FUSE_OPEN:
    case FUSE_RELEASE:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return true;
    default:
        return false;
    }
}

static void answer(struct session *session, struct fuse_in_header *place, bool replayed)
{
    const struct fuse_buf buffer = {.mem = place, .size = place->len};
    current = (struct current){.place = place,
                               .unique = place->unique,
                               .replayed = replayed,
                               .offers = init_offers(place)};
    if (place->opcode == FUSE_INIT)
        journal_save_init(session->journal, place);
    if (!is_short(place->opcode))
        session_take_long(session);
    if (replayed && journal_suspected(session->journal, place)) {
        log_error("a request that was under way at each of the last faults is given up: opcode %u",
                  place->opcode);
        refuse(session, place->unique);
    } else {
        fuse_session_process_buf(session->fuse, &buffer);
    }
    if (!current.kept)
        journal_clear(session->journal, place);
    atomic_fetch_add(&session->answered, 1);
    current.place = NULL;
}

/* libfuse takes nothing else before it has seen an INIT. */
static void replay_init(struct session *session)
{
    const struct fuse_in_header *saved = journal_init_request(session->journal);
    if (!saved)
        return;
    const struct fuse_buf buffer = {.mem = (void *)(uintptr_t)saved, .size = saved->len};
    current = (struct current){.unique = saved->unique, .offers = init_offers(saved)};
    fuse_session_process_buf(session->fuse, &buffer);
}

/* Those that waited wait again; for the rest each thread finds in its place what it left. */
static void replay_parked(struct session *session)
{
    struct fuse_in_header *place;
    uint32_t cursor = 0;
    while ((place = journal_next_parked(session->journal, &cursor)))
        answer(session, place, true);
}

static unsigned half_of_cpus(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) / 2 : 1;
}

int session_new(int fuse_fd, struct journal *journal, unsigned threads,
                const struct fuse_lowlevel_ops *ops, void *context, struct session **ret_session)
{
    static const struct fuse_custom_io io = {.writev = session_writev, .read = session_read};
    char *arguments[] = {(char[]){"kosekifs-mount"}, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, arguments);
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return -ENOMEM;
    session->context = context;
    session->journal = journal;
    session->fd = fuse_fd;
    session->threads = threads < JOURNAL_THREADS_MAX ? threads : JOURNAL_THREADS_MAX;
    session->turns = turns_new(session->threads, half_of_cpus());
    session->fuse = fuse_session_new(&args, ops, sizeof *ops, session);
    fuse_opt_free_args(&args);
    if (!session->fuse || !session->turns) {
        session_free(session);
        return -ENOMEM;
    }
    int error = fuse_session_custom_io(session->fuse, &io, fuse_fd);
    if (error < 0) {
        session_free(session);
        return error;
    }
    replay_init(session); /* before it, the kernel cannot be told to drop pages either */
    *ret_session = session;
    return 0;
}

struct session *session_free(struct session *session)
{
    if (session) {
        if (session->fuse)
            fuse_session_destroy(session->fuse);
        turns_free(session->turns);
        free(session);
    }
    return NULL;
}

struct session_thread {
    struct session *session;
    unsigned index;
    pthread_t thread;
};

static void *session_thread(void *argument)
{
    const struct session_thread *self = argument;
    struct session *session = self->session;
    own_thread = (int)self->index;
    /* There may have been more threads in the last life. */
    for (unsigned i = self->index; i < JOURNAL_THREADS_MAX; i += session->threads) {
        struct fuse_in_header *left = journal_thread_place(session->journal, i);
        if (left->len)
            answer(session, left, true);
    }
    struct fuse_in_header *place = journal_thread_place(session->journal, self->index);
    while (turns_wait(session->turns, self->index) && !fuse_session_exited(session->fuse)) {
        ssize_t size = read(session->fd, place, JOURNAL_REQUEST_MAX);
        /* ENOENT: the request was interrupted while it was handed over. */
        if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
            continue;
        if (size < (ssize_t)sizeof *place)
            break; /* ENODEV: unmounted */
        turns_begin(session->turns, self->index);
        answer(session, place, false);
        turns_end(session->turns, self->index);
    }
    atomic_fetch_sub(&session->running, 1);
    session_stop(session);
    return NULL;
}

static void session_on_signal(int number)
{
    (void)number; /* only there to make read(2) return */
}

/* A thread blocked in read(2) leaves it by a signal; one that was about to block gets the next. */
static void session_join(struct session *session, const struct session_thread *threads,
                         unsigned count)
{
    const struct timespec pause = {.tv_nsec = STOP_POLL_MS * 1000000L};
    turns_watch(session->turns);
    while (atomic_load(&session->running) > 0) {
        for (unsigned i = 0; i < count; i++)
            pthread_kill(threads[i].thread, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i].thread, NULL);
}

int session_run(struct session *session)
{
    struct session_thread threads[JOURNAL_THREADS_MAX];
    struct sigaction action = {.sa_handler = session_on_signal};
    sigaction(SIGUSR1, &action, NULL);
    replay_parked(session);

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SESSION_STACK);
    unsigned started = 0;
    int error = 0;
    atomic_store(&session->running, 0);
    while (started < session->threads && !error) {
        atomic_fetch_add(&session->running, 1);
        threads[started] = (struct session_thread){.session = session, .index = started};
        error = pthread_create(&threads[started].thread, &attributes, session_thread,
                               &threads[started]);
        if (error)
            atomic_fetch_sub(&session->running, 1);
        else
            started++;
    }
    pthread_attr_destroy(&attributes);
    if (error)
        session_stop(session);
    session_join(session, threads, started);
    return -error;
}

void session_stop(struct session *session)
{
    turns_stop(session->turns);
}

void session_status(struct session *session, struct room_alive *ret_status)
{
    int64_t stuck_ms = INT32_MAX;
    for (unsigned i = 0; i < session->threads; i++) {
        int64_t busy_ms = turns_busy_ms(session->turns, i);
        stuck_ms = busy_ms < stuck_ms ? busy_ms : stuck_ms;
    }
    ret_status->owed = journal_count(session->journal, &ret_status->oldest_s);
    ret_status->stuck_ms = (uint32_t)stuck_ms;
    ret_status->answered = atomic_load(&session->answered);
}

void session_invalidate(struct session *session, uint64_t inode)
{
    int error = fuse_lowlevel_notify_inval_inode(session->fuse, inode, 0, 0);
    if (error < 0 && error != -ENOENT)
        log_debug("cached pages of inode %llu not dropped: %s", (unsigned long long)inode,
                  strerror(-error));
}
