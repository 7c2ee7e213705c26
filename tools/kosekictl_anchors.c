/* See tools/kosekictl_anchors.h. */
#include "tools/kosekictl_anchors.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/trust.h"
#include "fs/schema_store.h"
#include "fs/trust_files.h"
#include "tools/anchor_directory.h"
#include "tools/anchor_set.h"
#include "tools/asking.h"
#include "tools/control_client.h"
#include "tools/input_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#define DEFAULT_CONFIG "/etc/kosekifs/kosekifs.conf"

enum {
    EXIT_REFUSED = 1,
    OPTION_REASON = 1,
    OPTION_CONFIG,
    OPTION_ONLY,
    OPTION_ANYWAY,
    OPTION_HELP
};

static const char usage_text[] =
    "usage: kosekictl trust check [--only] [FILE]...\n"
    "       kosekictl trust add FILE --reason TEXT\n"
    "       kosekictl trust remove SHA256 --reason TEXT [--anyway]\n"
    "  --config FILE   the daemon's configuration; default: " DEFAULT_CONFIG "\n"
    "  --only          the FILEs in place of the anchors that are configured, not besides them\n"
    "  --anyway        also when signers of stored certificates then lead to no anchor\n"
    "A FILE is a certificate in PEM or DER. add and remove change the first directory that\n"
    "[trust] anchors names, and have the daemon reload.\n"
    "Exit: 0 good or done; 1 refused; 64 usage; 66 a file cannot be read; 69 no daemon; 75 waits "
    "for\n"
    "a second person; 78 the configuration is mistaken.\n";

struct anchors_command {
    const struct kosekictl_options *options;
    const char *config_path, *reason;
    bool only, anyway, help;
    struct config *config;
    int fd; /* of the daemon; -1: it does not run */
};

/* The anchor that is added or removed. */
struct subject {
    struct verify_anchor anchor;
    char digest[2 * SHA256_SIZE + 1];
    char name[ANCHOR_NAME_SIZE]; /* of its file */
    struct buffer content;
};

static int refuse(const char *text)
{
    fprintf(stderr, "kosekictl: %s\n", text);
    return EXIT_REFUSED;
}

static void complain(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "kosekictl: %s:%d: %s\n", file, line, text);
}

static int read_file(const char *path, struct buffer *ret_content)
{
    char text[INPUT_FILE_TEXT_SIZE];
    if (input_file_read(path, ANCHOR_FILE_MAX, ret_content, text) == 0)
        return 0;
    fprintf(stderr, "kosekictl: %s\n", text);
    return EX_NOINPUT;
}

/* --- check ------------------------------------------------------------------------------------ */

static int check_signers(const struct anchors_command *command, const struct anchor_set *after,
                         int64_t now_s)
{
    _cleanup_anchor_set_ struct anchor_set before = {0};
    unsigned signers;
    if (command->fd < 0) {
        fprintf(stderr, "kosekictl: no daemon: its signers are not looked at\n");
        return 0;
    }
    if (anchor_set_read(&command->config->trust, true, &before) < 0)
        return EX_CONFIG;
    int broken = anchor_set_broken(command->fd, &before, after, now_s, &signers);
    if (broken < 0)
        return EX_UNAVAILABLE;
    printf("signers\t%u known\t%d would lead to no anchor\n", signers, broken);
    return broken > 0 ? EXIT_REFUSED : 0;
}

static int run_check(struct anchors_command *command, char *const files[], int count)
{
    _cleanup_anchor_set_ struct anchor_set set = {0};
    int64_t now_s = clock_realtime_s();
    int status = 0;
    if (command->only && count == 0)
        return refuse("--only takes FILEs");
    if (anchor_set_read(&command->config->trust, !command->only, &set) < 0)
        return EX_CONFIG;
    for (int i = 0; status == 0 && i < count; i++) {
        _cleanup_buffer_ struct buffer content = {0};
        status = read_file(files[i], &content);
        if (status == 0 && anchor_set_add(&set, files[i], bytes_of(content.data, content.size)) < 0)
            status = EXIT_REFUSED;
    }
    if (status != 0)
        return status;
    return anchor_set_print(&set, now_s) ? check_signers(command, &set, now_s) : EXIT_REFUSED;
}

