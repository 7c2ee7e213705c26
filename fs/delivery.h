/*
 * Who has what open, and the gate that every byte goes through on its way to the kernel. Opens and
 * reads are answered inside delivery_enter() and delivery_leave(); who takes a right away while
 * files are open does it in this order:
 *   1. makes new decisions refuse (fs/seals.h);
 *   2. delivery_settle(): every open decided before is noted here;
 *   3. delivery_review(): open files that may no longer be read are blocked;
 *   4. delivery_settle(): every read decided before has reached the kernel;
 *   5. delivery_walk(): drops the kernel's pages of what is blocked; the kernel must ask again, and
 *      is refused. Also of what was blocked earlier: whoever did may have been killed before he
 * came to the pages.
 *
 * The kernel keeps one set of pages an inode, whoever reads, so an inode stays blocked for all
 * while one blocked file of it is open.
 *
 * The table lies in a memory file that outlives the process, so that a restart of kosekifs-mount
 * forgets no blocked file.
 *
 * Thread rule: any thread; the mutex is innermost. delivery_settle() and delivery_review() not from
 * inside the gate.
 */
#ifndef FS_DELIVERY_H
#define FS_DELIVERY_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    DELIVERY_FILES_MAX = 1 << 20,
    DELIVERY_KNOWN = 1, /* expected outcome: the same open, answered again after a restart */
};

struct delivery;

struct open_file {
    uint64_t handle; /* the kernel's number of the OPEN; never 0 */
    uint64_t affair; /* delivery_affair() of the affair that gave the right */
    uint32_t inode;
    uid_t uid;
    uint32_t blocked;
    uint32_t used; /* written last: a slot torn by a crash is a free one */
};

/* Memory file of the table, for whoever starts kosekifs-mount; a negative errno. */
_must_use_ int delivery_table_new(void);

/* Takes up the open files that the table names. The descriptor stays the caller's. -EBADMSG: not
 * such a table; -ENOMEM. */
_must_use_ int delivery_new(int table_fd, struct delivery **ret_delivery);
struct delivery *delivery_free(struct delivery *delivery);

/* fs/gate.h. Who settles waits, perhaps as long as a key takes to come; nobody waits for him. */
unsigned delivery_enter(struct delivery *delivery);
void delivery_leave(struct delivery *delivery, unsigned entered);
void delivery_settle(struct delivery *delivery);

/* Notes an open file before its open is answered. DELIVERY_KNOWN; -ENFILE. */
_must_use_ int delivery_opened(struct delivery *delivery, uint64_t handle, uint32_t inode,
                               uid_t uid, uint64_t affair);
void delivery_closed(struct delivery *delivery, uint64_t handle);

bool delivery_is_open(struct delivery *delivery, uint32_t inode);
/* True while a blocked file of this inode is open. */
bool delivery_blocked(struct delivery *delivery, uint32_t inode);

/* Blocks exactly the open files that `blocks` says, which must not call back. */
typedef bool delivery_blocks(void *context, const struct open_file *file);
void delivery_review(struct delivery *delivery, delivery_blocks *blocks, void *context);

/* Calls `visit` with the inode of each open file, without a lock held; some come twice. */
void delivery_walk(struct delivery *delivery, void (*visit)(void *context, uint32_t inode),
                   void *context);

/* Affairs are compared by hash; 0 for none. */
uint64_t delivery_affair(const char *affair);

static inline void cleanup_delivery(struct delivery **slot)
{
    delivery_free(*slot);
}
#define _cleanup_delivery_ _cleanup_(cleanup_delivery)

#endif
