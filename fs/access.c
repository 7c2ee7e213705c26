/*
 * The policy in force and the decision under it. A ruling is a policy with a count of its users;
 * the lock guards only the exchange of the pointer and the count.
 */
#include "fs/access.h"

#include "fs/access_affair.h"
#include "fs/grants.h"
#include "fs/seals.h"

#include <pthread.h>
#include <string.h>

_Static_assert((int)CERTNAME_MAX < (int)ACCESS_PATTERN_SIZE,
               "the name of a grant is a beginning, too");

struct access_ruling {
    unsigned users; /* under the lock of struct access; 1 for being in force */
    struct access_policy policy;
};

struct access {
    pthread_mutex_t lock; /* innermost; ruling */
    struct access_ruling *ruling;
    struct grants *grants;
    struct opens_today *opens;
    struct seals *seals; /* NULL: none */
};

static int ruling_new(const struct access_policy *policy, struct access_ruling **ret_ruling)
{
    if (!access_policy_valid(policy))
        return -EINVAL;
    struct access_ruling *ruling = malloc(sizeof *ruling);
    if (!ruling)
        return -ENOMEM;
    ruling->users = 1;
    memcpy(&ruling->policy, policy, sizeof *policy);
    *ret_ruling = ruling;
    return 0;
}

const struct access_policy *access_take_ruling(struct access *access,
                                               struct access_ruling **ret_ruling)
{
    pthread_mutex_lock(&access->lock);
    struct access_ruling *ruling = access->ruling;
    ruling->users++;
    pthread_mutex_unlock(&access->lock);
    *ret_ruling = ruling;
    return &ruling->policy;
}

void access_give_ruling(struct access *access, struct access_ruling *ruling)
{
    pthread_mutex_lock(&access->lock);
    bool last = --ruling->users == 0;
    pthread_mutex_unlock(&access->lock);
    if (last)
        free(ruling);
}

struct opens_today *access_opens(struct access *access)
{
    return access->opens;
}

struct grants *access_grants(struct access *access)
{
    return access->grants;
}

struct seals *access_seals(struct access *access)
{
    return access->seals;
}

int access_new(const struct access_policy *policy, struct grants *grants, int state_fd,
               struct access **ret_access)
{
    struct access *access = calloc(1, sizeof *access);
    if (!access)
        return -ENOMEM;
    pthread_mutex_init(&access->lock, NULL);
    access->grants = grants;
    int r = ruling_new(policy, &access->ruling);
    if (r == 0)
        r = opens_today_open(state_fd, &access->opens);
    if (r < 0) {
        access_free(access);
        return r;
    }
    *ret_access = access;
    return 0;
}

struct access *access_free(struct access *access)
{
    if (!access)
        return NULL;
    free(access->ruling);
    opens_today_close(access->opens);
    pthread_mutex_destroy(&access->lock);
    free(access);
    return NULL;
}

void access_set_seals(struct access *access, struct seals *seals)
{
    access->seals = seals;
}

int access_replace(struct access *access, const struct access_policy *policy)
{
    struct access_ruling *ruling = NULL;
    int r = ruling_new(policy, &ruling);
    if (r < 0)
        return r;
    pthread_mutex_lock(&access->lock);
    struct access_ruling *old = access->ruling;
    access->ruling = ruling;
    pthread_mutex_unlock(&access->lock);
    access_give_ruling(access, old);
    return 0;
}

void access_version(struct access *access, char ret_version[ACCESS_VERSION_SIZE],
                    uint8_t ret_sha256[SHA256_SIZE])
{
    struct access_ruling *ruling;
    const struct access_policy *policy = access_take_ruling(access, &ruling);
    memcpy(ret_version, policy->version, ACCESS_VERSION_SIZE);
    memcpy(ret_sha256, policy->sha256, SHA256_SIZE);
    access_give_ruling(access, ruling);
}

