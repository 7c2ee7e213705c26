/*
 * The names that matter when objects are inspected, found by hash. A collision can only make an
 * object look more suspicious than it is.
 */
#ifndef VERIFY_PDF_KEYS_H
#define VERIFY_PDF_KEYS_H

#include <stdint.h>

/* X(identifier, name) */
#define PDF_KEYS(X)                                                                                \
    /* keys that say what a stream is for */                                                       \
    X(CONTENTS, "Contents")                                                                        \
    X(CHAR_PROCS, "CharProcs")                                                                     \
    X(AP, "AP")                                                                                    \
    X(XOBJECT, "XObject")                                                                          \
    X(THUMB, "Thumb")                                                                              \
    X(SMASK, "SMask")                                                                              \
    X(MASK, "Mask")                                                                                \
    X(IMAGE, "Image")                                                                              \
    /* keys whose presence is judged */                                                            \
    X(TYPE, "Type")                                                                                \
    X(SUBTYPE, "Subtype")                                                                          \
    X(S, "S")                                                                                      \
    X(AA, "AA")                                                                                    \
    X(JS, "JS")                                                                                    \
    X(JAVASCRIPT, "JavaScript")                                                                    \
    X(EMBEDDED_FILES, "EmbeddedFiles")                                                             \
    X(EF, "EF")                                                                                    \
    X(OC_PROPERTIES, "OCProperties")                                                               \
    X(OC, "OC")                                                                                    \
    X(COLLECTION, "Collection")                                                                    \
    X(RICH_MEDIA_CONTENT, "RichMediaContent")                                                      \
    X(BYTE_RANGE, "ByteRange")                                                                     \
    /* values of /S: actions (12.6.4); JavaScript is above */                                      \
    X(LAUNCH, "Launch")                                                                            \
    X(URI, "URI")                                                                                  \
    X(GOTO_R, "GoToR")                                                                             \
    X(GOTO_E, "GoToE")                                                                             \
    X(THREAD, "Thread")                                                                            \
    X(SUBMIT_FORM, "SubmitForm")                                                                   \
    X(RESET_FORM, "ResetForm")                                                                     \
    X(IMPORT_DATA, "ImportData")                                                                   \
    X(HIDE, "Hide")                                                                                \
    X(SET_OCG_STATE, "SetOCGState")                                                                \
    X(GOTO_3D_VIEW, "GoTo3DView")                                                                  \
    X(RICH_MEDIA_EXECUTE, "RichMediaExecute")                                                      \
    X(RENDITION, "Rendition")                                                                      \
    /* values of /S, /Type or /Subtype */                                                          \
    X(MOVIE, "Movie")                                                                              \
    X(SOUND, "Sound")                                                                              \
    X(SCREEN, "Screen")                                                                            \
    X(THREE_D, "3D")                                                                               \
    X(RICH_MEDIA, "RichMedia")                                                                     \
    X(FILE_ATTACHMENT, "FileAttachment")                                                           \
    X(EMBEDDED_FILE, "EmbeddedFile")                                                               \
    X(OCG, "OCG")                                                                                  \
    X(OCMD, "OCMD")                                                                                \
    X(SIG, "Sig")                                                                                  \
    X(DOC_TIME_STAMP, "DocTimeStamp")

enum pdf_key {
    PDF_KEY_NONE = 0,
#define X(id, name) PDF_KEY_##id,
    PDF_KEYS(X)
#undef X
        PDF_KEY_COUNT,
};

enum { PDF_KEY_SLOTS = 128 };

struct pdf_keys {
    uint64_t hashes[PDF_KEY_SLOTS];
    uint8_t keys[PDF_KEY_SLOTS];
};

_Static_assert(PDF_KEY_COUNT * 2 < PDF_KEY_SLOTS, "the table of keys is too full");

void pdf_keys_init(struct pdf_keys *keys);

static inline enum pdf_key pdf_keys_find(const struct pdf_keys *keys, uint64_t hash)
{
    unsigned slot = (unsigned)(hash % PDF_KEY_SLOTS);

    while (keys->keys[slot] && keys->hashes[slot] != hash)
        slot = (slot + 1) % PDF_KEY_SLOTS;
    return keys->keys[slot];
}

#endif
