/*
 * Which processor a schema gets, and what libxml2 says about documents when it is the one. That the
 * other process is asked, and what becomes of its answers, is shown with a hook of this test.
 */
#include "verify/schema.h"
#include "xml_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define XS(content)                                                                                \
    "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:t='urn:t' "                      \
    "targetNamespace='urn:t'>\n" content "</xs:schema>"
#define TYPE(content) XS("<xs:complexType name='c'>" content "</xs:complexType>")
#define ELEMENTS "<xs:element name='a' type='xs:string'/>"

struct inspection_case {
    const char *text;
    enum schema_processor processor;
    const char *names; /* must occur in the text of the inspection */
};

static const struct inspection_case inspection_cases[] = {
    {XS(ELEMENTS), SCHEMA_BY_XSD_1_0, ""},
    {TYPE("<xs:sequence>" ELEMENTS "<xs:any namespace='##other'/></xs:sequence><xs:anyAttribute/>"),
     SCHEMA_BY_XSD_1_0, ""},
    {TYPE("<xs:sequence><xs:any minOccurs='0' maxOccurs='unbounded'/></xs:sequence>"),
     SCHEMA_BY_XSD_1_0, ""},
    {TYPE("<xs:all>" ELEMENTS "<xs:element name='b' minOccurs='0' maxOccurs='1'/></xs:all>"),
     SCHEMA_BY_XSD_1_0, ""},
    {XS("<xs:element name='a' type='xs:dateTime' substitutionGroup='t:b'/><xs:element name='b' "
        "type='xs:dateTime'/>"),
     SCHEMA_BY_XSD_1_0, ""},
    /* A type of one's own may have a name of 1.1. */
    {XS("<xs:simpleType name='error'><xs:restriction base='xs:string'/></xs:simpleType>"
        "<xs:element name='a' type='t:error'/>"),
     SCHEMA_BY_XSD_1_0, ""},
    /* What is written about 1.1 in a documentation does not count. */
    {XS("<xs:annotation><xs:appinfo><assert test='x'/></xs:appinfo></xs:annotation>" ELEMENTS),
     SCHEMA_BY_XSD_1_0, ""},

    {TYPE("<xs:sequence/><xs:assert test='true()'/>"), SCHEMA_BY_XSD_1_1, "line 2: element assert"},
    {XS("<xs:simpleType name='s'><xs:restriction base='xs:string'><xs:assertion test='true()'/>"
        "</xs:restriction></xs:simpleType>"),
     SCHEMA_BY_XSD_1_1, "assertion"},
    {XS("<xs:element name='a'><xs:alternative type='xs:string'/></xs:element>"), SCHEMA_BY_XSD_1_1,
     "alternative"},
    {TYPE("<xs:openContent><xs:any/></xs:openContent><xs:sequence/>"), SCHEMA_BY_XSD_1_1,
     "openContent"},
    {XS("<xs:defaultOpenContent><xs:any/></xs:defaultOpenContent>"), SCHEMA_BY_XSD_1_1,
     "defaultOpenContent"},
    {XS("<xs:override schemaLocation='x.xsd'/>"), SCHEMA_BY_XSD_1_1, "override"},
    {XS("<xs:simpleType name='s'><xs:restriction base='xs:date'>"
        "<xs:explicitTimezone value='required'/></xs:restriction></xs:simpleType>"),
     SCHEMA_BY_XSD_1_1, "explicitTimezone"},
    {XS("<xs:element name='a' type='xs:dateTimeStamp'/>"), SCHEMA_BY_XSD_1_1, "dateTimeStamp"},
    {XS("<xs:element name='a' type='xs:dayTimeDuration'/>"), SCHEMA_BY_XSD_1_1, "dayTimeDuration"},
    {XS("<xs:simpleType name='s'><xs:union memberTypes='xs:string xs:yearMonthDuration'/>"
        "</xs:simpleType>"),
     SCHEMA_BY_XSD_1_1, "yearMonthDuration"},
    {XS("<xs:simpleType name='s'><xs:restriction base='xs:anyAtomicType'/></xs:simpleType>"),
     SCHEMA_BY_XSD_1_1, "anyAtomicType"},
    {TYPE("<xs:all><xs:element name='a' maxOccurs='2'/></xs:all>"), SCHEMA_BY_XSD_1_1,
     "maxOccurs in all"},
    {TYPE("<xs:all><xs:any/></xs:all>"), SCHEMA_BY_XSD_1_1, "any in all"},
    {TYPE("<xs:all><xs:group ref='t:g'/></xs:all>"), SCHEMA_BY_XSD_1_1, "group in all"},
    {TYPE("<xs:complexContent><xs:extension base='t:b'><xs:all/></xs:extension>"
          "</xs:complexContent>"),
     SCHEMA_BY_XSD_1_1, "all in an extension"},
    {TYPE("<xs:sequence><xs:any notNamespace='urn:x'/></xs:sequence>"), SCHEMA_BY_XSD_1_1,
     "notNamespace"},
    {TYPE("<xs:anyAttribute notQName='t:x'/>"), SCHEMA_BY_XSD_1_1, "notQName"},
    {TYPE("<xs:attribute name='a' inheritable='true'/>"), SCHEMA_BY_XSD_1_1, "inheritable"},
    {TYPE("<xs:sequence><xs:element name='a' targetNamespace='urn:x'/></xs:sequence>"),
     SCHEMA_BY_XSD_1_1, "targetNamespace"},
    {XS("<xs:complexType name='c' defaultAttributesApply='false'/>"), SCHEMA_BY_XSD_1_1,
     "defaultAttributesApply"},
    {XS("<xs:element name='a'><xs:key ref='t:k'/></xs:element>"), SCHEMA_BY_XSD_1_1, "ref"},
    {XS("<xs:element name='a' substitutionGroup='t:b t:c'/>"), SCHEMA_BY_XSD_1_1,
     "substitution groups"},
    {"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' "
     "xpathDefaultNamespace='##targetNamespace'/>",
     SCHEMA_BY_XSD_1_1, "xpathDefaultNamespace"},
    {"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' defaultAttributes='x'/>",
     SCHEMA_BY_XSD_1_1, "defaultAttributes"},
    {XS("<xs:element xmlns:vc='http://www.w3.org/2007/XMLSchema-versioning' "
        "vc:minVersion='1.1' name='a'/>"),
     SCHEMA_BY_XSD_1_1, "minVersion"},
    /* Nothing of 1.1 in it, but more than 1.0 allows: ambiguous there, weak wildcards in 1.1. */
    {TYPE("<xs:sequence><xs:element name='a' minOccurs='0'/><xs:any namespace='##any'/>"
          "</xs:sequence>"),
     SCHEMA_BY_XSD_1_1, "wildcard"},
    {TYPE("<xs:complexContent><xs:extension base='t:b'><xs:sequence><xs:any/></xs:sequence>"
          "</xs:extension></xs:complexContent>"),
     SCHEMA_BY_XSD_1_1, "wildcard"},
    {XS("<xs:element name='a' type='t:nowhere'/>"), SCHEMA_BY_XSD_1_1, "not XSD 1.0"},
    {XS("<xs:include schemaLocation='nowhere.xsd'/>" ELEMENTS), SCHEMA_BY_XSD_1_1, "not XSD 1.0"},
    {XS("<xs:include schemaLocation='/etc/passwd'/>" ELEMENTS), SCHEMA_BY_XSD_1_1, "not XSD 1.0"},
    {XS("<xs:import namespace='urn:x' schemaLocation='http://localhost:9/x.xsd'/>" ELEMENTS),
     SCHEMA_BY_XSD_1_1, "not XSD 1.0"},

    {"<!DOCTYPE x>" XS(""), SCHEMA_BY_NONE, "line 1"},
    {"<schema/>", SCHEMA_BY_NONE, "not a schema document"},
    {"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'>", SCHEMA_BY_NONE, "cut off"},
    {"", SCHEMA_BY_NONE, "0 bytes"},
};

