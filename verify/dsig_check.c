/*
 * The cryptography of a Signature: the digest of what the Reference covers, and the signature over
 * SignedInfo. Canonical octets are digested as they come.
 */
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

struct digest_sink {
    struct sha256_stream *stream;
    uint64_t size;
};

static int digest_octets(void *context, const void *data, size_t size)
{
    struct digest_sink *sink = context;

    sink->size += size;
    return sha256_stream_update(sink->stream, data, size);
}

/* 0, -ENOMEM, or -EBADMSG as c14n_write(). */
static int canonical_digest(const struct c14n_selection *selection,
                            const struct c14n_parameters *parameters,
                            uint8_t ret_digest[SHA256_SIZE], uint64_t *ret_size,
                            struct c14n_coverage *ret_coverage)
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    struct digest_sink sink = {.stream = stream};

    if (!stream)
        return -ENOMEM;
    int r = c14n_write(selection, parameters, digest_octets, &sink, ret_coverage);
    if (r == 0)
        r = sha256_stream_finish(stream, ret_digest);
    if (r == 0)
        *ret_size = sink.size;
    return r;
}

static const char *prefix_shown(const char *prefix)
{
    return prefix[0] ? prefix : "(none)";
}

static void coverage_note(struct check_run *run, const struct c14n_coverage *coverage)
{
    if (!checks_that(run, CHECK_XML_TYPE_SIGNED, coverage->unsigned_type_line == 0,
                     "line %ld: the namespace of prefix %.80s in xsi:type is not signed",
                     coverage->unsigned_type_line, prefix_shown(coverage->unsigned_type_prefix)))
        return;
    if (coverage->unsigned_declaration_line != 0)
        checks_fail(run, CHECK_XML_NAMESPACES_SIGNED,
                    "line %ld: the declaration of prefix %.80s is not signed",
                    coverage->unsigned_declaration_line,
                    prefix_shown(coverage->unsigned_declaration_prefix));
    if (coverage->unsigned_value_line != 0)
        checks_fail(run, CHECK_XML_NAMESPACES_SIGNED,
                    "line %ld: a value reads like a name, but the namespace of prefix %.80s is not "
                    "signed there",
                    coverage->unsigned_value_line, prefix_shown(coverage->unsigned_value_prefix));
}

static bool is_known_namespace(const char *uri, const xmlNode *root)
{
    static const char *const known[] = {DSIG_NS, DSIG11_NS, DSIG2_NS, C14N2_NS, C14N_EXCLUSIVE_NS};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(uri, known[i]) == 0)
            return true;
    if (root->ns && xmlStrEqual(root->ns->href, (const xmlChar *)uri))
        return true;
    for (const xmlNs *ns = root->nsDef; ns; ns = ns->next)
        if (xmlStrEqual(ns->href, (const xmlChar *)uri))
            return true;
    return false;
}

/* What the Signature declares is covered by no digest of the document; SignedInfo covers what
 * inclusive canonicalization renders there. */
static void signature_namespaces_note(struct check_run *run, const struct dsig_signature *signature)
{
    enum c14n_version version = signature->signed_info_method.parameters.version;
    bool inclusive = version == C14N_1_0 || version == C14N_1_1;
    const xmlNode *top = signature->element;
    const xmlNode *root = xmlDocGetRootElement(signature->selection.document);
    bool in_signed_info = false;

    for (const xmlNode *node = top; node; node = xml_next_node(node, top)) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (node->parent == top)
            in_signed_info = node == signature->signed_info;
        if (inclusive && (node == top || in_signed_info))
            continue;
        for (const xmlNs *ns = node->nsDef; ns; ns = ns->next)
            if (ns->href && !is_known_namespace((const char *)ns->href, root))
                checks_fail(run, CHECK_XML_NAMESPACES_SIGNED,
                            "line %ld: the Signature declares the namespace %.100s, which is not "
                            "signed",
                            xml_line(node), (const char *)ns->href);
    }
}

static bool verifications_hold(struct check_run *run, const struct dsig_signature *signature,
                               uint64_t size)
{
    const struct dsig_verifications *verifications = &signature->verifications;
    const xmlNode *root = xmlDocGetRootElement(signature->selection.document);

    if (verifications->has_length && verifications->length != size)
        return checks_fail(run, CHECK_XML_VERIFICATIONS,
                           "DigestDataLength is %llu, but %llu bytes were digested",
                           (unsigned long long)verifications->length, (unsigned long long)size);
    for (size_t i = 0; i < verifications->position_count; i++)
        if (!dsig_position_holds(verifications->positions[i], root))
            return checks_fail(
                run, CHECK_XML_VERIFICATIONS,
                "line %ld: the position asserted is not that of the document element",
                xml_line(verifications->positions[i]));
    if (signature->id && verifications->id_attributes &&
        !dsig_id_listed(verifications, signature->id))
        return checks_fail(run, CHECK_XML_VERIFICATIONS,
                           "IDAttributes does not list the attribute that the URI relies on");
    if (signature->mode == DSIG_2_0)
        checks_pass(run, CHECK_XML_VERIFICATIONS);
    return true;
}

int dsig_check_reference(struct check_run *run, const struct dsig_signature *signature)
{
    struct c14n_coverage coverage = {0};
    uint8_t digest[SHA256_SIZE];
    uint64_t size = 0;
    int r = canonical_digest(&signature->selection, &signature->reference_method.parameters, digest,
                             &size, &coverage);

    if (r == -EBADMSG) {
        checks_fail(run, CHECK_XML_DIGEST,
                    "the document cannot be canonicalized as its signer asks for");
        return 0;
    }
    if (r < 0)
        return r;
    if (!checks_that(run, CHECK_XML_DIGEST, memory_equal(digest, signature->digest, SHA256_SIZE),
                     "the document was changed after signing") ||
        !verifications_hold(run, signature, size))
        return 0;
    coverage_note(run, &coverage);
    if (checks_going(run)) {
        signature_namespaces_note(run, signature);
        checks_pass(run, CHECK_XML_NAMESPACES_SIGNED);
    }
    return 0;
}

int dsig_check_value(struct check_run *run, const struct dsig_signature *signature,
                     const struct path_signer *signer)
{
    struct c14n_selection selection = {.document = signature->selection.document,
                                       .apex = signature->signed_info};
    uint8_t digest[SHA256_SIZE];
    uint64_t size;
    int r = canonical_digest(&selection, &signature->signed_info_method.parameters, digest, &size,
                             NULL);

    if (r == -EBADMSG) {
        checks_fail(run, CHECK_XML_SIGNATURE_VALUE,
                    "SignedInfo cannot be canonicalized as its signer asks for");
        return 0;
    }
    if (r < 0)
        return r;
    r = path_signature_good(signer, digest, bytes_of(signature->value.data, signature->value.size));
    if (r < 0)
        return r;
    if (!checks_that(run, CHECK_XML_SIGNATURE_VALUE, r == 1,
                     "the signature was not made with the key of the certificate"))
        return 0;
    return dsig_check_keyinfo(run, signature, signer);
}
