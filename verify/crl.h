/*
 * One revocation list by itself: decoding, form, scope, signature (RFC 5280 5).
 */
#ifndef VERIFY_CRL_H
#define VERIFY_CRL_H

#include "base/crl.h"
#include "base/signer.h"

#include <openssl/x509.h>

enum { CRL_SKEW_S = SIGNER_SKEW_S };

/* Why a list cannot be used whatever it is for (delta, indirect, by reasons, …); NULL if it can. */
const char *crl_form_fault(const X509_CRL *list);

/* PEM or DER, one list to the last byte; NULL. */
X509_CRL *crl_decode(struct bytes content);

#endif
