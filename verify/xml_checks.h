/*
 * The checks on XML documents, in the order in which a document meets them. XMLDSIG is W3C XML
 * Signature Syntax and Processing, clauses of version 2.0 (W3C Note 11 April 2013).
 */
#ifndef VERIFY_XML_CHECKS_H
#define VERIFY_XML_CHECKS_H

#define CHECKS_XML(X) CHECKS_XML_FORM(X) CHECKS_XML_SIGNATURE(X) CHECKS_XML_CONTENT(X)

#define CHECKS_XML_FORM(X)                                                                         \
    X(XML_SIZE, "xml-size", "R-4.2.1b", BASIS_PROFILE, VERDICT_POLICY_PROCESSING_ERROR,            \
      "The document is not larger than a certificate can be.")                                     \
    X(XML_ENCODING, "xml-encoding", "XML 1.0 4.3.3", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,        \
      "Byte order mark, declared encoding and bytes agree, and every character is one that XML "   \
      "1.0 allows.")                                                                               \
    X(XML_CHARSET, "xml-utf8-or-utf16", "XML 1.0 4.3.3", BASIS_POLICY, VERDICT_FORMAT_FAILURE,     \
      "The encoding is UTF-8 or UTF-16, which every reader decodes alike.")                        \
    X(XML_VERSION, "xml-version", "JIS X 4159 2.8", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,         \
      "The document is XML 1.0.")                                                                  \
    X(XML_DOCTYPE, "xml-no-doctype", "R-4.2.1b", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,            \
      "There is no document type declaration: entities, defaults and identifiers come from "       \
      "nowhere.")                                                                                  \
    X(XML_LIMITS, "xml-limits", "R-4.2.1b", BASIS_PROFILE, VERDICT_POLICY_PROCESSING_ERROR,        \
      "Depth, attributes, names, namespaces and nodes stay within the ceilings.")                  \
    X(XML_WELL_FORMED, "xml-well-formed", "XML 1.0 2.1", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,    \
      "The document is well-formed, its namespaces too.")                                          \
    X(XML_NAMESPACE_NAMES, "xml-namespace-names", "Canonical XML 1.0 4.4", BASIS_PROFILE,          \
      VERDICT_FORMAT_FAILURE, "No namespace name is a relative reference.")

