/*
 * Runs of ordinary octets are copied whole; a table per context says which octets are not ordinary.
 */
#include "verify/c14n_output.h"

#include <string.h>

void c14n_output_init(struct c14n_output *output, c14n_sink *sink, void *context)
{
    output->sink = sink;
    output->context = context;
    output->error = 0;
    output->used = 0;
}

static void output_flush(struct c14n_output *output)
{
    if (output->error == 0 && output->used > 0)
        output->error = output->sink(output->context, output->block, output->used);
    output->used = 0;
}

void c14n_output_octets(struct c14n_output *output, const char *data, size_t size)
{
    if (size > sizeof output->block - output->used) {
        output_flush(output);
        if (size > sizeof output->block) {
            if (output->error == 0)
                output->error = output->sink(output->context, data, size);
            return;
        }
    }
    if (size > 0)
        memcpy(output->block + output->used, data, size);
    output->used += size;
}

void c14n_output_text(struct c14n_output *output, const char *text)
{
    c14n_output_octets(output, text, strlen(text));
}

static const char *const text_escapes[128] = {
    ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['\r'] = "&#xD;"};
static const char *const value_escapes[128] = {
    ['&'] = "&amp;",  ['<'] = "&lt;",   ['"'] = "&quot;",
    ['\t'] = "&#x9;", ['\n'] = "&#xA;", ['\r'] = "&#xD;"};
static const char *const return_escapes[128] = {['\r'] = "&#xD;"};

static void output_escaped(struct c14n_output *output, const char *const escapes[128],
                           const char *data, size_t size)
{
    size_t start = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char octet = (unsigned char)data[i];
        if (octet >= 128 || !escapes[octet])
            continue;
        c14n_output_octets(output, data + start, i - start);
        c14n_output_text(output, escapes[octet]);
        start = i + 1;
    }
    c14n_output_octets(output, data + start, size - start);
}

void c14n_output_escaped_text(struct c14n_output *output, const char *data, size_t size)
{
    output_escaped(output, text_escapes, data, size);
}

void c14n_output_escaped_value(struct c14n_output *output, const char *data, size_t size)
{
    output_escaped(output, value_escapes, data, size);
}

void c14n_output_escaped_return(struct c14n_output *output, const char *data, size_t size)
{
    output_escaped(output, return_escapes, data, size);
}

int c14n_output_finish(struct c14n_output *output)
{
    output_flush(output);
    return output->error;
}
