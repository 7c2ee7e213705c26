/*
 * The checks on a PDF file's structure, its signature dictionary and its CMS signature, in the
 * order in which they are reached.
 */
#ifndef VERIFY_CHECKS_PDF_H
#define VERIFY_CHECKS_PDF_H

#define CHECKS_PDF_STRUCTURE(X)                                                                    \
    X(PDF_LIMITS, "pdf-limits", "R-5.2", BASIS_PROFILE, VERDICT_POLICY_PROCESSING_ERROR,           \
      "The file stays within the limits of this program on size, nesting, counts and inflated "    \
      "data.")                                                                                     \
    X(PDF_HEADER, "pdf-header", "ISO 32000-1 7.5.2", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,        \
      "The file begins with %PDF-1.0 to %PDF-1.7.")                                                \
    X(PDF_TAIL, "pdf-end", "ISO 32000-1 7.5.5", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,             \
      "The file ends with startxref, an offset and %%EOF.")                                        \
    X(PDF_AFTER_END, "bytes-after-end", "ISO 32000-1 7.5.5", BASIS_POLICY, VERDICT_FORMAT_FAILURE, \
      "At most one end-of-line follows the last %%EOF.")                                           \
    X(PDF_XREF, "cross-reference", "ISO 32000-1 7.5.4", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,     \
      "Cross-reference tables and streams stand where they are said to be and are well-formed.")   \
    X(PDF_XREF_FORM, "cross-reference-form", "ISO 32000-1 7.5.4", BASIS_POLICY,                    \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "Cross-reference entries are unique within a section, of known types and below /Size.")      \
    X(PDF_PREV, "revision-chain", "ISO 32000-1 7.5.6", BASIS_POLICY, VERDICT_FORMAT_FAILURE,       \
      "Each /Prev leads back to an earlier cross-reference section, none twice.")                  \
    X(PDF_HYBRID, "hybrid-reference", "ISO 32000-1 7.5.8.4", BASIS_POLICY, VERDICT_FORMAT_FAILURE, \
      "The file does not show different objects to older readers (/XRefStm).")                     \
    X(PDF_ENCRYPTION, "encryption", "ISO 32000-1 7.6", BASIS_POLICY, VERDICT_FORMAT_FAILURE,       \
      "The file is not encrypted.")                                                                \
    X(PDF_READABLE, "pdf-readable", "ISO 32000-1 7.6", BASIS_PROFILE,                              \
      VERDICT_POLICY_PROCESSING_ERROR, "Strings and streams can be read without a password.")      \
    X(PDF_SYNTAX, "pdf-syntax", "ISO 32000-1 7.3", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,          \
      "Each object and stream is well-formed.")                                                    \
    X(PDF_DUPLICATE, "duplicate-key", "ISO 32000-1 7.3.7", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,  \
      "No dictionary has the same key twice, escapes undone.")                                     \
    X(PDF_OBJECT_HEADER, "object-header", "ISO 32000-1 7.3.10", BASIS_POLICY,                      \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "Each object begins exactly at its cross-reference entry, with its number and generation.")  \
    X(PDF_COVERAGE, "every-byte", "ISO 32000-1 7.5.1", BASIS_POLICY, VERDICT_FORMAT_FAILURE,       \
      "Every byte belongs to the header, one listed object, a cross-reference section or white "   \
      "space between them.")                                                                       \
    X(PDF_CATALOG, "catalog", "ISO 32000-1 7.7.2", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,          \
      "The trailer's /Root is the document catalog.")                                              \
    X(PDF_VERSION, "catalog-version", "ISO 32000-1 7.7.2", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,  \
      "The catalog's /Version, if there is one, is at most 1.7.")

