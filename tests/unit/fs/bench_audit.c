/* What a record costs: audit_write() in each mode, with one and with four threads; and what it
 * costs to know the caller. Prints; judges nothing. */
#include "trail.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct load {
    struct audit *audit;
    uint64_t connection;
    unsigned events;
    double *micros; /* of each */
};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void *write_events(void *context)
{
    struct load *load = context;
    for (unsigned i = 0; i < load->events; i++) {
        double begin = now_us();
        if (trail_write(load->audit, load->connection, i + 1) != 0)
            abort();
        load->micros[i] = now_us() - begin;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static int measure(const char *mode, unsigned threads, unsigned events)
{
    _cleanup_scratch_dir_ struct scratch_dir dir;
    _cleanup_free_ double *micros = calloc(threads * events, sizeof *micros);
    struct config_audit config = trail_config();
    memcpy(config.sync, mode, strlen(mode) + 1);
    if (!micros || scratch_dir_open(&dir) < 0)
        return 1;
    _cleanup_audit_ struct audit *audit = trail_open(dir.fd, &config);
    if (!audit)
        return 1;
    struct load loads[4];
    pthread_t ids[4];
    double begin = now_us();
    for (unsigned i = 0; i < threads; i++) {
        loads[i] = (struct load){audit, i + 1, events, micros + i * events};
        if (pthread_create(&ids[i], NULL, write_events, &loads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    double took = now_us() - begin;
    qsort(micros, threads * events, sizeof *micros, compare);
    printf("audit_write %-8s %u thread%s  p50 %7.1f us  p99 %8.1f us  %8.0f records/s\n", mode,
           threads, threads == 1 ? " " : "s", micros[threads * events / 2],
           micros[threads * events / 100 * 99], threads * events / took * 1e6);
    return 0;
}

static void measure_caller(void)
{
    enum { ROUNDS = 100000 };
    struct caller_table *table = NULL;
    _cleanup_close_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0 || caller_table_new(proc_fd, &table) < 0)
        abort();
    for (int groups = 0; groups < 2; groups++) {
        struct caller caller;
        double begin = now_us();
        for (int i = 0; i < ROUNDS; i++) {
            caller_of(table, geteuid(), getegid(), getpid(), &caller);
            if (groups && caller_in_group(&caller, 4294967293u))
                abort();
            (void)caller_unverified_comm(&caller);
        }
        printf("caller_of%-20s %7.2f us\n", groups ? " with groups" : "",
               (now_us() - begin) / ROUNDS);
    }
    caller_table_free(table);
}

int main(void)
{
    measure_caller();
    return measure("written", 1, 100000) || measure("written", 4, 50000) ||
           measure("group", 1, 500) || measure("group", 4, 500) || measure("each", 1, 500) ||
           measure("each", 4, 200);
}
