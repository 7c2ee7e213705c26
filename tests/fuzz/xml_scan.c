/*
 * The byte scan, and the parser behind it. What the scan lets through must parse without DTD, or be
 * called malformed; a document that parses can be canonicalized.
 */
#include "fuzz_trust.h"

#include "verify/c14n.h"
#include "verify/xml_scan.h"
#include "verify/xml_tree.h"

#include <stdlib.h>

static int count(void *context, const void *data, size_t size)
{
    (void)data;
    *(size_t *)context += size;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct c14n_parameters parameters = {.version = C14N_1_0};
    struct buffer converted;
    struct xml_scan scan;
    struct bytes utf8;
    char message[VERDICT_TEXT_MAX];
    xmlDoc *document = NULL;
    size_t octets = 0;

    if (xml_scan(bytes_of(data, size), &scan, &converted, &utf8) == 0 &&
        scan.result == XML_SCAN_GOOD && xml_parse(utf8, message, &document) == 0) {
        struct c14n_selection selection = {.document = document};
        if (document->intSubset || document->extSubset || !xmlDocGetRootElement(document) ||
            c14n_write(&selection, &parameters, count, &octets, NULL) != 0 || octets == 0)
            abort();
        xmlFreeDoc(document);
    }
    buffer_done(&converted);
    return 0;
}
