/*
 * One stored version of a certificate: its header, which is the additional authenticated data of
 * everything encrypted for it, and how its content is cut into chunks.
 *
 * Each version has a data key of its own, so nonces are simple: a label, the chunk's number and a
 * flag on the last chunk (as in STREAM, Hoang et al. 2015, which forbids cutting and reordering).
 */
#ifndef CACHE_RECORD_H
#define CACHE_RECORD_H

#include "base/bytes.h"
#include "base/certname.h"
#include "base/cleanup.h"
#include "base/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The unit of decryption. Measured with tests/bench/store_bench.c, 64 against 128 KiB: 4 KiB out of
 * 20 MiB 19 against 32 us, 300 KiB at once 58 against 50 to 57 us, admission the same. */
#ifndef RECORD_CHUNK_SIZE
#define RECORD_CHUNK_SIZE (64 * 1024)
#endif

enum {
    STORE_ID_SIZE = 16,
    RECORD_HEADER_SIZE = 96,
    RECORD_CHUNK_KEY_SIZE = 16,
    RECORD_CHUNK_SIZE_MIN = 4 * 1024,
    RECORD_CHUNK_SIZE_MAX = 1024 * 1024,
};

/* As large as a memory file of kosekifs-link may be configured to be. */
#define RECORD_CONTENT_MAX ((uint64_t)1 << 30)

struct data_key {
    uint8_t bytes[AEAD_KEY_SIZE];
};

static inline void data_key_wipe(struct data_key *key)
{
    wipe(key->bytes, sizeof key->bytes);
}
#define _cleanup_data_key_ _cleanup_(data_key_wipe)

struct record {
    uint32_t inode;
    uint32_t slot;       /* of the wrapped data key */
    uint64_t generation; /* of that slot */
    uint64_t version;    /* counts the admissions under this inode from 1 */
    uint64_t size;       /* of the content */
    uint32_t chunk_size;
    uint32_t period; /* of retention, whose key is needed besides (cache/periods.h); 0 = none */
    struct certname name;
};

/* False for what no build ever wrote. */
bool record_plausible(const struct record *record);

_must_use_ int record_header(const struct record *record, const uint8_t store_id[STORE_ID_SIZE],
                             uint8_t ret_header[RECORD_HEADER_SIZE]);

/* The row of the table of records: the header, and the name for listings. A row with no name or a
 * false one is as good for reading. */
enum { RECORD_ROW_MAX = RECORD_HEADER_SIZE + CERTNAME_MAX };
size_t record_row(const struct record *record, const uint8_t header[RECORD_HEADER_SIZE],
                  uint8_t ret_row[RECORD_ROW_MAX]);
bool record_row_has(struct bytes row, const uint8_t header[RECORD_HEADER_SIZE]);
/* False: none is there, or none that could be a name. It may be that of another certificate. */
bool record_row_unverified_name(struct bytes row, struct certname *ret_name);

/* Of a header that may be damaged. */
uint32_t record_header_slot(const uint8_t header[RECORD_HEADER_SIZE]);
uint64_t record_header_generation(const uint8_t header[RECORD_HEADER_SIZE]);

/* At least one: an empty certificate has one empty chunk. */
uint32_t record_chunk_count(const struct record *record);
/* Plaintext bytes of a chunk. */
size_t record_chunk_size(const struct record *record, uint32_t index);
void record_chunk_key(uint32_t inode, uint64_t version, uint32_t index,
                      uint8_t ret_key[RECORD_CHUNK_KEY_SIZE]);

/* `ret_sealed` takes record_chunk_size() + AEAD_TAG_SIZE bytes. */
_must_use_ int record_chunk_seal(const struct record *record, const struct data_key *key,
                                 const uint8_t header[RECORD_HEADER_SIZE], uint32_t index,
                                 const uint8_t *plain, uint8_t *ret_sealed);
/* -EBADMSG; `ret_plain` is zeroed then. */
_must_use_ int record_chunk_open(const struct record *record, const struct data_key *key,
                                 const uint8_t header[RECORD_HEADER_SIZE], uint32_t index,
                                 const uint8_t *sealed, uint8_t *ret_plain);

/* A verdict may be replaced under the same data key, so its nonce has a random part. Written is
 * RECORD_VERDICT_EXTRA more than `size`: nonce, ciphertext, tag. */
enum { RECORD_VERDICT_EXTRA = AEAD_NONCE_SIZE + AEAD_TAG_SIZE };
_must_use_ int record_verdict_seal(const struct data_key *key,
                                   const uint8_t header[RECORD_HEADER_SIZE], const uint8_t *plain,
                                   size_t size, uint8_t *ret_sealed);
/* `size` is that of the plaintext. */
_must_use_ int record_verdict_open(const struct data_key *key,
                                   const uint8_t header[RECORD_HEADER_SIZE], const uint8_t *sealed,
                                   size_t size, uint8_t *ret_plain);

#endif
