/*
 * The command line becomes a trust bundle, as the supervisor makes one of its configuration; every
 * file is then judged on its own. Which format a file has says its name, as under the mount.
 */
#include "tools/kosekictl_verify.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/trust.h"
#include "base/verdict_times.h"
#include "tools/kosekictl_trust.h"
#include "verify/schema_worker.h"
#include "verify/verify.h"
#include "verify/verify_message.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char usage_text[] =
    "usage: kosekictl verify [OPTION]... FILE...\n"
    "       kosekictl verify --explain\n"
    "  --trust PEM          file with trust anchors, PEM or DER; repeatable, at least one\n"
    "  --crl FILE|DIR       revocation list, PEM or DER, or a directory of them; repeatable\n"
    "  --signer DN          subject of the signer's certificate, RFC 4514\n"
    "  --signer-pin HEX     SHA-256 of an allowed signer's certificate; repeatable\n"
    "  --signer-policy OID  certificate policy that the path must have; repeatable\n"
    "  --schema XSD         schema for XML; repeatable\n"
    "  --time RFC3339       the time that counts; default: now\n"
    "  --received RFC3339   proof of existence: when the file was received; default: --time\n"
    "  --crl-grace SECONDS  how long after nextUpdate a revocation list still counts\n"
    "  --policy NAME=LEVEL  level of a policy check: fail, warn or ignore; repeatable\n"
    "  --times              three more lines a file: the verdict at signing, at receipt and now\n"
    "  --json               one JSON object a line\n"
    "  --explain            print the checks: name, basis, clause, meaning\n"
    "Without --crl revocation cannot be decided, unless --policy revocation=ignore.\n"
    "Exit: 0 all TOTAL-PASSED; 1 any TOTAL-FAILED; 2 none failed, some INDETERMINATE;\n"
    "64 usage; 66 unreadable input.\n";

static const char default_signer[] =
    "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP";

struct options {
    struct buffer bundle;
    bool has_signer, json, times, explain, help;
    int64_t time_s, received_s;
};

enum {
    OPTION_TRUST = 1,
    OPTION_CRL,
    OPTION_SIGNER,
    OPTION_SIGNER_PIN,
    OPTION_SIGNER_POLICY,
    OPTION_SCHEMA,
    OPTION_TIME,
    OPTION_RECEIVED,
    OPTION_CRL_GRACE,
    OPTION_POLICY,
    OPTION_TIMES,
    OPTION_JSON,
    OPTION_EXPLAIN,
    OPTION_HELP
};

static int add_text(struct options *options, enum trust_kind kind, const char *label,
                    const char *text)
{
    int r = trust_bundle_add(&options->bundle, kind, label, bytes_of(text, strlen(text)));

    if (r < 0)
        fprintf(stderr, "kosekictl: %s: %s\n", label, strerror(-r));
    return r < 0 ? EX_USAGE : 0;
}

static int take_time(const char *option, const char *value, int64_t *ret_time_s)
{
    if (rfc3339_parse(value, ret_time_s))
        return 0;
    fprintf(stderr, "kosekictl: %s %s: not a time such as 2026-01-31T12:00:00Z\n", option, value);
    return EX_USAGE;
}

