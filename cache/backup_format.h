/*
 * The form of backup files (docs/recovery.md). Rows are taken out of the store as they are, sealed;
 * no key is among them, nor a name in clear. Numbers are big-endian.
 *
 *   header ‖ items ‖ rows ‖ manifest ‖ trailer
 *
 * The manifest lists every certificate, with file number and offset of its newest rows and of its
 * content, so the newest file says which older ones are needed.
 */
#ifndef CACHE_BACKUP_FORMAT_H
#define CACHE_BACKUP_FORMAT_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crypto.h"
#include "cache/record.h"
#include "cache/store.h"

#include <stdbool.h>

enum {
    BACKUP_FORMAT = 1,
    BACKUP_HEADER_SIZE = 256,
    BACKUP_FORMAT_ROW_SIZE = 124,
    BACKUP_ITEM_SIZE = 32, /* before the rows of an item */
    BACKUP_ROW_SIZE = 16,  /* before a row that belongs to no certificate */
    BACKUP_MANIFEST_ROW_SIZE = 44,
    BACKUP_SEAL_SIZE = AEAD_NONCE_SIZE + SHA256_SIZE + AEAD_TAG_SIZE,
    BACKUP_TRAILER_SIZE = 40 + SHA256_SIZE + BACKUP_SEAL_SIZE,
    BACKUP_ROW_MAX = 1 << 28,      /* a revocation list may be large */
    BACKUP_COUNT_MAX = 0x3fffffff, /* certificates */
    BACKUP_TABLE_ROWS_MAX = 1 << 20,
    BACKUP_KEY_MAX = 32,
};

struct backup_header {
    uint32_t number; /* from 1 */
    uint8_t store_id[STORE_ID_SIZE];
    int64_t time_s;
    uint8_t format_row[BACKUP_FORMAT_ROW_SIZE];
};

struct backup_item {
    bool with_content;
    uint32_t inode;
    uint64_t version;
    uint32_t entry_size, verdict_size, chunk_count;
};

struct backup_place {
    uint32_t file;
    uint64_t offset;
};

struct backup_row {
    uint32_t inode;
    uint64_t version;
    uint8_t mark[8]; /* of the entry's digest: whether rows changed */
    struct backup_place rows, content;
};

struct backup_trailer {
    uint64_t manifest_offset, count;
    uint64_t rows_offset, row_count; /* of tables that are copied whole */
    uint8_t sha256[SHA256_SIZE];     /* of all before the trailer */
    uint8_t seal[BACKUP_SEAL_SIZE];
};

void backup_header_put(const struct backup_header *header, uint8_t out[BACKUP_HEADER_SIZE]);
void backup_item_put(const struct backup_item *item, uint8_t out[BACKUP_ITEM_SIZE]);
void backup_row_put(const struct backup_row *row, uint8_t out[BACKUP_MANIFEST_ROW_SIZE]);
void backup_trailer_put(const struct backup_trailer *trailer, uint8_t out[BACKUP_TRAILER_SIZE]);

/* False: not such a thing, or beyond its ceilings. -EPROTONOSUPPORT is told by `ret_newer`. */
_must_use_ bool backup_header_get(const uint8_t in[BACKUP_HEADER_SIZE], bool *ret_newer,
                                  struct backup_header *ret_header);
_must_use_ bool backup_item_get(const uint8_t in[BACKUP_ITEM_SIZE], struct backup_item *ret_item);
_must_use_ bool backup_row_get(const uint8_t in[BACKUP_MANIFEST_ROW_SIZE],
                               struct backup_row *ret_row);
_must_use_ bool backup_trailer_get(const uint8_t in[BACKUP_TRAILER_SIZE],
                                   struct backup_trailer *ret_trailer);

/* Tables that are copied whole: keys of retention periods, revocation lists, signers. */
static const enum table backup_tables[] = {TABLE_PERIODS, TABLE_LISTS, TABLE_SIGNERS};
enum { BACKUP_TABLE_COUNT = sizeof backup_tables / sizeof *backup_tables };

/* A whole file that was read and agrees with itself: digest, order, bounds. */
struct backup_file {
    int fd; /* borrowed */
    uint64_t size;
    struct backup_header header;
    struct backup_trailer trailer;
};
/* -EBADMSG; -EPROTONOSUPPORT. With `whole` every byte is read and hashed. */
_must_use_ int backup_file_open(int fd, bool whole, struct backup_file *ret_file);
/* Exactly that many bytes; -EBADMSG beyond the end. */
_must_use_ int backup_file_read(const struct backup_file *file, uint64_t offset, void *out,
                                size_t size);

#endif
