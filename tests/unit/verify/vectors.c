#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VECTOR_SIZE_MAX = 16 * 1024 * 1024 };

static void give_up(const char *what)
{
    fprintf(stderr, "vectors: %s\n", what);
    exit(99);
}

void vectors_load(const char *file, struct buffer *ret_content)
{
    const char *directory = getenv("TESTS_VECTORS");
    char path[1024], piece[4096];
    size_t got;

    if (!directory)
        give_up("TESTS_VECTORS is not set");
    snprintf(path, sizeof path, "%s/pdf/%s", directory, file);
    _cleanup_fclose_ FILE *stream = fopen(path, "rb");
    if (!stream)
        give_up(path);
    buffer_init(ret_content, VECTOR_SIZE_MAX);
    while ((got = fread(piece, 1, sizeof piece, stream)) > 0) {
        if (buffer_append(ret_content, piece, got) < 0)
            give_up(path);
    }
}

void vectors_read(struct vectors *ret_vectors)
{
    _cleanup_buffer_ struct buffer text;
    struct vectors vectors = {calloc(1000, sizeof *vectors.items), 0};
    char *state = NULL;

    vectors_load("EXPECT.tsv", &text);
    if (!vectors.items || buffer_append_u8(&text, 0) < 0)
        give_up("memory");
    for (char *line = strtok_r((char *)text.data, "\n", &state); line;
         line = strtok_r(NULL, "\n", &state)) {
        struct vector *vector = &vectors.items[vectors.count];
        /* file, expected, reason, basis, class, producer */
        if (vectors.count == 999 || sscanf(line, "%79[^\t]\t%15[^\t]\t%*[^\t]\t%15[^\t]",
                                           vector->file, vector->expected, vector->basis) != 3)
            give_up(line);
        if (strcmp(vector->file, "file") != 0)
            vectors.count++;
    }
    *ret_vectors = vectors;
}

static void add_file(struct buffer *bundle, enum trust_kind kind, const char *file)
{
    _cleanup_buffer_ struct buffer content;

    vectors_load(file, &content);
    if (trust_bundle_add(bundle, kind, file, bytes_of(content.data, content.size)) < 0)
        give_up(file);
}

struct verify_trust *vectors_trust(const char *level)
{
    static const char signer[] =
        "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP";
    _cleanup_buffer_ struct buffer bundle;
    const struct verify_check *check;
    char message[VERDICT_TEXT_MAX], setting[120];
    struct verify_trust *trust;

    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    add_file(&bundle, TRUST_ANCHOR, "pki/root.crt");
    add_file(&bundle, TRUST_CRL, "pki/good.crl");
    if (trust_bundle_add(&bundle, TRUST_SIGNER_DN, "signer", bytes_of(signer, strlen(signer))) < 0)
        give_up("memory");
    for (unsigned i = 0; level && (check = verify_check_at(i)); i++) {
        int size = snprintf(setting, sizeof setting, "%s=%s", check->name, level);
        if (check->policy &&
            trust_bundle_add(&bundle, TRUST_POLICY, "level", bytes_of(setting, (size_t)size)) < 0)
            give_up("memory");
    }
    if (verify_trust_new(bytes_of(bundle.data, bundle.size), message, &trust) < 0)
        give_up(message);
    return trust;
}

void vectors_judge(struct verify_trust *trust, struct bytes document, struct verdict *ret_verdict)
{
    struct verify_request request = {.format = CERTFORMAT_PDF, .time_s = VECTORS_NOW_S};

    if (verify_document(trust, &request, document, ret_verdict) < 0)
        give_up("memory");
}
