/* kosekifs.conf: defaults, values, every kind of mistake, and the dump that reads back. */
#include "base/config.h"
#include "base/key_source.h"

#include "scratch_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const char required[] = "[link]\n"
                               "url = https://link.example/certificates/{name}\n"
                               "ca_file = /etc/kosekifs/link-ca.pem\n"
                               "certificate_file = /etc/kosekifs/client.pem\n"
                               "[keys]\n"
                               "master_key = /etc/kosekifs/master.key\n"
                               "tls_key = /etc/kosekifs/client.key\n"
                               "[trust]\n"
                               "anchors = /etc/kosekifs/anchor.pem\n"
                               "signer_dn = CN=Minister \\; of Justice ; x,C=JP\n";

struct outcome {
    int r;
    struct config config;
    struct mistakes mistakes;
};

/* Reads the required keys and then `more`. */
static struct outcome *read_with(const char *more)
{
    static struct outcome outcome;
    char text[16384];
    __attribute__((cleanup(scratch_file_close))) struct scratch_file file = {.fd = -1};
    memset(&outcome, 0, sizeof outcome);
    int size = snprintf(text, sizeof text, "%s%s", required, more);
    assert_int_equal(scratch_file_open(&file, text, (size_t)size), 0);
    outcome.r = config_read(file.path, mistakes_note, &outcome.mistakes, &outcome.config);
    return &outcome;
}

static void defaults_hold(void **state)
{
    (void)state;
    struct outcome *outcome = read_with("");
    assert_string_equal(outcome->mistakes.text, "");
    assert_int_equal(outcome->r, 0);
    const struct config *config = &outcome->config;
    assert_string_equal(config->mount.state_directory, "/var/lib/kosekifs");
    assert_string_equal(config->mount.control_group, "");
    assert_string_equal(config->mount.id_pattern, "*");
    assert_int_equal(config->mount.lookup_timeout, 2000);
    assert_int_equal(config->mount.open_timeout, 60000);
    assert_int_equal(config->mount.body_max, 33554432);
    assert_true(config->mount.map_size == 68719476736);
    assert_int_equal(config->link.low_speed_bytes, 1024);
    assert_string_equal(config->link.tls_min, "1.3");
    assert_string_equal(config->users.keys, "kosekifs-keys");
    assert_string_equal(config->trust.crls, "");
    assert_string_equal(config->audit.sync, "written");
    assert_true(config->alerts.root);
    assert_string_equal(config->trust.signer_dn, "CN=Minister \\; of Justice ; x,C=JP");
}

static void values_are_taken(void **state)
{
    (void)state;
    struct outcome *outcome = read_with("[mount]\n"
                                        "lookup_timeout = 250ms\n"
                                        "open_timeout = 2m\n"
                                        "negative_timeout = 0\n"
                                        "body_max = 1M\n"
                                        "waiters_max = 7\n"
                                        "[link]\n"
                                        "server_pin = " PIN ";" PIN "\n"
                                        "tls_min = 1.2\n"
                                        "[trust]\n"
                                        "crls = /a\t/b   /c\n"
                                        "   /d\n"
                                        "anchors = /second.pem\n"
                                        "policy = algorithm.sha1=warn producer=ignore\n"
                                        "[alerts]\n"
                                        "root = no\n");
    assert_string_equal(outcome->mistakes.text, "");
    const struct config *config = &outcome->config;
    assert_int_equal(config->mount.lookup_timeout, 250);
    assert_int_equal(config->mount.open_timeout, 120000);
    assert_int_equal(config->mount.negative_timeout, 0);
    assert_int_equal(config->mount.body_max, 1048576);
    assert_int_equal(config->mount.waiters_max, 7);
    assert_string_equal(config->link.tls_min, "1.2");
    assert_string_equal(config->trust.crls, "/a /b /c /d");
    assert_string_equal(config->trust.anchors, "/etc/kosekifs/anchor.pem /second.pem");
    assert_string_equal(config->trust.policy, "algorithm.sha1=warn producer=ignore");
    assert_false(config->alerts.root);
}

