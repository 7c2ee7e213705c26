/*
 * What TLS 1.2 would have signed: a certificate, preceded by its size in 32 bits, and handshake
 * messages. What is taken for a client handshake is one no more when a byte is missing or added at
 * its end, or when the certificate is another one.
 */
#include "fuzz_trust.h"

#include "base/bytes.h"
#include "keys/handshake12.h"

#include <stdlib.h>
#include <string.h>

/* Exactly as large as needed, so that reading beyond it is seen. */
static bool judge(struct bytes messages, struct bytes certificate)
{
    _cleanup_free_ uint8_t *copy = malloc(messages.size + 1);
    if (!copy)
        abort();
    if (messages.size > 0)
        memcpy(copy, messages.data, messages.size);
    return handshake12_is_client_verify(bytes_of(copy, messages.size), certificate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader;
    reader_init(&reader, bytes_of(data, size));
    uint32_t certificate_size = reader_be32(&reader);
    struct bytes certificate = reader_view(&reader, certificate_size);
    struct bytes messages = reader_view(&reader, reader.left);
    if (reader.failed || certificate.size == 0 || !judge(messages, certificate))
        return 0;
    _cleanup_buffer_ struct buffer other;
    buffer_init(&other, size + 1);
    if (buffer_append(&other, messages.data, messages.size) < 0 || buffer_append_u8(&other, 0) < 0)
        abort();
    if (judge(bytes_of(other.data, other.size), certificate) ||
        judge(bytes_of(messages.data, messages.size - 1), certificate))
        abort();
    other.size = 0;
    if (buffer_append(&other, certificate.data, certificate.size) < 0)
        abort();
    other.data[certificate.size / 2] ^= 1;
    if (judge(messages, bytes_of(other.data, other.size)))
        abort();
    return 0;
}
