/*
 * A PDF file as read by this verifier: cross-reference chain, objects, streams.
 *
 * Life: zeroed, then pdf_read_tail(), pdf_read_chain() (pdf_xref.c), pdf_sweep() (pdf_sweep.c: each
 * object parsed once, in file order), pdf_connect() (pdf_graph.c: what is reached from the trailer,
 * what each stream is for), after which it only answers questions; pdf_file_done().
 *
 * Functions that read return 0, PDF_STOP after a fixed check has failed (it is noted), or -ENOMEM.
 */
#ifndef VERIFY_PDF_FILE_H
#define VERIFY_PDF_FILE_H

#include "base/bytes.h"
#include "verify/checks.h"
#include "verify/pdf_keys.h"
#include "verify/pdf_tree.h"

enum {
    PDF_STOP = 1,
    PDF_FILE_SIZE_MAX = 1024 * 1024 * 1024,
    PDF_OBJECT_MAX = 128 * 1024,     /* entries in use, all revisions together */
    PDF_ENTRY_MAX = 2 * 1024 * 1024, /* entries of all sections, free ones too */
    PDF_NUMBER_MAX = 512 * 1024,     /* highest object number + 1 */
    PDF_OBJECT_STREAM_MAX = 4096,
    PDF_SECTION_MAX = 256,              /* cross-reference sections */
    PDF_EDGE_MAX = 256 * 1024,          /* references */
    PDF_LOOKUP_MAX = 16 * 1024 * 1024,  /* bytes read again to follow references */
    PDF_INFLATE_MAX = 64 * 1024 * 1024, /* inflated bytes, all streams together */
};

/* What a stream is used for, as seen from what refers to it. */
enum pdf_role {
    PDF_ROLE_NONE = 0,
    PDF_ROLE_CONTENT = 1, /* operators: page content, form, glyph, pattern, appearance */
    PDF_ROLE_IMAGE = 2,   /* thumbnail, mask, soft mask, alternate; or a resource of that name */
    PDF_ROLE_XOBJECT = 4, /* image or form: the stream's own dictionary says which */
};

/* What an object is, as it says itself. */
enum pdf_trait {
    PDF_STREAM = 1,
    PDF_TRAIT_IMAGE = 2, /* /Subtype /Image, or has an image's filter or shape */
    PDF_TRAIT_FORM = 4,  /* a form or tiling pattern: has operators inside */
    PDF_TRAIT_NO_FILTER = 8,
    PDF_TRAIT_IMAGE_FILTER = 16, /* its filters are those that image data may have */
    PDF_TRAIT_EXTERNAL = 32,     /* /F: its data are in another file */
    PDF_TRAIT_SIGNATURE = 64,    /* has /ByteRange or says that it is a signature */
    PDF_TRAIT_FLATE = 128,       /* one FlateDecode and no parameters */
};

struct pdf_object {
    uint32_t number;
    uint32_t generation;
    bool compressed;
    bool current; /* not superseded by a later revision */
    bool reached; /* from the trailer */
    uint8_t traits;
    uint8_t roles;
    uint32_t position;  /* offset in the file; if compressed, index in its object stream */
    uint32_t container; /* number of its object stream */
    uint32_t stream_start, stream_size; /* in the file */
    uint32_t first_edge, edge_count;
};

struct pdf_edge {
    uint32_t number, generation;
    uint32_t role;
};

/* Bytes of the file that are accounted for. */
struct pdf_extent {
    uint32_t start, end;
};

struct pdf_object_stream {
    uint32_t number; /* of the object */
    uint32_t count;  /* N */
    uint32_t *pairs; /* 2 * count: number, position in data */
    uint8_t *data;
    uint32_t size;
    bool *listed; /* count: has a cross-reference entry */
};

/* "n g obj" */
struct pdf_header {
    int64_t number, generation;
    size_t start, end; /* end: behind "obj" */
};

/* A whole indirect object: its value, its stream if it has one, and where it ends. */
struct pdf_indirect {
    struct pdf_header header;
    struct pdf_value value;
    bool has_stream;
    size_t stream_start, stream_size;
    size_t end;
};

struct pdf_file {
    struct bytes bytes;
    struct check_run *run;
    struct pdf_keys keys;
    uint64_t inflated;  /* bytes so far */
    uint64_t looked_up; /* bytes read again so far */
    bool opening;       /* an object stream is being opened: its length may not be in one */
    size_t start_xref;

    struct pdf_tree trailer; /* of the last revision */
    uint32_t trailer_root;   /* node in it */
    int64_t size_entry;      /* its /Size */
    bool encrypted;

