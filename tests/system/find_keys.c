/*
 * What a thief who knows the master key finds: looks for wrapped data keys everywhere in a file,
 * the image of a disk for instance, and tries to open them.
 *
 * usage: find-keys FILE SLOTS... <MASTER-KEY
 *
 * A wrapped key opens only under the number and generation of its slot. Tried are those that stand
 * before it, as in the file `slots`, and all that stand in the files SLOTS, copies of that file
 * from before. Prints "NUMBER GENERATION KEY" for each that opens, once.
 */
#include "base/bytes.h"
#include "keys/master_key.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    HEADER_SIZE = 4096,
    SLOT_SIZE = 128,
    SLOT_WRAPPED = 24, /* before it: magic, number, generation, state */
    STORE_ID = 16,
    STORE_ID_SIZE = 16,
    PLACE_SIZE = 12, /* number and generation */
    PLACE_MAX = 65536,
};

struct file {
    const uint8_t *bytes;
    size_t size;
};

static uint8_t places[PLACE_MAX][PLACE_SIZE];
static size_t place_count;
static uint8_t store_id[STORE_ID_SIZE];

static struct file map_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size < HEADER_SIZE) {
        fprintf(stderr, "find-keys: %s cannot be read\n", path);
        exit(66);
    }
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        perror("find-keys");
        exit(71);
    }
    return (struct file){bytes, (size_t)status.st_size};
}

static void note_places(struct file slots)
{
    memcpy(store_id, slots.bytes + STORE_ID, sizeof store_id);
    for (size_t at = HEADER_SIZE; at + SLOT_SIZE <= slots.size && place_count < PLACE_MAX;
         at += SLOT_SIZE)
        memcpy(places[place_count++], slots.bytes + at + 4, PLACE_SIZE);
}

static bool opens(const struct master_key *master, const uint8_t *wrapped, const uint8_t *place)
{
    uint8_t aad[PLACE_SIZE + STORE_ID_SIZE], key[AEAD_KEY_SIZE];
    memcpy(aad, place, PLACE_SIZE);
    memcpy(aad + PLACE_SIZE, store_id, STORE_ID_SIZE);
    if (master_key_unwrap(master, aad, sizeof aad, wrapped, key) != 0)
        return false;
    printf("%u %llu ", be32_get(place), (unsigned long long)be64_get(place + 4));
    for (size_t i = 0; i < sizeof key; i++)
        printf("%02x", key[i]);
    putchar('\n');
    return true;
}

static void try_at(const struct master_key *master, struct file file, size_t at)
{
    const uint8_t *wrapped = file.bytes + at;
    if (at >= SLOT_WRAPPED && opens(master, wrapped, wrapped - SLOT_WRAPPED + 4))
        return;
    for (size_t i = 0; i < place_count; i++)
        if (opens(master, wrapped, places[i]))
            return;
}

int main(int argc, char **argv)
{
    char message[KEY_LOAD_MESSAGE_MAX];
    struct master_key *master;
    if (argc < 3 || master_key_of_file(STDIN_FILENO, message, &master) < 0) {
        fprintf(stderr, "usage: find-keys FILE SLOTS... <MASTER-KEY\n");
        return 64;
    }
    for (int i = 2; i < argc; i++)
        note_places(map_file(argv[i]));
    struct file file = map_file(argv[1]);
    const uint8_t *at = file.bytes;
    const uint8_t *end = file.bytes + file.size - KEYS_WRAPPED_SIZE + 1;
    while ((at = memmem(at, (size_t)(end - at) + KEYS_ID_SIZE - 1, master_key_id(master),
                        KEYS_ID_SIZE))) {
        try_at(master, file, (size_t)(at - file.bytes));
        at++;
        if (at >= end)
            break;
    }
    master_key_free(master);
    return 0;
}
