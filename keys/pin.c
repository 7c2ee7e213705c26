/* See keys/pin.h. */
#include "keys/pin.h"

#include "base/crypto.h"

#include <string.h>

static int read_text(int fd, char *out, size_t max, size_t *ret_size)
{
    size_t size = 0;
    while (size < max) {
        ssize_t count = pread(fd, out + size, max - size, (off_t)size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        size += (size_t)count;
    }
    *ret_size = size;
    return 0;
}

static const char *find_fault(const char *text, size_t size)
{
    if (size == 0)
        return "is empty";
    if (size > PIN_MAX)
        return "is longer than 255 bytes";
    if (text[size - 1] == '\n' || text[size - 1] == '\r')
        return "ends with a line feed, which would be sent as part of the PIN and be counted as a "
               "wrong one; write it with printf %s";
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return "contains a control character";
    return NULL;
}

int pin_read(int fd, char *ret_message, struct pin *pin)
{
    int r = read_text(fd, pin->text, sizeof pin->text, &pin->size);
    const char *fault = r < 0 ? strerror(-r) : find_fault(pin->text, pin->size);
    if (!fault)
        return 0;
    snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "[keys] pin: the file %s; no login was tried",
             fault);
    wipe(pin, sizeof *pin);
    return r < 0 ? r : -EINVAL;
}
