/*
 * The encrypted store of verified certificates, an LMDB environment and a file of key slots in one
 * directory. Life of a certificate here:
 *   1. entry   - the link system knows the name (HEAD): inode number, size, dates, validator;
 *   2. stored  - cache_admit(): content encrypted under a data key of its own, with verdict;
 *      or rejected - cache_reject(): the verdict only, no content;
 *   3. read    - cache_read(): any range, decrypted chunk by chunk, each authenticated;
 *   4. purged  - cache_purge(): key slot overwritten in place and synced, then the record removed.
 * Nothing is readable that was not admitted with a TOTAL-PASSED verdict.
 *
 * Thread rule: reads from any thread, several at once; the calls that write (upsert, admit, apply,
 * reject, purge, forget, hold, revise, note_uses, upkeep, mend) from one thread at a time. No
 * transaction outlives a call. Format: docs/store-format.md.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/bytes.h"
#include "base/certname.h"
#include "base/cleanup.h"
#include "base/crypto.h"
#include "base/verdict.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    /* Expected outcomes: no such entry, or nothing stored under it; */
    CACHE_MISS = 1,
    /* erased as far as anybody can see, but the disk did not take the overwriting yet; in general
     * done, but for a part that is done later. */
    CACHE_PENDING = 2,
    CACHE_WRAPPED_SIZE = 64,
    CACHE_AAD_MAX = 64,
    CACHE_VALIDATOR_MAX = 320,
    CACHE_INODE_FIRST = 16,
    CACHE_INODE_LAST = 0x3fffffff,
    CACHE_USE_GRAIN_S = 3600, /* how exactly the last use is known */
    CACHE_PERIOD_S = 30 * 86400,
    CACHE_MIRRORS_MAX = 2,
};

/* Who wraps data keys: kosekifs-keys in the daemon, a fixed key in the unit tests. */
struct cache_keyring {
    void *context;
    /* A new data key and its wrapped form bound to aad. */
    int (*generate)(void *context, const void *aad, size_t aad_size, uint8_t ret_key[AEAD_KEY_SIZE],
                    uint8_t ret_wrapped[CACHE_WRAPPED_SIZE]);
    int (*unwrap)(void *context, const void *aad, size_t aad_size,
                  const uint8_t wrapped[CACHE_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE]);
    /* The same data key under the newest master key; CACHE_MISS: it is already. */
    int (*rewrap)(void *context, const void *aad, size_t aad_size,
                  const uint8_t wrapped[CACHE_WRAPPED_SIZE],
                  uint8_t ret_wrapped[CACHE_WRAPPED_SIZE]);
};

struct cache_settings {
    int directory_fd; /* stays the caller's; mode 0700 */
    uint64_t map_size;
    uint64_t quota;        /* bytes of plaintext; 0 = none */
    uint64_t headroom;     /* bytes of the disk that admissions leave free; 0 = a little */
    uint64_t partials_max; /* bytes of partial bodies */
    struct cache_keyring keyring;
    /* Directories with copies of the file of keys, on other disks: the ledger that backups cannot
     * be read without, and the replica. They stay the caller's. */
    unsigned mirror_count;
    int mirror_fds[CACHE_MIRRORS_MAX];
    bool outbox; /* changes are noted for a replica */
};

struct cache;

/*
 * Opens or creates. -EBUSY: another process holds it; -EPROTONOSUPPORT: written by a newer format;
 * -EMEDIUMTYPE: file system is neither ext4 nor xfs; -EBADMSG: damaged; -EKEYREJECTED: another
 * master key. ret_message (256 bytes) explains.
 */
_must_use_ int cache_open(const struct cache_settings *settings, char *ret_message,
                          struct cache **ret_cache);
struct cache *cache_close(struct cache *cache);

/* Drawn when the store was made, never 0. Inode numbers are unique in one store; together with this
 * they still are when another store takes its place, as a file handle kept by NFS must be. */
uint32_t cache_generation(const struct cache *cache);

/* Wipes the data keys and the entries that are kept in clear; the next read unwraps its key anew.
 * Whether keys are kept from then on is said by `keep`: until it is true again, each is wiped after
 * its use. Any thread. */
void cache_keep_keys(struct cache *cache, bool keep);

enum cache_state {
    CACHE_KNOWN = 0, /* seen at the link system, not fetched */
    CACHE_STORED = 1,
    CACHE_REJECTED = 2,
    CACHE_WITHHELD =
        3, /* content kept, but its present verdict is not TOTAL-PASSED: not readable */
};

