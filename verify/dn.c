/*
 * The text has the last RDN of the name first (RFC 4514 2.1), so it is cut into RDNs front to back
 * and the name is built back to front. Quoted values and ';' of RFC 1779 are not RFC 4514 and are
 * refused. Values become UTF8String; names are compared by X509_NAME_cmp(), which converts the
 * string types of ASN.1 to one form first.
 */
#include "verify/dn.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/objects.h>

struct part { /* one AttributeTypeAndValue */
    struct bytes type;
    struct bytes value; /* still escaped */
    bool joined;        /* belongs to the RDN of the part before it ('+') */
};

static bool is_one_of(uint8_t byte, const char *set)
{
    return byte != '\0' && strchr(set, byte) != NULL;
}

/* Cuts at unescaped ',' and '+'. Returns the count of parts, or 0. */
static size_t split(struct bytes text, struct part parts[DN_PART_MAX])
{
    size_t count = 0, position = 0;
    bool joined = false;

    for (;;) {
        size_t start = position, equals = 0;
        while (position < text.size && !is_one_of(text.data[position], ",+")) {
            if (text.data[position] == '\\')
                position++;
            else if (text.data[position] == '=' && !equals)
                equals = position;
            position++;
        }
        if (position > text.size || !equals || count == DN_PART_MAX)
            return 0;
        parts[count++] = (struct part){
            .type = bytes_of(text.data + start, equals - start),
            .value = bytes_of(text.data + equals + 1, position - equals - 1),
            .joined = joined,
        };
        if (position == text.size)
            return count;
        joined = text.data[position] == '+';
        position++;
    }
}

static struct bytes trim(struct bytes text)
{
    while (text.size && text.data[0] == ' ')
        text = bytes_of(text.data + 1, text.size - 1);
    while (text.size && text.data[text.size - 1] == ' ' &&
           (text.size < 2 || text.data[text.size - 2] != '\\'))
        text.size--;
    return text;
}

/* RFC 4514 3: undoes the escapes into `out`, which has text.size bytes; -1 if malformed. */
static int unescape(struct bytes text, uint8_t *out)
{
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte != '\\') {
            if (byte == '\0' || is_one_of(byte, "\";<>"))
                return -1;
            out[size++] = byte;
            continue;
        }
        if (i + 1 < text.size && is_one_of(text.data[i + 1], " \"#+,;<=>\\")) {
            out[size++] = text.data[++i];
        } else {
            if (text.size - i < 3 || !hex_decode((const char *)text.data + i + 1, 2, out + size, 1))
                return -1;
            size++;
            i += 2;
        }
    }
    return (int)size;
}

static int add_part(X509_NAME *name, const struct part *part, bool same_rdn)
{
    char type_text[64];
    struct bytes type = trim(part->type), value = trim(part->value);
    uint8_t value_text[DN_TEXT_MAX];

    if (type.size == 0 || type.size >= sizeof type_text || value.size == 0 || value.data[0] == '#')
        return -EINVAL;
    memcpy(type_text, type.data, type.size);
    type_text[type.size] = '\0';
    int size = unescape(value, value_text);
    if (size <= 0)
        return -EINVAL;
    ASN1_OBJECT *object = OBJ_txt2obj(type_text, 0);
    if (!object) { /* RFC 4512 2.5: case does not matter; OpenSSL knows the short names in capitals
                    */
        for (char *c = type_text; *c; c++)
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        object = OBJ_txt2obj(type_text, 0);
    }
    if (!object)
        return -EINVAL;
    int added = X509_NAME_add_entry_by_OBJ(name, object, V_ASN1_UTF8STRING, value_text, size, -1,
                                           same_rdn ? -1 : 0);
    ASN1_OBJECT_free(object);
    return added ? 0 : -ENOMEM;
}

int dn_parse(struct bytes text, X509_NAME **ret_name)
{
    struct part parts[DN_PART_MAX];
    int r = 0;

    if (text.size == 0 || text.size > DN_TEXT_MAX)
        return -EINVAL;
    size_t count = split(text, parts);
    if (!count)
        return -EINVAL;
    X509_NAME *name = X509_NAME_new();
    if (!name)
        return -ENOMEM;
    /* Part i+1, when joined to part i, was added just before it: both go into one RDN. */
    for (size_t i = count; i-- > 0 && r == 0;)
        r = add_part(name, &parts[i], i + 1 < count && parts[i + 1].joined);
    if (r < 0) {
        X509_NAME_free(name);
        return r;
    }
    *ret_name = name;
    return 0;
}

int dn_format(const X509_NAME *name, char *out, size_t out_size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (!bio)
        return -ENOMEM;
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) <
        0) {
        BIO_free(bio);
        return -ENOMEM;
    }
    long size = BIO_get_mem_data(bio, &text);
    size_t kept = size < 0 ? 0 : (size_t)size;
    if (kept >= out_size) {
        kept = out_size - 1;
        while (kept > 0 && ((uint8_t)text[kept] & 0xc0) == 0x80)
            kept--;
    }
    if (kept)
        memcpy(out, text, kept);
    out[kept] = '\0';
    BIO_free(bio);
    return 0;
}
