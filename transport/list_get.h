/*
 * Revocation lists over HTTP, for kosekifs-mount: GET of an address whose host [link] crl_hosts
 * names, into the memory file that came with the request. Plain HTTP, as certificates say (RFC 5280
 * 4.2.1.13): a list is signed, and what is wrong with it shows when it is verified. No redirect, no
 * proxy, nothing resumed, a few at a time.
 *
 * Thread rule: the loop thread.
 */
#ifndef TRANSPORT_LIST_GET_H
#define TRANSPORT_LIST_GET_H

#include "base/cleanup.h"
#include "base/config.h"
#include "base/ipc.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

enum { LIST_GETS_MAX = 4 };

struct list_get;

struct list_gets {
    CURLM *multi;
    const struct config_link *config;
    struct list_get *slots[LIST_GETS_MAX];
};

void list_gets_init(struct list_gets *gets, CURLM *multi, const struct config_link *config);
/* Gives all up; nobody is told. */
void list_gets_abandon(struct list_gets *gets);

/* A LINK_LIST; every request gets one LINK_DONE on `mount_fd`. */
void list_gets_take(struct list_gets *gets, int mount_fd, struct ipc_message *message);
/* True if the handle is one of ours; it is over then. */
bool list_gets_ended(struct list_gets *gets, CURL *easy, CURLcode code);
/* Sends what ended and could not be sent before. */
void list_gets_tell(struct list_gets *gets, int mount_fd);

/* The host and port of an address, if it is http:// and the host is allowed; false otherwise. */
bool list_get_allowed(const char *hosts, const char *url);

#endif
