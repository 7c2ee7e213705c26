/*
 * kosekictl: what operators type. `verify` and `audit` work on files, without a daemon; the rest
 * asks the running daemon over its control socket.
 */
#include "tools/kosekictl_anchors.h"
#include "tools/kosekictl_audit.h"
#include "tools/kosekictl_backup.h"
#include "tools/kosekictl_daemon.h"
#include "tools/kosekictl_incident.h"
#include "tools/kosekictl_fetch.h"
#include "tools/kosekictl_firewall.h"
#include "tools/kosekictl_inventory.h"
#include "tools/kosekictl_schema.h"
#include "tools/kosekictl_store.h"
#include "tools/kosekictl_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define DEFAULT_SOCKET "/run/kosekifs/control.sock"

static const char usage_text[] =
    "usage: kosekictl [--socket PATH] [--json] COMMAND ...\n"
    "  verify OPTIONS FILE ...          judge files without a daemon; verify --help\n"
    "  audit verify|show|export ...     read an audit trail; audit --help\n"
    "  incident open|note|report|close  a dossier for the Minister's office; incident --help\n"
    "  inventory record|check|show      whether what runs is what was approved\n"
    "  schema add|list|use|destroy ...  the Minister's schemas for XML; schema --help\n"
    "  status                           what the daemon is doing\n"
    "  list                             the certificates that are stored\n"
    "  why NAME                         why the last attempt at a certificate failed\n"
    "  fetch [--again] [--wait] ID... | --from FILE   fetch and verify now\n"
    "  firewall [nftables | systemd]    rules that let through what the link needs\n"
    "  link test [ADDRESS] [--name NAME]   try the link system step by step\n"
    "  access explain USER NAME         why a user may read a certificate, or not\n"
    "  grants | grant | revoke          rights to single certificates\n"
    "  scan NAME ... | --all            verify and scan for malware once more\n"
    "  revalidate [--apply] | --follow | --stop   verify everything stored once more, and compare\n"
    "  seal | unseal ID | seals         stop serving at once: all, an affair, a user, a name\n"
    "  purge NAME... --reason TEXT [--approver NAME]   destroy certificates for ever\n"
    "  hold | release NAME... --reason TEXT [--approver NAME]   legal hold\n"
    "  export NAME --to FILE --reason TEXT [--approver NAME]   hand a certificate over\n"
    "  fsck [--repair | --refetch]      look at everything that is stored\n"
    "  rotate-key --reason TEXT [--approver NAME] [--destroy-old]   a new master key\n"
    "  backup DIRECTORY [--full]        what is stored, encrypted, into a new file there\n"
    "  restore --from DIR --ledger DIR --to DIR [--number N]   a store out of backups\n"
    "  switch [--config FILE]           the replica becomes the store, when its disk is lost\n"
    "  erasures FILE [--key HEX]        check the signed record of erasures\n"
    "  pending | confirm ID             commands that wait for a second person\n"
    "  reload                           everything that the configuration says anew, as SIGHUP "
    "does\n"
    "  upgrade                          the same, and every process from the programs on the disk\n"
    "  trust show                       anchors and signers, until when, and what is known of "
    "them\n"
    "  trust check|add|remove ...       whether anchors would do; change them; trust check --help\n"
    "  crl show | crl refresh           revocation lists: state, age, source; fetch them now\n"
    "  crl import FILE                  hand over revocation lists from a file\n"
    "  alerts [list | ack ID]           what somebody should look at\n"
    "The socket is --socket, else $KOSEKICTL_SOCKET, else " DEFAULT_SOCKET ".\n"
    "Exit: 0 done; 1 refused or failed; 64 usage; 69 no daemon. verify: 0, 1, 2, 64, 66.\n"
    "link test: 0 well; 1 a step failed; 2 warnings.\n";

int main(int argc, char **argv)
{
    struct kosekictl_options options = {.socket = DEFAULT_SOCKET};
    const char *socket = getenv("KOSEKICTL_SOCKET");
    int first = 1;
    if (socket)
        options.socket = socket;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--json") == 0) {
            options.json = true;
        } else if (strcmp(argv[first], "--socket") == 0 && first + 1 < argc) {
            options.socket = argv[++first];
        } else if (strcmp(argv[first], "--help") == 0) {
            fputs(usage_text, stdout);
            return 0;
        } else if (strcmp(argv[first], "--version") == 0) {
            puts("kosekictl " KOSEKIFS_VERSION);
            return 0;
        } else {
            fputs(usage_text, stderr);
            return EX_USAGE;
        }
    }
    if (first == argc) {
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
    if (strcmp(argv[first], "verify") == 0)
        return kosekictl_verify(argc - first, argv + first);
    if (strcmp(argv[first], "audit") == 0)
        return kosekictl_audit(argc - first, argv + first);
    if (strcmp(argv[first], "switch") == 0)
        return kosekictl_switch(argc - first, argv + first);
    if (strcmp(argv[first], "restore") == 0)
        return kosekictl_restore(argc - first, argv + first);
    if (strcmp(argv[first], "erasures") == 0)
        return kosekictl_erasures(argc - first, argv + first);
    if (strcmp(argv[first], "inventory") == 0)
        return kosekictl_inventory(&options, argc - first, argv + first);
    if (strcmp(argv[first], "incident") == 0)
        return kosekictl_incident(&options, argc - first, argv + first);
    if (strcmp(argv[first], "fetch") == 0)
        return kosekictl_fetch(&options, argc - first, argv + first);
    if (strcmp(argv[first], "firewall") == 0)
        return kosekictl_firewall(argc - first, argv + first);
    if (strcmp(argv[first], "trust") == 0 && first + 1 < argc &&
        kosekictl_anchors_has(argv[first + 1]))
        return kosekictl_anchors(&options, argc - first, argv + first);
    if (strcmp(argv[first], "schema") == 0)
        return kosekictl_schema(&options, argc - first, argv + first);
    return kosekictl_daemon(&options, argc - first, argv + first);
}
