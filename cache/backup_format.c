/* See cache/backup_format.h. */
#include "cache/backup_format.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_SIZE = 1 << 20 };

static const uint8_t header_magic[8] = {'K', 'S', 'K', 'B', 'A', 'C', 'K', 'U'};
static const uint8_t item_magic[4] = {'K', 'S', 'I', 'T'};
static const uint8_t trailer_magic[8] = {'K', 'S', 'K', 'B', 'K', 'E', 'N', 'D'};

void backup_header_put(const struct backup_header *header, uint8_t out[BACKUP_HEADER_SIZE])
{
    memset(out, 0, BACKUP_HEADER_SIZE);
    memcpy(out, header_magic, sizeof header_magic);
    be32_put(out + 8, BACKUP_FORMAT);
    be32_put(out + 12, header->number);
    memcpy(out + 16, header->store_id, STORE_ID_SIZE);
    be64_put(out + 32, (uint64_t)header->time_s);
    memcpy(out + 40, header->format_row, BACKUP_FORMAT_ROW_SIZE);
}

bool backup_header_get(const uint8_t in[BACKUP_HEADER_SIZE], bool *ret_newer,
                       struct backup_header *ret_header)
{
    *ret_newer = false;
    if (memcmp(in, header_magic, sizeof header_magic) != 0)
        return false;
    *ret_newer = be32_get(in + 8) > BACKUP_FORMAT;
    ret_header->number = be32_get(in + 12);
    memcpy(ret_header->store_id, in + 16, STORE_ID_SIZE);
    ret_header->time_s = (int64_t)be64_get(in + 32);
    memcpy(ret_header->format_row, in + 40, BACKUP_FORMAT_ROW_SIZE);
    return be32_get(in + 8) == BACKUP_FORMAT && ret_header->number > 0;
}

void backup_item_put(const struct backup_item *item, uint8_t out[BACKUP_ITEM_SIZE])
{
    memset(out, 0, BACKUP_ITEM_SIZE);
    memcpy(out, item_magic, sizeof item_magic);
    out[4] = item->with_content;
    be32_put(out + 8, item->inode);
    be64_put(out + 12, item->version);
    be32_put(out + 20, item->entry_size);
    be32_put(out + 24, item->verdict_size);
    be32_put(out + 28, item->chunk_count);
}

bool backup_item_get(const uint8_t in[BACKUP_ITEM_SIZE], struct backup_item *ret_item)
{
    *ret_item = (struct backup_item){.with_content = in[4] == 1,
                                     .inode = be32_get(in + 8),
                                     .version = be64_get(in + 12),
                                     .entry_size = be32_get(in + 20),
                                     .verdict_size = be32_get(in + 24),
                                     .chunk_count = be32_get(in + 28)};
    return memcmp(in, item_magic, sizeof item_magic) == 0 && in[4] <= 1 &&
           ret_item->entry_size <= BACKUP_ROW_MAX && ret_item->verdict_size <= BACKUP_ROW_MAX &&
           ret_item->chunk_count <= RECORD_CONTENT_MAX / RECORD_CHUNK_SIZE_MIN &&
           (ret_item->chunk_count > 0) == ret_item->with_content;
}

void backup_row_put(const struct backup_row *row, uint8_t out[BACKUP_MANIFEST_ROW_SIZE])
{
    be32_put(out, row->inode);
    be64_put(out + 4, row->version);
    memcpy(out + 12, row->mark, sizeof row->mark);
    be32_put(out + 20, row->rows.file);
    be64_put(out + 24, row->rows.offset);
    be32_put(out + 32, row->content.file);
    be64_put(out + 36, row->content.offset);
}

bool backup_row_get(const uint8_t in[BACKUP_MANIFEST_ROW_SIZE], struct backup_row *ret_row)
{
    ret_row->inode = be32_get(in);
    ret_row->version = be64_get(in + 4);
    memcpy(ret_row->mark, in + 12, sizeof ret_row->mark);
    ret_row->rows = (struct backup_place){be32_get(in + 20), be64_get(in + 24)};
    ret_row->content = (struct backup_place){be32_get(in + 32), be64_get(in + 36)};
    return ret_row->rows.file > 0 && ret_row->content.file > 0 &&
           ret_row->content.file <= ret_row->rows.file;
}

