/*
 * A trail and its checkpoints, as `kosekictl audit verify` reads them; and the same bytes as
 * /proc/<tid>/status. A checkpoint that is taken must be one that its key signed.
 */
#include "fuzz_trust.h"

#include "base/ed25519.h"
#include "fs/audit_checkpoint.h"
#include "fs/audit_verify.h"
#include "fs/caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ignore(void *context, enum audit_fault fault, const char *file, uint64_t line,
                   const char *text)
{
    (void)context, (void)fault, (void)file, (void)line, (void)text;
}

static void check_checkpoint(struct bytes line)
{
    struct audit_checkpoint checkpoint;
    _cleanup_free_ char *statement = NULL;
    if (audit_checkpoint_parse(line, &checkpoint) != 0)
        return;
    if (audit_checkpoint_statement(&checkpoint, &statement) != 0 ||
        !ed25519_verify(checkpoint.public_key, statement, strlen(statement), checkpoint.signature))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_audit_verify_ struct audit_verify *verify = NULL;
    struct audit_verified verified;
    static struct caller caller;
    if (size == 0 || audit_verify_new(ignore, NULL, &verify) < 0)
        return 0;
    for (int pass = 0; pass < 2; pass++) {
        _cleanup_fclose_ FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
        if (!in || (pass ? audit_verify_file : audit_verify_checkpoints)(verify, in, "fuzz") < 0)
            return 0;
    }
    audit_verify_finish(verify, &verified);
    check_checkpoint(bytes_of(data, size));

    caller.uid = 1001;
    caller.gid = 100;
    (void)caller_parse_status(&caller, (const char *)data, size);
    return 0;
}
