/*
 * The Minister's schemas, by name and version, in one directory:
 *
 *   NAME/VERSION/manifest   what belongs to it, in JSON; the first file is the one to begin with
 *   NAME/VERSION/FILE.xsd   never changed once it is there
 *   current                 "NAME VERSION" or "none"
 *   history                 one line of JSON for each change
 *
 * Read by the supervisor and by kosekictl, changed by kosekictl (fs/schema_change.h). A schema
 * decides what is rejected: everything belongs to root or whoever reads, and nobody else can write.
 *
 * Calls return 0 or, after a text for the operator, a negative errno.
 */
#ifndef FS_SCHEMA_STORE_H
#define FS_SCHEMA_STORE_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crypto.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SCHEMA_NAME_SIZE = 20, /* with NUL; both stand in a verdict */
    SCHEMA_VERSION_SIZE = 20,
    SCHEMA_FILE_SIZE = 64,
    SCHEMA_FILES_MAX = 64,
    SCHEMA_BYTES_MAX = 16 * 1024 * 1024, /* of one version */
    SCHEMA_VERSIONS_MAX = 1000,          /* in the directory */
    SCHEMA_MANIFEST_MAX = 64 * 1024,
    SCHEMA_REASON_SIZE = 400,
    SCHEMA_TEXT_SIZE = 512,
    SCHEMA_HEX_SIZE = 2 * SHA256_SIZE + 1,
    SCHEMA_NONE_IN_USE = 1,
};

struct schema_id {
    char name[SCHEMA_NAME_SIZE];       /* [a-z][a-z0-9-]*, and not "none" */
    char version[SCHEMA_VERSION_SIZE]; /* [0-9A-Za-z][0-9A-Za-z._-]* */
};

struct schema_file {
    char name[SCHEMA_FILE_SIZE]; /* [0-9A-Za-z][0-9A-Za-z._-]*.xsd */
    uint64_t size;
    char sha256[SCHEMA_HEX_SIZE];
};

struct schema_manifest {
    struct schema_id id;
    /* SHA-256 of the lines "SHA256  FILE" of all files: what sha256sum prints. */
    char digest[SCHEMA_HEX_SIZE];
    size_t file_count;
    struct schema_file files[SCHEMA_FILES_MAX];
    char processor[16]; /* "XSD 1.0" or "XSD 1.1" */
    int64_t added_by;   /* uid */
    int64_t added_at_s;
    char reason[SCHEMA_REASON_SIZE];
    bool offline; /* no daemon recorded it in the audit trail */
};

/* False: not of the form above. */
bool schema_id_parse(const char *name, const char *version, struct schema_id *ret_id);
bool schema_file_name_valid(const char *name);
/* Printable UTF-8 text in one line, not empty. */
bool schema_reason_valid(const char *text);

/* -ENOENT without a text: there is no such directory. */
_must_use_ int schema_store_open(const char *path, char *ret_text, int *ret_store);
/* SCHEMA_NONE_IN_USE, or 0 with the schema that documents are validated by. */
_must_use_ int schema_store_current(int store, char *ret_text, struct schema_id *ret_id);
_must_use_ int schema_store_manifest(int store, const struct schema_id *id, char *ret_text,
                                     struct schema_manifest *ret_manifest);
/* The content of file `index`, which is what the manifest says it is. */
_must_use_ int schema_store_read(int store, const struct schema_manifest *manifest, size_t index,
                                 char *ret_text, struct buffer *ret_content);
/* All that are there, sorted; -E2BIG: more than `most`. */
_must_use_ int schema_store_list(int store, char *ret_text, struct schema_id *ids, size_t most,
                                 size_t *ret_count);

/* Sets manifest->digest from its files. -ENOMEM. */
_must_use_ int schema_manifest_digest(struct schema_manifest *manifest);
/* The text of a manifest file, or NULL when memory is short. The caller frees. */
char *schema_manifest_print(const struct schema_manifest *manifest);

/* Says into ret_text (SCHEMA_TEXT_SIZE) what is wrong, and returns r. */
int schema_fault(char *ret_text, int r, const char *format, ...) _printf_(3, 4);

#endif
