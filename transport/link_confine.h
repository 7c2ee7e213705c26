/* What kosekifs-link may still do once libcurl is there: talk to the link system. */
#ifndef TRANSPORT_LINK_CONFINE_H
#define TRANSPORT_LINK_CONFINE_H

#include "base/confine.h"
#include "base/config.h"

enum { LINK_PORT_MAX = 8 };

struct link_confine {
    uint16_t ports[LINK_PORT_MAX];
    struct confine table;
};
/* The port of [link] url, and that of name servers. -EINVAL: the url has no port that can be told.
 */
_must_use_ int link_confine_init(struct link_confine *confine, const struct config_link *config);

#endif
