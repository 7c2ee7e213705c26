/*
 * inih asks for lines through a reader of ours, which sees every line before inih does: it counts
 * them, refuses those that inih would split at its buffer's size, and hands an empty line over in
 * their place.
 */
#include "base/inifile.h"

#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

struct source {
    const char *path;
    char *text;
    size_t size;
    size_t offset;
    int line;
    bool mistaken;
    inifile_entry *entry;
    void *entry_context;
    inifile_report *report;
    void *report_context;
};

_printf_(3, 4) static void mistake(struct source *source, int line, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    source->report(source->report_context, source->path, line, text);
    source->mistaken = true;
}

static int read_whole(const char *path, char **ret_text, size_t *ret_size)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    _cleanup_free_ char *text = malloc(INIFILE_SIZE_MAX + 1);
    if (!text)
        return -ENOMEM;
    size_t size = 0;
    while (size <= INIFILE_SIZE_MAX) {
        ssize_t got = read(fd, text + size, INIFILE_SIZE_MAX + 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    if (size > INIFILE_SIZE_MAX)
        return -EFBIG;
    *ret_text = steal_ptr(&text);
    *ret_size = size;
    return 0;
}

/* The heading's text is between the first character and `end`; inih takes "[a" for no heading and
 * cuts long names. */
static const char *heading_mistake(const char *start, const char *end)
{
    const char *close = memchr(start, ']', (size_t)(end - start));
    if (!close)
        return "heading without ]";
    if (close - start - 1 > INIFILE_NAME_MAX)
        return "name of the section is too long";
    for (const char *rest = close + 1; rest < end; rest++) {
        if (*rest != ' ' && *rest != '\t')
            return "text behind the heading";
    }
    return NULL;
}

/* NULL if inih may see the line. */
static const char *line_mistake(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "control character in the line";
    }
    if (size > INIFILE_LINE_MAX)
        return "line is too long";

    const char *end = line + size;
    const char *start = line;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    if (start == end || *start == ';' || *start == '#')
        return NULL;
    if (start == line && *start == '[')
        return heading_mistake(start, end);
    if (start > line)
        return *start == '[' ? "heading is indented" : NULL; /* a continuation needs no = */
    const char *equals = memchr(start, '=', (size_t)(end - start));
    if (!equals)
        return "neither [section] nor key = value nor comment";
    if (memchr(start, ':', (size_t)(equals - start)))
        return "key with a colon in it"; /* inih would split there */
    if (equals == start)
        return "value without a key";
    if (equals - start > INIFILE_NAME_MAX)
        return "name of the key is too long";
    return NULL;
}

/* fgets(3) for inih. */
static char *read_line(char *out, int out_size, void *context)
{
    struct source *source = context;
    if (source->offset == source->size)
        return NULL;
    const char *line = source->text + source->offset;
    size_t left = source->size - source->offset;
    const char *feed = memchr(line, '\n', left);
    size_t size = feed ? (size_t)(feed - line) : left;
    source->offset += feed ? size + 1 : size;
    source->line++;

    if (size > 0 && line[size - 1] == '\r')
        size--;
    const char *text = line_mistake(line, size);
    if (!text && size + 2 > (size_t)out_size)
        text = "line is too long";
    if (text) {
        mistake(source, source->line, "%s", text);
        size = 0;
    }
    memcpy(out, line, size);
    out[size] = '\n';
    out[size + 1] = '\0';
    return out;
}

static int take_entry(void *context, const char *section, const char *key, const char *value)
{
    struct source *source = context;
    source->entry(source->entry_context, source->line, section, key, value);
    return 1;
}

int inifile_read(const char *path, inifile_entry *entry, void *entry_context,
                 inifile_report *report, void *report_context)
{
    _cleanup_free_ char *text = NULL;
    struct source source = {.path = path,
                            .entry = entry,
                            .entry_context = entry_context,
                            .report = report,
                            .report_context = report_context};
    int r = read_whole(path, &text, &source.size);
    if (r < 0) {
        mistake(&source, 0, "cannot be read: %s", strerror(-r));
        return r;
    }
    source.text = text;
    if (source.size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        source.offset = 3; /* a byte order mark, as some editors write */

    /* Without these inih keeps lines in 200 bytes and cuts values at " ;", as an RFC 4514 name may
     * contain it. */
    ini_use_stack = false;
    ini_max_line = INIFILE_LINE_MAX + 3;
    ini_initial_alloc = INIFILE_LINE_MAX + 3;
    ini_allow_inline_comments = false;
    int line = ini_parse_stream(read_line, &source, take_entry, &source);
    if (line == -2) {
        mistake(&source, 0, "cannot be read: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    if (line != 0 && !source.mistaken)
        mistake(&source, line > 0 ? line : 0, "line is not understood");
    return source.mistaken ? -EINVAL : 0;
}
