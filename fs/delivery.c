/*
 * The table is an array in shared memory; which slots are free, and the chains by handle and by
 * inode, are kept in our own memory and made anew at start.
 */
#include "fs/delivery.h"

#include "fs/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHAINS = 1 << 16 };

struct table {
    uint32_t fresh; /* files from here on were never used */
    uint32_t reserved[7];
    struct open_file files[DELIVERY_FILES_MAX];
};

/* Links hold slot + 1, so that zeroed memory is empty chains. */
struct links {
    uint32_t by_handle, by_inode; /* by_handle links free slots, too */
};

struct delivery {
    struct gate gate;
    pthread_mutex_t lock; /* guards what follows */
    struct table *table;  /* shared memory */
    struct links *links;
    uint32_t free; /* head of the free slots */
    uint32_t handles[CHAINS], inodes[CHAINS];
    atomic_uint blocked; /* files; read without the lock, too */
};

uint64_t delivery_affair(const char *affair)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = affair; c && *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    return affair && *affair ? hash | 1 : 0;
}

int delivery_table_new(void)
{
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    _cleanup_close_ int fd = memfd_create("open files", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, sizeof(struct table)) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
        return -errno;
    return steal_fd(&fd);
}

/* --- slots ------------------------------------------------------------------------------------ */

/* Handles and inodes are given one after the other, handles in steps of 2: so are the chains, which
 * keeps them in the CPU's cache. */
static uint32_t chain_of(uint64_t value)
{
    return (uint32_t)(value >> 1) % CHAINS;
}

static void link_in(struct delivery *delivery, uint32_t slot)
{
    const struct open_file *file = &delivery->table->files[slot];
    uint32_t *handle = &delivery->handles[chain_of(file->handle)];
    uint32_t *inode = &delivery->inodes[chain_of(file->inode)];
    delivery->links[slot] = (struct links){*handle, *inode};
    *handle = *inode = slot + 1;
}

static void link_out(struct delivery *delivery, uint32_t slot)
{
    const struct open_file *file = &delivery->table->files[slot];
    uint32_t *handle = &delivery->handles[chain_of(file->handle)];
    uint32_t *inode = &delivery->inodes[chain_of(file->inode)];
    while (*handle != slot + 1)
        handle = &delivery->links[*handle - 1].by_handle;
    while (*inode != slot + 1)
        inode = &delivery->links[*inode - 1].by_inode;
    *handle = delivery->links[slot].by_handle;
    *inode = delivery->links[slot].by_inode;
}

static void link_free(struct delivery *delivery, uint32_t slot)
{
    delivery->links[slot].by_handle = delivery->free;
    delivery->free = slot + 1;
}

/* The file of a handle; NULL if there is none. */
static struct open_file *file_find(struct delivery *delivery, uint64_t handle, uint32_t *ret_slot)
{
    for (uint32_t next = delivery->handles[chain_of(handle)]; next != 0;
         next = delivery->links[next - 1].by_handle) {
        *ret_slot = next - 1;
        if (delivery->table->files[next - 1].handle == handle)
            return &delivery->table->files[next - 1];
    }
    return NULL;
}

static void take_up(struct delivery *delivery)
{
    const struct table *table = delivery->table;
    for (uint32_t slot = table->fresh; slot-- > 0;) {
        const struct open_file *file = &table->files[slot];
        if (!file->used) {
            link_free(delivery, slot);
            continue;
        }
        link_in(delivery, slot);
        if (file->blocked)
            atomic_fetch_add(&delivery->blocked, 1);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static int map_table(int fd, struct table **ret_table)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size != (off_t)sizeof(struct table) ||
        (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) == 0)
        return -EBADMSG;
    struct table *table =
        mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (table == MAP_FAILED)
        return -errno;
    if (table->fresh > DELIVERY_FILES_MAX) {
        munmap(table, sizeof *table);
        return -EBADMSG;
    }
    *ret_table = table;
    return 0;
}

int delivery_new(int table_fd, struct delivery **ret_delivery)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (!delivery)
        return -ENOMEM;
    gate_init(&delivery->gate);
    pthread_mutex_init(&delivery->lock, NULL);
    delivery->links = calloc(DELIVERY_FILES_MAX, sizeof *delivery->links);
    int error = delivery->links ? map_table(table_fd, &delivery->table) : -ENOMEM;
    if (error < 0) {
        delivery_free(delivery);
        return error;
    }
    take_up(delivery);
    *ret_delivery = delivery;
    return 0;
}

