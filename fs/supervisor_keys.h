/*
 * Opens what section [keys] names (base/key_source.h), for kosekifs-keys alone to read. Credentials
 * are files of the directory that systemd made for the service. Every mistake is told.
 */
#ifndef FS_SUPERVISOR_KEYS_H
#define FS_SUPERVISOR_KEYS_H

#include "base/config.h"
#include "base/keys_setup.h"

struct supervisor_keys {
    unsigned count;
    int fds[KEYS_SETUP_FD_MAX - 1]; /* in the order of base/keys_setup.h */
};

/* `credentials` is $CREDENTIALS_DIRECTORY, or NULL. Reported and negative errno otherwise. */
_must_use_ int supervisor_keys_open(const struct config *config, const char *credentials,
                                    const char *config_path, config_report *report, void *context,
                                    struct supervisor_keys *ret_keys);
/* Accepts one that was zeroed and never opened. */
void supervisor_keys_close(struct supervisor_keys *keys);

#endif