static int take_option(struct options *options, int option, const char *value)
{
    char limit[64];

    switch (option) {
    case OPTION_TRUST:
        return kosekictl_trust_add(&options->bundle, TRUST_ANCHOR, value);
    case OPTION_CRL:
        return kosekictl_trust_add(&options->bundle, TRUST_CRL, value);
    case OPTION_SCHEMA:
        return kosekictl_trust_add(&options->bundle, TRUST_SCHEMA, value);
    case OPTION_SIGNER:
        options->has_signer = true;
        return add_text(options, TRUST_SIGNER_DN, "--signer", value);
    case OPTION_POLICY:
        return add_text(options, TRUST_POLICY, "--policy", value);
    case OPTION_SIGNER_PIN:
        return add_text(options, TRUST_SIGNER_PIN, "--signer-pin", value);
    case OPTION_SIGNER_POLICY:
        return add_text(options, TRUST_SIGNER_POLICY, "--signer-policy", value);
    case OPTION_TIME:
        return take_time("--time", value, &options->time_s);
    case OPTION_RECEIVED:
        return take_time("--received", value, &options->received_s);
    case OPTION_CRL_GRACE:
        snprintf(limit, sizeof limit, "crl-grace=%.32s", value);
        return add_text(options, TRUST_LIMIT, "--crl-grace", limit);
    case OPTION_TIMES:
        options->times = true;
        return 0;
    case OPTION_JSON:
        options->json = true;
        return 0;
    case OPTION_EXPLAIN:
        options->explain = true;
        return 0;
    case OPTION_HELP:
        options->help = true;
        return 0;
    default:
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
}

static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"trust", required_argument, NULL, OPTION_TRUST},
        {"crl", required_argument, NULL, OPTION_CRL},
        {"signer", required_argument, NULL, OPTION_SIGNER},
        {"schema", required_argument, NULL, OPTION_SCHEMA},
        {"time", required_argument, NULL, OPTION_TIME},
        {"received", required_argument, NULL, OPTION_RECEIVED},
        {"signer-pin", required_argument, NULL, OPTION_SIGNER_PIN},
        {"signer-policy", required_argument, NULL, OPTION_SIGNER_POLICY},
        {"crl-grace", required_argument, NULL, OPTION_CRL_GRACE},
        {"policy", required_argument, NULL, OPTION_POLICY},
        {"times", no_argument, NULL, OPTION_TIMES},
        {"json", no_argument, NULL, OPTION_JSON},
        {"explain", no_argument, NULL, OPTION_EXPLAIN},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        int status = take_option(options, option, optarg);
        if (status != 0)
            return status;
    }
    if (!options->help && !options->explain && optind == argc) {
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
    return 0;
}

static void explain(void)
{
    const struct verify_check *check;

    for (unsigned i = 0; (check = verify_check_at(i)); i++)
        printf("%s\t%s\t%s\t%s\n", check->name, check->basis, check->clause, check->meaning);
}

static const char *basis_of(const char *name)
{
    const struct verify_check *check;

    for (unsigned i = 0; (check = verify_check_at(i)); i++) {
        if (strcmp(check->name, name) == 0)
            return check->basis;
    }
    return "";
}

/* Only what does not speak for the document: what failed, warned, was ignored or is undecided. */
static struct json *reasons_of(const struct verdict *verdict)
{
    _cleanup_json_ struct json *reasons = json_array_new();

    for (unsigned i = 0; reasons && i < verdict->reason_count; i++) {
        const struct verdict_reason *reason = &verdict->reasons[i];
        if (reason->outcome == CHECK_PASSED)
            continue;
        _cleanup_json_ struct json *item = json_object_new();
        if (!item || json_set_text(item, "check", reason->check) < 0 ||
            json_set_text(item, "level", verdict_outcome_text(reason->outcome)) < 0 ||
            json_set_text(item, "basis", basis_of(reason->check)) < 0 ||
            json_set_text(item, "clause", reason->clause) < 0 ||
            json_set_text(item, "text", reason->text) < 0 ||
            json_append(reasons, steal_ptr(&item)) < 0)
            return NULL;
    }
    return steal_ptr(&reasons);
}

static bool print_json(const char *path, const struct verdict *verdict,
                       const struct verdict_at at[VERDICT_AT_COUNT])
{
    _cleanup_json_ struct json *report = verdict_report(verdict);

    if (!report || json_set_text(report, "file", path) < 0 ||
        json_set(report, "times", verdict_times_report(at)) < 0 ||
        json_set(report, "reasons", reasons_of(verdict)) < 0)
        return false;
    _cleanup_free_ char *line = json_print(report);
    return line && puts(line) >= 0;
}

/* file: INDICATION SUB check: text */
static void print_line(const char *path, const struct verdict *verdict)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);
    const char *sub = verdict_sub_text(verdict->sub);

    printf("%s: %s%s%s", path, verdict_indication_text(verdict->indication), *sub ? " " : "", sub);
    if (reason)
        printf(" %s: %s", reason->check, reason->text);
    else if (verdict->indication == VERDICT_TOTAL_PASSED)
        printf(" signed by %s", verdict->signer);
    for (unsigned i = 0; i < verdict->reason_count; i++) {
        if (verdict->reasons[i].outcome == CHECK_WARNED)
            printf("; warning: %s: %s", verdict->reasons[i].check, verdict->reasons[i].text);
    }
    putchar('\n');
}

static void print_times(const struct verdict_at at[VERDICT_AT_COUNT])
{
    for (unsigned i = 0; i < VERDICT_AT_COUNT; i++) {
        char line[VERDICT_AT_LINE_MAX];
        verdict_at_line((enum verdict_moment)i, &at[i], line);
        printf("  %s\n", line);
    }
}

