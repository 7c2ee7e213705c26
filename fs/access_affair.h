/*
 * One affair and one question: which of its conditions hold. Shared by decision, explanation and
 * what stat shows.
 *
 * Thread rule: any thread; a struct caller belongs to one.
 */
#ifndef FS_ACCESS_AFFAIR_H
#define FS_ACCESS_AFFAIR_H

#include "fs/access.h"
#include "fs/opens_today.h"

/* True if the list names the caller or one of his groups. */
bool access_subjects_name(const struct access_subjects *subjects, struct caller *caller);

bool access_affair_covers_id(const struct access_affair *affair, const struct certname *name);
bool access_affair_covers_format(const struct access_affair *affair, const struct certname *name);
bool access_affair_began(const struct access_affair *affair, int64_t now_s);
bool access_affair_over(const struct access_affair *affair, int64_t now_s);

/*
 * The conditions in the order of enum access_reason, without those that need to know the caller:
 * ACCESS_BY_AFFAIR if all hold, else the first that does not.
 */
enum access_reason access_affair_conditions(const struct access_policy *policy,
                                            const struct access_affair *affair,
                                            const struct certname *name, int64_t now_s);

/* One policy in force; decisions under way keep it alive when it is replaced. */
struct access_ruling;
const struct access_policy *access_take_ruling(struct access *access,
                                               struct access_ruling **ret_ruling);
void access_give_ruling(struct access *access, struct access_ruling *ruling);

/* Where the day's opens are counted, the grants, and the seals (NULL: none). */
struct opens_today *access_opens(struct access *access);
struct grants *access_grants(struct access *access);
struct seals *access_seals(struct access *access);

#endif
