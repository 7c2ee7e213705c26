/*
 * kosekifs.conf: one key table gives the structs below, the defaults, the parser and the dump.
 * Each struct is the part of one process; it is flat, so that the supervisor can send it as it is.
 *
 * A key is X(type, name, member size or 0, default text, least, most, help). Types: TEXT, LIST
 * (several lines or values, space-separated), NUMBER (int64; K M G suffixes), MILLISECONDS (int64;
 * ms s m h suffixes), BOOL.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Section [mount]: kosekifs-mount. */
#define CONFIG_MOUNT(X)                                                                            \
    X(TEXT, state_directory, 256, "/var/lib/kosekifs", 1, 255,                                     \
      "directory of the store and the audit trail; ext4 or xfs")                                   \
    X(TEXT, control_socket, 104, "/run/kosekifs/control.sock", 1, 103,                             \
      "socket for kosekictl; created by the supervisor")                                           \
    X(TEXT, control_group, 64, "", 0, 63, "group that may use the control socket besides root")    \
    X(TEXT, access_policy, 256, "/etc/kosekifs/access.conf", 1, 255,                               \
      "file that says who may read which certificate")                                             \
    X(TEXT, id_pattern, 128, "*", 1, 127, "glob that request ids must match besides the grammar")  \
    X(MILLISECONDS, lookup_timeout, 0, "2s", 10, 60000,                                            \
      "deadline of a look-up at the link system")                                                  \
    X(MILLISECONDS, open_timeout, 0, "60s", 100, 3600000, "deadline of an open that fetches")      \
    X(MILLISECONDS, ready_timeout, 0, "10m", 1000, 3600000,                                        \
      "how long a certificate is asked for while the link system prepares it")                     \
    X(MILLISECONDS, verify_timeout, 0, "10s", 100, 600000, "deadline of one verification")         \
    X(MILLISECONDS, silence_max, 0, "30s", 500, 3600000,                                           \
      "a process of kosekifs that does not answer the supervisor for so long is replaced")         \
    X(MILLISECONDS, entry_timeout, 0, "1s", 0, 60000,                                              \
      "how long names and attributes count, of stored certificates in the kernel, of others here") \
    X(MILLISECONDS, negative_timeout, 0, "5s", 0, 600000,                                          \
      "how long an answer 404 or 410 of the link system is remembered")                            \
    X(NUMBER, body_max, 0, "32M", 1024, 1073741824, "largest certificate in bytes")                \
    X(NUMBER, waiters_max, 0, "20000", 1, 1000000, "requests that may wait at one time")           \
    X(NUMBER, waiters_share, 0, "75", 1, 100, "per cent of them that one user may take")           \
    X(NUMBER, fetches_max, 0, "8", 1, 64, "certificates fetched at one time")                      \
    X(NUMBER, partials_max, 0, "1G", 0, 17592186044416,                                            \
      "bytes kept of bodies that are still on their way; 0 = none")                                \
    X(MILLISECONDS, partial_timeout, 0, "24h", 1000, 2592000000,                                   \
      "after this time without another byte they are erased")                                      \
    X(MILLISECONDS, line_window, 0, "30s", 1000, 3600000,                                          \
      "time over which the line to the link system is measured")                                   \
    X(NUMBER, fuse_threads, 0, "4", 1, 64, "threads that answer the kernel")                       \
    X(NUMBER, verify_workers, 0, "2", 1, 16, "processes that verify")                              \
    X(NUMBER, verify_documents, 0, "1000", 1, 1000000000,                                          \
      "a verifying process is replaced after so many documents, and after each it did not pass")   \
    X(NUMBER, map_size, 0, "64G", 16777216, 17592186044416,                                        \
      "address space of the store, set once")                                                      \
    X(NUMBER, quota, 0, "0", 0, 17592186044416,                                                    \
      "bytes of certificates kept; 0 = as the disk allows")

enum { CONFIG_LINK_URLS_MAX = 8 };

