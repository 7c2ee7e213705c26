/*
 * What becomes of what provide tells: records, alerts, log lines, words to the supervisor.
 *
 * Thread rule: as struct provide_listener.
 */
#ifndef FS_PROVIDE_NEWS_H
#define FS_PROVIDE_NEWS_H

#include "fs/mountfs.h"

/* `fs` outlives the listener. */
void provide_news_listener(struct mountfs *fs, struct provide_listener *ret_listener);

#endif
