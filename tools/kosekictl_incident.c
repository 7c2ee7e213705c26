/* See kosekictl_incident.h. */
#include "tools/kosekictl_incident.h"

#include "base/bytes.h"
#include "base/certname.h"
#include "base/clock.h"
#include "base/json.h"
#include "tools/audit_select.h"
#include "tools/control_client.h"
#include "tools/incident_dossier.h"
#include "tools/incident_file.h"
#include "tools/incident_page.h"

#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char usage_text[] =
    "usage: kosekictl incident [--directory DIR] [--trail PATH] ACTION\n"
    "  open --kind outage|leak --title TEXT --since TIME [--until TIME]\n"
    "       [--user USER]... [--name CERTIFICATE]...   prints the number\n"
    "  note NUMBER TEXT          what was done or found, with the time\n"
    "  set NUMBER FIELD TEXT     overview contact notified damage measures cause prevention\n"
    "  report NUMBER --out DIR   the dossier, as a page (HTML) and as JSON\n"
    "  close NUMBER              when every field is written\n"
    "  list\n"
    "Without --directory " INCIDENT_DIRECTORY ", without --trail " TRAIL_DIRECTORY ".\n"
    "Exit: 0 done; 1 refused; 64 usage; 65 damaged file; 66 unreadable input; 73 not created.\n";

enum { EXIT_REFUSED = 1, BY_SIZE = 160 };

enum option_code {
    OPTION_DIRECTORY = 1,
    OPTION_TRAIL,
    OPTION_KIND,
    OPTION_TITLE,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_USER,
    OPTION_NAME,
    OPTION_OUT,
    OPTION_HELP,
};

struct arguments {
    const struct kosekictl_options *options;
    const char *directory, *kind, *title, *out;
    char *trail;
    bool help, has_since, has_until;
    int64_t since_s, until_s;
    struct json *users, *names;
    int count; /* of words */
    char **words;
};

static void arguments_done(struct arguments *arguments)
{
    json_free(arguments->users);
    json_free(arguments->names);
}

static int out_of_memory(void)
{
    fprintf(stderr, "kosekictl: memory is short\n");
    return EX_OSERR;
}

static int usage(void)
{
    fputs(usage_text, stderr);
    return EX_USAGE;
}

/* --- command line ----------------------------------------------------------------------------- */

static int take_user(struct arguments *arguments, const char *user)
{
    struct audit_selection selection = audit_select_all();
    int status = audit_select_who(&selection, user);
    if (status != 0)
        return status;
    struct json *row = json_object_new();
    if (!row || json_set_text(row, "name", user) < 0 ||
        json_set_integer(row, "uid", selection.uid) < 0) {
        json_free(row);
        return out_of_memory();
    }
    return json_append(arguments->users, row) < 0 ? out_of_memory() : 0;
}

static int take_name(struct arguments *arguments, const char *text)
{
    struct certname name;
    if (!certname_parse(text, &name)) {
        fprintf(stderr, "kosekictl: %s: not the name of a certificate\n", text);
        return EX_USAGE;
    }
    return json_append(arguments->names, json_text_new(text)) < 0 ? out_of_memory() : 0;
}

static int take_option(struct arguments *arguments, int option, char *value)
{
    switch (option) {
    case OPTION_DIRECTORY:
        arguments->directory = value;
        return 0;
    case OPTION_TRAIL:
        arguments->trail = value;
        return 0;
    case OPTION_KIND:
        arguments->kind = value;
        return strcmp(value, "outage") == 0 || strcmp(value, "leak") == 0 ? 0 : usage();
    case OPTION_TITLE:
        arguments->title = value;
        return 0;
    case OPTION_SINCE:
        arguments->has_since = true;
        return audit_select_time(value, &arguments->since_s);
    case OPTION_UNTIL:
        arguments->has_until = true;
        return audit_select_time(value, &arguments->until_s);
    case OPTION_USER:
        return take_user(arguments, value);
    case OPTION_NAME:
        return take_name(arguments, value);
    case OPTION_OUT:
        arguments->out = value;
        return 0;
    case OPTION_HELP:
        arguments->help = true;
        return 0;
    default:
        return usage();
    }
}

