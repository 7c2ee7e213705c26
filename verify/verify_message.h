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
};

enum { VERIFY_DOCUMENT_MAX = 1024 * 1024 * 1024 };

struct verify_question {
    uint32_t format; /* enum certformat */
    uint32_t zero;
    int64_t time_s;     /* as in struct verify_request */
    int64_t received_s;
};

#endif
