/*
 * kosekifs-link: HEAD and GET at the configured link system, bodies into memory files. It knows
 * the network, and neither keys nor files.
 */
#include "base/config.h"
#include "base/log.h"
#include "base/room.h"
#include "base/room_confine.h"
#include "transport/link_confine.h"
#include "transport/link_loop.h"
#include "transport/request_url.h"
#include "transport/sign_provider.h"
#include "transport/tls.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

/* Certificates pass through this memory in clear: no core, no ptrace by the same user. SIGINT and
 * SIGHUP reach a whole terminal session; the supervisor decides what they mean. */
static void link_main_harden(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        room_fail("kosekifs-link: cannot forbid core dumps: %s", strerror(errno));
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Neither environment nor openssl.cnf has a say: no proxy, no SSLKEYLOGFILE, no other modules. */
static void link_main_isolate(struct sign_provider *ret_provider)
{
    if (clearenv() != 0 || setenv("TZ", "UTC0", 1) < 0 ||
        OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        room_fail("kosekifs-link: OpenSSL cannot be initialised");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        room_fail("kosekifs-link: libcurl cannot be initialised");
    if (sign_provider_load(ret_provider) < 0)
        room_fail("kosekifs-link: OpenSSL does not take the signing provider");
}

/* Texts were checked by the supervisor when it read them; a cut one would be read beyond. */
static void link_main_check_config(const struct config_link *config)
{
    if (!ipc_text_ok(config->url, sizeof config->url) ||
        !ipc_text_ok(config->ca_file, sizeof config->ca_file) ||
        !ipc_text_ok(config->certificate_file, sizeof config->certificate_file) ||
        !ipc_text_ok(config->server_pin, sizeof config->server_pin) ||
        !ipc_text_ok(config->tls_min, sizeof config->tls_min))
        room_fail("kosekifs-link: malformed setup");
    if (config->low_speed_time < 1 || config->low_speed_bytes < 0 || config->connections_max < 1 ||
        config->connect_timeout < 1 || config->resume_max < 0)
        room_fail("kosekifs-link: setup out of range");
    const char *fault = request_url_fault(config->url);
    if (fault)
        room_fail("[link] url %s: %s", config->url, fault);
}

int main(void)
{
    static struct config_link config;
    static struct ipc_message setup;
    struct config_sandbox sandbox;
    struct link_confine confine;
    struct confine_report report;
    struct sign_channel channel;
    struct sign_provider provider;
    struct tls tls;
    char fault[ROOM_TEXT_MAX];

    log_init("kosekifs-link", LOG_LEVEL_INFO);
    link_main_harden();
    link_main_isolate(&provider);
    room_receive_sandbox(&sandbox);
    int r = room_receive_setup(sizeof config, &setup);
    if (r == -EPIPE)
        return 0;
    if (r < 0)
        room_fail("kosekifs-link: malformed setup: %s", strerror(-r));
    if (ipc_message_take(&setup, &config, sizeof config, 2) < 0)
        room_fail("kosekifs-link: malformed setup");
    link_main_check_config(&config);

    sign_channel_init(&channel, strcmp(config.tls_min, "1.2") == 0);
    if (tls_init(&tls, &config, setup.fds[0], setup.fds[1], &channel, fault) < 0)
        room_fail("%s", fault);
    ipc_message_done(&setup);
    struct link_loop *loop = link_loop_new(&config, &tls, &channel);
    if (!loop)
        room_fail(
            "kosekifs-link: libcurl gives no handle, or fewer than 300 descriptors are allowed");
    if (link_confine_init(&confine, &config) < 0)
        room_fail("[link] url: its port cannot be told");
    room_confine(&confine.table, &sandbox, &report);
    r = room_send_ready(&report);
    if (r == 0)
        r = link_loop_run(loop);

    link_loop_free(loop);
    tls_done(&tls);
    sign_channel_done(&channel);
    sign_provider_unload(&provider);
    curl_global_cleanup();
    return r == 0 ? 0 : 1;
}