static int read_arguments(struct arguments *arguments, int argc, char **argv)
{
    static const struct option table[] = {
        {"directory", required_argument, NULL, OPTION_DIRECTORY},
        {"trail", required_argument, NULL, OPTION_TRAIL},
        {"kind", required_argument, NULL, OPTION_KIND},
        {"title", required_argument, NULL, OPTION_TITLE},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"until", required_argument, NULL, OPTION_UNTIL},
        {"user", required_argument, NULL, OPTION_USER},
        {"name", required_argument, NULL, OPTION_NAME},
        {"out", required_argument, NULL, OPTION_OUT},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int option;
    arguments->directory = INCIDENT_DIRECTORY;
    arguments->users = json_array_new();
    arguments->names = json_array_new();
    if (!arguments->users || !arguments->names)
        return out_of_memory();
    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        int status = take_option(arguments, option, optarg);
        if (status != 0)
            return status;
    }
    arguments->words = argv + optind;
    arguments->count = argc - optind;
    if (json_array_count(arguments->users) <= DOSSIER_USERS_MAX &&
        json_array_count(arguments->names) <= DOSSIER_USERS_MAX)
        return 0;
    fprintf(stderr, "kosekictl: at most %d users and certificates\n", DOSSIER_USERS_MAX);
    return EX_USAGE;
}

