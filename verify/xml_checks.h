/*
 * The checks on XML documents.
 */
#ifndef VERIFY_XML_CHECKS_H
#define VERIFY_XML_CHECKS_H

#define CHECKS_XML(X)                                                                              \
    X(XML_DECIDABLE, "xml-decidable", "R-4.2.2b", BASIS_PROFILE,                                   \
      VERDICT_SIGNATURE_POLICY_NOT_AVAILABLE, "This build can verify XML documents.")

#endif
