/*
 * One run of OpenSSL's path validation: what it found, sorted. path.c runs it; path_revocation.c
 * watches how OpenSSL uses revocation lists and notes what they say of each certificate.
 */
#ifndef VERIFY_PATH_ATTEMPT_H
#define VERIFY_PATH_ATTEMPT_H

#include "base/signer.h"
#include "verify/path.h"

#include <openssl/x509_vfy.h>

_Static_assert((int)SIGNER_PATH_MAX == (int)PATH_DEPTH_MAX, "one ceiling for paths");

enum path_fault {
    FAULT_BUILT,
    FAULT_CONSTRAINTS,
    FAULT_SIGNATURES,
    FAULT_NOT_BEGUN,
    FAULT_EXPIRED,
    FAULT_REVOCATION, /* never noted as a fault: it becomes the status of a certificate */
    FAULT_COUNT,
};

struct path_attempt {
    const struct verify_trust *trust;
    int64_t now_s;
    bool faulty[FAULT_COUNT];
    char text[FAULT_COUNT][120];
    struct certificate_status path[PATH_DEPTH_MAX]; /* state, reason, times of lists */
    char list_text[PATH_DEPTH_MAX][120];            /* why there is no usable list; empty */
    bool list_refused[PATH_DEPTH_MAX];              /* the list at hand: not its issuer's word */
    bool crl_weak;                                  /* a list signed with other than SHA-2 */
    bool out_of_memory;
};

/* Notes a fault; of several of one kind the first is kept. */
void path_attempt_fault(struct path_attempt *attempt, enum path_fault fault, int depth,
                        const char *text);

bool path_strong(int signature_nid);
/* RSA of 2048 bits or more, or a curve of about 256 or more. */
bool path_key_strong(EVP_PKEY *key);

/* Makes OpenSSL's store tell us what it does with revocation lists. */
void path_revocation_observe(struct verify_trust *trust);
/* OpenSSL reported an error that concerns revocation. */
void path_revocation_found(struct path_attempt *attempt, X509_STORE_CTX *context, int error);
/* The status of the whole path after the run; -EINVAL: a certificate on it is malformed. */
_must_use_ int path_revocation_status(const struct path_attempt *attempt, STACK_OF(X509) * chain,
                                      struct signer_status *ret_status);

#endif
