/* The trail in its life: restart, rotation, a torn or damaged end, replayed requests, full disk,
 * sinks that are slow or gone, checkpoints. */
#include "fs/audit.h"

#include "base/clock.h"
#include "base/json.h"
#include "trail.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <cmocka.h>

#define FIRST_FILE "audit/trail-00000001.jsonl"

static char content[256 * 1024];

static size_t read_file(struct trail_fixture *fixture, const char *name)
{
    ssize_t size = scratch_read(fixture->dir.fd, name, content, sizeof content - 1);
    assert_true(size >= 0);
    content[size] = '\0';
    return (size_t)size;
}

static void expect_whole(struct trail_fixture *fixture, uint64_t records)
{
    struct trail_check check;
    assert_int_equal(trail_check_files(fixture->dir.fd, &check), 0);
    if (check.faults[0] || check.verified.records != records)
        fail_msg("%llu records, faults: %s", (unsigned long long)check.verified.records,
                 check.faults);
}

static void records_go_on_after_a_restart(void **state)
{
    struct trail_fixture *fixture = *state;
    static const char *const modes[] = {"written", "group", "each"};
    for (uint64_t i = 0; i < 3; i++) {
        memcpy(fixture->config.sync, modes[i], strlen(modes[i]) + 1);
        struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
        assert_non_null(audit);
        struct audit *second = NULL;
        assert_int_equal(audit_open(fixture->dir.fd, &fixture->config, NULL, NULL, &second),
                         -EBUSY);
        for (uint64_t k = 1; k <= 10; k++)
            assert_int_equal(trail_write(audit, i + 1, k), 0);
        struct audit_status status;
        audit_status(audit, &status);
        assert_int_equal(status.sequence, 1 + 10 * (i + 1));
        assert_int_equal(status.error, 0);
        if (i > 0) /* synced before it returned */
            assert_int_equal(status.synced, status.sequence);
        audit_close(audit);
        expect_whole(fixture, 1 + 10 * (i + 1));
    }
    read_file(fixture, FIRST_FILE);
    assert_non_null(strstr(content, "\"name\":\"T-2026-0001.pdf\""));
    assert_non_null(strstr(content, "\"unverified_comm\":\"cat\""));
    assert_non_null(strstr(content, "\"request\":\"1-a\""));

    memcpy(fixture->config.sync, "never", 6);
    struct audit *audit = NULL;
    assert_int_equal(audit_open(fixture->dir.fd, &fixture->config, NULL, NULL, &audit), -EINVAL);
}

static void a_replayed_open_is_on_record_once(void **state)
{
    struct trail_fixture *fixture = *state;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    for (uint64_t unique = 2; unique <= 200; unique += 2)
        assert_int_equal(trail_write(audit, 0xfeedfacefeedface, unique), 0);
    assert_int_equal(trail_write(audit, 0xfeedfacefeedface, 200), AUDIT_ALREADY);
    audit_close(audit);
    audit = trail_open(fixture->dir.fd, &fixture->config);
    for (uint64_t unique = 2; unique <= 200; unique += 2)
        assert_int_equal(trail_write(audit, 0xfeedfacefeedface, unique), AUDIT_ALREADY);
    assert_int_equal(trail_write(audit, 0xfeedfacefeedfacd, 200), 0); /* mounted anew */
    assert_int_equal(trail_write(audit, 0xfeedfacefeedface, 202), 0);

    /* A refusal of the same request is an event of its own, and so is what has no request. */
    const struct audit_event denied = {.kind = AUDIT_OPEN,
                                       .result = AUDIT_DENIED,
                                       .connection = 0xfeedfacefeedface,
                                       .unique = 202};
    assert_int_equal(audit_write(audit, &denied), 0);
    assert_int_equal(audit_write(audit, &denied), AUDIT_ALREADY);
    assert_int_equal(trail_write(audit, 0, 0), 0);
    assert_int_equal(trail_write(audit, 0, 0), 0);
    audit_close(audit);
    expect_whole(fixture, 1 + 100 + 2 + 1 + 2);
}

