/*
 * A tokenizer for the markup of XML 1.0 without DTD: one pass, no allocation, nothing kept but
 * counts. Whatever it does not know ends the scan.
 */
#include "verify/xml_scan.h"

#include "verify/xml_encoding.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

struct scanner {
    const char *text;
    size_t size, at;
    struct xml_scan *scan;
    unsigned depth;
    bool root_seen;
    unsigned nodes, declarations, in_force;
    uint8_t declared[XML_DEPTH_MAX + 1]; /* namespace declarations of the open elements */
};

_Static_assert(XML_ATTRIBUTE_MAX <= UINT8_MAX, "struct scanner counts declarations in uint8_t");

static size_t line_of(const struct scanner *scanner)
{
    size_t line = 1;
    for (size_t i = 0; i < scanner->at && i < scanner->size; i++)
        line += scanner->text[i] == '\n';
    return line;
}

/* Returns false, so that a caller can pass it on. */
static bool scan_fail(struct scanner *scanner, enum xml_scan_result result, const char *format, ...)
    _printf_(3, 4);

static bool scan_fail(struct scanner *scanner, enum xml_scan_result result, const char *format, ...)
{
    struct xml_scan *scan = scanner->scan;
    char why[XML_SCAN_TEXT_MAX - 32];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    scan->result = result;
    scan->offset = scanner->at;
    snprintf(scan->text, sizeof scan->text, "line %zu: %s", line_of(scanner), why);
    return false;
}

static char peek(const struct scanner *scanner, size_t ahead)
{
    return scanner->size - scanner->at > ahead ? scanner->text[scanner->at + ahead] : '\0';
}

static bool looking_at(const struct scanner *scanner, const char *literal)
{
    size_t length = strlen(literal);
    return scanner->size - scanner->at >= length &&
           memcmp(scanner->text + scanner->at, literal, length) == 0;
}

static bool is_space(char octet)
{
    return octet == ' ' || octet == '\t' || octet == '\n' || octet == '\r';
}

static bool skip_space(struct scanner *scanner)
{
    size_t start = scanner->at;
    while (is_space(peek(scanner, 0)))
        scanner->at++;
    return scanner->at > start;
}