/* Section [link]: kosekifs-link. */
#define CONFIG_LINK(X)                                                                             \
    X(LIST, url, 4096, "", 1, 4095,                                                                \
      "addresses of a certificate in order of preference; {name} stands for <id>.pdf or .xml")     \
    X(TEXT, profile, 256, "", 0, 255, "link profile, a file; empty = docs/link-protocol.md")       \
    X(TEXT, ca_file, 256, "", 0, 255, "PEM: issuers of the link system's server certificate")      \
    X(TEXT, certificate_file, 256, "", 0, 255, "PEM: our TLS client certificate and its issuers")  \
    X(TEXT, server_pin, 128, "", 0, 127,                                                           \
      "sha256//BASE64 of the link system's public key; empty = any that the CA vouches for")       \
    X(TEXT, tls_min, 8, "1.3", 3, 3, "least TLS version: 1.2 or 1.3")                              \
    X(TEXT, http, 4, "1.1", 1, 3, "HTTP version: 1.1, or 2 where the server offers it")            \
    X(TEXT, address_family, 4, "any", 1, 3, "any, 4 or 6")                                         \
    X(TEXT, interface, 16, "", 0, 15, "network interface to leave by; empty = as routed")          \
    X(TEXT, source_address, 46, "", 0, 45, "address to leave from; empty = as routed")             \
    X(LIST, resolve, 2048, "", 0, 2047,                                                            \
      "HOST=ADDRESS[,ADDRESS]: names that are not asked for elsewhere")                            \
    X(LIST, crl_hosts, 1024, "", 0, 1023,                                                          \
      "HOST or HOST:PORT from which revocation lists may be fetched by http")                      \
    X(MILLISECONDS, connect_timeout, 0, "5s", 10, 120000, "deadline of connect and TLS handshake") \
    X(NUMBER, low_speed_bytes, 0, "1K", 1, 1073741824, "a transfer slower than this many bytes/s") \
    X(MILLISECONDS, low_speed_time, 0, "10s", 1000, 600000, "… for this long is cut and resumed")  \
    X(NUMBER, connections_max, 0, "8", 1, 64, "connections kept for bodies")                       \
    X(NUMBER, resume_max, 0, "100", 0, 10000, "how often one transfer is resumed at most")         \
    X(NUMBER, breaker_failures, 0, "8", 0, 1000,                                                   \
      "failures in a row after which an address is left alone; 0 = never")                         \
    X(MILLISECONDS, breaker_time, 0, "5s", 100, 3600000, "… for this long, then tried by one")     \
    X(NUMBER, requests_per_second, 0, "0", 0, 100000, "requests sent in a second; 0 = no limit")   \
    X(NUMBER, bytes_per_second, 0, "0", 0, 17179869184,                                            \
      "bytes of bodies received in a second; 0 = no limit")

/* Section [keys]: kosekifs-keys. Where secrets come from: base/key_source.h. */
#define CONFIG_KEYS(X)                                                                             \
    X(TEXT, master_key, 512, "", 1, 511,                                                           \
      "what wraps the data keys: FILE or credential:NAME of 32 bytes, or pkcs11:URI")              \
    X(LIST, previous_master_keys, 2048, "", 0, 2047,                                               \
      "master keys that wrapped before and still unwrap, three at most, in the same form")         \
    X(TEXT, tls_key, 512, "", 0, 511,                                                              \
      "private key of [link] certificate_file: FILE or credential:NAME, PKCS#8, or pkcs11:URI")    \
    X(TEXT, pkcs11_module, 256, "", 0, 255, "PKCS#11 module of the token, a shared library")       \
    X(TEXT, pin, 512, "", 0, 511, "FILE or credential:NAME with the token's PIN and nothing else") \
    X(LIST, pkcs11_environment, 1024, "", 0, 1023, "NAME=VALUE that the module wants to find")     \
    X(LIST, pkcs11_paths, 2048, "", 0, 2047,                                                       \
      "files, directories and sockets that the module may use, for reading and writing")           \
    X(NUMBER, signatures_per_second, 0, "200", 1, 100000, "TLS handshakes signed in the long run") \
    X(NUMBER, signatures_burst, 0, "400", 1, 1000000, "TLS handshakes signed at once at most")

