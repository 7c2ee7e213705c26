/* See session.h. */
#define FUSE_USE_VERSION 314
#include "fs/session.h"

#include "base/log.h"

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

enum { SESSION_THREAD_MAX = 64, SESSION_STACK = 512 * 1024, STOP_POLL_MS = 20 };

struct session {
    struct fuse_session *fuse;
    void *context;
    atomic_bool stopping;
    atomic_uint running; /* threads that still answer */
    sem_t ended;         /* posted when a thread leaves, and by session_stop() */
};

static _Thread_local uint64_t current_unique;
static _Thread_local bool answering_init;

uint64_t session_current_unique(void)
{
    return current_unique;
}

void *session_context(const struct session *session)
{
    return session->context;
}

/* Notes the request's number, and whether the kernel's INIT offers parallel directory operations.
 */
static ssize_t session_read(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    ssize_t got = read(fd, buffer, size);
    if (got < (ssize_t)sizeof(struct fuse_in_header))
        return got;
    struct fuse_in_header header;
    memcpy(&header, buffer, sizeof header);
    current_unique = header.unique;
    answering_init = false;
    if (header.opcode == FUSE_INIT && (size_t)got >= sizeof header + 16) {
        struct fuse_init_in init = {0};
        memcpy(&init, (const char *)buffer + sizeof header, 16);
        answering_init = (init.flags & FUSE_PARALLEL_DIROPS) != 0;
    }
    return got;
}

/* libfuse answers INIT in the thread that read it, and before anything else. */
static ssize_t session_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)userdata;
    if (answering_init && count == 2 && iov[0].iov_len == sizeof(struct fuse_out_header) &&
        iov[1].iov_len == sizeof(struct fuse_init_out)) {
        const struct fuse_out_header *header = iov[0].iov_base;
        struct fuse_init_out *init = iov[1].iov_base;
        if (header->unique == current_unique && header->error == 0)
            init->flags |= FUSE_PARALLEL_DIROPS;
        answering_init = false;
    }
    return writev(fd, iov, count);
}

int session_new(int fuse_fd, const struct fuse_lowlevel_ops *ops, void *context,
                struct session **ret_session)
{
    static const struct fuse_custom_io io = {.writev = session_writev, .read = session_read};
    char *arguments[] = {(char[]){"kosekifs-mount"}, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, arguments);
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return -ENOMEM;
    sem_init(&session->ended, 0, 0);
    session->context = context;
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

static void *session_thread(void *argument)
{
    struct session *session = argument;
    struct fuse_buf buffer = {0};
    while (!atomic_load(&session->stopping) && !fuse_session_exited(session->fuse)) {
        int size = fuse_session_receive_buf(session->fuse, &buffer);
        if (size == -EINTR)
            continue;
        if (size <= 0)
            break;
        fuse_session_process_buf(session->fuse, &buffer);
    }
    free(buffer.mem);
    atomic_fetch_sub(&session->running, 1);
    session_stop(session);
    return NULL;
}

static void session_on_signal(int number)
{
    (void)number; /* only there to make read(2) return */
}

/* A thread blocked in read(2) leaves it by a signal; one that was about to block gets the next. */
static void session_join(struct session *session, const pthread_t *threads, unsigned count)
{
    const struct timespec pause = {.tv_nsec = STOP_POLL_MS * 1000000L};
    while (!atomic_load(&session->stopping))
        sem_wait(&session->ended);
    while (atomic_load(&session->running) > 0) {
        for (unsigned i = 0; i < count; i++)
            pthread_kill(threads[i], SIGUSR1);
        nanosleep(&pause, NULL);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

int session_run(struct session *session, unsigned count)
{
    pthread_t threads[SESSION_THREAD_MAX];
    struct sigaction action = {.sa_handler = session_on_signal};
    sigaction(SIGUSR1, &action, NULL);
    if (count > SESSION_THREAD_MAX)
        count = SESSION_THREAD_MAX;

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SESSION_STACK);
    unsigned started = 0;
    int error = 0;
    atomic_store(&session->running, 0);
    while (started < count && !error) {
        atomic_fetch_add(&session->running, 1);
        error = pthread_create(&threads[started], &attributes, session_thread, session);
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

void session_invalidate(struct session *session, uint64_t inode)
{
    int error = fuse_lowlevel_notify_inval_inode(session->fuse, inode, 0, 0);
    if (error < 0 && error != -ENOENT)
        log_debug("cached pages of inode %llu not dropped: %s", (unsigned long long)inode,
                  strerror(-error));
}