static bool is_name_start(char octet)
{
    return (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z') || octet == '_' ||
           octet == ':' || (unsigned char)octet >= 0x80;
}

static bool is_name_octet(char octet)
{
    return is_name_start(octet) || (octet >= '0' && octet <= '9') || octet == '-' || octet == '.';
}

/* Which characters above 127 a name may hold is for the parser to say. */
static bool scan_name(struct scanner *scanner, const char **ret_name, size_t *ret_size)
{
    size_t start = scanner->at;

    if (!is_name_start(peek(scanner, 0)))
        return scan_fail(scanner, XML_SCAN_FORM, "a name is expected here");
    while (is_name_octet(peek(scanner, 0)))
        scanner->at++;
    if (scanner->at - start > XML_NAME_MAX)
        return scan_fail(scanner, XML_SCAN_LIMIT, "a name is longer than %d bytes", XML_NAME_MAX);
    *ret_name = scanner->text + start;
    *ret_size = scanner->at - start;
    return true;
}

static bool count_node(struct scanner *scanner)
{
    if (++scanner->nodes > XML_NODE_MAX)
        return scan_fail(scanner, XML_SCAN_LIMIT, "more than %d nodes", XML_NODE_MAX);
    return true;
}

static bool char_reference_ok(const char *digits, size_t size)
{
    unsigned base = 10;
    uint32_t c = 0;

    if (size > 0 && digits[0] == 'x') {
        base = 16;
        digits++;
        size--;
    }
    if (size == 0 || size > 8)
        return false;
    for (size_t i = 0; i < size; i++) {
        char d = digits[i];
        unsigned value = d >= '0' && d <= '9'   ? (unsigned)(d - '0')
                         : d >= 'a' && d <= 'f' ? (unsigned)(d - 'a') + 10
                         : d >= 'A' && d <= 'F' ? (unsigned)(d - 'A') + 10
                                                : 99;
        if (value >= base)
            return false;
        c = c * base + value;
    }
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xd7ff) ||
           (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

/* At '&': a character reference or one of the five predefined entities; without a DTD there are no
 * others. */
static bool scan_reference(struct scanner *scanner)
{
    static const char *const predefined[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};

    for (size_t i = 0; i < sizeof predefined / sizeof predefined[0]; i++) {
        if (looking_at(scanner, predefined[i])) {
            scanner->at += strlen(predefined[i]);
            return true;
        }
    }
    size_t left = scanner->size - scanner->at;
    const char *start = scanner->text + scanner->at;
    const char *end = memchr(start, ';', left < 12 ? left : 12);
    if (!end || start[1] != '#' || !char_reference_ok(start + 2, (size_t)(end - start) - 2))
        return scan_fail(scanner, XML_SCAN_FORM,
                         "'&' begins neither a character reference nor a predefined entity");
    scanner->at += (size_t)(end - start) + 1;
    return true;
}

static bool value_size_ok(struct scanner *scanner, size_t start)
{
    if (scanner->at - start > XML_VALUE_MAX)
        return scan_fail(scanner, XML_SCAN_LIMIT, "a text or value is larger than %d bytes",
                         XML_VALUE_MAX);
    return true;
}

/* Moves behind `end`, which must not be missing. */
static bool scan_to(struct scanner *scanner, const char *end, const char *what)
{
    size_t start = scanner->at;
    const char *found =
        memmem(scanner->text + scanner->at, scanner->size - scanner->at, end, strlen(end));
    if (!found)
        return scan_fail(scanner, XML_SCAN_FORM, "%s does not end", what);
    scanner->at = (size_t)(found - scanner->text) + strlen(end);
    return value_size_ok(scanner, start);
}

static bool scan_comment(struct scanner *scanner)
{
    scanner->at += strlen("<!--");
    if (!count_node(scanner) || !scan_to(scanner, "--", "a comment"))
        return false;
    if (peek(scanner, 0) != '>')
        return scan_fail(scanner, XML_SCAN_FORM, "'--' inside a comment");
    scanner->at++;
    return true;
}

static bool scan_instruction(struct scanner *scanner)
{
    const char *name;
    size_t size;

    scanner->at += strlen("<?");
    if (!count_node(scanner) || !scan_name(scanner, &name, &size))
        return false;
    if (size == 3 && strncasecmp(name, "xml", 3) == 0)
        return scan_fail(scanner, XML_SCAN_FORM, "an XML declaration that is not at the start");
    if (!looking_at(scanner, "?>") && !is_space(peek(scanner, 0)))
        return scan_fail(scanner, XML_SCAN_FORM, "white space is missing after the target");
    return scan_to(scanner, "?>", "a processing instruction");
}

static bool scan_attribute_value(struct scanner *scanner)
{
    char quote = peek(scanner, 0);

    if (quote != '"' && quote != '\'')
        return scan_fail(scanner, XML_SCAN_FORM, "an attribute value without quotes");
    size_t start = ++scanner->at;
    for (;;) {
        char octet = peek(scanner, 0);
        if (scanner->at >= scanner->size || octet == '<')
            return scan_fail(scanner, XML_SCAN_FORM, "an attribute value does not end");
        if (octet == quote) {
            if (!value_size_ok(scanner, start))
                return false;
            scanner->at++;
            return true;
        }
        if (octet != '&')
            scanner->at++;
        else if (!scan_reference(scanner))
            return false;
    }
}

static bool scan_attribute(struct scanner *scanner, unsigned *declared)
{
    const char *name;
    size_t size;

    if (!count_node(scanner) || !scan_name(scanner, &name, &size))
        return false;
    if ((size == 5 || (size > 5 && name[5] == ':')) && memcmp(name, "xmlns", 5) == 0) {
        ++*declared;
        if (++scanner->declarations > XML_NAMESPACE_TOTAL_MAX)
            return scan_fail(scanner, XML_SCAN_LIMIT, "more than %d namespace declarations",
                             XML_NAMESPACE_TOTAL_MAX);
        if (++scanner->in_force > XML_NAMESPACE_MAX)
            return scan_fail(scanner, XML_SCAN_LIMIT,
                             "more than %d namespace declarations in force", XML_NAMESPACE_MAX);
    }
    skip_space(scanner);
    if (peek(scanner, 0) != '=')
        return scan_fail(scanner, XML_SCAN_FORM, "an attribute without '='");
    scanner->at++;
    skip_space(scanner);
    return scan_attribute_value(scanner);
}

static bool scan_start_tag(struct scanner *scanner)
{
    const char *name;
    size_t size;
    unsigned attributes = 0, declared = 0;

    if (scanner->depth == 0 && scanner->root_seen)
        return scan_fail(scanner, XML_SCAN_FORM, "a second document element");
    scanner->root_seen = true;
    scanner->at++;
    if (!count_node(scanner) || !scan_name(scanner, &name, &size))
        return false;
    for (;;) {
        bool space = skip_space(scanner);
        if (looking_at(scanner, "/>")) {
            scanner->at += 2;
            scanner->in_force -= declared;
            return true;
        }
        if (peek(scanner, 0) == '>')
            break;
        if (!space)
            return scan_fail(scanner, XML_SCAN_FORM, "white space is missing in a tag");
        if (++attributes > XML_ATTRIBUTE_MAX)
            return scan_fail(scanner, XML_SCAN_LIMIT, "an element with more than %d attributes",
                             XML_ATTRIBUTE_MAX);
        if (!scan_attribute(scanner, &declared))
            return false;
    }
    scanner->at++;
    if (++scanner->depth > XML_DEPTH_MAX)
        return scan_fail(scanner, XML_SCAN_LIMIT, "elements nested deeper than %d", XML_DEPTH_MAX);
    scanner->declared[scanner->depth] = (uint8_t)declared;
    return true;
}

static bool scan_end_tag(struct scanner *scanner)
{
    const char *name;
    size_t size;

    scanner->at += strlen("</");
    if (!scan_name(scanner, &name, &size))
        return false;
    skip_space(scanner);
    if (peek(scanner, 0) != '>' || scanner->depth == 0)
        return scan_fail(scanner, XML_SCAN_FORM, "an end tag that ends nothing");
    scanner->at++;
    scanner->in_force -= scanner->declared[scanner->depth];
    scanner->depth--;
    return true;
}

static bool scan_text(struct scanner *scanner)
{
    size_t start = scanner->at;
    bool blank = true;

    if (!count_node(scanner))
        return false;
    while (scanner->at < scanner->size && peek(scanner, 0) != '<') {
        char octet = peek(scanner, 0);
        blank = blank && is_space(octet);
        if (octet == ']' && looking_at(scanner, "]]>"))
            return scan_fail(scanner, XML_SCAN_FORM, "']]>' in text");
        if (octet != '&')
            scanner->at++;
        else if (!scan_reference(scanner))
            return false;
    }
    if (scanner->depth == 0 && !blank) {
        scanner->at = start;
        return scan_fail(scanner, XML_SCAN_FORM, "text outside the document element");
    }
    return value_size_ok(scanner, start);
}

static bool scan_markup(struct scanner *scanner)
{
    if (looking_at(scanner, "<!--"))
        return scan_comment(scanner);
    if (looking_at(scanner, "<![CDATA[") && scanner->depth > 0) {
        scanner->at += strlen("<![CDATA[");
        return count_node(scanner) && scan_to(scanner, "]]>", "a CDATA section");
    }
    if (looking_at(scanner, "<!DOCTYPE"))
        return scan_fail(scanner, XML_SCAN_DOCTYPE, "a document type declaration");
    if (looking_at(scanner, "<!"))
        return scan_fail(scanner, XML_SCAN_FORM, "'<!' begins nothing that is allowed here");
    if (looking_at(scanner, "<?"))
        return scan_instruction(scanner);
    if (looking_at(scanner, "</"))
        return scan_end_tag(scanner);
    return scan_start_tag(scanner);
}

static bool scan_content(struct scanner *scanner)
{
    while (scanner->at < scanner->size) {
        if (!(peek(scanner, 0) == '<' ? scan_markup(scanner) : scan_text(scanner)))
            return false;
    }
    if (scanner->depth > 0 || !scanner->root_seen)
        return scan_fail(scanner, XML_SCAN_FORM, "the document is cut off");
    return true;
}

/* The declaration */

/* Reads: S? name S? = S? "value"; a pseudo-attribute that is not `name` leaves the scanner alone.
 */
static bool pseudo_attribute(struct scanner *scanner, const char *name, const char **ret_value,
                             size_t *ret_size)
{
    struct scanner ahead = *scanner;

    if (!skip_space(&ahead) || !looking_at(&ahead, name))
        return false;
    ahead.at += strlen(name);
    skip_space(&ahead);
    if (peek(&ahead, 0) != '=')
        return false;
    ahead.at++;
    skip_space(&ahead);
    char quote = peek(&ahead, 0);
    if (quote != '"' && quote != '\'')
        return false;
    const char *value = ahead.text + ahead.at + 1;
    const char *end = memchr(value, quote, ahead.size - ahead.at - 1);
    if (!end)
        return false;
    *ret_value = value;
    *ret_size = (size_t)(end - value);
    scanner->at = (size_t)(end - scanner->text) + 1;
    return true;
}

static bool value_is(const char *value, size_t size, const char *wanted)
{
    return size == strlen(wanted) && strncasecmp(value, wanted, size) == 0;
}

/* Reads the declaration if there is one; *ret_encoding is "" if it names none. */
static bool scan_declaration(struct scanner *scanner, char ret_encoding[24])
{
    const char *value;
    size_t size;

    ret_encoding[0] = '\0';
    if (!looking_at(scanner, "<?xml") || !is_space(peek(scanner, 5)))
        return true;
    scanner->at += strlen("<?xml");
    if (!pseudo_attribute(scanner, "version", &value, &size))
        return scan_fail(scanner, XML_SCAN_VERSION, "the XML declaration has no version");
    if (size != 3 || memcmp(value, "1.0", 3) != 0)
        return scan_fail(scanner, XML_SCAN_VERSION, "the version of XML is not 1.0");
    if (pseudo_attribute(scanner, "encoding", &value, &size)) {
        if (size == 0 || size >= 24)
            return scan_fail(scanner, XML_SCAN_ENCODING, "an unknown encoding is declared");
        for (size_t i = 0; i < size; i++)
            ret_encoding[i] =
                value[i] >= 'a' && value[i] <= 'z' ? (char)(value[i] - 'a' + 'A') : value[i];
        ret_encoding[size] = '\0';
    }
    if (pseudo_attribute(scanner, "standalone", &value, &size) &&
        !(size == 3 && memcmp(value, "yes", 3) == 0) && !(size == 2 && memcmp(value, "no", 2) == 0))
        return scan_fail(scanner, XML_SCAN_FORM, "standalone is neither yes nor no");
    skip_space(scanner);
    if (!looking_at(scanner, "?>") || scanner->at > XML_DECLARATION_MAX)
        return scan_fail(scanner, XML_SCAN_FORM, "the XML declaration is malformed");
    scanner->at += 2;
    return true;
}

static bool other_charset(struct scanner *scanner, const char *charset)
{
    snprintf(scanner->scan->charset, sizeof scanner->scan->charset, "%s", charset);
    return scan_fail(scanner, XML_SCAN_OTHER_CHARSET, "the encoding is %s", charset);
}

/* XML 1.0 4.3.3: what is declared must be what the bytes are. */
static bool judge_encoding(struct scanner *scanner, enum xml_family family, size_t mark_size,
                           const char *declared)
{
    bool utf16 = family == XML_FAMILY_UTF16_LE || family == XML_FAMILY_UTF16_BE;

    if (utf16 && mark_size == 0)
        return scan_fail(scanner, XML_SCAN_ENCODING, "UTF-16 without byte order mark");
    if (!declared[0] || value_is(declared, strlen(declared), utf16 ? "UTF-16" : "UTF-8"))
        return true;
    if (!utf16 && mark_size == 0 && xml_charset_known(declared))
        return other_charset(scanner, declared);
    return scan_fail(scanner, XML_SCAN_ENCODING,
                     "encoding \"%s\" is declared, but the bytes are %s", declared,
                     utf16 ? "UTF-16" : "not that, or it is not known here");
}

static bool scan_utf8(struct scanner *scanner, enum xml_family family, size_t mark_size)
{
    char declared[24];

    /* The declaration is ASCII, so it can be read before the octets are checked. */
    if (!scan_declaration(scanner, declared) ||
        !judge_encoding(scanner, family, mark_size, declared))
        return false;
    size_t content = scanner->at;
    scanner->at = xml_utf8_check(bytes_of(scanner->text, scanner->size));
    if (scanner->at < scanner->size)
        return scan_fail(scanner, XML_SCAN_ENCODING,
                         "octets that are not UTF-8 for a character XML 1.0 allows");
    scanner->at = content;
    return scan_content(scanner);
}

static void scan_size(struct xml_scan *scan, size_t size)
{
    scan->result = XML_SCAN_SIZE;
    snprintf(scan->text, sizeof scan->text, "the document has %zu bytes; 1 to %d are accepted",
             size, XML_DOCUMENT_MAX);
}

int xml_scan(struct bytes document, struct xml_scan *ret_scan, struct buffer *converted,
             struct bytes *ret_utf8)
{
    struct xml_scan scan = {0};
    size_t mark_size = 0;

    buffer_init(converted, XML_DOCUMENT_MAX);
    if (document.size == 0 || document.size > XML_DOCUMENT_MAX) {
        scan_size(&scan, document.size);
        *ret_scan = scan;
        return 0;
    }
    enum xml_family family = xml_family_of(document, &mark_size);
    struct bytes text = bytes_of(document.data + mark_size, document.size - mark_size);
    struct scanner scanner = {.scan = &scan};
    if (family == XML_FAMILY_UTF16_LE || family == XML_FAMILY_UTF16_BE) {
        int r = xml_utf16_convert(text, family == XML_FAMILY_UTF16_BE, converted);
        if (r == -ENOMEM)
            return r;
        if (r == -EMSGSIZE)
            scan_size(&scan, document.size);
        else if (r < 0)
            scan_fail(&scanner, XML_SCAN_ENCODING, "an unpaired surrogate or half a character");
        text = bytes_of(converted->data, converted->size);
    } else if (family == XML_FAMILY_UTF32_LE || family == XML_FAMILY_UTF32_BE) {
        other_charset(&scanner, family == XML_FAMILY_UTF32_BE ? "UTF-32BE" : "UTF-32LE");
    }
    scanner.text = (const char *)text.data;
    scanner.size = text.size;
    if (scan.result == XML_SCAN_GOOD && scan_utf8(&scanner, family, mark_size))
        *ret_utf8 = text;
    *ret_scan = scan;
    return 0;
}

void xml_scan_converted(struct bytes utf8, const char *charset, struct xml_scan *ret_scan)
{
    struct xml_scan scan = {0};
    struct scanner scanner = {.scan = &scan, .text = (const char *)utf8.data, .size = utf8.size};
    char declared[24];

    if (xml_utf8_check(utf8) < utf8.size)
        scan_fail(&scanner, XML_SCAN_ENCODING, "characters that XML 1.0 does not allow");
    else if (scan_declaration(&scanner, declared)) {
        bool utf32 = strncmp(charset, "UTF-32", 6) == 0;
        if (utf32 ? declared[0] && strncmp(declared, "UTF-32", 6) != 0
                  : strcmp(declared, charset) != 0)
            scan_fail(&scanner, XML_SCAN_ENCODING, "encoding \"%s\" is declared", declared);
        else
            (void)scan_content(&scanner);
    }
    *ret_scan = scan;
}
