/* Groups of the calling thread: from texts of /proc/<tid>/status, and from real threads. */
#include "fs/caller.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

static bool parse(struct caller *caller, const char *status)
{
    memset(caller, 0, sizeof *caller);
    caller->uid = 1001;
    caller->gid = 100;
    return caller_parse_status(caller, status, strlen(status));
}

#define UID "Uid:\t1\t2\t3\t1001\n"
#define GID "Gid:\t4\t5\t6\t100\n"

static void groups_are_read_if_the_thread_is_the_right_one(void **state)
{
    (void)state;
    struct caller caller;
    assert_true(parse(&caller, "Name:\tcat\n" UID GID "FDSize:\t64\nGroups:\t30 10 20 \nNS:\t1\n"));
    assert_true(caller.groups_known);
    assert_int_equal(caller.group_count, 3);
    assert_true(caller_in_group(&caller, 10) && caller_in_group(&caller, 20) &&
                caller_in_group(&caller, 30) && caller_in_group(&caller, 100));
    assert_false(caller_in_group(&caller, 40) || caller_in_group(&caller, 0));

    assert_true(parse(&caller, "Name:\tx\n" UID GID "Groups:\t \n"));
    assert_int_equal(caller.group_count, 0);
    assert_true(parse(&caller, "Name:\tx\n" UID GID "Groups:\t65534 7 \n"));
    assert_false(caller_in_group(&caller, 65534)); /* unmapped groups look like that */
    assert_true(caller_in_group(&caller, 7));
    assert_true(parse(&caller, "Name:\tx\n" UID GID "Groups:\t7 12")); /* 12 may be half of 123 */
    assert_true(caller_in_group(&caller, 7));
    assert_false(caller_in_group(&caller, 12));
}

static void other_texts_tell_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "Groups:\t1 \n",
        "Name:\tx\n" UID GID,
        "Name:\tx\n" UID "Groups:\t1 \n",
        "Name:\tx\n" GID "Groups:\t1 \n",
        "Name:\tx\nUid:\t1001\t1001\t1001\t1002\n" GID "Groups:\t1 \n",
        "Name:\tx\nUid:\t1001\t1001\t1001\n" GID "Groups:\t1 \n",
        "Name:\tx\nUid:\t1\t2\t3\t4294968297\n" GID "Groups:\t1 \n",
        "Name:\tx\nUid:\t1\t2\t3\t-1001\n" GID "Groups:\t1 \n",
        "Name:\tx\n" UID "Gid:\t100\t100\t100\t101\nGroups:\t1 \n",
        "Name:\tx Uid:\t1\t2\t3\t1001 Gid:\t1\t2\t3\t100 Groups:\t1 \n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct caller caller;
        if (parse(&caller, texts[i]) || caller.groups_known || caller.group_count)
            fail_msg("believed: %s", texts[i]);
        assert_false(caller_in_group(&caller, 1));
    }
}