/* --- the daemon ------------------------------------------------------------------------------- */

static int ask(const struct anchors_command *command, struct json *request)
{
    struct asking asking = {.options = command->options, .fd = command->fd, .request = request};
    int status;
    _cleanup_json_ struct json *reply = asking_send(&asking, &status);
    if (reply && asking_pending(reply, ", then you give this command again"))
        return EX_TEMPFAIL;
    return reply ? 0 : status;
}

static int put_on_record(const struct anchors_command *command, const char *action,
                         const struct subject *subject)
{
    char ends[RFC3339_SIZE];
    _cleanup_json_ struct json *request = json_object_new();
    rfc3339_format(subject->anchor.not_after_s, ends);
    if (!request || json_set_text(request, "command", "trust-change") < 0 ||
        json_set_text(request, "action", action) < 0 ||
        json_set_text(request, "certificate", subject->digest) < 0 ||
        json_set_text(request, "subject", subject->anchor.subject) < 0 ||
        json_set_text(request, "not_after", ends) < 0 ||
        json_set_text(request, "reason", command->reason) < 0)
        return asking_out_of_memory();
    return ask(command, request);
}

/* The change is made: it comes into force, or is undone. */
static int settle(const struct anchors_command *command, struct anchor_directory *directory)
{
    char text[ANCHOR_DIRECTORY_TEXT];
    _cleanup_json_ struct json *request = json_object_new();
    int status = request && json_set_text(request, "command", "reload") == 0
                     ? ask(command, request)
                     : asking_out_of_memory();
    if (status == EX_TEMPFAIL)
        fprintf(stderr, "kosekictl: the anchors are in force after that reload\n");
    if (status == 0 || status == EX_TEMPFAIL)
        return status;
    if (status == EX_UNAVAILABLE) {
        fprintf(stderr, "kosekictl: the files are changed; whether the daemon has read them is not "
                        "known: kosekictl trust show\n");
        return status;
    }
    if (anchor_directory_undo(directory, text) < 0)
        return refuse(text);
    return refuse("the anchors are as they were");
}

/* --- add and remove --------------------------------------------------------------------------- */

/* The first directory among the anchors. */
static int find_directory(const struct anchors_command *command, char *ret_path, size_t size)
{
    struct stat status;
    for (const char *list = command->config->trust.anchors;
         config_list_next(&list, ret_path, size);)
        if (stat(ret_path, &status) == 0 && S_ISDIR(status.st_mode))
            return 0;
    return refuse("[trust] anchors names no directory: name one that is root's, and move the files "
                  "there");
}

static int take_one_anchor(const struct anchor_set *set, const char *path, struct subject *subject)
{
    static struct verify_anchor anchors[VERIFY_ANCHORS_MAX];
    char text[VERDICT_TEXT_MAX];
    unsigned count = 0;
    struct bytes content = bytes_of(subject->content.data, subject->content.size);
    if (anchor_set_judge(set, content, anchors, &count, text) < 0)
        return refuse(text);
    if (count != 1) {
        fprintf(stderr, "kosekictl: %s holds %u certificates; a file is to hold one\n", path,
                count);
        return EXIT_REFUSED;
    }
    subject->anchor = anchors[0];
    hex_encode(anchors[0].sha256, SHA256_SIZE, subject->digest);
    return 0;
}

