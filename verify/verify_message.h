/*
 * What kosekifs-mount and kosekifs-verify say to each other (base/ipc.h): one question at a time,
 * one answer with the same id.
 */
#ifndef VERIFY_VERIFY_MESSAGE_H
#define VERIFY_VERIFY_MESSAGE_H

#include <stdint.h>

enum verify_message {
    VERIFY_REQUEST = 0x200, /* struct verify_question and one sealed memory file */
    VERIFY_REPLY,           /* a verdict as verdict_encode() writes it */
    VERIFY_SIGNER,    /* from verify, before VERIFY_REPLY if there is a signer, and as the answer to
                         VERIFY_ASSESS: as signer_record_encode() writes it; empty = no path */
    VERIFY_LISTS,     /* one sealed memory file: the revocation lists from now on; no answer */
    VERIFY_ASSESS,    /* struct verify_when, then a signer record */
    VERIFY_LIST,      /* struct verify_when, then certificates of authorities, each behind its size
                         in 32 bits; one sealed memory file with one list */
    VERIFY_LIST_INFO, /* the answer: as crl_info_encode() writes it */
    VERIFY_ANCHORS,   /* no payload */
    VERIFY_ANCHOR,    /* the answer: struct verify_anchor for each */
};

enum { VERIFY_AUTHORITIES_MAX = 32 };

struct verify_when {
    int64_t now_s;
};

enum { VERIFY_DOCUMENT_MAX = 1024 * 1024 * 1024 };

struct verify_question {
    uint32_t format; /* enum certformat */
    uint32_t zero;
    int64_t time_s; /* as in struct verify_request */
    int64_t received_s;
};

#endif
