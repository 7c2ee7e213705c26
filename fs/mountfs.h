/*
 * What kosekifs-mount is made of: the pieces that kernel requests and control commands are answered
 * from. Built once in mount_main.c, constant while the threads run; each piece has its own locks.
 */
#ifndef FS_MOUNTFS_H
#define FS_MOUNTFS_H

#include "base/config.h"
#include "cache/cache.h"
#include "fs/access.h"
#include "fs/alerts.h"
#include "fs/audit.h"
#include "fs/caller.h"
#include "fs/delivery.h"
#include "fs/grants.h"
#include "fs/provide.h"
#include "fs/seals.h"
#include "fs/session.h"
#include "fs/why.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct hidden;
struct key_watch;
struct keys_client;
struct chores;
struct processes;
struct replica;
struct uses;
struct upkeep;
struct scanner;

enum { MOUNTFS_RELAXED_MAX = 2048 };

struct mountfs {
    const struct config_mount *config;
    const struct config_waivers *waivers;
    const struct config_alerts *alerting; /* what is to be an alert */
    struct provide *provide;
    struct cache *cache; /* provide's */
    struct access *access;
    struct grants *grants;
    struct seals *seals;
    struct delivery *delivery;
    struct audit *audit;
    struct alerts *alerts;
    struct caller_table *callers;
    struct why *why;
    struct hidden *hidden;
    struct processes *processes;
    struct uses *uses;
    struct chores *chores;
    struct replica *replica; /* NULL: none */
    struct upkeep *upkeep;
    struct list_import *list_import;
    struct scanner *scanner; /* NULL: nothing is scanned */
    struct keys_client *keys;
    struct key_watch *key_watch;
    const struct config_retention *retention;
    int state_fd;
    int ledger_fd; /* -1: none */
    struct session *session;
    atomic_bool serving; /* session is there */
    uint64_t connection; /* drawn at random at each mount; kept by those who take it over */
    int64_t started_s;
    /* "NAME=LEVEL …": checks whose level the operator changed; written by the loop thread. */
    pthread_mutex_t relaxed_lock;
    char relaxed[MOUNTFS_RELAXED_MAX];
    atomic_ullong opens, denials, failures; /* since the start */
};

/* The content of this inode is served no more: answers under way arrive, then the kernel's pages
 * go. Not from a thread that answers a request. */
void mountfs_withdraw(struct mountfs *fs, uint64_t inode);

/* The kernel's pages of every open file that may not be read by now go. For after a signer changed,
 * or a crash that came between somebody's withdrawal and its effect. */
void mountfs_drop_refused(struct mountfs *fs);

/* Inode numbers below CACHE_INODE_FIRST, and above CACHE_INODE_LAST, are ours; all fit 32 bits. */
enum {
    INODE_ROOT = 1,
    INODE_HIDDEN,  /* .kosekifs */
    INODE_STATUS,  /* .kosekifs/status.json */
    INODE_METRICS, /* .kosekifs/metrics */
    INODE_REPORTS, /* .kosekifs/report */
    INODE_WHYS,    /* .kosekifs/why */
};

#endif