/* Everything about a certificate but its content and verdict. */
struct cache_entry {
    struct certname name;
    uint32_t inode; /* given at the first upsert, never reused */
    enum cache_state state;
    uint64_t size;
    int64_t modified_s;                    /* the link system's date */
    int64_t first_seen_ns;                 /* wall clock at the first upsert: ctime */
    int64_t stored_at_s;                   /* CACHE_STORED: when admitted */
    int64_t received_at_s;                 /* when the bytes came: proof of existence */
    int64_t fresh_until_s;                 /* from the verdict */
    uint8_t trust_generation[SHA256_SIZE]; /* of the verdict */
    uint8_t sha256[SHA256_SIZE];           /* of the content; CACHE_STORED */
    int64_t used_at_s;                     /* CACHE_STORED: last use, to CACHE_USE_GRAIN_S */
    bool held;                             /* under legal hold: content neither goes nor expires */
    uint8_t signer_sha256[SHA256_SIZE];    /* from the verdict: the signer's certificate */
    char validator[CACHE_VALIDATOR_MAX];   /* opaque to cache; NUL-terminated */
};

_must_use_ int cache_find(struct cache *cache, const struct certname *name,
                          struct cache_entry *ret_entry); /* CACHE_MISS */
/* The entries asked for last are kept in clear (cache/warm_entries.h), each only until the next
 * commit: after a change there is nothing to call. */
_must_use_ int cache_find_inode(struct cache *cache, uint32_t inode,
                                struct cache_entry *ret_entry); /* CACHE_MISS */

/* The inode of a name, also when all else that is known of it is damaged. CACHE_MISS. */
_must_use_ int cache_find_number(struct cache *cache, const struct certname *name,
                                 uint32_t *ret_inode);

/*
 * Records what HEAD said: size, modified_s, validator of `entry` are taken. A new name gets an
 * inode number and first_seen_ns = now_ns; a known one keeps both. A stored certificate keeps its
 * size and date, since content once admitted is served as admitted; a rejected one becomes
 * CACHE_KNOWN when the validator changed. -ENOSPC when inode numbers or the disk are used up.
 */
_must_use_ int cache_upsert(struct cache *cache, const struct certname *name, uint64_t size,
                            int64_t modified_s, const char *validator, int64_t now_ns,
                            struct cache_entry *ret_entry);

/*
 * The beginning of a body that is still on its way, kept so that neither cut nor crash costs it.
 * Encrypted as content is, under a data key of its own; no call yields it but cache_partial_load(),
 * and what that yields is unverified and goes back to transport.
 */
struct cache_partial {
    uint64_t size; /* of the whole body */
    uint64_t held;
    int64_t updated_at_s;
    char validator[CACHE_VALIDATOR_MAX]; /* opaque to cache */
};
_must_use_ int cache_partial_find(struct cache *cache, const struct certname *name,
                                  struct cache_partial *ret_partial); /* CACHE_MISS */
/*
 * Adds a piece, durably; offset 0 begins anew in place of what is there. The name must have an
 * entry (-ENOENT). -ESTALE: not where what is kept ends, or of another version. -ENOSPC: disk,
 * map, or the ceiling of all partial bodies.
 */
_must_use_ int cache_partial_append(struct cache *cache, const struct certname *name,
                                    const char *validator, uint64_t size, uint64_t offset,
                                    struct bytes piece, int64_t now_s);
/* CACHE_MISS; -EFBIG: more than `size`; -EIO: damaged, and `out` is zeroed. */
_must_use_ int cache_partial_load(struct cache *cache, const struct certname *name, uint8_t *out,
                                  size_t size, size_t *ret_size);
/* Crypto-erasure. CACHE_MISS. */
_must_use_ int cache_partial_drop(struct cache *cache, const struct certname *name);
/* The same for all that were last added to before this time. */
_must_use_ int cache_partial_expire(struct cache *cache, int64_t before_s, unsigned *ret_count);

/*
 * Encrypts and stores, in one durable transaction with the verdict. keep_until_s (0 = no end) says
 * until when it will be kept; it chooses the retention period whose key it needs. The verdict must
 * be TOTAL-PASSED, its document size and SHA-256 those of `content` (-EINVAL: our bug; content is
 * hashed again here while it is encrypted). The name must have an entry (-ENOENT). -ENOSPC: quota,
 * map or disk full; nothing changed.
 */
