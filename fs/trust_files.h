/*
 * The trust bundle (base/trust.h) from the files that section [trust] names, and a bundle of their
 * own for the revocation lists. A directory among the CRLs stands for its files *.crl, *.pem and
 * *.der, one among the anchors for *.pem, *.crt, *.cer and *.der, sorted by name. Of the schemas
 * (fs/schema_store.h) the one in use goes in, the file to begin with first. The contents are looked
 * into by kosekifs-verify alone.
 */
#ifndef FS_TRUST_FILES_H
#define FS_TRUST_FILES_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/config.h"

enum {
    TRUST_FILE_MAX = 32 * 1024 * 1024,
    TRUST_DIRECTORY_MAX = 4096, /* files taken from one directory */
};

/* Whether a directory of anchors stands for the file of this name. */
bool trust_files_is_anchor(const char *name);

/* Every file that cannot be used is reported; -EINVAL then. */
_must_use_ int trust_files_read(const struct config_trust *config, config_report *report,
                                void *context, struct buffer *ret_bundle);
/* The same for the revocation lists. */
_must_use_ int trust_files_read_lists(const struct config_trust *config, config_report *report,
                                      void *context, struct buffer *ret_bundle);

#endif