/* What a decision is made of. */
struct asking {
    struct access *access;
    const struct access_policy *policy;
    struct caller *caller;
    const struct certname *name;
    const struct access_question *question;
};

static void decide_affair(struct access_decision *decision, enum access_reason reason,
                          const struct access_affair *affair)
{
    decision->reason = reason;
    memcpy(decision->affair, affair->name, sizeof decision->affair);
    memcpy(decision->purpose, affair->purpose, sizeof decision->purpose);
}

/* Whether the affair has an open left for the caller; with ACCESS_REPLY one is taken. */
static enum access_reason use_open(const struct asking *asking, const struct access_affair *affair)
{
    const struct access_question *question = asking->question;
    if (affair->opens_per_day == 0 || question->want == ACCESS_LOOKUP ||
        question->want == ACCESS_XATTR)
        return ACCESS_BY_AFFAIR;
    int64_t day = access_policy_day(asking->policy, question->now_s);
    uid_t uid = asking->caller->uid;
    if (question->want != ACCESS_REPLY) {
        uint32_t count = opens_today_count(asking->access->opens, day, uid, affair->name);
        return count < affair->opens_per_day ? ACCESS_BY_AFFAIR : ACCESS_OPENS_USED_UP;
    }
    int r = opens_today_take(asking->access->opens, day, uid, affair->name, affair->opens_per_day,
                             question->connection, question->unique);
    if (r < 0)
        return ACCESS_COUNT_LOST;
    return r == OPENS_USED_UP ? ACCESS_OPENS_USED_UP : ACCESS_BY_AFFAIR;
}

/* The first affair in the file that gives the right. Conditions on the certificate come before the
 * question who the caller is, since that may have to be read from /proc. */
static bool find_affair(const struct asking *asking, struct access_decision *decision)
{
    const struct access_policy *policy = asking->policy;
    for (uint32_t i = 0; i < policy->affair_count; i++) {
        const struct access_affair *affair = &policy->affairs[i];
        if (access_affair_conditions(policy, affair, asking->name, asking->question->now_s) !=
                ACCESS_BY_AFFAIR ||
            !access_subjects_name(&affair->readers, asking->caller))
            continue;
        enum access_reason reason = use_open(asking, affair);
        decide_affair(decision, reason, affair);
        if (reason == ACCESS_BY_AFFAIR)
            return true;
    }
    return false;
}

/* The affair that came nearest; the decision starts as ACCESS_NOT_READER. */
static void find_nearest(const struct asking *asking, struct access_decision *decision)
{
    const struct access_policy *policy = asking->policy;
    for (uint32_t i = 0; i < policy->affair_count; i++) {
        const struct access_affair *affair = &policy->affairs[i];
        enum access_reason reason =
            access_affair_conditions(policy, affair, asking->name, asking->question->now_s);
        if (reason > decision->reason && access_subjects_name(&affair->readers, asking->caller))
            decide_affair(decision, reason, affair);
    }
}

static bool find_grant(const struct asking *asking, struct access_decision *decision)
{
    struct grant grant;
    if (!asking->access->grants || !grants_find(asking->access->grants, asking->caller->uid,
                                                asking->name, asking->question->now_s, &grant))
        return false;
    decision->reason = ACCESS_BY_GRANT;
    decision->grant_id = grant.id;
    decision->affair[0] = '\0';
    snprintf(decision->purpose, sizeof decision->purpose, "%s", grant.reason);
    return true;
}

/* What a role without affairs may do. */
static void decide_role(const struct asking *asking, enum access_role role, uint32_t as,
                        enum access_reason excluded, struct access_decision *decision)
{
    decision->role = role;
    decision->affair[0] = '\0';
    decision->purpose[0] = '\0';
    decision->may_read = as == ACCESS_AS_BACKUP;
    if (!decision->may_read)
        decision->reason = excluded;
    else
        decision->reason = asking->question->stored ? ACCESS_BY_ROLE : ACCESS_NOT_STORED;
}

