/*
 * libcurl 7.88 calls wrong ranges, changed tags and over-long bodies a success (measured), so its
 * word counts only for transport: what an answer means is response.c's business, and bytes are
 * counted here.
 *
 * Low speed is watched here too: CURLOPT_LOW_SPEED_TIME averages over some five seconds, so a
 * transfer that stops dead after a fast start is noticed late.
 */
#include "transport/attempt.h"

#include "base/clock.h"
#include "transport/link_message.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    GET_BUFFER_SIZE = 256 * 1024,
    CONNECTION_AGE_MAX_S = 100, /* idle; servers commonly close after 60 to 120 */
};

static size_t attempt_on_header(char *line, size_t size, size_t count, void *user)
{
    struct attempt *attempt = user;
    size *= count;
    if (attempt->judged) /* trailers: only chunked bodies have them */
        return 0;
    bool end = size <= 2 && (line[0] == '\r' || line[0] == '\n');
    bool sound = response_add_line(&attempt->response, line, size);
    bool interim = attempt->response.status < 200 && attempt->response.status != 101;
    if (sound && (!end || interim))
        return size;

    response_judge(&attempt->response, &attempt->question, clock_realtime_s(), &attempt->judgement);
    attempt->judged = true;
    if (attempt->judgement.step == RESPONSE_WHOLE || attempt->judgement.step == RESPONSE_REST)
        attempt->write_error =
            transfer_begin_body(attempt->transfer, attempt->judgement.step == RESPONSE_WHOLE,
                                attempt->judgement.size, &attempt->response);
    /* A refusal may keep its connection; an answer that makes no sense may not. */
    bool unwanted = attempt->question.head && attempt->setting->profile->lookup != LINK_METHOD_HEAD;
    bool leave = !sound || attempt->write_error < 0 || unwanted ||
                 (attempt->judgement.step == RESPONSE_END && attempt->response.status / 100 == 2);
    return leave ? 0 : size;
}

static size_t attempt_on_body(char *data, size_t size, size_t count, void *user)
{
    struct attempt *attempt = user;
    size *= count;
    attempt->window_bytes += size;
    if (!attempt->judged)
        return 0;
    if (attempt->judgement.step != RESPONSE_WHOLE && attempt->judgement.step != RESPONSE_REST) {
        attempt->discarded += size;
        return attempt->discarded > ATTEMPT_DISCARD_MAX ? 0 : size;
    }
    attempt->write_error = transfer_write(attempt->transfer, data, size);
    if (attempt->write_error < 0)
        return 0;
    attempt->received += size;
    attempt->setting->progress(attempt->setting->context, attempt->transfer, size);
    return size;
}

/* The connection stands and the request goes out: from here on the peer is answerable for speed. */
static int attempt_on_connected(void *user, char *remote, char *local, int remote_port,
                                int local_port)
{
    struct attempt *attempt = user;
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    attempt->sent = true;
    attempt->window_end_ms = clock_monotonic_ms() + attempt->setting->config->low_speed_time;
    attempt->window_bytes = 0;
    attempt->setting->due(attempt->setting->context, attempt->window_end_ms);
    return CURL_PREREQFUNC_OK;
}

#define ATTEMPT_SET(option, value)                                                                 \
    do {                                                                                           \
        CURLcode code_ = curl_easy_setopt(easy, option, value);                                    \
        if (code_ != CURLE_OK)                                                                     \
            return code_;                                                                          \
    } while (0)

/* A bound interface, which CURLOPT_INTERFACE cannot have beside a source address. */
static int attempt_on_socket(void *user, curl_socket_t fd, curlsocktype purpose)
{
    const struct config_link *config = user;
    (void)purpose;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, config->interface,
                   (socklen_t)strlen(config->interface)) < 0)
        return CURL_SOCKOPT_ERROR;
    return CURL_SOCKOPT_OK;
}

