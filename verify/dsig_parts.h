/*
 * Reading the parts of a Signature. Each function notes the check that its part belongs to and
 * returns false when the run has ended.
 */
#ifndef VERIFY_DSIG_PARTS_H
#define VERIFY_DSIG_PARTS_H

#include "verify/dsig.h"

/* The children of an element one by one. */
struct dsig_cursor {
    struct check_run *run;
    enum check_id check; /* what a stray node fails */
    const xmlNode *parent;
    const xmlNode *next; /* the next child element; NULL = none left */
};

/* Starts at the first child. White space is passed over; comments, instructions and text are
 * strays. Also checks that the parent has no attributes but those named in `attributes`, a
 * NULL-terminated list. */
_must_use_ bool dsig_enter(struct dsig_cursor *cursor, struct check_run *run, enum check_id check,
                           const xmlNode *parent, const char *const *attributes);
/* Moves behind cursor->next. */
_must_use_ bool dsig_advance(struct dsig_cursor *cursor);
/* Takes the next child, which must be this element. */
_must_use_ bool dsig_take(struct dsig_cursor *cursor, const char *uri, const char *name,
                          const xmlNode **ret_element);
/* Nothing may be left. */
_must_use_ bool dsig_leave(struct dsig_cursor *cursor);
/* An element with no child elements and none but these attributes. */
_must_use_ bool dsig_enter_empty(struct check_run *run, enum check_id check, const xmlNode *element,
                                 const char *const *attributes);

/* An element that holds only text, perhaps none, and none but these attributes. */
_must_use_ bool dsig_enter_text(struct check_run *run, enum check_id check, const xmlNode *element,
                                const char *const *attributes, const char **ret_text);

extern const char *const dsig_no_attributes[];
extern const char *const dsig_only_id[];
extern const char *const dsig_only_algorithm[];

/* dsig_algorithm.c */
bool dsig_read_c14n_method(struct check_run *run, const xmlNode *element,
                           struct dsig_method *ret_method);
bool dsig_read_signature_method(struct check_run *run, const xmlNode *element);
bool dsig_read_digest_method(struct check_run *run, const xmlNode *element);

/* dsig_reference.c, dsig_transform2.c: the Transforms of compatibility and of 2.0 mode. */
bool dsig_read_reference(struct check_run *run, const xmlNode *element,
                         struct dsig_signature *signature);
bool dsig_read_transform2(struct check_run *run, struct dsig_signature *signature);
/* Resolves the URI of a Reference or Selection; `check` is what fails. */
bool dsig_resolve(struct check_run *run, enum check_id check, const char *uri,
                  struct dsig_signature *signature);
/* True if IDAttributes lists this attribute. */
bool dsig_id_listed(const struct dsig_verifications *verifications, const xmlAttr *attribute);
/* True if the assertion selects the document element. */
bool dsig_position_holds(const xmlNode *assertion, const xmlNode *root);

/* dsig_keyinfo.c; -ENOMEM. */
_must_use_ int dsig_read_keyinfo(struct check_run *run, struct dsig_signature *signature);
/* What KeyInfo says about the signer besides its certificate. */
_must_use_ int dsig_check_keyinfo(struct check_run *run, const struct dsig_signature *signature,
                                  const struct path_signer *signer);

/* Empties OpenSSL's error queue; true if one of the errors was a shortage of memory. */
bool dsig_memory_was_short(void);

/* dsig_base64.c: decodes base64 with white space anywhere, canonical otherwise: padding complete,
 * unused bits zero. -EBADMSG; as buffer_append(). */
_must_use_ int dsig_base64(const char *text, struct buffer *out);

#endif