#define CHECKS_PDF_SIGNATURE(X)                                                                    \
    X(SIG_FIELD, "signature-field", "ISO 32000-1 12.7.4.5", BASIS_PROFILE, VERDICT_FORMAT_FAILURE, \
      "The interactive form has exactly one signed signature field.")                              \
    X(FORM_FIELDS, "other-form-fields", "ISO 32000-1 12.7.2", BASIS_POLICY,                        \
      VERDICT_FORMAT_FAILURE, "The form has no other field.")                                      \
    X(FORM_FLAGS, "signature-flags", "ISO 32000-1 12.7.2", BASIS_POLICY, VERDICT_FORMAT_FAILURE,   \
      "The form's /SigFlags is 3.")                                                                \
    X(FORM_APPEARANCES, "need-appearances", "ISO 32000-1 12.7.2", BASIS_POLICY,                    \
      VERDICT_FORMAT_FAILURE, "Viewers need not make appearances of their own.")                   \
    X(FORM_XFA, "xfa-form", "ISO 32000-1 12.7.8", BASIS_POLICY, VERDICT_FORMAT_FAILURE,            \
      "There is no XFA form.")                                                                     \
    X(SIG_DICTIONARY, "signature-dictionary", "ISO 32000-1 12.8.1", BASIS_PROFILE,                 \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "The field's /V refers to a signature dictionary outside object streams.")                   \
    X(SIG_TYPE, "signature-type", "R-4.2.2a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,               \
      "/Type is /Sig.")                                                                            \
    X(SIG_FILTER, "signature-filter", "R-4.2.2a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,           \
      "/Filter is a name.")                                                                        \
    X(SIG_SUBFILTER, "signature-subfilter", "R-4.2.2a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,     \
      "/SubFilter is /adbe.pkcs7.detached.")                                                       \
    X(SIG_NAME, "signature-name", "R-4.2.2a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,               \
      "/Name is Minister of Justice.")                                                             \
    X(SIG_NAME_ENCODING, "signature-name-encoding", "R-4.2.2a", BASIS_POLICY,                      \
      VERDICT_FORMAT_FAILURE, "/Name is written in PDFDocEncoding.")                               \
    X(SIG_DATE, "signature-date", "ISO 32000-1 7.9.4", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,      \
      "/M is a date that exists.")                                                                 \
    X(SIG_DATE_COMPLETE, "signature-date-complete", "ISO 32000-1 7.9.4", BASIS_POLICY,             \
      VERDICT_FORMAT_FAILURE, "/M says day and time to the second.")                               \
    X(SIG_CERT_ENTRY, "signature-cert-entry", "ISO 32000-1 table 252", BASIS_POLICY,               \
      VERDICT_FORMAT_FAILURE, "There is no /Cert, which belongs to another kind of signature.")    \
    X(BYTERANGE, "byterange", "ISO 32000-1 12.8.1", BASIS_CRYPTO, VERDICT_FORMAT_FAILURE,          \
      "/ByteRange is four non-negative integers: from 0, and a second range behind the first.")    \
    X(BYTERANGE_PLAIN, "byterange-plain", "ISO 32000-1 12.8.1", BASIS_POLICY,                      \
      VERDICT_FORMAT_FAILURE, "The numbers of /ByteRange are written with digits only.")           \
    X(BYTERANGE_COVERS, "byterange-covers-file", "ISO 32000-1 12.8.1", BASIS_CRYPTO,               \
      VERDICT_FORMAT_FAILURE, "The signed range ends with the file: no byte follows it.")          \
    X(CONTENTS, "signature-contents", "ISO 32000-1 12.8.1", BASIS_CRYPTO, VERDICT_FORMAT_FAILURE,  \
      "/Contents is a hexadecimal string with nothing but digits in it.")                          \
    X(CONTENTS_EVEN, "signature-contents-even", "ISO 32000-1 7.3.4.3", BASIS_POLICY,               \
      VERDICT_FORMAT_FAILURE, "/Contents has an even number of digits.")                           \
    X(BYTERANGE_GAP, "byterange-gap", "ISO 32000-1 12.8.1", BASIS_CRYPTO, VERDICT_FORMAT_FAILURE,  \
      "What /ByteRange leaves out is the value of /Contents.")                                     \
    X(BYTERANGE_TIGHT, "byterange-tight", "ISO 32000-1 12.8.1", BASIS_POLICY,                      \
      VERDICT_FORMAT_FAILURE,                                                                      \
      "What /ByteRange leaves out does not include white space behind /Contents.")

