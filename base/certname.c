/* The grammar of certificate names, spelled out: locale and ctype.h have no say in it. */
#include "base/certname.h"

#include <string.h>

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool certname_parse(const char *text, struct certname *ret_name)
{
    size_t id_size = 0;
    while (id_size <= REQUEST_ID_MAX &&
           (is_alphanumeric(text[id_size]) ||
            (id_size > 0 && (text[id_size] == '_' || text[id_size] == '-'))))
        id_size++;
    if (id_size == 0 || id_size > REQUEST_ID_MAX)
        return false;
    if (strcmp(text + id_size, ".pdf") != 0 && strcmp(text + id_size, ".xml") != 0)
        return false;

    struct certname name = {.text = ""};
    memcpy(name.text, text, id_size + 4);
    *ret_name = name;
    return true;
}

bool certname_valid(const struct certname *name)
{
    struct certname parsed;
    return memchr(name->text, '\0', sizeof name->text) != NULL &&
           certname_parse(name->text, &parsed) &&
           memcmp(parsed.text, name->text, sizeof parsed.text) == 0;
}

enum certformat certname_format(const struct certname *name)
{
    return name->text[certname_id_size(name) + 1] == 'p' ? CERTFORMAT_PDF : CERTFORMAT_XML;
}

size_t certname_id_size(const struct certname *name)
{
    return strlen(name->text) - 4;
}
