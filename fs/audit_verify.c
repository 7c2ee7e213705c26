/*
 * After a fault the check goes on with the hash and number that stand in the line, so that each
 * further fault is found at its own place instead of everything behind the first.
 */
#include "fs/audit_verify.h"

#include "fs/audit_checkpoint.h"
#include "fs/audit_record.h"

#include <stdarg.h>
#include <string.h>

struct known {
    uint64_t sequence;
    uint8_t hash[SHA256_SIZE];
};

struct audit_verify {
    audit_fault_report *report;
    void *context;
    struct audit_keys keys; /* none: any is believed */

    struct known *checkpoints; /* ascending after audit_verify_checkpoints() */
    size_t checkpoint_count, checkpoint_capacity;
    size_t checkpoint_next; /* the first that was not compared yet */

    const char *file;
    uint64_t line;
    bool started; /* hash is that of the record before */
    bool named;   /* … only as an export's first line says */
    uint8_t hash[SHA256_SIZE];
    struct audit_verified verified;
};

static const char *const fault_names[AUDIT_FAULT_COUNT] = {
    [AUDIT_FAULT_FORM] = "form",           [AUDIT_FAULT_HASH] = "changed",
    [AUDIT_FAULT_MISSING] = "missing",     [AUDIT_FAULT_MOVED] = "moved",
    [AUDIT_FAULT_TORN] = "torn",           [AUDIT_FAULT_CHECKPOINT] = "checkpoint",
    [AUDIT_FAULT_TRUNCATED] = "truncated", [AUDIT_FAULT_SIGNATURE] = "signature",
};

const char *audit_fault_name(enum audit_fault fault)
{
    return fault_names[fault];
}

_printf_(4, 5) static void fault(struct audit_verify *verify, enum audit_fault fault, uint64_t line,
                                 const char *format, ...)
{
    if (verify->verified.faults++ >= AUDIT_FAULTS_MAX)
        return;
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    verify->report(verify->context, fault, verify->file, line, text);
}

int audit_verify_new(audit_fault_report *report, void *context, struct audit_verify **ret_verify)
{
    struct audit_verify *verify = calloc(1, sizeof *verify);
    if (!verify)
        return -ENOMEM;
    verify->report = report;
    verify->context = context;
    verify->file = "";
    *ret_verify = verify;
    return 0;
}

struct audit_verify *audit_verify_free(struct audit_verify *verify)
{
    if (verify)
        free(verify->checkpoints);
    free(verify);
    return NULL;
}

void audit_verify_set_keys(struct audit_verify *verify, const struct audit_keys *keys)
{
    verify->keys = *keys;
}

static bool key_is_believed(const struct audit_keys *keys, const uint8_t key[AUDIT_PUBLIC_KEY_SIZE])
{
    for (size_t i = 0; i < keys->count; i++)
        if (memcmp(keys->keys[i], key, AUDIT_PUBLIC_KEY_SIZE) == 0)
            return true;
    return keys->count == 0;
}

/* A line without its line feed. 1: a line, 0: the end, LINE_CUT: the end, after a line without
 * line feed. Of a longer line only AUDIT_LINE_MAX bytes are kept: it is no record anyway. */
enum { LINE = 1, LINE_CUT = 2 };

static int next_line(FILE *in, char out[AUDIT_LINE_MAX], size_t *ret_size)
{
    size_t size = 0;
    int c;
    while ((c = getc_unlocked(in)) != EOF && c != '\n') {
        if (size < AUDIT_LINE_MAX)
            out[size++] = (char)c;
    }
    *ret_size = size;
    if (c == '\n')
        return LINE;
    if (ferror(in))
        return -EIO;
    return size > 0 ? LINE_CUT : 0;
}

static int add_checkpoint(struct audit_verify *verify, const struct audit_checkpoint *checkpoint)
{
    if (verify->checkpoint_count == AUDIT_CHECKPOINTS_MAX)
        return -EFBIG;
    if (verify->checkpoint_count == verify->checkpoint_capacity) {
        size_t capacity = verify->checkpoint_capacity ? 2 * verify->checkpoint_capacity : 64;
        struct known *more = reallocarray(verify->checkpoints, capacity, sizeof *more);
        if (!more)
            return -ENOMEM;
        verify->checkpoints = more;
        verify->checkpoint_capacity = capacity;
    }
    struct known *known = &verify->checkpoints[verify->checkpoint_count++];
    known->sequence = checkpoint->sequence;
    memcpy(known->hash, checkpoint->hash, SHA256_SIZE);
    return 0;
}

