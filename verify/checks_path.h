/*
 * The checks on the signer's certificate and its path, the same for PDF and XML.
 */
#ifndef VERIFY_CHECKS_PATH_H
#define VERIFY_CHECKS_PATH_H

#define CHECKS_PATH(X)                                                                             \
    X(PATH_BUILT, "path-to-anchor", "RFC 5280 6.1", BASIS_PKI, VERDICT_NO_CERTIFICATE_CHAIN_FOUND, \
      "A path of certificates leads from the signer to a configured trust anchor; certificates "   \
      "in the document are never anchors.")                                                        \
    X(PATH_CONSTRAINTS, "path-constraints", "RFC 5280 6.1.4", BASIS_PKI,                           \
      VERDICT_CHAIN_CONSTRAINTS_FAILURE,                                                           \
      "Issuers are certification authorities; path length, name constraints and critical "         \
      "extensions are respected.")                                                                 \
    X(PATH_SIGNATURES, "path-signatures", "RFC 5280 6.1.3", BASIS_PKI,                             \
      VERDICT_CERTIFICATE_CHAIN_GENERAL_FAILURE,                                                   \
      "Each certificate on the path was signed by its issuer.")                                    \
    X(PATH_NOT_REVOKED, "path-not-revoked", "RFC 5280 6.3", BASIS_PKI, VERDICT_REVOKED,            \
      "No certificate on the path is revoked: as of the time of receipt, or at any time for a "    \
      "reason that casts doubt on the key.")                                                       \
    X(PATH_NOT_HELD, "path-not-suspended", "RFC 5280 5.3.1", BASIS_PKI, VERDICT_TRY_LATER,         \
      "No certificate on the path is suspended (certificateHold).")                                \
    X(PATH_BEGUN, "path-begun", "RFC 5280 6.1.3", BASIS_PKI, VERDICT_NOT_YET_VALID,                \
      "Each certificate on the path is already valid at the time that counts.")                    \
    X(PATH_NOT_EXPIRED, "path-not-expired", "RFC 5280 6.1.3", BASIS_PKI,                           \
      VERDICT_OUT_OF_BOUNDS_NO_POE,                                                                \
      "Each certificate on the path is still valid at the time that counts.")                      \
    X(PATH_ALGORITHMS, "path-algorithms", "RFC 8017 B.1", BASIS_PKI,                               \
      VERDICT_CRYPTO_CONSTRAINTS_FAILURE,                                                          \
      "Certificates and revocation lists on the path are signed with SHA-256, -384 or -512.")      \
    X(SIGNER_USAGE, "signer-key-usage", "RFC 5280 4.2.1.3", BASIS_PKI,                             \
      VERDICT_CHAIN_CONSTRAINTS_FAILURE, "The signer's key may be used to sign documents.")        \
    X(SIGNER_NAME, "signer-name", "R-4.2.2a", BASIS_PKI, VERDICT_SIG_CONSTRAINTS_FAILURE,          \
      "The subject of the signer's certificate is the configured one.")                            \
    X(SIGNER_PIN, "signer-pin", "R-4.2.2a", BASIS_PKI, VERDICT_SIG_CONSTRAINTS_FAILURE,            \
      "The signer's certificate is one of those pinned, if any are.")                              \
    X(KEY_SIZE, "key-size", "RFC 8017 3.1", BASIS_POLICY, VERDICT_CRYPTO_CONSTRAINTS_FAILURE,      \
      "RSA keys on the path have at least 2048 bits, elliptic curves 256; there are no others.")   \
    X(REVOKED_LATER, "revoked-later", "EN 319 102-1 5.6.2.4", BASIS_ADVICE, VERDICT_REVOKED,       \
      "No certificate on the path was revoked after receipt, not even for a reason that leaves "   \
      "earlier signatures valid.")                                                                 \
    X(REVOCATION, "revocation", "RFC 5280 6.3.3", BASIS_POLICY, VERDICT_TRY_LATER,                 \
      "For each issuer on the path there is a revocation list that is not too old.")

#endif