_must_use_ int cache_admit(struct cache *cache, const struct certname *name, struct bytes content,
                           const struct verdict *verdict, int64_t received_at_s, int64_t now_s,
                           int64_t keep_until_s, struct cache_entry *ret_entry);

/*
 * The same for several, in their order and in one durable transaction, so that they wait for one
 * sync. Each has a result of its own, and an entry if that is 0: one that is refused leaves the
 * others alone, and what is too much for all together (space, memory) is tried one by one.
 */
enum cache_change_kind { CACHE_NEWS, CACHE_ADMISSION };
struct cache_change {
    enum cache_change_kind kind;
    const struct certname *name;
    union {
        struct cache_news { /* of cache_upsert() */
            uint64_t size;
            int64_t modified_s;
            const char *validator;
            int64_t now_ns;
        } news;
        struct cache_admission { /* of cache_admit() */
            struct bytes content;
            const struct verdict *verdict;
            int64_t received_at_s, now_s, keep_until_s;
            const char
                *validator; /* -ESTALE if the entry has another, or another size; NULL: any */
        } admission;
    };
    int result;
    bool first; /* an admission: nothing was ever stored under this inode before */
    struct cache_entry entry;
};
enum { CACHE_CHANGES_MAX = 32 }; /* at one time */
void cache_apply(struct cache *cache, struct cache_change *changes, size_t count);

/* Records a rejection without content; a stored certificate of the name is purged. */
_must_use_ int cache_reject(struct cache *cache, const struct certname *name,
                            const struct verdict *verdict, int64_t now_s);

/*
 * A stored or withheld certificate was verified again under other trust: replaces its verdict. A
 * verdict other than TOTAL-PASSED makes it CACHE_WITHHELD (unreadable and unlisted, content kept:
 * an operator's mistake in the trust anchors destroys nothing), TOTAL-PASSED makes it CACHE_STORED.
 * CACHE_MISS if there is no content.
 */
_must_use_ int cache_revise(struct cache *cache, const struct certname *name,
                            const struct verdict *verdict);

/* Verdict of a stored or rejected certificate. CACHE_MISS. */
_must_use_ int cache_verdict(struct cache *cache, const struct certname *name,
                             struct verdict *ret_verdict);

/*
 * Reads up to `size` bytes at `offset` into `out`; *ret_size is less only at the end. CACHE_MISS if
 * the inode holds no stored certificate; -EIO if anything was damaged, swapped or rolled back, and
 * `out` may be zeroed then. What the keyring returns is passed on.
 */
_must_use_ int cache_read(struct cache *cache, uint32_t inode, uint64_t offset, void *out,
                          size_t size, size_t *ret_size);

/* The same for verification only: also of a withheld certificate. What it yields goes to a
 * verifying process and to nobody else. */
_must_use_ int cache_load(struct cache *cache, uint32_t inode, void *out, size_t size,
                          size_t *ret_size);

_must_use_ int cache_load_part(struct cache *cache, uint32_t inode, uint64_t offset, void *out,
                               size_t size, size_t *ret_size);

/* Crypto-erasure. The entry stays known (inode numbers are never reused). CACHE_MISS: there is no
 * content. CACHE_PENDING: cache_upkeep() goes on. -EBUSY: under legal hold. After an error all is
 * as it was. */
_must_use_ int cache_purge(struct cache *cache, const struct certname *name);
/* The same, and name, entry and rejection go too: nothing is known of it any more. CACHE_MISS:
 * there is no such name. A damaged entry is forgotten as far as it can be found; -EIO: the name is
 * what is damaged, cache_mend() first. */
_must_use_ int cache_forget(struct cache *cache, const struct certname *name);

/* Legal hold. CACHE_MISS: there is no content. */
_must_use_ int cache_hold(struct cache *cache, const struct certname *name, bool held);

/* Uses of content, a few thousand at most in one call. */
struct cache_use {
    uint32_t inode;
    int64_t at_s;
};
_must_use_ int cache_note_uses(struct cache *cache, const struct cache_use *uses, size_t count);

/* Content after *cursor in the order of its last use; start with zeros. CACHE_MISS at the end. */
struct cache_age {
    int64_t used_at_s;
    uint32_t inode;
};
_must_use_ int cache_oldest(struct cache *cache, struct cache_age *cursor,
                            struct cache_entry *ret_entry);