static struct trust_schema schema_of(const char *label, const char *text)
{
    struct trust_schema schema = {.content = bytes_of(text, strlen(text))};

    snprintf(schema.label, sizeof schema.label, "%s", label);
    return schema;
}

static void test_inspection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inspection_cases / sizeof inspection_cases[0]; i++) {
        const struct inspection_case *wanted = &inspection_cases[i];
        struct trust_schema schema = schema_of("test.xsd", wanted->text);
        struct schema_inspection inspection;
        assert_int_equal(schema_inspect(&schema, 1, &inspection), 0);
        if (inspection.processor != wanted->processor || !strstr(inspection.text, wanted->names))
            fail_msg("case %zu: %s: %d %s", i, wanted->text, (int)inspection.processor,
                     inspection.text);
    }
}

static void test_included(void **state)
{
    struct trust_schema schemas[] = {
        schema_of("/somewhere/main.xsd",
                  XS("<xs:include schemaLocation='types.xsd'/><xs:import "
                     "namespace='http://www.w3.org/2000/09/xmldsig#' schemaLocation='dsig.xsd'/>"
                     "<xs:element name='a' type='t:s'/>")),
        schema_of("/elsewhere/types.xsd",
                  XS("<xs:simpleType name='s'><xs:restriction base='xs:token'/></xs:simpleType>")),
        schema_of("dsig.xsd", "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' "
                              "targetNamespace='http://www.w3.org/2000/09/xmldsig#'/>"),
    };
    struct schema_inspection inspection;

    (void)state;
    assert_int_equal(schema_inspect(schemas, 3, &inspection), 0);
    assert_int_equal(inspection.processor, SCHEMA_BY_XSD_1_0);
    assert_true(inspection.knows_signature);
    assert_int_equal(schema_inspect(schemas, 2, &inspection), 0);
    assert_int_equal(inspection.processor, SCHEMA_BY_XSD_1_1);
    assert_non_null(strstr(inspection.text, "not XSD 1.0"));
}

