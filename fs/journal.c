/*
 * See journal.h. The head fills the first page, the threads' places follow, then the small ones.
 * Small places are given out from the lowest on, and pages that were never used take no memory:
 * ten thousand waiting requests cost 1.3 MB.
 *
 * The threads' places are mapped in advance. While a process dies the kernel may refuse it new
 * pages, and a request whose copy fails is answered EIO by the kernel itself.
 */
#include "fs/journal.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/memfd.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    JOURNAL_MAGIC = 0x4b4a4e4c,
    JOURNAL_VERSION = 1,
    JOURNAL_HEAD_SIZE = 4096,
    THREADS_SIZE = JOURNAL_THREADS_MAX * JOURNAL_REQUEST_MAX,
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
    PARKED_REQUEST_MAX = JOURNAL_PARKED_SIZE - 8,
};

struct journal_head {
    uint32_t magic, version;
    uint64_t connection;
    uint32_t parked_high; /* no small place from here on was ever used */
    uint32_t init_size;   /* 0: INIT has not come */
    _Alignas(8) uint8_t init[JOURNAL_INIT_MAX];
    uint8_t thread_tries[JOURNAL_THREADS_MAX];
};

struct parked_place {
    _Alignas(8) uint8_t request[PARKED_REQUEST_MAX];
    uint8_t tries;
    atomic_uchar interrupted;
    uint32_t since_s; /* clock_monotonic_ms() / 1000 of its beginning, or of its replay */
};

struct journal_memory {
    struct journal_head head;
    _Alignas(JOURNAL_HEAD_SIZE) uint8_t threads[JOURNAL_THREADS_MAX][JOURNAL_REQUEST_MAX];
    struct parked_place parked[JOURNAL_PARKED_MAX];
};
_Static_assert(sizeof(struct journal_head) <= JOURNAL_HEAD_SIZE &&
                   offsetof(struct journal_memory, threads) == JOURNAL_HEAD_SIZE &&
                   sizeof(struct parked_place) == JOURNAL_PARKED_SIZE,
               "the form in memory");

struct journal {
    struct journal_memory *memory;
    pthread_mutex_t lock; /* guards what follows and head.parked_high */
    uint32_t *free;       /* small places below parked_high that are free */
    uint32_t free_count, free_size;
};

