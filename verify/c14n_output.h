/*
 * Canonical octets on their way to a sink: collected in one block, escaped as Canonical XML 1.0 2.3
 * demands. The first failure of the sink is kept and ends all further output.
 */
#ifndef VERIFY_C14N_OUTPUT_H
#define VERIFY_C14N_OUTPUT_H

#include "verify/c14n.h"

enum { C14N_BLOCK_SIZE = 16 * 1024 };

struct c14n_output {
    c14n_sink *sink;
    void *context;
    int error;
    size_t used;
    char block[C14N_BLOCK_SIZE];
};

void c14n_output_init(struct c14n_output *output, c14n_sink *sink, void *context);
void c14n_output_octets(struct c14n_output *output, const char *data, size_t size);
void c14n_output_text(struct c14n_output *output, const char *text); /* NUL-terminated, as it is */
/* Character data: & < > and carriage return. */
void c14n_output_escaped_text(struct c14n_output *output, const char *data, size_t size);
/* An attribute's value: & < " and tab, line feed, carriage return. */
void c14n_output_escaped_value(struct c14n_output *output, const char *data, size_t size);
/* Comments and processing instructions: carriage return. */
void c14n_output_escaped_return(struct c14n_output *output, const char *data, size_t size);
/* Hands over the rest; 0 or the first failure. */
_must_use_ int c14n_output_finish(struct c14n_output *output);

#endif
