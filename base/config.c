/*
 * The table of keys, made from the lists in config.h, and what walks it: defaults, the taking of
 * one value, the check of what is missing, and the dump.
 */
#include "base/config.h"

#include "base/config_values.h"
#include "base/inifile.h"
#include "base/key_source.h"
#include "base/link_url.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum value_type { TYPE_TEXT, TYPE_LIST, TYPE_NUMBER, TYPE_MILLISECONDS, TYPE_BOOL };

struct key {
    const char *section;
    const char *name;
    enum value_type type;
    size_t offset;
    size_t size;
    const char *text; /* the default */
    int64_t least;
    int64_t most;
    const char *help;
};

#define KEY(section, type, name, text, least, most, help)                                          \
    {#section,                                                                                     \
     #name,                                                                                        \
     TYPE_##type,                                                                                  \
     offsetof(struct config, section.name),                                                        \
     sizeof(((struct config *)0)->section.name),                                                   \
     text,                                                                                         \
     least,                                                                                        \
     most,                                                                                         \
     help},
#define KEY_MOUNT(type, name, size, text, least, most, help)                                       \
    KEY(mount, type, name, text, least, most, help)
#define KEY_LINK(type, name, size, text, least, most, help)                                        \
    KEY(link, type, name, text, least, most, help)
#define KEY_KEYS(type, name, size, text, least, most, help)                                        \
    KEY(keys, type, name, text, least, most, help)
#define KEY_TRUST(type, name, size, text, least, most, help)                                       \
    KEY(trust, type, name, text, least, most, help)
#define KEY_CRL(type, name, size, text, least, most, help)                                         \
    KEY(crl, type, name, text, least, most, help)
#define KEY_AUDIT(type, name, size, text, least, most, help)                                       \
    KEY(audit, type, name, text, least, most, help)
#define KEY_ALERTS(type, name, size, text, least, most, help)                                      \
    KEY(alerts, type, name, text, least, most, help)
#define KEY_RETENTION(type, name, size, text, least, most, help)                                   \
    KEY(retention, type, name, text, least, most, help)
#define KEY_BACKUP(type, name, size, text, least, most, help)                                      \
    KEY(backup, type, name, text, least, most, help)
#define KEY_REPLICA(type, name, size, text, least, most, help)                                     \
    KEY(replica, type, name, text, least, most, help)
#define KEY_WAIVERS(type, name, size, text, least, most, help)                                     \
    KEY(waivers, type, name, text, least, most, help)
#define KEY_SCAN(type, name, size, text, least, most, help)                                        \
    KEY(scan, type, name, text, least, most, help)
#define KEY_INVENTORY(type, name, size, text, least, most, help)                                   \
    KEY(inventory, type, name, text, least, most, help)
#define KEY_USERS(type, name, size, text, least, most, help)                                       \
    KEY(users, type, name, text, least, most, help)
#define KEY_SANDBOX(type, name, size, text, least, most, help)                                     \
    KEY(sandbox, type, name, text, least, most, help)

static const struct key keys[] = {
    CONFIG_MOUNT(KEY_MOUNT) CONFIG_LINK(KEY_LINK) CONFIG_KEYS(KEY_KEYS) CONFIG_TRUST(KEY_TRUST)
        CONFIG_CRL(KEY_CRL) CONFIG_AUDIT(KEY_AUDIT) CONFIG_ALERTS(KEY_ALERTS)
            CONFIG_RETENTION(KEY_RETENTION) CONFIG_BACKUP(KEY_BACKUP) CONFIG_REPLICA(KEY_REPLICA)
                CONFIG_WAIVERS(KEY_WAIVERS) CONFIG_SCAN(KEY_SCAN) CONFIG_INVENTORY(KEY_INVENTORY)
                    CONFIG_USERS(KEY_USERS) CONFIG_SANDBOX(KEY_SANDBOX)};

enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