static void decide(const struct asking *asking, struct access_decision *decision)
{
    const struct access_policy *policy = asking->policy;
    struct caller *caller = asking->caller;
    if (access_subjects_name(&policy->scanner, caller)) {
        decide_role(asking, ACCESS_ROLE_SCANNER, policy->scanner_as, ACCESS_SCANNER_EXCLUDED,
                    decision);
    } else if (caller->uid == 0 && policy->root_as != ACCESS_AS_READER) {
        decide_role(asking, ACCESS_ROLE_ROOT, policy->root_as, ACCESS_ROOT_EXCLUDED, decision);
    } else if (find_affair(asking, decision) || find_grant(asking, decision)) {
        decision->role = ACCESS_ROLE_READER;
        decision->may_read = true;
        decision->may_fetch = true;
    } else if (access_subjects_name(&policy->backup, caller)) {
        decide_role(asking, ACCESS_ROLE_BACKUP, ACCESS_AS_BACKUP, ACCESS_NOT_READER, decision);
    } else if (decision->reason == ACCESS_BY_AFFAIR) { /* no affair came up to its opens */
        decision->reason = ACCESS_NOT_READER;
        find_nearest(asking, decision);
    }
}

static bool sealed(const struct asking *asking, const char *affair)
{
    struct seals *seals = asking->access->seals;
    return seals && seals_cover(seals, asking->caller->uid, asking->name, affair);
}

/* What no right overcomes; of the seals on an affair only what was decided can tell. */
static void decide_sealed(const struct asking *asking, struct access_decision *decision)
{
    if (!sealed(asking, NULL)) {
        decide(asking, decision);
        if (!decision->may_read || !sealed(asking, decision->affair))
            return;
    }
    decision->may_read = false;
    decision->may_fetch = false;
    decision->reason = ACCESS_SEALED;
}

bool access_decide(struct access *access, struct caller *caller, const struct certname *name,
                   const struct access_question *question, struct access_decision *ret_decision)
{
    struct access_ruling *ruling;
    const struct asking asking = {.access = access,
                                  .policy = access_take_ruling(access, &ruling),
                                  .caller = caller,
                                  .name = name,
                                  .question = question};
    struct access_decision decision = {0};
    decide_sealed(&asking, &decision);
    access_give_ruling(access, ruling);
    *ret_decision = decision;
    return question->stored ? decision.may_read : decision.may_fetch;
}

unsigned access_control_roles(struct access *access, struct caller *caller)
{
    struct access_ruling *ruling;
    const struct access_policy *policy = access_take_ruling(access, &ruling);
    unsigned roles = caller->uid == 0 ? ACCESS_VIEWER | ACCESS_OPERATOR : 0;
    for (unsigned i = 0; i < ACCESS_CONTROL_COUNT; i++) {
        if (access_subjects_name(&policy->control[i], caller))
            roles |= 1u << i | ACCESS_VIEWER;
    }
    access_give_ruling(access, ruling);
    return roles;
}

bool access_needs_second_person(struct access *access, const char *command)
{
    struct access_ruling *ruling;
    const struct access_policy *policy = access_take_ruling(access, &ruling);
    bool needed = false;
    for (uint32_t i = 0; i < policy->command_count; i++)
        needed |= strcmp(policy->second_person[i], command) == 0;
    access_give_ruling(access, ruling);
    return needed;
}

int64_t access_keep_s(struct access *access, const struct certname *name)
{
    struct access_ruling *ruling;
    const struct access_policy *policy = access_take_ruling(access, &ruling);
    int64_t keep_s = -1;
    for (uint32_t i = 0; i < policy->affair_count; i++) {
        const struct access_affair *affair = &policy->affairs[i];
        int64_t affair_s = (int64_t)affair->keep_days * 86400;
        if (affair_s > keep_s && affair_s > 0 && access_affair_covers_id(affair, name) &&
            access_affair_covers_format(affair, name))
            keep_s = affair_s;
    }
    access_give_ruling(access, ruling);
    return keep_s;
}
