/*
 * Mount options fall in three groups: ours; those that say what holds anyway or concern mount(8)
 * alone, which are passed over; and those that would break a promise, which are refused with the
 * reason. mount(8) without -o ro says "rw", and mount.fuse3 always adds "dev,suid": neither is
 * anybody's wish, and the mount is ro,nosuid,nodev,noexec all the same.
 */
#include "fs/supervisor_options.h"

#include "base/log.h"
#include "fs/supervisor_exit.h"

#include <getopt.h>
#include <string.h>

const char supervisor_usage[] =
    "Usage: kosekifs [-f] [SOURCE] MOUNTPOINT [-o OPTION[,OPTION]...]\n"
    "       mount -t fuse.kosekifs FILE MOUNTPOINT\n"
    "       kosekifs --dump-config -o config=FILE\n"
    "       kosekifs --try -o config=FILE\n"
    "\n"
    "Mounts koseki electronic certificates as read-only files.\n"
    "\n"
    "  -f, --foreground   stay in the foreground, messages on standard error\n"
    "  -o config=FILE     the configuration, see kosekifs.conf(5); default: SOURCE, or else\n"
    "                     /etc/kosekifs/kosekifs.conf\n"
    "  -o fsname=NAME     name shown in lists of mounts\n"
    "      --dump-config  print the configuration with all defaults and end\n"
    "      --try          start every process without mounting, say whether it works and end\n"
    "      --version      print the version and end\n"
    "      --help         print this and end\n"
    "\n"
    "Always mounted: ro,nosuid,nodev,noexec,noatime, and allow_other as root or where\n"
    "/etc/fuse.conf says user_allow_other. SIGHUP reads the configuration and the files it names\n"
    "again and replaces the processes if need be, while programs wait; SIGTERM unmounts and ends.\n"
    "\n"
    "Exit status: 0 in order; 1 a process could not start or the mount was aborted; 64 usage;\n"
    "66 mount point missing or no directory; 70 kosekifs-mount crashed again and again;\n"
    "71 operating system; 73 mount point not empty or\n"
    "busy, state directory or control socket not usable; 77 not permitted to mount;\n"
    "78 configuration, access policy or a file that they name; 79 a token refused its PIN.\n";

static const char default_config[] = "/etc/kosekifs/kosekifs.conf";

/* Says what holds anyway, or concerns mount(8) and systemd only. */
static const char *const passed_over[] = {
    "ro",          "nosuid",        "nodev",       "noexec",
    "noatime",     "nodiratime",    "dev",         "suid",
    "exec",        "atime",         "relatime",    "norelatime",
    "strictatime", "nostrictatime", "diratime",    "lazytime",
    "nolazytime",  "sync",          "async",       "dirsync",
    "defaults",    "auto",          "noauto",      "user",
    "nouser",      "users",         "owner",       "group",
    "nofail",      "_netdev",       "allow_other", "subtype=kosekifs",
};

static const struct {
    const char *option;
    const char *reason;
} refused[] = {
    {"default_permissions", "the kernel would deny by itself, and no denial would be on record"},
    {"auto_unmount", "readers would find an empty directory, as if no certificate existed"},
    {"drop_privileges", "kosekifs gives up its privileges by itself; leave it out"},
    {"allow_root", "who may read is the access policy's business; leave it out"},
    {"nonempty", "files below the mount point would be hidden"},
    {"remount", "unmount and mount again; SIGHUP reads the configuration again"},
};

struct parse {
    struct supervisor_options options;
    bool read_write;
    bool mistaken;
};

static void mistake(struct parse *parse, const char *what, const char *text)
{
    log_error("%s%.128s", what, text);
    parse->mistaken = true;
}

static void take_path(struct parse *parse, char out[PATH_MAX], const char *text)
{
    if (*text == '\0' || strlen(text) >= PATH_MAX)
        mistake(parse, "path is empty or too long: ", text);
    else
        strcpy(out, text);
}

static bool is_passed_over(const char *option)
{
    for (size_t i = 0; i < sizeof passed_over / sizeof passed_over[0]; i++) {
        if (strcmp(option, passed_over[i]) == 0)
            return true;
    }
    return strncmp(option, "x-", 2) == 0 || strncmp(option, "X-", 2) == 0 ||
           strncmp(option, "user=", 5) == 0 || strncmp(option, "comment=", 8) == 0;
}