static CURLcode attempt_set_route(const struct attempt_setting *setting, CURL *easy)
{
    const struct config_link *config = setting->config;
    char source[sizeof config->source_address + sizeof "host!"];
    long family = strcmp(config->address_family, "4") == 0   ? CURL_IPRESOLVE_V4
                  : strcmp(config->address_family, "6") == 0 ? CURL_IPRESOLVE_V6
                                                             : CURL_IPRESOLVE_WHATEVER;
    ATTEMPT_SET(CURLOPT_IPRESOLVE, family);
    if (setting->resolve)
        ATTEMPT_SET(CURLOPT_RESOLVE, setting->resolve);
    if (config->source_address[0]) {
        (void)snprintf(source, sizeof source, "host!%s", config->source_address);
        ATTEMPT_SET(CURLOPT_INTERFACE, source);
    }
    if (config->interface[0]) {
        ATTEMPT_SET(CURLOPT_SOCKOPTFUNCTION, attempt_on_socket);
        ATTEMPT_SET(CURLOPT_SOCKOPTDATA, (void *)(uintptr_t)config);
    }
    return CURLE_OK;
}

/* Nothing but the configured address, whatever the environment or the peer suggest. */
CURLcode attempt_set_surroundings(const struct attempt_setting *setting,
                                  const struct endpoint *endpoint, CURL *easy)
{
    const char *scheme = endpoint->host.plain ? "http" : "https";
    bool two = strcmp(setting->config->http, "2") == 0;
    ATTEMPT_SET(CURLOPT_PROTOCOLS_STR, scheme);
    ATTEMPT_SET(CURLOPT_REDIR_PROTOCOLS_STR, scheme);
    ATTEMPT_SET(CURLOPT_FOLLOWLOCATION, 0L);
    ATTEMPT_SET(CURLOPT_PROXY, "");
    ATTEMPT_SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    ATTEMPT_SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    ATTEMPT_SET(CURLOPT_HTTP09_ALLOWED, 0L);
    ATTEMPT_SET(CURLOPT_HTTP_VERSION, (long)(two ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    ATTEMPT_SET(CURLOPT_PIPEWAIT, two ? 1L : 0L); /* rather a stream than another connection */
    ATTEMPT_SET(CURLOPT_PATH_AS_IS, 1L);
    ATTEMPT_SET(CURLOPT_NOSIGNAL, 1L);
    ATTEMPT_SET(CURLOPT_NOPROGRESS, 1L);
    ATTEMPT_SET(CURLOPT_TCP_KEEPALIVE, 1L);
    ATTEMPT_SET(CURLOPT_MAXAGE_CONN, (long)CONNECTION_AGE_MAX_S);
    ATTEMPT_SET(CURLOPT_SSL_VERIFYPEER, 1L);
    ATTEMPT_SET(CURLOPT_SSL_VERIFYHOST, 2L);
    ATTEMPT_SET(CURLOPT_USERAGENT, "kosekifs/" KOSEKIFS_VERSION);
    /* Or removing a handle would wait for a name server that does not answer. */
    ATTEMPT_SET(CURLOPT_QUICK_EXIT, 1L);
    ATTEMPT_SET(CURLOPT_CONNECTTIMEOUT_MS, (long)setting->config->connect_timeout);
    ATTEMPT_SET(CURLOPT_SHARE, setting->share);
    CURLcode code = attempt_set_route(setting, easy);
    return code == CURLE_OK ? tls_apply(setting->tls, easy) : code;
}

int attempt_resolve_list(const struct config_link *config, const struct endpoints *endpoints,
                         struct curl_slist **ret_list)
{
    struct curl_slist *list = NULL;
    const char *cursor = config->resolve;
    char item[512], line[800];
    while (config_list_next(&cursor, item, sizeof item)) {
        char *addresses = strchr(item, '=');
        if (!addresses)
            continue;
        *addresses++ = '\0';
        for (unsigned i = 0; i < endpoints->count; i++) {
            const struct link_url_host *host = &endpoints->list[i].host;
            if (strcmp(host->host, item) != 0)
                continue;
            (void)snprintf(line, sizeof line, "%s:%u:%s", item, host->port, addresses);
            struct curl_slist *longer = curl_slist_append(list, line);
            if (!longer) {
                curl_slist_free_all(list);
                return -ENOMEM;
            }
            list = longer;
        }
    }
    *ret_list = list;
    return 0;
}

static CURLcode attempt_set_callbacks(struct attempt *attempt)
{
    CURL *easy = attempt->easy;
    ATTEMPT_SET(CURLOPT_PRIVATE, attempt->transfer);
    ATTEMPT_SET(CURLOPT_ERRORBUFFER, attempt->error);
    ATTEMPT_SET(CURLOPT_HEADERFUNCTION, attempt_on_header);
    ATTEMPT_SET(CURLOPT_HEADERDATA, attempt);
    ATTEMPT_SET(CURLOPT_WRITEFUNCTION, attempt_on_body);
    ATTEMPT_SET(CURLOPT_WRITEDATA, attempt);
    ATTEMPT_SET(CURLOPT_PREREQFUNCTION, attempt_on_connected);
    ATTEMPT_SET(CURLOPT_PREREQDATA, attempt);
    return CURLE_OK;
}

CURLcode attempt_set_method(CURL *easy, enum link_method method)
{
    if (method == LINK_METHOD_HEAD)
        ATTEMPT_SET(CURLOPT_NOBODY, 1L);
    if (method == LINK_METHOD_POST) {
        ATTEMPT_SET(CURLOPT_POSTFIELDSIZE, 0L);
        ATTEMPT_SET(CURLOPT_POSTFIELDS, "");
    }
    return CURLE_OK;
}

static CURLcode attempt_set_request(struct attempt *attempt, int64_t now_ms)
{
    CURL *easy = attempt->easy;
    const struct attempt_setting *setting = attempt->setting;
    const struct transfer *transfer = attempt->transfer;
    const struct link_profile *profile = setting->profile;
    char url[LINK_URL_MAX];
    if (link_url_build(setting->endpoints->list[transfer->endpoint].url, &transfer->request.name,
                       url) < 0)
        return CURLE_URL_MALFORMAT;
    ATTEMPT_SET(CURLOPT_URL, url);
    ATTEMPT_SET(CURLOPT_HTTPHEADER, attempt->headers);
    if (!transfer->request.head)
        ATTEMPT_SET(CURLOPT_BUFFERSIZE, (long)GET_BUFFER_SIZE);

    /* The loop ends a transfer at its deadline; libcurl's own limit stands a little behind, so
     * that there is one place that says what a deadline means. */
    int64_t left_ms = transfer->deadline_ms - now_ms;
    if (left_ms < 1)
        left_ms = 1;
    ATTEMPT_SET(CURLOPT_TIMEOUT_MS, (long)left_ms + 1000);
    return attempt_set_method(easy, transfer->request.head ? profile->lookup : profile->fetch);
}

static int attempt_add_header(struct attempt *attempt, const char *line)
{
    struct curl_slist *headers = curl_slist_append(attempt->headers, line);
    if (!headers)
        return -ENOMEM;
    attempt->headers = headers;
    return 0;
}

/* Ranges by hand: with CURLOPT_RANGE libcurl would have opinions of its own on the answer. */
static int attempt_add_headers(struct attempt *attempt)
{
    const struct link_profile *profile = attempt->setting->profile;
    char line[64 + LINK_ETAG_MAX];
    int r = 0;
    for (unsigned i = 0; r == 0 && i < profile->header_count; i++)
        r = attempt_add_header(attempt, profile->headers[i]);
    if (r == 0 && profile->fetch == LINK_METHOD_POST) /* or libcurl would name one */
        r = attempt_add_header(attempt, "Content-Type:");
    if (r < 0 || attempt->question.offset == 0)
        return r;
    (void)snprintf(line, sizeof line, "Range: bytes=%llu-",
                   (unsigned long long)attempt->question.offset);
    r = attempt_add_header(attempt, line);
    if (r < 0)
        return r;
    (void)snprintf(line, sizeof line, "If-Range: %s", attempt->question.held->etag);
    return attempt_add_header(attempt, line);
}

int attempt_new(const struct attempt_setting *setting, struct transfer *transfer, int64_t now_ms)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return -ENOMEM;
    attempt->setting = setting;
    attempt->transfer = transfer;
    attempt->sign_failures = setting->channel->failure_count;
    attempt->signatures = setting->channel->signature_count;
    response_init(&attempt->response, setting->profile);
    attempt->response.http2 = strcmp(setting->config->http, "2") == 0;
    transfer_question(transfer, &attempt->question);
    attempt->easy = curl_easy_init();

    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (attempt->easy && attempt_add_headers(attempt) == 0)
        code = attempt_set_surroundings(setting, &setting->endpoints->list[transfer->endpoint],
                                        attempt->easy);
    if (code == CURLE_OK)
        code = attempt_set_callbacks(attempt);
    if (code == CURLE_OK)
        code = attempt_set_request(attempt, now_ms);
    if (code != CURLE_OK) {
        attempt_free(attempt);
        return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
    }
    transfer->attempt = attempt;
    return 0;
}

struct attempt *attempt_free(struct attempt *attempt)
{
    if (attempt) {
        curl_easy_cleanup(attempt->easy);
        curl_slist_free_all(attempt->headers);
        free(attempt);
    }
    return NULL;
}

static enum attempt_end attempt_classify_tls(const struct attempt *attempt, CURLcode code)
{
    const struct sign_channel *channel = attempt->setting->channel;
    if (channel->failure_count != attempt->sign_failures)
        return channel->last_error == -EPERM ? ATTEMPT_DISTRUSTED : ATTEMPT_UNSIGNED;
    return code == CURLE_SSL_CONNECT_ERROR ? ATTEMPT_HANDSHAKE : ATTEMPT_DISTRUSTED;
}

/* TLS 1.3: a server that does not like our certificate says so after the handshake, in an alert
 * that arrives instead of the answer (RFC 8446 4.4.2.4). When it closes at once, the reset that our
 * request meets may be faster than the alert. */
static bool attempt_was_refused(const struct attempt *attempt, CURLcode code)
{
    if (attempt->response.status != 0)
        return false;
    bool reset = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR;
    return strstr(attempt->error, " alert ") ||
           (reset && attempt->setting->channel->signature_count != attempt->signatures);
}

/* No HTTP where an answer should begin: on a connection that served before, that is what another
 * answer left behind. */
static bool attempt_met_leftovers(const struct attempt *attempt)
{
    long fresh_connections = 1;
    return attempt->response.status == 0 && attempt->sent &&
           curl_easy_getinfo(attempt->easy, CURLINFO_NUM_CONNECTS, &fresh_connections) ==
               CURLE_OK &&
           fresh_connections == 0;
}

static enum attempt_end attempt_classify(const struct attempt *attempt, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return attempt->judged ? ATTEMPT_JUDGED : ATTEMPT_NONSENSE;
    case CURLE_COULDNT_RESOLVE_HOST:
        return ATTEMPT_UNRESOLVED;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
    case CURLE_ABORTED_BY_CALLBACK: /* attempt_on_socket() */
        return ATTEMPT_UNREACHABLE;
    case CURLE_HTTP2: /* the connection, with all its streams, or one of these */
    case CURLE_HTTP2_STREAM:
        return ATTEMPT_CUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_USE_SSL_FAILED:
        return attempt_classify_tls(attempt, code);
    case CURLE_OPERATION_TIMEDOUT:
        return attempt->sent ? ATTEMPT_CUT : ATTEMPT_UNREACHABLE;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return attempt_was_refused(attempt, code) ? ATTEMPT_HANDSHAKE : ATTEMPT_CUT;
    case CURLE_OUT_OF_MEMORY: /* also what libcurl calls a header line above 100 KB */
        return attempt->sent ? ATTEMPT_NONSENSE : ATTEMPT_INTERNAL;
    case CURLE_FAILED_INIT:
        return ATTEMPT_INTERNAL;
    default:
        return attempt_met_leftovers(attempt) ? ATTEMPT_CUT : ATTEMPT_NONSENSE;
    }
}