int journal_make(int *ret_fd)
{
    struct journal_head head = {.magic = JOURNAL_MAGIC, .version = JOURNAL_VERSION};
    _cleanup_close_ int fd = -1;
    int error = random_bytes(&head.connection, sizeof head.connection);
    if (error == 0)
        error = memfd_new("fuse-journal", &fd);
    if (error < 0)
        return error;
    if (ftruncate(fd, sizeof(struct journal_memory)) < 0 ||
        pwrite(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

int journal_check(int fd)
{
    struct journal_head head;
    struct stat status;
    if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || fstat(fd, &status) < 0 ||
        pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || head.magic != JOURNAL_MAGIC)
        return -EBADMSG;
    if (head.version != JOURNAL_VERSION || status.st_size != sizeof(struct journal_memory))
        return -EPROTONOSUPPORT;
    if (head.parked_high > JOURNAL_PARKED_MAX || head.init_size > JOURNAL_INIT_MAX)
        return -EBADMSG;
    return 0;
}

/* The length is the first field, and the last to be written. */
static uint32_t length_of(const struct fuse_in_header *request)
{
    return atomic_load_explicit((const _Atomic uint32_t *)&request->len, memory_order_acquire);
}

static void set_length(struct fuse_in_header *request, uint32_t length)
{
    atomic_store_explicit((_Atomic uint32_t *)&request->len, length, memory_order_release);
}

static struct fuse_in_header *thread_request(struct journal_memory *memory, unsigned i)
{
    return (struct fuse_in_header *)(void *)memory->threads[i];
}

static struct fuse_in_header *parked_request(struct journal_memory *memory, uint32_t i)
{
    return (struct fuse_in_header *)(void *)memory->parked[i].request;
}

/* Only what ops parks, in the form that libfuse relies on. */
static bool parked_valid(const struct fuse_in_header *request)
{
    uint32_t size = request->len;
    if (size <= sizeof *request || size > PARKED_REQUEST_MAX)
        return false;
    if (request->opcode == FUSE_OPEN)
        return size == sizeof *request + sizeof(struct fuse_open_in);
    return request->opcode == FUSE_LOOKUP && ((const char *)request)[size - 1] == '\0';
}

static bool stands_parked(struct journal_memory *memory, uint64_t unique)
{
    for (uint32_t i = 0; i < memory->head.parked_high; i++) {
        const struct fuse_in_header *request = parked_request(memory, i);
        if (length_of(request) && request->unique == unique)
            return true;
    }
    return false;
}

static void settle_threads(struct journal_memory *memory, bool fault)
{
    for (unsigned i = 0; i < JOURNAL_THREADS_MAX; i++) {
        struct fuse_in_header *request = thread_request(memory, i);
        uint32_t size = length_of(request);
        if (size == 0 || size < sizeof *request || size > JOURNAL_REQUEST_MAX ||
            stands_parked(memory, request->unique)) {
            set_length(request, 0);
            memory->head.thread_tries[i] = 0;
        } else {
            memory->head.thread_tries[i] += fault;
        }
    }
}

static uint32_t now_s(void)
{
    return (uint32_t)(clock_monotonic_ms() / 1000);
}

static int settle_parked(struct journal *journal, bool fault)
{
    struct journal_memory *memory = journal->memory;
    uint32_t high = memory->head.parked_high;
    journal->free_size = high < 1024 ? 1024 : high;
    journal->free = malloc(journal->free_size * sizeof *journal->free);
    if (!journal->free)
        return -ENOMEM;
    for (uint32_t i = high; i-- > 0;) {
        struct parked_place *place = &memory->parked[i];
        if (parked_valid(parked_request(memory, i))) {
            place->tries += fault;
            place->since_s = now_s();
            continue;
        }
        set_length(parked_request(memory, i), 0);
        journal->free[journal->free_count++] = i; /* the lowest ends on top */
    }
    return 0;
}

int journal_open(int fd, bool fault, struct journal **ret_journal)
{
    int error = journal_check(fd);
    if (error < 0)
        return error;
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return -ENOMEM;
    pthread_mutex_init(&journal->lock, NULL);
    journal->memory =
        mmap(NULL, sizeof *journal->memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (journal->memory == MAP_FAILED) {
        error = -errno;
        journal->memory = NULL;
    }
    for (size_t at = 0; error == 0 && at < JOURNAL_HEAD_SIZE + THREADS_SIZE; at += 4096) {
        /* A write fault, whatever stands there. */
        _Atomic uint8_t *page = (_Atomic uint8_t *)journal->memory + at;
        atomic_fetch_or(page, 0);
    }
    if (error == 0)
        error = settle_parked(journal, fault);
    if (error < 0) {
        journal_close(journal);
        return error;
    }
    settle_threads(journal->memory, fault);
    *ret_journal = journal;
    return 0;
}

struct journal *journal_close(struct journal *journal)
{
    if (journal) {
        if (journal->memory)
            munmap(journal->memory, sizeof *journal->memory);
        pthread_mutex_destroy(&journal->lock);
        free(journal->free);
        free(journal);
    }
    return NULL;
}

uint64_t journal_connection(const struct journal *journal)
{
    return journal->memory->head.connection;
}

const struct fuse_in_header *journal_init_request(const struct journal *journal)
{
    const struct journal_head *head = &journal->memory->head;
    const struct fuse_in_header *request = (const struct fuse_in_header *)(const void *)head->init;
    bool there = head->init_size > sizeof *request && request->len == head->init_size &&
                 request->opcode == FUSE_INIT;
    return there ? request : NULL;
}

void journal_save_init(struct journal *journal, const struct fuse_in_header *request)
{
    struct journal_head *head = &journal->memory->head;
    if (request->len > sizeof head->init)
        return;
    memcpy(head->init, request, request->len);
    atomic_thread_fence(memory_order_release);
    head->init_size = request->len;
}

struct fuse_in_header *journal_thread_place(struct journal *journal, unsigned thread)
{
    return thread_request(journal->memory, thread);
}

struct fuse_in_header *journal_next_parked(struct journal *journal, uint32_t *cursor)
{
    while (*cursor < journal->memory->head.parked_high) {
        struct fuse_in_header *request = parked_request(journal->memory, (*cursor)++);
        if (length_of(request))
            return request;
    }
    return NULL;
}

/* The number of a small place; -1 for one of a thread. */
static int64_t parked_index(const struct journal *journal, const struct fuse_in_header *place)
{
    const uint8_t *at = (const uint8_t *)place;
    const uint8_t *first = (const uint8_t *)journal->memory->parked;
    return at < first ? -1 : (at - first) / JOURNAL_PARKED_SIZE;
}

bool journal_is_parked(const struct journal *journal, const struct fuse_in_header *place)
{
    return parked_index(journal, place) >= 0;
}

bool journal_suspected(const struct journal *journal, const struct fuse_in_header *place)
{
    int64_t parked = parked_index(journal, place);
    const uint8_t *first = (const uint8_t *)journal->memory->threads;
    if (parked >= 0)
        return journal->memory->parked[parked].tries >= JOURNAL_TRIES_MAX;
    return journal->memory->head
               .thread_tries[((const uint8_t *)place - first) / JOURNAL_REQUEST_MAX] >=
           JOURNAL_TRIES_MAX;
}

/* Under the lock: a free place, or JOURNAL_PARKED_MAX. */
static uint32_t take_free(struct journal *journal)
{
    struct journal_head *head = &journal->memory->head;
    if (journal->free_count > 0)
        return journal->free[--journal->free_count];
    if (head->parked_high == JOURNAL_PARKED_MAX)
        return JOURNAL_PARKED_MAX;
    if (head->parked_high == journal->free_size) {
        uint32_t *larger = reallocarray(journal->free, journal->free_size, 2 * sizeof *larger);
        if (!larger)
            return JOURNAL_PARKED_MAX;
        journal->free = larger;
        journal->free_size *= 2;
    }
    return head->parked_high++;
}

int journal_park(struct journal *journal, const struct fuse_in_header *request,
                 struct fuse_in_header **ret_place)
{
    if (request->len > PARKED_REQUEST_MAX)
        return -EMSGSIZE;
    pthread_mutex_lock(&journal->lock);
    uint32_t i = take_free(journal);
    pthread_mutex_unlock(&journal->lock);
    if (i == JOURNAL_PARKED_MAX)
        return -ENOSPC;
    struct fuse_in_header *place = parked_request(journal->memory, i);
    journal->memory->parked[i].tries = 0;
    journal->memory->parked[i].since_s = now_s();
    atomic_store(&journal->memory->parked[i].interrupted, 0);
    memcpy((uint8_t *)place + sizeof place->len, (const uint8_t *)request + sizeof place->len,
           request->len - sizeof place->len);
    set_length(place, request->len);
    *ret_place = place;
    return 0;
}

void journal_interrupt(struct journal *journal, const struct fuse_in_header *place)
{
    atomic_store(&journal->memory->parked[parked_index(journal, place)].interrupted, 1);
}

bool journal_interrupted(const struct journal *journal, const struct fuse_in_header *place)
{
    return atomic_load(&journal->memory->parked[parked_index(journal, place)].interrupted) != 0;
}

void journal_clear(struct journal *journal, struct fuse_in_header *place)
{
    int64_t parked = parked_index(journal, place);
    set_length(place, 0);
    if (parked < 0) {
        const uint8_t *first = (const uint8_t *)journal->memory->threads;
        journal->memory->head.thread_tries[((const uint8_t *)place - first) / JOURNAL_REQUEST_MAX] =
            0;
        return;
    }
    pthread_mutex_lock(&journal->lock);
    journal->free[journal->free_count++] = (uint32_t)parked;
    pthread_mutex_unlock(&journal->lock);
}

unsigned journal_count(struct journal *journal, uint32_t *ret_oldest_s)
{
    struct journal_memory *memory = journal->memory;
    uint32_t now = now_s(), oldest_s = 0;
    unsigned count = 0;
    pthread_mutex_lock(&journal->lock);
    uint32_t high = memory->head.parked_high;
    pthread_mutex_unlock(&journal->lock);
    for (unsigned i = 0; i < JOURNAL_THREADS_MAX; i++)
        count += length_of(thread_request(memory, i)) != 0;
    for (uint32_t i = 0; i < high; i++) {
        if (length_of(parked_request(memory, i)) == 0)
            continue;
        uint32_t age_s = now - memory->parked[i].since_s;
        oldest_s = age_s > oldest_s ? age_s : oldest_s;
        count++;
    }
    *ret_oldest_s = oldest_s;
    return count;
}
