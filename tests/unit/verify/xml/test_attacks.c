/*
 * Documents made to cost time or memory are refused within a second and 256 MiB: what exceeds a
 * ceiling, by the check that names it, and what stays just below all ceilings, by its digest. Each
 * is judged in a process of its own.
 */
#include "base/clock.h"
#include "xml_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { MEMORY_MAX = 256 * 1024 * 1024, MILLISECONDS_MAX = 1000 };

static void put(struct buffer *out, const char *text)
{
    assert_int_equal(buffer_append(out, text, strlen(text)), 0);
}

static void put_times(struct buffer *out, const char *text, unsigned times)
{
    while (times-- > 0)
        put(out, text);
}

/* "%u" in the pattern becomes 0, 1, … */
static void put_numbered(struct buffer *out, const char *before, const char *after, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        char number[16];
        snprintf(number, sizeof number, "%u", i);
        put(out, before);
        put(out, number);
        put(out, after);
    }
}

static const char signature_start[] =
    "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><SignedInfo>";
static const char signature_end[] =
    "<DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>"
    "<DigestValue>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</DigestValue></Reference>"
    "</SignedInfo><SignatureValue>AAAA</SignatureValue><KeyInfo><X509Data>"
    "<X509Certificate>AAAA</X509Certificate></X509Data></KeyInfo></Signature>";
#define RSA_SHA256                                                                                 \
    "<SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/>"

/* A signature of the right shape, so that the document is canonicalized. */
static void put_signature(struct buffer *out, const char *method)
{
    char text[1024];
    bool is_2_0 = strcmp(method, "http://www.w3.org/2010/xml-c14n2") == 0;

    put(out, signature_start);
    snprintf(text, sizeof text, "<CanonicalizationMethod Algorithm='%s'/>" RSA_SHA256, method);
    put(out, text);
    if (is_2_0)
        snprintf(text, sizeof text,
                 "<Reference><Transforms>"
                 "<Transform Algorithm='http://www.w3.org/2010/xmldsig2#transform'>"
                 "<s:Selection xmlns:s='http://www.w3.org/2010/xmldsig2#' URI='' "
                 "Algorithm='http://www.w3.org/2010/xmldsig2#xml'/>"
                 "<CanonicalizationMethod Algorithm='%s'>"
                 "<c:PrefixRewrite xmlns:c='%s'>sequential</c:PrefixRewrite>"
                 "</CanonicalizationMethod></Transform></Transforms>",
                 method, method);
    else
        snprintf(text, sizeof text,
                 "<Reference URI=''><Transforms><Transform "
                 "Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/>"
                 "<Transform Algorithm='%s'/></Transforms>",
                 method);
    put(out, text);
    put(out, signature_end);
}

#define EXCLUSIVE "http://www.w3.org/2001/10/xml-exc-c14n#"
#define C14N2 "http://www.w3.org/2010/xml-c14n2"

static void make_attributes(struct buffer *out)
{
    put(out, "<a");
    put_numbered(out, " a", "='1'", 200000);
    put(out, "/>");
}

static void make_text(struct buffer *out)
{
    put(out, "<a>");
    put_times(out, "0123456789abcdef", 11 * 65536);
    put(out, "</a>");
}

static void make_long_text(struct buffer *out)
{
    put(out, "<a>");
    put_times(out, "0123456789abcdef", 5 * 65536);
    put(out, "</a>");
}

static void make_depth(struct buffer *out)
{
    put_times(out, "<a>", 100000);
    put_times(out, "</a>", 100000);
}

static void make_nodes(struct buffer *out)
{
    put(out, "<a>");
    put_times(out, "<b/>", 400000);
    put(out, "</a>");
}

static void make_name(struct buffer *out)
{
    put(out, "<");
    put_times(out, "a", 100000);
    put(out, "/>");
}

static void make_namespaces_here(struct buffer *out)
{
    put(out, "<a");
    put_numbered(out, " xmlns:n", "='urn:n'", 100);
    put(out, "/>");
}

static void make_namespaces_down(struct buffer *out)
{
    put_numbered(out, "<a xmlns:n", "='urn:n'>", 100);
    put_times(out, "</a>", 100);
}

static void make_namespaces_total(struct buffer *out)
{
    put(out, "<a>");
    put_numbered(out, "<b xmlns='urn:", "'/>", 60000);
    put(out, "</a>");
}

static void make_entities(struct buffer *out)
{
    put(out, "<!DOCTYPE a [<!ENTITY e0 'lol'>");
    for (unsigned i = 1; i < 30; i++) {
        char text[128];
        snprintf(text, sizeof text, "<!ENTITY e%u '&e%u;&e%u;&e%u;&e%u;'>", i, i - 1, i - 1, i - 1,
                 i - 1);
        put(out, text);
    }
    put(out, "]><a>&e29;</a>");
}

static void make_comments(struct buffer *out)
{
    put(out, "<a>");
    put_times(out, "<!---->", 400000);
    put(out, "</a>");
}

static void make_unfinished(struct buffer *out)
{
    put_times(out, "<!--", 1000000);
}

static void make_brackets(struct buffer *out)
{
    put(out, "<a>");
    put_times(out, "]]", 2000000);
    put(out, "</a>");
}

/* Below the ceilings */

static void make_most_nodes(struct buffer *out)
{
    put(out, "<a>");
    put_times(out, "<b c='d'>e</b>", 80000);
    put_signature(out, EXCLUSIVE);
    put(out, "</a>");
}

