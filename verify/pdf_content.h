/*
 * What a PDF document holds besides its signature: notes the checks of checks_content.h, which
 * pdf_inspect() has begun.
 */
#ifndef VERIFY_PDF_CONTENT_H
#define VERIFY_PDF_CONTENT_H

#include "verify/pdf_file.h"

/* After pdf_connect(). `signature` is the number of the one signature dictionary. */
_must_use_ int pdf_check_content(struct pdf_file *file, uint32_t signature);

#endif
