/* See tools/schema_admission.h. */
#include "tools/schema_admission.h"

#include "tools/input_file.h"
#include "verify/schema_worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_printf_(3, 4) static int fault(char *ret_text, int r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_text, SCHEMA_TEXT_SIZE, format, arguments);
    va_end(arguments);
    return r;
}

_Static_assert((int)INPUT_FILE_TEXT_SIZE <= (int)SCHEMA_TEXT_SIZE, "the reason fits");

struct schema_admission *schema_admission_new(void)
{
    return calloc(1, sizeof(struct schema_admission));
}

struct schema_admission *schema_admission_free(struct schema_admission *admission)
{
    for (size_t i = 0; admission && i < admission->count; i++)
        buffer_done(&admission->contents[i]);
    free(admission);
    return NULL;
}

static int check_name(const struct schema_admission *admission, const char *name, char *ret_text)
{
    if (!schema_file_name_valid(name))
        return fault(ret_text, -EINVAL,
                     "%s: a file is named in letters, digits, dot, - and _, ends in .xsd and is "
                     "shorter than %d",
                     name, SCHEMA_FILE_SIZE);
    for (size_t i = 0; i < admission->count; i++) {
        if (strcmp(admission->manifest.files[i].name, name) == 0)
            return fault(ret_text, -EINVAL, "two files are named %s", name);
    }
    return 0;
}

static int read_one(struct schema_admission *admission, const char *path, size_t *total,
                    char *ret_text)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    uint8_t digest[SHA256_SIZE];
    int r = check_name(admission, name, ret_text);
    if (r < 0)
        return r;
    size_t index = admission->count++;
    struct buffer *content = &admission->contents[index];
    struct schema_file *file = &admission->manifest.files[index];
    r = input_file_read(path, SCHEMA_BYTES_MAX - *total, content, ret_text);
    if (r < 0)
        return r;
    r = sha256(content->data, content->size, digest);
    if (r < 0)
        return fault(ret_text, r, "memory is short");
    *total += content->size;
    snprintf(file->name, sizeof file->name, "%s", name);
    file->size = content->size;
    hex_encode(digest, sizeof digest, file->sha256);
    snprintf(admission->files[index].label, sizeof admission->files[index].label, "%s", name);
    admission->files[index].content = bytes_of(content->data, content->size);
    admission->manifest.file_count = admission->count;
    return 0;
}

int schema_admission_read(struct schema_admission *admission, char *const paths[], size_t count,
                          char *ret_text)
{
    size_t total = 0;
    int r = 0;
    if (count == 0 || count > SCHEMA_FILES_MAX)
        return fault(ret_text, -E2BIG, "a schema has 1 to %d files", SCHEMA_FILES_MAX);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = read_one(admission, paths[i], &total, ret_text);
    if (r == 0 && schema_manifest_digest(&admission->manifest) < 0)
        r = fault(ret_text, -ENOMEM, "memory is short");
    return r;
}

/* Any document shows whether the schema compiles. */
static int ask_xsd11(const struct schema_admission *admission, const char *because, char *ret_text)
{
    static const char document[] = "<document/>";
    struct schema_answer answer;
    _cleanup_buffer_ struct buffer bundle;
    int r = 0;
    buffer_init(&bundle, 2 * SCHEMA_BYTES_MAX);
    for (size_t i = 0; r == 0 && i < admission->count; i++)
        r = schema_bundle_add(&bundle, &admission->files[i]);
    struct schema_worker *worker =
        r < 0 ? NULL : schema_worker_new_installed(SCHEMA_WORKER_TIMEOUT_MS);
    if (!worker)
        return fault(ret_text, -ENOMEM, "memory is short");
    const struct schema_hook *hook = schema_worker_hook(worker);
    r = hook->validate(hook->context, bytes_of(bundle.data, bundle.size),
                       bytes_of(document, sizeof document - 1), &answer);
    schema_worker_free(worker);
    if (r < 0)
        return fault(ret_text, r,
                     "the processor of XSD 1.1 gives no answer (%s); is the Debian package "
                     "python3-xmlschema installed? It is needed for: %s",
                     strerror(-r), because);
    if (answer.outcome == SCHEMA_REFUSED)
        return fault(ret_text, -ENOTSUP,
                     "neither processor can honour it: %s; XSD 1.1 because of %s", answer.text,
                     because);
    return 0;
}

int schema_admission_inspect(struct schema_admission *admission, char *ret_text)
{
    struct schema_inspection inspection;
    int r = schema_inspect(admission->files, admission->count, &inspection);
    if (r < 0)
        return fault(ret_text, r, "%s", strerror(-r));
    if (inspection.processor == SCHEMA_BY_NONE)
        return fault(ret_text, -ENOTSUP, "no processor can honour it: %s", inspection.text);
    if (inspection.processor == SCHEMA_BY_XSD_1_1) {
        r = ask_xsd11(admission, inspection.text, ret_text);
        if (r < 0)
            return r;
    }
    snprintf(admission->manifest.processor, sizeof admission->manifest.processor, "XSD %s",
             inspection.processor == SCHEMA_BY_XSD_1_1 ? "1.1" : "1.0");
    return 0;
}
