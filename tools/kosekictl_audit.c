/* See kosekictl_audit.h: the command line, and `verify`. */
#include "tools/kosekictl_audit.h"

#include "base/bytes.h"
#include "base/json.h"
#include "fs/audit_verify.h"
#include "tools/audit_select.h"
#include "tools/trail_check.h"
#include "tools/trail_files.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char usage_text[] =
    "usage: kosekictl audit verify [--checkpoints FILE]... [--key KEY]... [--json] [PATH ...]\n"
    "       kosekictl audit show [SELECTION] [--json] [PATH ...]\n"
    "       kosekictl audit export --out FILE [--since TIME] [--until TIME] [PATH ...]\n"
    "PATH is a file of the trail or a directory of them; without one " TRAIL_DIRECTORY ".\n"
    "  verify   finds what was changed, taken away, put in, moved or cut off, and where\n"
    "    --checkpoints FILE   signed checkpoints, best a copy kept on another machine;\n"
    "                         checkpoints.jsonl of a directory is read too\n"
    "    --key KEY            a public key that may have signed them: 64 hexadecimal digits,\n"
    "                         or a file with them\n"
    "  show     prints records; it does not check them\n"
    "    --who USER --what NAME --kind KIND --result ok|denied|failed\n"
    "    --since TIME --until TIME   2026-04-01, 2026-04-01T09:00:00+09:00, or 90m 2h 7d ago\n"
    "  export   writes the records of a time, unchanged, with what verify needs to check them\n"
    "Exit: 0 done, no fault; 1 faults; 64 usage; 66 unreadable input; 73 unwritable output.\n";

enum {
    OPTION_CHECKPOINTS = 1,
    OPTION_KEY,
    OPTION_JSON,
    OPTION_OUT,
    OPTION_HELP,
    OPTION_WHO,
    OPTION_WHAT,
    OPTION_KIND,
    OPTION_RESULT,
    OPTION_SINCE,
    OPTION_UNTIL,
};

struct options {
    struct trail_files files;
    struct audit_selection selection;
    const char *out;
    bool json, help;
    struct audit_keys keys;
};

static void options_done(struct options *options)
{
    trail_files_done(&options->files);
}

static int take_key(struct options *options, const char *value)
{
    char text[2 * AUDIT_PUBLIC_KEY_SIZE + 2] = "";
    if (strlen(value) != 2 * AUDIT_PUBLIC_KEY_SIZE) {
        _cleanup_fclose_ FILE *in = fopen(value, "re");
        if (!in || !fgets(text, sizeof text, in)) {
            fprintf(stderr, "kosekictl: --key %s: neither 64 hexadecimal digits nor a file\n",
                    value);
            return EX_NOINPUT;
        }
        text[strcspn(text, "\n")] = '\0';
        value = text;
    }
    struct audit_keys *keys = &options->keys;
    if (keys->count == AUDIT_KEY_MAX) {
        fprintf(stderr, "kosekictl: --key: more than %d\n", AUDIT_KEY_MAX);
        return EX_USAGE;
    }
    if (!hex_decode(value, strlen(value), keys->keys[keys->count], AUDIT_PUBLIC_KEY_SIZE)) {
        fprintf(stderr, "kosekictl: --key: not 64 hexadecimal digits\n");
        return EX_USAGE;
    }
    keys->count++;
    return 0;
}

static int take_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case OPTION_CHECKPOINTS:
        return trail_files_add_checkpoints(&options->files, value);
    case OPTION_KEY:
        return take_key(options, value);
    case OPTION_JSON:
        options->json = true;
        return 0;
    case OPTION_OUT:
        options->out = value;
        return 0;
    case OPTION_HELP:
        options->help = true;
        return 0;
    case OPTION_WHO:
        return audit_select_who(&options->selection, value);
    case OPTION_WHAT:
        options->selection.name = value;
        return 0;
    case OPTION_KIND:
        return audit_select_kind(&options->selection, value);
    case OPTION_RESULT:
        return audit_select_result(&options->selection, value);
    case OPTION_SINCE:
        return audit_select_time(value, &options->selection.since_s);
    case OPTION_UNTIL:
        return audit_select_time(value, &options->selection.until_s);
    default:
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
}

/* The options of the other commands are usage errors of this one. */
static int read_options(struct options *options, const struct option *table, int argc, char **argv)
{
    int option;
    options->selection = audit_select_all();
    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        int status = take_option(options, option, optarg);
        if (status != 0)
            return status;
    }
    if (options->help)
        return 0;
    return trail_files_find(&options->files, argv + optind, argc - optind);
}

