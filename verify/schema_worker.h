/*
 * The process that validates by XSD 1.1, schema_worker.py, and its one question.
 *
 * SCHEMA_REQUEST carries the SHA-256 of the bundle of schema documents and two sealed memory files:
 * the document and that bundle (schema_bundle_add()). SCHEMA_REPLY has the same id. The process
 * keeps the schema it compiled last, so one that is kept running answers in milliseconds. It ends
 * when its socket closes, and on any packet that is no request.
 *
 * Whoever starts it gives it descriptor 3 and /dev/null as 0, 1, 2; it reads only its own program,
 * /usr, /lib and the loader's cache, and needs neither network nor rights. schema_worker_hook()
 * does all that for kosekictl; a supervisor may use the message alone.
 */
#ifndef VERIFY_SCHEMA_WORKER_H
#define VERIFY_SCHEMA_WORKER_H

#include "base/crypto.h"
#include "verify/schema_hook.h"

enum schema_message {
    SCHEMA_REQUEST = 0x200, /* struct schema_request; document, bundle */
    SCHEMA_REPLY,           /* struct schema_reply */
};

enum { SCHEMA_WORKER_TIMEOUT_MS = 30000 };

struct schema_request {
    uint8_t bundle_sha256[SHA256_SIZE];
};

struct schema_reply {
    uint32_t outcome; /* enum schema_outcome */
    char text[VERDICT_TEXT_MAX];
};

/* Asks over a connected socket and waits. -EPIPE, -ETIMEDOUT, -EBADMSG, -ENOMEM: the connection is
 * of no further use. */
_must_use_ int schema_worker_ask(int fd, uint64_t id, struct bytes schemas, struct bytes document,
                                 int timeout_ms, struct schema_answer *ret_answer);

/* A process started at the first question and again after a failure, and the hook that asks it. One
 * thread. */
struct schema_worker;
/* `program` is the path of schema_worker.py. NULL when memory is short. */
struct schema_worker *schema_worker_new(const char *program, int timeout_ms);
/* The same for schema_worker.py where the project installs it, or has built it. */
struct schema_worker *schema_worker_new_installed(int timeout_ms);
/* Ends the process. */
struct schema_worker *schema_worker_free(struct schema_worker *worker);
const struct schema_hook *schema_worker_hook(struct schema_worker *worker);

#endif
