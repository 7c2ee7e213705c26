/* Records of a trail by who, what and when: shown to people, or exported. */
#ifndef TOOLS_AUDIT_SELECT_H
#define TOOLS_AUDIT_SELECT_H

#include "tools/trail_files.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct audit_selection {
    int64_t uid; /* -1: of anybody, also of the daemon itself */
    const char *name;
    const char *kind;
    const char *result;
    int64_t since_s, until_s; /* both within */
};

struct audit_selection audit_select_all(void);

/* 0, or EX_USAGE after a message. */
int audit_select_who(struct audit_selection *selection, const char *user);
int audit_select_kind(struct audit_selection *selection, const char *kind);
int audit_select_result(struct audit_selection *selection, const char *result);
/* A date (UTC), RFC 3339, or a span such as 90m, 2h, 7d before now. */
int audit_select_time(const char *text, int64_t *ret_seconds);

/* Of each record selected. An exit status other than 0 ends the walk. */
struct json;
typedef int audit_select_take(void *context, int64_t time_s, const struct json *event);
/* An exit status: what `take` returned, or of a file that cannot be read. */
int audit_select_walk(const struct trail_files *files, const struct audit_selection *selection,
                      audit_select_take *take, void *context);

/* One line a record; `json`: the lines of the trail as they are. An exit status. */
int audit_select_show(const struct trail_files *files, const struct audit_selection *selection,
                      bool json, FILE *out);

/* All records from the first that is not before since_s to the last before one that is after
 * until_s, with a first line that lets verify check them. `path` must not exist. An exit status. */
int audit_select_export(const struct trail_files *files, const struct audit_selection *selection,
                        const char *path);

#endif
