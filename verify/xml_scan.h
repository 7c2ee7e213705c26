/*
 * The first look at an XML document, on its bytes, before any parser sees it: encoding, version, no
 * DOCTYPE, and ceilings on everything that costs a parser time or memory. It accepts only what the
 * grammar of XML 1.0 allows, so the parser behind it finds no construct that was not counted; what
 * a parser alone can check (matching tags, distinct attributes, names) is left to it.
 *
 * Thread rule: no state.
 */
#ifndef VERIFY_XML_SCAN_H
#define VERIFY_XML_SCAN_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    XML_DOCUMENT_MAX = 8 * 1024 * 1024, /* in UTF-8 and as it came */
    XML_DEPTH_MAX = 128,
    XML_ATTRIBUTE_MAX = 128,         /* of one element, namespace declarations among them */
    XML_NAMESPACE_MAX = 64,          /* declarations in force at one place */
    XML_NAMESPACE_TOTAL_MAX = 50000, /* declarations in the document */
    XML_NAME_MAX = 256,              /* bytes of a name */
    XML_NODE_MAX = 250000,           /* elements, attributes, texts, comments, instructions */
    XML_VALUE_MAX = 4 * 1024 * 1024, /* bytes of one attribute value or run of text */
    XML_DECLARATION_MAX = 256,       /* bytes of <?xml … ?> */
    XML_SCAN_TEXT_MAX = 160,
};

enum xml_scan_result {
    XML_SCAN_GOOD = 0,
    XML_SCAN_SIZE,          /* larger than XML_DOCUMENT_MAX, or empty */
    XML_SCAN_ENCODING,      /* bytes, byte order mark and declaration contradict each other */
    XML_SCAN_OTHER_CHARSET, /* neither UTF-8 nor UTF-16, but known; see `charset` */
    XML_SCAN_VERSION,
    XML_SCAN_DOCTYPE,
    XML_SCAN_LIMIT,
    XML_SCAN_FORM, /* not XML 1.0 */
};

struct xml_scan {
    enum xml_scan_result result;
    size_t offset;                /* in the UTF-8 form, near the place */
    char text[XML_SCAN_TEXT_MAX]; /* why, in plain words; empty if good */
    char charset[24];             /* upper case, with XML_SCAN_OTHER_CHARSET */
};

/*
 * Scans. If all is well *ret_utf8 becomes the document in UTF-8 without byte order mark: a view of
 * `document`, or of *converted, a buffer that the caller has not initialised before and gives to
 * buffer_done() in any case. -ENOMEM.
 */
_must_use_ int xml_scan(struct bytes document, struct xml_scan *ret_scan, struct buffer *converted,
                        struct bytes *ret_utf8);

/* The same for a document that a caller has converted to UTF-8 from the charset it declares. */
void xml_scan_converted(struct bytes utf8, const char *charset, struct xml_scan *ret_scan);

#endif
