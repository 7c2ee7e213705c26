/*
 * An attacker who has taken over a process: this library is loaded into it (LD_PRELOAD) and stands
 * between it and poll(2), mmap(2), pwrite(2) and sendmsg(2). Orders come through a file that is
 * mapped before the process locks itself in: what to try, once. What came of it is written back,
 * unless the attempt was the end of the process.
 *
 * In kosekifs-verify it also follows orders in documents: ATTACK:crash, loop, allocate, lie, swap,
 * write.
 */
#include "verify/verify_message.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ORDER_GIVEN = 1, ORDER_TAKEN, ORDER_DONE, SLICE_MS = 20 };

struct orders {
    atomic_int state;
    char name[60];
    char argument[192];
    char result[64];
};

static struct orders *orders;
static bool lie, swap, keep_mapping;

__attribute__((constructor)) static void open_orders(void)
{
    const char *path = getenv("ATTACK_ORDERS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = fd < 0 ? MAP_FAILED
                          : (void *)syscall(SYS_mmap, NULL, sizeof *orders, PROT_READ | PROT_WRITE,
                                            MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (memory != MAP_FAILED)
        orders = memory;
}

/* --- what is tried ---------------------------------------------------------------------------- */

static long number(void)
{
    return strtol(orders->argument, NULL, 10);
}

static long try_open(void)
{
    return syscall(SYS_openat, AT_FDCWD, orders->argument, O_RDONLY);
}

static long try_create(void)
{
    return syscall(SYS_openat, AT_FDCWD, orders->argument, O_WRONLY | O_CREAT, 0600);
}

static long try_socket(void)
{
    return syscall(SYS_socket, number(), SOCK_STREAM, 0);
}

static long try_connect(void)
{
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)number()),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? fd : syscall(SYS_connect, fd, &there, sizeof there);
}

static long try_fork(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static long try_execute(void)
{
    char *const arguments[] = {orders->argument, NULL};
    return syscall(SYS_execve, orders->argument, arguments, arguments + 1);
}

static long try_trace(void)
{
    return syscall(SYS_ptrace, PTRACE_ATTACH, number(), 0, 0);
}

static long try_signal(void)
{
    return syscall(SYS_kill, number(), SIGKILL);
}

static long try_read_memory(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)&orders, 1};
    return syscall(SYS_process_vm_readv, number(), &here, 1, &there, 1, 0);
}

