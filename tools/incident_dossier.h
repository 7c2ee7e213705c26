/*
 * The dossier of an incident: what the audit trail, the incident's file and the running daemon say,
 * as one JSON object, from which the page is made (incident_page.h). Members: "dossier", "made_at",
 * "version", "incident", "trail", "figures", "reads", "refusals", "failures", "timeline",
 * "services".
 */
#ifndef TOOLS_INCIDENT_DOSSIER_H
#define TOOLS_INCIDENT_DOSSIER_H

#include "tools/trail_files.h"

enum {
    DOSSIER_ROWS_MAX = 1000000,
    DOSSIER_TIMELINE_MAX = 20000,
    DOSSIER_FAULTS_MAX = 100,
    DOSSIER_USERS_MAX = 64, /* that an incident is about; the same of names */
};

struct json;

/* `incident` as incident_read() gave it; `status` of the daemon, or NULL with `no_status` saying
 * why. The caller frees. 0, or an exit status after a message. */
int dossier_make(const struct json *incident, const struct trail_files *files,
                 const struct json *status, const char *no_status, struct json **ret_dossier);

#endif
