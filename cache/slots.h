/*
 * The file of wrapped data keys: slots of fixed size, overwritten in place. Erasing a certificate
 * is erasing its slot; LMDB, which keeps old pages, never sees a wrapped key.
 *
 * The generation of a slot is a random number drawn each time it is written. A record names slot
 * and generation, so an older content of either is told from the present one.
 *
 * Thread rule: slots_read() from any thread; the rest from the one that writes. A slot is one
 * pwrite(2) of 128 bytes within one sector, but a reader may see it half written: it then looks
 * damaged, and the reader looks again after the writer's transaction.
 */
#ifndef CACHE_SLOTS_H
#define CACHE_SLOTS_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "cache/cache.h"
#include "cache/record.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
    SLOT_SIZE = 128,
    SLOTS_HEADER_SIZE = 4096,
    SLOT_AAD_SIZE = 4 + 8 + STORE_ID_SIZE,
};
/* A slot for each inode number there can be, and some to spare. */
#define SLOT_COUNT_MAX ((uint32_t)1 << 30)

enum slot_state { SLOT_ERASED = 1, SLOT_KEYED = 2 };

struct slot {
    uint64_t generation;
    enum slot_state state;
    uint8_t wrapped[CACHE_WRAPPED_SIZE]; /* zeros if erased */
};

/*
 * Copies of the file on other disks: every write goes there too, so what is erased here is erased
 * there. A copy that fails is left behind and brought up to date by slots_mirror_attach(), and the
 * higher sequence number of two slots is the newer.
 */
struct slots_mirror {
    int directory_fd; /* borrowed */
    int fd;           /* -1: not attached */
    atomic_int error; /* 0, or why it fell behind (negative errno); read by any thread */
};

struct slots {
    int fd;
    uint8_t store_id[STORE_ID_SIZE];
    uint64_t sequence; /* of the last write */
    unsigned mirror_count;
    struct slots_mirror mirrors[CACHE_MIRRORS_MAX];
};

/* A file without slots, durable, in place of one that never was used. -EBADMSG: the existing one
 * was. */
_must_use_ int slots_create(int directory_fd, const uint8_t store_id[STORE_ID_SIZE]);
/* -EBADMSG: there is none, or of another store. -EPROTONOSUPPORT: of a newer format. */
_must_use_ int slots_open(int directory_fd, const uint8_t store_id[STORE_ID_SIZE],
                          struct slots *ret_slots);
void slots_close(struct slots *slots);

/*
 * Opens or makes the copy and makes both agree, slot by slot, durably; the first time that it finds
 * a newer slot there, *ret_changed becomes true: our file was an older one, and records may name
 * keys that are no more. -EBADMSG: the copy is of another store, or no such file.
 */
_must_use_ int slots_mirror_attach(struct slots *slots, unsigned index, bool *ret_changed);
/* The store's format row, which has the store key wrapped by the present master key, beside the
 * slots and in the copies: a backup has it as it was wrapped then. Durable. */
_must_use_ int slots_put_format(struct slots *slots, struct bytes row);
/* CACHE_MISS: none is there, or it is damaged. */
_must_use_ int slots_get_format(const struct slots *slots, uint8_t *out, size_t size);
/* How many slots the file has room for. */
_must_use_ int slots_count(const struct slots *slots, uint32_t *ret_count);

/* -EBADMSG if it is beyond the end, damaged, or another slot's. */
_must_use_ int slots_read(const struct slots *slots, uint32_t number, struct slot *ret_slot);
/* Not durable before slots_sync(). */
_must_use_ int slots_write(struct slots *slots, uint32_t number, const struct slot *slot);
/* An erased slot with a new generation. */
_must_use_ int slots_erase(struct slots *slots, uint32_t number);
/* Copies that cannot be synced are left behind, which is no error. */
_must_use_ int slots_sync(struct slots *slots);

/* What the wrapped key of a slot is bound to. */
void slot_aad(const struct slots *slots, uint32_t number, uint64_t generation,
              uint8_t ret_aad[SLOT_AAD_SIZE]);

#endif