/*
 * Brings wrapped keys under the newest master key, some slots from *cursor (start with 0) on; they
 * are overwritten in place and synced. *ret_done: all are, the store key too. Each step can be the
 * last before a crash: begun again, it goes over what is done already. Counts into *counted.
 */
_must_use_ int cache_rewrap(struct cache *cache, uint32_t *cursor, uint64_t *counted,
                            bool *ret_done);

/*
 * Looks at everything: each certificate is decrypted and compared with its digest, each row and
 * each slot must be named by exactly one thing. Reads only, so it runs beside readers and the
 * writer.
 */
enum cache_damage {
    CACHE_DAMAGE_ENTRY,   /* what is known of it cannot be read */
    CACHE_DAMAGE_KEY,     /* content is lost: key or header */
    CACHE_DAMAGE_CONTENT, /* content is lost: a piece of it */
    CACHE_DAMAGE_VERDICT,
    /* What cache_mend() mends: a name that leads nowhere, or to which nothing leads; */
    CACHE_DAMAGE_NAME,
    CACHE_DAMAGE_SPARE,  /* rows or slots that nothing names; */
    CACHE_DAMAGE_COUNT,  /* wrong totals. */
    CACHE_DAMAGE_TRUST,  /* a revocation list or a signer */
    CACHE_DAMAGE_HIDDEN, /* an older version, not held, whose name leads to a newer: it is erased */
    CACHE_DAMAGE_PERIOD, /* where the key of a month is; left alone while content needs it */
    CACHE_DAMAGE_ERASURE, /* one that is under way; the store would not open again */
    CACHE_DAMAGE_KINDS,
};
struct cache_check {
    void *context;
    /* name NULL: of no certificate, or it cannot be told of which. */
    void (*damaged)(void *context, enum cache_damage what, const struct certname *name);
    bool (*stop)(void *context); /* true: come to an end */
};
struct cache_checked {
    uint64_t certificates, bytes, damages;
};
/* 0: all was looked at, whatever was found. -ECANCELED: stopped. */
_must_use_ int cache_check(struct cache *cache, const struct cache_check *check,
                           struct cache_checked *ret_checked);
/*
 * Mends names, spare rows and totals beside the readers; damaged entries are forgotten. One
 * transaction, so those who write wait: some seconds for a million certificates. CACHE_PENDING: the
 * totals cannot be read, and all is made anew at the next start (cache/rebuild.h). -EIO: an erasure
 * cannot be finished, and no start would come further.
 */
_must_use_ int cache_mend(struct cache *cache, uint64_t *ret_mended);
/* The next start makes all of these anew. */
_must_use_ int cache_ask_rebuild(struct cache *cache);

/*
 * A backup into an empty file: everything, or what an earlier backup does not have. Reads only, so
 * it runs beside readers and the writer. Read back and compared before it returns 0. -EBADMSG: the
 * earlier file is none of this store's; -ECANCELED: stopped.
 */
struct cache_backup {
    int fd;          /* open for reading and writing */
    int previous_fd; /* the last backup; -1 = none, all is written */
    uint32_t number; /* of this one: greater than the previous one's, from 1 */
    int64_t now_s;
    void *context;
    bool (*stop)(void *context);
};
struct cache_backed_up {
    uint64_t certificates; /* that the backup names */
    uint64_t written;      /* whose content is in this file */
    uint64_t damaged;      /* left out: fsck tells which */
    uint64_t bytes;
};
_must_use_ int cache_backup(struct cache *cache, const struct cache_backup *backup,
                            struct cache_backed_up *ret_total);

/*
 * Puts a store together from backups and the ledger's copy of the keys, without any key being asked
 * for: what the ledger says is erased stays so. `open_backup` yields a descriptor of the backup of
 * a number, or a negative errno; `newest` is the one to restore. The directory must not have a
 * store. ret_message (256 bytes) explains a failure.
 */
struct cache_restore {
    int directory_fd;
    int ledger_fd;
    uint32_t newest;
    void *context;
    int (*open_backup)(void *context, uint32_t number);
};
_must_use_ int cache_restore(const struct cache_restore *restore, char *ret_message,
                             uint64_t *ret_certificates);

/*
 * What is due from time to time, all a few seconds: erasures that could not be finished, readers
 * that died, keys of retention periods that are over. ret_ended: periods whose key was destroyed.
 * -ENOTRECOVERABLE, as from every call from then on: the disk refused the one page by which LMDB
 * commits. All that was committed is there when the store is opened anew.
 */
