/* See asking.h. */
#include "tools/asking.h"

#include "base/json.h"
#include "tools/control_client.h"

#include <string.h>
#include <sysexits.h>

enum { EXIT_REFUSED = 1 };

/* --- printing --------------------------------------------------------------------------------- */

static void print_value(const char *key, const struct json *value, int depth)
{
    const char *text = json_text(value), *member;
    const struct json *child;
    void *cursor = NULL;
    if (json_is_object(value)) {
        printf("%*s%s:\n", 2 * depth, "", key);
        while (json_next(value, &cursor, &member, &child))
            print_value(member, child, depth + 1);
    } else if (json_array_count(value) > 0) {
        for (size_t i = 0; i < json_array_count(value); i++)
            print_value(key, json_array_at(value, i), depth);
    } else if (text) {
        printf("%*s%s: %s\n", 2 * depth, "", key, text);
    } else {
        _cleanup_free_ char *printed = json_print(value);
        printf("%*s%s: %s\n", 2 * depth, "", key, printed ? printed : "?");
    }
}

static void print_members(const struct json *object)
{
    void *cursor = NULL;
    const char *key;
    const struct json *value;
    while (json_next(object, &cursor, &key, &value))
        if (strcmp(key, "ok") != 0)
            print_value(key, value, 0);
}

void asking_print_rows(const struct json *rows)
{
    for (size_t i = 0; i < json_array_count(rows); i++) {
        const struct json *row = json_array_at(rows, i), *value;
        void *cursor = NULL;
        const char *key, *separator = "";
        while (json_next(row, &cursor, &key, &value)) {
            _cleanup_free_ char *printed =
                json_text(value) ? strdup(json_text(value)) : json_print(value);
            printf("%s%s", separator, printed ? printed : "?");
            separator = "\t";
        }
        putchar('\n');
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

struct json *asking_send(struct asking *asking, int *ret_exit)
{
    _cleanup_json_ struct json *reply = NULL;
    bool ok = false;
    int error =
        control_client_ask_with(asking->fd, asking->request, asking->fds, asking->fd_count, &reply);
    if (error < 0) {
        fprintf(stderr, "kosekictl: no answer from the daemon: %s\n", strerror(-error));
        *ret_exit = EX_UNAVAILABLE;
        return NULL;
    }
    if (!json_get_bool(reply, "ok", &ok) || !ok) {
        const char *text = json_get_text(reply, "error");
        fprintf(stderr, "kosekictl: %s\n", text ? text : "refused");
        *ret_exit = EXIT_REFUSED;
        return NULL;
    }
    *ret_exit = 0;
    return steal_ptr(&reply);
}

int asking_print(struct asking *asking, const char *rows)
{
    int status;
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    if (asking->options->json) {
        _cleanup_free_ char *printed = json_print(reply);
        puts(printed ? printed : "{}");
    } else if (rows) {
        asking_print_rows(json_get(reply, rows));
    } else {
        print_members(reply);
    }
    return status;
}

bool asking_pending(const struct json *reply, const char *then)
{
    int64_t id;
    if (!json_get_integer(reply, "pending", &id))
        return false;
    printf("nothing is done yet: a second person gives \"kosekictl confirm %lld\"%s\n",
           (long long)id, then);
    return true;
}

int asking_usage(const char *text)
{
    fprintf(stderr, "kosekictl: usage: kosekictl %s\n", text);
    return EX_USAGE;
}

int asking_out_of_memory(void)
{
    fprintf(stderr, "kosekictl: memory is short\n");
    return EX_OSERR;
}
