/*
 * xmlsec1 as a second opinion on compatibility mode. It is given the key, so it looks at no
 * certificate, and may use no transform and no URI beyond what the allow-list let through. It can
 * only refuse: what we refuse it is not asked about.
 *
 * Build this with the flags of `xmlsec1-config --cflags --crypto=openssl`: without
 * XMLSEC_NO_SIZE_T the structures have another layout and good signatures are called bad.
 */
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

#include <libxml/valid.h>
#include <libxml/xmlerror.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <xmlsec/crypto.h>
#include <xmlsec/errors.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>

static bool library_ready;

static _Thread_local bool memory_short;

/* Says nothing; only a shortage of memory is of interest. */
static void note_error(const char *file, int line, const char *function, const char *object,
                       const char *subject, int reason, const char *message)
{
    (void)file;
    (void)line;
    (void)function;
    (void)object;
    (void)subject;
    (void)message;
    memory_short = memory_short || reason == XMLSEC_ERRORS_R_MALLOC_FAILED;
}

static void library_init_once(void)
{
    xml_library_init();
    xmlSecErrorsSetCallback(note_error);
    library_ready = xmlSecInit() == 0 && xmlSecCheckVersion() == 1 && xmlSecOpenSSLInit() == 0;
}

bool dsig_second_opinion_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, library_init_once);
    return library_ready;
}

static int allow_transforms(xmlSecDSigCtx *context, const struct dsig_signature *signature)
{
    const xmlSecTransformId reference[] = {
        xmlSecTransformEnvelopedId,
        xmlSecTransformInclC14NId,
        xmlSecTransformInclC14N11Id,
        xmlSecTransformExclC14NId,
        xmlSecTransformSha256Id,
        xmlSecTransformInclC14NWithCommentsId,
        xmlSecTransformInclC14N11WithCommentsId,
        xmlSecTransformExclC14NWithCommentsId,
    };
    const xmlSecTransformId signed_info[] = {
        xmlSecTransformInclC14NId,
        xmlSecTransformInclC14N11Id,
        xmlSecTransformExclC14NId,
        xmlSecTransformRsaSha256Id,
        xmlSecTransformInclC14NWithCommentsId,
        xmlSecTransformInclC14N11WithCommentsId,
        xmlSecTransformExclC14NWithCommentsId,
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof reference / sizeof reference[0]; i++)
        r = xmlSecDSigCtxEnableReferenceTransform(context, reference[i]);
    if (r == 0 && signature->xpath_enveloped)
        r = xmlSecDSigCtxEnableReferenceTransform(context, xmlSecTransformXPathId);
    for (size_t i = 0; r == 0 && i < sizeof signed_info / sizeof signed_info[0]; i++)
        r = xmlSecDSigCtxEnableSignatureTransform(context, signed_info[i]);
    context->enabledReferenceUris =
        xmlSecTransformUriTypeEmpty | xmlSecTransformUriTypeSameDocument;
    return r;
}

/* The context owns the key afterwards. */
static int give_key(xmlSecDSigCtx *context, const struct path_signer *signer)
{
    if (EVP_PKEY_up_ref(signer->key) != 1)
        return -1;
    xmlSecKeyData *data = xmlSecOpenSSLEvpKeyAdopt(signer->key);
    if (!data) {
        EVP_PKEY_free(signer->key);
        return -1;
    }
    context->signKey = xmlSecKeyCreate();
    if (!context->signKey || xmlSecKeySetValue(context->signKey, data) != 0) {
        xmlSecKeyDataDestroy(data);
        return -1;
    }
    return 0;
}

/* libxml2 itself knows xml:id; other attributes are IDs only if somebody says so. */
static int mark_id(const struct dsig_signature *signature, xmlDoc *document)
{
    xmlAttr *attribute = (xmlAttr *)(uintptr_t)signature->id;

    if (!attribute || attribute->atype == XML_ATTRIBUTE_ID)
        return 0;
    const xmlNode *value = attribute->children;
    return value && xmlAddID(NULL, document, value->content, attribute) ? 0 : -1;
}

int dsig_check_second_opinion(struct check_run *run, const struct dsig_signature *signature,
                              xmlDoc *document, const struct path_signer *signer)
{
    if (!dsig_second_opinion_init()) {
        checks_undecided(run, CHECK_XML_SECOND_OPINION, "xmlsec1 could not be initialised");
        return 0;
    }
    xmlSecDSigCtx *context = xmlSecDSigCtxCreate(NULL);
    if (!context)
        return -ENOMEM;
    memory_short = false;
    xmlResetLastError();
    (void)dsig_memory_was_short();
    bool judged = allow_transforms(context, signature) == 0 && give_key(context, signer) == 0 &&
                  mark_id(signature, document) == 0 &&
                  xmlSecDSigCtxVerify(context, (xmlNode *)(uintptr_t)signature->element) == 0;
    bool good = judged && context->status == xmlSecDSigStatusSucceeded;
    xmlSecDSigCtxDestroy(context);
    const xmlError *error = xmlGetLastError();
    if (!good &&
        (memory_short || dsig_memory_was_short() || (error && error->code == XML_ERR_NO_MEMORY)))
        return -ENOMEM;
    if (!judged)
        checks_undecided(run, CHECK_XML_SECOND_OPINION, "xmlsec1 could not judge this signature");
    else
        checks_that(run, CHECK_XML_SECOND_OPINION, good,
                    "xmlsec1 finds this signature bad that we found good: report this document");
    return 0;
}
