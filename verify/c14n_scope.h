/*
 * Namespace bindings on the way through a document: those in scope, as the document declares them,
 * and those rendered, as the canonical form so far declares them; and the numbers that C14N 2.0
 * gives to namespaces when it rewrites prefixes.
 *
 * A declaration that repeats the binding already in scope is not entered: it changes nothing.
 */
#ifndef VERIFY_C14N_SCOPE_H
#define VERIFY_C14N_SCOPE_H

#include "verify/c14n.h"

struct c14n_binding {
    const char *prefix; /* "" = the default namespace */
    const char *uri;    /* "" = none */
    unsigned depth;
    long line;
    bool used; /* in scope: some name or value of the canonical form relies on it */
};

struct c14n_bindings {
    struct c14n_binding *entries;
    size_t count, capacity;
};

struct c14n_scope {
    struct c14n_bindings in_scope;
    struct c14n_bindings rendered;
    struct c14n_bindings numbered; /* depth is the number; only uri is set besides */
};

void c14n_scope_done(struct c14n_scope *scope);

_must_use_ int c14n_scope_declare(struct c14n_scope *scope, const xmlNode *element, unsigned depth);
/* NULL if the prefix is not bound; for "" and no default namespace: NULL too. */
struct c14n_binding *c14n_scope_find(const struct c14n_scope *scope, const char *prefix);
/* "" if nothing is bound to it. */
const char *c14n_scope_uri(const struct c14n_scope *scope, const char *prefix);

_must_use_ int c14n_scope_render(struct c14n_scope *scope, const char *prefix, const char *uri,
                                 unsigned depth);
/* What the canonical form binds the prefix to at this place; "" if nothing. */
const char *c14n_scope_rendered(const struct c14n_scope *scope, const char *prefix);
bool c14n_scope_rendered_uri(const struct c14n_scope *scope, const char *uri);

/* The number of a namespace; a new one gets the next. */
_must_use_ int c14n_scope_number(struct c14n_scope *scope, const char *uri, unsigned *ret_number);

/* Forgets what was declared and rendered at `depth` and deeper. Reports the first declaration of
 * those that nothing used. */
void c14n_scope_leave(struct c14n_scope *scope, unsigned depth, struct c14n_coverage *coverage);

#endif
