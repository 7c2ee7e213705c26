/* A trail for tests: configuration, events, reading it back, checking it. */
#ifndef TESTS_UNIT_FS_TRAIL_H
#define TESTS_UNIT_FS_TRAIL_H

#include "base/ed25519.h"
#include "fs/audit.h"
#include "fs/audit_verify.h"
#include "scratch_dir.h"

#include <stdio.h>
#include <string.h>

static inline struct config_audit trail_config(void)
{
    struct config_audit config = {.sync = "written",
                                  .sync_within = 50,
                                  .file_size = 1 << 30,
                                  .checkpoint_records = 1000000,
                                  .checkpoint_time = 1000000};
    return config;
}

struct trail_fixture {
    struct scratch_dir dir;
    struct config_audit config;
};

static inline int trail_set_up(void **state)
{
    static struct trail_fixture fixture;
    fixture.config = trail_config();
    *state = &fixture;
    return scratch_dir_open(&fixture.dir);
}

static inline int trail_tear_down(void **state)
{
    struct trail_fixture *fixture = *state;
    scratch_dir_close(&fixture->dir);
    return 0;
}

static inline struct audit *trail_open(int state_fd, const struct config_audit *config)
{
    struct audit *audit = NULL;
    int r = audit_open(state_fd, config, NULL, NULL, &audit);
    if (r < 0)
        fprintf(stderr, "audit_open: %s\n", strerror(-r));
    return audit;
}

static inline int trail_write(struct audit *audit, uint64_t connection, uint64_t unique)
{
    struct caller caller;
    caller_of_groups(1001, 100, NULL, 0, &caller);
    caller.pid = 4242;
    memcpy(caller.unverified_comm, "cat", 4);
    const struct audit_event event = {.kind = AUDIT_OPEN,
                                      .caller = &caller,
                                      .name = "T-2026-0001.pdf",
                                      .role = "reader",
                                      .affair = "tax",
                                      .purpose = "tax returns",
                                      .reason = "affair",
                                      .connection = connection,
                                      .unique = unique};
    return audit_write(audit, &event);
}

static inline int trail_release(struct audit *audit, uint64_t connection, uint64_t unique)
{
    const struct certname name = {.text = "T-2026-0001.pdf"};
    return audit_release(audit, &name, connection, unique);
}

/* Signs with a key that everybody knows. */
static const uint8_t trail_private_key[ED25519_KEY_SIZE] = {1, 2, 3};

static inline int trail_sign(void *context, const void *statement, size_t size,
                             uint8_t ret_signature[AUDIT_SIGNATURE_SIZE],
                             uint8_t ret_public_key[AUDIT_PUBLIC_KEY_SIZE])
{
    (void)context;
    int r = ed25519_public_key(trail_private_key, ret_public_key);
    return r < 0 ? r : ed25519_sign(trail_private_key, statement, size, ret_signature);
}

/* What a check found: the faults as "FAULT@FILE:LINE " … */
struct trail_check {
    char faults[4096];
    struct audit_verified verified;
};

static inline void trail_note(void *context, enum audit_fault fault, const char *file,
                              uint64_t line, const char *text)
{
    struct trail_check *check = context;
    (void)text;
    size_t used = strlen(check->faults);
    snprintf(check->faults + used, sizeof check->faults - used, "%s@%s:%llu ",
             audit_fault_name(fault), file, (unsigned long long)line);
}

static inline int trail_check_text(const char *text, size_t size, const char *checkpoints,
                                   const uint8_t *key, struct trail_check *ret_check)
{
    _cleanup_audit_verify_ struct audit_verify *verify = NULL;
    memset(ret_check, 0, sizeof *ret_check);
    int r = audit_verify_new(trail_note, ret_check, &verify);
    struct audit_keys keys = {0};
    if (key) /* behind one that signed nothing */
        memcpy(keys.keys[1], key, AUDIT_PUBLIC_KEY_SIZE);
    keys.count = key ? 2 : 0;
    if (r == 0)
        audit_verify_set_keys(verify, &keys);
    if (r == 0 && checkpoints && *checkpoints) {
        _cleanup_fclose_ FILE *in =
            fmemopen((void *)(uintptr_t)checkpoints, strlen(checkpoints), "r");
        r = in ? audit_verify_checkpoints(verify, in, "c") : -errno;
    }
    if (r == 0 && size > 0) {
        _cleanup_fclose_ FILE *in = fmemopen((void *)(uintptr_t)text, size, "r");
        r = in ? audit_verify_file(verify, in, "t") : -errno;
    }
    if (r == 0)
        audit_verify_finish(verify, &ret_check->verified);
    return r;
}

/* All files trail-* of the directory, in order. */
static inline int trail_check_files(int state_fd, struct trail_check *ret_check)
{
    _cleanup_audit_verify_ struct audit_verify *verify = NULL;
    memset(ret_check, 0, sizeof *ret_check);
    int r = audit_verify_new(trail_note, ret_check, &verify);
    for (int number = 1; r == 0; number++) {
        char name[64];
        snprintf(name, sizeof name, "audit/trail-%08d.jsonl", number);
        int fd = openat(state_fd, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            break;
        _cleanup_fclose_ FILE *in = fdopen(fd, "r");
        r = in ? audit_verify_file(verify, in, name + sizeof "audit/" - 1) : -errno;
    }
    if (r == 0)
        audit_verify_finish(verify, &ret_check->verified);
    return r;
}

#endif