static void take_option(struct parse *parse, const char *option)
{
    static const char config[] = "config=";
    static const char name[] = "fsname=";
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcmp(option, refused[i].option) == 0) {
            log_error("mount option %s is refused: %s", option, refused[i].reason);
            parse->mistaken = true;
            return;
        }
    }
    if (strncmp(option, config, sizeof config - 1) == 0)
        take_path(parse, parse->options.config, option + sizeof config - 1);
    else if (strncmp(option, name, sizeof name - 1) == 0)
        take_path(parse, parse->options.source, option + sizeof name - 1);
    else if (strcmp(option, "rw") == 0)
        parse->read_write = true;
    else if (*option && !is_passed_over(option))
        mistake(parse, "unknown mount option: ", option);
}

static void take_options(struct parse *parse, const char *text)
{
    _cleanup_free_ char *copy = strdup(text);
    if (!copy) {
        mistake(parse, "", strerror(ENOMEM));
        return;
    }
    char *rest = copy;
    for (char *option; (option = strsep(&rest, ","));)
        take_option(parse, option);
}

static void take_switches(struct parse *parse, int count, char *const arguments[])
{
    enum { LONG_DUMP = 256, LONG_HELP, LONG_VERSION, LONG_TRY };
    static const struct option long_options[] = {
        {"foreground", no_argument, NULL, 'f'}, {"dump-config", no_argument, NULL, LONG_DUMP},
        {"help", no_argument, NULL, LONG_HELP}, {"version", no_argument, NULL, LONG_VERSION},
        {"try", no_argument, NULL, LONG_TRY},   {NULL, 0, NULL, 0},
    };
    opterr = 0;
    optind = 0; /* starts anew: unit tests parse more than once */
    for (int c; (c = getopt_long(count, arguments, ":fho:V", long_options, NULL)) != -1;) {
        switch (c) {
        case 'f':
            parse->options.foreground = true;
            break;
        case 'o':
            take_options(parse, optarg);
            break;
        case LONG_DUMP:
            parse->options.dump_config = true;
            break;
        case LONG_TRY:
            parse->options.attempt = true;
            break;
        case 'h':
        case LONG_HELP:
            parse->options.help = true;
            break;
        case 'V':
        case LONG_VERSION:
            parse->options.version = true;
            break;
        default:
            mistake(parse, c == ':' ? "value is missing behind " : "unknown option ",
                    arguments[optind - 1]);
            break;
        }
    }
}

static void take_operands(struct parse *parse, int count, char *const operands[])
{
    bool no_mount = parse->options.dump_config || parse->options.help || parse->options.version ||
                    parse->options.attempt;
    if (count > 2)
        mistake(parse, "too many operands: ", operands[2]);
    else if (count == 0 && !no_mount)
        mistake(parse, "no mount point is given", "");
    if (count == 0 || count > 2)
        return;

    take_path(parse, parse->options.mount_point, operands[count - 1]);
    if (strncmp(parse->options.mount_point, "/dev/fd/", 8) == 0)
        mistake(parse, "mount.fuse3 mounted by itself; leave drop_privileges out", "");
    if (count == 2 && *parse->options.config == '\0')
        take_path(parse, parse->options.config, operands[0]);
    if (count == 2 && *parse->options.source == '\0')
        take_path(parse, parse->options.source, operands[0]);
    if (count == 1 && parse->read_write)
        mistake(parse, "mount option rw is refused: nothing can be written here", "");
}

int supervisor_options_parse(int count, char *const arguments[],
                             struct supervisor_options *ret_options)
{
    struct parse parse = {0};
    take_switches(&parse, count, arguments);
    take_operands(&parse, count - optind, arguments + optind);
    if (parse.mistaken)
        return EXIT_USAGE;
    if (*parse.options.config == '\0')
        strcpy(parse.options.config, default_config);
    if (*parse.options.source == '\0')
        strcpy(parse.options.source, parse.options.config);
    *ret_options = parse.options;
    return 0;
}
