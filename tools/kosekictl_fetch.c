/*
 * See kosekictl_fetch.h. A few lanes, threads with a connection each, take one name after the
 * other; the main thread asks how far the daemon has come and draws the bar.
 */
#include "tools/kosekictl_fetch.h"

#include "base/bytes.h"
#include "base/certname.h"
#include "base/clock.h"
#include "base/json.h"
#include "tools/asking.h"
#include "tools/control_client.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    LANES = 6, /* of the eight connections that one user may have */
    NAMES_MAX = 100000,
    DRAW_EVERY_MS = 250,
    BAR_WIDTH = 20,
    EXIT_SOME_FAILED = 1,
};

struct fetch {
    const struct kosekictl_options *options;
    bool again, wait;
    struct certname *names;
    size_t count;
    pthread_mutex_t lock; /* guards all below, and standard output */
    pthread_cond_t ended;
    size_t next, done, failed;
    unsigned lanes;
    uint64_t bytes; /* of what is done */
    bool daemon_gone, bar_drawn;
};

static const char usage_text[] = "fetch [--again] [--wait] ID... | --from FILE";

/* --- names ------------------------------------------------------------------------------------ */

/* A request id alone stands for the PDF. */
static int add_name(struct fetch *fetch, const char *text)
{
    char name[CERTNAME_MAX + sizeof ".pdf"];
    if (fetch->count == NAMES_MAX || strlen(text) > CERTNAME_MAX)
        return -EINVAL;
    snprintf(name, sizeof name, "%s%s", text, strchr(text, '.') ? "" : ".pdf");
    struct certname *longer = reallocarray(fetch->names, fetch->count + 1, sizeof *longer);
    if (!longer)
        return -ENOMEM;
    fetch->names = longer;
    if (!certname_parse(name, &fetch->names[fetch->count]))
        return -EINVAL;
    fetch->count++;
    return 0;
}

static int complain(const char *text, int error)
{
    fprintf(stderr, "kosekictl: %s: %s\n", text,
            error == -EINVAL ? "not the name of a certificate, or too many" : strerror(-error));
    return error == -EINVAL ? EX_DATAERR : EX_NOINPUT;
}

/* One name a line; empty lines and those with # are passed over. "-" is standard input. */
static int add_file(struct fetch *fetch, const char *path)
{
    _cleanup_fclose_ FILE *opened = strcmp(path, "-") == 0 ? NULL : fopen(path, "re");
    FILE *file = strcmp(path, "-") == 0 ? stdin : opened;
    char line[256];
    if (!file)
        return complain(path, -errno);
    while (fgets(line, sizeof line, file)) {
        size_t size = strcspn(line, " \t\r\n");
        bool whole = line[size] != '\0' || feof(file);
        line[size] = '\0';
        int error = !whole ? -EINVAL : *line && *line != '#' ? add_name(fetch, line) : 0;
        if (error < 0)
            return complain(line, error);
    }
    return 0;
}

static int read_arguments(struct fetch *fetch, int argc, char **argv)
{
    int status = 0;
    for (int i = 1; i < argc && status == 0; i++) {
        if (strcmp(argv[i], "--again") == 0)
            fetch->again = true;
        else if (strcmp(argv[i], "--wait") == 0)
            fetch->wait = true;
        else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
            status = add_file(fetch, argv[++i]);
        else if (argv[i][0] == '-')
            return asking_usage(usage_text);
        else if (add_name(fetch, argv[i]) < 0)
            status = complain(argv[i], -EINVAL);
    }
    return status == 0 && fetch->count == 0 ? asking_usage(usage_text) : status;
}

/* --- lanes ------------------------------------------------------------------------------------ */

static void clear_bar(struct fetch *fetch)
{
    if (fetch->bar_drawn)
        fputs("\r\033[K", stderr);
    fetch->bar_drawn = false;
}

/* Under the lock. */
static void print_result(struct fetch *fetch, const struct certname *name, const char *error,
                         int64_t size, int64_t ms)
{
    clear_bar(fetch);
    if (!fetch->options->json) {
        if (error)
            printf("%s\tfailed\t%s\n", name->text, error);
        else
            printf("%s\tready\t%" PRId64 " bytes\t%" PRId64 " ms\n", name->text, size, ms);
    } else {
        _cleanup_json_ struct json *row = json_object_new();
        bool made = row && json_set_text(row, "name", name->text) == 0 &&
                    json_set_text(row, "state", error ? "failed" : "ready") == 0 &&
                    json_set_integer(row, "bytes", size) == 0 &&
                    json_set_integer(row, "ms", ms) == 0 &&
                    (!error || json_set_text(row, "error", error) == 0);
        _cleanup_free_ char *line = made ? json_print(row) : NULL;
        puts(line ? line : "{}");
    }
    fflush(stdout);
}

/* False when the daemon is gone. */
static bool fetch_one(struct fetch *fetch, int fd, const struct certname *name)
{
    _cleanup_json_ struct json *request = json_object_new();
    _cleanup_json_ struct json *reply = NULL;
    int64_t began_ms = clock_monotonic_ms(), size = 0;
    bool ok = false;
    if (!request || json_set_text(request, "command", "fetch") < 0 ||
        json_set_text(request, "name", name->text) < 0 ||
        json_set_bool(request, "again", fetch->again) < 0 ||
        json_set_bool(request, "wait", fetch->wait) < 0)
        return false;
    int error = control_client_ask(fd, request, &reply);
    const char *text = error < 0 ? strerror(-error) : json_get_text(reply, "error");
    ok = error == 0 && json_get_bool(reply, "ok", &ok) && ok;
    if (ok)
        json_get_integer(reply, "size", &size);
    pthread_mutex_lock(&fetch->lock);
    fetch->done++;
    fetch->failed += !ok;
    fetch->bytes += (uint64_t)size;
    print_result(fetch, name,
                 ok     ? NULL
                 : text ? text
                        : "refused",
                 size, clock_monotonic_ms() - began_ms);
    fetch->daemon_gone = fetch->daemon_gone || error < 0;
    pthread_mutex_unlock(&fetch->lock);
    return error == 0;
}