/* Documents */

static void judge(const char *file, const char *const *schemas, const struct schema_hook *hook,
                  struct verdict *verdict)
{
    struct verify_trust *trust =
        vector_trust("schema/anchor.pem", "schema/official.crl", NULL, schemas);
    struct buffer document = vector_read(file);

    verify_trust_set_schema_hook(trust, hook);
    /* Twice: the second time the schema has been compiled. */
    for (int i = 0; i < 2; i++)
        vector_verify(trust, document.data, document.size, verdict);
    buffer_done(&document);
    verify_trust_free(trust);
}

static void expect(const struct verdict *verdict, uint8_t indication, const char *check)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);

    if (verdict->indication != indication)
        fail_msg("%s %s %s", verdict_indication_text(verdict->indication),
                 reason ? reason->check : "", reason ? reason->text : "");
    if (check) {
        assert_non_null(reason);
        assert_string_equal(reason->check, check);
    }
}

static void test_xsd10(void **state)
{
    static const char *const schemas[] = {"schema/koseki10.xsd", "schema/koseki-types.xsd", NULL};
    static struct verdict verdict;

    (void)state;
    judge("schema/good-current.xml", schemas, NULL, &verdict);
    expect(&verdict, VERDICT_TOTAL_PASSED, NULL);
    assert_memory_equal(verdict.schema, "koseki10.xsd ", 13);
    judge("schema/good-mode2.xml", schemas, NULL, &verdict);
    expect(&verdict, VERDICT_TOTAL_PASSED, NULL);
    judge("schema/bad-relation.xml", schemas, NULL, &verdict);
    expect(&verdict, VERDICT_TOTAL_FAILED, "schema-valid");
    judge("schema/bad-date.xml", schemas, NULL, &verdict);
    expect(&verdict, VERDICT_TOTAL_FAILED, "schema-valid");
    judge("schema/bad-stray-element.xml", schemas, NULL, &verdict);
    expect(&verdict, VERDICT_TOTAL_FAILED, "schema-valid");
}