/* By what was found out of the signer just now. */
static void judge_times(struct verify_trust *trust, const struct verify_request *request,
                        const struct verdict *verdict, struct verdict_at ret_at[VERDICT_AT_COUNT])
{
    static struct signer_record signer;
    bool known = verify_signer_last(trust, &signer) &&
                 memory_equal(signer.status.sha256, verdict->signer_sha256, SHA256_SIZE);

    verdict_at_times(verdict, known ? &signer.status : NULL, verify_received_s(request),
                     request->time_s, ret_at);
}

static bool ends_with(const char *path, const char *suffix)
{
    size_t size = strlen(path), suffix_size = strlen(suffix);

    return size >= suffix_size && strcasecmp(path + size - suffix_size, suffix) == 0;
}

/* A regular file, mapped; an empty one as no bytes. */
static int map_file(const char *path, struct bytes *ret_bytes)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > VERIFY_DOCUMENT_MAX)
        return -EFBIG;
    *ret_bytes = bytes_of("", 0);
    if (st.st_size == 0)
        return 0;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    *ret_bytes = bytes_of(data, (size_t)st.st_size);
    return 0;
}

/* Prints one line; the indication, or -1 when the file cannot be read. */
static int judge(struct verify_trust *trust, const struct options *options, const char *path)
{
    static struct verdict verdict;
    struct verify_request request = {
        .format = ends_with(path, ".xml") ? CERTFORMAT_XML : CERTFORMAT_PDF,
        .time_s = options->time_s,
        .received_s = options->received_s,
    };
    struct verdict_at at[VERDICT_AT_COUNT];
    struct bytes document;

    int r = map_file(path, &document);
    if (r == 0) {
        r = verify_document(trust, &request, document, &verdict);
        if (document.size)
            munmap((void *)(uintptr_t)document.data, document.size);
    }
    if (r == 0)
        judge_times(trust, &request, &verdict, at);
    if (r == 0 && options->json && !print_json(path, &verdict, at))
        r = -ENOMEM;
    if (r < 0) {
        fprintf(stderr, "kosekictl: %s: %s\n", path, strerror(-r));
        return -1;
    }
    if (!options->json)
        print_line(path, &verdict);
    if (!options->json && options->times)
        print_times(at);
    return verdict.indication;
}

static int judge_all(struct verify_trust *trust, const struct options *options, char **paths)
{
    bool unreadable = false, failed = false, undecided = false;

    for (; *paths; paths++) {
        int indication = judge(trust, options, *paths);
        unreadable = unreadable || indication < 0;
        failed = failed || indication == VERDICT_TOTAL_FAILED;
        undecided = undecided || indication == VERDICT_INDETERMINATE;
    }
    if (unreadable)
        return EX_NOINPUT;
    return failed ? 1 : undecided ? 2 : 0;
}

static int run(struct options *options, int argc, char **argv)
{
    char text[VERDICT_TEXT_MAX];
    struct verify_trust *trust;

    int status = read_options(options, argc, argv);
    if (status != 0)
        return status;
    if (options->help || options->explain) {
        if (options->help)
            fputs(usage_text, stdout);
        else
            explain();
        return 0;
    }
    if (!options->has_signer)
        status = add_text(options, TRUST_SIGNER_DN, "--signer", default_signer);
    if (status != 0)
        return status;
    int r = verify_trust_new(bytes_of(options->bundle.data, options->bundle.size), text, &trust);
    if (r < 0) {
        fprintf(stderr, "kosekictl: %s\n", text);
        return EX_USAGE;
    }
    /* Starts no process before a schema needs XSD 1.1. */
    struct schema_worker *worker = schema_worker_new_installed(SCHEMA_WORKER_TIMEOUT_MS);
    if (worker)
        verify_trust_set_schema_hook(trust, schema_worker_hook(worker));
    status = judge_all(trust, options, argv + optind);
    verify_trust_free(trust);
    schema_worker_free(worker);
    return status;
}

int kosekictl_verify(int argc, char **argv)
{
    struct options options = {.time_s = clock_realtime_s()};

    buffer_init(&options.bundle, TRUST_BUNDLE_MAX);
    int status = run(&options, argc, argv);
    buffer_done(&options.bundle);
    return status;
}
