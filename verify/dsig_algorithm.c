/*
 * Algorithms with their parameters: canonicalization, signature, digest.
 */
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

static const struct {
    const char *uri;
    enum c14n_version version;
    bool with_comments;
} c14n_methods[] = {
    {"http://www.w3.org/TR/2001/REC-xml-c14n-20010315", C14N_1_0, false},
    {"http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments", C14N_1_0, true},
    {"http://www.w3.org/2006/12/xml-c14n11", C14N_1_1, false},
    {"http://www.w3.org/2006/12/xml-c14n11#WithComments", C14N_1_1, true},
    {"http://www.w3.org/2001/10/xml-exc-c14n#", C14N_EXCLUSIVE, false},
    {"http://www.w3.org/2001/10/xml-exc-c14n#WithComments", C14N_EXCLUSIVE, true},
    {"http://www.w3.org/2010/xml-c14n2", C14N_2_0, false},
};

/* Splits PrefixList into method->parameters.inclusive_prefixes. */
static bool read_prefix_list(struct check_run *run, const xmlNode *element,
                             struct dsig_method *method)
{
    static const char *const only_prefix_list[] = {"PrefixList", NULL};
    const char *list = xml_attribute(element, "PrefixList");

    if (!dsig_enter_empty(run, CHECK_XML_SIGNATURE_SHAPE, element, only_prefix_list))
        return false;
    if (!list || strlen(list) >= sizeof method->prefix_list)
        return checks_fail(run, CHECK_XML_SIGNATURE_SHAPE,
                           "line %ld: PrefixList is missing or too long", xml_line(element));
    strcpy(method->prefix_list, list);
    char *next = NULL;
    for (char *prefix = strtok_r(method->prefix_list, " \t\r\n", &next); prefix;
         prefix = strtok_r(NULL, " \t\r\n", &next)) {
        struct c14n_parameters *parameters = &method->parameters;
        if (parameters->inclusive_count == C14N_PREFIX_MAX)
            return checks_fail(run, CHECK_XML_SIGNATURE_SHAPE,
                               "line %ld: PrefixList has more than %d prefixes", xml_line(element),
                               C14N_PREFIX_MAX);
        parameters->inclusive_prefixes[parameters->inclusive_count++] =
            strcmp(prefix, "#default") == 0 ? "" : prefix;
    }
    return true;
}

static bool read_exclusive_parameters(struct check_run *run, const xmlNode *element,
                                      struct dsig_method *method)
{
    struct dsig_cursor cursor;
    const xmlNode *list;

    if (!dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, element, dsig_only_algorithm))
        return false;
    if (!cursor.next)
        return true;
    return dsig_take(&cursor, C14N_EXCLUSIVE_NS, "InclusiveNamespaces", &list) &&
           dsig_leave(&cursor) && read_prefix_list(run, list, method);
}

static bool read_boolean(const char *text, bool *ret_value)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "1") != 0 && strcmp(text, "false") != 0 &&
        strcmp(text, "0") != 0)
        return false;
    *ret_value = text[0] == 't' || text[0] == '1';
    return true;
}

static bool read_qname_rule(struct check_run *run, const xmlNode *element,
                            struct c14n_parameters *parameters)
{
    static const char *const of_element[] = {"Name", "NS", NULL};
    static const char *const of_unqualified[] = {"Name", "ParentName", "ParentNS", NULL};
    static const struct {
        const char *name;
        enum c14n_qname_kind kind;
    } kinds[] = {
        {"Element", C14N_QNAME_ELEMENT},
        {"XPathElement", C14N_QNAME_XPATH_ELEMENT},
        {"QualifiedAttr", C14N_QNAME_QUALIFIED_ATTR},
        {"UnqualifiedAttr", C14N_QNAME_UNQUALIFIED_ATTR},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!xml_is_element(element, C14N2_NS, kinds[i].name))
            continue;
        bool unqualified = kinds[i].kind == C14N_QNAME_UNQUALIFIED_ATTR;
        if (!dsig_enter_empty(run, CHECK_XML_SIGNATURE_SHAPE, element,
                              unqualified ? of_unqualified : of_element))
            return false;
        const char *uri = xml_attribute(element, "NS");
        const char *parent_uri = xml_attribute(element, "ParentNS");
        struct c14n_qname_rule rule = {
            .kind = kinds[i].kind,
            .name = xml_attribute(element, "Name"),
            .uri = uri ? uri : "",
            .parent_name = xml_attribute(element, "ParentName"),
            .parent_uri = parent_uri ? parent_uri : "",
        };
        if (!rule.name || (unqualified && !rule.parent_name) ||
            parameters->rule_count == C14N_RULE_MAX)
            break;
        parameters->rules[parameters->rule_count++] = rule;
        return true;
    }
    return checks_fail(run, CHECK_XML_SIGNATURE_SHAPE,
                       "line %ld: QNameAware holds what is not understood, or too much",
                       xml_line(element));
}

