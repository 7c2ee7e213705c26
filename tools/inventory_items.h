/*
 * What the service is made of on this machine, with digests: programs and libraries that its
 * processes run, configuration, access policy, schemas and trust anchors. Keys are not looked at.
 * Revocation lists are not part of it: they change every day, and carry a signature.
 */
#ifndef TOOLS_INVENTORY_ITEMS_H
#define TOOLS_INVENTORY_ITEMS_H

#include "base/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    INVENTORY_ITEMS_MAX = 20000,
    INVENTORY_PATH_MAX = 4096,
    INVENTORY_FILE_MAX = 16 * 1024 * 1024,
};

struct inventory_item {
    char *path;
    const char *kind; /* a constant: "program", "library", … */
    uint64_t size;
    uint8_t sha256[SHA256_SIZE];
    int error; /* positive: the file cannot be read */
};

struct inventory {
    struct inventory_item *list; /* sorted by path after inventory_finish() */
    size_t count, capacity;
    uint64_t replaced;                      /* files that run and are no longer what the disk has */
    char replaced_path[INVENTORY_PATH_MAX]; /* one of them */
};

struct config;
struct json;

/* Adds; a path that is there already stays once. -ENOMEM, -E2BIG. */
_must_use_ int inventory_add(struct inventory *inventory, const char *kind, const char *path);
/* All that the configuration names, itself included. */
_must_use_ int inventory_add_configured(struct inventory *inventory, const char *config_path,
                                        const struct config *config);
/* What a process and its children run: program, libraries, script. -ESRCH: it is gone. */
_must_use_ int inventory_add_processes(struct inventory *inventory, pid_t pid);
/* Digests all. */
void inventory_finish(struct inventory *inventory);
void inventory_done(struct inventory *inventory);

/* NULL: it is not there. After inventory_finish(). */
const struct inventory_item *inventory_find(const struct inventory *inventory, const char *path);

/* {"inventory": 1, "items": [{"kind", "path", "sha256", "size"}]}; NULL when memory is short. */
struct json *inventory_print(const struct inventory *inventory);
/* The items of such a text; -EBADMSG. Kinds of later versions are kept as "other". */
_must_use_ int inventory_parse(const struct json *json, struct inventory *ret_inventory);

#define _cleanup_inventory_ _cleanup_(inventory_done)

#endif
