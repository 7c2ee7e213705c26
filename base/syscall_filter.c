/* See base/syscall_filter.h. */
#include "base/syscall_filter.h"

#include <seccomp.h>
#include <string.h>

static int add_rule(scmp_filter_ctx filter, const struct syscall_rule *rule)
{
    struct scmp_arg_cmp comparisons[SYSCALL_CONDITION_MAX];
    unsigned count = 0;
    int number = seccomp_syscall_resolve_name(rule->name);
    if (number == __NR_SCMP_ERROR)
        return -ENOENT;
    if (number < 0)
        return 0; /* of another architecture */
    for (size_t i = 0; i < SYSCALL_CONDITION_MAX; i++) {
        const struct syscall_condition *condition = &rule->conditions[i];
        if (condition->mask != 0)
            comparisons[count++] = (struct scmp_arg_cmp){.arg = condition->argument,
                                                         .op = SCMP_CMP_MASKED_EQ,
                                                         .datum_a = condition->mask,
                                                         .datum_b = condition->value};
    }
    uint32_t action = rule->error ? SCMP_ACT_ERRNO((uint16_t)rule->error) : SCMP_ACT_ALLOW;
    int r = seccomp_rule_add_array(filter, action, number, count, comparisons);
    return r == -EEXIST ? 0 : r; /* also in another list */
}

static int load(scmp_filter_ctx filter, const struct syscall_rule *const *lists, size_t count)
{
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0) /* a search tree: a chain would cost each call a comparison per rule */
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; i < count; i++)
        for (const struct syscall_rule *rule = lists[i]; r == 0 && rule->name; rule++)
            r = add_rule(filter, rule);
    return r == 0 ? seccomp_load(filter) : r;
}

int syscall_filter_apply(const struct syscall_rule *const *lists, size_t count)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return -ENOMEM;
    int r = load(filter, lists, count);
    seccomp_release(filter);
    return r;
}
