/*
 * Beginnings of bodies, stored while they come, so that neither a cut nor a crash of any process
 * costs more than a piece of them; and what becomes of a fetch that nobody waits for any more.
 *
 * Only bodies with a strong validator are kept, for only these can be continued. One that has been
 * on its way for a moment only is not: small ones on a good line are through before, and a write to
 * the store would cost more than the line.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/memfd.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PIECE_MIN = 256 * 1024,      /* what may be lost */
    PIECE_MAX = 1024 * 1024,     /* of one transaction */
    PIECE_AGE_MS = 100,          /* of a transfer of which pieces are stored */
    LEAVE_EARLY_MS = 100,        /* later the link ends it by itself, and then the address has had
                                    all the time there was: that counts */
    EXPIRE_EVERY_MS = 60 * 1000, /* how often partial bodies are looked through */
};

/* What the store thread shall do with the beginning of a body. */
struct piece {
    struct piece *next;
    struct certname name;
    char validator[CACHE_VALIDATOR_MAX];
    uint64_t flight_id;
    uint64_t size, from, upto;
    int memfd; /* owned; -1: what is stored is of no more use, drop it */
};

static struct piece *piece_free(struct piece *piece)
{
    cleanup_close(&piece->memfd);
    free(piece);
    return NULL;
}

static struct piece *queue_piece(struct provide *provide, const struct flight *flight)
{
    struct piece *piece = calloc(1, sizeof *piece);
    if (!piece)
        return NULL;
    piece->name = flight->name;
    memcpy(piece->validator, flight->entry.validator, sizeof piece->validator);
    piece->flight_id = flight->id;
    piece->size = flight->entry.size;
    piece->memfd = -1;
    *provide->pieces_end = piece;
    provide->pieces_end = &piece->next;
    pthread_cond_signal(&provide->store_ready);
    return piece;
}

static void step_store_piece(struct provide *provide, struct flight *flight, uint64_t upto)
{
    int memfd = fcntl(flight->memfd, F_DUPFD_CLOEXEC, 0);
    struct piece *piece = memfd < 0 ? NULL : queue_piece(provide, flight);
    if (!piece) {
        cleanup_close(&memfd);
        flight->keep = false;
        return;
    }
    piece->memfd = memfd;
    piece->from = flight->partial;
    piece->upto = upto;
    flight->storing = true;
}