static int run_add(struct anchors_command *command, const char *path,
                   struct anchor_directory *directory, struct subject *subject)
{
    _cleanup_anchor_set_ struct anchor_set set = {0};
    char text[ANCHOR_DIRECTORY_TEXT];
    int64_t now_s = clock_realtime_s();
    if (anchor_set_read(&command->config->trust, true, &set) < 0)
        return EX_CONFIG;
    int status = read_file(path, &subject->content);
    struct bytes content = bytes_of(subject->content.data, subject->content.size);
    if (status == 0)
        status = take_one_anchor(&set, path, subject);
    if (status == 0 && anchor_set_add(&set, path, content) < 0)
        status = EXIT_REFUSED;
    if (status != 0)
        return status;
    const char *objection = anchor_set_objection(&set, &subject->anchor, now_s);
    if (objection)
        return refuse(objection);
    if (!anchor_set_print(&set, now_s))
        return refuse("the set would be refused as a whole");
    status = put_on_record(command, "add", subject);
    if (status != 0)
        return status;
    bool pem = content.data[0] == '-' || isspace(content.data[0]);
    snprintf(subject->name, sizeof subject->name, "%s.%s", subject->digest, pem ? "pem" : "der");
    if (anchor_directory_add(directory, subject->name, content, text) < 0)
        return refuse(text);
    return settle(command, directory);
}

/* 0, and its name if it is in this file alone. */
static int look_into(const struct anchor_set *set, const char *directory, const char *name,
                     struct subject *subject)
{
    static struct verify_anchor anchors[VERIFY_ANCHORS_MAX];
    char path[PATH_MAX], text[VERDICT_TEXT_MAX], digest[2 * SHA256_SIZE + 1];
    unsigned count = 0;
    bool found = false;
    _cleanup_buffer_ struct buffer content = {0};
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path ||
        input_file_read(path, ANCHOR_FILE_MAX, &content, text) < 0 ||
        anchor_set_judge(set, bytes_of(content.data, content.size), anchors, &count, text) < 0)
        return 0; /* the daemon would not start with it; it is not what is looked for */
    for (unsigned i = 0; i < count && !found; i++) {
        hex_encode(anchors[i].sha256, SHA256_SIZE, digest);
        found = strcmp(digest, subject->digest) == 0;
    }
    if (!found)
        return 0;
    if (count != 1) {
        fprintf(stderr, "kosekictl: %s holds %u certificates: take it apart first\n", path, count);
        return EXIT_REFUSED;
    }
    subject->anchor = anchors[0];
    buffer_done(&subject->content);
    subject->content = content;
    content = (struct buffer){0};
    snprintf(subject->name, sizeof subject->name, "%s", name);
    return 0;
}

static int find_anchor(const struct anchor_set *set, const char *path, struct subject *subject)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int status = directory ? 0 : EX_NOINPUT;
    while (status == 0 && !subject->name[0] && (entry = readdir(directory)))
        if (trust_files_is_anchor(entry->d_name) && strlen(entry->d_name) < sizeof subject->name)
            status = look_into(set, path, entry->d_name, subject);
    if (directory)
        closedir(directory);
    if (status == 0 && !subject->name[0]) {
        fprintf(stderr,
                "kosekictl: no file in %s holds the anchor %s; one that kosekifs.conf names by "
                "itself is taken out there\n",
                path, subject->digest);
        status = EXIT_REFUSED;
    }
    return status;
}

static int run_remove(struct anchors_command *command, const char *path,
                      struct anchor_directory *directory, struct subject *subject)
{
    _cleanup_anchor_set_ struct anchor_set set = {0}, left = {0};
    char text[ANCHOR_DIRECTORY_TEXT];
    int64_t now_s = clock_realtime_s();
    if (anchor_set_read(&command->config->trust, true, &set) < 0)
        return EX_CONFIG;
    int status = find_anchor(&set, path, subject);
    if (status != 0)
        return status;
    if (anchor_set_without(&set, bytes_of(subject->content.data, subject->content.size), &left) < 0)
        return EXIT_REFUSED;
    if (!anchor_set_print(&left, now_s))
        return refuse("without it the set would be refused as a whole");
    if (check_signers(command, &left, now_s) != 0 && !command->anyway)
        return refuse("certificates of these signers could be read no more (--anyway)");
    status = put_on_record(command, "remove", subject);
    if (status != 0)
        return status;
    if (anchor_directory_remove(directory, subject->name, text) < 0)
        return refuse(text);
    return settle(command, directory);
}