static bool number_of(const char *text, unsigned *ret_number)
{
    char *rest = NULL;
    errno = 0;
    unsigned long number = strtoul(text, &rest, 10);
    if (errno || *rest || *text < '0' || *text > '9' || number == 0 || number > INCIDENT_MAX)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

/* --- actions ---------------------------------------------------------------------------------- */

/* Who writes: his account, and for whom sudo runs it. */
static void describe_self(char out[BY_SIZE])
{
    const struct passwd *user = getpwuid(getuid());
    const char *sudo = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    snprintf(out, BY_SIZE, "%.64s (uid %u)%s%.64s", user ? user->pw_name : "?", getuid(),
             sudo ? " for " : "", sudo ? sudo : "");
}

static struct json *action_new(const char *action)
{
    char by[BY_SIZE];
    struct json *json = json_object_new();
    describe_self(by);
    if (json && json_set_text(json, "action", action) == 0 &&
        json_set_integer(json, "at", clock_realtime_s()) == 0 && json_set_text(json, "by", by) == 0)
        return json;
    return json_free(json);
}

/* An incident may be that there is no daemon: then nothing but the file has it. */
static void put_on_record(const struct arguments *arguments, unsigned number, const char *action,
                          const uint8_t digest[SHA256_SIZE])
{
    char id[8];
    bool ok = false;
    _cleanup_close_ int fd = control_client_connect(arguments->options->socket);
    _cleanup_json_ struct json *request = json_object_new(), *reply = NULL;
    snprintf(id, sizeof id, "%04u", number);
    if (fd >= 0 && request && json_set_text(request, "command", "incident") == 0 &&
        json_set_text(request, "incident", id) == 0 &&
        json_set_text(request, "action", action) == 0 &&
        json_set_hex(request, "digest", digest, SHA256_SIZE) == 0 &&
        control_client_ask(fd, request, &reply) == 0)
        ok = json_get_bool(reply, "ok", &ok) && ok;
    if (!ok)
        fprintf(stderr, "kosekictl: not in the audit trail: %s\n",
                reply && json_get_text(reply, "error") ? json_get_text(reply, "error")
                                                       : "the daemon does not answer");
}

static int append(const struct arguments *arguments, unsigned number, const char *kind,
                  const struct json *action)
{
    uint8_t digest[SHA256_SIZE];
    int status = incident_append(arguments->directory, number, action, digest);
    if (status == 0)
        put_on_record(arguments, number, kind, digest);
    return status;
}

static int run_open(struct arguments *arguments)
{
    unsigned number;
    uint8_t digest[SHA256_SIZE];
    _cleanup_json_ struct json *action = action_new("open");
    if (arguments->count != 1 || !arguments->kind || !arguments->title || !arguments->title[0] ||
        strlen(arguments->title) > 400 || !arguments->has_since)
        return usage();
    if (arguments->has_until && arguments->until_s < arguments->since_s) {
        fprintf(stderr, "kosekictl: --until lies before --since\n");
        return EX_USAGE;
    }
    if (!action || json_set_text(action, "kind", arguments->kind) < 0 ||
        json_set_text(action, "title", arguments->title) < 0 ||
        json_set_integer(action, "since", arguments->since_s) < 0 ||
        (arguments->has_until && json_set_integer(action, "until", arguments->until_s) < 0) ||
        json_set(action, "users", steal_ptr(&arguments->users)) < 0 ||
        json_set(action, "names", steal_ptr(&arguments->names)) < 0)
        return out_of_memory();
    if (mkdir(arguments->directory, 0750) < 0 && errno != EEXIST) {
        fprintf(stderr, "kosekictl: %s: %s\n", arguments->directory, strerror(errno));
        return EX_CANTCREAT;
    }
    int status = incident_create(arguments->directory, action, &number, digest);
    if (status != 0)
        return status;
    printf("%04u\n", number);
    put_on_record(arguments, number, "open", digest);
    return 0;
}

static int run_write(struct arguments *arguments)
{
    bool note = strcmp(arguments->words[0], "note") == 0;
    const char *text = arguments->count > 2 ? arguments->words[arguments->count - 1] : "";
    const char *field = arguments->count > 2 ? arguments->words[2] : "";
    unsigned number;
    if (arguments->count != (note ? 3 : 4) || !number_of(arguments->words[1], &number) ||
        !text[0] || (!note && !incident_is_field(field)))
        return usage();
    if (strlen(text) > INCIDENT_TEXT_MAX) {
        fprintf(stderr, "kosekictl: a text has at most %d bytes\n", INCIDENT_TEXT_MAX);
        return EX_USAGE;
    }
    _cleanup_json_ struct json *action = action_new(arguments->words[0]);
    if (!action || json_set_text(action, "text", text) < 0 ||
        (!note && json_set_text(action, "field", field) < 0))
        return out_of_memory();
    return append(arguments, number, arguments->words[0], action);
}

static int run_close(struct arguments *arguments)
{
#define FIELD(name, japanese, english) {name, japanese, english},
    static const struct {
        const char *name, *japanese, *english;
    } fields[] = {INCIDENT_FIELDS(FIELD)};
#undef FIELD
    unsigned number;
    bool whole = true;
    _cleanup_json_ struct json *incident = NULL, *action = action_new("close");
    if (arguments->count != 2 || !number_of(arguments->words[1], &number))
        return usage();
    if (!action)
        return out_of_memory();
    int status = incident_read(arguments->directory, number, &incident);
    if (status != 0)
        return status;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (json_get_text(json_get(incident, "fields"), fields[i].name))
            continue;
        fprintf(stderr, "kosekictl: not written yet: %s (%s, %s)\n", fields[i].name,
                fields[i].japanese, fields[i].english);
        whole = false;
    }
    return whole ? append(arguments, number, "close", action) : EXIT_REFUSED;
}

static int run_list(struct arguments *arguments)
{
    if (arguments->count != 1)
        return usage();
    for (unsigned number = incident_next(arguments->directory, 1); number;
         number = incident_next(arguments->directory, number + 1)) {
        _cleanup_json_ struct json *incident = NULL;
        if (incident_read(arguments->directory, number, &incident) != 0)
            continue; /* it has been told */
        if (arguments->options->json) {
            _cleanup_free_ char *text = json_print(incident);
            puts(text ? text : "{}");
        } else {
            const char *kind = json_get_text(incident, "kind");
            const char *title = json_get_text(incident, "title");
            printf("%04u\t%s\t%s\t%s\n", number, kind ? kind : "?",
                   json_get(incident, "closed_at") ? "closed" : "open", title ? title : "?");
        }
    }
    return 0;
}