_must_use_ int cache_upkeep(struct cache *cache, int64_t now_s, unsigned *ret_ended);

/*
 * Walks stored certificates by inode number, ascending: start with *cursor = 0. Fills up to `count`
 * entries, *ret_filled = 0 at the end. The cursor is an inode number, so it survives additions and
 * removals.
 */
_must_use_ int cache_list(struct cache *cache, uint32_t *cursor, struct cache_entry *ret_entries,
                          size_t count, size_t *ret_filled);
/* The same with withheld certificates: whatever has content to be verified again. */
_must_use_ int cache_list_content(struct cache *cache, uint32_t *cursor,
                                  struct cache_entry *ret_entries, size_t count,
                                  size_t *ret_filled);
/* Inode numbers of the known names that begin so, stored or not, in order of the names. Fills up to
 * `count` of them: *ret_filled = count may mean that there are more. */
_must_use_ int cache_list_names(struct cache *cache, const char *beginning, uint32_t *ret_inodes,
                                size_t count, size_t *ret_filled);

/*
 * The walk of a directory listing, which may be long: stored certificates by inode number, of which
 * each is decrypted only until it was found to be shown once. That is remembered until its entry
 * changes, or until standing() is another.
 *
 * The calls back may not ask the store for anything.
 */
enum { CACHE_WALK_ENTRIES_MAX = 1024 };
struct cache_walk {
    void *context;
    bool entries;       /* decrypt each: add() wants its entry */
    size_t names_max;   /* looked at in one call */
    size_t entries_max; /* decrypted in one call, at most CACHE_WALK_ENTRIES_MAX */
    /* Another number whenever shown() may say something else of the same entry; asked before the
     * walk and after it. */
    uint64_t (*standing)(void *context);
    /* By the name alone, before anything is decrypted. */
    bool (*wanted)(void *context, const struct certname *name);
    bool (*shown)(void *context, const struct cache_entry *entry);
    /* False: no more, this one neither. `entry` may be NULL unless `entries`. */
    bool (*add)(void *context, uint32_t inode, const struct certname *name,
                const struct cache_entry *entry);
};
/* From *cursor (start with 0) on. *ret_end: all was looked at, or add() wants no more. */
_must_use_ int cache_walk(struct cache *cache, const struct cache_walk *walk, uint32_t *cursor,
                          bool *ret_end);

/*
 * What is known of trust, as opaque sealed rows beside the certificates, so that a start needs
 * neither network nor files: revocation lists, and signers with what was ever seen revoked. Writing
 * as the calls that write.
 */
enum cache_trust { CACHE_LISTS = 0, CACHE_SIGNERS, CACHE_TRUST_COUNT };
enum { CACHE_TRUST_KEY_SIZE = 16, CACHE_TRUST_MAX = 48 * 1024 * 1024 };
_must_use_ int cache_trust_put(struct cache *cache, enum cache_trust kind,
                               const uint8_t key[CACHE_TRUST_KEY_SIZE], struct bytes content);
/* No row is as good as a deleted one. */
_must_use_ int cache_trust_delete(struct cache *cache, enum cache_trust kind,
                                  const uint8_t key[CACHE_TRUST_KEY_SIZE]);
/* Calls `each` for every row in order of keys; its return other than 0 ends the walk. A damaged row
 * is passed over and counted in *ret_damaged. */
_must_use_ int cache_trust_walk(struct cache *cache, enum cache_trust kind,
                                int (*each)(void *context, const uint8_t key[CACHE_TRUST_KEY_SIZE],
                                            struct bytes content),
                                void *context, unsigned *ret_damaged);

struct cache_statistics {
    uint64_t stored;       /* certificates */
    uint64_t stored_bytes; /* plaintext */
    uint64_t rejected;
    uint64_t known; /* entries of any state */
    uint64_t inodes_left;
    uint64_t block_size; /* of the file system, and below: of it */
    uint64_t blocks, blocks_free;
    uint64_t map_size, map_used;
    unsigned mirrors_behind; /* copies of the keys that do not have the last erasure yet */
    int64_t changed_at_ns;   /* last admit or purge: mtime of the directory */
};
_must_use_ int cache_statistics(struct cache *cache, struct cache_statistics *ret_statistics);

#endif
