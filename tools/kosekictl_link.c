/* See kosekictl_link.h. Without an address each is tried, one after the other: one request each. */
#include "tools/kosekictl_link.h"

#include "base/certname.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WELL = 0, FAILED = 1, WARNED = 2 };

static const char usage[] = "link test [ADDRESS] [--name NAME]";

static const char *text_of(const struct json *row, const char *key)
{
    const char *text = json_get_text(row, key);
    return text ? text : "";
}

static void print_step(const struct json *step)
{
    int64_t us = 0;
    char took[32] = "";
    if (json_get_integer(step, "us", &us) && us > 0)
        (void)snprintf(took, sizeof took, "%" PRId64 ".%" PRId64 " ms", us / 1000, us / 100 % 10);
    printf("%-8s %-10s %10s  %s\n", text_of(step, "verdict"), text_of(step, "step"), took,
           text_of(step, "text"));
    if (text_of(step, "hint")[0])
        printf("%32s%s\n", "-> ", text_of(step, "hint"));
}

static void print_test(const struct json *reply)
{
    const struct json *steps = json_get(reply, "steps");
    const char *name = text_of(reply, "name");
    bool stored = false;
    (void)!json_get_bool(reply, "stored", &stored);
    printf("%s: %s%s\n", text_of(reply, "address"), name[0] ? name : "no certificate is asked for",
           stored ? ", which is stored here" : "");
    for (size_t i = 0; i < json_array_count(steps); i++)
        print_step(json_array_at(steps, i));
}

static int status_of(const struct json *reply)
{
    const char *verdict = text_of(reply, "verdict");
    return strcmp(verdict, "fail") == 0 ? FAILED : strcmp(verdict, "warn") == 0 ? WARNED : WELL;
}

/* A failure outweighs a warning. */
static int worse(int a, int b)
{
    return a == FAILED || b == FAILED ? FAILED : a > b ? a : b;
}

static int test_one(struct asking *asking, int64_t *ret_addresses)
{
    int status;
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    if (!json_get_integer(reply, "addresses", ret_addresses))
        *ret_addresses = 0;
    if (asking->options->json) {
        _cleanup_free_ char *printed = json_print(reply);
        if (!printed)
            return asking_out_of_memory();
        puts(printed);
    } else {
        print_test(reply);
    }
    return status_of(reply);
}

int kosekictl_link(struct asking *asking, int argc, char **argv)
{
    const char *address = NULL, *name = NULL;
    if (argc < 2 || strcmp(argv[1], "test") != 0)
        return asking_usage(usage);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--name") == 0 && i + 1 < argc && !name)
            name = argv[++i];
        else if (argv[i][0] != '-' && !address)
            address = argv[i];
        else
            return asking_usage(usage);
    }
    char whole[CERTNAME_MAX +
               sizeof ".pdf"]; /* a request id alone stands for its PDF, as in fetch */
    if (name && strlen(name) <= CERTNAME_MAX)
        (void)snprintf(whole, sizeof whole, "%s%s", name, strchr(name, '.') ? "" : ".pdf");
    else if (name)
        return asking_usage(usage);
    if (json_set_text(asking->request, "command", "link-test") < 0 ||
        (name && json_set_text(asking->request, "name", whole) < 0) ||
        (address && json_set_text(asking->request, "address", address) < 0))
        return asking_out_of_memory();
    int64_t addresses = 1;
    int status = WELL;
    for (int64_t i = 0; i < addresses; i++) {
        if (!address && json_set_integer(asking->request, "index", i) < 0)
            return asking_out_of_memory();
        int one = test_one(asking, &addresses);
        if (one > WARNED)
            return one;
        status = worse(status, one);
        if (address)
            break;
    }
    return status;
}