static bool read_qname_aware(struct check_run *run, const xmlNode *element,
                             struct c14n_parameters *parameters)
{
    struct dsig_cursor cursor;

    if (!dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, element, dsig_no_attributes))
        return false;
    while (cursor.next)
        if (!read_qname_rule(run, cursor.next, parameters) || !dsig_advance(&cursor))
            return false;
    return true;
}

/* One parameter of C14N 2.0; `seen` has a bit for each. */
static bool read_c14n2_parameter(struct check_run *run, const xmlNode *element,
                                 struct c14n_parameters *parameters, unsigned *seen)
{
    static const char *const names[] = {"IgnoreComments", "TrimTextNodes", "PrefixRewrite",
                                        "QNameAware"};
    unsigned which = 0;

    while (which < 4 && !xml_is_element(element, C14N2_NS, names[which]))
        which++;
    const char *text = NULL;
    bool value = false, good = which < 4 && !(*seen & (1U << which));
    *seen |= 1U << which;
    if (good && which == 3)
        return read_qname_aware(run, element, parameters);
    good =
        good && dsig_enter_text(run, CHECK_XML_SIGNATURE_SHAPE, element, dsig_no_attributes, &text);
    if (good && which == 0) {
        good = read_boolean(text, &value);
        parameters->with_comments = !value;
    } else if (good && which == 1) {
        good = read_boolean(text, &value);
        parameters->trim_text = value;
    } else if (good) {
        parameters->rewrite_prefixes = strcmp(text, "sequential") == 0;
        good = parameters->rewrite_prefixes || strcmp(text, "none") == 0;
    }
    if (good)
        return true;
    return checks_fail(
        run, CHECK_XML_SIGNATURE_SHAPE,
        "line %ld: %.60s is no parameter of Canonical XML 2.0, or has no such value, "
        "or comes twice",
        xml_line(element), (const char *)element->name);
}

static bool read_c14n2_parameters(struct check_run *run, const xmlNode *element,
                                  struct c14n_parameters *parameters)
{
    struct dsig_cursor cursor;
    unsigned seen = 0;

    if (!dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, element, dsig_only_algorithm))
        return false;
    while (cursor.next)
        if (!read_c14n2_parameter(run, cursor.next, parameters, &seen) || !dsig_advance(&cursor))
            return false;
    return true;
}

bool dsig_read_c14n_method(struct check_run *run, const xmlNode *element,
                           struct dsig_method *ret_method)
{
    const char *algorithm = xml_attribute(element, "Algorithm");
    struct c14n_parameters *parameters = &ret_method->parameters;

    for (size_t i = 0; algorithm && i < sizeof c14n_methods / sizeof c14n_methods[0]; i++) {
        if (strcmp(algorithm, c14n_methods[i].uri) != 0)
            continue;
        parameters->version = c14n_methods[i].version;
        if (!checks_that(run, CHECK_XML_C14N_COMMENTS, !c14n_methods[i].with_comments,
                         "line %ld: the method is one with comments", xml_line(element)))
            return false;
        if (parameters->version == C14N_2_0)
            return read_c14n2_parameters(run, element, parameters);
        if (parameters->version == C14N_EXCLUSIVE)
            return read_exclusive_parameters(run, element, ret_method);
        return dsig_enter_empty(run, CHECK_XML_SIGNATURE_SHAPE, element, dsig_only_algorithm);
    }
    return checks_fail(run, CHECK_XML_C14N_METHOD, "line %ld: %.120s is not accepted",
                       xml_line(element), algorithm ? algorithm : "a method without a name");
}

static bool read_plain_method(struct check_run *run, enum check_id check, const xmlNode *element,
                              const char *wanted)
{
    const char *algorithm = xml_attribute(element, "Algorithm");

    return checks_that(run, check, algorithm && strcmp(algorithm, wanted) == 0,
                       "line %ld: the algorithm is %.120s", xml_line(element),
                       algorithm ? algorithm : "not named") &&
           dsig_enter_empty(run, check, element, dsig_only_algorithm);
}

bool dsig_read_signature_method(struct check_run *run, const xmlNode *element)
{
    return read_plain_method(run, CHECK_XML_SIGNATURE_METHOD, element,
                             "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
}

bool dsig_read_digest_method(struct check_run *run, const xmlNode *element)
{
    return read_plain_method(run, CHECK_XML_DIGEST_METHOD, element,
                             "http://www.w3.org/2001/04/xmlenc#sha256");
}