void backup_trailer_put(const struct backup_trailer *trailer, uint8_t out[BACKUP_TRAILER_SIZE])
{
    memcpy(out, trailer_magic, sizeof trailer_magic);
    be64_put(out + 8, trailer->manifest_offset);
    be64_put(out + 16, trailer->count);
    be64_put(out + 24, trailer->rows_offset);
    be64_put(out + 32, trailer->row_count);
    memcpy(out + 40, trailer->sha256, SHA256_SIZE);
    memcpy(out + 40 + SHA256_SIZE, trailer->seal, BACKUP_SEAL_SIZE);
}

bool backup_trailer_get(const uint8_t in[BACKUP_TRAILER_SIZE], struct backup_trailer *ret_trailer)
{
    ret_trailer->manifest_offset = be64_get(in + 8);
    ret_trailer->count = be64_get(in + 16);
    ret_trailer->rows_offset = be64_get(in + 24);
    ret_trailer->row_count = be64_get(in + 32);
    memcpy(ret_trailer->sha256, in + 40, SHA256_SIZE);
    memcpy(ret_trailer->seal, in + 40 + SHA256_SIZE, BACKUP_SEAL_SIZE);
    return memcmp(in, trailer_magic, sizeof trailer_magic) == 0 &&
           ret_trailer->count <= BACKUP_COUNT_MAX &&
           ret_trailer->row_count <= BACKUP_TABLE_ROWS_MAX;
}

int backup_file_read(const struct backup_file *file, uint64_t offset, void *out, size_t size)
{
    uint8_t *next = out;
    if (offset > file->size || size > file->size - offset)
        return -EBADMSG;
    while (size > 0) {
        ssize_t got = pread(file->fd, next, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EBADMSG;
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static int check_digest(const struct backup_file *file)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_SIZE);
    _cleanup_sha256_stream_ struct sha256_stream *hash = sha256_stream_new();
    uint8_t digest[SHA256_SIZE];
    uint64_t end = file->size - BACKUP_TRAILER_SIZE;
    int r = piece && hash ? 0 : -ENOMEM;
    for (uint64_t offset = 0; r == 0 && offset < end;) {
        size_t size = end - offset < PIECE_SIZE ? (size_t)(end - offset) : PIECE_SIZE;
        r = backup_file_read(file, offset, piece, size);
        if (r == 0)
            r = sha256_stream_update(hash, piece, size);
        offset += size;
    }
    if (r == 0)
        r = sha256_stream_finish(hash, digest);
    if (r == 0 && memcmp(digest, file->trailer.sha256, sizeof digest) != 0)
        r = -EBADMSG;
    return r;
}

int backup_file_open(int fd, bool whole, struct backup_file *ret_file)
{
    struct backup_file file = {.fd = fd};
    struct stat status;
    uint8_t header[BACKUP_HEADER_SIZE], trailer[BACKUP_TRAILER_SIZE];
    bool newer;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size < BACKUP_HEADER_SIZE + BACKUP_TRAILER_SIZE)
        return -EBADMSG;
    file.size = (uint64_t)status.st_size;
    int r = backup_file_read(&file, 0, header, sizeof header);
    if (r == 0)
        r = backup_file_read(&file, file.size - sizeof trailer, trailer, sizeof trailer);
    if (r < 0)
        return r;
    if (!backup_header_get(header, &newer, &file.header))
        return newer ? -EPROTONOSUPPORT : -EBADMSG;
    if (!backup_trailer_get(trailer, &file.trailer) ||
        file.trailer.manifest_offset > file.size - BACKUP_TRAILER_SIZE ||
        file.trailer.rows_offset > file.trailer.manifest_offset ||
        file.size - BACKUP_TRAILER_SIZE - file.trailer.manifest_offset !=
            file.trailer.count * BACKUP_MANIFEST_ROW_SIZE)
        return -EBADMSG;
    r = whole ? check_digest(&file) : 0;
    if (r == 0)
        *ret_file = file;
    return r;
}
