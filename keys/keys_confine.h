/* What kosekifs-keys may still do once its keys are read: answer, and use its token. */
#ifndef KEYS_KEYS_CONFINE_H
#define KEYS_KEYS_CONFINE_H

#include "base/config.h"
#include "base/confine.h"

enum { KEYS_PATH_MAX = 32, KEYS_PATH_SIZE = 512 };

struct keys_confine {
    char text[KEYS_PATH_MAX][KEYS_PATH_SIZE];
    struct landlock_path paths[KEYS_PATH_MAX];
    struct confine table;
};

/* With a token: the table for [keys] pkcs11_paths. -E2BIG: there are more than KEYS_PATH_MAX. */
_must_use_ int keys_confine_init(struct keys_confine *confine, const struct config_keys *config,
                                 bool token);

#endif