/* What single values must hold to beyond length and range; a LIST is checked value by value. */
static const struct {
    const char *section;
    const char *name;
    const char *(*check)(const char *text);
} rules[] = {
    {"mount", "state_directory", config_check_path},
    {"mount", "control_socket", config_check_path},
    {"mount", "access_policy", config_check_path},
    {"mount", "id_pattern", config_check_id_pattern},
    {"link", "url", link_url_fault},
    {"link", "profile", config_check_path},
    {"link", "http", config_check_http},
    {"link", "address_family", config_check_address_family},
    {"link", "interface", config_check_interface},
    {"link", "source_address", config_check_address},
    {"link", "resolve", config_check_resolve},
    {"link", "ca_file", config_check_path},
    {"link", "certificate_file", config_check_path},
    {"link", "server_pin", config_check_server_pin},
    {"link", "tls_min", config_check_tls_min},
    {"keys", "master_key", key_source_check},
    {"keys", "previous_master_keys", key_source_check},
    {"keys", "tls_key", key_source_check},
    {"keys", "pkcs11_module", config_check_path},
    {"keys", "pin", key_source_check_file},
    {"keys", "pkcs11_environment", key_source_check_variable},
    {"keys", "pkcs11_paths", config_check_path},
    {"trust", "anchors", config_check_path},
    {"trust", "crls", config_check_path},
    {"trust", "signer_pins", config_check_digest},
    {"trust", "signer_policies", config_check_oid},
    {"trust", "policy", config_check_policy},
    {"trust", "schema_directory", config_check_path},
    {"link", "crl_hosts", config_check_crl_host},
    {"crl", "urls", config_check_crl_url},
    {"crl", "clock", config_check_clock},
    {"audit", "sync", config_check_sync},
    {"audit", "syslog", config_check_path},
    {"audit", "journald", config_check_path},
    {"alerts", "hook", config_check_path},
    {"backup", "ledger", config_check_path},
    {"replica", "path", config_check_path},
    {"scan", "clamd", config_check_path},
    {"scan", "when_down", config_check_when_down},
    {"inventory", "file", config_check_path},
    {"inventory", "on_difference", config_check_on_difference},
    {"sandbox", "level", config_check_sandbox_level},
    {"waivers", "link_authentication", config_check_reason},
    {"waivers", "link_encryption", config_check_reason},
};

struct parse {
    struct config config;
    const char *path;
    int lines[KEY_COUNT]; /* where each key was set last; 0 = not at all */
    bool mistaken;
    config_report *report;
    void *report_context;
};

_printf_(3, 4) static void mistake(struct parse *parse, int line, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    parse->report(parse->report_context, parse->path, line, text);
    parse->mistaken = true;
}

static void *member_of(struct config *config, const struct key *key)
{
    return (char *)config + key->offset;
}

static const char *check_rules(const struct key *key, const char *text)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].section, key->section) == 0 && strcmp(rules[i].name, key->name) == 0)
            return rules[i].check(text);
    }
    return NULL;
}

static void take_text(struct parse *parse, const struct key *key, int line, const char *value)
{
    size_t size = strlen(value);
    const char *wrong = NULL;
    if (size < (size_t)key->least)
        wrong = size == 0 ? "must not be empty" : "is too short";
    else if (size > (size_t)key->most)
        wrong = "is too long";
    else if (size > 0)
        wrong = check_rules(key, value);
    if (wrong)
        mistake(parse, line, "[%s] %s %s", key->section, key->name, wrong);
    else
        memcpy(member_of(&parse->config, key), value, size + 1);
}

/* Appends each word of the line; an empty line of a list adds nothing. */
static void take_list(struct parse *parse, const struct key *key, int line, const char *value)
{
    static const char blanks[] = " \t";
    char *list = member_of(&parse->config, key);
    while (*(value += strspn(value, blanks))) {
        char item[512];
        size_t item_size = strcspn(value, blanks);
        if (item_size >= sizeof item) {
            mistake(parse, line, "[%s] %s: a value is longer than %zu bytes", key->section,
                    key->name, sizeof item - 1);
            return;
        }
        memcpy(item, value, item_size);
        item[item_size] = '\0';
        value += item_size;

        const char *wrong = check_rules(key, item);
        if (wrong) {
            mistake(parse, line, "[%s] %s: \"%s\" %s", key->section, key->name, item, wrong);
            continue;
        }
        size_t before = strlen(list);
        if (before + 1 + item_size > (size_t)key->most) {
            mistake(parse, line, "[%s] %s: the list is longer than %" PRId64 " bytes", key->section,
                    key->name, key->most);
            return;
        }
        if (before > 0)
            list[before++] = ' ';
        memcpy(list + before, item, item_size + 1);
    }
}

static void take_integer(struct parse *parse, const struct key *key, int line, const char *value)
{
    bool time = key->type == TYPE_MILLISECONDS;
    int64_t number;
    if (!(time ? config_parse_milliseconds(value, &number) : config_parse_number(value, &number)))
        mistake(parse, line, "[%s] %s: \"%.64s\" is not %s", key->section, key->name, value,
                time ? "a time such as 500ms, 2s, 5m, 1h or 30d"
                     : "a number such as 100, 64K, 32M or 1G");
    else if (number < key->least || number > key->most)
        mistake(parse, line, "[%s] %s: %.64s is not between %" PRId64 " and %" PRId64 "%s",
                key->section, key->name, value, key->least, key->most, time ? " ms" : "");
    else
        memcpy(member_of(&parse->config, key), &number, sizeof number);
}