static void replay_is_known_across_a_rotation(void **state)
{
    struct trail_fixture *fixture = *state;
    fixture->config.file_size = 65536;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    uint64_t unique = 0, file = 1;
    struct audit_status status = {0};
    while (file < 4) { /* up to the first record of a file */
        assert_int_equal(trail_write(audit, 7, ++unique), 0);
        audit_status(audit, &status);
        file = status.file;
    }
    assert_true(status.file_size < 1000);
    audit_close(audit);
    audit = trail_open(fixture->dir.fd, &fixture->config);
    for (uint64_t back = 0; back < 50; back++)
        assert_int_equal(trail_write(audit, 7, unique - back), AUDIT_ALREADY);
    audit_close(audit);
    expect_whole(fixture, unique + 4); /* each file begins with a record of its own */
    assert_int_equal(unlinkat(fixture->dir.fd, FIRST_FILE, 0), 0);
    struct trail_check check;
    assert_int_equal(symlinkat("trail-00000002.jsonl", fixture->dir.fd, FIRST_FILE), 0);
    assert_int_equal(trail_check_files(fixture->dir.fd, &check), 0);
    assert_true(strncmp(check.faults, "moved@", 6) == 0); /* the second twice */
}

static void a_torn_last_line_is_cut_and_told(void **state)
{
    struct trail_fixture *fixture = *state;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    assert_int_equal(trail_write(audit, 1, 1), 0);
    size_t keep = read_file(fixture, FIRST_FILE);
    assert_int_equal(trail_write(audit, 1, 2), 0);
    audit_close(audit);
    static char whole[sizeof content];
    size_t size = read_file(fixture, FIRST_FILE);
    memcpy(whole, content, size);
    for (size_t cut = keep; cut < size; cut += 1 + (size - keep) / 40) {
        assert_int_equal(scratch_write(fixture->dir.fd, FIRST_FILE, whole, cut), 0);
        audit = trail_open(fixture->dir.fd, &fixture->config);
        assert_non_null(audit);
        assert_int_equal(trail_write(audit, 1, 1), AUDIT_ALREADY);
        assert_int_equal(trail_write(audit, 1, 2), 0); /* what was torn is not on record */
        audit_close(audit);
        expect_whole(fixture, cut == keep ? 3 : 4);
        read_file(fixture, FIRST_FILE);
        char told[64];
        snprintf(told, sizeof told, "\"detail\":{\"bytes\":\"%zu\"}", cut - keep);
        assert_true(cut == keep || strstr(content, told));
    }
    assert_int_equal(scratch_write(fixture->dir.fd, FIRST_FILE, whole, 0), 0); /* nothing left */
    audit = trail_open(fixture->dir.fd, &fixture->config);
    assert_non_null(audit);
    audit_close(audit);
    expect_whole(fixture, 1);
}

static void a_damaged_end_begins_a_new_file(void **state)
{
    struct trail_fixture *fixture = *state;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    for (uint64_t i = 1; i < 5; i++)
        assert_int_equal(trail_write(audit, 1, i), 0);
    audit_close(audit);
    size_t size = read_file(fixture, FIRST_FILE);
    char *last = memrchr(content, '\n', size - 1);
    *strstr(last, "T-2026") = 'S';
    assert_int_equal(scratch_write(fixture->dir.fd, FIRST_FILE, content, size), 0);

    audit = trail_open(fixture->dir.fd, &fixture->config);
    assert_non_null(audit);
    assert_int_equal(trail_write(audit, 1, 4), 0); /* not believed to be on record */
    assert_int_equal(trail_write(audit, 1, 3), AUDIT_ALREADY);
    struct audit_status status;
    audit_status(audit, &status);
    assert_int_equal(status.file, 2);
    audit_close(audit);
    struct trail_check check;
    assert_int_equal(trail_check_files(fixture->dir.fd, &check), 0);
    assert_string_equal(check.faults,
                        "changed@trail-00000001.jsonl:5 "); /* there and nowhere else */
    read_file(fixture, "audit/trail-00000002.jsonl");
    assert_non_null(strstr(content, "\"reason\":\"damaged\""));

    static const char junk[] = "{\"event\":{},\"hash\":\"junk\"}\n";
    assert_int_equal(
        scratch_write(fixture->dir.fd, "audit/trail-00000003.jsonl", junk, sizeof junk - 1), 0);
    audit = trail_open(fixture->dir.fd, &fixture->config);
    assert_non_null(audit);
    audit_status(audit, &status);
    assert_int_equal(status.file, 4);
    audit_close(audit);
}

