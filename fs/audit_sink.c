#include "fs/audit_sink.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

enum {
    FACILITY_AUDIT = 13, /* RFC 5424 6.2.1: log audit */
    SEVERITY_ERROR = 3,
    SEVERITY_WARNING = 4,
    SEVERITY_NOTICE = 5,
    SEVERITY_INFO = 6,
    HOST_MAX = 256,
    DATAGRAM_MAX = AUDIT_LINE_MAX + 512,
};

/* Before each line in the waiting room. */
struct waiting {
    uint32_t size;
    uint16_t kind;
    uint16_t severity;
    int64_t time_ns;
};

struct room {
    char *data;
    size_t used;
};

struct audit_sinks {
    atomic_bool connected; /* any */
    char host[HOST_MAX];

    pthread_mutex_t room_lock; /* filling; taken inside the trail's lock */
    struct room filling;
    struct room draining; /* the draining thread's */

    pthread_mutex_t sink_lock; /* fds; held while sending, which never waits */
    int fds[AUDIT_SINK_COUNT];
    _Atomic uint64_t sent[AUDIT_SINK_COUNT];
    _Atomic uint64_t dropped[AUDIT_SINK_COUNT];
};

struct audit_sinks *audit_sinks_new(void)
{
    struct audit_sinks *sinks = calloc(1, sizeof *sinks);
    if (!sinks)
        return NULL;
    pthread_mutex_init(&sinks->room_lock, NULL);
    pthread_mutex_init(&sinks->sink_lock, NULL);
    for (size_t i = 0; i < AUDIT_SINK_COUNT; i++)
        sinks->fds[i] = -1;
    if (gethostname(sinks->host, sizeof sinks->host - 1) < 0 || sinks->host[0] == '\0')
        memcpy(sinks->host, "-", 2);
    return sinks;
}

struct audit_sinks *audit_sinks_free(struct audit_sinks *sinks)
{
    if (!sinks)
        return NULL;
    for (size_t i = 0; i < AUDIT_SINK_COUNT; i++)
        cleanup_close(&sinks->fds[i]);
    free(sinks->filling.data);
    free(sinks->draining.data);
    pthread_mutex_destroy(&sinks->room_lock);
    pthread_mutex_destroy(&sinks->sink_lock);
    free(sinks);
    return NULL;
}

void audit_sinks_set(struct audit_sinks *sinks, enum audit_sink_kind kind, int fd)
{
    pthread_mutex_lock(&sinks->sink_lock);
    cleanup_close(&sinks->fds[kind]);
    sinks->fds[kind] = fd;
    bool any = false;
    for (size_t i = 0; i < AUDIT_SINK_COUNT; i++)
        any |= sinks->fds[i] >= 0;
    atomic_store(&sinks->connected, any);
    pthread_mutex_unlock(&sinks->sink_lock);
}

static uint16_t severity_of(enum audit_kind kind, enum audit_result result)
{
    if (kind == AUDIT_ALERT)
        return SEVERITY_WARNING;
    if (result == AUDIT_FAILED)
        return SEVERITY_ERROR;
    return result == AUDIT_DENIED ? SEVERITY_NOTICE : SEVERITY_INFO;
}

static void count_dropped(struct audit_sinks *sinks, uint64_t records)
{
    for (size_t i = 0; i < AUDIT_SINK_COUNT; i++)
        atomic_fetch_add(&sinks->dropped[i], records);
}

