/*
 * OpenSSL judges the anchor as a path of its own, with the flags that every path is judged with but
 * without time and revocation: what it finds is found on all paths.
 */
#include "verify/anchor.h"

#include "verify/dn.h"
#include "verify/path_attempt.h"
#include "verify/path_store.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { FAULT_SIZE = 160 };

static int judge_alone(const struct verify_trust *trust, X509 *anchor, char *ret_fault)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new();

    if (!context || !X509_STORE_CTX_init(context, trust->store, anchor, NULL)) {
        X509_STORE_CTX_free(context);
        return -ENOMEM;
    }
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_clear_flags(parameters, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL |
                                                  X509_V_FLAG_POLICY_CHECK |
                                                  X509_V_FLAG_EXPLICIT_POLICY);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_NO_CHECK_TIME);
    int verified = X509_verify_cert(context);
    int error = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    if (verified == 1)
        return 0;
    snprintf(ret_fault, FAULT_SIZE, "%s", X509_verify_cert_error_string(error));
    return error == X509_V_ERR_OUT_OF_MEM ? -ENOMEM : -EINVAL;
}

static int judge(const struct verify_trust *trust, X509 *anchor, char *ret_fault)
{
    int64_t from_s, until_s;
    EVP_PKEY *key = X509_get0_pubkey(anchor);
    bool weak = key && !path_key_strong(key);

    if (!key)
        snprintf(ret_fault, FAULT_SIZE, "its key is malformed");
    else if (weak && checks_level(&trust->levels, CHECK_KEY_SIZE) == LEVEL_FAIL)
        snprintf(ret_fault, FAULT_SIZE, "its key is too weak, %d bits (key-size)",
                 EVP_PKEY_get_bits(key));
    else if (!path_time(X509_get0_notBefore(anchor), &from_s) ||
             !path_time(X509_get0_notAfter(anchor), &until_s) || until_s <= from_s)
        snprintf(ret_fault, FAULT_SIZE, "its validity is malformed");
    else
        return judge_alone(trust, anchor, ret_fault);
    return -EINVAL;
}

int anchor_check_all(const struct verify_trust *trust, char *ret_message)
{
    for (int i = 0; i < sk_X509_num(trust->anchors); i++) {
        char subject[VERDICT_DN_MAX], fault[FAULT_SIZE] = "";
        X509 *anchor = sk_X509_value(trust->anchors, i);
        int r = judge(trust, anchor, fault);
        if (r == -EINVAL && dn_format(X509_get_subject_name(anchor), subject, sizeof subject) == 0)
            snprintf(ret_message, VERDICT_TEXT_MAX, "trust anchor %.100s: %s", subject, fault);
        if (r < 0)
            return r;
    }
    return 0;
}
