/* Open files: blocked by inode, kept over a restart, and none lost among many. */
#include "fs/delivery.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <cmocka.h>

struct heard {
    uid_t uid; /* whose files are blocked */
    unsigned count;
    struct delivery *delivery;
};

static bool blocks(void *context, const struct open_file *file)
{
    return file->uid == ((struct heard *)context)->uid;
}

static void count_blocked(void *context, uint32_t inode)
{
    struct heard *heard = context;
    heard->count += delivery_blocked(heard->delivery, inode);
}

static unsigned block_user(struct delivery *delivery, uid_t uid)
{
    struct heard heard = {.uid = uid, .delivery = delivery};
    delivery_review(delivery, blocks, &heard);
    delivery_walk(delivery, count_blocked, &heard);
    return heard.count;
}

static struct delivery *open_table(int fd)
{
    struct delivery *delivery = NULL;
    assert_int_equal(delivery_new(fd, &delivery), 0);
    return delivery;
}

static void blocks_the_inode_until_the_file_is_closed(void **state)
{
    (void)state;
    _cleanup_close_ int fd = delivery_table_new();
    _cleanup_delivery_ struct delivery *delivery = open_table(fd);
    assert_int_equal(delivery_opened(delivery, 10, 100, 1, delivery_affair("a")), 0);
    assert_int_equal(delivery_opened(delivery, 12, 100, 2, delivery_affair("b")), 0);
    assert_int_equal(delivery_opened(delivery, 14, 101, 2, 0), 0);
    assert_int_equal(delivery_opened(delivery, 14, 101, 2, 0), DELIVERY_KNOWN);
    assert_false(delivery_blocked(delivery, 100));

    /* Three open files of blocked inodes: one of them is another user's. */
    assert_int_equal(block_user(delivery, 2), 3);
    assert_int_equal(block_user(delivery, 2), 3);
    assert_true(delivery_blocked(delivery, 100));
    assert_true(delivery_blocked(delivery, 101));
    assert_false(delivery_blocked(delivery, 102));

    delivery_closed(delivery, 10);
    delivery_closed(delivery, 99);
    assert_true(delivery_blocked(delivery, 100));
    delivery_closed(delivery, 12);
    assert_false(delivery_blocked(delivery, 100));
    assert_int_equal(block_user(delivery, 3), 0);
    assert_false(delivery_blocked(delivery, 101));
}

static void is_taken_up_by_the_next_process(void **state)
{
    (void)state;
    _cleanup_close_ int fd = delivery_table_new();
    struct delivery *delivery = open_table(fd);
    for (uint64_t handle = 1; handle <= 1000; handle++)
        assert_int_equal(
            delivery_opened(delivery, handle, 16 + (uint32_t)handle % 7, handle % 2 ? 1 : 2, 0), 0);
    for (uint64_t handle = 1; handle <= 1000; handle += 3)
        delivery_closed(delivery, handle);
    assert_true(block_user(delivery, 1) > 0);
    delivery_free(delivery);

    delivery = open_table(fd);
    assert_true(delivery_blocked(delivery, 16));
    for (uint64_t handle = 1; handle <= 1000; handle++)
        assert_int_equal(delivery_opened(delivery, handle, 16, 2, 0),
                         handle % 3 == 1 ? 0 : DELIVERY_KNOWN);
    for (uint64_t handle = 1; handle <= 1000; handle++)
        delivery_closed(delivery, handle);
    for (uint32_t inode = 16; inode < 23; inode++)
        assert_false(delivery_blocked(delivery, inode));
    delivery_free(delivery);
}

static void has_an_end(void **state)
{
    (void)state;
    _cleanup_close_ int fd = delivery_table_new();
    _cleanup_delivery_ struct delivery *delivery = open_table(fd);
    for (uint64_t handle = 1; handle <= DELIVERY_FILES_MAX; handle++)
        if (delivery_opened(delivery, handle, (uint32_t)handle, 1, 0) != 0)
            fail();
    assert_int_equal(delivery_opened(delivery, DELIVERY_FILES_MAX + 1, 1, 1, 0), -ENFILE);
    delivery_closed(delivery, 77);
    assert_int_equal(delivery_opened(delivery, DELIVERY_FILES_MAX + 1, 1, 1, 0), 0);
    assert_int_equal(delivery_opened(delivery, DELIVERY_FILES_MAX + 2, 1, 1, 0), -ENFILE);
}

