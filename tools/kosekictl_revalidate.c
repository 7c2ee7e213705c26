/* See kosekictl_revalidate.h. The run is the daemon's: this program only looks on, so to end it
 * ends nothing. */
#include "tools/kosekictl_revalidate.h"

#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_DIFFERS = 2, POLL_MS = 200 };

static const char usage_text[] =
    "revalidate [--apply] [--reason TEXT] [--after NUMBER] | --follow | --stop";

struct arguments {
    bool apply, follow, stop;
    const char *reason;
    int64_t after;
};

static bool read_arguments(struct arguments *arguments, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *rest = NULL;
        if (strcmp(argv[i], "--apply") == 0) {
            arguments->apply = true;
        } else if (strcmp(argv[i], "--follow") == 0) {
            arguments->follow = true;
        } else if (strcmp(argv[i], "--stop") == 0) {
            arguments->stop = true;
        } else if (strcmp(argv[i], "--reason") == 0 && i + 1 < argc) {
            arguments->reason = argv[++i];
        } else if (strcmp(argv[i], "--after") == 0 && i + 1 < argc) {
            errno = 0;
            arguments->after = strtoll(argv[++i], &rest, 10);
            if (errno || *rest || rest == argv[i] || arguments->after < 0)
                return false;
        } else {
            return false;
        }
    }
    bool begins = arguments->apply || arguments->reason || arguments->after;
    return !(arguments->follow && arguments->stop) &&
           !(begins && (arguments->follow || arguments->stop));
}

static int64_t number_of(const struct json *object, const char *key)
{
    int64_t value = 0;
    json_get_integer(object, key, &value);
    return value;
}

static bool is_true(const struct json *object, const char *key)
{
    bool value = false;
    return json_get_bool(object, key, &value) && value;
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_verdict(const struct json *at)
{
    const char *indication = json_get_text(at, "indication");
    const char *sub = json_get_text(at, "sub_indication");
    printf("%s%s%s", indication ? indication : "?", sub ? " " : "", sub ? sub : "");
}

static void print_why(const struct json *at)
{
    const char *check = json_get_text(at, "check"), *text = json_get_text(at, "text");
    if (check || text)
        printf("\t%s%s%s", check ? check : "", check && text ? ": " : "", text ? text : "");
}

static void print_row(const struct json *row)
{
    const char *name = json_get_text(row, "name"), *change = json_get_text(row, "change");
    const struct json *before = json_get(row, "before"), *after = json_get(row, "after");
    printf("%s\t%s\t", name ? name : "?", change ? change : "?");
    if (change && (strcmp(change, "unreadable") == 0 || strcmp(change, "sealed") == 0)) {
        printf("no verdict");
        print_why(after);
    } else {
        print_verdict(before);
        printf(" -> ");
        print_verdict(after);
        bool removed = !json_get_text(after, "check") && json_get_text(before, "check");
        print_why(removed ? before : after);
        if (removed)
            printf(" (no longer)");
    }
    puts(is_true(row, "applied") ? "\tapplied" : "");
}

static void print_rows(const struct asking *asking, const struct json *rows, int64_t *serial)
{
    for (size_t i = 0; i < json_array_count(rows); i++) {
        const struct json *row = json_array_at(rows, i);
        int64_t this = number_of(row, "serial");
        if (this > *serial + 1)
            fprintf(stderr, "kosekictl: %" PRId64 " rows are not kept any more\n",
                    this - *serial - 1);
        *serial = this;
        _cleanup_free_ char *line = asking->options->json ? json_print(row) : NULL;
        if (line)
            puts(line);
        else
            print_row(row);
    }
    fflush(stdout);
}

static void draw_progress(const struct json *totals, bool ended)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (ended)
        fputs("\r\033[K", stderr);
    else
        fprintf(stderr, "\r\033[K%" PRId64 " of %" PRId64, number_of(totals, "looked_at"),
                number_of(totals, "stored"));
}

static void print_totals(const struct asking *asking, const struct json *totals)
{
    void *cursor = NULL;
    const char *key;
    const struct json *value;
    _cleanup_free_ char *line = asking->options->json ? json_print(totals) : NULL;
    if (line) {
        puts(line);
        return;
    }
    while (json_next(totals, &cursor, &key, &value)) {
        _cleanup_free_ char *text = json_print(value);
        if (strcmp(key, "number") != 0 && strcmp(key, "running") != 0)
            printf("%s: %s\n", key, text ? text : "?");
    }
}

/* --- the run ---------------------------------------------------------------------------------- */

static int exit_of(const struct json *totals)
{
    static const char *const changes[] = {"verdict", "remarks", "undecided", "unreadable",
                                          "sealed"};
    if (is_true(totals, "stopped"))
        return EXIT_FAILED;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if (number_of(totals, changes[i]) > 0)
            return EXIT_DIFFERS;
    return 0;
}

/* Until the run has ended and all it found is printed. */
static int follow(struct asking *asking)
{
    static const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    int64_t serial = 0, number = 0;
    for (;;) {
        int status;
        if (json_set_text(asking->request, "command", "revalidation") < 0 ||
            json_set_integer(asking->request, "after", serial) < 0)
            return asking_out_of_memory();
        _cleanup_json_ struct json *reply = asking_send(asking, &status);
        if (!reply)
            return status;
        const struct json *totals = json_get(reply, "totals"), *rows = json_get(reply, "rows");
        int64_t this = number_of(totals, "number");
        if (this == 0 || (number && this != number)) {
            fprintf(stderr, "kosekictl: %s\n",
                    this == 0 ? "nothing was verified again since the daemon started"
                              : "another run has begun");
            return EXIT_FAILED;
        }
        number = this;
        bool ended = !is_true(totals, "running") && json_array_count(rows) == 0;
        draw_progress(totals, ended || json_array_count(rows) > 0);
        print_rows(asking, rows, &serial);
        if (ended) {
            print_totals(asking, totals);
            return exit_of(totals);
        }
        if (json_array_count(rows) == 0)
            nanosleep(&pause, NULL);
    }
}

static int begin(struct asking *asking, const struct arguments *arguments)
{
    int status;
    int64_t id;
    if ((arguments->apply && json_set_text(asking->request, "command", "revalidate-apply") < 0) ||
        (arguments->reason && json_set_text(asking->request, "reason", arguments->reason) < 0) ||
        json_set_integer(asking->request, "after", arguments->after) < 0)
        return asking_out_of_memory();
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    if (!json_get_integer(reply, "pending", &id))
        return follow(asking);
    printf("nothing is done yet: a second person gives \"kosekictl confirm %" PRId64
           "\"; kosekictl revalidate --follow then shows it\n",
           id);
    return EX_TEMPFAIL;
}

int kosekictl_revalidate(struct asking *asking, int argc, char **argv)
{
    struct arguments arguments = {0};
    if (!read_arguments(&arguments, argc, argv))
        return asking_usage(usage_text);
    if (arguments.follow)
        return follow(asking);
    if (!arguments.stop)
        return begin(asking, &arguments);
    return json_set_bool(asking->request, "stop", true) < 0 ? asking_out_of_memory()
                                                            : asking_print(asking, NULL);
}
