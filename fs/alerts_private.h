/* Alerts' inside, shared by alerts.c (list, telling) and alerts_observe.c (finding). */
#ifndef FS_ALERTS_PRIVATE_H
#define FS_ALERTS_PRIVATE_H

#include "fs/alerts.h"
#include "fs/alerts_watch.h"

#include <pthread.h>

struct alerts {
    /* Constant. */
    int state_fd;
    struct config_alerts config;
    alerts_hook *hook;
    void *hook_context;

    pthread_mutex_t storing; /* the file; taken before `lock` */
    pthread_mutex_t lock;    /* all below */
    struct audit *audit;
    uint64_t last_id;
    size_t count;
    struct alert list[ALERTS_MAX]; /* ascending by id */
    struct alerts_counts counts;   /* `open` is counted when asked for */
    int64_t hour_began_ms;
    uint64_t told; /* in the hour that began then */

    struct watch watch;
    int64_t failures_began_ms; /* failed verifications, of all users */
    uint32_t failures;
};

#endif
