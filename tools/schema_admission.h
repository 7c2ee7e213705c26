/*
 * A new version of a schema, before it is added: its files are read, inspected with the same code
 * as kosekifs-verify uses, and described in a manifest. What no processor can honour is refused
 * here rather than at the first document.
 */
#ifndef TOOLS_SCHEMA_ADMISSION_H
#define TOOLS_SCHEMA_ADMISSION_H

#include "fs/schema_store.h"
#include "verify/schema.h"

struct schema_admission {
    struct schema_manifest manifest; /* files, digest and processor */
    size_t count;
    struct trust_schema files[SCHEMA_FILES_MAX];
    struct buffer contents[SCHEMA_FILES_MAX];
};

/* NULL when memory is short. */
struct schema_admission *schema_admission_new(void);
struct schema_admission *schema_admission_free(struct schema_admission *admission);

/* The first path is that of the file to begin with. 0 or, after a text, a negative errno. */
_must_use_ int schema_admission_read(struct schema_admission *admission, char *const paths[],
                                     size_t count, char *ret_text);
/* Which processor it takes; -ENOTSUP: none can honour it, for the construct that the text names. */
_must_use_ int schema_admission_inspect(struct schema_admission *admission, char *ret_text);

static inline void cleanup_schema_admission(struct schema_admission **slot)
{
    schema_admission_free(*slot);
}
#define _cleanup_schema_admission_ _cleanup_(cleanup_schema_admission)

#endif
