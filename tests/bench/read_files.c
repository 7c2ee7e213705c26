/*
 * Opens and reads each file named on standard input once, READERS of them at a time, and prints the
 * seconds from the first open to the last close and the processor's: "WALL CPU".
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { READERS_MAX = 256, PIECE = 128 * 1024 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static unsigned long failures;

/* false when all are taken. */
static int next_name(char *name, int size)
{
    pthread_mutex_lock(&turn);
    int found = fgets(name, size, stdin) != NULL;
    pthread_mutex_unlock(&turn);
    name[found ? strcspn(name, "\n") : 0] = '\0';
    return found;
}

static int read_all(const char *name, char *piece)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0)
        got = read(fd, piece, PIECE);
    if (got < 0)
        perror(name);
    if (fd >= 0)
        close(fd);
    return got < 0;
}

static void *read_files(void *unused)
{
    char name[4096], *piece = malloc(PIECE);
    while (piece && next_name(name, sizeof name))
        if (read_all(name, piece))
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
    free(piece);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t threads[READERS_MAX];
    struct timespec began, ended;
    struct rusage usage;
    int readers = argc == 2 ? atoi(argv[1]) : 0;
    if (readers < 1 || readers > READERS_MAX) {
        fprintf(stderr, "usage: read-files READERS <NAMES\n");
        return 64;
    }
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 0; i < readers; i++)
        if (pthread_create(&threads[i], NULL, read_files, NULL))
            return 1;
    for (int i = 0; i < readers; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    getrusage(RUSAGE_SELF, &usage);
    printf("%f %f\n",
           (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    return failures ? 1 : 0;
}