static void attempt_unsigned_detail(const struct attempt *attempt, char detail[LINK_DETAIL_MAX])
{
    link_detail_set(detail, "kosekifs-keys did not sign the TLS handshake: %s",
                    sign_channel_reason(attempt->setting->channel));
}

void attempt_outcome(const struct attempt *attempt, CURLcode code,
                     struct attempt_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    ret_outcome->status = attempt->response.status;
    ret_outcome->received = attempt->received;
    ret_outcome->date_s = response_date(&attempt->response);
    ret_outcome->validator = attempt->response.validator;
    ret_outcome->judgement = attempt->judgement;
    bool body = attempt->judged && (attempt->judgement.step == RESPONSE_WHOLE ||
                                    attempt->judgement.step == RESPONSE_REST);

    if (attempt->write_error < 0) {
        ret_outcome->end = ATTEMPT_INTERNAL;
        ret_outcome->error = attempt->write_error;
        link_detail_set(ret_outcome->detail, "cannot write to the memory file: %s",
                        strerror(-attempt->write_error));
        return;
    }
    if (attempt->judged && !body) { /* how the rest of the connection fared does not matter */
        ret_outcome->end = ATTEMPT_JUDGED;
        return;
    }
    ret_outcome->end = attempt_classify(attempt, code);
    ret_outcome->digest_wrong =
        ret_outcome->end == ATTEMPT_JUDGED && !transfer_digest_agrees(attempt->transfer);
    if (body && ret_outcome->end == ATTEMPT_NONSENSE)
        ret_outcome->end = ATTEMPT_CUT; /* a good header, then rubbish: worth a resumption */
    if (attempt->setting->channel->failure_count != attempt->sign_failures &&
        (ret_outcome->end == ATTEMPT_UNSIGNED || ret_outcome->end == ATTEMPT_DISTRUSTED))
        attempt_unsigned_detail(attempt, ret_outcome->detail);
    else if (code == CURLE_ABORTED_BY_CALLBACK)
        link_detail_set(ret_outcome->detail, "the interface %s cannot be used",
                        attempt->setting->config->interface);
    else if (code == CURLE_SSL_CERTPROBLEM && attempt->setting->tls->certificate_expired)
        link_detail_set(ret_outcome->detail, "our own certificate has expired");
    else if (code == CURLE_OUT_OF_MEMORY && ret_outcome->end == ATTEMPT_NONSENSE)
        link_detail_set(ret_outcome->detail, "a header line without end, or memory is short");
    else if (code == CURLE_OK)
        link_detail_set(ret_outcome->detail, "the answer ended before its header did");
    else if (ret_outcome->end == ATTEMPT_HANDSHAKE && attempt->sent)
        link_detail_set(ret_outcome->detail, "closed when our certificate was shown: %s",
                        attempt->error[0] ? attempt->error : curl_easy_strerror(code));
    else
        link_detail_set(ret_outcome->detail, "%s",
                        attempt->error[0] ? attempt->error : curl_easy_strerror(code));
}

int64_t attempt_stall_due_ms(const struct attempt *attempt)
{
    return attempt->window_end_ms > 0 ? attempt->window_end_ms : INT64_MAX;
}

bool attempt_stalled(struct attempt *attempt, int64_t now_ms, struct attempt_outcome *ret_outcome)
{
    const struct config_link *config = attempt->setting->config;
    if (now_ms < attempt_stall_due_ms(attempt))
        return false;
    uint64_t least = (uint64_t)config->low_speed_bytes * (uint64_t)config->low_speed_time / 1000;
    uint64_t came = attempt->window_bytes;
    attempt->window_end_ms = now_ms + config->low_speed_time;
    attempt->window_bytes = 0;
    if (came >= least)
        return false;

    attempt_outcome(attempt, CURLE_OPERATION_TIMEDOUT, ret_outcome);
    if (ret_outcome->end != ATTEMPT_CUT) /* it was judged; only an unwanted body is missing */
        return true;
    link_detail_set(ret_outcome->detail, "stalled: %llu bytes in %lld ms", (unsigned long long)came,
                    (long long)config->low_speed_time);
    return true;
}
