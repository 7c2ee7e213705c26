/*
 * What is known of an incident, as a file that only grows: one line of JSON for each thing that was
 * done, each with the digest of the line before, so that what was written stays as it was. Works
 * without a daemon, since the incident may be that there is none.
 *
 * Thread rule: one thread; processes exclude each other by a lock on the file.
 */
#ifndef TOOLS_INCIDENT_FILE_H
#define TOOLS_INCIDENT_FILE_H

#include "base/cleanup.h"
#include "base/crypto.h"

#include <stdbool.h>
#include <stdint.h>

#define INCIDENT_DIRECTORY "/var/lib/kosekifs-incidents"

enum {
    INCIDENT_MAX = 9999, /* numbers */
    INCIDENT_LINE_MAX = 16 * 1024,
    INCIDENT_FILE_MAX = 4 * 1024 * 1024,
    INCIDENT_TEXT_MAX = 8000, /* of a note or field */
};

/* What only people can write; each is asked for before an incident is closed. */
#define INCIDENT_FIELDS(X)                                                                         \
    X("overview", "概要", "Overview")                                                              \
    X("contact", "担当者・連絡先", "Person in charge and contact")                                 \
    X("notified", "法務大臣への第一報(日時・相手・方法)", "First notice to the Minister")          \
    X("damage", "影響・被害状況", "Effect and damage")                                             \
    X("measures", "復旧・被害の拡大防止のために講じた措置", "Measures taken")                      \
    X("cause", "根本原因", "Root cause")                                                           \
    X("prevention", "再発防止策", "Prevention of recurrence")

struct json;

/* Tells of failures itself; an exit status of sysexits.h, or 0. */
_must_use_ int incident_create(const char *directory, const struct json *opening,
                               unsigned *ret_number, uint8_t ret_digest[SHA256_SIZE]);
/* Appends an action; EX_DATAERR when the file is damaged, 1 when the incident is closed already. */
_must_use_ int incident_append(const char *directory, unsigned number, const struct json *action,
                               uint8_t ret_digest[SHA256_SIZE]);
/*
 * All of it as one object: "id", "kind", "title", "since", "until", "users", "names", "opened_at",
 * "opened_by", "closed_at", "fields" {name: text}, "notes" [{at, by, text}]. The caller frees.
 */
_must_use_ int incident_read(const char *directory, unsigned number, struct json **ret_incident);

/* The first number at or after `from` that is there; 0 if none. */
unsigned incident_next(const char *directory, unsigned from);

bool incident_is_field(const char *name);

#endif
