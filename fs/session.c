/* See session.h. */
#define FUSE_USE_VERSION 314
#include "fs/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/room.h"
#include "fs/journal.h"

#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <semaphore.h>
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
};

struct session {
    struct fuse_session *fuse;
    struct journal *journal;
    void *context;
    int fd; /* fuse's */
    atomic_bool stopping;
    atomic_uint threads;
    atomic_llong busy_since_ms[JOURNAL_THREADS_MAX]; /* of each thread; 0 = idle */
    atomic_ullong answered;
    atomic_uint running; /* threads that still answer */
    sem_t ended;         /* posted when a thread leaves, and by session_stop() */
};

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

static void answer(struct session *session, struct fuse_in_header *place, bool replayed)
{
    const struct fuse_buf buffer = {.mem = place, .size = place->len};
    current = (struct current){.place = place,
                               .unique = place->unique,
                               .replayed = replayed,
                               .offers = init_offers(place)};
    if (place->opcode == FUSE_INIT)
        journal_save_init(session->journal, place);
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

int session_new(int fuse_fd, struct journal *journal, const struct fuse_lowlevel_ops *ops,
                void *context, struct session **ret_session)
{
    static const struct fuse_custom_io io = {.writev = session_writev, .read = session_read};
    char *arguments[] = {(char[]){"kosekifs-mount"}, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, arguments);
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return -ENOMEM;
    sem_init(&session->ended, 0, 0);
    session->context = context;
    session->journal = journal;
    session->fd = fuse_fd;
    session->fuse = fuse_session_new(&args, ops, sizeof *ops, session);
    fuse_opt_free_args(&args);
    if (!session->fuse) {
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
        sem_destroy(&session->ended);
        free(session);
    }
    return NULL;
}

struct session_thread {
    struct session *session;
    unsigned index, count;
    pthread_t thread;
};

static void *session_thread(void *argument)
{
    const struct session_thread *self = argument;
    struct session *session = self->session;
    /* There may have been more threads in the last life. */
    for (unsigned i = self->index; i < JOURNAL_THREADS_MAX; i += self->count) {
        struct fuse_in_header *left = journal_thread_place(session->journal, i);
        if (left->len)
            answer(session, left, true);
    }
    struct fuse_in_header *place = journal_thread_place(session->journal, self->index);
    while (!atomic_load(&session->stopping) && !fuse_session_exited(session->fuse)) {
        ssize_t size = read(session->fd, place, JOURNAL_REQUEST_MAX);
        /* ENOENT: the request was interrupted while it was handed over. */
        if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
            continue;
        if (size < (ssize_t)sizeof *place)
            break; /* ENODEV: unmounted */
        atomic_store(&session->busy_since_ms[self->index], clock_monotonic_ms());
        answer(session, place, false);
        atomic_store(&session->busy_since_ms[self->index], 0);
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
    while (!atomic_load(&session->stopping))
        sem_wait(&session->ended);
    while (atomic_load(&session->running) > 0) {
        for (unsigned i = 0; i < count; i++)
            pthread_kill(threads[i].thread, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i].thread, NULL);
}

int session_run(struct session *session, unsigned count)
{
    struct session_thread threads[JOURNAL_THREADS_MAX];
    struct sigaction action = {.sa_handler = session_on_signal};
    sigaction(SIGUSR1, &action, NULL);
    if (count > JOURNAL_THREADS_MAX)
        count = JOURNAL_THREADS_MAX;
    atomic_store(&session->threads, count);
    replay_parked(session);

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SESSION_STACK);
    unsigned started = 0;
    int error = 0;
    atomic_store(&session->running, 0);
    while (started < count && !error) {
        atomic_fetch_add(&session->running, 1);
        threads[started] =
            (struct session_thread){.session = session, .index = started, .count = count};
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
    atomic_store(&session->stopping, true);
    sem_post(&session->ended);
}

void session_status(struct session *session, struct room_alive *ret_status)
{
    int64_t now_ms = clock_monotonic_ms(), stuck_ms = INT32_MAX;
    unsigned threads = atomic_load(&session->threads);
    for (unsigned i = 0; i < threads; i++) {
        int64_t since_ms = atomic_load(&session->busy_since_ms[i]);
        int64_t busy_ms = since_ms ? now_ms - since_ms : 0;
        stuck_ms = busy_ms < stuck_ms ? busy_ms : stuck_ms;
    }
    ret_status->owed = journal_count(session->journal, &ret_status->oldest_s);
    ret_status->stuck_ms = threads ? (uint32_t)stuck_ms : 0;
    ret_status->answered = atomic_load(&session->answered);
}

void session_invalidate(struct session *session, uint64_t inode)
{
    int error = fuse_lowlevel_notify_inval_inode(session->fuse, inode, 0, 0);
    if (error < 0 && error != -ENOENT)
        log_debug("cached pages of inode %llu not dropped: %s", (unsigned long long)inode,
                  strerror(-error));
}
