/* kosekifs.conf(5) names every key in its section with its default, and no key that is none. */
#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static char *manual;

static int read_manual(void **state)
{
    (void)state;
    _cleanup_fclose_ FILE *file = fopen(CONFIG_MANUAL, "re");
    size_t size = 0;
    return file && getdelim(&manual, &size, '\0', file) > 0 ? 0 : -1;
}

static int free_manual(void **state)
{
    (void)state;
    free(manual);
    return 0;
}

struct documented {
    const char *section, *name, *text;
    bool required, list;
};

static const struct documented keys[] = {
#define DOCUMENTED_LIST true
#define DOCUMENTED_TEXT false
#define DOCUMENTED_NUMBER false
#define DOCUMENTED_MILLISECONDS false
#define DOCUMENTED_BOOL false
#define DOCUMENTED(section, type, name, text, least)                                               \
    {section, #name, text, sizeof text == 1 && (least) > 0, DOCUMENTED_##type},
#define MOUNT(type, name, size, text, least, most, help)                                           \
    DOCUMENTED("mount", type, name, text, least)
#define LINK(type, name, size, text, least, most, help) DOCUMENTED("link", type, name, text, least)
#define KEYS(type, name, size, text, least, most, help) DOCUMENTED("keys", type, name, text, least)
#define TRUST(type, name, size, text, least, most, help)                                           \
    DOCUMENTED("trust", type, name, text, least)
#define CRL(type, name, size, text, least, most, help) DOCUMENTED("crl", type, name, text, least)
#define AUDIT(type, name, size, text, least, most, help)                                           \
    DOCUMENTED("audit", type, name, text, least)
#define ALERTS(type, name, size, text, least, most, help)                                          \
    DOCUMENTED("alerts", type, name, text, least)
#define SANDBOX(type, name, size, text, least, most, help)                                         \
    DOCUMENTED("sandbox", type, name, text, least)
#define RETENTION(type, name, size, text, least, most, help)                                       \
    DOCUMENTED("retention", type, name, text, least)
#define BACKUP(type, name, size, text, least, most, help)                                          \
    DOCUMENTED("backup", type, name, text, least)
#define REPLICA(type, name, size, text, least, most, help)                                         \
    DOCUMENTED("replica", type, name, text, least)
#define WAIVERS(type, name, size, text, least, most, help)                                         \
    DOCUMENTED("waivers", type, name, text, least)
#define SCAN(type, name, size, text, least, most, help) DOCUMENTED("scan", type, name, text, least)
#define INVENTORY(type, name, size, text, least, most, help)                                       \
    DOCUMENTED("inventory", type, name, text, least)
#define USERS(type, name, size, text, least, most, help)                                           \
    DOCUMENTED("users", type, name, text, least)
    CONFIG_MOUNT(MOUNT) CONFIG_LINK(LINK) CONFIG_KEYS(KEYS) CONFIG_TRUST(TRUST) CONFIG_CRL(CRL)
        CONFIG_AUDIT(AUDIT) CONFIG_ALERTS(ALERTS) CONFIG_RETENTION(RETENTION) CONFIG_BACKUP(BACKUP)
            CONFIG_REPLICA(REPLICA) CONFIG_WAIVERS(WAIVERS) CONFIG_SCAN(SCAN)
                CONFIG_INVENTORY(INVENTORY) CONFIG_USERS(USERS) CONFIG_SANDBOX(SANDBOX)};

/* The text of a section, from its heading to the next. */
static char *section_of(const char *name)
{
    char heading[64];
    snprintf(heading, sizeof heading, ".SH \"[%s]\"\n", name);
    const char *start = strstr(manual, heading);
    if (!start)
        fail_msg("no section [%s]", name);
    start += strlen(heading);
    const char *end = strstr(start, "\n.SH ");
    assert_non_null(end);
    return strndup(start, (size_t)(end + 1 - start));
}

static void every_key_is_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char begin[256];
        _cleanup_free_ char *section = section_of(keys[i].section);
        snprintf(begin, sizeof begin, ".TP\n.B %s\n(%s%s%s)", keys[i].name,
                 keys[i].required ? "required"
                 : *keys[i].text  ? "default "
                                  : "default: none",
                 keys[i].text, keys[i].list ? "; list" : "");
        if (!strstr(section, begin))
            fail_msg("[%s] lacks:\n%s", keys[i].section, begin);
    }
}

static void nothing_else_is_documented(void **state)
{
    (void)state;
    size_t count = 0;
    for (const char *next = manual; (next = strstr(next, ".TP\n.B ")); next++)
        count++;
    assert_int_equal(count, sizeof keys / sizeof keys[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_documented),
        cmocka_unit_test(nothing_else_is_documented),
    };
    return cmocka_run_group_tests(tests, read_manual, free_manual);
}
