/* See tools/anchor_set.h. */
#include "tools/anchor_set.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/trust.h"
#include "fs/trust_files.h"
#include "tools/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int complain(const char *what, int r)
{
    fprintf(stderr, "kosekictl: %s: %s\n", what, strerror(-r));
    return r;
}

static void complain_file(void *context, const char *file, int line, const char *text)
{
    (void)context, (void)line;
    fprintf(stderr, "kosekictl: %s: %s\n", file, text);
}

void anchor_set_done(struct anchor_set *set)
{
    buffer_done(&set->bundle);
}

static struct bytes bundle_of(const struct anchor_set *set)
{
    return bytes_of(set->bundle.data, set->bundle.size);
}

int anchor_set_read(const struct config_trust *config, bool with_anchors,
                    struct anchor_set *ret_set)
{
    _cleanup_free_ struct config_trust *wanted = malloc(sizeof *wanted);
    struct anchor_set set = {0};
    struct trust_item item;
    size_t offset = 0;
    if (!wanted)
        return complain("anchors", -ENOMEM);
    *wanted = *config;
    wanted->schema_directory[0] = '\0'; /* says nothing about anchors */
    if (!with_anchors)
        wanted->anchors[0] = '\0';
    int r = trust_files_read(wanted, complain_file, NULL, &set.bundle);
    if (r < 0)
        return r;
    while (trust_bundle_next(bundle_of(&set), &offset, &item) == 1)
        set.configured += item.kind == TRUST_ANCHOR;
    *ret_set = set;
    return 0;
}

int anchor_set_add(struct anchor_set *set, const char *label, struct bytes content)
{
    char text[TRUST_LABEL_MAX];
    size_t size = strlen(label);
    snprintf(text, sizeof text, "%s", size < sizeof text ? label : label + size - sizeof text + 1);
    int r = trust_bundle_add(&set->bundle, TRUST_ANCHOR, text, content);
    return r < 0 ? complain(label, r) : 0;
}

/* All items but anchors, and of these the ones that `takes` wants. */
static int copy_items(const struct anchor_set *set, bool takes, struct bytes content,
                      struct anchor_set *out)
{
    struct trust_item item;
    size_t offset = 0;
    int r = 0;
    *out = (struct anchor_set){0};
    buffer_init(&out->bundle, TRUST_BUNDLE_MAX);
    while (r == 0 && trust_bundle_next(bundle_of(set), &offset, &item) == 1) {
        bool anchor = item.kind == TRUST_ANCHOR;
        if (anchor && bytes_equal(item.content, content) != takes)
            continue;
        r = trust_bundle_add(&out->bundle, item.kind, item.label, item.content);
        out->configured += anchor;
    }
    return r;
}

int anchor_set_without(const struct anchor_set *set, struct bytes content,
                       struct anchor_set *ret_set)
{
    struct anchor_set left;
    int r = copy_items(set, false, content, &left);
    if (r < 0) {
        anchor_set_done(&left);
        return complain("anchors", r);
    }
    *ret_set = left;
    return 0;
}

/* --- judging ---------------------------------------------------------------------------------- */

int anchor_set_judge(const struct anchor_set *set, struct bytes content,
                     struct verify_anchor ret_anchors[VERIFY_ANCHORS_MAX], unsigned *ret_count,
                     char *ret_text)
{
    _cleanup_anchor_set_ struct anchor_set alone;
    struct verify_trust *trust;
    unsigned count = 0;
    int r = copy_items(set, true, bytes_of(NULL, 0), &alone);
    if (r == 0)
        r = trust_bundle_add(&alone.bundle, TRUST_ANCHOR, "it", content);
    if (r == 0)
        r = verify_trust_new(bundle_of(&alone), ret_text, &trust);
    if (r < 0)
        return r == -EBADMSG ? -EINVAL : r;
    while (count < VERIFY_ANCHORS_MAX && verify_trust_anchor(trust, count, &ret_anchors[count]))
        count++;
    verify_trust_free(trust);
    *ret_count = count;
    return 0;
}

static unsigned occurrences(const struct anchor_set *set, const uint8_t digest[SHA256_SIZE])
{
    static struct verify_anchor anchors[VERIFY_ANCHORS_MAX];
    char text[VERDICT_TEXT_MAX];
    struct trust_item item;
    size_t offset = 0;
    unsigned found = 0, count;
    while (trust_bundle_next(bundle_of(set), &offset, &item) == 1) {
        if (item.kind != TRUST_ANCHOR ||
            anchor_set_judge(set, item.content, anchors, &count, text) < 0)
            continue;
        for (unsigned i = 0; i < count; i++)
            found += memory_equal(anchors[i].sha256, digest, SHA256_SIZE);
    }
    return found;
}

const char *anchor_set_objection(const struct anchor_set *set, const struct verify_anchor *anchor,
                                 int64_t now_s)
{
    if (!anchor->authority)
        return "it is not the certificate of an authority (for one signer: signer_pins)";
    if (anchor->not_after_s <= now_s)
        return "its validity has ended";
    if (occurrences(set, anchor->sha256) > 1)
        return "it is there twice";
    return NULL;
}

static bool print_anchor(const struct anchor_set *set, const struct verify_anchor *anchor,
                         bool candidate, int64_t now_s)
{
    char digest[2 * SHA256_SIZE + 1], ends[RFC3339_SIZE];
    const char *objection = anchor_set_objection(set, anchor, now_s);
    const char *note = objection                      ? objection
                       : anchor->not_before_s > now_s ? "its validity has not begun"
                                                      : "-";
    hex_encode(anchor->sha256, SHA256_SIZE, digest);
    rfc3339_format(anchor->not_after_s, ends);
    printf("%s\t%s\t%s\t%u bits\t%s\t%s\n",
           objection && candidate ? "refused"
           : objection            ? "warning"
                                  : "good",
           digest, ends, anchor->key_bits, anchor->subject, note);
    return !objection || !candidate;
}

