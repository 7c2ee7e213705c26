/* See tools/input_file.h. */
#include "tools/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_printf_(3, 4) static int fault(char *ret_text, int r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_text, INPUT_FILE_TEXT_SIZE, format, arguments);
    va_end(arguments);
    return r;
}

int input_file_read(const char *path, size_t size_max, struct buffer *ret_content, char *ret_text)
{
    uint8_t part[16384];
    struct stat status;
    ssize_t size;
    buffer_init(ret_content, size_max);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0)
        return fault(ret_text, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fault(ret_text, -EINVAL, "%s is not a regular file", path);
    while ((size = read(fd, part, sizeof part)) > 0) {
        int r = buffer_append(ret_content, part, (size_t)size);
        if (r == -EMSGSIZE)
            return fault(ret_text, -EFBIG, "%s is larger than %zu bytes", path, size_max);
        if (r < 0)
            return fault(ret_text, r, "%s: %s", path, strerror(-r));
    }
    return size < 0 ? fault(ret_text, -errno, "%s: %s", path, strerror(errno)) : 0;
}
