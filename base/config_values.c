/* See base/config_values.h. Locale-free on purpose. */
#include "base/config_values.h"

#include <arpa/inet.h>
#include <string.h>

/* The digits at the start of `text`; the rest is in *ret_rest. */
static bool parse_digits(const char *text, int64_t *ret_value, const char **ret_rest)
{
    int64_t value = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            return false;
    }
    *ret_value = value;
    *ret_rest = text;
    return true;
}

struct unit {
    const char *suffix;
    int64_t factor;
};

static bool parse_with_unit(const char *text, const struct unit *units, size_t unit_count,
                            int64_t *ret_value)
{
    int64_t value;
    const char *suffix;
    if (!parse_digits(text, &value, &suffix))
        return false;
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(suffix, units[i].suffix) != 0)
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value))
            return false;
        *ret_value = value;
        return true;
    }
    return false;
}

bool config_parse_number(const char *text, int64_t *ret_value)
{
    static const struct unit units[] = {
        {"", 1}, {"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}};
    return parse_with_unit(text, units, sizeof units / sizeof units[0], ret_value);
}

bool config_parse_milliseconds(const char *text, int64_t *ret_value)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    if (strcmp(text, "0") == 0) {
        *ret_value = 0;
        return true;
    }
    return parse_with_unit(text, units, sizeof units / sizeof units[0], ret_value);
}

bool config_parse_bool(const char *text, bool *ret_value)
{
    if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return false;
    *ret_value = strcmp(text, "yes") == 0;
    return true;
}

const char *config_check_path(const char *text)
{
    return *text == '/' ? NULL : "is not an absolute path";
}

const char *config_check_http(const char *text)
{
    return strcmp(text, "1.1") != 0 && strcmp(text, "2") != 0 ? "is neither 1.1 nor 2" : NULL;
}

const char *config_check_address_family(const char *text)
{
    if (strcmp(text, "any") != 0 && strcmp(text, "4") != 0 && strcmp(text, "6") != 0)
        return "is none of any, 4, 6";
    return NULL;
}

const char *config_check_interface(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return text[strspn(text, allowed)] == '\0' ? NULL : "is not the name of a network interface";
}

const char *config_check_address(const char *text)
{
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
               ? NULL
               : "is neither an IPv4 nor an IPv6 address";
}

const char *config_check_resolve(const char *text)
{
    static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    size_t host_size = strspn(text, host);
    if (host_size == 0 || text[host_size] != '=')
        return "is not of the form HOST=ADDRESS[,ADDRESS]";
    const char *addresses = text + host_size;
    while (*addresses) {
        char address[INET6_ADDRSTRLEN];
        size_t size = strcspn(++addresses, ",");
        if (size == 0 || size >= sizeof address)
            return "has an address that is none";
        memcpy(address, addresses, size);
        address[size] = '\0';
        const char *fault = config_check_address(address);
        if (fault)
            return fault;
        addresses += size;
    }
    return NULL;
}

const char *config_check_reason(const char *text)
{
    enum { REASON_MIN = 8 };
    return strlen(text) < REASON_MIN ? "is no reason that another person understands" : NULL;
}

const char *config_check_tls_min(const char *text)
{
    if (strcmp(text, "1.2") != 0 && strcmp(text, "1.3") != 0)
        return "is neither 1.2 nor 1.3";
    return NULL;
}

const char *config_check_policy(const char *text)
{
    static const char *const levels[] = {"fail", "warn", "ignore"};
    size_t name_size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
    if (name_size == 0 || text[name_size] != '=')
        return "is not of the form NAME=LEVEL";
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(text + name_size + 1, levels[i]) == 0)
            return NULL;
    }
    return "has a level that is none of fail, warn, ignore";
}

const char *config_check_digest(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64
               ? NULL
               : "is not a SHA-256 in 64 hexadecimal digits";
}

const char *config_check_crl_host(const char *text)
{
    size_t host = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    const char *port = text + host;
    bool good =
        host > 0 && (*port == '\0' || (*port == ':' && port[1] != '\0' && strlen(port) <= 6 &&
                                       port[1 + strspn(port + 1, "0123456789")] == '\0'));
    return good ? NULL : "is not HOST or HOST:PORT";
}

const char *config_check_crl_url(const char *text)
{
    if (strncmp(text, "http://", 7) != 0 || text[7] == '\0' || text[7] == '/')
        return "is not an address that begins with http://";
    return strlen(text) < 256 ? NULL : "is longer than 255 bytes";
}

const char *config_check_clock(const char *text)
{
    return strcmp(text, "warn") == 0 || strcmp(text, "refuse") == 0 ? NULL
                                                                    : "is neither warn nor refuse";
}

const char *config_check_oid(const char *text)
{
    const char *dot = strchr(text, '.');
    return text[0] >= '0' && text[0] <= '2' && dot == text + 1 && dot[1] && !strstr(text, "..") &&
                   text[strlen(text) - 1] != '.' && text[strspn(text, "0123456789.")] == '\0' &&
                   strlen(text) < 128
               ? NULL
               : "is not an object identifier such as 1.2.392.200";
}

const char *config_check_id_pattern(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*?[]!";
    return text[strspn(text, allowed)] == '\0'
               ? NULL
               : "contains a character that no request id and no glob contains";
}

const char *config_check_server_pin(const char *text)
{
    static const char prefix[] = "sha256//";
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { DIGITS = 43 }; /* 32 bytes in base64, and one "=" */
    for (;;) {
        if (strncmp(text, prefix, sizeof prefix - 1) != 0)
            return "does not start with sha256//";
        text += sizeof prefix - 1;
        if (strspn(text, base64) != DIGITS || text[DIGITS] != '=')
            return "is not the base64 of 32 bytes behind sha256//";
        text += DIGITS + 1;
        if (*text == '\0')
            return NULL;
        if (*text++ != ';')
            return "has text behind the digest (several are separated by ;)";
    }
}

const char *config_check_sync(const char *text)
{
    if (strcmp(text, "written") != 0 && strcmp(text, "group") != 0 && strcmp(text, "each") != 0)
        return "is none of written, group, each";
    return NULL;
}

const char *config_check_when_down(const char *text)
{
    return strcmp(text, "refuse") == 0 || strcmp(text, "accept") == 0
               ? NULL
               : "is neither refuse nor accept";
}

const char *config_check_on_difference(const char *text)
{
    return strcmp(text, "alert") == 0 || strcmp(text, "refuse") == 0
               ? NULL
               : "is neither alert nor refuse";
}

const char *config_check_sandbox_level(const char *text)
{
    return strcmp(text, "best") == 0 || strcmp(text, "full") == 0 ? NULL
                                                                  : "is neither best nor full";
}
