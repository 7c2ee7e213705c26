/*
 * The one table from what happened to the errno that the kernel hands to the program, and to the
 * words that an operator or user reads in .kosekifs/why/.
 */
#ifndef FS_ERRNO_TABLE_H
#define FS_ERRNO_TABLE_H

#include "base/verdict.h"
#include "transport/link_client.h"

/* Positive errno values; 0 only for LINK_OK and TOTAL-PASSED. */
int errno_of_link(enum link_result result);
int errno_of_verdict(const struct verdict *verdict);
/* For a negative errno of the store: -ENOSPC stays, everything else is EIO. */
int errno_of_store(int error);

/* "EBADMSG"; "E?" for a number outside the table. */
const char *errno_name(int error);
/* What happened, in one plain sentence. */
const char *errno_meaning(int error);
/* What to do about it. */
const char *errno_advice(int error);

#endif
