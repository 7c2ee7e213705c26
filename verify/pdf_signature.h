/*
 * The one signature of a PDF document: found from the trailer, never by scanning, and bound to the
 * bytes it covers.
 */
#ifndef VERIFY_PDF_SIGNATURE_H
#define VERIFY_PDF_SIGNATURE_H

#include "verify/pdf_file.h"

struct pdf_signature {
    uint32_t number, generation; /* of the signature dictionary */
    int64_t signing_time_s;
    size_t gap_start, gap_end; /* what /ByteRange leaves out */
    struct bytes contents;     /* the digits of /Contents */
};

/* Notes the checks PDF_CATALOG, PDF_VERSION and SIG_FIELD to FORM_XFA (pdf_form.c); finds number
 * and generation. Results as in pdf_file.h. */
_must_use_ int pdf_find_signature(struct pdf_file *file, struct pdf_signature *ret_signature);

/* Notes the checks SIG_DICTIONARY to BYTERANGE_TIGHT; fills in the rest. */
_must_use_ int pdf_check_signature(struct pdf_file *file, struct pdf_signature *signature);

#endif
