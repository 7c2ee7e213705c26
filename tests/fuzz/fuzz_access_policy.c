/* The access policy's file. What is taken must be a policy that kosekifs-mount would take. */
#include "fuzz_trust.h"

#include "base/memfd.h"
#include "fs/access_policy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct access_policy policy;

static void ignore(void *context, const char *file, int line, const char *text)
{
    (void)context, (void)file, (void)line, (void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = -1;
    char path[32];
    if (memfd_of("policy", data, size, &fd) < 0 || fchmod(fd, 0600) < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (access_policy_read(path, ignore, NULL, &policy) != 0)
        return 0;
    if (!access_policy_valid(&policy))
        abort();
    for (uint32_t i = 0; i < policy.affair_count; i++)
        for (uint32_t k = 0; k < policy.affairs[i].pattern_count; k++)
            (void)access_pattern_match(policy.affairs[i].patterns[k], "K2026-000101", 12);
    return 0;
}
