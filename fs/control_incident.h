/*
 * The daemon's part of `kosekictl incident`: puts on record that somebody wrote into the file of an
 * incident, with the digest of what he wrote. The file itself is kosekictl's.
 */
#ifndef FS_CONTROL_INCIDENT_H
#define FS_CONTROL_INCIDENT_H

#include "fs/control.h"

/* {"incident", "action", "digest"} */
struct json *control_incident(const struct control_call *call, bool *ret_later);

#endif
