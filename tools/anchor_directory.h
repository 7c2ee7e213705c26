/*
 * The directory of trust anchors, a certificate a file. Each change is one rename, so that whoever
 * reads, or comes after a power cut, finds the state before or after it, and it can be undone until
 * it is settled. What an interrupted change left behind is cleared away by the next.
 *
 * Calls return 0 or, after a text for the operator, a negative errno.
 */
#ifndef TOOLS_ANCHOR_DIRECTORY_H
#define TOOLS_ANCHOR_DIRECTORY_H

#include "base/bytes.h"
#include "base/cleanup.h"

enum { ANCHOR_NAME_SIZE = 256, ANCHOR_DIRECTORY_TEXT = 512 };

struct anchor_directory {
    int fd;                         /* locked as long as it is open; -1: not open */
    char changed[ANCHOR_NAME_SIZE]; /* the file; empty: none is */
    bool added;
};

_must_use_ int anchor_directory_open(const char *path, struct anchor_directory *ret_directory,
                                     char *ret_text);
/* A file of this name, which must not be there, durable when it returns. */
_must_use_ int anchor_directory_add(struct anchor_directory *directory, const char *name,
                                    struct bytes content, char *ret_text);
_must_use_ int anchor_directory_remove(struct anchor_directory *directory, const char *name,
                                       char *ret_text);
/* Puts things back as they were. */
_must_use_ int anchor_directory_undo(struct anchor_directory *directory, char *ret_text);
/* Settles the change, if there is one, and closes. */
void anchor_directory_close(struct anchor_directory *directory);

#endif
