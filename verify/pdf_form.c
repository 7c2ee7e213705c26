/*
 * trailer → /Root → /AcroForm → /Fields → the one signed field (ISO 32000-1 12.7).
 */
#include "verify/pdf_signature.h"

enum { FIELD_DEPTH_MAX = 16, FIELD_MAX = 4096 };

struct fields {
    unsigned seen, others, signed_fields;
    bool has_reference; /* the signed field's /V is a reference */
    uint32_t number, generation;
};

static int no_field(struct pdf_file *file, const char *why)
{
    checks_fail(file->run, CHECK_SIG_FIELD, "%s", why);
    return PDF_STOP;
}

static bool version_allowed(struct bytes raw)
{
    return raw.size == 4 && raw.data[1] == '1' && raw.data[2] == '.' && raw.data[3] >= '0' &&
           raw.data[3] <= '7';
}

static int read_catalog(struct pdf_file *file, struct pdf_tree *tree, struct pdf_value *ret_catalog)
{
    struct pdf_value root = pdf_get((struct pdf_value){&file->trailer, file->trailer_root}, "Root");
    struct pdf_value catalog;

    int r = pdf_resolve(file, root, tree, &catalog);
    if (r != 0)
        return r;
    if (!checks_that(file->run, CHECK_PDF_CATALOG,
                     pdf_is(root, PDF_REFERENCE) &&
                         pdf_is_name(pdf_get(catalog, "Type"), "Catalog"),
                     "the trailer's /Root does not refer to a document catalog"))
        return PDF_STOP;
    struct pdf_value version = pdf_get(catalog, "Version");
    if (!checks_that(file->run, CHECK_PDF_VERSION,
                     pdf_is(version, PDF_NULL) ||
                         (pdf_is(version, PDF_NAME) && version_allowed(pdf_raw(version))),
                     "the catalog names a version other than 1.0 to 1.7"))
        return PDF_STOP;
    *ret_catalog = catalog;
    return 0;
}

static int note_form(struct pdf_file *file, struct pdf_value form)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value value;
    int64_t flags;

    int r = pdf_resolve(file, pdf_get(form, "SigFlags"), &tree, &value);
    if (r != 0)
        return r;
    checks_that(file->run, CHECK_FORM_FLAGS, pdf_integer(value, 3, 3, &flags),
                "/SigFlags is not 3: signatures exist and changes must be appended");
    r = pdf_resolve(file, pdf_get(form, "NeedAppearances"), &tree, &value);
    if (r != 0)
        return r;
    checks_that(file->run, CHECK_FORM_APPEARANCES,
                pdf_is(value, PDF_NULL) ||
                    (pdf_is(value, PDF_BOOLEAN) && pdf_node(value)->integer == 0),
                "/NeedAppearances lets each viewer draw fields its own way");
    checks_that(file->run, CHECK_FORM_XFA, pdf_is(pdf_get(form, "XFA"), PDF_NULL),
                "the form has an XFA part that viewers may show instead of the pages");
    return 0;
}

/* A field's own /FT, or the inherited one. */
static int is_signature_field(struct pdf_file *file, struct pdf_value field, bool inherited,
                              bool *ret_is)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value type;

    int r = pdf_resolve(file, pdf_get(field, "FT"), &tree, &type);
    if (r != 0)
        return r;
    *ret_is = pdf_is(type, PDF_NULL) ? inherited : pdf_is_name(type, "Sig");
    return 0;
}

static void take_value(struct fields *fields, struct pdf_value value)
{
    fields->signed_fields++;
    fields->has_reference = pdf_is(value, PDF_REFERENCE);
    if (fields->has_reference) {
        fields->number = pdf_node(value)->reference.number;
        fields->generation = pdf_node(value)->reference.generation;
    }
}

static int walk_fields(struct pdf_file *file, struct pdf_value list, bool inherited, unsigned depth,
                       struct fields *fields);

static int visit_field(struct pdf_file *file, struct pdf_value item, bool inherited, unsigned depth,
                       struct fields *fields)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value field;
    bool is_signature;

    if (++fields->seen > FIELD_MAX)
        return pdf_over_limit(file, "form fields");
    int r = pdf_resolve(file, item, &tree, &field);
    if (r != 0)
        return r;
    if (!pdf_is(field, PDF_DICTIONARY))
        return no_field(file, "an entry of the form's /Fields is not a field");
    r = is_signature_field(file, field, inherited, &is_signature);
    if (r != 0)
        return r;
    struct pdf_value value = pdf_get(field, "V"), kids = pdf_get(field, "Kids");
    bool is_widget_only = depth > 0 && pdf_is(pdf_get(field, "T"), PDF_NULL);
    if (is_signature && !pdf_is(value, PDF_NULL))
        take_value(fields, value);
    else if (pdf_is(kids, PDF_NULL) && !is_widget_only)
        fields->others++;
    return pdf_is(kids, PDF_NULL) ? 0 : walk_fields(file, kids, is_signature, depth + 1, fields);
}

static int walk_fields(struct pdf_file *file, struct pdf_value list, bool inherited, unsigned depth,
                       struct fields *fields)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};

    if (depth == FIELD_DEPTH_MAX)
        return pdf_over_limit(file, "form fields inside one another");
    int r = pdf_resolve(file, list, &tree, &list);
    if (r != 0)
        return r;
    if (!pdf_is(list, PDF_ARRAY))
        return no_field(file, "the form has no array of fields");
    for (struct pdf_value item = pdf_first(list); item.index && r == 0; item = pdf_next(item))
        r = visit_field(file, item, inherited, depth, fields);
    return r;
}

int pdf_find_signature(struct pdf_file *file, struct pdf_signature *ret_signature)
{
    _cleanup_pdf_tree_ struct pdf_tree catalog_tree = {0}, form_tree = {0};
    struct pdf_value catalog, form;
    struct fields fields = {0};

    int r = read_catalog(file, &catalog_tree, &catalog);
    if (r == 0)
        r = pdf_resolve(file, pdf_get(catalog, "AcroForm"), &form_tree, &form);
    if (r != 0)
        return r;
    if (!pdf_is(form, PDF_DICTIONARY))
        return no_field(file, "the document has no interactive form, so no signature field");
    r = walk_fields(file, pdf_get(form, "Fields"), false, 0, &fields);
    if (r != 0)
        return r;
    if (fields.signed_fields != 1)
        return no_field(file, fields.signed_fields ? "there is more than one signed field"
                                                   : "no signature field is signed");
    checks_pass(file->run, CHECK_SIG_FIELD);
    checks_that(file->run, CHECK_FORM_FIELDS, fields.others == 0,
                "the form has %u fields besides the signature", fields.others);
    r = note_form(file, form);
    if (r != 0)
        return r;
    const struct pdf_object *object =
        fields.has_reference ? pdf_find(file, fields.number, fields.generation) : NULL;
    if (!object || object->compressed) {
        checks_fail(file->run, CHECK_SIG_DICTIONARY,
                    "the field's /V does not refer to an object of its own in the file");
        return PDF_STOP;
    }
    ret_signature->number = fields.number;
    ret_signature->generation = fields.generation;
    return 0;
}
