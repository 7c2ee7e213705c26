/*
 * `kosekictl link test`: one address of the link system tried step by step. The link system sees
 * the requests as it sees any, so the certificate that is asked for is named in the trail: the one
 * that the operator gives, else one that is stored here already.
 */
#ifndef FS_CONTROL_LINK_H
#define FS_CONTROL_LINK_H

#include "fs/control.h"

/* {"address": "HOST:PORT"} or {"index": N}; {"name"}: what to ask for; without it the
 * first certificate that is stored and valid. Answered when it is over. */
struct json *control_link_test(const struct control_call *call, bool *ret_later);

#endif