    struct pdf_object *objects;
    uint32_t object_count, object_capacity;
    uint32_t *newest; /* below size_entry: index in objects + 1, PDF_FREE, or 0 = not listed */
    uint32_t section_starts[PDF_SECTION_MAX];
    unsigned section_count;
    uint64_t section_bytes, entries_read;
    uint32_t section_first_object;   /* objects from here on are of the section being read */
    struct pdf_indirect xref_stream; /* the one being read */

    struct pdf_extent *extents;
    uint32_t extent_count, extent_capacity;
    struct pdf_edge *edges;
    uint32_t edge_count, edge_capacity;
    struct pdf_object_stream *object_streams;
    uint32_t object_stream_count;
    uint64_t pair_count; /* of all object streams */

    struct pdf_tree scratch; /* of the object being read in a sweep */
};

#define PDF_FREE UINT32_MAX

void pdf_file_done(struct pdf_file *file);

/* Notes that a limit was passed; PDF_STOP. */
int pdf_over_limit(struct pdf_file *file, const char *what);
/* Notes a syntax error at an offset of the file (or of an object stream's data); PDF_STOP. A result
 * of pdf_tree_parse() says which error; -ENOMEM is passed on. */
int pdf_bad_syntax(struct pdf_file *file, int result, const char *what, size_t position);

_must_use_ int pdf_add_extent(struct pdf_file *file, size_t start, size_t end);

/* The current object of this number and generation; NULL if there is none, which reads as null. */
struct pdf_object *pdf_find(const struct pdf_file *file, uint32_t number, uint32_t generation);

/*
 * Reads an object's value into `tree`. Absent objects read as null. For references to references
 * as well: the value is never a reference.
 */
_must_use_ int pdf_load(struct pdf_file *file, uint32_t number, uint32_t generation,
                        struct pdf_tree *tree, struct pdf_value *ret_value);
/* The value itself, or what it refers to, read into `tree`. */
_must_use_ int pdf_resolve(struct pdf_file *file, struct pdf_value value, struct pdf_tree *tree,
                           struct pdf_value *ret_value);

/* pdf_xref.c */
_must_use_ int pdf_read_tail(struct pdf_file *file);
_must_use_ int pdf_read_chain(struct pdf_file *file);
/* Adds one entry in use of a section; pdf_xref_stream.c and pdf_xref.c. */
_must_use_ int pdf_add_entry(struct pdf_file *file, const struct pdf_object *entry);
void pdf_add_free(struct pdf_file *file, uint32_t number);
/* pdf_xref_stream.c: the dictionary of the section at `position`, then its entries. */
_must_use_ int pdf_open_xref_stream(struct pdf_file *file, size_t position, struct pdf_tree *tree,
                                    struct pdf_value *ret_dictionary);
_must_use_ int pdf_read_xref_stream(struct pdf_file *file, size_t position,
                                    struct pdf_value dictionary, size_t *ret_end);

/* pdf_object.c */
_must_use_ bool pdf_read_header(const struct pdf_file *file, size_t position,
                                struct pdf_header *ret_header);
_must_use_ int pdf_read_indirect(struct pdf_file *file, size_t position, struct pdf_tree *tree,
                                 struct pdf_indirect *ret_indirect);

/* pdf_stream.c: the decoded bytes of a stream. PDF_FILTER_UNKNOWN if a filter is not Flate; the
 * caller frees. */
enum { PDF_FILTER_UNKNOWN = 2, PDF_DATA_BROKEN = 3 };
_must_use_ int pdf_decode_stream(struct pdf_file *file, struct pdf_value dictionary,
                                 struct bytes encoded, uint8_t **ret_data, size_t *ret_size);

/* The same for PDF_TRAIT_FLATE. */
_must_use_ int pdf_decode_flate(struct pdf_file *file, struct bytes encoded, uint8_t **ret_data,
                                size_t *ret_size);

/* pdf_object_stream.c: opened once, kept. */
_must_use_ int pdf_open_object_stream(struct pdf_file *file, uint32_t number,
                                      struct pdf_object_stream **ret_stream);
/* Where object `index` begins and ends in the data. */
void pdf_object_stream_span(const struct pdf_object_stream *stream, uint32_t index,
                            size_t *ret_start, size_t *ret_end);

/* pdf_sweep.c */
_must_use_ int pdf_sweep(struct pdf_file *file);
/* pdf_inspect.c: notes what one object is and holds; called by the sweep. */
_must_use_ int pdf_inspect(struct pdf_file *file, struct pdf_object *object,
                           struct pdf_value value);
/* pdf_graph.c */
_must_use_ int pdf_connect(struct pdf_file *file);

#endif
