#include "fs/audit_record.h"

#include "base/clock.h"
#include "base/json.h"

#include <string.h>

#define LABEL "kosekifs-audit-1" /* 16 bytes, without NUL */
#define HEAD "{\"event\":"
#define TAIL_BEGIN ",\"hash\":\""
#define TAIL_END "\"}"

enum {
    LABEL_SIZE = sizeof LABEL - 1,
    HEAD_SIZE = sizeof HEAD - 1,
    TAIL_SIZE = sizeof TAIL_BEGIN - 1 + 2 * SHA256_SIZE + sizeof TAIL_END - 1,
    PREFIX_SIZE = LABEL_SIZE + SHA256_SIZE + 8, /* what is hashed before the event */
};

static const char *const kind_names[] = {
#define KIND_NAME(name, text) [AUDIT_##name] = text,
    AUDIT_KINDS(KIND_NAME)
#undef KIND_NAME
};

static const char *const result_names[] = {
    [AUDIT_OK] = "ok", [AUDIT_DENIED] = "denied", [AUDIT_FAILED] = "failed"};

const char *audit_kind_name(enum audit_kind kind)
{
    return kind_names[kind];
}

const char *audit_result_name(enum audit_result result)
{
    return result_names[result];
}

static char *put_bytes(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

#define put_literal(out, literal) put_bytes(out, literal, sizeof literal - 1)

static char *put_number(char *out, uint64_t value)
{
    char digits[20];
    size_t used = sizeof digits;
    do {
        digits[--used] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put_bytes(out, digits + used, sizeof digits - used);
}

static char *put_hex(char *out, uint64_t value)
{
    char digits[16];
    size_t used = sizeof digits;
    do {
        digits[--used] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    return put_bytes(out, digits + used, sizeof digits - used);
}

/* Bytes of the UTF-8 character at `c`, 0 if it is none (RFC 3629). */
static size_t character_size(const uint8_t *c)
{
    if (*c < 0x80)
        return 1;
    size_t size = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : 2;
    if (*c < 0xc2 || *c > 0xf4 || (*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] > 0x9f) ||
        (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

/* One ASCII character as JSON wants it, RFC 8259 7. */
static char *put_character(char *out, uint8_t c)
{
    static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                  ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    if (c < sizeof shorts && shorts[c]) {
        *out++ = '\\';
        *out++ = shorts[c];
    } else if (c < 0x20) {
        out = put_literal(out, "\\u00");
        *out++ = (char)('0' + (c >> 4));
        *out++ = "0123456789ABCDEF"[c & 15];
    } else {
        *out++ = (char)c;
    }
    return out;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* In quotation marks; at most AUDIT_TEXT_MAX bytes between them. */
static char *put_text(char *out, const char *text)
{
    *out++ = '"';
    char *end = out + AUDIT_TEXT_MAX;
    for (const uint8_t *c = (const uint8_t *)text; *c;) {
        if (end - out < 6) /* the longest form of a character */
            break;
        if (is_plain(*c)) {
            *out++ = (char)*c++;
            continue;
        }
        size_t size = character_size(c);
        if (size == 0)
            out = put_literal(out, "\xef\xbf\xbd");
        else if (size == 1)
            out = put_character(out, *c);
        else
            out = put_bytes(out, (const char *)c, size);
        c += size ? size : 1;
    }
    *out++ = '"';
    return out;
}

static char *put_member(char *out, const char *key_and_colon, const char *text)
{
    if (!text || !*text)
        return out;
    out = put_bytes(out, key_and_colon, strlen(key_and_colon));
    out = put_text(out, text);
    *out++ = ',';
    return out;
}

static char *put_number_member(char *out, const char *key_and_colon, uint64_t value)
{
    out = put_bytes(out, key_and_colon, strlen(key_and_colon));
    out = put_number(out, value);
    *out++ = ',';
    return out;
}

static char *put_detail(char *out, const struct audit_detail *detail)
{
    if (!detail[0].key)
        return out;
    out = put_literal(out, "\"detail\":{");
    for (size_t i = 0; i < AUDIT_DETAIL_MAX && detail[i].key; i++) {
        if (i > 0)
            *out++ = ',';
        *out++ = '"';
        out = put_bytes(out, detail[i].key, strnlen(detail[i].key, AUDIT_DETAIL_KEY_MAX));
        out = put_literal(out, "\":");
        out = put_text(out, detail[i].text ? detail[i].text : "");
    }
    return put_literal(out, "},");
}

static char *put_request(char *out, const struct audit_event *event)
{
    if (event->connection == 0 && event->unique == 0)
        return out;
    out = put_literal(out, "\"request\":\"");
    out = put_hex(out, event->connection);
    *out++ = '-';
    out = put_hex(out, event->unique);
    return put_literal(out, "\",");
}

/* Members in the order of their names: that is what makes it canonical. */
static char *put_event(char *out, const struct audit_event *event, const struct audit_stamp *stamp)
{
    const struct caller *caller = event->caller;
    char time[RFC3339_SIZE];
    rfc3339_format_ns(stamp->time_ns, time);

    *out++ = '{';
    out = put_member(out, "\"affair\":", event->affair);
    out = put_member(out, "\"boot\":", stamp->boot);
    out = put_member(out,
                     "\"clock\":", stamp->clock_synchronised ? "synchronised" : "unsynchronised");
    out = put_detail(out, event->detail);
    if (event->error)
        out = put_number_member(out, "\"error\":", (uint64_t)event->error);
    if (caller)
        out = put_number_member(out, "\"gid\":", caller->gid);
    out = put_member(out, "\"kind\":", kind_names[event->kind]);
    out = put_member(out, "\"name\":", event->name);
    if (caller && caller->pid)
        out = put_number_member(out, "\"pid\":", (uint64_t)caller->pid);
    out = put_member(out, "\"purpose\":", event->purpose);
    out = put_member(out, "\"reason\":", event->reason);
    out = put_request(out, event);
    out = put_member(out, "\"result\":", result_names[event->result]);
    out = put_member(out, "\"role\":", event->role);
    out = put_number_member(out, "\"seq\":", stamp->sequence);
    out = put_member(out, "\"text\":", event->text);
    out = put_member(out, "\"time\":", time);
    if (caller) {
        out = put_number_member(out, "\"uid\":", caller->uid);
        out = put_member(out, "\"unverified_comm\":", caller->unverified_comm);
    }
    out = put_literal(out, "\"v\":");
    out = put_number(out, AUDIT_FORMAT_VERSION);
    *out++ = '}';
    return out;
}

static void put_prefix(uint8_t *out, const uint8_t previous[SHA256_SIZE], size_t event_size)
{
    memcpy(out, LABEL, LABEL_SIZE);
    memcpy(out + LABEL_SIZE, previous, SHA256_SIZE);
    be64_put(out + LABEL_SIZE + SHA256_SIZE, event_size);
}

/* What is hashed and the line share their bytes: prefix and event are hashed in one go, then the
 * end of the prefix is overwritten by the head of the line. */
int audit_record_format(const struct audit_event *event, const struct audit_stamp *stamp,
                        const uint8_t previous[SHA256_SIZE], struct audit_line *ret_line,
                        uint8_t ret_hash[SHA256_SIZE])
{
    char *begin = ret_line->text + PREFIX_SIZE;
    char *end = put_event(begin, event, stamp);
    size_t event_size = (size_t)(end - begin);
    put_prefix((uint8_t *)ret_line->text, previous, event_size);
    int r = sha256(ret_line->text, PREFIX_SIZE + event_size, ret_hash);
    if (r < 0)
        return r;

    memcpy(begin - HEAD_SIZE, HEAD, HEAD_SIZE);
    end = put_literal(end, TAIL_BEGIN);
    char hash[2 * SHA256_SIZE + 1];
    hex_encode(ret_hash, SHA256_SIZE, hash);
    end = put_bytes(end, hash, sizeof hash - 1);
    end = put_literal(end, TAIL_END);
    *end++ = '\n';
    ret_line->begin = PREFIX_SIZE - HEAD_SIZE;
    ret_line->size = (size_t)(end - ret_line->text) - ret_line->begin;
    return 0;
}

int audit_record_split(struct bytes line, struct bytes *ret_event, uint8_t ret_hash[SHA256_SIZE])
{
    if (line.size < HEAD_SIZE + 2 + TAIL_SIZE || line.size >= AUDIT_LINE_MAX ||
        memcmp(line.data, HEAD, HEAD_SIZE) != 0)
        return -EBADMSG;
    const uint8_t *tail = line.data + line.size - TAIL_SIZE;
    const char *digits = (const char *)tail + sizeof TAIL_BEGIN - 1;
    if (memcmp(tail, TAIL_BEGIN, sizeof TAIL_BEGIN - 1) != 0 ||
        memcmp(digits + 2 * SHA256_SIZE, TAIL_END, sizeof TAIL_END - 1) != 0 ||
        !hex_decode(digits, 2 * SHA256_SIZE, ret_hash, SHA256_SIZE))
        return -EBADMSG;
    for (size_t i = 0; i < 2 * SHA256_SIZE; i++) { /* one form only: else an edit would go unseen */
        if (digits[i] >= 'A' && digits[i] <= 'F')
            return -EBADMSG;
    }
    *ret_event = bytes_of(line.data + HEAD_SIZE, line.size - HEAD_SIZE - TAIL_SIZE);
    return 0;
}

int audit_record_hash(struct bytes event, const uint8_t previous[SHA256_SIZE],
                      uint8_t ret_hash[SHA256_SIZE])
{
    uint8_t hashed[PREFIX_SIZE + AUDIT_LINE_MAX];
    if (event.size > AUDIT_LINE_MAX)
        return -EBADMSG;
    put_prefix(hashed, previous, event.size);
    memcpy(hashed + PREFIX_SIZE, event.data, event.size);
    return sha256(hashed, PREFIX_SIZE + event.size, ret_hash);
}

/* "<hex>-<hex>" as put_request() writes it. */
static bool parse_request(const char *text, uint64_t *ret_connection, uint64_t *ret_unique)
{
    char *end;
    errno = 0;
    uint64_t connection = strtoull(text, &end, 16);
    if (*end != '-')
        return false;
    uint64_t unique = strtoull(end + 1, &end, 16);
    if (*end || errno)
        return false;
    *ret_connection = connection;
    *ret_unique = unique;
    return true;
}

static bool text_is(const struct json *object, const char *key, const char *text)
{
    const char *value = json_get_text(object, key);
    return value && strcmp(value, text) == 0;
}

int audit_record_fields(struct bytes event, struct audit_fields *ret_fields)
{
    _cleanup_json_ struct json *json = NULL;
    int r = json_parse((const char *)event.data, event.size, &json);
    if (r < 0)
        return r;
    struct audit_fields fields = {0};
    int64_t sequence, version;
    if (!json_get_integer(json, "seq", &sequence) || sequence <= 0 ||
        !json_get_integer(json, "v", &version) || version != AUDIT_FORMAT_VERSION)
        return -EBADMSG;
    fields.sequence = (uint64_t)sequence;

    const char *request = json_get_text(json, "request");
    if (request && text_is(json, "kind", kind_names[AUDIT_OPEN])) {
        while (fields.result < AUDIT_RESULT_COUNT &&
               !text_is(json, "result", result_names[fields.result]))
            fields.result++;
        fields.is_open = fields.result < AUDIT_RESULT_COUNT &&
                         parse_request(request, &fields.connection, &fields.unique);
    }

    const struct json *detail = json_get(json, "detail");
    const char *previous = detail ? json_get_text(detail, AUDIT_DETAIL_PREVIOUS) : NULL;
    if (previous && text_is(json, "kind", kind_names[AUDIT_TRAIL]) &&
        text_is(json, "reason", AUDIT_REASON_FILE))
        fields.begins_file = hex_decode(previous, strlen(previous), fields.previous, SHA256_SIZE);
    *ret_fields = fields;
    return 0;
}
