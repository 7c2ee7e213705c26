/*
 * Malware scan of verified certificates before they are stored, and again on request: a queue and
 * one thread that hands each document to clamd. The connections come from the supervisor, one a
 * document, since this process may not make any.
 *
 * What happens while clamd does not answer is policy ([scan] when_down): "refuse" leaves the
 * certificate undecided; "accept" lets it pass, keeps its name in `unscanned.json`, and asks for it
 * to be scanned again when clamd is back. What is found then stays listed until it is stored no
 * more.
 *
 * Thread rule: any thread; callbacks come from the scanner's thread, without a lock.
 */
#ifndef FS_SCANNER_H
#define FS_SCANNER_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

enum { SCANNER_UNSCANNED_MAX = 100000 };

enum scan_result {
    SCAN_CLEAN,
    SCAN_FOUND,     /* text: what */
    SCAN_UNKNOWN,   /* text: why not */
    SCAN_UNSCANNED, /* let pass by policy; text: why */
};

struct scanner_listener {
    void *context;
    /* Asks the supervisor for a connection; scanner_connected() follows. */
    int (*connect)(void *context);
    void (*scanned)(void *context, uint64_t id, const struct certname *name,
                    enum scan_result result, const char *text);
    /* clamd is back: this one was let pass, scan it now. False: it is not there any more. */
    bool (*again)(void *context, const struct certname *name);
};

struct scanner;

/* `config` and the directory state_fd outlive it. A damaged `unscanned.json` is -EBADMSG. */
_must_use_ int scanner_new(const struct config_scan *config, int state_fd,
                           const struct scanner_listener *listener, struct scanner **ret_scanner);
/* Ends the thread, at once: what waits or is being scanned is not answered any more. */
struct scanner *scanner_free(struct scanner *scanner);

/* Takes memfd, which is sealed. -ENOMEM; the descriptor is closed then. */
_must_use_ int scanner_submit(struct scanner *scanner, uint64_t id, const struct certname *name,
                              int memfd);
/* The supervisor's answer; takes fd, -1: clamd cannot be reached. */
void scanner_connected(struct scanner *scanner, int fd);

struct scanner_statistics {
    uint64_t scanned, found, failed, unscanned; /* unscanned: names that wait for a scan */
    bool up;                                    /* the last try worked */
};
void scanner_statistics(struct scanner *scanner, struct scanner_statistics *ret_statistics);

#endif