struct delivery *delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return NULL;
    if (delivery->table)
        munmap(delivery->table, sizeof *delivery->table);
    free(delivery->links);
    pthread_mutex_destroy(&delivery->lock);
    gate_done(&delivery->gate);
    free(delivery);
    return NULL;
}

/* --- the gate --------------------------------------------------------------------------------- */

unsigned delivery_enter(struct delivery *delivery)
{
    return gate_enter(&delivery->gate);
}

void delivery_leave(struct delivery *delivery, unsigned entered)
{
    gate_leave(&delivery->gate, entered);
}

void delivery_settle(struct delivery *delivery)
{
    gate_settle(&delivery->gate);
}

/* --- open files ------------------------------------------------------------------------------- */

static int take_slot(struct delivery *delivery, uint32_t *ret_slot)
{
    if (delivery->free) {
        *ret_slot = delivery->free - 1;
        delivery->free = delivery->links[*ret_slot].by_handle;
        return 0;
    }
    if (delivery->table->fresh == DELIVERY_FILES_MAX)
        return -ENFILE;
    *ret_slot = delivery->table->fresh++;
    return 0;
}

int delivery_opened(struct delivery *delivery, uint64_t handle, uint32_t inode, uid_t uid,
                    uint64_t affair)
{
    uint32_t slot;
    int error = DELIVERY_KNOWN;
    pthread_mutex_lock(&delivery->lock);
    if (!file_find(delivery, handle, &slot)) {
        error = take_slot(delivery, &slot);
        if (error == 0) {
            struct open_file *file = &delivery->table->files[slot];
            *file =
                (struct open_file){.handle = handle, .affair = affair, .inode = inode, .uid = uid};
            atomic_signal_fence(memory_order_release);
            file->used = 1;
            link_in(delivery, slot);
        }
    }
    pthread_mutex_unlock(&delivery->lock);
    return error;
}

void delivery_closed(struct delivery *delivery, uint64_t handle)
{
    uint32_t slot;
    pthread_mutex_lock(&delivery->lock);
    struct open_file *file = file_find(delivery, handle, &slot);
    if (file) {
        link_out(delivery, slot);
        if (file->blocked)
            atomic_fetch_sub(&delivery->blocked, 1);
        file->used = 0;
        link_free(delivery, slot);
    }
    pthread_mutex_unlock(&delivery->lock);
}

void delivery_walk(struct delivery *delivery, void (*visit)(void *context, uint32_t inode),
                   void *context)
{
    for (uint32_t slot = 0;; slot++) {
        pthread_mutex_lock(&delivery->lock);
        bool end = slot >= delivery->table->fresh;
        const struct open_file file = end ? (struct open_file){0} : delivery->table->files[slot];
        pthread_mutex_unlock(&delivery->lock);
        if (end)
            return;
        if (file.used)
            visit(context, file.inode);
    }
}

bool delivery_is_open(struct delivery *delivery, uint32_t inode)
{
    bool open = false;
    pthread_mutex_lock(&delivery->lock);
    for (uint32_t next = delivery->inodes[chain_of(inode)]; next != 0 && !open;
         next = delivery->links[next - 1].by_inode)
        open = delivery->table->files[next - 1].inode == inode;
    pthread_mutex_unlock(&delivery->lock);
    return open;
}

bool delivery_blocked(struct delivery *delivery, uint32_t inode)
{
    bool blocked = false;
    if (atomic_load(&delivery->blocked) == 0)
        return false;
    pthread_mutex_lock(&delivery->lock);
    for (uint32_t next = delivery->inodes[chain_of(inode)]; next != 0 && !blocked;
         next = delivery->links[next - 1].by_inode) {
        const struct open_file *file = &delivery->table->files[next - 1];
        blocked = file->inode == inode && file->blocked;
    }
    pthread_mutex_unlock(&delivery->lock);
    return blocked;
}

void delivery_review(struct delivery *delivery, delivery_blocks *blocks, void *context)
{
    pthread_mutex_lock(&delivery->lock);
    for (uint32_t slot = 0; slot < delivery->table->fresh; slot++) {
        struct open_file *file = &delivery->table->files[slot];
        bool blocked = file->used && blocks(context, file);
        if (!file->used || blocked == (file->blocked != 0))
            continue;
        file->blocked = blocked;
        if (blocked)
            atomic_fetch_add(&delivery->blocked, 1);
        else
            atomic_fetch_sub(&delivery->blocked, 1);
    }
    pthread_mutex_unlock(&delivery->lock);
}