static void more_groups_than_the_ceiling_are_left_out(void **state)
{
    (void)state;
    char text[16384];
    size_t used = (size_t)snprintf(text, sizeof text, "Name:\tx\n" UID GID "Groups:\t");
    for (unsigned i = 0; i < CALLER_GROUPS_MAX + 10; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%u ", 2000 + i);
    snprintf(text + used, sizeof text - used, "\n");
    struct caller caller;
    assert_true(parse(&caller, text));
    assert_int_equal(caller.group_count, CALLER_GROUPS_MAX);
    assert_true(caller_in_group(&caller, 2000 + CALLER_GROUPS_MAX - 1));
    assert_false(caller_in_group(&caller, 2000 + CALLER_GROUPS_MAX));

    gid_t groups[CALLER_GROUPS_MAX + 5];
    for (unsigned i = 0; i < CALLER_GROUPS_MAX + 5; i++)
        groups[i] = CALLER_GROUPS_MAX + 5 - i;
    caller_of_groups(1, 1, groups, CALLER_GROUPS_MAX + 5, &caller);
    assert_int_equal(caller.group_count, CALLER_GROUPS_MAX);
    assert_true(caller_in_group(&caller, 6));
    assert_false(caller_in_group(&caller, 5));
}

static int set_up(void **state)
{
    static struct caller_table *table;
    int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(proc_fd >= 0);
    assert_int_equal(caller_table_new(proc_fd, &table), 0);
    *state = table;
    return 0;
}

static int tear_down(void **state)
{
    caller_table_free(*state);
    return 0;
}

static void what_is_not_visible_counts_uid_and_gid_only(void **state)
{
    struct caller caller;
    static const pid_t pids[] = {0, -1, 0x3fffffff};
    for (size_t i = 0; i < 3; i++) {
        caller_of(*state, 5, 6, pids[i], &caller);
        assert_string_equal(caller_unverified_comm(&caller), "");
        assert_true(caller_in_group(&caller, 6));
        assert_false(caller_in_group(&caller, 7));
        assert_false(caller.groups_known);
    }
    caller_of(*state, geteuid() + 1, getegid(), getpid(), &caller); /* not whom the kernel means */
    assert_false(caller_in_group(&caller, getegid() + 1));
    assert_false(caller.groups_known);
}

/* However it is asked for: the file `comm` has the name as it is, `status` with escapes. */
static void the_name_is_made_printable(void **state)
{
    static const char *const names[][2] = {
        {"a\"\n\x01\xe3\x81z", "a\""},
        {"b\\n\\c\td", "b\\n\\c?d"},
        {"fifteen\\letters", "fifteen\\letters"},
        {"e\x01\xe3\x81", "e???"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct caller caller;
        assert_int_equal(prctl(PR_SET_NAME, names[i][0]), 0);
        caller_of(*state, geteuid(), getegid(), getpid(), &caller);
        assert_string_equal(caller_unverified_comm(&caller), names[i][1]);
        caller_of(*state, geteuid(), getegid(), getpid(), &caller);
        (void)caller_in_group(&caller, getegid() + 1); /* reads status */
        assert_true(caller.comm_asked);
        assert_string_equal(caller_unverified_comm(&caller), names[i][1]);
    }
}

/* The thread drops its group between two questions; other threads keep theirs. */
struct dropper {
    sem_t told, drop, dropped, end;
    pid_t tid;
};

static void *drop_groups(void *context)
{
    struct dropper *dropper = context;
    dropper->tid = (pid_t)syscall(SYS_gettid);
    sem_post(&dropper->told);
    sem_wait(&dropper->drop);
    gid_t other = 4712;
    syscall(SYS_setgroups, 1, &other); /* of this thread only, unlike setgroups(3) */
    sem_post(&dropper->dropped);
    sem_wait(&dropper->end);
    return NULL;
}

static void groups_are_those_of_the_thread_now(void **state)
{
    gid_t groups[] = {4711, 4713}, before[CALLER_GROUPS_MAX];
    int count = getgroups(CALLER_GROUPS_MAX, before);
    if (count < 0 || setgroups(2, groups) < 0) {
        print_message("skipped: changing groups needs root\n");
        skip();
    }
    struct dropper dropper;
    sem_init(&dropper.told, 0, 0);
    sem_init(&dropper.drop, 0, 0);
    sem_init(&dropper.dropped, 0, 0);
    sem_init(&dropper.end, 0, 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drop_groups, &dropper), 0);
    sem_wait(&dropper.told);
    struct caller caller;
    caller_of(*state, geteuid(), getegid(), dropper.tid, &caller);
    assert_true(caller_in_group(&caller, 4711) && caller_in_group(&caller, 4713));
    sem_post(&dropper.drop);
    sem_wait(&dropper.dropped);
    caller_of(*state, geteuid(), getegid(), dropper.tid, &caller);
    assert_false(caller_in_group(&caller, 4711));
    assert_true(caller_in_group(&caller, 4712));
    caller_of(*state, geteuid(), getegid(), getpid(), &caller);
    assert_true(caller_in_group(&caller, 4711));
    sem_post(&dropper.end);
    pthread_join(thread, NULL);
    caller_of(*state, geteuid(), getegid(), dropper.tid, &caller); /* ended */
    assert_false(caller_in_group(&caller, 4712));
    assert_int_equal(setgroups((size_t)count, before), 0);
}

static void many_threads_share_the_slots(void **state)
{
    pid_t pids[160]; /* more than there are slots */
    for (size_t i = 0; i < 160; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            pause();
            _exit(0);
        }
    }
    struct caller caller;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 160; i++) {
            caller_of(*state, geteuid(), getegid(), pids[i], &caller);
            assert_true(*caller_unverified_comm(&caller) != '\0');
            (void)caller_in_group(&caller, 1);
            assert_true(caller.groups_known);
        }
    }
    for (size_t i = 0; i < 160; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        caller_of(*state, geteuid(), getegid(), pids[i], &caller);
        assert_string_equal(caller_unverified_comm(&caller), "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_read_if_the_thread_is_the_right_one),
        cmocka_unit_test(other_texts_tell_nothing),
        cmocka_unit_test(more_groups_than_the_ceiling_are_left_out),
        cmocka_unit_test_setup_teardown(what_is_not_visible_counts_uid_and_gid_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_name_is_made_printable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_are_those_of_the_thread_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_threads_share_the_slots, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
