/*
 * What is reached from the trailer, and what each stream is for. Roles are given along references
 * from every object, reached or not; an object between that is no stream (an array of contents, a
 * dictionary of glyphs) hands them on.
 */
#include "verify/pdf_file.h"

struct worklist {
    uint32_t *objects; /* indexes; room for each object once per reason to visit it */
    size_t count;
};

static void reach(struct pdf_file *file, struct worklist *work, uint32_t number,
                  uint32_t generation)
{
    struct pdf_object *object = pdf_find(file, number, generation);

    if (!object || object->reached)
        return;
    object->reached = true;
    work->objects[work->count++] = (uint32_t)(object - file->objects);
}

static void reach_all(struct pdf_file *file, struct worklist *work)
{
    for (uint32_t i = 1; i < file->trailer.count; i++) {
        const struct pdf_node *node = &file->trailer.nodes[i];
        if (node->type == PDF_REFERENCE)
            reach(file, work, node->reference.number, node->reference.generation);
    }
    while (work->count) {
        const struct pdf_object *object = &file->objects[work->objects[--work->count]];
        for (uint32_t i = 0; i < object->edge_count; i++) {
            const struct pdf_edge *edge = &file->edges[object->first_edge + i];
            reach(file, work, edge->number, edge->generation);
        }
    }
}

static void give_role(struct pdf_file *file, struct worklist *work, const struct pdf_edge *edge,
                      uint8_t role)
{
    struct pdf_object *object = pdf_find(file, edge->number, edge->generation);

    if (!object || (object->roles & role) == role)
        return;
    object->roles |= role;
    if (!(object->traits & PDF_STREAM) && role != PDF_ROLE_IMAGE)
        work->objects[work->count++] = (uint32_t)(object - file->objects);
}

static void give_roles(struct pdf_file *file, struct worklist *work)
{
    for (uint32_t i = 0; i < file->edge_count; i++) {
        const struct pdf_edge *edge = &file->edges[i];
        if (edge->role)
            give_role(file, work, edge, (uint8_t)edge->role);
    }
    while (work->count) {
        const struct pdf_object *object = &file->objects[work->objects[--work->count]];
        uint8_t roles = object->roles & (PDF_ROLE_CONTENT | PDF_ROLE_XOBJECT);
        for (uint32_t i = 0; i < object->edge_count; i++) {
            const struct pdf_edge *edge = &file->edges[object->first_edge + i];
            if (!edge->role)
                give_role(file, work, edge, roles);
        }
    }
}

int pdf_connect(struct pdf_file *file)
{
    /* An object is put on the list at most once for being reached, and once for each role. */
    struct worklist work = {
        .objects = malloc((size_t)(file->object_count + 1) * 3 * sizeof *work.objects)};

    if (!work.objects)
        return -ENOMEM;
    reach_all(file, &work);
    give_roles(file, &work);
    free(work.objects);
    return 0;
}