#define CHECKS_PDF_CMS(X)                                                                          \
    X(CMS_DER, "cms-der", "ISO 32000-1 12.8.3.3.1", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,         \
      "/Contents is CMS in DER.")                                                                  \
    X(CMS_PADDING, "cms-padding", "ISO 32000-1 12.8.3.3.1", BASIS_CRYPTO, VERDICT_FORMAT_FAILURE,  \
      "Only zeros follow the CMS structure in /Contents.")                                         \
    X(CMS_SIGNED_DATA, "cms-signed-data", "RFC 5652 5.1", BASIS_CRYPTO, VERDICT_FORMAT_FAILURE,    \
      "The CMS structure is a well-formed SignedData.")                                            \
    X(CMS_DIGEST_LIST, "cms-digest-list", "RFC 5652 5.1", BASIS_POLICY, VERDICT_FORMAT_FAILURE,    \
      "SignedData announces SHA-256 and no other digest.")                                         \
    X(CMS_DETACHED, "cms-detached", "ISO 32000-1 12.8.3.3.1", BASIS_CRYPTO,                        \
      VERDICT_FORMAT_FAILURE, "The content type is data and the content is not inside.")           \
    X(CMS_ONE_SIGNER, "cms-one-signer", "R-4.2.2a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,         \
      "There is exactly one SignerInfo, naming the signer by issuer and serial number.")           \
    X(CMS_DIGEST, "cms-digest", "R-4.2.2a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,                 \
      "The digest algorithm is SHA-256.")                                                          \
    X(CMS_ALGORITHM, "cms-algorithm", "R-4.2.2a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,           \
      "The signature algorithm is RSA PKCS#1 v1.5 with SHA-256.")                                  \
    X(CMS_ATTRIBUTES, "cms-attributes", "RFC 5652 11", BASIS_CRYPTO, VERDICT_FORMAT_FAILURE,       \
      "Signed attributes hold contentType data and one messageDigest.")                            \
    X(CMS_CERTIFICATE, "cms-certificate", "RFC 5652 5.3", BASIS_CRYPTO,                            \
      VERDICT_NO_SIGNING_CERTIFICATE_FOUND,                                                        \
      "The signer's certificate is in the signature, found by issuer and serial number only.")     \
    X(CMS_MESSAGE_DIGEST, "message-digest", "RFC 5652 5.6", BASIS_CRYPTO, VERDICT_HASH_FAILURE,    \
      "The document's SHA-256 is the signed one.")                                                 \
    X(CMS_SIGNATURE, "signature-value", "RFC 8017 8.2.2", BASIS_CRYPTO,                            \
      VERDICT_SIG_CRYPTO_FAILURE, "The signature value was made with the signer's key.")           \
    X(CMS_SIGNING_CERTIFICATE, "cms-signing-certificate", "RFC 5035 3", BASIS_CRYPTO,              \
      VERDICT_SIG_CRYPTO_FAILURE,                                                                  \
      "A signing-certificate attribute, if there is one, names the signer's certificate.")         \
    X(CMS_PROTECTION, "cms-algorithm-protection", "RFC 6211", BASIS_CRYPTO,                        \
      VERDICT_SIG_CRYPTO_FAILURE,                                                                  \
      "An algorithm-protection attribute, if there is one, names the algorithms used.")            \
    X(CMS_UNSIGNED, "cms-unsigned-attributes", "PPKDS 3.2 2.1", BASIS_POLICY,                      \
      VERDICT_FORMAT_FAILURE, "There is no unsigned attribute but a signature time-stamp.")        \
    X(CMS_TIMESTAMP, "cms-time-stamp", "RFC 3161 2.4.2", BASIS_POLICY, VERDICT_FORMAT_FAILURE,     \
      "A signature time-stamp, if there is one, is over this signature.")                          \
    X(SIG_DATE_PLAUSIBLE, "signature-date-plausible", "ISO 32000-1 12.8.1", BASIS_POLICY,          \
      VERDICT_SIG_CONSTRAINTS_FAILURE,                                                             \
      "/M lies in the validity of the signer's certificate and not in the future.")

#define CHECKS_PDF(X) CHECKS_PDF_STRUCTURE(X) CHECKS_PDF_SIGNATURE(X) CHECKS_PDF_CMS(X)

#endif
