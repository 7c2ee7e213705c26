/*
 * A session is never resumed here: a resumed one shows neither certificates nor whether ours is
 * still accepted.
 */
#include "transport/link_exchange.h"

#include "base/clock.h"
#include "transport/link_message.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct link_exchange {
    const struct attempt_setting *setting;
    struct pace *bytes;
    struct link_exchange_question asked;
    CURL *easy;
    struct curl_slist *headers;
    struct response response;
    struct response_question question;
    uint64_t sign_failures; /* of the channel, when this began */
    int64_t first_ms;       /* of the body; 0 = none came */
    bool enough;
    struct link_facts facts;
};

/* Where an SSL_CTX keeps its exchange. */
static int context_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

void link_describe_name(const X509_NAME *name, char out[LINK_EXCHANGE_SUBJECT_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int size = 0;
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        size = BIO_read(bio, out, LINK_EXCHANGE_SUBJECT_MAX - 1);
    out[size > 0 ? size : 0] = '\0';
    BIO_free(bio);
}

int64_t link_days_left(const X509 *certificate)
{
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
        return 0;
    return seconds < 0 ? days - 1 : days;
}

static void describe_certificate(struct link_peer *peer, const X509 *certificate)
{
    link_describe_name(X509_get_subject_name(certificate), peer->subject);
    link_describe_name(X509_get_issuer_name(certificate), peer->issuer);
    peer->days_left = link_days_left(certificate);
}

/* Judges nothing itself: notes which certificate was refused, and why. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct link_exchange *exchange = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index());
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (!good && exchange && certificate && exchange->facts.peer.fault == 0) {
        exchange->facts.peer.fault = X509_STORE_CTX_get_error(store);
        describe_certificate(&exchange->facts.peer, certificate);
    }
    return good;
}

static int on_certificate_wanted(SSL *ssl, void *user)
{
    struct link_exchange *exchange = user;
    (void)ssl;
    exchange->facts.asked = true;
    return 1;
}

static CURLcode on_context(CURL *easy, void *context, void *user)
{
    struct link_exchange *exchange = user;
    exchange->facts.connected = true;
    CURLcode code = tls_fill_context(easy, context, exchange->setting->tls);
    if (code != CURLE_OK)
        return code;
    if (SSL_CTX_set_ex_data(context, context_index(), exchange) != 1)
        return CURLE_OUT_OF_MEMORY;
    SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), on_verify);
    SSL_CTX_set_cert_cb(context, on_certificate_wanted, exchange);
    return CURLE_OK;
}

static void note_tls(struct link_exchange *exchange)
{
    struct curl_tlssessioninfo *info = NULL;
    struct link_facts *facts = &exchange->facts;
    if (curl_easy_getinfo(exchange->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || !info ||
        !info->internals)
        return;
    SSL *ssl = info->internals;
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    (void)snprintf(facts->version, sizeof facts->version, "%s", SSL_get_version(ssl));
    (void)snprintf(facts->cipher, sizeof facts->cipher, "%s", SSL_get_cipher_name(ssl));
    int count = sk_X509_num(chain);
    if (count < 1)
        return;
    describe_certificate(&facts->peer, sk_X509_value(chain, 0));
    facts->peer.certificates = (unsigned)count;
    for (int i = 1; i < count; i++) {
        int64_t days = link_days_left(sk_X509_value(chain, i));
        if (days < facts->peer.days_left)
            facts->peer.days_left = days;
    }
}

static void note_address(char out[80], const char *address, int port)
{
    bool six = strchr(address, ':') != NULL;
    (void)snprintf(out, 80, "%s%s%s:%d", six ? "[" : "", address, six ? "]" : "", port);
}

static int on_connected(void *user, char *remote, char *local, int remote_port, int local_port)
{
    struct link_exchange *exchange = user;
    exchange->facts.connected = exchange->facts.sent = true;
    note_address(exchange->facts.remote, remote, remote_port);
    note_address(exchange->facts.local, local, local_port);
    if (!exchange->facts.plain)
        note_tls(exchange);
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct link_exchange *exchange = user;
    struct link_facts *facts = &exchange->facts;
    size *= count;
    if (facts->judged)
        return 0;
    bool end = size <= 2 && (line[0] == '\r' || line[0] == '\n');
    bool sound = response_add_line(&exchange->response, line, size);
    bool interim = exchange->response.status < 200 && exchange->response.status != 101;
    if (sound && (!end || interim))
        return size;
    facts->arrived_s = clock_realtime_s();
    response_judge(&exchange->response, &exchange->question, facts->arrived_s, &facts->judgement);
    facts->judged = true;
    bool body = facts->judgement.step == RESPONSE_WHOLE || facts->judgement.step == RESPONSE_REST;
    return sound && (body || exchange->asked.head) ? size : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct link_exchange *exchange = user;
    struct link_facts *facts = &exchange->facts;
    int64_t now_ms = clock_monotonic_ms();
    (void)data;
    size *= count;
    if (exchange->asked.head)
        return 0;
    pace_owe(exchange->bytes, now_ms, size);
    if (exchange->first_ms == 0)
        exchange->first_ms = now_ms;
    facts->received += size;
    facts->body_ms = now_ms - exchange->first_ms;
    exchange->enough =
        facts->received >= exchange->asked.wanted || facts->body_ms >= exchange->asked.body_ms;
    return exchange->enough && facts->received != exchange->asked.wanted ? 0 : size;
}

static CURLcode add_header(struct link_exchange *exchange, const char *line)
{
    struct curl_slist *headers = curl_slist_append(exchange->headers, line);
    if (!headers)
        return CURLE_OUT_OF_MEMORY;
    exchange->headers = headers;
    return CURLE_OK;
}

static CURLcode add_headers(struct link_exchange *exchange)
{
    const struct link_profile *profile = exchange->setting->profile;
    char line[64 + LINK_ETAG_MAX];
    CURLcode code = CURLE_OK;
    for (unsigned i = 0; code == CURLE_OK && i < profile->header_count; i++)
        code = add_header(exchange, profile->headers[i]);
    if (code == CURLE_OK && profile->fetch == LINK_METHOD_POST)
        code = add_header(exchange, "Content-Type:");
    if (code != CURLE_OK || exchange->asked.offset == 0)
        return code;
    (void)snprintf(line, sizeof line, "Range: bytes=%llu-",
                   (unsigned long long)exchange->asked.offset);
    code = add_header(exchange, line);
    (void)snprintf(line, sizeof line, "If-Range: %s", exchange->asked.held->etag);
    return code == CURLE_OK ? add_header(exchange, line) : code;
}

#define EXCHANGE_SET(option, value)                                                                \
    do {                                                                                           \
        CURLcode code_ = curl_easy_setopt(easy, option, value);                                    \
        if (code_ != CURLE_OK)                                                                     \
            return code_;                                                                          \
    } while (0)

static CURLcode set_up(struct link_exchange *exchange)
{
    CURL *easy = exchange->easy;
    const struct attempt_setting *setting = exchange->setting;
    const struct endpoint *endpoint = &setting->endpoints->list[exchange->asked.endpoint];
    const struct link_profile *profile = setting->profile;
    char url[LINK_URL_MAX];
    if (exchange->asked.connect_only)
        (void)snprintf(url, sizeof url, "http%s://%s/", endpoint->host.plain ? "" : "s",
                       endpoint->state.address);
    else if (link_url_build(endpoint->url, exchange->asked.name, url) < 0)
        return CURLE_URL_MALFORMAT;
    CURLcode code = attempt_set_surroundings(setting, endpoint, easy);
    if (code == CURLE_OK)
        code = add_headers(exchange);
    if (code != CURLE_OK)
        return code;
    EXCHANGE_SET(CURLOPT_URL, url);
    EXCHANGE_SET(CURLOPT_CONNECT_ONLY, exchange->asked.connect_only ? 1L : 0L);
    EXCHANGE_SET(CURLOPT_HTTPHEADER, exchange->headers);
    EXCHANGE_SET(CURLOPT_SHARE, NULL);
    EXCHANGE_SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    EXCHANGE_SET(CURLOPT_FRESH_CONNECT, 1L);
    EXCHANGE_SET(CURLOPT_FORBID_REUSE, 1L);
    EXCHANGE_SET(CURLOPT_PIPEWAIT, 0L);
    EXCHANGE_SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* but for names that [link] resolve has */
    EXCHANGE_SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
    EXCHANGE_SET(CURLOPT_SSL_CTX_DATA, exchange);
    EXCHANGE_SET(CURLOPT_ERRORBUFFER, exchange->facts.error);
    EXCHANGE_SET(CURLOPT_HEADERFUNCTION, on_header);
    EXCHANGE_SET(CURLOPT_HEADERDATA, exchange);
    EXCHANGE_SET(CURLOPT_WRITEFUNCTION, on_body);
    EXCHANGE_SET(CURLOPT_WRITEDATA, exchange);
    EXCHANGE_SET(CURLOPT_PREREQFUNCTION, on_connected);
    EXCHANGE_SET(CURLOPT_PREREQDATA, exchange);
    EXCHANGE_SET(CURLOPT_TIMEOUT_MS, (long)exchange->asked.timeout_ms);
    EXCHANGE_SET(CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)setting->config->bytes_per_second);
    return attempt_set_method(easy, exchange->asked.head ? profile->lookup : profile->fetch);
}