static void print_fault(void *context, enum audit_fault fault, const char *file, uint64_t line,
                        const char *text)
{
    const struct options *options = context;
    if (!options->json) {
        if (line > 0)
            printf("%s:%llu: %s: %s\n", file, (unsigned long long)line, audit_fault_name(fault),
                   text);
        else
            printf("%s: %s: %s\n", file, audit_fault_name(fault), text);
        return;
    }
    _cleanup_json_ struct json *json = json_object_new();
    if (!json || json_set_text(json, "fault", audit_fault_name(fault)) < 0 ||
        json_set_text(json, "file", file) < 0 ||
        json_set_integer(json, "line", (int64_t)line) < 0 || json_set_text(json, "text", text) < 0)
        return;
    _cleanup_free_ char *out = json_print(json);
    if (out)
        puts(out);
}

static void print_verified(const struct audit_verified *verified)
{
    char key[2 * AUDIT_PUBLIC_KEY_SIZE + 1], hash[2 * SHA256_SIZE + 1];
    hex_encode(verified->key, AUDIT_PUBLIC_KEY_SIZE, key);
    hex_encode(verified->hash, SHA256_SIZE, hash);
    printf("%s: %llu records, %llu to %llu%s, hash of the last %s\n",
           verified->faults ? "NOT WHOLE" : "whole", (unsigned long long)verified->records,
           (unsigned long long)verified->first, (unsigned long long)verified->last,
           verified->from_beginning ? "" : " (the beginning is not here)", hash);
    if (verified->faults > AUDIT_FAULTS_MAX)
        printf("%llu faults, of which %d were shown\n", (unsigned long long)verified->faults,
               AUDIT_FAULTS_MAX);
    if (verified->covered > 0)
        printf("records up to %llu are those that key %s signed for\n",
               (unsigned long long)verified->covered, key);
    else
        printf("no checkpoint covers them: whether the end was cut off cannot be seen\n");
}

static void print_verified_json(const struct audit_verified *verified)
{
    _cleanup_json_ struct json *json = json_object_new();
    if (!json || json_set_bool(json, "whole", verified->faults == 0) < 0 ||
        json_set_integer(json, "records", (int64_t)verified->records) < 0 ||
        json_set_integer(json, "first", (int64_t)verified->first) < 0 ||
        json_set_integer(json, "last", (int64_t)verified->last) < 0 ||
        json_set_integer(json, "faults", (int64_t)verified->faults) < 0 ||
        json_set_integer(json, "checkpoints", (int64_t)verified->checkpoints) < 0 ||
        json_set_integer(json, "covered", (int64_t)verified->covered) < 0 ||
        json_set_bool(json, "from_beginning", verified->from_beginning) < 0 ||
        json_set_hex(json, "hash", verified->hash, SHA256_SIZE) < 0 ||
        (verified->key_set && json_set_hex(json, "key", verified->key, AUDIT_PUBLIC_KEY_SIZE) < 0))
        return;
    _cleanup_free_ char *out = json_print(json);
    if (out)
        puts(out);
}

static int verify_files(struct options *options)
{
    struct audit_verified verified;
    int status = trail_check(&options->files, &options->keys, print_fault, options, &verified);
    if (status != 0)
        return status;
    if (options->json)
        print_verified_json(&verified);
    else
        print_verified(&verified);
    return verified.faults > 0;
}

static int run_verify(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"checkpoints", required_argument, NULL, OPTION_CHECKPOINTS},
        {"key", required_argument, NULL, OPTION_KEY},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int status = read_options(options, table, argc, argv);
    return status != 0 || options->help ? status : verify_files(options);
}

static int run_show(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"who", required_argument, NULL, OPTION_WHO},
        {"what", required_argument, NULL, OPTION_WHAT},
        {"kind", required_argument, NULL, OPTION_KIND},
        {"result", required_argument, NULL, OPTION_RESULT},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"until", required_argument, NULL, OPTION_UNTIL},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int status = read_options(options, table, argc, argv);
    if (status != 0 || options->help)
        return status;
    return audit_select_show(&options->files, &options->selection, options->json, stdout);
}

static int run_export(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"out", required_argument, NULL, OPTION_OUT},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"until", required_argument, NULL, OPTION_UNTIL},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int status = read_options(options, table, argc, argv);
    if (status != 0 || options->help)
        return status;
    if (!options->out) {
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
    return audit_select_export(&options->files, &options->selection, options->out);
}

int kosekictl_audit(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct options *options, int argc, char **argv);
    } commands[] = {{"verify", run_verify}, {"show", run_show}, {"export", run_export}};

    _cleanup_(options_done) struct options options = {0};
    const char *command = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(command, commands[i].name) != 0)
            continue;
        int status = commands[i].run(&options, argc - 1, argv + 1);
        if (options.help)
            fputs(usage_text, stdout);
        return status;
    }
    bool help = strcmp(command, "--help") == 0;
    fputs(usage_text, help ? stdout : stderr);
    return help ? 0 : EX_USAGE;
}