static void test_without_schema(void **state)
{
    static struct verdict verdict;
    struct verify_trust *trust;
    struct buffer document = vector_read("schema/bad-relation.xml");
    const char *strict[] = {"schema-configured=fail", NULL};

    (void)state;
    judge("schema/bad-relation.xml", NULL, NULL, &verdict);
    expect(&verdict, VERDICT_TOTAL_PASSED, NULL);
    bool warned = false;
    for (unsigned i = 0; i < verdict.reason_count; i++)
        warned = warned || (strcmp(verdict.reasons[i].check, "schema-configured") == 0 &&
                            verdict.reasons[i].outcome == CHECK_WARNED);
    assert_true(warned);
    assert_string_equal(verdict.schema, "");
    trust = vector_trust("schema/anchor.pem", "schema/official.crl", strict, NULL);
    vector_verify(trust, document.data, document.size, &verdict);
    expect(&verdict, VERDICT_INDETERMINATE, "schema-configured");
    verify_trust_free(trust);
    buffer_done(&document);
}

struct script {
    int result;
    struct schema_answer answer;
    unsigned asked;
};

static int scripted(void *context, struct bytes schemas, struct bytes document,
                    struct schema_answer *ret_answer)
{
    struct script *script = context;

    script->asked++;
    /* The Signature and the declaration are not part of what is validated. */
    assert_non_null(memmem(document.data, document.size, "<\xe6\x88\xb8\xe7\xb1\x8d", 7));
    assert_null(memmem(document.data, document.size, "Signature", 9));
    assert_null(memmem(document.data, document.size, "<?xml", 5));
    assert_non_null(memmem(schemas.data, schemas.size, "koseki.xsd", 10));
    *ret_answer = script->answer;
    return script->result;
}

static void test_hook(void **state)
{
    static const char *const schemas[] = {"schema/koseki.xsd", "schema/koseki-types.xsd", NULL};
    static struct verdict verdict;
    static const struct {
        struct script script;
        uint8_t indication;
        const char *check;
    } cases[] = {
        {{.answer = {.outcome = SCHEMA_VALID}}, VERDICT_TOTAL_PASSED, NULL},
        {{.answer = {.outcome = SCHEMA_INVALID, .text = "no"}},
         VERDICT_TOTAL_FAILED,
         "schema-valid"},
        {{.answer = {.outcome = SCHEMA_REFUSED, .text = "no"}},
         VERDICT_INDETERMINATE,
         "schema-honoured"},
        {{.result = -ETIMEDOUT}, VERDICT_INDETERMINATE, "schema-honoured"},
        {{.result = -EPIPE}, VERDICT_INDETERMINATE, "schema-honoured"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script script = cases[i].script;
        struct schema_hook hook = {.validate = scripted, .context = &script};
        judge("schema/good-current.xml", schemas, &hook, &verdict);
        expect(&verdict, cases[i].indication, cases[i].check);
        assert_int_equal(script.asked, 2);
    }
    judge("schema/good-current.xml", schemas, NULL, &verdict);
    expect(&verdict, VERDICT_INDETERMINATE, "schema-honoured");
}

/* A forged document is not even shown to a schema processor. */
static void test_forged_first(void **state)
{
    static const char *const schemas[] = {"schema/koseki.xsd", "schema/koseki-types.xsd", NULL};
    static struct verdict verdict;
    struct script script = {.answer = {.outcome = SCHEMA_VALID}};
    struct schema_hook hook = {.validate = scripted, .context = &script};

    (void)state;
    judge("r007_plane2_to_bmp.xml", schemas, &hook, &verdict);
    expect(&verdict, VERDICT_TOTAL_FAILED, "xml-digest");
    assert_int_equal(script.asked, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspection), cmocka_unit_test(test_included),
        cmocka_unit_test(test_xsd10),      cmocka_unit_test(test_without_schema),
        cmocka_unit_test(test_hook),       cmocka_unit_test(test_forged_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
