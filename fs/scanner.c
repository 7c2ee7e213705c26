/* See scanner.h. */
#include "fs/scanner.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memfd.h"
#include "fs/clamd.h"
#include "fs/statefile.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#define UNSCANNED_FILE "unscanned.json"

enum {
    UNSCANNED_FILE_MAX = SCANNER_UNSCANNED_MAX * (CERTNAME_MAX + 4) + 64,
    CONNECT_MS = 5000,
    RETRY_MS = 10 * 1000, /* while names wait for clamd to come back */
    AGAIN_AT_ONCE = 16,
};

struct job {
    struct job *next;
    uint64_t id;
    struct certname name;
    int memfd;
};

struct scanner {
    const struct config_scan *config;
    int state_fd;
    struct scanner_listener listener;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool ending;
    struct job *first, **end;
    bool answered; /* the supervisor, with connection_fd */
    int connection_fd;
    int busy_fd; /* the document being scanned goes this way; the thread's own but for its end */
    struct certname *unscanned;
    size_t unscanned_count;
    size_t again_at; /* the scanner's thread: where the next try begins */
    struct scanner_statistics count;
};

/* --- names that were let pass ----------------------------------------------------------------- */

static int read_unscanned(struct scanner *scanner)
{
    _cleanup_buffer_ struct buffer text;
    _cleanup_json_ struct json *list = NULL;
    buffer_init(&text, UNSCANNED_FILE_MAX);
    int error = statefile_read(scanner->state_fd, UNSCANNED_FILE, &text);
    if (error == -ENOENT)
        return 0;
    if (error == 0)
        error = json_parse((const char *)text.data, text.size, &list);
    if (error < 0)
        return error;
    if (!json_is_array(list) || json_array_count(list) > SCANNER_UNSCANNED_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < json_array_count(list); i++) {
        const char *name = json_text(json_array_at(list, i));
        if (!name || !certname_parse(name, &scanner->unscanned[i]))
            return -EBADMSG;
    }
    scanner->unscanned_count = json_array_count(list);
    return 0;
}

/* The scanner's thread; the list changes in no other. */
static int write_unscanned(struct scanner *scanner)
{
    _cleanup_json_ struct json *list = json_array_new();
    for (size_t i = 0; list && i < scanner->unscanned_count; i++)
        if (json_append(list, json_text_new(scanner->unscanned[i].text)) < 0)
            return -ENOMEM;
    _cleanup_free_ char *text = list ? json_print(list) : NULL;
    return text ? statefile_write(scanner->state_fd, UNSCANNED_FILE, bytes_of(text, strlen(text)))
                : -ENOMEM;
}

static size_t find_unscanned(const struct scanner *scanner, const struct certname *name)
{
    size_t i = 0;
    while (i < scanner->unscanned_count && strcmp(scanner->unscanned[i].text, name->text) != 0)
        i++;
    return i;
}

static void set_count(struct scanner *scanner, size_t count)
{
    pthread_mutex_lock(&scanner->lock);
    scanner->unscanned_count = count;
    pthread_mutex_unlock(&scanner->lock);
}

/* Durable when it returns 0. */
static int add_unscanned(struct scanner *scanner, const struct certname *name)
{
    size_t count = scanner->unscanned_count;
    if (find_unscanned(scanner, name) < count)
        return 0;
    if (count == SCANNER_UNSCANNED_MAX)
        return -ENOSPC;
    scanner->unscanned[count] = *name;
    set_count(scanner, count + 1);
    int error = write_unscanned(scanner);
    if (error < 0)
        set_count(scanner, count);
    return error;
}

static void remove_unscanned(struct scanner *scanner, const struct certname *name)
{
    size_t at = find_unscanned(scanner, name), count = scanner->unscanned_count;
    if (at == count)
        return;
    scanner->unscanned[at] = scanner->unscanned[count - 1];
    set_count(scanner, count - 1);
    int error = write_unscanned(scanner);
    if (error < 0)
        log_warning("the list of certificates that were not scanned is not kept: %s",
                    strerror(-error));
}

/* --- one document ----------------------------------------------------------------------------- */

