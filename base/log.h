/*
 * Messages for the operator on standard error, with the priority prefix that journald understands
 * when it listens. The level is the project's only global.
 *
 * Thread rule: any thread; a line is one write.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/cleanup.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* `program` is kept, not copied. */
void log_init(const char *program, enum log_level level);
/* True if standard error is the journal's stream (JOURNAL_STREAM, systemd.exec(5)). */
bool log_is_journal(void);
void log_write(enum log_level level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
