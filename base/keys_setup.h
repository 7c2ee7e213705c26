/*
 * What the supervisor sends kosekifs-keys with ROOM_SETUP: this struct and, in this order, the
 * client certificates (sealed, PEM) and one descriptor, open for reading, for each source that is a
 * file or a credential: of pin, of master_key, of each of previous_master_keys, of tls_key.
 */
#ifndef BASE_KEYS_SETUP_H
#define BASE_KEYS_SETUP_H

#include "base/config.h"
#include "base/ipc.h"

#include <stdbool.h>

enum {
    KEYS_SETUP_CERTIFICATES = 0, /* place of the descriptor */
    KEYS_PREVIOUS_MAX = 3,
    KEYS_SETUP_FD_MAX = 1 + 1 + 1 + KEYS_PREVIOUS_MAX + 1,
};

_Static_assert((int)KEYS_SETUP_FD_MAX <= (int)IPC_FD_MAX, "they fit one message");

struct keys_setup {
    struct config_keys keys;
    bool tls12; /* [link] tls_min = 1.2 */
};

#endif
