/* See keys/handshake12.h. */
#include "keys/handshake12.h"

enum {
    CLIENT_HELLO = 1,
    SERVER_HELLO = 2,
    CERTIFICATE = 11,
    SERVER_KEY_EXCHANGE = 12,
    CERTIFICATE_REQUEST = 13,
    SERVER_HELLO_DONE = 14,
    CLIENT_KEY_EXCHANGE = 16,
    CERTIFICATE_STATUS = 22,
    VERSION_TLS12 = 0x0303,
};

static const struct step {
    uint8_t type;
    bool optional;
} steps[] = {
    {CLIENT_HELLO, false},      {SERVER_HELLO, false},       {CERTIFICATE, false},
    {CERTIFICATE_STATUS, true}, {SERVER_KEY_EXCHANGE, true}, {CERTIFICATE_REQUEST, false},
    {SERVER_HELLO_DONE, false}, {CERTIFICATE, false},        {CLIENT_KEY_EXCHANGE, false},
};

enum { STEP_COUNT = sizeof steps / sizeof steps[0], OUR_CERTIFICATE = 7 };

static uint32_t read_be24(struct reader *reader)
{
    uint32_t high = reader_u8(reader);
    return high << 16 | reader_be16(reader);
}

/* certificate_list: our certificate first, behind it our issuers. */
static bool begins_with(struct bytes body, struct bytes certificate)
{
    struct reader reader;
    reader_init(&reader, body);
    uint32_t list_size = read_be24(&reader);
    uint32_t size = read_be24(&reader);
    return !reader.failed && list_size == body.size - 3 &&
           bytes_equal(reader_view(&reader, size), certificate) && !reader.failed;
}

static bool body_fits(unsigned step, struct bytes body, struct bytes our_certificate)
{
    switch (steps[step].type) {
    case CLIENT_HELLO:
    case SERVER_HELLO:
        return body.size >= 2 && be16_get(body.data) == VERSION_TLS12;
    case SERVER_HELLO_DONE:
        return body.size == 0;
    default:
        return step != OUR_CERTIFICATE || begins_with(body, our_certificate);
    }
}

bool handshake12_is_client_verify(struct bytes content, struct bytes our_certificate)
{
    struct reader reader;
    reader_init(&reader, content);
    unsigned step = 0;
    while (reader.left > 0 && step < STEP_COUNT) {
        uint8_t type = reader_u8(&reader);
        struct bytes body = reader_view(&reader, read_be24(&reader));
        if (reader.failed)
            return false;
        while (step < STEP_COUNT && steps[step].type != type && steps[step].optional)
            step++;
        if (step == STEP_COUNT || steps[step].type != type ||
            !body_fits(step, body, our_certificate))
            return false;
        step++;
    }
    return step == STEP_COUNT && reader_finish(&reader);
}