static struct timespec in_ms(int64_t ms)
{
    int64_t at_ms = clock_monotonic_ms() + ms;
    return (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
}

/* A connected socket, or a negative errno. */
static int get_connection(struct scanner *scanner)
{
    pthread_mutex_lock(&scanner->lock);
    cleanup_close(&scanner->connection_fd);
    scanner->connection_fd = -1;
    scanner->answered = false;
    pthread_mutex_unlock(&scanner->lock);
    int error = scanner->listener.connect(scanner->listener.context);
    const struct timespec until = in_ms(CONNECT_MS);
    pthread_mutex_lock(&scanner->lock);
    int waited = 0;
    while (error == 0 && !scanner->answered && !scanner->ending && waited == 0)
        waited = pthread_cond_timedwait(&scanner->wake, &scanner->lock, &until);
    int fd = error < 0                    ? error
             : scanner->connection_fd < 0 ? -ECONNREFUSED
                                          : steal_fd(&scanner->connection_fd);
    pthread_mutex_unlock(&scanner->lock);
    return fd;
}

/* While it is noted, scanner_free() ends the connection rather than wait for clamd. */
static int note_busy(struct scanner *scanner, int fd)
{
    pthread_mutex_lock(&scanner->lock);
    int error = fd >= 0 && scanner->ending ? -ECANCELED : 0;
    scanner->busy_fd = fd;
    pthread_mutex_unlock(&scanner->lock);
    return error;
}

static int scan(struct scanner *scanner, int memfd, char text[CLAMD_NAME_SIZE])
{
    _cleanup_mapping_ struct mapping content = {0};
    _cleanup_close_ int fd = get_connection(scanner);
    int error = fd < 0 ? fd : mapping_open(memfd, SIZE_MAX, &content);
    if (error == 0)
        error = note_busy(scanner, fd);
    if (error < 0) {
        snprintf(text, CLAMD_NAME_SIZE, "%s", strerror(-error));
    } else {
        error = clamd_scan(fd, bytes_of(content.data, content.size),
                           clock_monotonic_ms() + scanner->config->timeout, text);
    }
    note_busy(scanner, -1);
    return error;
}

static enum scan_result judge(struct scanner *scanner, const struct job *job, int result,
                              char text[CLAMD_NAME_SIZE])
{
    pthread_mutex_lock(&scanner->lock);
    scanner->count.up = result >= 0;
    scanner->count.scanned += result >= 0;
    scanner->count.found += result == CLAMD_FOUND;
    scanner->count.failed += result < 0;
    pthread_mutex_unlock(&scanner->lock);
    if (result == CLAMD_FOUND)
        return SCAN_FOUND; /* listed until the store has it no more: see try_again() */
    if (result == 0) {
        remove_unscanned(scanner, &job->name);
        return SCAN_CLEAN;
    }
    if (strcmp(scanner->config->when_down, "accept") != 0)
        return SCAN_UNKNOWN;
    int error = add_unscanned(scanner, &job->name);
    if (error < 0)
        snprintf(text, CLAMD_NAME_SIZE, "unscanned.json: %s", strerror(-error));
    return error < 0 ? SCAN_UNKNOWN : SCAN_UNSCANNED;
}

static bool is_ending(struct scanner *scanner)
{
    pthread_mutex_lock(&scanner->lock);
    bool ending = scanner->ending;
    pthread_mutex_unlock(&scanner->lock);
    return ending;
}

static void serve(struct scanner *scanner, struct job *job)
{
    char text[CLAMD_NAME_SIZE] = "";
    int result = scan(scanner, job->memfd, text);
    if (result < 0 && is_ending(scanner))
        return; /* that we stop is not clamd's fault */
    enum scan_result outcome = judge(scanner, job, result, text);
    scanner->listener.scanned(scanner->listener.context, job->id, &job->name, outcome, text);
}

/* clamd may be back: some of those that were let pass. What was found leaves the list here, once
 * its rejection is durable: a crash in between must not make it pass for scanned. */
static void try_again(struct scanner *scanner)
{
    struct certname some[AGAIN_AT_ONCE];
    _cleanup_close_ int fd = get_connection(scanner);
    size_t count = scanner->unscanned_count;
    if (fd < 0)
        return;
    size_t left = count > AGAIN_AT_ONCE ? AGAIN_AT_ONCE : count;
    for (size_t i = 0; i < left; i++)
        some[i] = scanner->unscanned[(scanner->again_at + i) % count];
    scanner->again_at += left;
    count = left;
    for (size_t i = 0; i < count; i++)
        if (!scanner->listener.again(scanner->listener.context, &some[i]))
            remove_unscanned(scanner, &some[i]);
}

/* --- thread ----------------------------------------------------------------------------------- */

static void job_free(struct job *job)
{
    cleanup_close(&job->memfd);
    free(job);
}

/* The next job; NULL when it is time to look whether clamd is back, or to end. */
static struct job *next_job(struct scanner *scanner)
{
    const struct timespec until = in_ms(RETRY_MS);
    int waited = 0;
    pthread_mutex_lock(&scanner->lock);
    while (!scanner->first && !scanner->ending && waited == 0)
        waited = scanner->unscanned_count > 0
                     ? pthread_cond_timedwait(&scanner->wake, &scanner->lock, &until)
                     : pthread_cond_wait(&scanner->wake, &scanner->lock);
    struct job *job = scanner->ending ? NULL : scanner->first;
    if (job) {
        scanner->first = job->next;
        if (!scanner->first)
            scanner->end = &scanner->first;
    }
    pthread_mutex_unlock(&scanner->lock);
    return job;
}

static void *scanner_run(void *argument)
{
    struct scanner *scanner = argument;
    while (!is_ending(scanner)) {
        struct job *job = next_job(scanner);
        if (job) {
            serve(scanner, job);
            job_free(job);
        } else if (!is_ending(scanner)) {
            try_again(scanner);
        }
    }
    return NULL;
}

int scanner_new(const struct config_scan *config, int state_fd,
                const struct scanner_listener *listener, struct scanner **ret_scanner)
{
    struct scanner *scanner = calloc(1, sizeof *scanner);
    pthread_condattr_t monotonic;
    if (!scanner)
        return -ENOMEM;
    *scanner = (struct scanner){.config = config,
                                .state_fd = state_fd,
                                .listener = *listener,
                                .connection_fd = -1,
                                .busy_fd = -1};
    scanner->end = &scanner->first;
    pthread_mutex_init(&scanner->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&scanner->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    scanner->unscanned = calloc(SCANNER_UNSCANNED_MAX, sizeof *scanner->unscanned);
    int error = scanner->unscanned ? read_unscanned(scanner) : -ENOMEM;
    if (error == 0)
        error = -pthread_create(&scanner->thread, NULL, scanner_run, scanner);
    if (error < 0) {
        scanner_free(scanner);
        return error;
    }
    scanner->started = true;
    *ret_scanner = scanner;
    return 0;
}

struct scanner *scanner_free(struct scanner *scanner)
{
    if (!scanner)
        return NULL;
    if (scanner->started) {
        pthread_mutex_lock(&scanner->lock);
        scanner->ending = true;
        if (scanner->busy_fd >= 0)
            shutdown(scanner->busy_fd, SHUT_RDWR);
        pthread_cond_broadcast(&scanner->wake);
        pthread_mutex_unlock(&scanner->lock);
        pthread_join(scanner->thread, NULL);
    }
    while (scanner->first) {
        struct job *job = scanner->first;
        scanner->first = job->next;
        job_free(job);
    }
    cleanup_close(&scanner->connection_fd);
    pthread_cond_destroy(&scanner->wake);
    pthread_mutex_destroy(&scanner->lock);
    free(scanner->unscanned);
    free(scanner);
    return NULL;
}

int scanner_submit(struct scanner *scanner, uint64_t id, const struct certname *name, int memfd)
{
    struct job *job = malloc(sizeof *job);
    if (!job) {
        close(memfd);
        return -ENOMEM;
    }
    *job = (struct job){.id = id, .name = *name, .memfd = memfd};
    pthread_mutex_lock(&scanner->lock);
    *scanner->end = job;
    scanner->end = &job->next;
    pthread_cond_broadcast(&scanner->wake);
    pthread_mutex_unlock(&scanner->lock);
    return 0;
}

void scanner_connected(struct scanner *scanner, int fd)
{
    pthread_mutex_lock(&scanner->lock);
    cleanup_close(&scanner->connection_fd);
    scanner->connection_fd = fd;
    scanner->answered = true;
    pthread_cond_broadcast(&scanner->wake);
    pthread_mutex_unlock(&scanner->lock);
}

void scanner_statistics(struct scanner *scanner, struct scanner_statistics *ret_statistics)
{
    pthread_mutex_lock(&scanner->lock);
    *ret_statistics = scanner->count;
    ret_statistics->unscanned = scanner->unscanned_count;
    pthread_mutex_unlock(&scanner->lock);
}