static void single_mistakes(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "[mount]\nunknown = 1",
        "[Mount]\nquota = 1",
        "[mount]\nQuota = 1",
        "[elsewhere]\nquota = 1",
        "[mount]\nbody_max = ",
        "[mount]\nbody_max = 1023",
        "[mount]\nbody_max = -1",
        "[mount]\nbody_max = 2G",
        "[mount]\nbody_max = 32m",
        "[mount]\nbody_max = 32MB",
        "[mount]\nbody_max = 32 M",
        "[mount]\nbody_max = 0x1000",
        "[mount]\nbody_max = 9223372036854775808",
        "[mount]\nbody_max = 9007199254740993G",
        "[mount]\nwaiters_max = 0",
        "[mount]\nopen_timeout = 5",
        "[mount]\nopen_timeout = 5 s",
        "[mount]\nopen_timeout = 1d",
        "[mount]\nopen_timeout = 2h",
        "[mount]\nopen_timeout = 1.5s",
        "[mount]\nopen_timeout = 0",
        "[mount]\nlookup_timeout = 9ms",
        "[mount]\nstate_directory = relative/path",
        "[mount]\nstate_directory =",
        "[mount]\naccess_policy = access.conf",
        "[mount]\nid_pattern = a/b",
        "[mount]\nid_pattern = {a,b}",
        "[mount]\nquota = 1G\nquota = 2G",
        "[mount]\nquota = 1G\n  2G",
        "[mount]\nquota = 65G",
        "[mount]\nopen_timeout = 1s",
        "[link]\nurl = http://a/{name}",
        "[link]\nhttp = 3",
        "[link]\naddress_family = 5",
        "[link]\ninterface = eth0/1",
        "[link]\nsource_address = here",
        "[link]\nresolve = link.example",
        "[link]\nresolve = link.example=",
        "[link]\nresolve = link.example=10.0.0.1,",
        "[link]\nresolve = link.example=10.0.0.256",
        "[link]\nprofile = profile.conf",
        "[waivers]\nlink_encryption = yes",
        "[waivers]\nlink_encryption = same machine room\n[link]\nurl = http://a/{name}",
        "[waivers]\nlink_anything = same machine room",
        "[link]\nserver_pin = sha256//AAAA",
        "[link]\nserver_pin = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "[link]\nserver_pin = " PIN "x",
        "[link]\nserver_pin = " PIN ";",
        "[link]\ntls_min = 1.1",
        "[link]\ntls_min = 13",
        "[link]\nlow_speed_time = 1",
        "[trust]\ncrls = crls.d",
        "[trust]\npolicy = revocation",
        "[trust]\npolicy = =warn",
        "[trust]\npolicy = revocation=maybe",
        "[trust]\npolicy = revocation = warn",
        "[trust]\npolicy = Revocation=warn",
        "[trust]\nsigner_dn = CN=other",
        "[users]\nmount =",
        "[audit]\nsync = always",
        "[audit]\nsyslog = syslog",
        "[alerts]\nhook = hook.sh",
        "[alerts]\nroot = true",
        "[alerts]\nroot =",
        "quota",
        "[mount",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct outcome *outcome = read_with(lines[i]);
        if (outcome->r != -EINVAL)
            fail_msg("accepted: %s", lines[i]);
        assert_true(outcome->mistakes.count >= 1);
        assert_int_equal(outcome->config.mount.body_max, 0); /* untouched */
    }
}

static void urls(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "http://a/{name}",         "HTTPS://a/{name}",
        "https://{name}",          "https:///{name}",
        "https://a/name",          "https://a",
        "https://a/{name}/{name}", "https://a/{name}{id}",
        "https://a/{id}",          "https://a/{name",
        "https://u:p@a/{name}",    "https://a/ {name}",
        "https://a/{name}#x",      "a/{name}",
        "https://{name}/x",        "https://a/}{name}",
        "file:///{name}",          "https://a/\"{name}",
    };
    static const char *const good[] = {"https://a/{name}", "https://[::1]:8443/x/{name}?y=z",
                                       "https://a/?n={name}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0] + sizeof good / sizeof good[0]; i++) {
        bool accepted = i >= sizeof bad / sizeof bad[0];
        const char *url = accepted ? good[i - sizeof bad / sizeof bad[0]] : bad[i];
        static struct outcome outcome;
        char text[2048];
        char *rest = strstr(required, "ca_file");
        __attribute__((cleanup(scratch_file_close))) struct scratch_file file = {.fd = -1};
        memset(&outcome, 0, sizeof outcome);
        int size = snprintf(text, sizeof text, "[link]\nurl = %s\n%s", url, rest);
        assert_int_equal(scratch_file_open(&file, text, (size_t)size), 0);
        int r = config_read(file.path, mistakes_note, &outcome.mistakes, &outcome.config);
        if (r != (accepted ? 0 : -EINVAL))
            fail_msg("%s: %d %s", url, r, outcome.mistakes.text);
    }
}

static void key_sources(void **state)
{
    (void)state;
    static const char *const good[] = {"/a", "/a b", "credential:k", "credential:A.b_c-9"};
    static const char *const bad[] = {
        "relative",
        "./k",
        "credential:",
        "credential:a/b",
        "credential:../k",
        "credential:.k",
        "credential:-k",
        "credential:a b",
        "credential:a:b",
        "credentials:k",
        "Credential:k",
        "file:/k",
        " credential",
        "credential:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(key_source_check(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[256];
        assert_non_null(key_source_check(bad[i]));
        snprintf(line, sizeof line, "[keys]\nprevious_master_keys = %s\n", bad[i]);
        assert_int_equal(read_with(line)->r, -EINVAL);
    }
    struct outcome *outcome = read_with("[keys]\nprevious_master_keys = /a credential:b\n /c\n");
    assert_int_equal(outcome->r, 0);
    assert_string_equal(outcome->config.keys.previous_master_keys, "/a credential:b /c");
}