/* What the full disk does to writers, by whatever means `full` and `empty` make it so. */
static void check_full_disk(int state_fd, void (*full)(void *, bool), void *context)
{
    struct config_audit config = trail_config();
    struct audit *audit = trail_open(state_fd, &config);
    assert_non_null(audit);
    assert_int_equal(trail_write(audit, 1, 1), 0);
    full(context, true);
    int refused = 0;
    for (uint64_t i = 2; i < 200; i++) { /* the last block may have room for some */
        int r = trail_write(audit, 1, i);
        assert_true(r <= 0);
        refused += r < 0;
    }
    assert_true(refused > 100);
    struct audit_status status;
    audit_status(audit, &status);
    assert_int_not_equal(status.error, 0);
    assert_int_equal(status.lost, refused);
    full(context, false);
    assert_int_equal(trail_write(audit, 1, 500), 0); /* service resumes by itself */
    audit_status(audit, &status);
    assert_int_equal(status.error, 0);
    audit_close(audit);

    struct trail_check check;
    assert_int_equal(trail_check_files(state_fd, &check), 0);
    assert_string_equal(check.faults, "");
    ssize_t size = scratch_read(state_fd, FIRST_FILE, content, sizeof content - 1);
    assert_true(size > 0);
    content[size] = '\0';
    char told[64];
    snprintf(told, sizeof told, "\"detail\":{\"events\":\"%d\"}", refused);
    assert_non_null(strstr(content, told));
}

