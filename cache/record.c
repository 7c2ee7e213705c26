/* Byte-exact in docs/store-format.md, "Record header" and "Chunks". */
#include "cache/record.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

enum { RECORD_FORMAT = 1, ALGORITHM_AES_256_GCM = 1 };

static const uint8_t header_magic[4] = {'K', 'S', 'K', 'R'};
static const uint8_t chunk_label[4] = {'K', 'D', 'A', 'T'};
static const uint8_t verdict_label[4] = {'K', 'V', 'R', 'D'};

bool record_plausible(const struct record *record)
{
    uint32_t chunk_size = record->chunk_size;
    return chunk_size >= RECORD_CHUNK_SIZE_MIN && chunk_size <= RECORD_CHUNK_SIZE_MAX &&
           (chunk_size & (chunk_size - 1)) == 0 && record->size <= RECORD_CONTENT_MAX &&
           record->version > 0;
}

int record_header(const struct record *record, const uint8_t store_id[STORE_ID_SIZE],
                  uint8_t ret_header[RECORD_HEADER_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    int r = sha256(record->name.text, strlen(record->name.text), digest);
    if (r < 0)
        return r;
    memcpy(ret_header, header_magic, sizeof header_magic);
    be16_put(ret_header + 4, RECORD_FORMAT);
    be16_put(ret_header + 6, ALGORITHM_AES_256_GCM);
    be32_put(ret_header + 8, record->chunk_size);
    be32_put(ret_header + 12, record->inode);
    be64_put(ret_header + 16, record->version);
    be64_put(ret_header + 24, record->size);
    be64_put(ret_header + 32, record->generation);
    be32_put(ret_header + 40, record->slot);
    be32_put(ret_header + 44, record->period);
    memcpy(ret_header + 48, store_id, STORE_ID_SIZE);
    memcpy(ret_header + 64, digest, sizeof digest);
    return 0;
}

size_t record_row(const struct record *record, const uint8_t header[RECORD_HEADER_SIZE],
                  uint8_t ret_row[RECORD_ROW_MAX])
{
    size_t size = strlen(record->name.text);
    memcpy(ret_row, header, RECORD_HEADER_SIZE);
    memcpy(ret_row + RECORD_HEADER_SIZE, record->name.text, size);
    return RECORD_HEADER_SIZE + size;
}

bool record_row_has(struct bytes row, const uint8_t header[RECORD_HEADER_SIZE])
{
    return row.size >= RECORD_HEADER_SIZE && memcmp(row.data, header, RECORD_HEADER_SIZE) == 0;
}

bool record_row_unverified_name(struct bytes row, struct certname *ret_name)
{
    struct certname name = {0};
    if (row.size <= RECORD_HEADER_SIZE + CERTNAME_SUFFIX || row.size > RECORD_ROW_MAX)
        return false;
    size_t size = row.size - RECORD_HEADER_SIZE;
    memcpy(name.text, row.data + RECORD_HEADER_SIZE, size);
    if (!certname_valid(&name))
        return false;
    *ret_name = name;
    return true;
}

uint32_t record_header_slot(const uint8_t header[RECORD_HEADER_SIZE])
{
    return be32_get(header + 40);
}

uint64_t record_header_generation(const uint8_t header[RECORD_HEADER_SIZE])
{
    return be64_get(header + 32);
}

uint32_t record_chunk_count(const struct record *record)
{
    if (record->size == 0)
        return 1;
    return (uint32_t)((record->size + record->chunk_size - 1) / record->chunk_size);
}

size_t record_chunk_size(const struct record *record, uint32_t index)
{
    uint64_t begin = (uint64_t)index * record->chunk_size;
    assert(begin <= record->size);
    uint64_t left = record->size - begin;
    return left < record->chunk_size ? (size_t)left : record->chunk_size;
}

void record_chunk_key(uint32_t inode, uint64_t version, uint32_t index,
                      uint8_t ret_key[RECORD_CHUNK_KEY_SIZE])
{
    be32_put(ret_key, inode);
    be64_put(ret_key + 4, version);
    be32_put(ret_key + 12, index);
}

static void chunk_nonce(const struct record *record, uint32_t index, uint8_t nonce[AEAD_NONCE_SIZE])
{
    memcpy(nonce, chunk_label, sizeof chunk_label);
    memset(nonce + 4, 0, 3);
    be32_put(nonce + 7, index);
    nonce[11] = index + 1 == record_chunk_count(record);
}

int record_chunk_seal(const struct record *record, const struct data_key *key,
                      const uint8_t header[RECORD_HEADER_SIZE], uint32_t index,
                      const uint8_t *plain, uint8_t *ret_sealed)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    chunk_nonce(record, index, nonce);
    return aead_seal(key->bytes, nonce, header, RECORD_HEADER_SIZE, plain,
                     record_chunk_size(record, index), ret_sealed);
}

int record_chunk_open(const struct record *record, const struct data_key *key,
                      const uint8_t header[RECORD_HEADER_SIZE], uint32_t index,
                      const uint8_t *sealed, uint8_t *ret_plain)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    chunk_nonce(record, index, nonce);
    return aead_open(key->bytes, nonce, header, RECORD_HEADER_SIZE, sealed,
                     record_chunk_size(record, index), ret_plain);
}

int record_verdict_seal(const struct data_key *key, const uint8_t header[RECORD_HEADER_SIZE],
                        const uint8_t *plain, size_t size, uint8_t *ret_sealed)
{
    memcpy(ret_sealed, verdict_label, sizeof verdict_label);
    int r = random_bytes(ret_sealed + sizeof verdict_label, AEAD_NONCE_SIZE - sizeof verdict_label);
    if (r < 0)
        return r;
    return aead_seal(key->bytes, ret_sealed, header, RECORD_HEADER_SIZE, plain, size,
                     ret_sealed + AEAD_NONCE_SIZE);
}

int record_verdict_open(const struct data_key *key, const uint8_t header[RECORD_HEADER_SIZE],
                        const uint8_t *sealed, size_t size, uint8_t *ret_plain)
{
    if (memcmp(sealed, verdict_label, sizeof verdict_label) != 0)
        return -EBADMSG;
    return aead_open(key->bytes, sealed, header, RECORD_HEADER_SIZE, sealed + AEAD_NONCE_SIZE, size,
                     ret_plain);
}
