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
#include "transport/link_setup.h"
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
static void link_main_check_setup(const struct link_setup *setup, struct endpoints *ret_endpoints)
{
    const struct config_link *config = &setup->link;
    const char *fault;
    if (!ipc_text_ok(config->url, sizeof config->url) ||
        !ipc_text_ok(config->ca_file, sizeof config->ca_file) ||
        !ipc_text_ok(config->certificate_file, sizeof config->certificate_file) ||
        !ipc_text_ok(config->server_pin, sizeof config->server_pin) ||
        !ipc_text_ok(config->tls_min, sizeof config->tls_min) ||
        !ipc_text_ok(config->http, sizeof config->http) ||
        !ipc_text_ok(config->address_family, sizeof config->address_family) ||
        !ipc_text_ok(config->interface, sizeof config->interface) ||
        !ipc_text_ok(config->crl_hosts, sizeof config->crl_hosts) ||
        !ipc_text_ok(config->source_address, sizeof config->source_address) ||
        !ipc_text_ok(config->resolve, sizeof config->resolve) ||
        !ipc_text_ok(setup->waivers.link_authentication,
                     sizeof setup->waivers.link_authentication) ||
        !ipc_text_ok(setup->waivers.link_encryption, sizeof setup->waivers.link_encryption) ||
        !link_profile_valid(&setup->profile))
        room_fail("kosekifs-link: malformed setup");
    if (config->low_speed_time < 1 || config->low_speed_bytes < 0 || config->connections_max < 1 ||
        config->connect_timeout < 1 || config->resume_max < 0 || config->breaker_failures < 0 ||
        config->breaker_time < 1 || config->requests_per_second < 0 || config->bytes_per_second < 0)
        room_fail("kosekifs-link: setup out of range");
    if (endpoints_init(ret_endpoints, config, &fault) < 0)
        room_fail("[link] url: %s", fault);
}

/* Without the waivers nothing goes out unencrypted or unauthenticated, whoever made the setup. */
static void link_main_check_waivers(const struct link_setup *setup,
                                    const struct endpoints *endpoints)
{
    bool encryption = setup->waivers.link_encryption[0] != '\0';
    bool authentication = setup->waivers.link_authentication[0] != '\0';
    bool secure = false;
    for (unsigned i = 0; i < endpoints->count; i++) {
        secure = secure || !endpoints->list[i].host.plain;
        if (endpoints->list[i].host.plain && (!encryption || !authentication))
            room_fail("[link] url %s: http:// was not waived", endpoints->list[i].url);
    }
    if ((secure && !setup->link.ca_file[0]) ||
        (!authentication && !setup->link.certificate_file[0]))
        room_fail("[link] ca_file and certificate_file are needed");
}

int main(void)
{
    static struct link_setup setup;
    static struct endpoints endpoints;
    static struct ipc_message message;
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
    int r = room_receive_setup(sizeof setup, &message);
    if (r == -EPIPE)
        return 0;
    if (r < 0)
        room_fail("kosekifs-link: malformed setup: %s", strerror(-r));
    if (ipc_message_take(&message, &setup, sizeof setup, LINK_FD_COUNT) < 0)
        room_fail("kosekifs-link: malformed setup");
    link_main_check_setup(&setup, &endpoints);
    link_main_check_waivers(&setup, &endpoints);

    sign_channel_init(&channel, strcmp(setup.link.tls_min, "1.2") == 0);
    if (tls_init(&tls, &setup.link, message.fds[LINK_FD_ISSUERS], message.fds[LINK_FD_CERTIFICATES],
                 &channel, fault) < 0)
        room_fail("%s", fault);
    ipc_message_done(&message);
    struct link_loop *loop = link_loop_new(&setup, &endpoints, &tls, &channel);
    if (!loop)
        room_fail(
            "kosekifs-link: libcurl gives no handle, or fewer than 300 descriptors are allowed");
    link_confine_init(&confine, &endpoints, setup.link.crl_hosts);
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
