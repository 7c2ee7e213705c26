/*
 * The checks on the signer's certificate and its path, the same for PDF and XML.
 */
#ifndef VERIFY_CHECKS_PATH_H
#define VERIFY_CHECKS_PATH_H

#define CHECKS_PATH(X)                                                                             \
    X(SIGNER_KEY_TYPE, "signer-key-type", "RFC 5280 4.1.2.7", BASIS_PROFILE,                       \
      VERDICT_CRYPTO_CONSTRAINTS_FAILURE, "The signer's key is an RSA key.")                       \
    X(PATH_BUILT, "path-to-anchor", "RFC 5280 6.1", BASIS_PKI, VERDICT_NO_CERTIFICATE_CHAIN_FOUND, \
      "A path of certificates leads from the signer to a configured trust anchor; certificates "   \
      "in the document are never anchors.")                                                        \
    X(PATH_NOT_REVOKED, "path-not-revoked", "RFC 5280 6.3", BASIS_PKI, VERDICT_REVOKED,            \
      "No certificate on the path is listed in a revocation list of its issuer.")                  \
    X(PATH_SIGNATURES, "path-signatures", "RFC 5280 6.1.3", BASIS_PKI,                             \
      VERDICT_CERTIFICATE_CHAIN_GENERAL_FAILURE,                                                   \
      "Each certificate and revocation list on the path was signed by its issuer.")                \
    X(PATH_BEGUN, "path-begun", "RFC 5280 6.1.3", BASIS_PKI, VERDICT_NOT_YET_VALID,                \
      "Each certificate on the path is already valid at the time that counts.")                    \
    X(PATH_NOT_EXPIRED, "path-not-expired", "RFC 5280 6.1.3", BASIS_PKI,                           \
      VERDICT_OUT_OF_BOUNDS_NO_POE,                                                                \
      "Each certificate on the path is still valid at the time that counts.")                      \
    X(PATH_CONSTRAINTS, "path-constraints", "RFC 5280 6.1.4", BASIS_PKI,                           \
      VERDICT_CHAIN_CONSTRAINTS_FAILURE,                                                           \
      "Issuers are certification authorities; path length, name constraints, policies and "        \
      "critical extensions are respected.")                                                        \
    X(SIGNER_USAGE, "signer-key-usage", "RFC 5280 4.2.1.3", BASIS_PKI,                             \
      VERDICT_CHAIN_CONSTRAINTS_FAILURE,                                                           \
      "The signer's key may be used for digital signatures or non-repudiation.")                   \
    X(PATH_ALGORITHMS, "path-algorithms", "CRYPTREC 2022", BASIS_PKI,                              \
      VERDICT_CRYPTO_CONSTRAINTS_FAILURE,                                                          \
      "No certificate or revocation list on the path is signed with MD5 or SHA-1.")                \
    X(SIGNER_NAME, "signer-name", "R-4.2.2a", BASIS_PKI, VERDICT_SIG_CONSTRAINTS_FAILURE,          \
      "The subject of the signer's certificate is the configured one.")                            \
    X(SIGNER_KEY_SIZE, "signer-key-size", "CRYPTREC 2022", BASIS_POLICY,                           \
      VERDICT_CRYPTO_CONSTRAINTS_FAILURE, "RSA keys on the path have at least 2048 bits.")         \
    X(REVOCATION, "revocation", "RFC 5280 6.3.3", BASIS_POLICY, VERDICT_TRY_LATER,                 \
      "For each issuer on the path there is a revocation list that is valid at the time that "     \
      "counts.")

#endif