static long try_executable_memory(void)
{
    return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The next memory file that is written stays mapped for writing. */
static long try_keep_mapping(void)
{
    keep_mapping = true;
    return 0;
}

/* A system call by its number, with arguments that would do harm where there are any. */
static long try_call(void)
{
    char *next;
    long call = strtol(orders->argument, &next, 10);
    long first = strtol(next, &next, 0), second = strtol(next, NULL, 0);
    return syscall(call, first, second, 0, 0, 0, 0);
}

static const struct {
    const char *name;
    long (*run)(void);
} attacks[] = {
    {"open", try_open},
    {"create", try_create},
    {"socket", try_socket},
    {"connect", try_connect},
    {"fork", try_fork},
    {"execute", try_execute},
    {"trace", try_trace},
    {"signal", try_signal},
    {"read-memory", try_read_memory},
    {"executable-memory", try_executable_memory},
    {"keep-mapping", try_keep_mapping},
    {"call", try_call},
};

static void report(long result)
{
    snprintf(orders->result, sizeof orders->result, "%s",
             result >= 0 ? "done" : strerrorname_np(errno));
    atomic_store(&orders->state, ORDER_DONE);
}

static void follow_orders(void)
{
    int given = ORDER_GIVEN;
    if (!orders || !atomic_compare_exchange_strong(&orders->state, &given, ORDER_TAKEN))
        return;
    errno = 0;
    long result = -1;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
        if (strcmp(orders->name, attacks[i].name) == 0)
            result = attacks[i].run();
    report(result);
}

/* --- where it stands in the process's way ----------------------------------------------------- */

/* In slices, so that orders are seen. */
static int sliced_poll(struct pollfd *fds, nfds_t count, int timeout_ms, const sigset_t *mask)
{
    for (;;) {
        follow_orders();
        int slice = timeout_ms < 0 || timeout_ms > SLICE_MS ? SLICE_MS : timeout_ms;
        struct timespec time = {.tv_nsec = slice * 1000000L};
        long r = syscall(SYS_ppoll, fds, count, &time, mask, _NSIG / 8);
        if (timeout_ms > 0)
            timeout_ms -= slice;
        if (r != 0 || timeout_ms == 0)
            return (int)r;
    }
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return sliced_poll(fds, count, timeout_ms, NULL);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size)
{
    (void)size;
    return sliced_poll(fds, count, timeout_ms, NULL);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    return sliced_poll(fds, count,
                       timeout ? (int)(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000) : -1,
                       mask);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t size)
{
    (void)size;
    return ppoll(fds, count, timeout, mask);
}

static void allocate_all(void)
{
    for (;;) {
        char *memory = malloc(1 << 20);
        if (!memory)
            abort();
        memset(memory, 1, 1 << 20);
    }
}

static void read_document(const char *bytes, size_t size, int fd)
{
    static const char mark[] = "ATTACK:";
    const char *word = memmem(bytes, size, mark, sizeof mark - 1);
    if (!word || (size_t)(bytes + size - word) < sizeof mark + 8)
        return;
    word += sizeof mark - 1;
    if (strncmp(word, "crash", 5) == 0)
        *(volatile int *)0 = 1;
    if (strncmp(word, "allocate", 8) == 0)
        allocate_all();
    if (strncmp(word, "write", 5) == 0)
        report(syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    lie = strncmp(word, "lie", 3) == 0;
    swap = strncmp(word, "swap", 4) == 0;
    while (strncmp(word, "loop", 4) == 0)
        __asm__ volatile("" ::: "memory");
}

/* Of files with offsets of 64 bits, as all programs here are built. */
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *memory = (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
    struct stat status;
    if (memory != MAP_FAILED && fd >= 0 && protection == PROT_READ && getenv("ATTACK_DOCUMENTS") &&
        fstat(fd, &status) == 0 && size <= (size_t)status.st_size)
        read_document(memory, size, fd);
    return memory;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (keep_mapping) {
        keep_mapping = false;
        (void)!syscall(SYS_ftruncate, fd, 4096);
        (void)!syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

/* A swap: the verdict is as it was found, but says that it is about another document. */
static void swap_document(const struct msghdr *message)
{
    enum { TYPE_AT = 4, DIGEST_AT = 3 + 4 * 8 }; /* base/ipc.c, base/verdict.c */
    uint32_t type = 0;
    if (message->msg_iovlen != 2 || message->msg_iov[0].iov_len < TYPE_AT + sizeof type)
        return;
    memcpy(&type, (char *)message->msg_iov[0].iov_base + TYPE_AT, sizeof type);
    if (type != VERIFY_REPLY || message->msg_iov[1].iov_len <= DIGEST_AT)
        return;
    ((char *)message->msg_iov[1].iov_base)[DIGEST_AT] ^= 0x55;
    swap = false;
}

/* A lie: the verdict is about something else. The digest begins somewhere in the encoded verdict;
 * whichever byte is another, the message or the document is not what was asked for. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (lie && message->msg_iovlen > 0) {
        struct iovec *last = &message->msg_iov[message->msg_iovlen - 1];
        lie = false;
        for (size_t i = 0; i < 80 && i < last->iov_len; i++)
            ((char *)last->iov_base)[i] = (char)(((char *)last->iov_base)[i] ^ 0x55);
    }
    if (swap)
        swap_document(message);
    return syscall(SYS_sendmsg, fd, message, flags);
}
