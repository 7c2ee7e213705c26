/* A file of the command line, whole: a regular one, so that nothing waits for a pipe or a device.
 */
#ifndef TOOLS_INPUT_FILE_H
#define TOOLS_INPUT_FILE_H

#include "base/bytes.h"
#include "base/cleanup.h"

enum { INPUT_FILE_TEXT_SIZE = 256 };

/* *ret_content is to be released in any case. ret_text (INPUT_FILE_TEXT_SIZE bytes) says why not.
 */
_must_use_ int input_file_read(const char *path, size_t size_max, struct buffer *ret_content,
                               char *ret_text);

#endif
