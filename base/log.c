/* One line, one write(2): lines of several processes on one pipe do not mix. */
#include "base/log.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <sys/stat.h>

enum { LINE_MAX_SIZE = 2048 };

static struct {
    const char *program;
    enum log_level level;
    bool journal;
} settings = {.program = "kosekifs", .level = LOG_LEVEL_INFO};

/* systemd.exec(5): JOURNAL_STREAM names device and inode of the stream; only if standard error
 * still is that stream does somebody interpret the prefix. */
bool log_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (!stream || fstat(STDERR_FILENO, &status) < 0)
        return false;
    char actual[64];
    snprintf(actual, sizeof actual, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, actual) == 0;
}

void log_init(const char *program, enum log_level level)
{
    settings.program = program;
    settings.level = level;
    settings.journal = log_is_journal();
}

static bool is_printable(unsigned char c, unsigned char previous)
{
    if (c < 0x20 || c == 0x7f || c == '\\')
        return false;
    /* U+0080 to U+009F, the second set of control characters, as UTF-8. */
    return !(previous == 0xc2 && c >= 0x80 && c < 0xa0);
}

/* What cannot be shown becomes \xNN, so that text from outside can neither start a line of its own
 * nor speak to a terminal. Stops at `out_size`. */
static size_t append_escaped(char *out, size_t size, size_t out_size, const char *text)
{
    unsigned char previous = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool printable = is_printable(c, previous);
        if (size + (printable ? 1 : 4) > out_size)
            break;
        if (printable)
            out[size++] = *text;
        else
            size += (size_t)snprintf(out + size, 5, "\\x%02x", c);
        previous = c;
    }
    return size;
}

void log_write(enum log_level level, const char *format, ...)
{
    static const char *const prefixes[] = {"<3>", "<4>", "<6>", "<7>"};
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    if (level > settings.level)
        return;

    int saved_errno = errno;
    char text[LINE_MAX_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        snprintf(text, sizeof text, "(a message that cannot be formatted)");
    va_end(arguments);

    /* Room for the last escape's NUL and for the line feed is kept back. */
    char line[LINE_MAX_SIZE + 2];
    size_t size =
        (size_t)snprintf(line, sizeof line, "%s%.64s: %s", settings.journal ? prefixes[level] : "",
                         settings.program, settings.journal ? "" : words[level]);
    size = append_escaped(line, size, LINE_MAX_SIZE, text);
    line[size++] = '\n';
    ssize_t written;
    do
        written = write(STDERR_FILENO, line, size);
    while (written < 0 && errno == EINTR);
    errno = saved_errno;
}
