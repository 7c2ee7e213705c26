/* Exact comparison with what RFC 8446 4.4.3 prescribes; see keys/handshake.h. */
#include "keys/handshake.h"

#include "base/sign.h"

#include <string.h>

enum { PAD_SIZE = 64, TRANSCRIPT_SHA256_SIZE = 32, TRANSCRIPT_SHA384_SIZE = 48 };

/* Its NUL is the separator that the RFC asks for. */
static const char context[] = "TLS 1.3, client CertificateVerify";

_Static_assert(PAD_SIZE + sizeof context + TRANSCRIPT_SHA384_SIZE <= SIGN_CONTENT_MAX,
               "a request has room for it");

bool handshake_is_client_verify(const void *content, size_t size)
{
    static const size_t head = PAD_SIZE + sizeof context;
    if (size != head + TRANSCRIPT_SHA256_SIZE && size != head + TRANSCRIPT_SHA384_SIZE)
        return false;
    const unsigned char *bytes = content;
    for (size_t i = 0; i < PAD_SIZE; i++)
        if (bytes[i] != 0x20)
            return false;
    return memcmp(bytes + PAD_SIZE, context, sizeof context) == 0;
}
