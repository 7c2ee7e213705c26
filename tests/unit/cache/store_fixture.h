/*
 * A store in a directory of the current one, with a keyring that remembers every key it gave out.
 */
#ifndef TESTS_UNIT_CACHE_STORE_FIXTURE_H
#define TESTS_UNIT_CACHE_STORE_FIXTURE_H

#include "cache/cache.h"

enum { RING_MAX = 4096 };

struct ring {
    uint8_t master[AEAD_KEY_SIZE];
    uint8_t previous[AEAD_KEY_SIZE]; /* opens, and does not wrap */
    unsigned generated;
    unsigned unwrapped;
    int fail_with; /* 0, or what every call returns */
    unsigned failed;
    struct {
        uint8_t key[AEAD_KEY_SIZE];
        uint8_t wrapped[CACHE_WRAPPED_SIZE];
    } given[RING_MAX]; /* the last ones */
};

struct store {
    char path[64];
    int directory_fd;
    struct cache_settings settings;
    struct ring ring;
    int64_t keep_until_s; /* of what store_admit() stores */
    struct cache *cache;
};

/* True if the current directory is on ext4 or xfs; prints why not. */
bool store_possible(void);
/* A new directory; the store is not open yet. */
void store_new(struct store *store);
int store_try_open(struct store *store, char message[256]);
void store_open(struct store *store);
void store_close(struct store *store);
void store_reopen(struct store *store);
/* Closes and removes all. */
void store_remove(struct store *store);
/* Copies the files of a closed store. */
void store_copy(const struct store *from, struct store *to);

struct certname name_of(const char *text);
/* "c<number>.pdf" */
struct certname name_number(unsigned number);

/* Bytes that follow from the seed and begin with it, with a marker in every 4 KiB. */
extern const char content_marker[];
void content_fill(uint8_t *out, size_t size, uint32_t seed);
/* TOTAL-PASSED for these bytes. */
void verdict_for(struct verdict *verdict, const uint8_t *content, size_t size);

/* Upserts and admits the content of `seed`; returns what admit says. */
int store_admit(struct store *store, const struct certname *name, size_t size, uint32_t seed,
                struct cache_entry *ret_entry);
/* The whole content, compared. 0, or what cache_read() says; fails the test on wrong bytes. */
int store_check(struct store *store, const struct certname *name, size_t size, uint32_t seed);

/* True if the bytes stand in any file of the store's directory. */
bool store_contains(const struct store *store, const void *bytes, size_t size);
/* Slots that hold a key, read from the closed or open store's file. */
unsigned store_keyed_slots(const struct store *store);

/*
 * A small ext4 of its own, in a file under the current directory, mounted in a mount namespace of
 * this process; enter makes it the current directory. False, with the reason printed, without root,
 * loop device or mkfs.ext4.
 */
bool small_disk_enter(void);
/* Power failure: what was not synced is lost, and nothing can be written any more. */
void small_disk_cut(void);
/* After a cut and when nobody has a file there open: as after the next boot. */
void small_disk_reboot(void);
void small_disk_leave(void);
/* The whole disk as it is under the file system; the caller closes. */
int small_disk_image(void);

#endif
