/*
 * The reference for opens: the least FUSE file system that serves one file from memory, without
 * access decision, store, audit or journal. All that the kernel sees is as with kosekifs-mount: the
 * number of threads that block in read(2) on one descriptor, the mount options and the reply flags.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_INODE = 2, FILE_SIZE = 256 * 1024, THREADS_MAX = 64, KEPT_S = 1 };

static char content[FILE_SIZE];

static void fill(fuse_ino_t inode, struct stat *status)
{
    memset(status, 0, sizeof *status);
    status->st_ino = inode;
    status->st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0555 : S_IFREG | 0444;
    status->st_nlink = 1;
    status->st_size = inode == FUSE_ROOT_ID ? 4096 : FILE_SIZE;
}

static void minimal_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param param = {.ino = FILE_INODE, .attr_timeout = KEPT_S};
    param.entry_timeout = KEPT_S;
    if (parent != FUSE_ROOT_ID || strcmp(name, "file") != 0) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    fill(FILE_INODE, &param.attr);
    fuse_reply_entry(request, &param);
}

static void minimal_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct stat status;
    (void)file;
    fill(inode, &status);
    fuse_reply_attr(request, &status, KEPT_S);
}

static void minimal_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    (void)inode;
    file->keep_cache = 1;
    file->noflush = 1;
    fuse_reply_open(request, file);
}

static void minimal_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                         struct fuse_file_info *file)
{
    (void)inode;
    (void)file;
    size_t left = offset < FILE_SIZE ? FILE_SIZE - (size_t)offset : 0;
    fuse_reply_buf(request, content + offset, left < size ? left : size);
}

static void minimal_release(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    (void)inode;
    (void)file;
    fuse_reply_err(request, 0);
}

static void *answer(void *argument)
{
    struct fuse_session *session = argument;
    struct fuse_buf buffer = {0};
    while (!fuse_session_exited(session)) {
        int size = fuse_session_receive_buf(session, &buffer);
        if (size == -EINTR)
            continue;
        if (size <= 0)
            break;
        fuse_session_process_buf(session, &buffer);
    }
    free(buffer.mem);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops operations = {
        .lookup = minimal_lookup,
        .getattr = minimal_getattr,
        .open = minimal_open,
        .read = minimal_read,
        .release = minimal_release,
    };
    char *options[] = {
        argv[0], (char[]){"-oallow_other,ro,nosuid,nodev,noexec,noatime,fsname=minimal"}, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, options);
    pthread_t threads[THREADS_MAX];
    unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (count < 1 || count > THREADS_MAX) {
        fprintf(stderr, "usage: minimal-fs MOUNTPOINT THREADS\n");
        return 64;
    }
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    if (!session || fuse_session_mount(session, argv[1]) != 0)
        return 1;
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, answer, session) != 0)
            return 1;
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    return 0;
}