struct link_exchange *link_exchange_new(const struct attempt_setting *setting, struct pace *bytes,
                                        const struct link_exchange_question *question)
{
    static const struct link_validator anything;
    struct link_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->setting = setting;
    exchange->bytes = bytes;
    exchange->asked = *question;
    exchange->facts.plain = setting->endpoints->list[question->endpoint].host.plain;
    exchange->facts.connect_only = question->connect_only;
    exchange->facts.wanted = question->wanted;
    exchange->sign_failures = setting->channel->failure_count;
    response_init(&exchange->response, setting->profile);
    exchange->response.http2 = strcmp(setting->config->http, "2") == 0;
    exchange->question = (struct response_question){
        .head = question->head,
        .offset = question->offset,
        .held_size = question->size,
        .held = question->held,
        .size_max = UINT64_MAX,
        .expected_size = UINT64_MAX,
        .expected = question->head || question->offset > 0 ? &anything : question->held,
    };
    exchange->easy = curl_easy_init();
    if (!exchange->easy || set_up(exchange) != CURLE_OK)
        return link_exchange_free(exchange);
    return exchange;
}

struct link_exchange *link_exchange_free(struct link_exchange *exchange)
{
    if (!exchange)
        return NULL;
    curl_easy_cleanup(exchange->easy);
    curl_slist_free_all(exchange->headers);
    free(exchange);
    return NULL;
}

