/*
 * Makes OpenSSL and libxml2 do now what they would do on first use: read configuration and time
 * zone, load error texts, fetch algorithms. Afterwards verification needs no file.
 */
#ifndef VERIFY_WARM_UP_H
#define VERIFY_WARM_UP_H

#include "verify/verify.h"

/* Once, before threads; sets TZ. -EIO: a primitive does not work. -ENOMEM. */
_must_use_ int verify_warm_up(struct verify_trust *trust);

#endif
