#include "fs/access_affair.h"

bool access_subjects_name(const struct access_subjects *subjects, struct caller *caller)
{
    /* uid and primary gid first: they are known, groups have to be read. */
    bool groups = false;
    for (uint32_t i = 0; i < subjects->count; i++) {
        const struct access_subject *subject = &subjects->list[i];
        if (subject->id == (subject->is_group ? caller->gid : caller->uid))
            return true;
        groups |= subject->is_group;
    }
    for (uint32_t i = 0; groups && i < subjects->count; i++) {
        const struct access_subject *subject = &subjects->list[i];
        if (subject->is_group && caller_in_group(caller, subject->id))
            return true;
    }
    return false;
}

bool access_affair_covers_id(const struct access_affair *affair, const struct certname *name)
{
    size_t size = certname_id_size(name);
    for (uint32_t i = 0; i < affair->pattern_count; i++) {
        if (access_pattern_match(affair->patterns[i], name->text, size))
            return true;
    }
    return false;
}

bool access_affair_covers_format(const struct access_affair *affair, const struct certname *name)
{
    return affair->formats >> certname_format(name) & 1;
}

bool access_affair_began(const struct access_affair *affair, int64_t now_s)
{
    return now_s >= affair->valid_from_s;
}

bool access_affair_over(const struct access_affair *affair, int64_t now_s)
{
    return now_s >= affair->valid_until_s;
}

enum access_reason access_affair_conditions(const struct access_policy *policy,
                                            const struct access_affair *affair,
                                            const struct certname *name, int64_t now_s)
{
    if (!access_affair_covers_id(affair, name))
        return ACCESS_ID_OUTSIDE;
    if (!access_affair_covers_format(affair, name))
        return ACCESS_FORMAT_OUTSIDE;
    if (!access_affair_began(affair, now_s))
        return ACCESS_NOT_YET_VALID;
    if (access_affair_over(affair, now_s))
        return ACCESS_NO_LONGER_VALID;
    if (!access_affair_in_hours(policy, affair, now_s))
        return ACCESS_OUT_OF_HOURS;
    return ACCESS_BY_AFFAIR;
}
