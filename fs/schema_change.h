/*
 * Changes to the directory of schemas (fs/schema_store.h). Each is one rename, so that whoever
 * reads, or comes after a power cut, finds the state before or after it. What an interrupted change
 * left behind is cleared away by the next.
 *
 * Calls return 0 or, after a text for the operator, a negative errno.
 */
#ifndef FS_SCHEMA_CHANGE_H
#define FS_SCHEMA_CHANGE_H

#include "fs/schema_store.h"

struct schema_change {
    const char *action;  /* "add", "use", "destroy" */
    struct schema_id id; /* of use: an empty name stands for none */
    const char *digest;
    const char *reason;
    int64_t by; /* uid */
    int64_t at_s;
    bool offline;
};

/* Opens the directory for changes, makes it if it is not there, and keeps others from changing it
 * as long as the descriptor is open. -EBUSY: somebody else does. */
_must_use_ int schema_change_begin(const char *path, char *ret_text, int *ret_store);
/* Why it cannot be done, if it cannot: asked before it is recorded. */
_must_use_ int schema_change_check(int store, const struct schema_change *change, char *ret_text);
/* `contents` are those of the manifest's files. -EEXIST: that version is there already. */
_must_use_ int schema_change_add(int store, const struct schema_change *change,
                                 const struct schema_manifest *manifest,
                                 const struct bytes *contents, char *ret_text);
_must_use_ int schema_change_use(int store, const struct schema_change *change, char *ret_text);
/* Overwrites the files and removes them. -EBUSY: the schema is in use. */
_must_use_ int schema_change_destroy(int store, const struct schema_change *change, char *ret_text);

#endif
