/*
 * The bindings are few (xml_scan.h caps what is in scope), so a search from the innermost outwards
 * is as quick as anything else.
 */
#include "verify/c14n_scope.h"

#include <stdio.h>
#include <string.h>

void c14n_scope_done(struct c14n_scope *scope)
{
    free(scope->in_scope.entries);
    free(scope->rendered.entries);
    free(scope->numbered.entries);
}

static int bindings_push(struct c14n_bindings *bindings, struct c14n_binding binding)
{
    if (bindings->count == bindings->capacity) {
        size_t capacity = bindings->capacity > 0 ? 2 * bindings->capacity : 32;
        void *entries = reallocarray(bindings->entries, capacity, sizeof *bindings->entries);
        if (!entries)
            return -ENOMEM;
        bindings->entries = entries;
        bindings->capacity = capacity;
    }
    bindings->entries[bindings->count++] = binding;
    return 0;
}

static struct c14n_binding *bindings_find(const struct c14n_bindings *bindings, const char *prefix)
{
    for (size_t i = bindings->count; i > 0; i--)
        if (strcmp(bindings->entries[i - 1].prefix, prefix) == 0)
            return &bindings->entries[i - 1];
    return NULL;
}

struct c14n_binding *c14n_scope_find(const struct c14n_scope *scope, const char *prefix)
{
    return bindings_find(&scope->in_scope, prefix);
}

const char *c14n_scope_uri(const struct c14n_scope *scope, const char *prefix)
{
    const struct c14n_binding *binding = c14n_scope_find(scope, prefix);
    return binding ? binding->uri : "";
}

int c14n_scope_declare(struct c14n_scope *scope, const xmlNode *element, unsigned depth)
{
    for (const xmlNs *ns = element->nsDef; ns; ns = ns->next) {
        const char *prefix = ns->prefix ? (const char *)ns->prefix : "";
        const char *uri = ns->href ? (const char *)ns->href : "";
        if (strcmp(prefix, "xml") == 0 || strcmp(c14n_scope_uri(scope, prefix), uri) == 0)
            continue;
        int r = bindings_push(
            &scope->in_scope,
            (struct c14n_binding){
                .prefix = prefix, .uri = uri, .depth = depth, .line = xmlGetLineNo(element)});
        if (r < 0)
            return r;
    }
    return 0;
}

int c14n_scope_render(struct c14n_scope *scope, const char *prefix, const char *uri, unsigned depth)
{
    return bindings_push(&scope->rendered,
                         (struct c14n_binding){.prefix = prefix, .uri = uri, .depth = depth});
}

const char *c14n_scope_rendered(const struct c14n_scope *scope, const char *prefix)
{
    const struct c14n_binding *binding = bindings_find(&scope->rendered, prefix);
    return binding ? binding->uri : "";
}

bool c14n_scope_rendered_uri(const struct c14n_scope *scope, const char *uri)
{
    for (size_t i = 0; i < scope->rendered.count; i++)
        if (strcmp(scope->rendered.entries[i].uri, uri) == 0)
            return true;
    return false;
}

int c14n_scope_number(struct c14n_scope *scope, const char *uri, unsigned *ret_number)
{
    struct c14n_bindings *numbered = &scope->numbered;
    for (size_t i = 0; i < numbered->count; i++) {
        if (strcmp(numbered->entries[i].uri, uri) == 0) {
            *ret_number = numbered->entries[i].depth;
            return 0;
        }
    }
    unsigned number = (unsigned)numbered->count;
    int r =
        bindings_push(numbered, (struct c14n_binding){.prefix = "", .uri = uri, .depth = number});
    if (r < 0)
        return r;
    *ret_number = number;
    return 0;
}

void c14n_scope_leave(struct c14n_scope *scope, unsigned depth, struct c14n_coverage *coverage)
{
    struct c14n_bindings *in_scope = &scope->in_scope;
    while (in_scope->count > 0 && in_scope->entries[in_scope->count - 1].depth >= depth) {
        const struct c14n_binding *binding = &in_scope->entries[--in_scope->count];
        if (coverage && !binding->used && coverage->unsigned_declaration_line == 0) {
            coverage->unsigned_declaration_line = binding->line > 0 ? binding->line : 1;
            snprintf(coverage->unsigned_declaration_prefix,
                     sizeof coverage->unsigned_declaration_prefix, "%s", binding->prefix);
        }
    }
    struct c14n_bindings *rendered = &scope->rendered;
    while (rendered->count > 0 && rendered->entries[rendered->count - 1].depth >= depth)
        rendered->count--;
}
