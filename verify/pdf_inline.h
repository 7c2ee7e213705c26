/*
 * Inline images in a decoded content stream (ISO 32000-1 8.9.7).
 */
#ifndef VERIFY_PDF_INLINE_H
#define VERIFY_PDF_INLINE_H

#include "base/bytes.h"

enum pdf_inline {
    PDF_INLINE_FIT,
    PDF_INLINE_UNFILTERED, /* at least one image has no filter */
    PDF_INLINE_UNFIT,      /* an image has a filter that it may not have */
    PDF_INLINE_MALFORMED,  /* an image that cannot be read to its end */
};

struct pdf_inline_finding {
    enum pdf_inline finding; /* the worst */
    char filter[40];         /* of an unfit image */
    uint64_t inflated;       /* bytes inflated to find where images end */
};

/* `inflate_max` bounds what is inflated; beyond it an image is malformed. -ENOMEM. */
_must_use_ int pdf_inline_scan(struct bytes content, uint64_t inflate_max,
                               struct pdf_inline_finding *ret_finding);

#endif
