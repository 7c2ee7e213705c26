/*
 * Access for listings: the decision of access.c without its reasons. Affairs whose conditions on
 * caller and time hold are picked at the beginning, and a name only has to be covered by one of
 * them.
 */
#include "fs/access.h"

#include "fs/access_affair.h"
#include "fs/grants.h"
#include "fs/seals.h"

#include <string.h>

static bool opens_left(struct access *access, const struct access_policy *policy,
                       const struct access_affair *affair, uid_t uid, int64_t now_s)
{
    return affair->opens_per_day == 0 ||
           opens_today_count(access_opens(access), access_policy_day(policy, now_s), uid,
                             affair->name) < affair->opens_per_day;
}

static void pick_affairs(struct access_listing *listing, const struct access_policy *policy)
{
    int64_t now_s = listing->now_s;
    for (uint32_t i = 0; i < policy->affair_count; i++) {
        const struct access_affair *affair = &policy->affairs[i];
        if (access_affair_began(affair, now_s) && !access_affair_over(affair, now_s) &&
            access_affair_in_hours(policy, affair, now_s) &&
            access_subjects_name(&affair->readers, listing->caller) &&
            opens_left(listing->access, policy, affair, listing->caller->uid, now_s))
            listing->affairs[listing->affair_count++] = affair;
    }
}

/* In the order of decide() in access.c: who has one of the first two roles has no other right. */
static bool pick(struct access_listing *listing, const struct access_policy *policy)
{
    struct caller *caller = listing->caller;
    struct grants *grants = access_grants(listing->access);
    struct certname granted;
    if (access_subjects_name(&policy->scanner, caller))
        return listing->everything = policy->scanner_as == ACCESS_AS_BACKUP;
    if (caller->uid == 0 && policy->root_as != ACCESS_AS_READER)
        return listing->everything = policy->root_as == ACCESS_AS_BACKUP;
    pick_affairs(listing, policy);
    listing->grants = grants && grants_names(grants, caller->uid, listing->now_s, &granted, 1) > 0;
    listing->everything = access_subjects_name(&policy->backup, caller);
    return listing->affair_count > 0 || listing->grants || listing->everything;
}

static bool seals_stand(const struct access_listing *listing)
{
    struct seals *seals = access_seals(listing->access);
    return seals && seals_count(seals) > 0;
}

bool access_listing_begin(struct access *access, struct caller *caller, int64_t now_s,
                          struct access_listing *ret_listing)
{
    static const struct certname no_name = {.text = ""};
    struct seals *seals = access_seals(access);
    struct access_listing *listing = ret_listing;
    listing->access = access;
    listing->caller = caller;
    listing->now_s = now_s;
    listing->everything = listing->grants = false;
    listing->affair_count = 0; /* not the 2 KiB behind */
    if (seals && seals_cover(seals, caller->uid, &no_name, NULL))
        return false;
    const struct access_policy *policy = access_take_ruling(access, &listing->ruling);
    if (pick(listing, policy))
        return true;
    access_give_ruling(access, listing->ruling);
    return false;
}

bool access_listing_has(struct access_listing *listing, const struct certname *name)
{
    struct grant grant;
    /* Which affair a seal is on is for the whole decision to say; there are seldom any. */
    if (seals_stand(listing)) {
        const struct access_question question = {
            .want = ACCESS_LIST, .stored = true, .now_s = listing->now_s};
        struct access_decision decision;
        return access_decide(listing->access, listing->caller, name, &question, &decision);
    }
    if (listing->everything)
        return true;
    for (unsigned i = 0; i < listing->affair_count; i++) {
        if (access_affair_covers_id(listing->affairs[i], name) &&
            access_affair_covers_format(listing->affairs[i], name))
            return true;
    }
    return listing->grants && grants_find(access_grants(listing->access), listing->caller->uid,
                                          name, listing->now_s, &grant);
}

/* One beginning covers all that are longer. */
static void add_beginning(struct access_reach *reach, const char *text, size_t size)
{
    for (unsigned i = 0; i < reach->count; i++) {
        size_t known = strlen(reach->beginnings[i]);
        if (known <= size && memcmp(reach->beginnings[i], text, known) == 0)
            return;
    }
    if (size == 0 || reach->count == ACCESS_REACH_MAX) {
        reach->all = true;
        return;
    }
    memcpy(reach->beginnings[reach->count], text, size);
    reach->beginnings[reach->count++][size] = '\0';
}

static void add_affair(struct access_reach *reach, const struct access_affair *affair)
{
    for (uint32_t i = 0; i < affair->pattern_count; i++)
        add_beginning(reach, affair->patterns[i], strcspn(affair->patterns[i], "*?["));
}

static void add_grants(struct access_reach *reach, const struct access_listing *listing)
{
    struct certname names[ACCESS_REACH_MAX + 1];
    size_t count = grants_names(access_grants(listing->access), listing->caller->uid,
                                listing->now_s, names, ACCESS_REACH_MAX + 1);
    for (size_t i = 0; i < count; i++)
        add_beginning(reach, names[i].text, strlen(names[i].text));
}

void access_listing_reach(const struct access_listing *listing, struct access_reach *ret_reach)
{
    ret_reach->all = listing->everything;
    ret_reach->count = 0;
    for (unsigned i = 0; i < listing->affair_count && !ret_reach->all; i++)
        add_affair(ret_reach, listing->affairs[i]);
    if (listing->grants && !ret_reach->all)
        add_grants(ret_reach, listing);
}

void access_listing_end(struct access_listing *listing)
{
    access_give_ruling(listing->access, listing->ruling);
}
