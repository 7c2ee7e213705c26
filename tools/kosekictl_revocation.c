/* See tools/kosekictl_revocation.h. One line each thing, separated by tabs; with --json all fields.
 */
#include "tools/kosekictl_revocation.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/memfd.h"
#include "fs/list_import.h"
#include "tools/input_file.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { EXIT_REFUSED = 1 };

static const char *text_of(const struct json *row, const char *key)
{
    const char *text = json_get_text(row, key);
    return text && *text ? text : "-";
}

static void print_text(const char *label, const struct json *row, const char *const *keys)
{
    printf("%s", label);
    for (size_t k = 0; keys[k]; k++)
        printf("\t%s", text_of(row, keys[k]));
    putchar('\n');
}

static void print_texts(const char *label, const struct json *rows, const char *const *keys)
{
    for (size_t i = 0; i < json_array_count(rows); i++)
        print_text(label, json_array_at(rows, i), keys);
}

static int print_whole(const struct json *reply)
{
    _cleanup_free_ char *printed = json_print(reply);
    return printed && puts(printed) >= 0 ? 0 : asking_out_of_memory();
}

int kosekictl_show_trust(struct asking *asking, int argc, char **argv)
{
    static const char *const anchor[] = {"not_after", "sha256", "subject", NULL};
    static const char *const signer[] = {"status",  "not_after", "sha256",
                                         "subject", "reason",    NULL};
    int status;
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "show") != 0))
        return asking_usage("trust show");
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply || asking->options->json)
        return reply ? print_whole(reply) : status;
    printf("generation\t%s\n", text_of(reply, "generation"));
    print_texts("anchor", json_get(reply, "anchors"), anchor);
    print_texts("signer", json_get(reply, "signers"), signer);
    return 0;
}

/* An exit status: that of a list that was refused, if there is one. */
static int print_imported(const struct json *reply)
{
    static const char *const fields[] = {"issuer",      "number", "this_update",
                                         "next_update", "reason", NULL};
    const struct json *lists = json_get(reply, "lists");
    bool refused = false;
    for (size_t i = 0; i < json_array_count(lists); i++) {
        const struct json *row = json_array_at(lists, i);
        refused = refused || strcmp(text_of(row, "state"), "refused") == 0;
        print_text(text_of(row, "state"), row, fields);
    }
    return refused ? EXIT_REFUSED : 0;
}

/* The daemon gets the bytes, so that it need not reach the file. */
static int import_crl(struct asking *asking, const char *path)
{
    char text[INPUT_FILE_TEXT_SIZE];
    const char *slash = strrchr(path, '/');
    uint8_t digest[SHA256_SIZE];
    int status;
    _cleanup_buffer_ struct buffer content;
    _cleanup_close_ int fd = -1;
    if (input_file_read(path, LIST_IMPORT_MAX, &content, text) < 0) {
        fprintf(stderr, "kosekictl: %s\n", text);
        return EX_NOINPUT;
    }
    if (sha256(content.data, content.size, digest) < 0 ||
        memfd_of("revocation lists", content.data, content.size, &fd) < 0 ||
        json_set_text(asking->request, "command", "crl-import") < 0 ||
        json_set_text(asking->request, "file", slash ? slash + 1 : path) < 0 ||
        json_set_hex(asking->request, "sha256", digest, sizeof digest) < 0)
        return asking_out_of_memory();
    asking->fds[0] = fd;
    asking->fd_count = 1;
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    if (asking_pending(reply, ", then you give this command again"))
        return EX_TEMPFAIL;
    return asking->options->json ? print_whole(reply) : print_imported(reply);
}

int kosekictl_show_crl(struct asking *asking, int argc, char **argv)
{
    static const char *const fetch[] = {"state", "url", "asked", "succeeded", "failure", NULL};
    static const char *const refused[] = {"at", "source", "reason", NULL};
    int status;
    if (argc == 2 && strcmp(argv[1], "refresh") == 0)
        return json_set_text(asking->request, "action", "refresh") < 0 ? asking_out_of_memory()
                                                                       : asking_print(asking, NULL);
    if (argc == 3 && strcmp(argv[1], "import") == 0)
        return import_crl(asking, argv[2]);
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "show") != 0))
        return asking_usage("crl show | crl refresh | crl import FILE");
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply || asking->options->json)
        return reply ? print_whole(reply) : status;
    const struct json *revocation = json_get(reply, "revocation");
    const struct json *lists = json_get(revocation, "lists");
    for (size_t i = 0; i < json_array_count(lists); i++) {
        const struct json *list = json_array_at(lists, i);
        int64_t entries = 0;
        bool known = false;
        (void)!json_get_integer(list, "entries", &entries);
        (void)!json_get_bool(list, "issuer_known", &known);
        printf("%s\t%s\tcounts until %s\tnumber %s\t%lld entries%s\t%s\t%s\n",
               text_of(list, "state"), text_of(list, "this_update"), text_of(list, "counts_until"),
               text_of(list, "number"), (long long)entries, known ? "" : "\tissuer not known yet",
               text_of(list, "issuer"), text_of(list, "source"));
    }
    print_texts("fetch", json_get(revocation, "fetches"), fetch);
    print_texts("refused", json_get(revocation, "refused"), refused);
    return 0;
}
