/* The dossier of an incident as one self-contained page of HTML, in Japanese and English, that
 * prints on A4. Times are Japan Standard Time. */
#ifndef TOOLS_INCIDENT_PAGE_H
#define TOOLS_INCIDENT_PAGE_H

#include <stdio.h>

struct json;

/* What of the dossier is text is written as text, whatever it holds. Errors stand in ferror(out).
 */
void incident_page_write(const struct json *dossier, FILE *out);

#endif