static void refuses_what_is_no_table(void **state)
{
    (void)state;
    struct delivery *delivery = NULL;
    _cleanup_close_ int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    _cleanup_close_ int table = delivery_table_new();
    _cleanup_close_ int device = open("/dev/null", O_RDWR | O_CLOEXEC);
    const uint32_t fresh = DELIVERY_FILES_MAX + 1;
    assert_int_equal(delivery_new(empty, &delivery), -EBADMSG);
    assert_int_equal(delivery_new(device, &delivery), -EBADMSG);
    assert_true(delivery_new(-1, &delivery) < 0);
    assert_int_equal(pwrite(table, &fresh, sizeof fresh, 0), sizeof fresh);
    assert_int_equal(delivery_new(table, &delivery), -EBADMSG);
    assert_null(delivery);
}

static void affairs_differ(void **state)
{
    (void)state;
    assert_int_equal(delivery_affair(NULL), 0);
    assert_int_equal(delivery_affair(""), 0);
    assert_true(delivery_affair("a") != delivery_affair("b"));
    assert_true(delivery_affair("pension") == delivery_affair("pension"));
}

struct crowd {
    struct delivery *delivery;
    atomic_bool sealed, over;
    atomic_uint late; /* answers decided before the seal and given after it was settled */
    atomic_bool settled;
};

static void *deliver(void *context)
{
    struct crowd *crowd = context;
    while (!atomic_load(&crowd->over)) {
        unsigned entered = delivery_enter(crowd->delivery);
        if (!atomic_load(&crowd->sealed) && atomic_load(&crowd->settled))
            atomic_fetch_add(&crowd->late, 1);
        bool decided = !atomic_load(&crowd->sealed);
        for (volatile int i = 0; i < 1000; i++)
            ;
        if (decided && atomic_load(&crowd->settled))
            atomic_fetch_add(&crowd->late, 1);
        delivery_leave(crowd->delivery, entered);
    }
    return NULL;
}

static void nothing_is_answered_late(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    _cleanup_close_ int fd = delivery_table_new();
    struct crowd crowd = {.delivery = open_table(fd)};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, deliver, &crowd), 0);
    for (int round = 0; round < 200; round++) {
        atomic_store(&crowd.sealed, true);
        delivery_settle(crowd.delivery);
        atomic_store(&crowd.settled, true);
        for (volatile int i = 0; i < 1000; i++)
            ;
        atomic_store(&crowd.settled, false);
        atomic_store(&crowd.sealed, false);
    }
    atomic_store(&crowd.over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crowd.late), 0);
    delivery_free(crowd.delivery);
}

static void *settle(void *context)
{
    struct crowd *crowd = context;
    delivery_settle(crowd->delivery);
    atomic_store(&crowd->settled, true);
    return NULL;
}

/* One read waits long; another thread waits for it; all the others come and go. */
static void who_settles_holds_up_nobody(void **state)
{
    (void)state;
    pthread_t waiting;
    _cleanup_close_ int fd = delivery_table_new();
    struct crowd crowd = {.delivery = open_table(fd)};
    unsigned slow = delivery_enter(crowd.delivery), other;
    assert_int_equal(pthread_create(&waiting, NULL, settle, &crowd), 0);
    do {
        other = delivery_enter(crowd.delivery);
        delivery_leave(crowd.delivery, other);
    } while (other == slow);
    for (int i = 0; i < 1000; i++)
        delivery_leave(crowd.delivery, delivery_enter(crowd.delivery));
    assert_false(atomic_load(&crowd.settled));
    delivery_leave(crowd.delivery, slow);
    pthread_join(waiting, NULL);
    assert_true(atomic_load(&crowd.settled));
    delivery_free(crowd.delivery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_the_inode_until_the_file_is_closed),
        cmocka_unit_test(is_taken_up_by_the_next_process),
        cmocka_unit_test(has_an_end),
        cmocka_unit_test(refuses_what_is_no_table),
        cmocka_unit_test(affairs_differ),
        cmocka_unit_test(nothing_is_answered_late),
        cmocka_unit_test(who_settles_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
