/* See tools/kosekictl_store.h. */
#include "tools/kosekictl_store.h"

#include "base/json.h"
#include "fs/erasures.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { EXIT_REFUSED = 1 };

/* --- purge, hold, release --------------------------------------------------------------------- */

static bool is_done(const char *command, const char *result)
{
    static const struct {
        const char *command, *result;
    } good[] = {{"purge", "erased"}, {"hold", "held"}, {"release", "released"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strcmp(command, good[i].command) == 0)
            return result && strncmp(result, good[i].result, strlen(good[i].result)) == 0;
    return false;
}

static int print_results(struct asking *asking, const char *command)
{
    int status;
    int64_t pending;
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    if (json_get_integer(reply, "pending", &pending)) {
        printf("nothing is done yet: a second person gives \"kosekictl confirm %lld\"\n",
               (long long)pending);
        return EX_TEMPFAIL;
    }
    const struct json *results = json_get(reply, "results");
    if (asking->options->json) {
        _cleanup_free_ char *printed = json_print(reply);
        puts(printed ? printed : "{}");
    } else {
        asking_print_rows(results);
    }
    for (size_t i = 0; i < json_array_count(results); i++)
        if (!is_done(command, json_get_text(json_array_at(results, i), "result")))
            return EXIT_REFUSED;
    return 0;
}

int kosekictl_decide(struct asking *asking, int argc, char **argv)
{
    static const char text[] = "purge|hold|release NAME... --reason TEXT [--approver NAME]";
    const char *reason = NULL, *approver = NULL;
    _cleanup_json_ struct json *names = json_array_new();
    if (!names)
        return asking_out_of_memory();
    for (int i = 1; i < argc; i++) {
        const char **option = strcmp(argv[i], "--reason") == 0     ? &reason
                              : strcmp(argv[i], "--approver") == 0 ? &approver
                                                                   : NULL;
        if (option) {
            if (++i == argc)
                return asking_usage(text);
            *option = argv[i];
        } else if (argv[i][0] == '-') {
            return asking_usage(text);
        } else if (json_append(names, json_text_new(argv[i])) < 0) {
            return asking_out_of_memory();
        }
    }
    if (!reason || json_array_count(names) == 0)
        return asking_usage(text);
    if (json_set(asking->request, "names", steal_ptr(&names)) < 0 ||
        json_set_text(asking->request, "reason", reason) < 0 ||
        (approver && json_set_text(asking->request, "approver", approver) < 0))
        return asking_out_of_memory();
    return print_results(asking, argv[0]);
}

/* --- erasures --------------------------------------------------------------------------------- */

static const char *judge(struct bytes line, const uint8_t *wanted)
{
    uint8_t key[32];
    int r = erasures_check(line, key);
    if (r == -EBADMSG)
        return "no signed record";
    if (r < 0)
        return "WRONG SIGNATURE";
    return wanted && memcmp(key, wanted, sizeof key) != 0 ? "SIGNED BY ANOTHER KEY" : "good";
}

int kosekictl_erasures(int argc, char **argv)
{
    uint8_t wanted[32];
    bool good = true;
    if ((argc != 2 && argc != 4) ||
        (argc == 4 && (strcmp(argv[2], "--key") != 0 ||
                       !hex_decode(argv[3], strlen(argv[3]), wanted, sizeof wanted)))) {
        fprintf(stderr, "kosekictl: usage: kosekictl erasures FILE [--key HEX]\n");
        return EX_USAGE;
    }
    _cleanup_fclose_ FILE *file = fopen(argv[1], "re");
    if (!file) {
        fprintf(stderr, "kosekictl: %s: %s\n", argv[1], strerror(errno));
        return EX_NOINPUT;
    }
    static char line[ERASURES_LINE_MAX + 2];
    for (unsigned long number = 1; fgets(line, sizeof line, file); number++) {
        size_t size = strcspn(line, "\n");
        const char *verdict = judge(bytes_of(line, size), argc == 4 ? wanted : NULL);
        good = good && strcmp(verdict, "good") == 0;
        printf("%lu\t%s\t%.*s\n", number, verdict, (int)size, line);
    }
    return good ? 0 : EXIT_REFUSED;
}