static void limit_file_size(void *context, bool full)
{
    struct rlimit limit;
    (void)context;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 2000 : limit.rlim_max; /* in the middle of a record: a short write */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_file_that_cannot_grow_stops_and_resumes(void **state)
{
    struct trail_fixture *fixture = *state;
    check_full_disk(fixture->dir.fd, limit_file_size, NULL);
}

static void fill_disk(void *context, bool full)
{
    int fd = *(int *)context;
    static char block[4096];
    if (!full) {
        assert_int_equal(unlinkat(fd, "ballast", 0), 0);
        return;
    }
    int ballast = openat(fd, "ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(ballast >= 0);
    while (write(ballast, block, sizeof block) > 0)
        ;
    close(ballast);
}

static void a_full_disk_stops_and_resumes(void **state)
{
    struct trail_fixture *fixture = *state;
    if (mount("tmpfs", fixture->dir.path, "tmpfs", 0, "size=256k") < 0) {
        print_message("skipped: mounting a small tmpfs needs root\n");
        skip();
    }
    int fd = open(fixture->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        check_full_disk(fd, fill_disk, &fd);
    close(fd);
    assert_int_equal(umount2(fixture->dir.path, MNT_DETACH), 0);
}

static int datagram_pair(int fds[2], int queue)
{
    int r = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds);
    return r < 0 ? r : setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &queue, sizeof queue);
}

static void sinks_get_every_record_in_their_form(void **state)
{
    struct trail_fixture *fixture = *state;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    int syslog[2], journald[2];
    assert_int_equal(datagram_pair(syslog, 1 << 18), 0);
    assert_int_equal(datagram_pair(journald, 1 << 18), 0);
    audit_set_sink(audit, AUDIT_SINK_SYSLOG, syslog[0]);
    audit_set_sink(audit, AUDIT_SINK_JOURNALD, journald[0]);
    assert_int_equal(trail_write(audit, 1, 1), 0);
    char datagram[AUDIT_LINE_MAX + 512];
    ssize_t size = recv(syslog[1], datagram, sizeof datagram - 1, 0); /* waits for the thread */
    assert_true(size > 0);
    datagram[size] = '\0';
    assert_true(strncmp(datagram, "<110>1 20", 9) == 0); /* log audit, info */
    assert_true(datagram[size - 1] == '}');
    const char *line = strstr(datagram, " open - {\"event\":");
    assert_non_null(line);
    _cleanup_json_ struct json *json = NULL;
    assert_int_equal(json_parse(line + 8, strlen(line + 8), &json), 0);
    assert_int_equal(datagram[7 + 26], 'Z'); /* six digits of a second */

    size = recv(journald[1], datagram, sizeof datagram - 1, 0);
    assert_true(size > 0);
    datagram[size] = '\0';
    assert_true(strncmp(datagram, "PRIORITY=6\n", 11) == 0);
    assert_non_null(strstr(datagram, "\nMESSAGE={\"event\":"));
    assert_int_equal(datagram[size - 1], '\n');
    audit_close(audit);
    close(syslog[1]);
    close(journald[1]);
}

static void a_stuck_sink_stops_nobody(void **state)
{
    struct trail_fixture *fixture = *state;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    int stuck[2], gone[2];
    assert_int_equal(datagram_pair(stuck, 4096), 0); /* nobody reads */
    assert_int_equal(datagram_pair(gone, 4096), 0);
    close(gone[1]);
    audit_set_sink(audit, AUDIT_SINK_SYSLOG, stuck[0]);
    audit_set_sink(audit, AUDIT_SINK_JOURNALD, gone[0]);
    enum { EVENTS = 20000 }; /* more than fit into the waiting room */
    for (uint64_t i = 1; i <= EVENTS; i++)
        assert_int_equal(trail_write(audit, 1, i), 0);
    struct audit_status status;
    int64_t deadline_ms = clock_monotonic_ms() + 10000;
    do
        audit_status(audit, &status);
    while (status.sink_sent[0] + status.sink_dropped[0] < EVENTS &&
           clock_monotonic_ms() < deadline_ms);
    assert_true(status.sink_sent[0] + status.sink_dropped[0] >= EVENTS);
    assert_true(status.sink_dropped[0] > EVENTS / 2);
    assert_int_equal(status.sink_sent[1], 0);
    assert_true(status.sink_connected[0]);
    audit_set_sink(audit, AUDIT_SINK_SYSLOG, -1);
    audit_status(audit, &status);
    assert_false(status.sink_connected[0]);
    audit_close(audit);
    close(stuck[1]);
    struct trail_check check; /* with the records about the losses */
    assert_int_equal(trail_check_files(fixture->dir.fd, &check), 0);
    assert_string_equal(check.faults, "");
    assert_true(check.verified.records > EVENTS + 1);
    assert_true(check.verified.records <= EVENTS + 3);
}

static void written_means_synced_soon(void **state)
{
    struct trail_fixture *fixture = *state;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    assert_int_equal(trail_write(audit, 1, 1), 0);
    int64_t begin_ms = clock_monotonic_ms();
    struct audit_status status;
    do
        audit_status(audit, &status);
    while (status.synced < status.sequence && clock_monotonic_ms() - begin_ms < 5000);
    print_message("synced after %lld ms\n", (long long)(clock_monotonic_ms() - begin_ms));
    assert_int_equal(status.synced, status.sequence);
    audit_close(audit);
}

static void checkpoints_are_signed_and_told(void **state)
{
    struct trail_fixture *fixture = *state;
    fixture->config.checkpoint_records = 10;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    struct audit_status status;
    assert_int_equal(trail_write(audit, 1, 1), 0);
    audit_status(audit, &status);
    assert_false(status.signing);
    assert_int_equal(status.checkpoint, 0);
    audit_set_sign(audit, trail_sign, NULL);
    for (uint64_t i = 2; i < 20; i++)
        assert_int_equal(trail_write(audit, 1, i), 0);
    int64_t begin_ms = clock_monotonic_ms();
    do
        audit_status(audit, &status);
    while (status.checkpoint == 0 && clock_monotonic_ms() - begin_ms < 10000);
    assert_true(status.signing);
    assert_true(status.checkpoint >= 10);
    assert_int_equal(trail_write(audit, 1, 100), 0);
    audit_close(audit); /* takes one more */

    static char checkpoints[64 * 1024], trail[256 * 1024];
    ssize_t size = scratch_read(fixture->dir.fd, "audit/checkpoints.jsonl", checkpoints,
                                sizeof checkpoints - 1);
    assert_true(size > 0);
    checkpoints[size] = '\0';
    size = scratch_read(fixture->dir.fd, FIRST_FILE, trail, sizeof trail);
    assert_true(size > 0);
    uint8_t key[AUDIT_PUBLIC_KEY_SIZE];
    assert_int_equal(ed25519_public_key(trail_private_key, key), 0);
    struct trail_check check;
    assert_int_equal(trail_check_text(trail, (size_t)size, checkpoints, key, &check), 0);
    assert_string_equal(check.faults, "");
    assert_int_equal(check.verified.checkpoints, 2);
    assert_int_equal(check.verified.covered, check.verified.last - 1); /* all but its own event */

    /* The event in the trail is a checkpoint as well, for who receives the trail by syslog. */
    trail[size - 1] = '\0';
    const char *last = strrchr(trail, '\n') + 1;
    char copy[4096];
    snprintf(copy, sizeof copy, "%s\n", last);
    trail[size - 1] = '\n';
    assert_int_equal(trail_check_text(trail, (size_t)size, copy, key, &check), 0);
    assert_string_equal(check.faults, "");
    assert_int_equal(check.verified.checkpoints, 1);
}

static int refuse_sign(void *context, const void *statement, size_t size,
                       uint8_t ret_signature[AUDIT_SIGNATURE_SIZE],
                       uint8_t ret_public_key[AUDIT_PUBLIC_KEY_SIZE])
{
    (void)context, (void)statement, (void)size, (void)ret_signature, (void)ret_public_key;
    return -EHOSTDOWN;
}

static void a_signature_that_fails_stops_nobody(void **state)
{
    struct trail_fixture *fixture = *state;
    fixture->config.checkpoint_records = 1;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    audit_set_sign(audit, refuse_sign, NULL);
    struct audit_status status;
    int64_t begin_ms = clock_monotonic_ms();
    uint64_t events = 0;
    do {
        assert_int_equal(trail_write(audit, 1, ++events), 0);
        audit_status(audit, &status);
    } while (status.checkpoint_error == 0 && clock_monotonic_ms() - begin_ms < 10000);
    assert_int_equal(status.checkpoint_error, -EHOSTDOWN);
    assert_int_equal(status.checkpoint, 0);
    audit_close(audit);
    expect_whole(fixture, 1 + events + 1); /* told once */
}

struct writers {
    struct audit *audit;
    uint64_t connection;
};

static void *write_many(void *context)
{
    struct writers *writers = context;
    for (uint64_t i = 1; i <= 500; i++) {
        if (trail_write(writers->audit, writers->connection, i) != 0)
            return context;
    }
    return NULL;
}

static void many_threads_make_one_chain(void **state)
{
    struct trail_fixture *fixture = *state;
    static const char *const modes[] = {"written", "group"};
    fixture->config.file_size = 65536;
    for (size_t mode = 0; mode < 2; mode++) {
        memcpy(fixture->config.sync, modes[mode], strlen(modes[mode]) + 1);
        struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
        struct writers writers[4];
        pthread_t threads[4];
        for (size_t i = 0; i < 4; i++) {
            writers[i] = (struct writers){.audit = audit, .connection = mode * 10 + i + 1};
            assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
        }
        for (size_t i = 0; i < 4; i++) {
            void *failed;
            pthread_join(threads[i], &failed);
            assert_null(failed);
        }
        struct audit_status status;
        audit_status(audit, &status);
        assert_int_equal(status.sequence, (mode + 1) * 2000 + status.file);
        audit_close(audit);
        expect_whole(fixture, status.sequence);
    }
}

struct seen {
    int events, failures;
    enum audit_kind last;
};

static void observe(void *context, const struct audit_event *event, int error)
{
    struct seen *seen = context;
    seen->events++;
    seen->failures += error < 0;
    seen->last = event->kind;
}

static void the_observer_hears_of_every_event_once(void **state)
{
    struct trail_fixture *fixture = *state;
    struct seen seen = {0};
    struct audit *audit = NULL;
    assert_int_equal(audit_open(fixture->dir.fd, &fixture->config, observe, &seen, &audit), 0);
    assert_int_equal(trail_write(audit, 1, 1), 0);
    assert_int_equal(trail_write(audit, 1, 1), AUDIT_ALREADY);
    assert_int_equal(seen.events, 1);
    assert_int_equal(seen.last, AUDIT_OPEN);
    audit_close(audit);

    /* Also of what the trail found out about itself. */
    size_t size = read_file(fixture, FIRST_FILE);
    assert_int_equal(scratch_write(fixture->dir.fd, FIRST_FILE, content, size - 3), 0);
    assert_int_equal(audit_open(fixture->dir.fd, &fixture->config, observe, &seen, &audit), 0);
    assert_int_equal(seen.events, 2);
    assert_int_equal(seen.last, AUDIT_TRAIL);
    audit_close(audit);
}

static void report_nothing(void *context, const char *file, int line, const char *text)
{
    (void)file, (void)line, (void)text;
    ++*(int *)context;
}

static void the_configuration_is_checked_before_the_mount(void **state)
{
    (void)state;
    int mistakes = 0;
    struct config_audit config = trail_config();
    assert_int_equal(audit_config_check(&config, "f", report_nothing, &mistakes), 0);
    assert_int_equal(mistakes, 0);
    memcpy(config.sync, "grou", 5);
    memcpy(config.syslog, "dev/log", 8);
    assert_int_equal(audit_config_check(&config, "f", report_nothing, &mistakes), -EINVAL);
    assert_int_equal(mistakes, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_set_up, trail_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(records_go_on_after_a_restart),
        TEST(a_replayed_open_is_on_record_once),
        TEST(replay_is_known_across_a_rotation),
        TEST(a_torn_last_line_is_cut_and_told),
        TEST(a_damaged_end_begins_a_new_file),
        TEST(a_file_that_cannot_grow_stops_and_resumes),
        TEST(a_full_disk_stops_and_resumes),
        TEST(sinks_get_every_record_in_their_form),
        TEST(a_stuck_sink_stops_nobody),
        TEST(written_means_synced_soon),
        TEST(checkpoints_are_signed_and_told),
        TEST(a_signature_that_fails_stops_nobody),
        TEST(many_threads_make_one_chain),
        TEST(the_observer_hears_of_every_event_once),
        TEST(the_configuration_is_checked_before_the_mount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
