/*
 * Distinguished names: RFC 4514 text to X509_NAME and back.
 */
#ifndef VERIFY_DN_H
#define VERIFY_DN_H

#include "base/bytes.h"
#include "base/cleanup.h"

#include <openssl/x509.h>
#include <stddef.h>

enum { DN_TEXT_MAX = 4096, DN_PART_MAX = 64 };

/* -EINVAL: not RFC 4514, unknown attribute type, empty; -ENOMEM. */
_must_use_ int dn_parse(struct bytes text, X509_NAME **ret_name);

/* UTF-8; cut at a character's end when it is longer than out_size. -ENOMEM. */
_must_use_ int dn_format(const X509_NAME *name, char *out, size_t out_size);

#endif
