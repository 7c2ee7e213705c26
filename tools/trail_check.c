#include "tools/trail_check.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static int unreadable(const char *path, int error)
{
    fprintf(stderr, "kosekictl: %s: %s\n", path, strerror(error));
    return EX_NOINPUT;
}

typedef int reader(struct audit_verify *verify, FILE *in, const char *name);

static int read_each(struct audit_verify *verify, char *const *paths, size_t count, reader *read)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_fclose_ FILE *in = fopen(paths[i], "re");
        if (!in)
            return unreadable(paths[i], errno);
        int r = read(verify, in, paths[i]);
        if (r < 0)
            return unreadable(paths[i], -r);
    }
    return 0;
}

int trail_check(const struct trail_files *files, const struct audit_keys *keys,
                audit_fault_report *report, void *context, struct audit_verified *ret_verified)
{
    _cleanup_audit_verify_ struct audit_verify *verify = NULL;
    int r = audit_verify_new(report, context, &verify);
    if (r < 0)
        return unreadable("trail", -r);
    if (keys)
        audit_verify_set_keys(verify, keys);
    int status =
        read_each(verify, files->checkpoints, files->checkpoint_count, audit_verify_checkpoints);
    if (status == 0)
        status = read_each(verify, files->paths, files->count, audit_verify_file);
    if (status == 0)
        audit_verify_finish(verify, ret_verified);
    return status;
}
