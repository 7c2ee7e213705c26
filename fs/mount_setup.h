/*
 * What kosekifs-mount receives with ROOM_SETUP. Descriptors that come with it, in order:
 * enum mount_setup_fd. The connection to the kernel comes later, with ROOM_MOUNTED: nothing is
 * mounted before store, audit trail and policy are open.
 */
#ifndef FS_MOUNT_SETUP_H
#define FS_MOUNT_SETUP_H

#include "base/config.h"

enum mount_setup_fd {
    MOUNT_FD_CONTROL = 0, /* listening control socket */
    MOUNT_FD_STATE,       /* state directory */
    MOUNT_FD_POLICY,      /* struct access_policy, sealed */
    MOUNT_FD_TRUST,       /* trust bundle, sealed */
    MOUNT_FD_OPEN_FILES,  /* delivery_table_new() */
    MOUNT_FD_LEDGER,      /* directory of [backup] ledger, or the state directory again */
    MOUNT_FD_REPLICA,     /* directory of [replica] path, or the state directory again */
    MOUNT_FD_COUNT,
};

struct mount_setup {
    struct config_mount mount;
    struct config_audit audit;
    struct config_alerts alerts;
    struct config_crl crl;
    struct config_retention retention;
    struct config_scan scan;
    uint8_t has_ledger, has_replica;
    struct config_waivers waivers; /* to be shown and recorded */
    uint8_t attempt; /* only to see whether it starts: no descriptor is what it should be */
};

#endif
