/*
 * What kosekifs-link receives with ROOM_SETUP. Descriptors that come with it, in order: CA
 * certificates and client certificates, both sealed memory files with PEM; empty where the
 * configuration waives them.
 */
#ifndef TRANSPORT_LINK_SETUP_H
#define TRANSPORT_LINK_SETUP_H

#include "base/config.h"
#include "transport/link_profile.h"

enum link_setup_fd { LINK_FD_ISSUERS, LINK_FD_CERTIFICATES, LINK_FD_COUNT };

struct link_setup {
    struct config_link link;
    struct config_waivers waivers;
    struct link_profile profile;
};

#endif
