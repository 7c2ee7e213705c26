/* See errno_table.h. Rows follow docs/design.md, "errno". */
#include "fs/errno_table.h"

#include <errno.h>
#include <string.h>

static const struct errno_row {
    int error;
    const char *name;
    const char *meaning;
    const char *advice;
} errno_rows[] = {
    {ENOENT, "ENOENT", "There is no such certificate, or its provision period is over.",
     "Check the request id; if it is right, ask for the certificate anew."},
    {EACCES, "EACCES", "You have no right to this certificate.",
     "Ask the person responsible for the affair to be added to its readers."},
    {EBADMSG, "EBADMSG", "The bytes received are not what the Minister signed.",
     "Do not use this certificate. Tell the operator, who sees each check in the report."},
    {EKEYREJECTED, "EKEYREJECTED", "The signer of this certificate is not trusted.",
     "Tell the operator: trust anchors or the expected signer may have to be renewed."},
    {EKEYREVOKED, "EKEYREVOKED", "The signer's certificate was revoked.",
     "Do not use this certificate; ask for it anew."},
    {EKEYEXPIRED, "EKEYEXPIRED", "The signer's certificate was outside its validity.",
     "Ask for the certificate anew."},
    {ENOKEY, "ENOKEY", "Whether the signature is valid cannot be decided now.",
     "Try again later; the operator sees in the report what is missing (revocation list, clock)."},
    {EHOSTUNREACH, "EHOSTUNREACH", "The link system cannot be reached.",
     "Try again later; the operator checks the line and the server's certificate."},
    {ETIMEDOUT, "ETIMEDOUT", "The link system did not deliver in time.",
     "Try again: the transfer is continued where possible."},
    {ECONNREFUSED, "ECONNREFUSED", "The link system refuses this link server or is busy.",
     "Try again later; the operator checks the client certificate and its registration."},
    {EINTR, "EINTR", "The program was ended while it waited.", "Nothing."},
    {EFBIG, "EFBIG", "The certificate is larger than the configured limit.",
     "The operator may raise body_max."},
    {EPROTO, "EPROTO", "The link system's answer makes no sense.",
     "Try again; if it stays, the operator compares the link profile with the log."},
    {ESTALE, "ESTALE", "The certificate changed between look-up and open.", "Open it again."},
    {EROFS, "EROFS", "Certificates are never written.", "Copy the file elsewhere first."},
    {ENOSPC, "ENOSPC", "The store is full and nothing may leave it.",
     "The operator raises the quota, adds disk space or purges."},
    {EPERM, "EPERM", "Serving is suspended: the audit trail cannot be written.",
     "The operator looks at kosekictl status, usually for a full disk."},
    {EIO, "EIO", "The store or one of the daemon's processes is damaged.",
     "The operator looks at the log and fetches the certificate again."},
    {EAGAIN, "EAGAIN", "Too many requests are waiting.", "Try again in a moment."},
    {ENOMEM, "ENOMEM", "Memory is short.", "Try again in a moment."},
};

static const struct errno_row *errno_find(int error)
{
    for (size_t i = 0; i < sizeof errno_rows / sizeof *errno_rows; i++)
        if (errno_rows[i].error == error)
            return &errno_rows[i];
    return NULL;
}

const char *errno_name(int error)
{
    const struct errno_row *row = errno_find(error);
    return row ? row->name : "E?";
}

const char *errno_meaning(int error)
{
    const struct errno_row *row = errno_find(error);
    return row ? row->meaning : "An unexpected error.";
}

const char *errno_advice(int error)
{
    const struct errno_row *row = errno_find(error);
    return row ? row->advice : "The operator looks at the log.";
}

int errno_of_link(enum link_result result)
{
    switch (result) {
    case LINK_OK:
        return 0;
    case LINK_NOT_FOUND:
    case LINK_GONE:
        return ENOENT;
    case LINK_FORBIDDEN:
    case LINK_BUSY:
        return ECONNREFUSED;
    case LINK_NOT_READY:
    case LINK_TIMED_OUT:
        return ETIMEDOUT;
    case LINK_UNREACHABLE:
    case LINK_TLS_FAILED:
        return EHOSTUNREACH;
    case LINK_TOO_LARGE:
        return EFBIG;
    case LINK_CHANGED:
        return ESTALE;
    case LINK_PROTOCOL:
        return EPROTO;
    case LINK_CANCELLED:
        return EINTR;
    case LINK_INTERNAL:
    case LINK_RESULT_COUNT:
        break;
    }
    return EIO;
}

int errno_of_verdict(const struct verdict *verdict)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);
    if (verdict->indication == VERDICT_TOTAL_PASSED)
        return 0;
    if (reason && strcmp(reason->check, VERDICT_PROCESS_CHECK) == 0)
        return EIO;
    switch ((enum verdict_sub)verdict->sub) {
    case VERDICT_REVOKED:
    case VERDICT_REVOKED_NO_POE:
    case VERDICT_REVOKED_CA_NO_POE:
        return EKEYREVOKED;
    case VERDICT_EXPIRED:
    case VERDICT_NOT_YET_VALID:
    case VERDICT_OUT_OF_BOUNDS_NO_POE:
        return EKEYEXPIRED;
    case VERDICT_SIG_CONSTRAINTS_FAILURE:
    case VERDICT_CHAIN_CONSTRAINTS_FAILURE:
    case VERDICT_CERTIFICATE_CHAIN_GENERAL_FAILURE:
    case VERDICT_CRYPTO_CONSTRAINTS_FAILURE:
    case VERDICT_NO_CERTIFICATE_CHAIN_FOUND:
        return EKEYREJECTED;
    case VERDICT_FORMAT_FAILURE:
    case VERDICT_HASH_FAILURE:
    case VERDICT_SIG_CRYPTO_FAILURE:
    case VERDICT_NO_SIGNING_CERTIFICATE_FOUND:
    case VERDICT_SIGNED_DATA_NOT_FOUND:
        return EBADMSG;
    default:
        return verdict->indication == VERDICT_TOTAL_FAILED ? EBADMSG : ENOKEY;
    }
}

int errno_of_store(int error)
{
    return error == -ENOSPC || error == -EDQUOT ? ENOSPC : error == -ENOMEM ? ENOMEM : EIO;
}
