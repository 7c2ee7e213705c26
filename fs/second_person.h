/*
 * Commands that one person asks for and another one confirms, from his own login and within
 * SECOND_PERSON_WAIT_MS. The access policy names the commands ([roles] second_person).
 *
 * Thread rule: the control socket's thread only.
 */
#ifndef FS_SECOND_PERSON_H
#define FS_SECOND_PERSON_H

#include "base/cleanup.h"
#include "fs/caller.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SECOND_PERSON_MAX = 64, SECOND_PERSON_WAIT_MS = 10 * 60 * 1000 };

struct json;
struct second_person;

struct second_person *second_person_new(void); /* NULL when memory is short */
struct second_person *second_person_free(struct second_person *second);

/* Keeps a request and who asks; -EBUSY when SECOND_PERSON_MAX wait, -ENOMEM. */
_must_use_ int second_person_ask(struct second_person *second, const struct caller *by,
                                 const struct json *request, int64_t now_ms, uint64_t *ret_id);

/*
 * Takes a request out for being carried out. -ENOENT: none of that id, or its time is over; -EPERM:
 * `by` asked for it himself. *ret_request is the caller's to free. *ret_asked_by is as he was when
 * he asked: whether he still may is for the caller to decide.
 */
_must_use_ int second_person_take(struct second_person *second, uint64_t id, uid_t by,
                                  int64_t now_ms, struct json **ret_request,
                                  struct caller *ret_asked_by);

/*
 * For a command that only who asked can carry out: its confirmation is kept until he gives the same
 * command again, within the same time. -EBUSY, -ENOMEM.
 */
_must_use_ int second_person_approve(struct second_person *second, uid_t by,
                                     const struct json *request, int64_t now_ms);
/* True once for each confirmation. */
bool second_person_approved(struct second_person *second, uid_t by, const struct json *request,
                            int64_t now_ms);

/* Those that wait: [{"id", "by", "seconds_left", "request"}]; NULL when memory is short. */
struct json *second_person_list(struct second_person *second, int64_t now_ms);

#endif
