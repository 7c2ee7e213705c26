/*
 * Files of "key = value" lines under [section] headings, read with libinih: kosekifs.conf and the
 * access policy. What inih would pass over or cut short is a mistake here: a line that is too long,
 * has no "=", control characters, an unclosed heading. Comments have a line of their own and start
 * with ; or #. An indented line continues the entry above it.
 *
 * Thread rule: one file at a time, before any thread is started; inih keeps its settings in
 * globals.
 */
#ifndef BASE_INIFILE_H
#define BASE_INIFILE_H

#include "base/cleanup.h"

enum {
    INIFILE_SIZE_MAX = 1024 * 1024,
    INIFILE_LINE_MAX = 4096, /* bytes of a line without its line feed */
    INIFILE_NAME_MAX = 48,   /* bytes of a section's or key's name; inih cuts at 49 */
};

/* Told each mistake as "FILE:LINE: text" (line 0: the file as a whole). */
typedef void inifile_report(void *context, const char *file, int line, const char *text);

/* Called for each entry in order; a continuation line comes as the same key once more. All texts
 * are borrowed for the call. The section is "" above the first heading. */
typedef void inifile_entry(void *context, int line, const char *section, const char *key,
                           const char *value);

/* Returns 0, -EINVAL after at least one report of this function's own, or another negative errno if
 * the file cannot be read (reported too). All well-formed entries are delivered in any case. */
_must_use_ int inifile_read(const char *path, inifile_entry *entry, void *entry_context,
                            inifile_report *report, void *report_context);

#endif
