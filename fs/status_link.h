/*
 * The part of the status that is about the link system: its addresses, what passes over the line,
 * and what of the standard is waived there.
 */
#ifndef FS_STATUS_LINK_H
#define FS_STATUS_LINK_H

#include "base/config.h"
#include "fs/provide.h"

#include <stdio.h>

struct json;

/* NULL when memory is short. */
struct json *status_link_object(const struct provide_statistics *statistics);
struct json *status_waivers(const struct config_waivers *waivers);

/* In the text form of Prometheus. */
void status_link_metrics(const struct provide_statistics *statistics, FILE *out);

#endif