#define CHECKS_XML_SIGNATURE(X)                                                                    \
    X(XML_SIGNATURE_ONE, "xml-signature-one", "R-4.2.2b", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,   \
      "The document holds exactly one Signature element.")                                         \
    X(XML_SIGNATURE_ENVELOPED, "xml-signature-enveloped", "R-4.2.2b", BASIS_PROFILE,               \
      VERDICT_FORMAT_FAILURE, "The signature is enveloped: inside what it signs.")                 \
    X(XML_SIGNATURE_PLACE, "xml-signature-place", "XMLDSIG 2.0", BASIS_POLICY,                     \
      VERDICT_FORMAT_FAILURE, "The Signature is a child of the document element.")                 \
    X(XML_SIGNATURE_SHAPE, "xml-signature-shape", "XMLDSIG 4", BASIS_PROFILE,                      \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "The Signature holds the elements and attributes of an enveloped signature and nothing "     \
      "else.")                                                                                     \
    X(XML_SIGNATURE_MODE, "xml-signature-mode", "XMLDSIG 1.3", BASIS_PROFILE,                      \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "The signature is of one mode: 2.0 or compatibility, not a mixture.")                        \
    X(XML_C14N_METHOD, "xml-c14n-method", "XMLDSIG 6.5", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,    \
      "Canonicalization is Canonical XML 1.0, 1.1, exclusive or, in 2.0 mode, 2.0.")               \
    X(XML_C14N_COMMENTS, "xml-c14n-comments", "XMLDSIG 6.5", BASIS_POLICY, VERDICT_FORMAT_FAILURE, \
      "No canonicalization method with comments is named where comments cannot be signed.")        \
    X(XML_SIGNATURE_METHOD, "xml-signature-method", "R-4.2.2b", BASIS_PROFILE,                     \
      VERDICT_FORMAT_FAILURE, "The signature method is RSA PKCS#1 v1.5 with SHA-256.")             \
    X(XML_DIGEST_METHOD, "xml-digest-method", "R-4.2.2b", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,   \
      "The digest method is SHA-256.")                                                             \
    X(XML_REFERENCE, "xml-reference", "XMLDSIG 4.5", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,        \
      "One Reference covers the whole document.")                                                  \
    X(XML_TRANSFORMS, "xml-transforms", "XMLDSIG 4.5.4", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,    \
      "Compatibility mode: the enveloped signature transform, then at most one "                   \
      "canonicalization.")                                                                         \
    X(XML_XPATH_ENVELOPED, "xml-xpath-enveloped", "XMLDSIG 6.6.4", BASIS_POLICY,                   \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "The Signature is left out by the transform made for it, not by an XPath expression.")       \
    X(XML_SELECTION, "xml-selection", "XMLDSIG 10.5", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,       \
      "2.0 mode: the selection is the whole document as XML, with no part picked or left out.")    \
    X(XML_VERIFICATIONS, "xml-verifications", "XMLDSIG 10.7", BASIS_PROFILE,                       \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "2.0 mode: what the signer asks to be verified is understood and holds.")                    \
    X(XML_KEYINFO, "xml-keyinfo", "R-4.2.2b", BASIS_PROFILE, VERDICT_NO_SIGNING_CERTIFICATE_FOUND, \
      "The signer's certificate is in KeyInfo, and nothing there contradicts it.")                 \
    X(XML_KEYINFO_ONLY, "xml-keyinfo-only-certificates", "R-4.2.2b", BASIS_POLICY,                 \
      VERDICT_FORMAT_FAILURE, "KeyInfo holds one X509Data and no further hints about the key.")    \
    X(XML_CERTIFICATES, "xml-certificates-one-path", "XMLDSIG 4.6.4", BASIS_PROFILE,               \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "All certificates in KeyInfo lie on one path from the signer upwards.")                      \
    X(XML_CERTIFICATE_TWICE, "xml-certificate-repeated", "XMLDSIG 4.6.4", BASIS_POLICY,            \
      VERDICT_FORMAT_FAILURE, "No certificate stands in KeyInfo twice.")                           \
    X(XML_DIGEST, "xml-digest", "XMLDSIG 4.5.6", BASIS_CRYPTO, VERDICT_HASH_FAILURE,               \
      "The document is the one that was signed: its digest is the one in the Reference.")          \
    X(XML_SIGNATURE_VALUE, "xml-signature-value", "XMLDSIG 4.3", BASIS_CRYPTO,                     \
      VERDICT_SIG_CRYPTO_FAILURE, "The signature was made with the key of the certificate.")       \
    X(XML_SECOND_OPINION, "xml-second-opinion", "XMLDSIG 4.3", BASIS_CRYPTO,                       \
      VERDICT_SIG_CRYPTO_FAILURE,                                                                  \
      "Compatibility mode: xmlsec1, an independent implementation, finds the signature good too.")

#define CHECKS_XML_CONTENT(X)                                                                      \
    X(XML_COMMENT_IN_TEXT, "xml-comment-in-text", "Canonical XML 1.0 2.1", BASIS_PROFILE,          \
      VERDICT_FORMAT_FAILURE, "No unsigned comment splits a text, which readers then cut short.")  \
    X(XML_COMMENTS, "xml-comments", "Canonical XML 1.0 2.1", BASIS_POLICY, VERDICT_FORMAT_FAILURE, \
      "The document holds no unsigned comment.")                                                   \
    X(XML_TYPE_SIGNED, "xml-type-signed", "Exclusive C14N 1.3", BASIS_PROFILE,                     \
      VERDICT_FORMAT_FAILURE, "The namespace of each xsi:type is part of what was signed.")        \
    X(XML_NAMESPACES_SIGNED, "xml-namespaces-signed", "Exclusive C14N 1.3", BASIS_POLICY,          \
      VERDICT_FORMAT_FAILURE, "Each namespace declaration is part of what was signed.")            \
    X(SCHEMA_CONFIGURED, "schema-configured", "R-4.2.1b", BASIS_ADVICE,                            \
      VERDICT_SIGNATURE_POLICY_NOT_AVAILABLE,                                                      \
      "A schema of the Minister is configured; without one the content is not validated.")         \
    X(SCHEMA_HONOURED, "schema-honoured", "R-4.2.1b", BASIS_PROFILE,                               \
      VERDICT_SIGNATURE_POLICY_NOT_AVAILABLE,                                                      \
      "The configured schema can be applied in full, by a processor for the version it needs.")    \
    X(SCHEMA_VALID, "schema-valid", "R-4.2.1b", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,             \
      "The document, its Signature aside, is valid by the configured schema.")

#endif