uint64_t step_body_size(const struct flight *flight)
{
    struct stat status;
    return flight->memfd >= 0 && fstat(flight->memfd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Nobody waits any more. A look-up leaves, and so does a body of which nothing has come: a wait of
 * nobody's is not the address's fault, whatever it is waiting for. Of what can be continued the
 * rest is stored first. What cannot goes on in the background while it comes and nobody wants its
 * place.
 */
static void step_give_up(struct provide *provide, struct flight *flight, uint64_t size)
{
    bool begun = flight->kind == FLIGHT_CONTENT && size > 0;
    if (begun && flight->keep && !flight->last_stored && size > flight->partial &&
        size < flight->entry.size) {
        flight->last_stored = true;
        step_store_piece(provide, flight, size);
        return;
    }
    bool wanted =
        shares_queued(provide->shares, SHARE_SMALL) + shares_queued(provide->shares, SHARE_LARGE);
    if (begun && !flight->keep && !wanted)
        return;
    if (!flight->storing && link_client_cancel(provide->link_fd, flight->id) == 0)
        flight->cancelled = true;
}

void step_partial(struct provide *provide, struct flight *flight, int64_t now_ms)
{
    if (flight->stage != FLIGHT_AT_LINK || flight->preparing || flight->cancelled ||
        flight->storing)
        return;
    uint64_t size = step_body_size(flight);
    flight->received = size;
    if (!flight->waiters && now_ms + LEAVE_EARLY_MS < flight->link_until_ms)
        step_give_up(provide, flight, size);
    else if (flight->waiters && flight->kind == FLIGHT_CONTENT && flight->keep &&
             now_ms - flight->sent_ms >= PIECE_AGE_MS && size < flight->entry.size &&
             size >= flight->partial + PIECE_MIN)
        step_store_piece(provide, flight, size);
}

void step_partial_ended(struct provide *provide, struct flight *flight, enum link_result result)
{
    uint64_t size = step_body_size(flight);
    bool useless = result == LINK_PROTOCOL || result == LINK_CHANGED || result == LINK_TOO_LARGE ||
                   result == LINK_NOT_FOUND || result == LINK_GONE;
    if (useless && (flight->partial > 0 || flight->storing)) {
        step_drop_partial(provide, flight);
    } else if (!useless && flight->keep && !flight->storing && size > flight->partial &&
               size < flight->entry.size) {
        step_store_piece(provide, flight, size);
        flight->storing = false; /* its flight does not wait for it */
    }
}

void step_drop_partial(struct provide *provide, struct flight *flight)
{
    flight->partial = 0;
    if (!queue_piece(provide, flight))
        log_debug("a partial body stays until it expires");
}

/* --- the store thread, without the lock ------------------------------------------------------- */

static int read_piece(int memfd, uint8_t *out, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pread(memfd, out, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ESTALE; /* the body begins anew */
        out += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* Moves piece->from as far as it got. */
static int write_piece(struct provide *provide, struct piece *piece)
{
    _cleanup_free_ uint8_t *content = malloc(PIECE_MAX);
    int r = content ? 0 : -ENOMEM;
    while (r == 0 && piece->from < piece->upto) {
        uint64_t left = piece->upto - piece->from;
        size_t size = left < PIECE_MAX ? left : PIECE_MAX;
        r = read_piece(piece->memfd, content, size, piece->from);
        if (r == 0)
            r = cache_partial_append(provide->cache, &piece->name, piece->validator, piece->size,
                                     piece->from, bytes_of(content, size), clock_realtime_s());
        if (r == 0)
            piece->from += size;
    }
    if (content)
        wipe(content, PIECE_MAX);
    return r;
}

void provide_store_piece(struct provide *provide)
{
    provide_lock(provide);
    struct piece *piece = provide->pieces;
    if (piece) {
        provide->pieces = piece->next;
        if (!provide->pieces)
            provide->pieces_end = &provide->pieces;
    }
    pthread_mutex_unlock(&provide->lock);
    if (!piece)
        return;
    int r = piece->memfd >= 0 ? write_piece(provide, piece)
                              : cache_partial_drop(provide->cache, &piece->name);
    if (r < 0)
        log_debug("beginning of a body: %s", strerror(-r));
    provide_lock(provide);
    struct flight *flight = flights_find_id(provide->flights, piece->flight_id);
    if (flight && piece->memfd >= 0) {
        flight->storing = false;
        flight->partial = piece->from;
        flight->keep = flight->keep && r == 0;
        provide->count.partial_bytes += r == 0 ? piece->upto : 0;
    }
    provide_unlock(provide);
    provide_wake(provide);
    piece_free(piece);
}

void provide_expire_partials(struct provide *provide, int64_t now_ms)
{
    unsigned expired = 0;
    if (now_ms < provide->expire_ms)
        return;
    provide->expire_ms = now_ms + EXPIRE_EVERY_MS;
    int r = cache_partial_expire(
        provide->cache, clock_realtime_s() - provide->config->partial_timeout / 1000, &expired);
    if (r < 0)
        log_warning("partial bodies cannot be expired: %s", strerror(-r));
    else if (expired > 0)
        log_info("%u partial bodies erased: nobody asked for them any more", expired);
}

int provide_load_partial(struct provide *provide, struct flight *flight)
{
    _cleanup_free_ uint8_t *content = malloc(flight->entry.size + 1);
    size_t size = 0;
    int memfd = -1;
    if (!content)
        return -ENOMEM;
    int r = cache_partial_load(provide->cache, &flight->name, content, flight->entry.size, &size);
    if (r == 0)
        r = memfd_new("certificate", &memfd);
    for (size_t at = 0; r == 0 && at < size;) {
        ssize_t n = pwrite(memfd, content + at, size - at, (off_t)at);
        if (n <= 0)
            r = n < 0 ? -errno : -EIO;
        else
            at += (size_t)n;
    }
    wipe(content, flight->entry.size + 1);
    if (r == 0)
        flight->memfd = memfd;
    else
        cleanup_close(&memfd);
    return r > 0 ? -ENOENT : r;
}

void provide_partials_free(struct provide *provide)
{
    while (provide->pieces) {
        struct piece *piece = provide->pieces;
        provide->pieces = piece->next;
        piece_free(piece);
    }
}
