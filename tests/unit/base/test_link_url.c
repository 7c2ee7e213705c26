#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/link_url.h"

#include <string.h>

static void test_templates(void **state)
{
    static const char *const good[] = {
        "https://link.example/certificates/{name}",
        "https://link.example:8443/{name}",
        "https://[2001:db8::1]:8443/a/{name}",
        "https://127.0.0.1/get?file={name}&v=1",
        "https://link.example/a%20b/{name}/content",
        "https://link.example/{id}?as={type}",
        "http://10.0.0.1/{name}",
    };
    static const char *const bad[] = {
        "",
        "{name}",
        "https://link.example/{id}",
        "https://link.example/{id}.{type}/{name}",
        "https://link.example/{type}",
        "https://link.example:0/{name}",
        "https://link.example:65536/{name}",
        "https://link.example:8a/{name}",
        "https://[::1/{name}",
        "HTTPS://link.example/{name}",
        "https:/link.example/{name}",
        "https://",
        "https:///{name}",
        "https://:443/{name}",
        "https://link.example",
        "https://link.example/",
        "https://link.example?{name}",
        "https://link.example/{name}{name}",
        "https://link.example/{name}/{number}",
        "https://link.example/{{name}}",
        "https://link.example/{name",
        "https://link.example/name}",
        "https://{name}/x",
        "https://{name}.example/{name}",
        "https://user@link.example/{name}",
        "https://user:secret@link.example/{name}",
        "https://link.example/{name}#part",
        "https://link.example/ {name}",
        "https://link.example/\"{name}",
        "https://link.example/\r\nX: y/{name}",
        "https://link.example/\xe3\x81\x82/{name}",
        "https://link.example\\{name}",
        " https://link.example/{name}",
        "file:///etc/{name}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (link_url_fault(good[i]))
            fail_msg("%s: %s", good[i], link_url_fault(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (!link_url_fault(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_too_long(void **state)
{
    char template[LINK_URL_MAX * 2] = "https://a/{name}?";
    (void)state;
    memset(template + strlen(template), 'x', LINK_URL_MAX);
    assert_non_null(link_url_fault(template));
    char url[LINK_URL_MAX] = "untouched";
    struct certname name;
    assert_true(certname_parse("a.pdf", &name));
    assert_int_equal(link_url_build(template, &name, url), -ENAMETOOLONG);
    assert_string_equal(url, "untouched");
}

static void test_build(void **state)
{
    char url[LINK_URL_MAX];
    struct certname name;
    (void)state;
    assert_true(certname_parse("K2026-000101.pdf", &name));
    assert_int_equal(link_url_build("https://a:1/b/{name}?c=d", &name, url), 0);
    assert_string_equal(url, "https://a:1/b/K2026-000101.pdf?c=d");
    assert_int_equal(link_url_build("https://a/{type}/{id}", &name, url), 0);
    assert_string_equal(url, "https://a/pdf/K2026-000101");
}

static void test_host(void **state)
{
    static const struct {
        const char *template, *host;
        uint16_t port;
        bool plain;
    } rows[] = {{"https://a.example/{name}", "a.example", 443, false},
                {"http://10.0.0.1:8080/{name}", "10.0.0.1", 8080, true},
                {"http://b/{name}", "b", 80, true},
                {"https://[::1]:8443/{name}", "::1", 8443, false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct link_url_host host = {0};
        link_url_host(rows[i].template, &host);
        assert_string_equal(host.host, rows[i].host);
        assert_int_equal(host.port, rows[i].port);
        assert_int_equal(host.plain, rows[i].plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
