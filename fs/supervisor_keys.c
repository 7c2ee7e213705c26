/* See fs/supervisor_keys.h. */
#include "fs/supervisor_keys.h"

#include "base/key_source.h"
#include "fs/supervisor_files.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

struct opening {
    const char *credentials, *config_path;
    config_report *report;
    void *context;
    struct supervisor_keys keys;
    int error; /* of the first mistake */
};

static void mistake(struct opening *opening, const char *file, const char *text)
{
    opening->report(opening->context, file, 0, text);
    if (opening->error == 0)
        opening->error = -EINVAL;
}

/* The path of the file; false after a message. */
static bool find_file(struct opening *opening, const char *source, char out[PATH_MAX])
{
    const char *place, *directory = opening->credentials;
    if (key_source_of(source, &place) == KEY_SOURCE_FILE) {
        snprintf(out, PATH_MAX, "%s", place);
        return true;
    }
    if (!directory || *directory != '/') {
        char text[KEY_SOURCE_SIZE + 128];
        snprintf(text, sizeof text,
                 "%s: there are no credentials (CREDENTIALS_DIRECTORY is not set); add "
                 "LoadCredential=%s:FILE to the unit",
                 source, place);
        mistake(opening, opening->config_path, text);
        return false;
    }
    if (snprintf(out, PATH_MAX, "%s/%s", directory, place) < PATH_MAX)
        return true;
    mistake(opening, opening->config_path, "CREDENTIALS_DIRECTORY is too long");
    return false;
}

static void open_source(struct opening *opening, const char *source, size_t size)
{
    char path[PATH_MAX];
    const char *place;
    struct supervisor_keys *keys = &opening->keys;
    if (key_source_of(source, &place) == KEY_SOURCE_TOKEN)
        return; /* kosekifs-keys finds it */
    if (!find_file(opening, source, path))
        return;
    int r =
        supervisor_open_key(path, size, opening->report, opening->context, &keys->fds[keys->count]);
    if (r == 0)
        keys->count++;
    else if (opening->error == 0)
        opening->error = r;
}

int supervisor_keys_open(const struct config *config, const char *credentials,
                         const char *config_path, config_report *report, void *context,
                         struct supervisor_keys *ret_keys)
{
    struct opening opening = {.credentials = credentials,
                              .config_path = config_path,
                              .report = report,
                              .context = context};
    const char *list = config->keys.previous_master_keys;
    char previous[KEY_SOURCE_SIZE];
    unsigned generations = 1;
    if (config->keys.pin[0])
        open_source(&opening, config->keys.pin, 0);
    open_source(&opening, config->keys.master_key, SUPERVISOR_MASTER_KEY_SIZE);
    while (config_list_next(&list, previous, sizeof previous)) {
        if (generations++ > KEYS_PREVIOUS_MAX) {
            mistake(&opening, config_path,
                    "[keys] previous_master_keys: there are more than three");
            break;
        }
        open_source(&opening, previous, SUPERVISOR_MASTER_KEY_SIZE);
    }
    if (*config->keys.tls_key) /* a waiver allows to have none */
        open_source(&opening, config->keys.tls_key, 0);
    if (opening.error < 0) {
        supervisor_keys_close(&opening.keys);
        return opening.error;
    }
    *ret_keys = opening.keys;
    return 0;
}

void supervisor_keys_close(struct supervisor_keys *keys)
{
    while (keys->count > 0)
        close(keys->fds[--keys->count]);
}
