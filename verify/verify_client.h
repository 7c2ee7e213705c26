/*
 * kosekifs-mount's side of kosekifs-verify. A worker handles one document at a time; the caller
 * keeps the queue and the deadline.
 */
#ifndef VERIFY_VERIFY_CLIENT_H
#define VERIFY_VERIFY_CLIENT_H

#include "base/cleanup.h"
#include "base/verdict.h"
#include "verify/verify.h"

#include <stdint.h>

/* Sends a sealed memory file; it stays the caller's. -EAGAIN, -EPIPE as ipc_send(). */
_must_use_ int verify_client_submit(int fd, uint64_t id, const struct verify_request *request,
                                    int memfd);

/* What else is asked; `lists`, `record` and `authorities` are the caller's. Returns as above. */
_must_use_ int verify_client_set_lists(int fd, int lists_fd);
_must_use_ int verify_client_assess(int fd, uint64_t id, int64_t now_s, struct bytes record);
/* `authorities`: certificates of authorities, each behind its size in 32 bits. */
_must_use_ int verify_client_examine(int fd, uint64_t id, int64_t now_s, struct bytes authorities,
                                     int list_fd);
_must_use_ int verify_client_ask_anchors(int fd, uint64_t id);

enum verify_answer_kind { ANSWER_VERDICT, ANSWER_SIGNER, ANSWER_LIST, ANSWER_ANCHORS };

struct verify_answer {
    enum verify_answer_kind kind;
    uint64_t id;
    struct verdict verdict;
    struct crl_info list;
    size_t record_size; /* of a signer; 0 = there is none */
    uint8_t record[SIGNER_RECORD_MAX];
    size_t anchor_count;
    struct verify_anchor anchors[VERIFY_ANCHORS_MAX];
};

/* Receives one answer; only the part of its kind is set. IPC_CLOSED, -EAGAIN, -EBADMSG as
 * ipc_receive(). The caller compares id, document size and digest with what it submitted. */
_must_use_ int verify_client_receive(int fd, struct verify_answer *ret_answer);

#endif
