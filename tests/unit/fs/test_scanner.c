/* The scanner with a peer that says what the test wants: what is kept when, and how it stops. */
#include "fs/scanner.h"

#include "base/clock.h"
#include "base/memfd.h"
#include "scratch_dir.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <cmocka.h>

enum { TEXT_MAX = 256, WAIT_S = 60 };

struct scene {
    struct scratch_dir dir;
    struct config_scan config;
    struct scanner *scanner;
    const char *reply; /* NULL: says nothing */
    int peer;          /* clamd's end of the last connection */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned connections, scanned;
    enum scan_result result;
    char unscanned[TEXT_MAX]; /* the file, while the result was told */
};

static void read_list(struct scene *scene, char out[TEXT_MAX])
{
    ssize_t size = scratch_read(scene->dir.fd, "unscanned.json", out, TEXT_MAX - 1);
    out[size > 0 ? size : 0] = '\0';
}

/* The reply is there before it is asked for, which the protocol allows a server that knows it. */
static int connect_to_peer(void *context)
{
    struct scene *scene = context;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    if (scene->reply)
        assert_int_equal(send(ends[1], scene->reply, strlen(scene->reply) + 1, 0),
                         strlen(scene->reply) + 1);
    pthread_mutex_lock(&scene->lock);
    cleanup_close(&scene->peer);
    scene->peer = ends[1];
    scene->connections++;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
    scanner_connected(scene->scanner, ends[0]);
    return 0;
}

static void on_scanned(void *context, uint64_t id, const struct certname *name,
                       enum scan_result result, const char *text)
{
    struct scene *scene = context;
    (void)id;
    (void)name;
    (void)text;
    pthread_mutex_lock(&scene->lock);
    scene->scanned++;
    scene->result = result;
    read_list(scene, scene->unscanned);
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
}

static bool still_there(void *context, const struct certname *name)
{
    (void)context;
    (void)name;
    return true;
}

static void scene_open(struct scene *scene, const char *when_down)
{
    const struct scanner_listener listener = {scene, connect_to_peer, on_scanned, still_there};
    *scene = (struct scene){.peer = -1, .config = {.timeout = WAIT_S * 1000}};
    snprintf(scene->config.when_down, sizeof scene->config.when_down, "%s", when_down);
    pthread_mutex_init(&scene->lock, NULL);
    pthread_cond_init(&scene->changed, NULL);
    assert_int_equal(scratch_dir_open(&scene->dir), 0);
    assert_int_equal(scanner_new(&scene->config, scene->dir.fd, &listener, &scene->scanner), 0);
}

static void scene_close(struct scene *scene)
{
    scene->scanner = scanner_free(scene->scanner);
    cleanup_close(&scene->peer);
    pthread_cond_destroy(&scene->changed);
    pthread_mutex_destroy(&scene->lock);
    scratch_dir_close(&scene->dir);
}

static void submit(struct scene *scene, const char *text)
{
    struct certname name;
    int memfd = -1;
    assert_true(certname_parse(text, &name));
    assert_int_equal(memfd_of("document", text, strlen(text), &memfd), 0);
    assert_int_equal(scanner_submit(scene->scanner, 1, &name, memfd), 0);
}

static void wait_for(struct scene *scene, const unsigned *count, unsigned wanted)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&scene->lock);
    while (*count < wanted)
        assert_int_equal(pthread_cond_timedwait(&scene->changed, &scene->lock, &until), 0);
    pthread_mutex_unlock(&scene->lock);
}

/* Between the finding and a durable rejection lies a crash. */
static void what_was_found_stays_listed(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "accept");
    scene.reply = "nonsense";
    submit(&scene, "one.pdf");
    wait_for(&scene, &scene.scanned, 1);
    assert_int_equal(scene.result, SCAN_UNSCANNED);
    assert_string_equal(scene.unscanned, "[\"one.pdf\"]");
    scene.reply = "stream: Test.Marked FOUND";
    submit(&scene, "one.pdf");
    wait_for(&scene, &scene.scanned, 2);
    assert_int_equal(scene.result, SCAN_FOUND);
    assert_string_equal(scene.unscanned, "[\"one.pdf\"]");
    scene.reply = "stream: OK";
    submit(&scene, "one.pdf");
    wait_for(&scene, &scene.scanned, 3);
    assert_int_equal(scene.result, SCAN_CLEAN);
    assert_string_equal(scene.unscanned, "[]");
    scene_close(&scene);
}

/* A clamd that holds its answer back holds up no end, and that we stop lets nothing pass. */
static void stops_while_it_scans(void **state)
{
    (void)state;
    struct scene scene;
    char list[TEXT_MAX];
    scene_open(&scene, "accept");
    submit(&scene, "slow.pdf");
    wait_for(&scene, &scene.connections, 1);
    int64_t began_ms = clock_monotonic_ms();
    scene.scanner = scanner_free(scene.scanner);
    assert_true(clock_monotonic_ms() - began_ms < WAIT_S * 1000 / 2);
    assert_int_equal(scene.scanned, 0);
    read_list(&scene, list);
    assert_string_equal(list, "");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_found_stays_listed),
        cmocka_unit_test(stops_while_it_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
