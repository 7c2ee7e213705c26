/*
 * What one object is and holds: whether it is an image and with which filters, active and hidden
 * content, and its references with what they are for. Every dictionary in it is looked at, however
 * deep, and every object, whether anything refers to it or not.
 */
#include "verify/pdf_file.h"

void pdf_keys_init(struct pdf_keys *keys)
{
    static const char *const names[PDF_KEY_COUNT] = {
#define X(id, name) [PDF_KEY_##id] = name,
        PDF_KEYS(X)
#undef X
    };

    *keys = (struct pdf_keys){0};
    for (unsigned i = 1; i < PDF_KEY_COUNT; i++) {
        uint64_t hash = pdf_name_hash(names[i]);
        unsigned slot = (unsigned)(hash % PDF_KEY_SLOTS);
        while (keys->keys[slot])
            slot = (slot + 1) % PDF_KEY_SLOTS;
        keys->keys[slot] = (uint8_t)i;
        keys->hashes[slot] = hash;
    }
}

static uint8_t role_of(enum pdf_key key, uint8_t inherited)
{
    switch (key) {
    case PDF_KEY_CONTENTS:
    case PDF_KEY_CHAR_PROCS:
    case PDF_KEY_AP:
        return PDF_ROLE_CONTENT;
    case PDF_KEY_XOBJECT:
        return PDF_ROLE_XOBJECT;
    case PDF_KEY_THUMB:
    case PDF_KEY_SMASK:
    case PDF_KEY_MASK:
    case PDF_KEY_IMAGE:
        return PDF_ROLE_IMAGE;
    default:
        return inherited;
    }
}

static void note_action(struct check_run *run, const struct pdf_object *object, enum pdf_key action)
{
    switch (action) {
    case PDF_KEY_JAVASCRIPT:
        checks_fail(run, CHECK_ACTIVE_JAVASCRIPT, "object %u is a JavaScript action",
                    object->number);
        return;
    case PDF_KEY_LAUNCH:
    case PDF_KEY_URI:
    case PDF_KEY_GOTO_R:
    case PDF_KEY_GOTO_E:
    case PDF_KEY_THREAD:
    case PDF_KEY_SUBMIT_FORM:
    case PDF_KEY_RESET_FORM:
    case PDF_KEY_IMPORT_DATA:
    case PDF_KEY_HIDE:
    case PDF_KEY_SET_OCG_STATE:
        checks_fail(run, CHECK_ACTIVE_ACTION,
                    "object %u has an action that does more than go to a place in the document",
                    object->number);
        return;
    case PDF_KEY_GOTO_3D_VIEW:
    case PDF_KEY_RICH_MEDIA_EXECUTE:
    case PDF_KEY_RENDITION:
    case PDF_KEY_MOVIE:
    case PDF_KEY_SOUND:
        checks_fail(run, CHECK_ACTIVE_MEDIA, "object %u plays multimedia", object->number);
        return;
    default:
        return;
    }
}

static void note_type(struct check_run *run, struct pdf_object *object, enum pdf_key type)
{
    switch (type) {
    case PDF_KEY_MOVIE:
    case PDF_KEY_SOUND:
    case PDF_KEY_SCREEN:
    case PDF_KEY_THREE_D:
    case PDF_KEY_RICH_MEDIA:
        checks_fail(run, CHECK_ACTIVE_MEDIA, "object %u is multimedia", object->number);
        return;
    case PDF_KEY_FILE_ATTACHMENT:
    case PDF_KEY_EMBEDDED_FILE:
        checks_fail(run, CHECK_EMBEDDED_FILE, "object %u is an embedded file", object->number);
        return;
    case PDF_KEY_OCG:
    case PDF_KEY_OCMD:
        checks_fail(run, CHECK_OPTIONAL_CONTENT, "object %u is an optional content group",
                    object->number);
        return;
    case PDF_KEY_SIG:
    case PDF_KEY_DOC_TIME_STAMP:
        object->traits |= PDF_TRAIT_SIGNATURE;
        return;
    default:
        return;
    }
}

static void note_entry(struct pdf_file *file, struct pdf_object *object, enum pdf_key key,
                       const struct pdf_node *value)
{
    struct check_run *run = file->run;
    enum pdf_key name =
        value->type == PDF_NAME ? pdf_keys_find(&file->keys, value->hash) : PDF_KEY_NONE;

    switch (key) {
    case PDF_KEY_TYPE:
    case PDF_KEY_SUBTYPE:
        note_type(run, object, name);
        return;
    case PDF_KEY_S:
        note_action(run, object, name);
        return;
    case PDF_KEY_AA:
        checks_fail(run, CHECK_ACTIVE_TRIGGER, "object %u has actions triggered by events (/AA)",
                    object->number);
        return;
    case PDF_KEY_JS:
    case PDF_KEY_JAVASCRIPT:
        checks_fail(run, CHECK_ACTIVE_JAVASCRIPT, "object %u holds JavaScript", object->number);
        return;
    case PDF_KEY_EMBEDDED_FILES:
    case PDF_KEY_EF:
        checks_fail(run, CHECK_EMBEDDED_FILE, "object %u names embedded files", object->number);
        return;
    case PDF_KEY_OC_PROPERTIES:
    case PDF_KEY_OC:
        checks_fail(run, CHECK_OPTIONAL_CONTENT, "object %u uses optional content", object->number);
        return;
    case PDF_KEY_COLLECTION:
        checks_fail(run, CHECK_COLLECTION, "object %u makes the document a portfolio",
                    object->number);
        return;
    case PDF_KEY_RICH_MEDIA_CONTENT:
        checks_fail(run, CHECK_ACTIVE_MEDIA, "object %u holds multimedia", object->number);
        return;
    case PDF_KEY_BYTE_RANGE:
        object->traits |= PDF_TRAIT_SIGNATURE;
        return;
    default:
        return;
    }
}

