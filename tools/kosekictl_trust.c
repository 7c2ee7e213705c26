/*
 * A directory stands for the files in it, since that is how CRL mirrors look; names that begin with
 * a dot and directories inside are passed over.
 */
#include "tools/kosekictl_trust.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static int complain(const char *path, int error)
{
    fprintf(stderr, "kosekictl: %s: %s\n", path, strerror(error));
    return EX_NOINPUT;
}

static int read_all(int fd, struct buffer *content)
{
    uint8_t piece[16 * 1024];
    ssize_t got;

    while ((got = read(fd, piece, sizeof piece)) > 0) {
        int r = buffer_append(content, piece, (size_t)got);
        if (r < 0)
            return r == -EMSGSIZE ? -EFBIG : r;
    }
    return got < 0 ? -errno : 0;
}

static int add_file(struct buffer *bundle, enum trust_kind kind, int directory, const char *name,
                    const char *label)
{
    _cleanup_close_ int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    _cleanup_buffer_ struct buffer content;
    char short_label[TRUST_LABEL_MAX];

    buffer_init(&content, TRUST_BUNDLE_MAX);
    int r = fd < 0 ? -errno : read_all(fd, &content);
    if (r == 0) {
        /* Of a long path the end says more. */
        size_t size = strlen(label);
        const char *from =
            size < sizeof short_label ? label : label + size - sizeof short_label + 1;
        snprintf(short_label, sizeof short_label, "%s", from);
        r = trust_bundle_add(bundle, kind, short_label, bytes_of(content.data, content.size));
    }
    return r < 0 ? complain(label, -r) : 0;
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_DIR;
}

static int add_directory(struct buffer *bundle, enum trust_kind kind, const char *path)
{
    _cleanup_close_ int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **entries = NULL;

    int count = directory < 0 ? -1 : scandirat(directory, ".", &entries, is_file, alphasort);
    if (count < 0)
        return complain(path, errno);
    int status = 0;
    for (int i = 0; i < count; i++) {
        char label[4096];
        snprintf(label, sizeof label, "%.3800s/%.255s", path, entries[i]->d_name);
        if (status == 0)
            status = add_file(bundle, kind, directory, entries[i]->d_name, label);
        free(entries[i]);
    }
    free(entries);
    return status;
}

int kosekictl_trust_add(struct buffer *bundle, enum trust_kind kind, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return complain(path, errno);
    if (S_ISDIR(st.st_mode) && kind == TRUST_CRL)
        return add_directory(bundle, kind, path);
    return add_file(bundle, kind, AT_FDCWD, path, path);
}