/* Section [trust]: what makes a signer the Minister; becomes the trust bundle. */
#define CONFIG_TRUST(X)                                                                            \
    X(LIST, anchors, 4096, "", 1, 4095, "PEM or DER files, or directories of them, with anchors")  \
    X(LIST, crls, 4096, "", 0, 4095, "PEM or DER files, or directories of them, with CRLs")        \
    X(TEXT, signer_dn, 512, "", 1, 511, "subject of the signer's certificate, RFC 4514")           \
    X(LIST, signer_pins, 4096, "", 0, 4095,                                                        \
      "SHA-256 of the signer's certificates, in hexadecimal; empty = any of that subject")         \
    X(LIST, signer_policies, 1024, "", 0, 1023,                                                    \
      "certificate policies (1.2.3…), one of which must hold for the path; empty = any")           \
    X(MILLISECONDS, crl_grace, 0, "0", 0, 2592000000,                                              \
      "how long after nextUpdate a revocation list still counts")                                  \
    X(MILLISECONDS, crl_max_age, 0, "0", 0, 31536000000,                                           \
      "… and how long after thisUpdate at most; 0 = nextUpdate alone decides")                     \
    X(LIST, policy, 4096, "", 0, 4095, "NAME=LEVEL for prudence checks: fail, warn or ignore")     \
    X(TEXT, schema_directory, 256, "/var/lib/kosekifs-schema", 0, 255,                             \
      "schemas for XML, managed by kosekictl schema; empty = none")

/* Section [crl]: revocation lists that are fetched, kosekifs-mount. */
#define CONFIG_CRL(X)                                                                              \
    X(LIST, urls, 2048, "", 0, 2047,                                                               \
      "http addresses of revocation lists, besides those that certificates name")                  \
    X(MILLISECONDS, refresh, 0, "1h", 1000, 604800000, "how often they are fetched at least")      \
    X(MILLISECONDS, timeout, 0, "60s", 1000, 600000, "deadline of one fetch")                      \
    X(TEXT, clock, 8, "warn", 4, 6, "when the clock is not synchronised or behind: warn, refuse")

/* Section [audit]: the audit trail, kosekifs-mount. */
#define CONFIG_AUDIT(X)                                                                            \
    X(TEXT, sync, 8, "written", 4, 7,                                                              \
      "when a record counts as kept: written (synced soon after), group or each (synced before)")  \
    X(MILLISECONDS, sync_within, 0, "50ms", 1, 10000, "with written: how soon records are synced") \
    X(NUMBER, file_size, 0, "64M", 65536, 4294967296,                                              \
      "size at which a new file of the trail begins")                                              \
    X(NUMBER, checkpoint_records, 0, "10000", 1, 1000000000, "a signed checkpoint every so many")  \
    X(MILLISECONDS, checkpoint_time, 0, "10m", 1000, 604800000, "… and after this time at latest") \
    X(TEXT, syslog, 104, "", 0, 103, "socket of a syslog daemon, such as /dev/log; empty = none")  \
    X(TEXT, journald, 104, "", 0, 103,                                                             \
      "socket of journald, /run/systemd/journal/socket; empty = none")

/* Section [alerts]: when somebody should look, kosekifs-mount; `hook` is the supervisor's. */
#define CONFIG_ALERTS(X)                                                                           \
    X(TEXT, hook, 256, "", 0, 255,                                                                 \
      "program that the supervisor runs for each alert; empty = none")                             \
    X(MILLISECONDS, window, 0, "10m", 1000, 86400000, "time in which the following are counted")   \
    X(NUMBER, denials, 0, "20", 1, 1000000, "refusals to one user that are a burst")               \
    X(NUMBER, enumeration, 0, "30", 1, 1000, "different ids not for one user that are a search")   \
    X(NUMBER, opens, 0, "1000", 1, 1000000000, "opens by one user that are unusually many")        \
    X(NUMBER, verification, 0, "5", 1, 1000000, "failed verifications that are a disturbance")     \
    X(BOOL, root, 0, "yes", 0, 0, "an open by uid 0 is an alert")                                  \
    X(NUMBER, throughput, 0, "0", 0, 17179869184,                                                  \
      "bytes/s that the line to the link system shall have when in use; 0 = not watched")          \
    X(MILLISECONDS, queueing, 0, "0", 0, 3600000,                                                  \
      "time that fetches may wait for a place at it on average; 0 = not watched")                  \
    X(MILLISECONDS, quiet, 0, "1h", 1000, 604800000, "the same alert is told once in this time")   \
    X(NUMBER, told_max, 0, "60", 1, 100000, "alerts told in an hour at most")                      \
    X(MILLISECONDS, certificate, 0, "2160h", 0, 31536000000,                                       \
      "our TLS client certificate ends within this time")