static int add_edge(struct pdf_file *file, struct pdf_object *object, const struct pdf_node *node,
                    uint8_t role)
{
    if (file->edge_count == PDF_EDGE_MAX)
        return pdf_over_limit(file, "references");
    if (file->edge_count == file->edge_capacity) {
        uint32_t capacity = file->edge_capacity ? file->edge_capacity * 2 : 512;
        struct pdf_edge *edges = realloc(file->edges, capacity * sizeof *edges);
        if (!edges)
            return -ENOMEM;
        file->edges = edges;
        file->edge_capacity = capacity;
    }
    file->edges[file->edge_count++] = (struct pdf_edge){
        .number = node->reference.number,
        .generation = node->reference.generation,
        .role = role,
    };
    object->edge_count++;
    return 0;
}

/* Parents stand before their children in a tree, so a role set here is there when its turn comes.
 * A mask may be a dictionary of graphics state, so an image's role goes to references only. */
static int take_value(struct pdf_file *file, struct pdf_object *object, struct pdf_node *value,
                      uint8_t role)
{
    if (value->type == PDF_REFERENCE)
        return add_edge(file, object, value, role);
    value->role = role == PDF_ROLE_IMAGE ? PDF_ROLE_NONE : role;
    return 0;
}

static int walk(struct pdf_file *file, struct pdf_object *object)
{
    struct pdf_node *nodes = file->scratch.nodes;
    int r = 0;

    for (uint32_t i = 1; i < file->scratch.count && r == 0; i++) {
        const struct pdf_node *node = &nodes[i];
        if (node->type == PDF_ARRAY) {
            for (uint32_t k = node->children.first; k && r == 0; k = nodes[k].next)
                r = take_value(file, object, &nodes[k], node->role);
        } else if (node->type == PDF_DICTIONARY) {
            for (uint32_t k = node->children.first; k && r == 0; k = nodes[nodes[k].next].next) {
                struct pdf_node *value = &nodes[nodes[k].next];
                enum pdf_key key = pdf_keys_find(&file->keys, nodes[k].hash);
                if (key != PDF_KEY_NONE)
                    note_entry(file, object, key, value);
                r = take_value(file, object, value, role_of(key, node->role));
            }
        }
    }
    return r;
}

/* Of the filters of one stream: how many, all fit for images, one that only images have. */
struct filters {
    unsigned count;
    bool fit, of_image;
};

static int read_filters(struct pdf_file *file, struct pdf_value dictionary,
                        struct filters *ret_filters)
{
    _cleanup_pdf_tree_ struct pdf_tree list_tree = {0};
    struct filters filters = {.fit = true};
    struct pdf_value list;

    int r = pdf_resolve(file, pdf_get(dictionary, "Filter"), &list_tree, &list);
    if (r != 0)
        return r;
    bool many = pdf_is(list, PDF_ARRAY);
    for (struct pdf_value item = many ? pdf_first(list) : list; item.index;) {
        _cleanup_pdf_tree_ struct pdf_tree name_tree = {0};
        struct pdf_value name;
        r = pdf_resolve(file, item, &name_tree, &name);
        if (r != 0)
            return r;
        bool fax = pdf_is_name(name, "CCITTFaxDecode");
        filters.count++;
        filters.fit = filters.fit && (fax || pdf_is_name(name, "FlateDecode"));
        filters.of_image = filters.of_image || fax || pdf_is_name(name, "DCTDecode") ||
                           pdf_is_name(name, "JPXDecode") || pdf_is_name(name, "JBIG2Decode");
        if (!many)
            break;
        item = pdf_next(item);
    }
    *ret_filters = filters;
    return 0;
}

static bool has(struct pdf_value dictionary, const char *key)
{
    return !pdf_is(pdf_get(dictionary, key), PDF_NULL);
}

static int inspect_stream(struct pdf_file *file, struct pdf_object *object,
                          struct pdf_value dictionary)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value subtype, pattern;
    struct filters filters;

    int r = read_filters(file, dictionary, &filters);
    if (r == 0)
        r = pdf_resolve(file, pdf_get(dictionary, "Subtype"), &tree, &subtype);
    if (r != 0)
        return r;
    if (pdf_is_name(pdf_get(dictionary, "Filter"), "FlateDecode") &&
        !has(dictionary, "DecodeParms"))
        object->traits |= PDF_TRAIT_FLATE;
    if (filters.count == 0)
        object->traits |= PDF_TRAIT_NO_FILTER;
    else if (filters.fit)
        object->traits |= PDF_TRAIT_IMAGE_FILTER;
    if (filters.of_image || pdf_is_name(subtype, "Image") ||
        (has(dictionary, "Width") && has(dictionary, "Height")))
        object->traits |= PDF_TRAIT_IMAGE;
    if (pdf_is_name(subtype, "Form") || has(dictionary, "FormType") || has(dictionary, "PaintType"))
        object->traits |= PDF_TRAIT_FORM;
    if (has(dictionary, "F"))
        object->traits |= PDF_TRAIT_EXTERNAL;
    r = pdf_resolve(file, pdf_get(dictionary, "PatternType"), &tree, &pattern);
    if (r == 0 && !pdf_is(pattern, PDF_NULL))
        object->traits |= PDF_TRAIT_FORM;
    return r;
}

int pdf_inspect(struct pdf_file *file, struct pdf_object *object, struct pdf_value value)
{
    object->first_edge = file->edge_count;
    int r = walk(file, object);
    if (r == 0 && (object->traits & PDF_STREAM))
        r = inspect_stream(file, object, value);
    return r;
}