static void *run_lane(void *context)
{
    struct fetch *fetch = context;
    _cleanup_close_ int fd = control_client_connect(fetch->options->socket);
    bool going = fd >= 0;
    while (going) {
        pthread_mutex_lock(&fetch->lock);
        const struct certname *name =
            fetch->next < fetch->count ? &fetch->names[fetch->next++] : NULL;
        pthread_mutex_unlock(&fetch->lock);
        going = name && fetch_one(fetch, fd, name);
    }
    pthread_mutex_lock(&fetch->lock);
    fetch->lanes--;
    pthread_cond_signal(&fetch->ended);
    pthread_mutex_unlock(&fetch->lock);
    return NULL;
}

/* --- progress --------------------------------------------------------------------------------- */

struct progress {
    uint64_t received, size; /* of what is under way */
    uint64_t preparing;
};

/* What the daemon says of the names that are under way; none is better than no bar. */
static struct progress ask_progress(int fd)
{
    struct progress progress = {0};
    _cleanup_json_ struct json *request = json_object_new();
    _cleanup_json_ struct json *reply = NULL;
    if (!request || json_set_text(request, "command", "progress") < 0 ||
        control_client_ask(fd, request, &reply) < 0)
        return progress;
    const struct json *rows = json_get(reply, "fetches");
    for (size_t i = 0; i < json_array_count(rows); i++) {
        const struct json *row = json_array_at(rows, i);
        const char *stage = json_get_text(row, "stage");
        int64_t received = 0, size = 0;
        json_get_integer(row, "received", &received);
        json_get_integer(row, "size", &size);
        progress.received += (uint64_t)received;
        progress.size += (uint64_t)size;
        progress.preparing += stage && strcmp(stage, "preparing") == 0;
    }
    return progress;
}

/* Under the lock. */
static void draw(struct fetch *fetch, const struct progress *progress, int64_t began_ms)
{
    double seconds = (double)(clock_monotonic_ms() - began_ms) / 1000.0;
    double rate = seconds > 0 ? (double)(fetch->bytes + progress->received) / seconds : 0;
    double each = fetch->done > fetch->failed
                      ? (double)fetch->bytes / (double)(fetch->done - fetch->failed)
                      : (double)progress->size;
    size_t left = fetch->count - fetch->done;
    double rest = rate > 0 ? (double)left * each / rate : 0;
    size_t filled = fetch->done * BAR_WIDTH / fetch->count;
    clear_bar(fetch);
    fprintf(stderr,
            "[%.*s%*s] %zu/%zu  %.1f MiB  %.2f MiB/s  %.0f s left  waiting %zu  preparing %" PRIu64
            "  failed %zu",
            (int)filled, "####################", (int)(BAR_WIDTH - filled), "", fetch->done,
            fetch->count, (double)(fetch->bytes + progress->received) / 1048576.0, rate / 1048576.0,
            rest, left, progress->preparing, fetch->failed);
    fflush(stderr);
    fetch->bar_drawn = true;
}

static void watch_lanes(struct fetch *fetch)
{
    bool shown = isatty(STDERR_FILENO) && !fetch->options->json;
    _cleanup_close_ int fd = shown ? control_client_connect(fetch->options->socket) : -1;
    int64_t began_ms = clock_monotonic_ms();
    pthread_mutex_lock(&fetch->lock);
    while (fetch->lanes > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += DRAW_EVERY_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&fetch->ended, &fetch->lock, &until);
        if (fd < 0 || fetch->lanes == 0)
            continue;
        pthread_mutex_unlock(&fetch->lock);
        struct progress progress = ask_progress(fd);
        pthread_mutex_lock(&fetch->lock);
        draw(fetch, &progress, began_ms);
    }
    clear_bar(fetch);
    pthread_mutex_unlock(&fetch->lock);
}

static int run(struct fetch *fetch)
{
    pthread_t lanes[LANES];
    unsigned started = 0;
    pthread_mutex_lock(&fetch->lock);
    while (started < LANES && started < fetch->count &&
           pthread_create(&lanes[started], NULL, run_lane, fetch) == 0)
        started++;
    fetch->lanes = started;
    pthread_mutex_unlock(&fetch->lock);
    watch_lanes(fetch);
    for (unsigned i = 0; i < started; i++)
        pthread_join(lanes[i], NULL);
    if (fetch->done < fetch->count || fetch->daemon_gone) {
        fprintf(stderr, "kosekictl: %s: no answer from the daemon; %zu of %zu asked for\n",
                fetch->options->socket, fetch->done, fetch->count);
        return EX_UNAVAILABLE;
    }
    return fetch->failed > 0 ? EXIT_SOME_FAILED : 0;
}

int kosekictl_fetch(const struct kosekictl_options *options, int argc, char **argv)
{
    struct fetch fetch = {.options = options};
    int status = read_arguments(&fetch, argc, argv);
    pthread_mutex_init(&fetch.lock, NULL);
    pthread_cond_init(&fetch.ended, NULL);
    if (status == 0)
        status = run(&fetch);
    pthread_cond_destroy(&fetch.ended);
    pthread_mutex_destroy(&fetch.lock);
    free(fetch.names);
    return status;
}
