/* See tools/kosekictl_revocation.h. One line each thing, separated by tabs; with --json all fields.
 */
#include "tools/kosekictl_revocation.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const struct json *row, const char *key)
{
    const char *text = json_get_text(row, key);
    return text && *text ? text : "-";
}

static void print_texts(const char *label, const struct json *rows, const char *const *keys)
{
    for (size_t i = 0; i < json_array_count(rows); i++) {
        const struct json *row = json_array_at(rows, i);
        printf("%s", label);
        for (size_t k = 0; keys[k]; k++)
            printf("\t%s", text_of(row, keys[k]));
        putchar('\n');
    }
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

int kosekictl_show_crl(struct asking *asking, int argc, char **argv)
{
    static const char *const fetch[] = {"state", "url", "asked", "succeeded", "failure", NULL};
    static const char *const refused[] = {"at", "source", "reason", NULL};
    int status;
    if (argc == 2 && strcmp(argv[1], "refresh") == 0)
        return json_set_text(asking->request, "action", "refresh") < 0 ? asking_out_of_memory()
                                                                       : asking_print(asking, NULL);
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "show") != 0))
        return asking_usage("crl show | crl refresh");
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
