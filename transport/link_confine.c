/*
 * uid          its own, [users] link
 * capabilities none
 * files        what name resolution reads, of which all is open to everybody; it writes none
 * network      TCP to the ports of the link system and of name servers, UDP; nothing is listened
 * on. Landlock knows no addresses: those belong into the unit (IPAddressAllow=) or the firewall
 * processes    threads, in which libcurl resolves names; no other
 */
#include "transport/link_confine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { PORT_DNS = 53, PORT_HTTP = 80, SOCKET_KIND = 0xf };

/* Whole directories, since resolv.conf is replaced by a new file when the network changes. */
static const struct landlock_path paths[] = {
    {"/etc", .rights = LANDLOCK_READ_FILE},
    {"/run/systemd/resolve", .rights = LANDLOCK_READ_FILE},
    {"/run/resolvconf", .rights = LANDLOCK_READ_FILE},
    {"/run/NetworkManager", .rights = LANDLOCK_READ_FILE},
};

static const struct syscall_rule syscalls[] = {
    /* Connections. Name services that need a socket of their own (nscd, systemd-resolved by
     * varlink) are told that there is none; files and DNS remain. */
    {"socket", {SYSCALL_IS(0, AF_INET), {1, SOCKET_KIND, SOCK_STREAM}}},
    {"socket", {SYSCALL_IS(0, AF_INET), {1, SOCKET_KIND, SOCK_DGRAM}}},
    {"socket", {SYSCALL_IS(0, AF_INET6), {1, SOCKET_KIND, SOCK_STREAM}}},
    {"socket", {SYSCALL_IS(0, AF_INET6), {1, SOCKET_KIND, SOCK_DGRAM}}},
    {"socket", {SYSCALL_IS(0, AF_UNIX)}, EAFNOSUPPORT},
    {"socket", {SYSCALL_IS(0, AF_NETLINK)}, EAFNOSUPPORT},
    {"socketpair", {SYSCALL_IS(0, AF_UNIX)}}, /* libcurl wakes itself */
    {"connect"},
    {"bind"}, /* [link] source_address */
    {"getsockname"},
    {"getpeername"},
    {"getsockopt"},
    {"setsockopt"},
    {"sendto"},
    {"sendmmsg"},
    {"recvfrom"},
    {"shutdown"},
    {"ioctl", {SYSCALL_IS(1, FIONREAD)}},
    /* Bodies, into memory files that kosekifs-mount made. */
    {"pwrite64"},
    {"pread64"},
    {"ftruncate"},
    {"lseek"},
    /* Name resolution reads its files, in threads. */
    {"openat", {SYSCALL_LACKS(2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)}},
    {"newfstatat", {SYSCALL_LACKS(3, SYSCALL_EMPTY_PATH)}},
    {"access", .error = EACCES},
    {"readlink", .error = EACCES},
    {"uname"},
    {"sysinfo"},
    {"sched_getaffinity"},
    {"clone3", .error = ENOSYS}, /* its flags are in memory, where no filter sees them */
    {"clone", {SYSCALL_HAS(0, CLONE_VM | CLONE_THREAD)}},
    {"set_robust_list"},
    {"rseq"},
    /* A name service that would be a library is not loaded. */
    {"mmap", {SYSCALL_HAS(2, PROT_EXEC)}, EACCES},
    {NULL},
};

void link_confine_init(struct link_confine *confine, const struct endpoints *endpoints,
                       const char *crl_hosts)
{
    unsigned count = 0;
    confine->ports[count++] = PORT_DNS;
    confine->ports[count++] = 0;
    for (unsigned i = 0; i < endpoints->count; i++)
        confine->ports[count++] = endpoints->list[i].host.port;
    char host[256];
    for (unsigned i = 0; i < LINK_CRL_HOSTS_MAX && config_list_next(&crl_hosts, host, sizeof host);
         i++) {
        const char *port = strchr(host, ':');
        confine->ports[count++] = port ? (uint16_t)strtoul(port + 1, NULL, 10) : PORT_HTTP;
    }
    confine->table = (struct confine){
        .paths = paths,
        .path_count = sizeof paths / sizeof paths[0],
        .ports = confine->ports,
        .port_count = count,
        .syscalls = syscalls,
    };
}
