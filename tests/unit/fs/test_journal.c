/* The request journal: what is owed is found again, what is malformed or stands twice is not. */
#include "fs/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct request {
    struct fuse_in_header header;
    char name[200];
};

static struct request lookup(uint64_t unique, const char *name)
{
    struct request request = {.header = {.opcode = FUSE_LOOKUP, .unique = unique}};
    strcpy(request.name, name);
    request.header.len = (uint32_t)(sizeof request.header + strlen(name) + 1);
    return request;
}

static int made(void)
{
    int fd = -1;
    assert_int_equal(journal_make(&fd), 0);
    return fd;
}

static struct journal *opened(int fd, bool fault)
{
    struct journal *journal = NULL;
    assert_int_equal(journal_open(fd, fault, &journal), 0);
    return journal;
}

/* As read(2) leaves it in a thread's place. */
static void receive(struct journal *journal, unsigned thread, const struct request *request)
{
    memcpy(journal_thread_place(journal, thread), request, request->header.len);
}

static struct fuse_in_header *parked(struct journal *journal, uint64_t unique, const char *name)
{
    struct request request = lookup(unique, name);
    struct fuse_in_header *place = NULL;
    assert_int_equal(journal_park(journal, &request.header, &place), 0);
    return place;
}

static void what_is_owed_is_found_again(void **state)
{
    (void)state;
    int fd = made();
    uint32_t oldest_s, cursor = 0;
    struct journal *journal = opened(fd, false);
    uint64_t connection = journal_connection(journal);
    struct request here = lookup(2, "here.pdf");
    receive(journal, 3, &here);
    journal_clear(journal, parked(journal, 4, "answered.pdf"));
    struct fuse_in_header *place = parked(journal, 6, "waits.pdf");
    journal_interrupt(journal, place);
    assert_int_equal(journal_count(journal, &oldest_s), 2);
    journal_close(journal); /* as a kill would: nothing is written at the end */

    journal = opened(fd, false);
    assert_int_equal(journal_connection(journal), connection);
    assert_int_equal(journal_thread_place(journal, 3)->unique, 2);
    place = journal_next_parked(journal, &cursor);
    assert_non_null(place);
    assert_int_equal(place->unique, 6);
    assert_string_equal((const char *)(place + 1), "waits.pdf");
    assert_true(journal_interrupted(journal, place));
    assert_true(journal_is_parked(journal, place));
    assert_null(journal_next_parked(journal, &cursor));
    journal_clear(journal, place);
    journal_clear(journal, journal_thread_place(journal, 3));
    assert_int_equal(journal_count(journal, &oldest_s), 0);
    journal_close(journal);
    close(fd);
}

static void what_stands_twice_counts_once(void **state)
{
    (void)state;
    int fd = made();
    uint32_t oldest_s;
    struct journal *journal = opened(fd, false);
    struct request request = lookup(8, "twice.pdf");
    receive(journal, 0, &request);
    parked(journal, 8, "twice.pdf");
    journal_close(journal);
    journal = opened(fd, false);
    assert_int_equal(journal_thread_place(journal, 0)->len, 0);
    assert_int_equal(journal_count(journal, &oldest_s), 1);
    journal_close(journal);
    close(fd);
}

static void who_parks_in_a_loop_needs_no_more_room(void **state)
{
    (void)state;
    int fd = made();
    struct journal *journal = opened(fd, false);
    struct fuse_in_header *first = parked(journal, 2, "a.pdf");
    journal_clear(journal, first);
    for (uint64_t i = 0; i < 100000; i++) {
        struct fuse_in_header *place = parked(journal, i, "a.pdf");
        assert_ptr_equal(place, first);
        journal_clear(journal, place);
    }
    struct fuse_in_header *many[5000]; /* more than the first list of free places holds */
    for (uint64_t i = 0; i < 5000; i++)
        many[i] = parked(journal, i, "a.pdf");
    for (uint64_t i = 0; i < 5000; i++)
        journal_clear(journal, many[i]);
    assert_true((const char *)many[4999] - (const char *)many[0] == 4999 * JOURNAL_PARKED_SIZE);
    journal_close(journal);
    close(fd);
}

static void requests_that_do_not_fit(void **state)
{
    (void)state;
    int fd = made();
    struct journal *journal = opened(fd, false);
    char name[200];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct request request = lookup(2, name);
    struct fuse_in_header *place = NULL;
    assert_int_equal(journal_park(journal, &request.header, &place), -EMSGSIZE);
    assert_null(place);
    journal_close(journal);
    close(fd);
}