/* Upper case and colons, as openssl prints it, are welcome. */
static bool read_digest(const char *text, struct subject *subject)
{
    uint8_t digest[SHA256_SIZE];
    size_t size = 0;
    for (; *text && size < sizeof subject->digest - 1; text++)
        if (*text != ':')
            subject->digest[size++] = (char)tolower((unsigned char)*text);
    subject->digest[size] = '\0';
    return *text == '\0' && hex_decode(subject->digest, size, digest, sizeof digest);
}

static int run_change(struct anchors_command *command, bool add, const char *word)
{
    char path[PATH_MAX], text[ANCHOR_DIRECTORY_TEXT];
    struct anchor_directory directory = {.fd = -1};
    struct subject subject = {0};
    if (!command->reason || !schema_reason_valid(command->reason))
        return refuse("--reason is needed: one line, shorter than 400 bytes");
    if (!add && !read_digest(word, &subject))
        return refuse("an anchor is named by the SHA-256 that trust show prints");
    if (command->fd < 0) {
        fprintf(stderr, "kosekictl: no daemon that could put it on record\n");
        return EX_UNAVAILABLE;
    }
    int status = find_directory(command, path, sizeof path);
    if (status == 0 && anchor_directory_open(path, &directory, text) < 0)
        status = refuse(text);
    if (status == 0)
        status = add ? run_add(command, word, &directory, &subject)
                     : run_remove(command, path, &directory, &subject);
    if (status == 0)
        printf("%s\t%s\t%s\n", add ? "in force" : "removed", subject.digest,
               subject.anchor.subject);
    anchor_directory_close(&directory);
    buffer_done(&subject.content);
    return status;
}

/* --- command line ----------------------------------------------------------------------------- */

bool kosekictl_anchors_has(const char *action)
{
    return strcmp(action, "check") == 0 || strcmp(action, "add") == 0 ||
           strcmp(action, "remove") == 0;
}

static bool read_options(struct anchors_command *command, int argc, char **argv)
{
    static const struct option table[] = {
        {"reason", required_argument, NULL, OPTION_REASON},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"only", no_argument, NULL, OPTION_ONLY},
        {"anyway", no_argument, NULL, OPTION_ANYWAY},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == OPTION_REASON)
            command->reason = optarg;
        else if (option == OPTION_CONFIG)
            command->config_path = optarg;
        else if (option == OPTION_ONLY)
            command->only = true;
        else if (option == OPTION_ANYWAY)
            command->anyway = true;
        else if (option == OPTION_HELP)
            command->help = true;
        else
            return false;
    }
    return true;
}

static int usage(void)
{
    fputs(usage_text, stderr);
    return EX_USAGE;
}

static int run(struct anchors_command *command, char **words, int count)
{
    bool check = count > 0 && strcmp(words[0], "check") == 0;
    bool add = count > 0 && strcmp(words[0], "add") == 0;
    bool remove = count > 0 && strcmp(words[0], "remove") == 0;
    if ((!check && count != 2) || (!check && command->only) || (!remove && command->anyway) ||
        (check && command->reason) || (!check && !add && !remove))
        return usage();
    if (config_read(command->config_path, complain, NULL, command->config) < 0)
        return EX_CONFIG;
    command->fd = control_client_connect(command->options->socket);
    return check ? run_check(command, words + 1, count - 1) : run_change(command, add, words[1]);
}

int kosekictl_anchors(const struct kosekictl_options *options, int argc, char **argv)
{
    _cleanup_free_ struct config *config = calloc(1, sizeof *config);
    struct anchors_command command = {
        .options = options, .config_path = DEFAULT_CONFIG, .config = config, .fd = -1};
    if (!config)
        return asking_out_of_memory();
    if (!read_options(&command, argc, argv))
        return usage();
    if (command.help) {
        fputs(usage_text, stdout);
        return 0;
    }
    int status = run(&command, argv + optind, argc - optind);
    if (command.fd >= 0)
        close(command.fd);
    return status;
}
