/*
 * Dates of PDF (ISO 32000-1 7.9.4): (D:YYYYMMDDHHmmSSOHH'mm').
 */
#ifndef VERIFY_PDF_DATE_H
#define VERIFY_PDF_DATE_H

#include "base/bytes.h"

struct pdf_date {
    bool complete;   /* to the second */
    int64_t seconds; /* since 1970; without a zone as UTC */
};

/* False if it is not such a date or the day or time does not exist. */
_must_use_ bool pdf_date_parse(struct bytes text, struct pdf_date *ret_date);

#endif
