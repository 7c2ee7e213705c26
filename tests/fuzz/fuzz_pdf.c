/*
 * Structure, objects, streams, signature dictionary and content of a PDF file, with no signature in
 * the way: the parts that a forged file reaches before anything is trusted, and those behind.
 */
#include "fuzz_trust.h"

#include "verify/pdf_content.h"
#include "verify/pdf_signature.h"

#include <stdlib.h>

static struct check_levels levels;
static struct check_run run;

static void walk(struct pdf_file *file)
{
    struct pdf_signature signature = {0};

    if (pdf_read_tail(file) != 0 || pdf_read_chain(file) != 0 || pdf_sweep(file) != 0 ||
        pdf_connect(file) != 0)
        return;
    if (pdf_find_signature(file, &signature) == 0 && pdf_check_signature(file, &signature) != 0)
        checks_begin(&run, &levels);
    if (pdf_check_content(file, signature.number) != 0)
        return;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pdf_file *file = calloc(1, sizeof *file);

    if (!file)
        return 0;
    checks_begin(&run, &levels);
    file->bytes = bytes_of(data, size);
    file->run = &run;
    pdf_keys_init(&file->keys);
    walk(file);
    pdf_file_done(file);
    free(file);
    return 0;
}