bool anchor_set_print(const struct anchor_set *set, int64_t now_s)
{
    static struct verify_anchor anchors[VERIFY_ANCHORS_MAX];
    struct verify_trust *trust;
    char text[VERDICT_TEXT_MAX];
    struct trust_item item;
    size_t offset = 0, index = 0;
    bool good = true;
    while (trust_bundle_next(bundle_of(set), &offset, &item) == 1) {
        unsigned count = 0;
        if (item.kind != TRUST_ANCHOR)
            continue;
        bool candidate = index++ >= set->configured;
        if (anchor_set_judge(set, item.content, anchors, &count, text) < 0) {
            printf("refused\t%s\t%s\n", item.label, text);
            good = false;
        }
        for (unsigned i = 0; i < count; i++)
            good = print_anchor(set, &anchors[i], candidate, now_s) && good;
    }
    if (!good)
        return false;
    if (verify_trust_new(bundle_of(set), text, &trust) < 0) {
        printf("refused\tthe whole set\t%s\n", text);
        return false;
    }
    verify_trust_free(trust);
    return true;
}

/* --- signers ---------------------------------------------------------------------------------- */

static int decode_path(const struct json *row, struct buffer contents[SIGNER_PATH_MAX],
                       struct bytes path[SIGNER_PATH_MAX])
{
    const struct json *list = json_get(row, "path");
    size_t count = json_array_count(list);
    if (count == 0 || count > SIGNER_PATH_MAX)
        return -EPROTO;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_text(json_array_at(list, i));
        size_t size = text ? strlen(text) / 2 : 0;
        uint8_t *der = malloc(size ? size : 1);
        contents[i] = (struct buffer){.data = der, .size = size};
        if (!der || size == 0 || !hex_decode(text, 2 * size, der, size))
            return der ? -EPROTO : -ENOMEM;
        path[i] = bytes_of(der, size);
    }
    return (int)count;
}

static bool leads_to_anchor(struct verify_trust *trust, const struct bytes *path, unsigned count,
                            int64_t now_s)
{
    static struct signer_record record;
    return verify_assess(trust, path, count, now_s) == 0 && verify_signer_last(trust, &record);
}

/* 1 = broken, 0 = not, or a negative errno. */
static int look_at_signer(const struct json *row, struct verify_trust *before,
                          struct verify_trust *after, int64_t now_s)
{
    struct buffer contents[SIGNER_PATH_MAX] = {0};
    struct bytes path[SIGNER_PATH_MAX];
    const char *digest = json_get_text(row, "sha256"), *subject = json_get_text(row, "subject");
    int count = decode_path(row, contents, path);
    bool broken = count > 0 && leads_to_anchor(before, path, (unsigned)count, now_s) &&
                  !leads_to_anchor(after, path, (unsigned)count, now_s);
    for (unsigned i = 0; i < SIGNER_PATH_MAX; i++)
        buffer_done(&contents[i]);
    if (broken)
        printf("signer\t%s\t%s\tno path to an anchor\n", digest ? digest : "-",
               subject ? subject : "-");
    return count < 0 ? count : broken;
}

static int ask_page(int control_fd, int64_t after, struct json **ret_reply)
{
    _cleanup_json_ struct json *request = json_object_new();
    _cleanup_json_ struct json *reply = NULL;
    bool ok = false;
    if (!request || json_set_text(request, "command", "trust") < 0 ||
        json_set_text(request, "action", "paths") < 0 ||
        json_set_integer(request, "after", after) < 0)
        return -ENOMEM;
    int r = control_client_ask(control_fd, request, &reply);
    if (r < 0)
        return r;
    if (!json_get_bool(reply, "ok", &ok) || !ok)
        return -EPERM;
    *ret_reply = steal_ptr(&reply);
    return 0;
}

static int look_at_signers(int control_fd, struct verify_trust *before, struct verify_trust *after,
                           int64_t now_s, unsigned *ret_signers)
{
    int64_t next = 0;
    int broken = 0;
    *ret_signers = 0;
    do {
        _cleanup_json_ struct json *reply = NULL;
        int r = ask_page(control_fd, next, &reply);
        if (r < 0)
            return r;
        const struct json *rows = json_get(reply, "signers");
        int64_t last = next;
        for (size_t i = 0; i < json_array_count(rows); i++) {
            r = look_at_signer(json_array_at(rows, i), before, after, now_s);
            if (r < 0)
                return r;
            broken += r;
            ++*ret_signers;
        }
        if (!json_get_integer(reply, "next", &next) || (next != 0 && next <= last))
            return -EPROTO;
    } while (next > 0);
    return broken;
}

int anchor_set_broken(int control_fd, const struct anchor_set *before,
                      const struct anchor_set *after, int64_t now_s, unsigned *ret_signers)
{
    char text[VERDICT_TEXT_MAX];
    struct verify_trust *trusts[2] = {0};
    int r = verify_trust_new(bundle_of(before), text, &trusts[0]);
    if (r == 0)
        r = verify_trust_new(bundle_of(after), text, &trusts[1]);
    if (r < 0)
        fprintf(stderr, "kosekictl: %s\n", text);
    else
        r = look_at_signers(control_fd, trusts[0], trusts[1], now_s, ret_signers);
    if (r < 0)
        fprintf(stderr, "kosekictl: signers could not be looked at: %s\n", strerror(-r));
    verify_trust_free(trusts[0]);
    verify_trust_free(trusts[1]);
    return r;
}
