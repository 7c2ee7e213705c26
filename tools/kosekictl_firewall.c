/*
 * See kosekictl_firewall.h. Names are resolved now, so the output is as good as the answer of
 * today's name server; with [link] resolve it follows from the configuration alone.
 */
#include "tools/kosekictl_firewall.h"

#include "base/config.h"
#include "base/link_url.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#define DEFAULT_CONFIG "/etc/kosekifs/kosekifs.conf"

enum { DESTINATIONS_MAX = 64 };

struct destination {
    char address[INET6_ADDRSTRLEN];
    uint16_t port;
};

struct firewall {
    struct config config;
    struct destination list[DESTINATIONS_MAX];
    unsigned count;
    bool asks_names; /* some name is asked for at a name server */
};

static void complain(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "kosekictl: %s:%d: %s\n", file, line, text);
}

static bool is_six(const char *address)
{
    return strchr(address, ':') != NULL;
}

static bool wanted_family(const struct firewall *firewall, const char *address)
{
    const char *family = firewall->config.link.address_family;
    return strcmp(family, "any") == 0 || (strcmp(family, "6") == 0) == is_six(address);
}

static void add(struct firewall *firewall, const char *address, uint16_t port)
{
    if (!wanted_family(firewall, address) || firewall->count == DESTINATIONS_MAX)
        return;
    for (unsigned i = 0; i < firewall->count; i++)
        if (firewall->list[i].port == port && strcmp(firewall->list[i].address, address) == 0)
            return;
    struct destination *destination = &firewall->list[firewall->count++];
    snprintf(destination->address, sizeof destination->address, "%s", address);
    destination->port = port;
}

/* False if [link] resolve does not know the host. */
static bool add_configured(struct firewall *firewall, const struct link_url_host *host)
{
    const char *cursor = firewall->config.link.resolve;
    char item[512];
    bool known = false;
    while (config_list_next(&cursor, item, sizeof item)) {
        char *addresses = strchr(item, '=');
        if (!addresses)
            continue;
        *addresses++ = '\0';
        if (strcmp(item, host->host) != 0)
            continue;
        known = true;
        for (char *saved, *address = strtok_r(addresses, ",", &saved); address;
             address = strtok_r(NULL, ",", &saved))
            add(firewall, address, host->port);
    }
    return known;
}

static int add_host(struct firewall *firewall, const struct link_url_host *host)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct in6_addr binary;
    if (add_configured(firewall, host))
        return 0;
    int r = getaddrinfo(host->host, NULL, &hints, &found);
    if (r != 0) {
        fprintf(stderr, "kosekictl: %s: %s (an address in [link] resolve would do)\n", host->host,
                gai_strerror(r));
        return EX_NOHOST;
    }
    for (const struct addrinfo *next = found; next; next = next->ai_next) {
        char text[INET6_ADDRSTRLEN];
        if (getnameinfo(next->ai_addr, next->ai_addrlen, text, sizeof text, NULL, 0,
                        NI_NUMERICHOST) == 0)
            add(firewall, text, host->port);
    }
    freeaddrinfo(found);
    if (inet_pton(AF_INET, host->host, &binary) != 1 &&
        inet_pton(AF_INET6, host->host, &binary) != 1)
        firewall->asks_names = true;
    return 0;
}

static int read_all(struct firewall *firewall, const char *path)
{
    char url[512];
    if (config_read(path, complain, NULL, &firewall->config) < 0)
        return EX_CONFIG;
    const char *cursor = firewall->config.link.url;
    while (config_list_next(&cursor, url, sizeof url)) {
        struct link_url_host host = {0};
        link_url_host(url, &host);
        int status = add_host(firewall, &host);
        if (status != 0)
            return status;
    }
    return 0;
}

/* Only what the link's own user sends is judged: packets that no socket sends, the kernel's resets
 * and ICMP, have no user at all. */
static void print_nftables(const struct firewall *firewall)
{
    const struct config_link *link = &firewall->config.link;
    const char *user = firewall->config.users.link;
    printf("#!/usr/sbin/nft -f\n"
           "# kosekifs: what %s may reach. Made by kosekictl firewall; load with nft -f.\n"
           "table inet kosekifs\ndelete table inet kosekifs\n"
           "table inet kosekifs {\n"
           "    chain output {\n"
           "        type filter hook output priority filter; policy accept;\n"
           "        meta skuid \"%s\" jump link\n"
           "    }\n"
           "    chain link {\n",
           user, user);
    for (unsigned i = 0; i < firewall->count; i++) {
        const struct destination *to = &firewall->list[i];
        printf("        ");
        if (link->interface[0])
            printf("oifname \"%s\" ", link->interface);
        if (link->source_address[0] && is_six(link->source_address) == is_six(to->address))
            printf("%s saddr %s ", is_six(to->address) ? "ip6" : "ip", link->source_address);
        printf("%s daddr %s tcp dport %u accept\n", is_six(to->address) ? "ip6" : "ip", to->address,
               to->port);
    }
    if (firewall->asks_names)
        printf("        # name servers of /etc/resolv.conf; not needed with [link] resolve\n"
               "        udp dport 53 accept\n        tcp dport 53 accept\n");
    printf("        counter reject with icmpx type admin-prohibited\n    }\n}\n");
}

static void print_systemd(const struct firewall *firewall)
{
    printf("# /etc/systemd/system/kosekifs.service.d/addresses.conf\n"
           "# Made by kosekictl firewall. Addresses for all processes of the unit; ports are "
           "nftables'.\n"
           "[Service]\nIPAddressDeny=any\n");
    for (unsigned i = 0; i < firewall->count; i++)
        printf("IPAddressAllow=%s\n", firewall->list[i].address);
    if (firewall->asks_names)
        printf("# Add the addresses of your name servers, or name addresses in [link] resolve.\n");
}

static int usage(void)
{
    fputs("kosekictl: usage: kosekictl firewall [--config FILE] [nftables | systemd]\n", stderr);
    return EX_USAGE;
}

int kosekictl_firewall(int argc, char **argv)
{
    static struct firewall firewall;
    const char *path = DEFAULT_CONFIG, *form = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (!form && (strcmp(argv[i], "nftables") == 0 || strcmp(argv[i], "systemd") == 0))
            form = argv[i];
        else
            return usage();
    }
    int status = read_all(&firewall, path);
    if (status == 0 && (!form || strcmp(form, "nftables") == 0))
        print_nftables(&firewall);
    if (status == 0 && (!form || strcmp(form, "systemd") == 0))
        print_systemd(&firewall);
    return status;
}