static void all_mistakes_at_once(void **state)
{
    (void)state;
    static struct outcome outcome;
    static const char text[] = "stray = 1\n"
                               "[mount]\n"
                               "body_max = lots\n"
                               "colour = red\n"
                               "[link]\n"
                               "url = ftp://a/{name}\n"
                               "[extra]\n"
                               "x = 1\n";
    __attribute__((cleanup(scratch_file_close))) struct scratch_file file = {.fd = -1};
    assert_int_equal(scratch_file_open(&file, text, sizeof text - 1), 0);
    assert_int_equal(config_read(file.path, mistakes_note, &outcome.mistakes, &outcome.config),
                     -EINVAL);
    static const char *const expected[] = {
        "1: stray stands above the first [section]\n",
        "3: [mount] body_max: \"lots\" is not a number such as 100, 64K, 32M or 1G\n",
        "4: unknown key colour in section [mount]\n",
        "6: [link] url: \"ftp://a/{name}\" starts with neither https:// nor http://\n",
        "6: [link] url is missing",
        "8: unknown section [extra]\n",
        "0: [link] ca_file is missing",
        "0: [link] certificate_file is missing",
        "0: [keys] master_key is missing",
        "0: [keys] tls_key is missing",
        "0: [trust] anchors is missing",
        "0: [trust] signer_dn is missing",
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_non_null(strstr(outcome.mistakes.text, expected[i]));
    assert_int_equal(outcome.mistakes.count, sizeof expected / sizeof expected[0]);
}

static void long_values_are_refused(void **state)
{
    (void)state;
    char line[6000];
    char value[600];
    memset(value, 'a', sizeof value);
    value[0] = '/';
    value[256] = '\0';
    snprintf(line, sizeof line, "[mount]\naccess_policy = %s\n", value);
    assert_int_equal(read_with(line)->r, -EINVAL);
    value[255] = '\0';
    snprintf(line, sizeof line, "[mount]\naccess_policy = %s\n", value);
    assert_int_equal(read_with(line)->r, 0);

    value[255] = 'a';
    value[256] = 'a';
    value[512] = '\0';
    snprintf(line, sizeof line, "[trust]\ncrls = %s\n", value);
    assert_int_equal(read_with(line)->r, -EINVAL);

    /* Nine values of 500 bytes: each is fine, together they are more than the list may hold. */
    value[500] = '\0';
    size_t size = (size_t)snprintf(line, sizeof line, "[trust]\n");
    for (int i = 0; i < 8; i++)
        size += (size_t)snprintf(line + size, sizeof line - size, "crls = %s\n", value);
    assert_int_equal(read_with(line)->r, 0);
    snprintf(line + size, sizeof line - size, "crls = %s\n", value);
    assert_int_equal(read_with(line)->r, -EINVAL);
}

static void dump_reads_back(void **state)
{
    (void)state;
    struct config first = read_with("[trust]\ncrls = /a /b\n[mount]\nopen_timeout = 90s\n"
                                    "[link]\nserver_pin = " PIN "\n")
                              ->config;
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    config_dump(&first, out);
    fclose(out);

    static struct outcome outcome;
    __attribute__((cleanup(scratch_file_close))) struct scratch_file file = {.fd = -1};
    assert_int_equal(scratch_file_open(&file, text, size), 0);
    assert_int_equal(config_read(file.path, mistakes_note, &outcome.mistakes, &outcome.config), 0);
    assert_memory_equal(&outcome.config, &first, sizeof first);
}

static void list_is_walked(void **state)
{
    (void)state;
    char item[8];
    const char *cursor = "/a /bcdefg /h";
    assert_true(config_list_next(&cursor, item, sizeof item));
    assert_string_equal(item, "/a");
    assert_true(config_list_next(&cursor, item, sizeof item));
    assert_string_equal(item, "/bcdefg");
    assert_true(config_list_next(&cursor, item, sizeof item));
    assert_string_equal(item, "/h");
    assert_false(config_list_next(&cursor, item, sizeof item));
    cursor = "";
    assert_false(config_list_next(&cursor, item, sizeof item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold),
        cmocka_unit_test(values_are_taken),
        cmocka_unit_test(single_mistakes),
        cmocka_unit_test(urls),
        cmocka_unit_test(key_sources),
        cmocka_unit_test(all_mistakes_at_once),
        cmocka_unit_test(long_values_are_refused),
        cmocka_unit_test(dump_reads_back),
        cmocka_unit_test(list_is_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
