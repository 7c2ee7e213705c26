/* What kosekifs-link may still do once libcurl is there: talk to the link system. */
#ifndef TRANSPORT_LINK_CONFINE_H
#define TRANSPORT_LINK_CONFINE_H

#include "base/confine.h"
#include "transport/endpoints.h"

enum { LINK_CRL_HOSTS_MAX = 16, LINK_PORT_MAX = CONFIG_LINK_URLS_MAX + 2 + LINK_CRL_HOSTS_MAX };

struct link_confine {
    uint16_t ports[LINK_PORT_MAX];
    struct confine table;
};
/* The ports of the addresses and of [link] crl_hosts, and that of name servers; a source address
 * takes a port of the kernel's choice. */
void link_confine_init(struct link_confine *confine, const struct endpoints *endpoints,
                       const char *crl_hosts);

#endif
