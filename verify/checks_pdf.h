/*
 * The checks on PDF documents. (List grows with the parser.)
 */
#ifndef VERIFY_CHECKS_PDF_H
#define VERIFY_CHECKS_PDF_H

#define CHECKS_PDF(X)                                                                              \
    X(PDF_HEADER, "pdf-header", "ISO 32000-1 7.5.2", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,        \
      "The file begins with %PDF-1.0 to %PDF-1.7.")

#endif
