/*
 * Whom we trust and who we are: issuers and pin of the link system, our client certificate, and the
 * key that kosekifs-keys signs with. Read and judged once, at start.
 */
#ifndef TRANSPORT_TLS_H
#define TRANSPORT_TLS_H

#include "base/cleanup.h"
#include "base/config.h"
#include "base/room.h"
#include "transport/sign_channel.h"

#include <curl/curl.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    TLS_FILE_MAX = 1024 * 1024, /* each of the two PEM files */
    TLS_CHAIN_MAX = 10,         /* certificates behind our own */
    TLS_RSA_BITS_MIN = 2048,
};

struct tls {
    uint8_t *issuers; /* PEM */
    size_t issuers_size;
    char pin[128];
    long version_min; /* CURL_SSLVERSION_* */
    X509 *certificate;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;            /* the remote one */
    bool certificate_expired; /* seen at the last handshake */
};

/* `channel` must outlive tls. -EINVAL with what is wrong, for the operator; another negative errno
 * with a text too. The descriptors stay the caller's. */
_must_use_ int tls_init(struct tls *tls, const struct config_link *config, int issuers_fd,
                        int certificates_fd, struct sign_channel *channel,
                        char fault[ROOM_TEXT_MAX]);
/* Accepts a zeroed tls. */
void tls_done(struct tls *tls);

/* Puts everything into a curl handle; tls must outlive it. */
_must_use_ CURLcode tls_apply(struct tls *tls, CURL *easy);

/* What tls_apply() has libcurl call for each new connection (CURLOPT_SSL_CTX_FUNCTION); `tls` is a
 * struct tls. For who has more to put into `context`, an SSL_CTX. */
_must_use_ CURLcode tls_fill_context(CURL *easy, void *context, void *tls);

#endif