static void take_bool(struct parse *parse, const struct key *key, int line, const char *value)
{
    bool flag;
    if (config_parse_bool(value, &flag))
        memcpy(member_of(&parse->config, key), &flag, sizeof flag);
    else
        mistake(parse, line, "[%s] %s: \"%.64s\" is neither yes nor no", key->section, key->name,
                value);
}

static void take_value(struct parse *parse, const struct key *key, int line, const char *value)
{
    switch (key->type) {
    case TYPE_TEXT:
        take_text(parse, key, line, value);
        break;
    case TYPE_LIST:
        take_list(parse, key, line, value);
        break;
    case TYPE_NUMBER:
    case TYPE_MILLISECONDS:
        take_integer(parse, key, line, value);
        break;
    case TYPE_BOOL:
        take_bool(parse, key, line, value);
        break;
    }
}

static bool section_known(const char *section)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].section, section) == 0)
            return true;
    }
    return false;
}

static void take_entry(void *context, int line, const char *section, const char *name,
                       const char *value)
{
    struct parse *parse = context;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
            continue;
        if (parse->lines[i] > 0 && keys[i].type != TYPE_LIST) {
            mistake(parse, line,
                    "[%s] %s stands in line %d already (an indented line continues "
                    "the one above)",
                    section, name, parse->lines[i]);
            return;
        }
        parse->lines[i] = line;
        take_value(parse, &keys[i], line, value);
        return;
    }
    if (*section == '\0')
        mistake(parse, line, "%.64s stands above the first [section]", name);
    else if (!section_known(section))
        mistake(parse, line, "unknown section [%.64s]", section);
    else
        mistake(parse, line, "unknown key %.64s in section [%s]", name, section);
}

static void set_defaults(struct parse *parse)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (*keys[i].text)
            take_value(parse, &keys[i], 0, keys[i].text);
    }
}

static bool is_text(const struct key *key)
{
    return key->type == TYPE_TEXT || key->type == TYPE_LIST;
}

static void check_missing(struct parse *parse)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *text = member_of(&parse->config, &keys[i]);
        if (!is_text(&keys[i]) || keys[i].least == 0 || *text)
            continue;
        /* A value that was refused has been reported where it stands. */
        if (parse->lines[i] == 0 || keys[i].type == TYPE_LIST)
            mistake(parse, parse->lines[i], "[%s] %s is missing: %s", keys[i].section, keys[i].name,
                    keys[i].help);
    }
}

static int line_of(const struct parse *parse, const void *member)
{
    size_t offset = (size_t)((const char *)member - (const char *)&parse->config);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (keys[i].offset == offset)
            return parse->lines[i];
    }
    return 0;
}

static bool uses_token(const struct config_keys *section)
{
    const char *place, *list = section->previous_master_keys;
    char previous[KEY_SOURCE_SIZE];
    bool used = key_source_of(section->master_key, &place) == KEY_SOURCE_TOKEN ||
                key_source_of(section->tls_key, &place) == KEY_SOURCE_TOKEN;
    while (!used && config_list_next(&list, previous, sizeof previous))
        used = key_source_of(previous, &place) == KEY_SOURCE_TOKEN;
    return used;
}

static void check_token(struct parse *parse)
{
    const struct config_keys *section = &parse->config.keys;
    bool used = uses_token(section);
    if (used && section->pkcs11_module[0] == '\0')
        mistake(parse, 0, "[keys] pkcs11_module is missing: a key is on a token");
    if (!used && section->pkcs11_module[0])
        mistake(parse, line_of(parse, &section->pkcs11_module),
                "[keys] pkcs11_module is set and no key is on a token");
    if (!used && section->pin[0])
        mistake(parse, line_of(parse, &section->pin), "[keys] pin is set and no key is on a token");
}

static void check_needed(struct parse *parse, const char *value, const char *name, const char *help)
{
    /* A value that was refused has been reported where it stands. */
    if (*value == '\0' && line_of(parse, value) == 0)
        mistake(parse, 0, "%s is missing: %s", name, help);
}

