/* The command line of kosekifs, as operators, mount(8), fstab and systemd write it. */
#ifndef FS_SUPERVISOR_OPTIONS_H
#define FS_SUPERVISOR_OPTIONS_H

#include "base/cleanup.h"

#include <limits.h>
#include <stdbool.h>

struct supervisor_options {
    char config[PATH_MAX];
    char source[PATH_MAX]; /* shown in lists of mounts; the configuration's path unless given */
    char mount_point[PATH_MAX];
    bool foreground;
    bool dump_config;
    bool attempt; /* --try */
    bool help;
    bool version;
};

/* 0, or EXIT_USAGE after a message for every mistake. */
_must_use_ int supervisor_options_parse(int count, char *const arguments[],
                                        struct supervisor_options *ret_options);

extern const char supervisor_usage[];

#endif
