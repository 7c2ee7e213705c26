/*
 * kosekifs-keys: holds the master keys and the TLS key and answers its neighbours
 * (keys/service.h). After the files are read it opens nothing any more, but for what a PKCS#11
 * module wants. It ends when the supervisor does.
 */
#include "base/clock.h"
#include "base/keys_setup.h"
#include "base/log.h"
#include "base/room.h"
#include "base/room_confine.h"
#include "keys/key_set.h"
#include "keys/keys_confine.h"
#include "keys/service.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Holds the text of the key file while it is read, the master key and the numbers of the TLS key.
 */
enum { SECURE_HEAP_SIZE = 256 * 1024, SECURE_HEAP_MIN = 32 };

static volatile sig_atomic_t stop_requested;

static void note_stop(int signal_number)
{
    (void)signal_number;
    stop_requested = 1;
}

/* SIGTERM is open only while poll waits. SIGINT and SIGHUP reach a whole terminal session; the
 * supervisor decides what they mean. */
static void prepare_signals(sigset_t *ret_waiting)
{
    struct sigaction action = {.sa_handler = note_stop};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, ret_waiting);
    sigdelset(ret_waiting, SIGTERM);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

/* No core, no ptrace by the same user, no swap. OpenSSL's ordinary heap sees parts of a private key
 * too, so all memory is locked where the limit allows it. Locking future pages under a finite limit
 * would make allocations fail later, hence not then. */
static void harden(void)
{
    struct rlimit lock;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        room_fail("cannot forbid core dumps: %s", strerror(errno));
    if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur == RLIM_INFINITY &&
        mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_warning("memory is not locked: %s", strerror(errno));
    if (CRYPTO_secure_malloc_init(SECURE_HEAP_SIZE, SECURE_HEAP_MIN) != 1)
        log_warning("no locked memory for keys; is RLIMIT_MEMLOCK below 256 KiB?");
}

static void load_keys(struct key_set *set, struct keys_confine *confine)
{
    static struct ipc_message setup;
    const struct keys_setup *content = (const struct keys_setup *)(const void *)setup.payload;
    int r = room_receive_setup(sizeof(struct keys_setup), &setup);
    if (r == -EPIPE)
        exit(0);
    if (r < 0)
        room_fail("bad set-up message: %s", strerror(-r));
    key_set_load(set, &setup);
    if (keys_confine_init(confine, &content->keys, set->token != NULL) < 0)
        room_fail("[keys] pkcs11_paths: more than %d", KEYS_PATH_MAX);
    ipc_message_done(&setup);
}

/* False when the supervisor is gone. */
static bool hear_supervisor(struct service *service)
{
    struct ipc_message message;
    struct room_peer who;
    int r = ipc_receive(ROOM_FD, &message);
    if (r == -EBADMSG)
        return true;
    if (r != 0)
        return false;
    if (message.type == ROOM_ALIVE)
        room_answer_alive(&message, NULL, 0);
    if (message.type == ROOM_PEER && ipc_message_take(&message, &who, sizeof who, 1) == 0) {
        r = service_add(service, &who, steal_fd(&message.fds[0]));
        if (r < 0)
            log_warning("neighbour of role %s refused: %s", room_role_name(who.role), strerror(-r));
    }
    ipc_message_done(&message);
    return true;
}

static void run(struct service *service, const sigset_t *waiting)
{
    while (!stop_requested) {
        struct pollfd set[1 + SERVICE_PEER_MAX] = {{.fd = ROOM_FD, .events = POLLIN}};
        unsigned peers = service_poll_set(service, set + 1);
        if (ppoll(set, 1 + peers, NULL, waiting) < 0) {
            if (errno == EINTR)
                continue;
            log_error("poll: %s", strerror(errno));
            return;
        }
        service_serve(service, set + 1);
        if (set[0].revents != 0 && !hear_supervisor(service))
            return;
    }
}

int main(void)
{
    static struct key_set set;
    static struct keys_confine confine;
    struct service service;
    struct config_sandbox sandbox;
    struct confine_report report;
    sigset_t waiting;

    log_init("kosekifs-keys", LOG_LEVEL_INFO);
    prepare_signals(&waiting);
    harden();
    /* openssl.cnf is a file like any other, and could load foreign code. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        room_fail("cannot initialise OpenSSL");
    room_receive_sandbox(&sandbox);
    load_keys(&set, &confine);
    if (service_init(&service, &set, clock_monotonic_ms()) < 0)
        room_fail("no randomness");
    room_confine(&confine.table, &sandbox, &report);
    if (room_send_ready(&report) == 0)
        run(&service, &waiting);
    service_done(&service);
    key_set_done(&set);
    CRYPTO_secure_malloc_done();
    return 0;
}