/* Who leaves out what the standard asks for says so by name, and says why. */
static void check_waivers(struct parse *parse)
{
    const struct config_link *link = &parse->config.link;
    const struct config_waivers *waivers = &parse->config.waivers;
    const char *cursor = link->url;
    char url[512];
    unsigned count = 0, plain = 0;
    while (config_list_next(&cursor, url, sizeof url)) {
        struct link_url_host host = {0};
        link_url_host(url, &host);
        plain += host.plain;
        if (++count > CONFIG_LINK_URLS_MAX)
            mistake(parse, line_of(parse, link->url), "[link] url: more than %d addresses",
                    CONFIG_LINK_URLS_MAX);
    }
    if (plain > 0 && (!*waivers->link_encryption || !*waivers->link_authentication))
        mistake(parse, line_of(parse, link->url),
                "[link] url begins with http://, which only [waivers] link_encryption and "
                "link_authentication together allow");
    if (plain < count || count == 0)
        check_needed(parse, link->ca_file, "[link] ca_file",
                     "PEM: issuers of the link system's server certificate");
    if (*waivers->link_authentication == '\0') {
        check_needed(parse, link->certificate_file, "[link] certificate_file",
                     "PEM: our TLS client certificate and its issuers");
        check_needed(parse, parse->config.keys.tls_key, "[keys] tls_key",
                     "private key of [link] certificate_file");
    } else if ((*link->certificate_file == '\0') != (*parse->config.keys.tls_key == '\0')) {
        mistake(parse, 0, "[link] certificate_file and [keys] tls_key belong together");
    }
}

/* Values that are right by themselves and make no sense together. */
static void check_together(struct parse *parse)
{
    const struct config_mount *mount = &parse->config.mount;
    const struct config_link *link = &parse->config.link;
    if (mount->quota > mount->map_size)
        mistake(parse, line_of(parse, &mount->quota),
                "[mount] quota is larger than map_size: the store cannot hold that much");
    if (mount->lookup_timeout > mount->open_timeout)
        mistake(parse, line_of(parse, &mount->lookup_timeout),
                "[mount] lookup_timeout is longer than open_timeout");
    if (link->connect_timeout > mount->open_timeout)
        mistake(parse, line_of(parse, &link->connect_timeout),
                "[link] connect_timeout is longer than [mount] open_timeout");
    check_token(parse);
}

int config_read(const char *path, config_report *report, void *context, struct config *ret_config)
{
    _cleanup_free_ struct parse *parse = calloc(1, sizeof *parse);
    if (!parse)
        return -ENOMEM;
    parse->path = path;
    parse->report = report;
    parse->report_context = context;
    set_defaults(parse);
    int r = inifile_read(path, take_entry, parse, report, context);
    if (r < 0 && r != -EINVAL)
        return r;
    check_missing(parse);
    check_together(parse);
    check_waivers(parse);
    if (r < 0 || parse->mistaken)
        return -EINVAL;
    *ret_config = parse->config;
    return 0;
}

static void dump_value(const struct key *key, const void *member, FILE *out)
{
    int64_t number = 0;
    char item[512];
    const char *cursor = member;
    switch (key->type) {
    case TYPE_TEXT:
        fprintf(out, "%s = %s\n", key->name, (const char *)member);
        break;
    case TYPE_LIST:
        while (config_list_next(&cursor, item, sizeof item))
            fprintf(out, "%s = %s\n", key->name, item);
        break;
    case TYPE_NUMBER:
    case TYPE_MILLISECONDS:
        memcpy(&number, member, sizeof number);
        fprintf(out, "%s = %" PRId64 "%s\n", key->name, number,
                key->type == TYPE_MILLISECONDS ? "ms" : "");
        break;
    case TYPE_BOOL:
        fprintf(out, "%s = %s\n", key->name, *(const bool *)member ? "yes" : "no");
        break;
    }
}

void config_dump(const struct config *config, FILE *out)
{
    const char *section = "";
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct key *key = &keys[i];
        if (strcmp(section, key->section) != 0)
            fprintf(out, "%s[%s]\n", *section ? "\n" : "", key->section);
        section = key->section;
        fprintf(out, "# %s%s%s%s\n", key->help, *key->text ? " (default " : "", key->text,
                *key->text ? ")" : "");
        dump_value(key, (const char *)config + key->offset, out);
    }
}

bool config_list_next(const char **cursor, char *out, size_t out_size)
{
    size_t size = strcspn(*cursor, " ");
    if (size == 0 || size >= out_size)
        return false;
    memcpy(out, *cursor, size);
    out[size] = '\0';
    *cursor += size;
    *cursor += **cursor == ' ';
    return true;
}