CURL *link_exchange_handle(const struct link_exchange *exchange)
{
    return exchange->easy;
}

static int64_t time_of(CURL *easy, CURLINFO info)
{
    curl_off_t us = 0;
    return curl_easy_getinfo(easy, info, &us) == CURLE_OK ? us : 0;
}

static int64_t between(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? to_us - from_us : 0;
}

void link_exchange_facts(struct link_exchange *exchange, CURLcode code,
                         struct link_facts *ret_facts)
{
    struct link_facts *facts = &exchange->facts;
    CURL *easy = exchange->easy;
    int64_t name_us = time_of(easy, CURLINFO_NAMELOOKUP_TIME_T);
    int64_t connect_us = time_of(easy, CURLINFO_CONNECT_TIME_T);
    int64_t tls_us = time_of(easy, CURLINFO_APPCONNECT_TIME_T);
    int64_t sent_us = time_of(easy, CURLINFO_PRETRANSFER_TIME_T);
    int64_t answer_us = time_of(easy, CURLINFO_STARTTRANSFER_TIME_T);
    facts->total_us = time_of(easy, CURLINFO_TOTAL_TIME_T);
    facts->name_us = name_us;
    facts->connect_us = between(name_us, connect_us);
    facts->tls_us = between(connect_us, tls_us);
    facts->answer_us = between(sent_us, answer_us);
    facts->code = exchange->enough ? CURLE_OK : code;
    facts->status = exchange->response.status;
    facts->date_s = exchange->response.date_s;
    facts->validator = exchange->response.validator;
    facts->not_signed = exchange->setting->channel->failure_count != exchange->sign_failures;
    facts->not_signed_reason = sign_channel_reason(exchange->setting->channel);
    if (!facts->error[0] && code != CURLE_OK)
        (void)snprintf(facts->error, sizeof facts->error, "%s", curl_easy_strerror(code));
    *ret_facts = *facts;
}