/* Sections [retention], [backup] and [replica]: what is kept, how long, and where else. */
#define CONFIG_RETENTION(X)                                                                        \
    X(MILLISECONDS, keep, 0, "0", 0, 3155760000000,                                                \
      "how long a certificate is kept where no affair says keep_days; 0 = without end")            \
    X(MILLISECONDS, look, 0, "10m", 100, 86400000, "how often all is looked through for that")     \
    X(MILLISECONDS, evict_unused, 0, "0", 0, 3155760000000,                                        \
      "what nobody opened for so long may make room for others; 0 = nothing may")                  \
    X(NUMBER, high_water, 0, "90", 1, 100, "per cent of [mount] quota above which room is made")   \
    X(NUMBER, low_water, 0, "80", 1, 100, "... until this is reached")                             \
    X(NUMBER, headroom, 0, "64M", 2097152, 17592186044416,                                         \
      "bytes of the disk that certificates leave free; when twice as much is left, an alert")
#define CONFIG_BACKUP(X)                                                                           \
    X(TEXT, ledger, 256, "", 0, 255,                                                               \
      "directory on another disk with the keys that backups need; empty = no backups")
#define CONFIG_REPLICA(X)                                                                          \
    X(TEXT, path, 256, "", 0, 255, "directory on another disk that follows the store; empty = none")
/* Section [waivers]: what the standard asks for and allows to be left out within one machine room.
 * The value is the reason; it is shown in the status and recorded at each start. */
#define CONFIG_WAIVERS(X)                                                                          \
    X(TEXT, link_authentication, 256, "", 0, 255,                                                  \
      "why the link system does not know us by a TLS client certificate")                          \
    X(TEXT, link_encryption, 256, "", 0, 255,                                                      \
      "why http:// is used; neither side is known to the other then")

/* Section [scan]: malware, before a certificate is stored; kosekifs-mount. */
#define CONFIG_SCAN(X)                                                                             \
    X(TEXT, clamd, 104, "", 0, 103,                                                                \
      "socket of clamd, such as /run/clamav/clamd.ctl; empty = none")                              \
    X(TEXT, when_down, 8, "refuse", 6, 6,                                                          \
      "when clamd does not answer: refuse, or accept and scan when it is back")                    \
    X(MILLISECONDS, timeout, 0, "30s", 100, 600000, "deadline of one scan")

/* Section [inventory]: whether what runs here is what was approved; the supervisor, kosekictl. */
#define CONFIG_INVENTORY(X)                                                                        \
    X(TEXT, file, 256, "", 0, 255,                                                                 \
      "where kosekictl inventory keeps it; empty = nothing is checked")                            \
    X(MILLISECONDS, every, 0, "1h", 1000, 2592000000, "how often it is checked while mounted")     \
    X(TEXT, on_difference, 8, "alert", 5, 6, "alert, or refuse: then also no start")

/* Section [users]: whom each process becomes when the supervisor runs as root. */
#define CONFIG_USERS(X)                                                                            \
    X(TEXT, mount, 64, "kosekifs-mount", 1, 63, "user name or number of kosekifs-mount")           \
    X(TEXT, link, 64, "kosekifs-link", 1, 63, "user name or number of kosekifs-link")              \
    X(TEXT, verify, 64, "kosekifs-verify", 1, 63, "user name or number of kosekifs-verify")        \
    X(TEXT, keys, 64, "kosekifs-keys", 1, 63, "user name or number of kosekifs-keys")              \
    X(TEXT, schema, 64, "kosekifs-schema", 1, 63, "user name or number of the XSD 1.1 processes")

