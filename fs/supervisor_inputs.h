/*
 * Everything that is read, opened and checked before the first process starts: configuration,
 * accounts, keys, certificates, trust bundle, access policy, state directory, control socket. All
 * mistakes of the configuration and the files it names are told at once.
 */
#ifndef FS_SUPERVISOR_INPUTS_H
#define FS_SUPERVISOR_INPUTS_H

#include "base/cleanup.h"
#include "base/config.h"
#include "fs/supervisor_accounts.h"
#include "fs/supervisor_keys.h"
#include "fs/supervisor_socket.h"
#include "transport/link_profile.h"

struct supervisor_inputs {
    struct config config;
    struct link_profile profile;
    const char *config_path; /* borrowed */
    struct supervisor_accounts accounts;
    struct supervisor_keys keys;
    int ca_fd, certificate_fd; /* sealed */
    int trust_fd, policy_fd;   /* sealed; replaced by a reload */
    int lists_fd;              /* revocation lists from files, sealed; replaced when they change */
    int state_fd;
    int open_files_fd;         /* table of fs/delivery.h; as old as the mount */
    int ledger_fd, replica_fd; /* directories; -1 = none */
    struct control_socket control;
};

/* Says mistakes as errors in the log; a config_report. */
void supervisor_complain(void *context, const char *file, int line, const char *text);

/* Configuration and the files it names; touches nothing. 0 or an exit code. */
_must_use_ int supervisor_inputs_read(const char *config_path,
                                      struct supervisor_inputs *ret_inputs);
/* State directory and control socket: made, locked, unless they are there already. 0 or an exit
 * code. */
_must_use_ int supervisor_inputs_claim(struct supervisor_inputs *inputs);
/* For an attempt that touches nothing: something in their place. */
_must_use_ int supervisor_inputs_pretend(struct supervisor_inputs *inputs);
/* Closes all; removes the control socket. */
void supervisor_inputs_done(struct supervisor_inputs *inputs);

/* The files of section [trust] and the access policy anew, as sealed memory files; -EINVAL after a
 * message. */
_must_use_ int supervisor_read_trust(const struct config_trust *config, int *ret_fd);
_must_use_ int supervisor_read_lists(const struct config_trust *config, int *ret_fd);
_must_use_ int supervisor_read_policy(const char *path, int *ret_fd);

#endif