static void suspects_are_counted_by_faults(void **state)
{
    (void)state;
    int fd = made();
    uint32_t cursor = 0;
    struct journal *journal = opened(fd, false);
    struct request request = lookup(2, "here.pdf");
    receive(journal, 1, &request);
    parked(journal, 4, "waits.pdf");
    for (int i = 0; i < 5; i++) { /* kills are nobody's fault */
        journal_close(journal);
        journal = opened(fd, false);
    }
    for (int i = 1; i < JOURNAL_TRIES_MAX; i++) {
        journal_close(journal);
        journal = opened(fd, true);
        assert_false(journal_suspected(journal, journal_thread_place(journal, 1)));
    }
    struct fuse_in_header *late = parked(journal, 6, "late.pdf");
    journal_close(journal);
    journal = opened(fd, true);
    assert_true(journal_suspected(journal, journal_thread_place(journal, 1)));
    struct fuse_in_header *place = journal_next_parked(journal, &cursor);
    assert_true(journal_suspected(journal, place));
    late = journal_next_parked(journal, &cursor);
    assert_int_equal(late->unique, 6);
    assert_false(journal_suspected(journal, late));
    journal_clear(journal, place);
    assert_false(journal_suspected(journal, parked(journal, 8, "next.pdf")));
    journal_close(journal);
    close(fd);
}

static void init_is_kept(void **state)
{
    (void)state;
    int fd = made();
    struct journal *journal = opened(fd, false);
    struct request request = lookup(2, "0123456789");
    assert_null(journal_init_request(journal));
    request.header.opcode = FUSE_INIT;
    journal_save_init(journal, &request.header);
    journal_close(journal);
    journal = opened(fd, false);
    const struct fuse_in_header *init = journal_init_request(journal);
    assert_non_null(init);
    assert_memory_equal(init, &request, request.header.len);
    journal_close(journal);
    close(fd);
}

/* A kosekifs-mount that was taken over may leave anything. */
static void malformed_requests_are_dropped(void **state)
{
    (void)state;
    static const struct {
        uint32_t opcode, size;
        bool terminated;
    } wrong[] = {
        {FUSE_LOOKUP, 41, false},        {FUSE_LOOKUP, 40, true},
        {FUSE_LOOKUP, 1, true},          {FUSE_LOOKUP, 4000, true},
        {FUSE_LOOKUP, 121, true},        {FUSE_OPEN, 47, true},
        {FUSE_OPEN, 49, true},           {FUSE_WRITE, 48, true},
        {FUSE_INIT, 56, true},           {0, 48, true},
        {FUSE_LOOKUP, UINT32_MAX, true},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int fd = made();
        uint32_t oldest_s;
        struct journal *journal = opened(fd, false);
        struct fuse_in_header *place = parked(journal, 2, "a.pdf");
        memset(place + 1, wrong[i].terminated ? 0 : 'x', 70);
        place->opcode = wrong[i].opcode;
        place->len = wrong[i].size;
        struct fuse_in_header *thread = journal_thread_place(journal, 0);
        thread->len = i % 2 ? 39 : JOURNAL_REQUEST_MAX + 1;
        journal_close(journal);
        journal = opened(fd, false);
        assert_int_equal(journal_count(journal, &oldest_s), 0);
        journal_close(journal);
        close(fd);
    }
}

static void files_that_are_no_journal(void **state)
{
    (void)state;
    struct journal *journal = NULL;
    int plain = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(journal_check(plain), -EBADMSG);
    assert_int_equal(ftruncate(plain, 200 << 20), 0);
    assert_int_equal(fcntl(plain, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    assert_int_equal(journal_open(plain, false, &journal), -EBADMSG);
    assert_null(journal);
    close(plain);
    int fd = made();
    uint32_t version = 77;
    assert_int_equal(pwrite(fd, &version, sizeof version, 4), sizeof version);
    assert_int_equal(journal_check(fd), -EPROTONOSUPPORT);
    assert_int_equal(ftruncate(fd, 100), -1); /* nobody can take it away under a reader */
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_owed_is_found_again),
        cmocka_unit_test(what_stands_twice_counts_once),
        cmocka_unit_test(who_parks_in_a_loop_needs_no_more_room),
        cmocka_unit_test(requests_that_do_not_fit),
        cmocka_unit_test(suspects_are_counted_by_faults),
        cmocka_unit_test(init_is_kept),
        cmocka_unit_test(malformed_requests_are_dropped),
        cmocka_unit_test(files_that_are_no_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