/* Section [sandbox]: every process; base/confine.h. */
#define CONFIG_SANDBOX(X)                                                                          \
    X(TEXT, level, 8, "best", 4, 4,                                                                \
      "best: as far as this kernel can; full: do not start where Landlock lacks something")        \
    X(NUMBER, landlock_abi_max, 0, "1000", 0, 1000,                                                \
      "highest version of Landlock used; a lower one is how an older kernel behaves, 0 = none")    \
    X(NUMBER, verify_memory, 0, "2G", 134217728, 17179869184,                                      \
      "address space of a verifying process; documents of body_max bytes must fit")

#define CONFIG_MEMBER_TEXT(name, size) char name[size];
#define CONFIG_MEMBER_LIST(name, size) char name[size]; /* values separated by single spaces */
#define CONFIG_MEMBER_NUMBER(name, size) int64_t name;
#define CONFIG_MEMBER_MILLISECONDS(name, size) int64_t name;
#define CONFIG_MEMBER_BOOL(name, size) bool name;
#define CONFIG_MEMBER(type, name, size, text, least, most, help) CONFIG_MEMBER_##type(name, size)

struct config_mount {
    CONFIG_MOUNT(CONFIG_MEMBER)
};
struct config_link {
    CONFIG_LINK(CONFIG_MEMBER)
};
struct config_keys {
    CONFIG_KEYS(CONFIG_MEMBER)
};
struct config_trust {
    CONFIG_TRUST(CONFIG_MEMBER)
};
struct config_crl {
    CONFIG_CRL(CONFIG_MEMBER)
};
struct config_audit {
    CONFIG_AUDIT(CONFIG_MEMBER)
};
struct config_alerts {
    CONFIG_ALERTS(CONFIG_MEMBER)
};
struct config_retention {
    CONFIG_RETENTION(CONFIG_MEMBER)
};
struct config_backup {
    CONFIG_BACKUP(CONFIG_MEMBER)
};
struct config_replica {
    CONFIG_REPLICA(CONFIG_MEMBER)
};
struct config_waivers {
    CONFIG_WAIVERS(CONFIG_MEMBER)
};
struct config_scan {
    CONFIG_SCAN(CONFIG_MEMBER)
};
struct config_inventory {
    CONFIG_INVENTORY(CONFIG_MEMBER)
};
struct config_users {
    CONFIG_USERS(CONFIG_MEMBER)
};
struct config_sandbox {
    CONFIG_SANDBOX(CONFIG_MEMBER)
};

struct config {
    struct config_mount mount;
    struct config_link link;
    struct config_keys keys;
    struct config_trust trust;
    struct config_crl crl;
    struct config_audit audit;
    struct config_alerts alerts;
    struct config_retention retention;
    struct config_backup backup;
    struct config_replica replica;
    struct config_waivers waivers;
    struct config_scan scan;
    struct config_inventory inventory;
    struct config_users users;
    struct config_sandbox sandbox;
};

/* Told each mistake as "FILE:LINE: text" (line 0: the file as a whole). */
typedef void config_report(void *context, const char *file, int line, const char *text);

/*
 * Reads the file over the defaults. Every mistake is reported, not only the first: unknown section
 * or key, repeated key, value of wrong form or range, required value missing. Returns 0, -EINVAL
 * after at least one report, or another negative errno if the file cannot be read (reported too).
 */
_must_use_ int config_read(const char *path, config_report *report, void *context,
                           struct config *ret_config);

/* Writes the configuration as a file that config_read() reads back to the same values. */
void config_dump(const struct config *config, FILE *out);

/* The next value of a LIST; start with *cursor = list. False at the end. Too long values were
 * refused when read. */
bool config_list_next(const char **cursor, char *out, size_t out_size);

#endif
