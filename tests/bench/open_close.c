/*
 * Opens and closes two files in turn, a round each, and prints for each round the nanoseconds an
 * open and close took: "A B" a line. Several processes may run at once (READERS).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void opens(const char *path, long count)
{
    for (long i = 0; i < count; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            perror(path);
            _exit(1);
        }
        close(fd);
    }
}

static int64_t round_of(const char *path, long readers, long count)
{
    int64_t began = now_ns();
    for (long i = 0; i < readers; i++) {
        if (fork() == 0) {
            opens(path, count);
            _exit(0);
        }
    }
    for (long i = 0; i < readers; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            exit(1);
    }
    return (now_ns() - began) / (readers * count);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: open-close FILE-A FILE-B READERS OPENS ROUNDS\n");
        return 64;
    }
    long readers = strtol(argv[3], NULL, 10), count = strtol(argv[4], NULL, 10);
    for (long left = strtol(argv[5], NULL, 10); left > 0; left--) {
        int64_t a = round_of(argv[1], readers, count);
        int64_t b = round_of(argv[2], readers, count);
        printf("%" PRId64 " %" PRId64 "\n", a, b);
    }
    return 0;
}