/* --- the dossier ------------------------------------------------------------------------------ */

/* NULL, and why, if the daemon does not say. */
static struct json *ask_status(const struct arguments *arguments, const char **ret_why)
{
    _cleanup_close_ int fd = control_client_connect(arguments->options->socket);
    _cleanup_json_ struct json *request = json_object_new(), *reply = NULL;
    struct json *status = NULL;
    *ret_why = fd < 0 ? strerror(-fd) : "no answer";
    if (fd < 0 || !request || json_set_text(request, "command", "status") < 0 ||
        control_client_ask(fd, request, &reply) < 0)
        return NULL;
    const struct json *found = json_get(reply, "status");
    _cleanup_free_ char *text = found ? json_print(found) : NULL;
    if (!text || json_parse(text, strlen(text), &status) < 0)
        return NULL;
    return status;
}

/* A new file in --out; never one that is there. */
static FILE *create(const struct arguments *arguments, unsigned number, const char *suffix)
{
    char path[4096], at[RFC3339_SIZE];
    rfc3339_format(clock_realtime_s(), at);
    int size =
        snprintf(path, sizeof path, "%s/incident-%04u-%.4s%.2s%.2sT%.2s%.2s%.2sZ.%s",
                 arguments->out, number, at, at + 5, at + 8, at + 11, at + 14, at + 17, suffix);
    int fd = size < (int)sizeof path
                 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)
                 : -1;
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (out) {
        printf("%s\n", path);
        return out;
    }
    fprintf(stderr, "kosekictl: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return NULL;
}

static int finish(FILE *out)
{
    bool failed = fflush(out) != 0 || ferror(out) || fsync(fileno(out)) < 0;
    failed |= fclose(out) != 0;
    if (failed)
        fprintf(stderr, "kosekictl: the dossier cannot be written\n");
    return failed ? EX_CANTCREAT : 0;
}

static int write_dossier(const struct arguments *arguments, unsigned number,
                         const struct json *dossier)
{
    uint8_t digest[SHA256_SIZE];
    _cleanup_free_ char *text = json_print(dossier);
    if (!text || sha256(text, strlen(text), digest) < 0)
        return out_of_memory();
    FILE *out = create(arguments, number, "json");
    if (!out)
        return EX_CANTCREAT;
    fputs(text, out);
    int status = finish(out);
    out = status == 0 ? create(arguments, number, "html") : NULL;
    if (!out)
        return EX_CANTCREAT;
    incident_page_write(dossier, out);
    status = finish(out);
    if (status == 0)
        put_on_record(arguments, number, "report", digest);
    return status;
}

static int run_report(struct arguments *arguments)
{
    unsigned number;
    const char *why = "";
    _cleanup_json_ struct json *incident = NULL, *status = NULL, *dossier = NULL;
    struct trail_files files = {0};
    if (arguments->count != 2 || !number_of(arguments->words[1], &number) || !arguments->out)
        return usage();
    int result = incident_read(arguments->directory, number, &incident);
    if (result == 0)
        result = trail_files_find(&files, &arguments->trail, arguments->trail ? 1 : 0);
    if (result == 0) {
        status = ask_status(arguments, &why);
        result = dossier_make(incident, &files, status, why, &dossier);
    }
    trail_files_done(&files);
    return result == 0 ? write_dossier(arguments, number, dossier) : result;
}

int kosekictl_incident(const struct kosekictl_options *options, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct arguments *arguments);
    } actions[] = {{"open", run_open}, {"note", run_write},    {"set", run_write},
                   {"list", run_list}, {"report", run_report}, {"close", run_close}};
    _cleanup_(arguments_done) struct arguments arguments = {.options = options};
    int status = read_arguments(&arguments, argc, argv);
    if (status != 0)
        return status;
    if (arguments.help) {
        fputs(usage_text, stdout);
        return 0;
    }
    for (size_t i = 0; arguments.count > 0 && i < sizeof actions / sizeof *actions; i++)
        if (strcmp(arguments.words[0], actions[i].name) == 0)
            return actions[i].run(&arguments);
    return usage();
}
