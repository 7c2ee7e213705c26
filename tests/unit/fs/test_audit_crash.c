/*
 * kill -9 at any moment, again and again: the chain stays whole, and every record that a writer was
 * told of is there. Four threads append opens and releases; each puts the number of its last
 * acknowledged open into memory shared with the test. Releases may be lost, but none is invented.
 */
#include "fs/audit_record.h"
#include "trail.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

enum { WRITERS = 4, ROUNDS = 40, FILES_MAX = 100000 };

struct shared {
    _Atomic uint64_t acknowledged[WRITERS];
    atomic_int failed;
};

struct writer {
    struct audit *audit;
    pthread_barrier_t *begun;
    struct shared *shared;
    unsigned number;
};

static void *append_for_ever(void *context)
{
    struct writer *writer = context;
    _Atomic uint64_t *acknowledged = &writer->shared->acknowledged[writer->number];
    uint64_t first = atomic_load(acknowledged) + 1;
    for (uint64_t unique = first;; unique++) {
        /* The first may be on record from before the crash: it was not acknowledged. All are asked
         * again first, as the requests of the journal are. */
        if (trail_write(writer->audit, writer->number + 1, unique) < 0)
            break;
        atomic_store(acknowledged, unique);
        if (trail_release(writer->audit, writer->number + 1, unique) < 0)
            break;
        if (unique == first)
            pthread_barrier_wait(writer->begun);
    }
    atomic_store(&writer->shared->failed, 1);
    return NULL;
}

static _Noreturn void write_until_killed(int state_fd, struct shared *shared, const char *mode)
{
    struct config_audit config = trail_config();
    config.file_size = 1024 * 1024;
    memcpy(config.sync, mode, strlen(mode) + 1);
    struct audit *audit = trail_open(state_fd, &config);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    pthread_barrier_t begun;
    if (!audit || pthread_barrier_init(&begun, NULL, WRITERS) != 0)
        _exit(1);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] =
            (struct writer){.audit = audit, .begun = &begun, .shared = shared, .number = i};
        if (pthread_create(&threads[i], NULL, append_for_ever, &writers[i]) != 0)
            _exit(1);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    _exit(1);
}

/* What is on record, by writer. */
struct found {
    uint64_t count[WRITERS], highest[WRITERS];
    uint64_t releases;
};

static void take_line(const char *line, struct found *found)
{
    unsigned long long connection, unique;
    const char *request = strstr(line, "\"request\":\"");
    if (!request)
        return;
    assert_int_equal(sscanf(request + 11, "%llx-%llx", &connection, &unique), 2);
    assert_true(connection >= 1 && connection <= WRITERS);
    if (strstr(line, "\"kind\":\"release\"")) {
        assert_true(unique <= found->highest[connection - 1]);
        found->releases++;
        return;
    }
    found->count[connection - 1]++;
    if (unique > found->highest[connection - 1])
        found->highest[connection - 1] = unique;
}

static void read_trail(int state_fd, struct found *found)
{
    static char line[AUDIT_LINE_MAX];
    memset(found, 0, sizeof *found);
    for (int number = 1; number < FILES_MAX; number++) {
        char name[64];
        snprintf(name, sizeof name, "audit/trail-%08d.jsonl", number);
        int fd = openat(state_fd, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return;
        _cleanup_fclose_ FILE *in = fdopen(fd, "r");
        assert_non_null(in);
        while (fgets(line, sizeof line, in))
            if (strchr(line, '\n')) /* a torn last line is no record; the next start cuts it */
                take_line(line, found);
    }
}

static void kill_at_some_moment(int state_fd, struct shared *shared, const char *mode, int round)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_until_killed(state_fd, shared, mode);
    struct timespec moment = {.tv_nsec = 1000000 * (3 + round * 7 % 60)};
    nanosleep(&moment, NULL); /* the moment is the test */
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(atomic_load(&shared->failed), 0);
}

static void check_mode(const char *mode)
{
    _cleanup_scratch_dir_ struct scratch_dir dir;
    assert_int_equal(scratch_dir_open(&dir), 0);
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    uint64_t releases = 0;
    for (int round = 0; round < ROUNDS; round++) {
        kill_at_some_moment(dir.fd, shared, mode, round);
        struct found found;
        read_trail(dir.fd, &found);
        releases = found.releases;
        for (unsigned i = 0; i < WRITERS; i++) {
            uint64_t acknowledged = atomic_load(&shared->acknowledged[i]);
            if (found.highest[i] < acknowledged || found.highest[i] > acknowledged + 1 ||
                found.count[i] != found.highest[i])
                fail_msg("round %d, writer %u: %llu acknowledged, %llu on record, highest %llu",
                         round, i, (unsigned long long)acknowledged,
                         (unsigned long long)found.count[i], (unsigned long long)found.highest[i]);
        }
    }
    struct config_audit config = trail_config();
    audit_close(trail_open(dir.fd, &config)); /* cuts what the last kill has torn */
    struct trail_check check;
    assert_int_equal(trail_check_files(dir.fd, &check), 0);
    assert_string_equal(check.faults, "");
    print_message("%s: %llu records, %llu releases among them, after %d kills\n", mode,
                  (unsigned long long)check.verified.records, (unsigned long long)releases, ROUNDS);
    assert_true(releases > 0);
    munmap(shared, sizeof *shared);
}

static void nothing_acknowledged_is_lost(void **state)
{
    (void)state;
    check_mode("written");
    check_mode("group");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
