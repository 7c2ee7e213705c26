/*
 * The XML Signature of a document, read by allow-list: whatever is not named here, in the place
 * named here, ends the reading. 2.0 mode and compatibility mode are told apart by the one thing
 * that distinguishes them, the Transform of 2.0, and never mixed.
 *
 * Life: dsig_read() fills a zeroed struct dsig_signature, which borrows from the document;
 * dsig_signature_done() in any case.
 */
#ifndef VERIFY_DSIG_H
#define VERIFY_DSIG_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "verify/c14n.h"
#include "verify/checks.h"
#include "verify/path.h"

#include <libxml/tree.h>

#define DSIG_NS "http://www.w3.org/2000/09/xmldsig#"
#define DSIG11_NS "http://www.w3.org/2009/xmldsig11#"
#define DSIG2_NS "http://www.w3.org/2010/xmldsig2#"
#define C14N2_NS "http://www.w3.org/2010/xml-c14n2"
#define C14N_EXCLUSIVE_NS "http://www.w3.org/2001/10/xml-exc-c14n#"

enum {
    DSIG_SIGNATURE_VALUE_MAX = 2048, /* bytes: RSA of 16,384 bits */
    DSIG_PREFIX_LIST_MAX = 1024,     /* bytes of InclusiveNamespaces PrefixList */
    DSIG_POSITION_MAX = 8,           /* position assertions */
};

enum dsig_mode { DSIG_COMPATIBILITY, DSIG_2_0 };

/* Verifications of 2.0 mode (XMLDSIG 10.7). */
struct dsig_verifications {
    bool has_length;
    uint64_t length;
    const xmlNode *positions[DSIG_POSITION_MAX];
    size_t position_count;
    const xmlNode *id_attributes; /* the element that lists them; NULL = none */
};

struct dsig_method {
    struct c14n_parameters parameters;
    char prefix_list[DSIG_PREFIX_LIST_MAX]; /* what parameters.inclusive_prefixes points into */
};

struct dsig_signature {
    const xmlNode *element, *signed_info, *key_info;
    const xmlNode *transform; /* of 2.0 mode */
    enum dsig_mode mode;
    bool xpath_enveloped;
    bool memory_short; /* a part could not be read for that reason */
    struct dsig_method signed_info_method, reference_method;
    struct c14n_selection selection; /* what the Reference covers */
    const xmlAttr *id;               /* of the document element, for URI="#id"; NULL for URI="" */
    struct dsig_verifications verifications;
    uint8_t digest[SHA256_SIZE];
    struct buffer value;
    struct buffer certificates[PATH_CERTIFICATE_MAX]; /* DER, each once */
    size_t certificate_count;
    size_t signer; /* which of them */
};

void dsig_signature_done(struct dsig_signature *signature);

/* Notes the checks from XML_SIGNATURE_ONE to XML_CERTIFICATE_TWICE; the run may have ended then.
 * -ENOMEM. */
_must_use_ int dsig_read(struct check_run *run, const xmlDoc *document,
                         struct dsig_signature *signature);

/* Notes XML_DIGEST, XML_VERIFICATIONS, XML_TYPE_SIGNED and XML_NAMESPACES_SIGNED. -ENOMEM. */
_must_use_ int dsig_check_reference(struct check_run *run, const struct dsig_signature *signature);

/* Notes XML_SIGNATURE_VALUE and the rest of XML_KEYINFO. -ENOMEM. */
_must_use_ int dsig_check_value(struct check_run *run, const struct dsig_signature *signature,
                                const struct path_signer *signer);

/* Initialises xmlsec1 for the process: once, before any sandbox. False if that failed. */
bool dsig_second_opinion_init(void);

/* Asks xmlsec1 and notes XML_SECOND_OPINION. The document is marked with the ID attribute, if there
 * is one, but not changed otherwise. -ENOMEM. */
_must_use_ int dsig_check_second_opinion(struct check_run *run,
                                         const struct dsig_signature *signature, xmlDoc *document,
                                         const struct path_signer *signer);

#endif
