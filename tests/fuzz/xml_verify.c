/*
 * The whole function on an XML document, with every policy check relaxed so that nothing stops
 * early. It aborts if a document is accepted whose SignatureValue is not that of an accepted
 * vector: whoever makes such a one has forged a signature. Vectors are those below $XML_VECTORS.
 */
#include "fuzz_trust.h"

#include "../unit/verify/xml/xml_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUE_SIZE = 64, VALUE_COUNT_MAX = 256 };

static struct verify_trust *trust;
static struct verdict verdict;
static char values[VALUE_COUNT_MAX][VALUE_SIZE + 1];
static unsigned value_count;

/* The first characters of the signature's value, however the text around it is encoded. */
static void signature_value(const uint8_t *data, size_t size, char out[VALUE_SIZE + 1])
{
    static const char tag[] = "SignatureValue";
    size_t matched = 0, used = 0;
    bool inside = false;

    for (size_t i = 0; i < size && used < VALUE_SIZE; i++) {
        char c = (char)data[i];
        if (c == '\0' || strchr(" \t\r\n", c))
            continue; /* UTF-16, white space */
        if (inside) {
            if (c == '<')
                break;
            out[used++] = c;
            continue;
        }
        matched = c == tag[matched] ? matched + 1 : c == tag[0];
        if (matched == sizeof tag - 1) {
            while (i < size && data[i] != '>')
                i++;
            inside = true;
        }
    }
    out[used] = '\0';
}

static void learn(const char *file)
{
    struct buffer document = vector_read(file);

    vector_verify(trust, document.data, document.size, &verdict);
    if (verdict.indication == VERDICT_TOTAL_PASSED && value_count < VALUE_COUNT_MAX)
        signature_value(document.data, document.size, values[value_count++]);
    buffer_done(&document);
}

static void prepare(void)
{
    const char *path = getenv("XML_VECTORS");
    DIR *directory = opendir(path ? path : "tests/vectors/xml");

    trust = vector_trust("pki/sub.crt", "pki/sub.crl", all_ignored(), NULL);
    if (!directory)
        abort();
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strstr(entry->d_name, ".xml"))
            learn(entry->d_name);
    closedir(directory);
    if (value_count == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char value[VALUE_SIZE + 1];

    if (!trust)
        prepare();
    vector_verify(trust, data, size, &verdict);
    if (verdict.indication != VERDICT_TOTAL_PASSED)
        return 0;
    signature_value(data, size, value);
    for (unsigned i = 0; i < value_count; i++)
        if (strcmp(values[i], value) == 0)
            return 0;
    /* The value may be written in character references, which are not undone here. */
    if (!memmem(data, size, "&#", 2))
        abort();
    return 0;
}