bool audit_sinks_push(struct audit_sinks *sinks, enum audit_kind kind, enum audit_result result,
                      int64_t time_ns, const char *line, size_t size)
{
    if (!atomic_load_explicit(&sinks->connected, memory_order_relaxed))
        return false;
    struct waiting waiting = {.size = (uint32_t)size - 1, /* without the line feed */
                              .kind = (uint16_t)kind,
                              .severity = severity_of(kind, result),
                              .time_ns = time_ns};
    pthread_mutex_lock(&sinks->room_lock);
    struct room *room = &sinks->filling;
    if (!room->data)
        room->data = malloc(AUDIT_SINK_PENDING_MAX);
    bool fits = room->data && room->used + sizeof waiting + size <= AUDIT_SINK_PENDING_MAX;
    if (fits) {
        memcpy(room->data + room->used, &waiting, sizeof waiting);
        memcpy(room->data + room->used + sizeof waiting, line, size - 1);
        room->used += sizeof waiting + size - 1;
    }
    bool hurry = room->used > AUDIT_SINK_PENDING_MAX / 2;
    pthread_mutex_unlock(&sinks->room_lock);
    if (!fits)
        count_dropped(sinks, 1);
    return hurry;
}

/* RFC 5424 6: header, no structured data, the line as message. */
static int format_syslog(const struct audit_sinks *sinks, const struct waiting *waiting,
                         const char *line, char out[DATAGRAM_MAX])
{
    char time[RFC3339_SIZE];
    rfc3339_format_ns(waiting->time_ns, time);
    size_t micro = strlen("2026-01-01T00:00:00.000000"); /* at most six digits: 6.2.3 */
    memcpy(time + micro, "Z", 2);
    return snprintf(out, DATAGRAM_MAX, "<%d>1 %s %s kosekifs %d %s - %.*s",
                    FACILITY_AUDIT * 8 + waiting->severity, time, sinks->host, (int)getpid(),
                    audit_kind_name(waiting->kind), (int)waiting->size, line);
}

/* systemd.journal-fields(7), the native protocol: a line has no line feed in it. */
static int format_journald(const struct waiting *waiting, const char *line, char out[DATAGRAM_MAX])
{
    return snprintf(
        out, DATAGRAM_MAX,
        "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=kosekifs\nKOSEKIFS_KIND=%s\n"
        "MESSAGE=%.*s\n",
        waiting->severity, FACILITY_AUDIT, audit_kind_name(waiting->kind), (int)waiting->size,
        line);
}

static void send_record(struct audit_sinks *sinks, const struct waiting *waiting, const char *line)
{
    char datagram[DATAGRAM_MAX];
    for (size_t kind = 0; kind < AUDIT_SINK_COUNT; kind++) {
        if (sinks->fds[kind] < 0)
            continue;
        int size = kind == AUDIT_SINK_SYSLOG ? format_syslog(sinks, waiting, line, datagram)
                                             : format_journald(waiting, line, datagram);
        if (size > 0 && size < DATAGRAM_MAX &&
            send(sinks->fds[kind], datagram, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) == size)
            atomic_fetch_add(&sinks->sent[kind], 1);
        else
            atomic_fetch_add(&sinks->dropped[kind], 1);
    }
}

void audit_sinks_drain(struct audit_sinks *sinks)
{
    pthread_mutex_lock(&sinks->room_lock);
    struct room full = sinks->filling;
    sinks->filling = sinks->draining;
    sinks->draining = full;
    pthread_mutex_unlock(&sinks->room_lock);

    pthread_mutex_lock(&sinks->sink_lock);
    for (size_t offset = 0; offset < full.used;) {
        struct waiting waiting;
        memcpy(&waiting, full.data + offset, sizeof waiting);
        offset += sizeof waiting;
        send_record(sinks, &waiting, full.data + offset);
        offset += waiting.size;
    }
    pthread_mutex_unlock(&sinks->sink_lock);
    sinks->draining.used = 0;
}

void audit_sinks_counts(struct audit_sinks *sinks, struct audit_status *ret_status)
{
    pthread_mutex_lock(&sinks->sink_lock);
    for (size_t i = 0; i < AUDIT_SINK_COUNT; i++) {
        ret_status->sink_connected[i] = sinks->fds[i] >= 0;
        ret_status->sink_sent[i] = atomic_load(&sinks->sent[i]);
        ret_status->sink_dropped[i] = atomic_load(&sinks->dropped[i]);
    }
    pthread_mutex_unlock(&sinks->sink_lock);
}