static int take_checkpoint(struct audit_verify *verify, struct bytes line)
{
    struct audit_checkpoint checkpoint;
    int r = audit_checkpoint_parse(line, &checkpoint);
    if (r == -EBADMSG) {
        fault(verify, AUDIT_FAULT_FORM, verify->line, "this is no checkpoint");
        return 0;
    }
    if (r == -EKEYREJECTED) {
        fault(verify, AUDIT_FAULT_SIGNATURE, verify->line,
              "the checkpoint was changed or not signed by the key it names");
        return 0;
    }
    if (r < 0)
        return r;
    if (!key_is_believed(&verify->keys, checkpoint.public_key)) {
        fault(verify, AUDIT_FAULT_SIGNATURE, verify->line,
              "the checkpoint is signed by another key than those given");
        return 0;
    }
    verify->verified.key_set = true;
    memcpy(verify->verified.key, checkpoint.public_key, AUDIT_PUBLIC_KEY_SIZE);
    return add_checkpoint(verify, &checkpoint);
}

static int compare_known(const void *a, const void *b)
{
    const struct known *left = a, *right = b;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

static void begin_file(struct audit_verify *verify, const char *name)
{
    verify->file = name;
    verify->line = 0;
}

/* Positive: a whole line; 0: the end, also when the last line is torn, which is a fault. */
static int whole_line(struct audit_verify *verify, FILE *in, char line[AUDIT_LINE_MAX],
                      size_t *ret_size)
{
    int r = next_line(in, line, ret_size);
    if (r > 0)
        verify->line++;
    if (r != LINE_CUT)
        return r;
    fault(verify, AUDIT_FAULT_TORN, verify->line, "the last line is torn");
    return 0;
}

int audit_verify_checkpoints(struct audit_verify *verify, FILE *in, const char *name)
{
    char line[AUDIT_LINE_MAX];
    size_t size;
    int r;
    begin_file(verify, name);
    while ((r = whole_line(verify, in, line, &size)) > 0) {
        r = take_checkpoint(verify, bytes_of(line, size));
        if (r < 0)
            return r;
    }
    if (verify->checkpoint_count > 0)
        qsort(verify->checkpoints, verify->checkpoint_count, sizeof verify->checkpoints[0],
              compare_known);
    return r < 0 ? r : 0;
}

static void compare_checkpoints(struct audit_verify *verify, uint64_t sequence,
                                const uint8_t hash[SHA256_SIZE])
{
    while (verify->checkpoint_next < verify->checkpoint_count &&
           verify->checkpoints[verify->checkpoint_next].sequence <= sequence) {
        const struct known *known = &verify->checkpoints[verify->checkpoint_next++];
        if (known->sequence < sequence)
            continue; /* before the first record here, or missing, which is told as such */
        verify->verified.checkpoints++;
        if (memcmp(known->hash, hash, SHA256_SIZE) != 0)
            fault(verify, AUDIT_FAULT_CHECKPOINT, verify->line,
                  "record %llu is not the one that a checkpoint was signed for",
                  (unsigned long long)sequence);
        else
            verify->verified.covered = sequence;
    }
}

/* The place of the record among the others. */
static void check_sequence(struct audit_verify *verify, const struct audit_fields *fields)
{
    uint64_t last = verify->verified.last;
    if (!verify->started || verify->named)
        return;
    unsigned long long expected = last + 1, found = fields->sequence;
    if (found > expected)
        fault(verify, AUDIT_FAULT_MISSING, verify->line,
              "records %llu to %llu are missing before this line", expected, found - 1);
    else if (found < expected)
        fault(verify, AUDIT_FAULT_MOVED, verify->line,
              "record %llu stands where %llu belongs: inserted, doubled or moved", found, expected);
}

static int check_hash(struct audit_verify *verify, struct bytes event,
                      const struct audit_fields *fields, const uint8_t hash[SHA256_SIZE])
{
    /* What a file says about the hash before it counts only where nothing better is known. */
    const uint8_t *previous = verify->started ? verify->hash : fields->previous;
    if (!verify->started && !fields->begins_file) {
        fault(verify, AUDIT_FAULT_MISSING, verify->line,
              "the file does not begin with its first line");
        return 0;
    }
    uint8_t expected[SHA256_SIZE];
    int r = audit_record_hash(event, previous, expected);
    if (r < 0)
        return r;
    /* Out of order it cannot follow; check_sequence() tells that. */
    bool in_order =
        !verify->started || verify->named || fields->sequence == verify->verified.last + 1;
    if (in_order && memcmp(expected, hash, SHA256_SIZE) != 0)
        fault(verify, AUDIT_FAULT_HASH, verify->line,
              "record %llu does not follow from the record before it: one of the two was changed",
              (unsigned long long)fields->sequence);
    return 0;
}

static int check_record(struct audit_verify *verify, struct bytes line)
{
    struct bytes event;
    struct audit_fields fields;
    uint8_t hash[SHA256_SIZE];
    int r = audit_record_split(line, &event, hash);
    if (r == 0)
        r = audit_record_fields(event, &fields);
    if (r == -EBADMSG) {
        fault(verify, AUDIT_FAULT_FORM, verify->line, "this is no record");
        return 0;
    }
    if (r == 0)
        r = check_hash(verify, event, &fields, hash);
    if (r < 0)
        return r;
    check_sequence(verify, &fields);
    compare_checkpoints(verify, fields.sequence, hash);

    struct audit_verified *verified = &verify->verified;
    if (verified->records++ == 0) {
        verified->first = fields.sequence;
        verified->from_beginning = fields.sequence == 1 && fields.begins_file;
    }
    verified->last = fields.sequence;
    memcpy(verify->hash, hash, SHA256_SIZE);
    verify->started = true;
    verify->named = false;
    return 0;
}

/* {"previous":"<hash>"}, the first line of an export. */
static bool take_head(struct audit_verify *verify, const char *line, size_t size)
{
    size_t head = sizeof AUDIT_EXPORT_HEAD - 1;
    uint8_t previous[SHA256_SIZE];
    if (size != head + 2 * SHA256_SIZE + 2 || memcmp(line, AUDIT_EXPORT_HEAD, head) != 0 ||
        memcmp(line + size - 2, "\"}", 2) != 0 ||
        !hex_decode(line + head, 2 * SHA256_SIZE, previous, SHA256_SIZE))
        return false;
    if (verify->started && memcmp(previous, verify->hash, SHA256_SIZE) != 0)
        fault(verify, AUDIT_FAULT_MISSING, verify->line,
              "this export does not continue the file before it");
    memcpy(verify->hash, previous, SHA256_SIZE);
    verify->named = !verify->started;
    verify->started = true;
    return true;
}

int audit_verify_file(struct audit_verify *verify, FILE *in, const char *name)
{
    char line[AUDIT_LINE_MAX];
    size_t size;
    int r;
    begin_file(verify, name);
    while ((r = whole_line(verify, in, line, &size)) > 0) {
        if (verify->line == 1 && take_head(verify, line, size))
            continue;
        r = check_record(verify, bytes_of(line, size));
        if (r < 0)
            return r;
    }
    return r;
}

void audit_verify_finish(struct audit_verify *verify, struct audit_verified *ret_verified)
{
    size_t left = verify->checkpoint_count - verify->checkpoint_next;
    if (left > 0) {
        const struct known *newest = &verify->checkpoints[verify->checkpoint_count - 1];
        if (newest->sequence > verify->verified.last)
            fault(verify, AUDIT_FAULT_TRUNCATED, 0,
                  "the trail ends with record %llu, but record %llu was signed for: the end was "
                  "cut off",
                  (unsigned long long)verify->verified.last, (unsigned long long)newest->sequence);
    }
    memcpy(verify->verified.hash, verify->hash, SHA256_SIZE);
    *ret_verified = verify->verified;
}