static void make_most_namespaces(struct buffer *out, const char *method)
{
    put(out, "<a");
    put_numbered(out, " xmlns:n", "='urn:n'", 60);
    put(out, ">");
    put_times(out, "<n0:b n59:c='d'/>", 80000);
    put_signature(out, method);
    put(out, "</a>");
}

static void make_most_namespaces_exclusive(struct buffer *out)
{
    make_most_namespaces(out, EXCLUSIVE);
}

static void make_most_namespaces_2_0(struct buffer *out)
{
    make_most_namespaces(out, C14N2);
}

/* Each element has a namespace of its own, and each gets a number. */
static void make_numbered_namespaces(struct buffer *out)
{
    put(out, "<a>");
    put_numbered(out, "<b xmlns='urn:", "'/>", 49000);
    put_signature(out, C14N2);
    put(out, "</a>");
}

static void make_deep(struct buffer *out)
{
    put(out, "<a>");
    for (unsigned i = 0; i < 700; i++) {
        put_times(out, "<b xml:space='default'>", 120);
        put_times(out, "</b>", 120);
    }
    put_signature(out, EXCLUSIVE);
    put(out, "</a>");
}

static void make_deep_names(struct buffer *out)
{
    put(out, "<a xmlns:p='urn:p'>");
    put_times(out, "<b>", 120);
    put_times(out, "<p:c p:d=''/>", 120000);
    put_times(out, "</b>", 120);
    put_signature(out, EXCLUSIVE);
    put(out, "</a>");
}

static void make_references(struct buffer *out)
{
    put(out, "<a>");
    put_times(out, "&lt;&#13;", 400000);
    put_signature(out, EXCLUSIVE);
    put(out, "</a>");
}

static void make_most_attributes(struct buffer *out)
{
    put(out, "<a>");
    for (unsigned i = 0; i < 1800; i++) {
        put(out, "<b");
        put_numbered(out, " abcdefghijk", "='1'", 128);
        put(out, "/>");
    }
    put_signature(out, EXCLUSIVE);
    put(out, "</a>");
}

struct outcome {
    char check[VERDICT_CHECK_MAX];
    int64_t milliseconds;
    long kilobytes;
};

static void judge(struct verify_trust *trust, const struct buffer *document,
                  struct outcome *outcome)
{
    static struct verdict verdict;
    struct rusage usage;
    int64_t started = clock_monotonic_ms();

    vector_verify(trust, document->data, document->size, &verdict);
    outcome->milliseconds = clock_monotonic_ms() - started;
    getrusage(RUSAGE_SELF, &usage);
    outcome->kilobytes = usage.ru_maxrss;
    const struct verdict_reason *reason = verdict_decisive(&verdict);
    snprintf(outcome->check, sizeof outcome->check, "%s",
             verdict.indication == VERDICT_TOTAL_PASSED ? "(passed)"
             : reason                                   ? reason->check
                                                        : "");
}

static void attack(const char *name, void (*make)(struct buffer *out), const char *check)
{
    struct buffer document;
    struct outcome *outcome =
        mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(outcome, MAP_FAILED);
    buffer_init(&document, 32 * 1024 * 1024);
    make(&document);
    struct verify_trust *trust = vector_trust("pki/sub.crt", "pki/sub.crl", NULL, NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {.rlim_cur = MEMORY_MAX, .rlim_max = MEMORY_MAX};
        if (!is_sanitized() && setrlimit(RLIMIT_AS, &limit) < 0)
            _exit(1);
        judge(trust, &document, outcome);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s: ended with status %x", name, (unsigned)status);
    printf("  %-24s %8zu bytes  %4lld ms  %6ld KiB  %s\n", name, document.size,
           (long long)outcome->milliseconds, outcome->kilobytes, outcome->check);
    assert_string_equal(outcome->check, check);
    if (!is_sanitized())
        assert_true(outcome->milliseconds < MILLISECONDS_MAX);
    verify_trust_free(trust);
    buffer_done(&document);
    munmap(outcome, sizeof *outcome);
}

static void test_over_a_ceiling(void **state)
{
    (void)state;
    attack("200,000 attributes", make_attributes, "xml-limits");
    attack("11 MiB of text", make_text, "xml-size");
    attack("5 MiB of text", make_long_text, "xml-limits");
    attack("100,000 levels", make_depth, "xml-limits");
    attack("400,000 elements", make_nodes, "xml-limits");
    attack("400,000 comments", make_comments, "xml-limits");
    attack("a name of 100,000 bytes", make_name, "xml-limits");
    attack("100 namespaces at once", make_namespaces_here, "xml-limits");
    attack("100 namespaces, nested", make_namespaces_down, "xml-limits");
    attack("60,000 namespaces", make_namespaces_total, "xml-limits");
    attack("nested entities", make_entities, "xml-no-doctype");
    attack("comments without end", make_unfinished, "xml-well-formed");
    attack("brackets", make_brackets, "xml-signature-one");
}

static void test_below_all_ceilings(void **state)
{
    (void)state;
    attack("most nodes", make_most_nodes, "xml-digest");
    attack("most namespaces", make_most_namespaces_exclusive, "xml-digest");
    attack("most namespaces, 2.0", make_most_namespaces_2_0, "xml-digest");
    attack("numbered namespaces", make_numbered_namespaces, "xml-digest");
    attack("deep", make_deep, "xml-digest");
    attack("deep, with prefix", make_deep_names, "xml-digest");
    attack("character references", make_references, "xml-digest");
    attack("most attributes", make_most_attributes, "xml-digest");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_over_a_ceiling),
        cmocka_unit_test(test_below_all_ceilings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
