/*
 * kosekifs-keys: holds the master keys and the TLS key and answers its neighbours
 * (keys/service.h). After the files are read it opens nothing any more. It ends when the supervisor
 * does.
 */
#include "base/clock.h"
#include "base/key_source.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/room.h"
#include "base/keys_setup.h"
#include "keys/service.h"
#include "keys/tls_signer.h"

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

enum { CERTIFICATES_MAX = 1024 * 1024 };

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
    struct rlimit none = {0};
    struct rlimit lock;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
        room_fail("cannot forbid core dumps: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        room_fail("cannot forbid new privileges: %s", strerror(errno));
    if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur == RLIM_INFINITY &&
        mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_warning("memory is not locked: %s", strerror(errno));
    if (CRYPTO_secure_malloc_init(SECURE_HEAP_SIZE, SECURE_HEAP_MIN) != 1)
        log_warning("no locked memory for keys; is RLIMIT_MEMLOCK below 256 KiB?");
}

/* The descriptors of a set-up message in their order; see base/keys_setup.h. */
struct sources {
    const struct ipc_message *setup;
    unsigned next;
};

static int next_source(struct sources *sources)
{
    if (sources->next == sources->setup->fd_count)
        room_fail("bad set-up message: %u files came", sources->setup->fd_count);
    return sources->setup->fds[sources->next++];
}

static void load_master_key(struct sources *sources, struct key_ring *ring)
{
    char message[KEY_LOAD_MESSAGE_MAX] = "";
    struct master_key *key;
    if (master_key_load(next_source(sources), message, &key) < 0 ||
        key_ring_add(ring, key, message) < 0)
        room_fail("%s", message);
}

static void check_certificate(const struct tls_signer *signer, int fd)
{
    char message[KEY_LOAD_MESSAGE_MAX] = "";
    _cleanup_mapping_ struct mapping pem = {0};
    int r = mapping_open(fd, CERTIFICATES_MAX, &pem);
    if (r < 0)
        room_fail("[link] certificate_file: %s", strerror(-r));
    if (tls_signer_check_certificate(signer, bytes_of(pem.data, pem.size), message) < 0)
        room_fail("%s", message);
}

static void load_keys(struct key_ring *ring, struct tls_signer **ret_signer)
{
    struct ipc_message message;
    struct keys_setup setup;
    struct sources sources = {.setup = &message};
    char why[KEY_LOAD_MESSAGE_MAX] = "", previous[KEY_SOURCE_SIZE];
    int r = room_receive_setup(sizeof setup, &message);
    if (r == -EPIPE)
        exit(0);
    if (r < 0)
        room_fail("bad set-up message: %s", strerror(-r));
    memcpy(&setup, message.payload, sizeof setup);
    int certificates = next_source(&sources);
    const char *list = setup.keys.previous_master_keys;
    load_master_key(&sources, ring);
    while (config_list_next(&list, previous, sizeof previous))
        load_master_key(&sources, ring);
    if (tls_signer_load(next_source(&sources), why, ret_signer) < 0)
        room_fail("%s", why);
    check_certificate(*ret_signer, certificates);
    if (sources.next != message.fd_count)
        room_fail("bad set-up message: %u files came", message.fd_count);
    ipc_message_done(&message);
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
    struct key_ring ring = {0};
    struct tls_signer *signer = NULL;
    struct service service;
    sigset_t waiting;

    log_init("kosekifs-keys", LOG_LEVEL_INFO);
    prepare_signals(&waiting);
    harden();
    /* openssl.cnf is a file like any other, and could load foreign code. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        room_fail("cannot initialise OpenSSL");
    load_keys(&ring, &signer);
    service_init(&service, &ring, signer, clock_monotonic_ms());
    if (room_send_ready() == 0)
        run(&service, &waiting);
    service_done(&service);
    tls_signer_free(signer);
    key_ring_done(&ring);
    CRYPTO_secure_malloc_done();
    return 0;
}
