/*
 * The PIN of a token, read from a file. A token counts wrong PINs and locks, so what cannot be a
 * PIN is refused here, before anything is sent: above all the line feed that editors and echo put
 * behind it.
 */
#ifndef KEYS_PIN_H
#define KEYS_PIN_H

#include "base/cleanup.h"
#include "keys/master_key.h"

#include <stddef.h>

enum { PIN_MAX = 255 };

struct pin {
    size_t size; /* 0 = none */
    char text[PIN_MAX + 1];
};

/* Reads the whole of `fd` into `pin`, which lies in locked memory. -EINVAL: not a PIN; ret_message
 * (KEY_LOAD_MESSAGE_MAX bytes) says why, as for every other failure. */
_must_use_ int pin_read(int fd, char *ret_message, struct pin *pin);

#endif
