#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transport/request_url.h"

#include <string.h>

static void test_templates(void **state)
{
    static const char *const good[] = {
        "https://link.example/certificates/{name}",  "https://link.example:8443/{name}",
        "https://[2001:db8::1]:8443/a/{name}",       "https://127.0.0.1/get?file={name}&v=1",
        "https://link.example/a%20b/{name}/content",
    };
    static const char *const bad[] = {
        "",
        "{name}",
        "http://link.example/{name}",
        "HTTPS://link.example/{name}",
        "https:/link.example/{name}",
        "https://",
        "https:///{name}",
        "https://:443/{name}",
        "https://link.example",
        "https://link.example/",
        "https://link.example?{name}",
        "https://link.example/{name}{name}",
        "https://link.example/{name}/{id}",
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
        if (request_url_fault(good[i]))
            fail_msg("%s: %s", good[i], request_url_fault(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (!request_url_fault(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_too_long(void **state)
{
    char template[REQUEST_URL_MAX * 2] = "https://a/{name}?";
    (void)state;
    memset(template + strlen(template), 'x', REQUEST_URL_MAX);
    assert_non_null(request_url_fault(template));
    char url[REQUEST_URL_MAX] = "untouched";
    struct certname name;
    assert_true(certname_parse("a.pdf", &name));
    assert_int_equal(request_url_build(template, &name, url), -ENAMETOOLONG);
    assert_string_equal(url, "untouched");
}

static void test_build(void **state)
{
    char url[REQUEST_URL_MAX];
    struct certname name;
    (void)state;
    assert_true(certname_parse("K2026-000101.pdf", &name));
    assert_int_equal(request_url_build("https://a:1/b/{name}?c=d", &name, url), 0);
    assert_string_equal(url, "https://a:1/b/K2026-000101.pdf?c=d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
