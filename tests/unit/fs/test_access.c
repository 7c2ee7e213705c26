/* The decision as a table (users x affairs x formats x states x hours), the day's opens, what stat
 * shows, the roles on the control socket, and a reload under way. */
#include "fs/access.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/grants.h"
#include "policy_file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <signal.h>
#include <sys/resource.h>
#include <cmocka.h>

/* Numbers instead of names: the table does not depend on the machine's users. */
static const char policy_text[] = "[policy]\nversion = 7\nutc_offset = +09:00\n"
                                  "[roles]\nbackup = @300\nscanner = 400\n"
                                  "[affair tax]\nreaders = @100 1001\nids = T*\nformats = pdf\n"
                                  "hours = mon-fri 08:00-20:00\npurpose = tax returns\n"
                                  "[affair school]\nreaders = @200\nids = S* T-S*\n"
                                  "valid_from = 2026-04-01\nvalid_to = 2027-03-31\n"
                                  "[affair few]\nreaders = 1003\nids = F*\nopens_per_day = 2\n"
                                  "[affair more]\nreaders = 1003\nids = F9*\nopens_per_day = 1\n";

struct fixture {
    struct scratch_dir dir;
    struct grants *grants;
    struct access *access;
};

static int user_name(void *context, uid_t uid, char *out, size_t out_size)
{
    (void)context;
    if (uid == 1004)
        return -ENOENT; /* deleted since */
    snprintf(out, out_size, uid == 1005 ? "newcomer" : "user%u", (unsigned)uid);
    return 0;
}

static struct certname name_of(const char *text)
{
    struct certname name;
    assert_true(certname_parse(text, &name));
    return name;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    assert_int_equal(scratch_dir_open(&fixture.dir), 0);
    struct policy_file *read = policy_file_read(policy_text);
    assert_string_equal(read->mistakes, "");
    assert_int_equal(grants_open(fixture.dir.fd, user_name, NULL, &fixture.grants), 0);
    assert_int_equal(access_new(read->policy, fixture.grants, fixture.dir.fd, &fixture.access), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    access_free(fixture->access);
    grants_close(fixture->grants);
    scratch_dir_close(&fixture->dir);
    return 0;
}

static void restart(struct fixture *fixture)
{
    struct policy_file *read = policy_file_read(policy_text);
    fixture->access = access_free(fixture->access);
    assert_int_equal(access_new(read->policy, fixture->grants, fixture->dir.fd, &fixture->access),
                     0);
}

static int64_t at(const char *time)
{
    int64_t seconds;
    assert_true(rfc3339_parse(time, &seconds));
    return seconds;
}

#define WORKDAY "2026-11-20T12:00:00+09:00"
#define SUNDAY "2026-11-22T12:00:00+09:00"

static bool within(const struct access_reach *reach, const char *name)
{
    bool found = reach->all;
    for (unsigned i = 0; i < reach->count; i++)
        found |= strncmp(name, reach->beginnings[i], strlen(reach->beginnings[i])) == 0;
    return found;
}

enum listed { NOTHING_LISTED, OTHERS_LISTED, LISTED };

static enum listed list(struct fixture *fixture, struct caller *caller, const struct certname *name,
                        int64_t now_s)
{
    struct access_listing listing;
    if (!access_listing_begin(fixture->access, caller, now_s, &listing))
        return NOTHING_LISTED;
    struct access_reach reach;
    access_listing_reach(&listing, &reach);
    assert_true(reach.all || reach.count > 0);
    enum listed listed = access_listing_has(&listing, name) ? LISTED : OTHERS_LISTED;
    if (listed == LISTED && !within(&reach, name->text))
        fail_msg("%s is not looked for", name->text);
    access_listing_end(&listing);
    return listed;
}

static void decisions_follow_the_table(void **state)
{
    struct fixture *fixture = *state;
    enum { NO = 0, READ = 1, FETCH = 3 };
    static const struct {
        uid_t uid;
        gid_t gid;
        gid_t group; /* supplementary; 0 = none */
        const char *name, *time;
        int may;
        enum access_role role;
        enum access_reason reason;
        const char *affair;
    } table[] = {
        {1001, 1, 0, "T1.pdf", WORKDAY, FETCH, ACCESS_ROLE_READER, ACCESS_BY_AFFAIR, "tax"},
        {1002, 100, 0, "T1.pdf", WORKDAY, FETCH, ACCESS_ROLE_READER, ACCESS_BY_AFFAIR, "tax"},
        {1002, 1, 100, "T1.pdf", WORKDAY, FETCH, ACCESS_ROLE_READER, ACCESS_BY_AFFAIR, "tax"},
        {1002, 1, 0, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_NONE, ACCESS_NOT_READER, ""},
        {100, 1, 0, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_NONE, ACCESS_NOT_READER, ""},
        {1, 1001, 0, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_NONE, ACCESS_NOT_READER, ""},
        {1001, 1, 0, "T1.xml", WORKDAY, NO, ACCESS_ROLE_NONE, ACCESS_FORMAT_OUTSIDE, "tax"},
        {1001, 1, 0, "S1.pdf", WORKDAY, NO, ACCESS_ROLE_NONE, ACCESS_ID_OUTSIDE, "tax"},
        {1001, 1, 0, "xT1.pdf", WORKDAY, NO, ACCESS_ROLE_NONE, ACCESS_ID_OUTSIDE, "tax"},
        {1001, 1, 0, "T1.pdf", SUNDAY, NO, ACCESS_ROLE_NONE, ACCESS_OUT_OF_HOURS, "tax"},
        {1001, 1, 0, "T1.xml", SUNDAY, NO, ACCESS_ROLE_NONE, ACCESS_FORMAT_OUTSIDE, "tax"},
        {1001, 1, 200, "T-S1.xml", SUNDAY, FETCH, ACCESS_ROLE_READER, ACCESS_BY_AFFAIR, "school"},
        {1001, 1, 200, "T-S1.pdf", WORKDAY, FETCH, ACCESS_ROLE_READER, ACCESS_BY_AFFAIR, "tax"},
        {1002, 200, 0, "S1.xml", "2026-03-31T23:59:59+09:00", NO, ACCESS_ROLE_NONE,
         ACCESS_NOT_YET_VALID, "school"},
        {1002, 200, 0, "S1.xml", "2026-04-01T00:00:00+09:00", FETCH, ACCESS_ROLE_READER,
         ACCESS_BY_AFFAIR, "school"},
        {1002, 200, 0, "S1.xml", "2027-03-31T23:59:59+09:00", FETCH, ACCESS_ROLE_READER,
         ACCESS_BY_AFFAIR, "school"},
        {1002, 200, 0, "S1.xml", "2027-04-01T00:00:00+09:00", NO, ACCESS_ROLE_NONE,
         ACCESS_NO_LONGER_VALID, "school"},
        {0, 0, 0, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_ROOT, ACCESS_ROOT_EXCLUDED, ""},
        {0, 0, 100, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_ROOT, ACCESS_ROOT_EXCLUDED, ""},
        {0, 0, 300, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_ROOT, ACCESS_ROOT_EXCLUDED, ""},
        {400, 1, 100, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_SCANNER, ACCESS_SCANNER_EXCLUDED, ""},
        {500, 300, 0, "T1.pdf", SUNDAY, READ, ACCESS_ROLE_BACKUP, ACCESS_BY_ROLE, ""},
        {500, 300, 0, "X.xml", WORKDAY, READ, ACCESS_ROLE_BACKUP, ACCESS_BY_ROLE, ""},
        {1001, 1, 300, "T1.pdf", SUNDAY, READ, ACCESS_ROLE_BACKUP, ACCESS_BY_ROLE, ""},
        {1001, 1, 300, "T1.pdf", WORKDAY, FETCH, ACCESS_ROLE_READER, ACCESS_BY_AFFAIR, "tax"},
        {65534, 65534, 0, "T1.pdf", WORKDAY, NO, ACCESS_ROLE_NONE, ACCESS_NOT_READER, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (int variant = 0; variant < 2 * 5; variant++) {
            struct caller caller;
            caller_of_groups(table[i].uid, table[i].gid, &table[i].group, table[i].group != 0,
                             &caller);
            struct certname name = name_of(table[i].name);
            const struct access_question question = {.want = (enum access_want)(variant / 2),
                                                     .stored = variant % 2,
                                                     .now_s = at(table[i].time),
                                                     .connection = 1,
                                                     .unique = i * 100 + (unsigned)variant};
            struct access_decision decision;
            memset(&decision, 0xa5, sizeof decision);
            bool goes_on = access_decide(fixture->access, &caller, &name, &question, &decision);
            enum access_reason reason = table[i].reason;
            if (reason == ACCESS_BY_ROLE && !question.stored)
                reason = ACCESS_NOT_STORED;
            int may = (decision.may_read ? 1 : 0) | (decision.may_fetch ? 2 : 0);
            if (may != table[i].may || decision.role != table[i].role ||
                decision.reason != reason || strcmp(decision.affair, table[i].affair) != 0 ||
                goes_on != (question.stored ? may & 1 : may >> 1))
                fail_msg("row %zu, variant %d: may %d role %s reason %s affair %s", i, variant, may,
                         access_role_name(decision.role), access_reason_name(decision.reason),
                         decision.affair);
            enum listed listed = list(fixture, &caller, &name, question.now_s);
            bool any_name = reason != ACCESS_ID_OUTSIDE && reason != ACCESS_FORMAT_OUTSIDE;
            if ((listed == LISTED) != (may & 1) || (listed == OTHERS_LISTED && any_name))
                fail_msg("row %zu: listed: %d", i, listed);
            char sentence[ACCESS_SENTENCE_SIZE];
            access_sentence(&decision, sentence);
            assert_true(strlen(sentence) > 20 && !strchr(sentence, '%'));
        }
    }
}

static void roles_are_widened_by_the_policy_only(void **state)
{
    struct fixture *fixture = *state;
    static struct access_policy policy;
    memcpy(&policy, policy_file_read(policy_text)->policy, sizeof policy);
    struct certname name = name_of("T1.pdf");
    struct access_question question = {.want = ACCESS_OPEN, .stored = true, .now_s = at(WORKDAY)};
    struct access_decision decision;
    struct caller root, scanner;
    gid_t tax = 100;
    caller_of_groups(0, 0, &tax, 1, &root);
    caller_of_groups(400, 1, &tax, 1, &scanner);

    policy.root_as = ACCESS_AS_BACKUP;
    policy.scanner_as = ACCESS_AS_BACKUP;
    assert_int_equal(access_replace(fixture->access, &policy), 0);
    assert_true(access_decide(fixture->access, &root, &name, &question, &decision));
    assert_int_equal(decision.role, ACCESS_ROLE_ROOT);
    assert_false(decision.may_fetch);
    assert_true(access_decide(fixture->access, &scanner, &name, &question, &decision));
    question.stored = false;
    assert_false(access_decide(fixture->access, &root, &name, &question, &decision));
    assert_int_equal(decision.reason, ACCESS_NOT_STORED);
    assert_false(access_decide(fixture->access, &scanner, &name, &question, &decision));

    policy.root_as = ACCESS_AS_READER;
    assert_int_equal(access_replace(fixture->access, &policy), 0);
    assert_true(access_decide(fixture->access, &root, &name, &question, &decision));
    assert_int_equal(decision.role, ACCESS_ROLE_READER);
    caller_of_groups(0, 0, NULL, 0, &root);
    assert_false(access_decide(fixture->access, &root, &name, &question, &decision));

    policy.affair_count = ACCESS_AFFAIRS_MAX + 1;
    assert_int_equal(access_replace(fixture->access, &policy), -EINVAL);
    assert_true(access_decide(fixture->access, &(struct caller){.uid = 1001}, &name, &question,
                              &decision)); /* the one before is in force */
    char version[ACCESS_VERSION_SIZE];
    uint8_t sha256[SHA256_SIZE];
    access_version(fixture->access, version, sha256);
    assert_string_equal(version, "7");
}

static bool reply(struct fixture *fixture, const char *text, uint64_t unique, const char *time,
                  struct access_decision *decision)
{
    struct certname name = name_of(text);
    struct caller caller;
    caller_of_groups(1003, 1, NULL, 0, &caller);
    const struct access_question question = {.want = ACCESS_REPLY,
                                             .stored = true,
                                             .now_s = at(time),
                                             .connection = 99,
                                             .unique = unique};
    return access_decide(fixture->access, &caller, &name, &question, decision);
}

static bool asks(struct fixture *fixture, const char *text, enum access_want want)
{
    struct certname name = name_of(text);
    struct caller caller;
    struct access_decision decision;
    caller_of_groups(1003, 1, NULL, 0, &caller);
    const struct access_question question = {.want = want, .stored = true, .now_s = at(WORKDAY)};
    return access_decide(fixture->access, &caller, &name, &question, &decision);
}

static void opens_of_the_day_are_counted_once(void **state)
{
    struct fixture *fixture = *state;
    struct access_decision decision;
    assert_true(reply(fixture, "F1.pdf", 2, WORKDAY, &decision));
    assert_true(reply(fixture, "F1.pdf", 2, WORKDAY, &decision)); /* the same request */
    restart(fixture);
    assert_true(reply(fixture, "F1.pdf", 2, WORKDAY, &decision)); /* replayed after a crash */
    assert_true(asks(fixture, "F1.pdf", ACCESS_OPEN));
    assert_true(reply(fixture, "F2.pdf", 4, WORKDAY, &decision));

    assert_false(reply(fixture, "F3.pdf", 6, WORKDAY, &decision));
    assert_int_equal(decision.reason, ACCESS_OPENS_USED_UP);
    assert_string_equal(decision.affair, "few");
    assert_false(asks(fixture, "F1.pdf", ACCESS_OPEN));
    assert_false(asks(fixture, "F1.pdf", ACCESS_LIST));
    assert_true(asks(fixture, "F1.pdf", ACCESS_LOOKUP)); /* fstat after open goes on */
    assert_true(asks(fixture, "F1.pdf", ACCESS_XATTR));
    restart(fixture);
    assert_false(asks(fixture, "F1.pdf", ACCESS_OPEN));
    assert_true(reply(fixture, "F2.pdf", 4, WORKDAY, &decision)); /* still the same request */

    assert_true(
        reply(fixture, "F91.pdf", 8, WORKDAY, &decision)); /* the next affair has one left */
    assert_string_equal(decision.affair, "more");
    assert_false(reply(fixture, "F91.pdf", 10, WORKDAY, &decision));

    assert_true(reply(fixture, "F1.pdf", 12, "2026-11-21T00:00:00+09:00", &decision));
    /* A thread that is a moment late counts into the new day. */
    assert_true(reply(fixture, "F1.pdf", 14, "2026-11-20T23:59:59+09:00", &decision));
    assert_false(reply(fixture, "F1.pdf", 16, "2026-11-21T00:00:01+09:00", &decision));
}

static void counts_survive_a_torn_file(void **state)
{
    struct fixture *fixture = *state;
    struct access_decision decision;
    assert_true(reply(fixture, "F1.pdf", 2, WORKDAY, &decision));
    assert_true(reply(fixture, "F1.pdf", 4, WORKDAY, &decision));
    fixture->access = access_free(fixture->access);
    uint8_t file[256];
    ssize_t size = scratch_read(fixture->dir.fd, "opens-today", file, sizeof file);
    assert_int_equal(size, 96);
    struct access_policy *policy = policy_file_read(policy_text)->policy;
    for (size_t cut = 48; cut < 96; cut += 13) { /* the second record is torn */
        assert_int_equal(scratch_write(fixture->dir.fd, "opens-today", file, cut), 0);
        assert_int_equal(access_new(policy, NULL, fixture->dir.fd, &fixture->access), 0);
        assert_true(reply(fixture, "F1.pdf", 6, WORKDAY, &decision));
        assert_false(reply(fixture, "F1.pdf", 8, WORKDAY, &decision));
        fixture->access = access_free(fixture->access);
    }
    file[50] ^= 1; /* and a foreign one */
    assert_int_equal(scratch_write(fixture->dir.fd, "opens-today", file, 96), 0);
    assert_int_equal(access_new(policy, NULL, fixture->dir.fd, &fixture->access), 0);
    assert_true(reply(fixture, "F1.pdf", 6, WORKDAY, &decision));
    assert_false(reply(fixture, "F1.pdf", 8, WORKDAY, &decision));
}

static void an_open_that_cannot_be_counted_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct access_decision decision;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0); /* as a full disk */
    bool granted = reply(fixture, "F1.pdf", 2, WORKDAY, &decision);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(granted);
    assert_int_equal(decision.reason, ACCESS_COUNT_LOST);
    assert_true(reply(fixture, "F1.pdf", 2, WORKDAY, &decision));
    assert_true(reply(fixture, "F1.pdf", 4, WORKDAY, &decision));
    assert_false(reply(fixture, "F1.pdf", 6, WORKDAY, &decision));
}

static void the_count_is_not_kept_behind_a_link(void **state)
{
    struct fixture *fixture = *state;
    fixture->access = access_free(fixture->access);
    assert_int_equal(unlinkat(fixture->dir.fd, "opens-today", 0), 0);
    assert_int_equal(symlinkat("elsewhere", fixture->dir.fd, "opens-today"), 0);
    struct access_policy *policy = policy_file_read(policy_text)->policy;
    assert_int_equal(access_new(policy, NULL, fixture->dir.fd, &fixture->access), -ELOOP);
}

static void grants_give_a_single_certificate(void **state)
{
    struct fixture *fixture = *state;
    struct grant grant = {.name = name_of("X1.xml"),
                          .uid = 1002,
                          .user = "user1002",
                          .until_s = at("2026-12-01T00:00:00Z"),
                          .reason = "appeal 12"};
    uint64_t id;
    assert_int_equal(grants_add(fixture->grants, &grant, &id), 0);
    struct caller caller;
    caller_of_groups(1002, 1, NULL, 0, &caller);
    struct access_question question = {.want = ACCESS_OPEN, .now_s = at(SUNDAY)};
    struct access_decision decision;
    struct certname name = name_of("X1.xml");
    assert_true(access_decide(fixture->access, &caller, &name, &question, &decision));
    assert_int_equal(decision.reason, ACCESS_BY_GRANT);
    assert_int_equal(decision.grant_id, id);
    assert_string_equal(decision.purpose, "appeal 12");
    assert_int_equal(list(fixture, &caller, &name, question.now_s), LISTED);

    name = name_of("X1.pdf");
    assert_false(access_decide(fixture->access, &caller, &name, &question, &decision));
    name = name_of("X1.xml");
    caller.uid = 1001;
    assert_false(access_decide(fixture->access, &caller, &name, &question, &decision));
    caller.uid = 1002;
    question.now_s = at("2026-12-01T00:00:00Z");
    assert_false(access_decide(fixture->access, &caller, &name, &question, &decision));
    assert_int_equal(list(fixture, &caller, &name, question.now_s), NOTHING_LISTED);
    question.now_s = at(SUNDAY);
    assert_int_equal(grants_revoke(fixture->grants, 1002, &name), 0);
    assert_false(access_decide(fixture->access, &caller, &name, &question, &decision));
}

static void stat_shows_the_policy(void **state)
{
    struct fixture *fixture = *state;
    static struct access_shown shown;
    struct certname name = name_of("T-S1.pdf");
    access_show(fixture->access, &name, at(SUNDAY), &shown);
    assert_int_equal(shown.uid, 0);
    assert_int_equal(shown.gid, 100);
    assert_int_equal(shown.mode, 0440);
    static const uint8_t acl[] = {
        2,    0, 0, 0,                         /* version */
        1,    0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* owner */
        2,    0, 4, 0, 0xe9, 3,    0,    0,    /* user 1001 */
        4,    0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group */
        8,    0, 4, 0, 200,  0,    0,    0,
        8,    0, 4, 0, 44,   1,    0,    0,    /* groups 200, 300 (backup) */
        0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* mask */
        0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* other */
    };
    assert_int_equal(shown.acl_size, sizeof acl);
    assert_memory_equal(shown.acl, acl, sizeof acl);

    name = name_of("Q.pdf"); /* nobody's but the backup's */
    access_show(fixture->access, &name, at(SUNDAY), &shown);
    assert_int_equal(shown.gid, 300);
    assert_int_equal(shown.mode, 0440);
    assert_int_equal(shown.acl_size, 0);

    /* A grant shows; an affair that is over does not. */
    struct grant grant = {.name = name_of("S1.pdf"), .uid = 1002, .user = "user1002"};
    uint64_t id;
    assert_int_equal(grants_add(fixture->grants, &grant, &id), 0);
    name = name_of("S1.pdf");
    access_show(fixture->access, &name, at("2028-01-01T00:00:00Z"), &shown);
    assert_int_equal(shown.gid, 300);
    assert_int_equal(shown.acl_size, 4 + 8 * 5);
    assert_int_equal(shown.acl[4 + 8 + 4], 0xea);
}

static void the_table_of_explain_agrees_with_the_decision(void **state)
{
    struct fixture *fixture = *state;
    struct caller caller;
    caller_of_groups(1001, 1, NULL, 0, &caller);
    struct certname name = name_of("T1.pdf");
    struct access_question question = {.want = ACCESS_REPLY, .now_s = at(SUNDAY)};
    for (int i = 0; i < 2; i++) {
        question.now_s = at(i ? WORKDAY : SUNDAY);
        _cleanup_json_ struct json *json =
            access_explain(fixture->access, &caller, &name, &question);
        assert_non_null(json);
        assert_string_equal(json_get_text(json, "decision"), i ? "granted" : "denied");
        assert_string_equal(json_get_text(json, "reason"), i ? "affair" : "out_of_hours");
        const struct json *rows = json_get(json, "affairs");
        assert_int_equal(json_array_count(rows), 4);
        bool gives = false, hours = true;
        assert_true(json_get_bool(json_array_at(rows, 0), "gives", &gives));
        assert_true(json_get_bool(json_array_at(rows, 0), "hours", &hours));
        assert_int_equal(gives, i);
        assert_int_equal(hours, i);
        assert_string_equal(json_get_text(json_array_at(rows, 1), "reason"), "not_reader");
    }
    caller.uid = 1003;
    name = name_of("F1.pdf");
    for (int i = 0; i < 3; i++) { /* explaining takes no open */
        _cleanup_json_ struct json *json =
            access_explain(fixture->access, &caller, &name, &question);
        assert_string_equal(json_get_text(json, "decision"), "granted");
    }
}

static void control_roles_come_from_the_policy(void **state)
{
    struct fixture *fixture = *state;
    struct policy_file *read = policy_file_read(
        "[policy]\nversion = 1\n[roles]\noperator = 1001\napprover = @100 root\nauditor = 1002\n"
        "second_person = purge unseal\n");
    assert_int_equal(read->r, 0);
    assert_int_equal(access_replace(fixture->access, read->policy), 0);
    static const struct {
        uid_t uid;
        gid_t gid;
        unsigned roles;
    } table[] = {
        {0, 0, ACCESS_VIEWER | ACCESS_OPERATOR | ACCESS_APPROVER},
        {1001, 1, ACCESS_VIEWER | ACCESS_OPERATOR},
        {1001, 100, ACCESS_VIEWER | ACCESS_OPERATOR | ACCESS_APPROVER},
        {1002, 1, ACCESS_VIEWER | ACCESS_AUDITOR},
        {1003, 1, 0},
        {100, 1, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct caller caller;
        caller_of_groups(table[i].uid, table[i].gid, NULL, 0, &caller);
        assert_int_equal(access_control_roles(fixture->access, &caller), table[i].roles);
    }
    assert_true(access_needs_second_person(fixture->access, "purge"));
    assert_false(access_needs_second_person(fixture->access, "purg"));
    assert_false(access_needs_second_person(fixture->access, "list"));
}

struct racer {
    struct access *access;
    atomic_bool stop;
    atomic_uint wrong;
};

static void *race(void *context)
{
    struct racer *racer = context;
    struct certname name = name_of("T1.pdf");
    const struct access_question question = {.want = ACCESS_OPEN, .now_s = at(WORKDAY)};
    while (!atomic_load(&racer->stop)) {
        struct caller caller;
        struct access_decision decision;
        caller_of_groups(1001, 1, NULL, 0, &caller);
        bool granted = access_decide(racer->access, &caller, &name, &question, &decision);
        if (granted != (decision.reason == ACCESS_BY_AFFAIR))
            atomic_fetch_add(&racer->wrong, 1);
    }
    return NULL;
}

static void a_reload_does_not_disturb_decisions(void **state)
{
    struct fixture *fixture = *state;
    static struct access_policy with, without;
    memcpy(&with, policy_file_read(policy_text)->policy, sizeof with);
    memcpy(&without, &with, sizeof with);
    without.affair_count = 0;
    struct racer racer = {.access = fixture->access};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racer), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(access_replace(fixture->access, i % 2 ? &with : &without), 0);
    atomic_store(&racer.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&racer.wrong), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(decisions_follow_the_table),
        TEST(roles_are_widened_by_the_policy_only),
        TEST(opens_of_the_day_are_counted_once),
        TEST(counts_survive_a_torn_file),
        TEST(an_open_that_cannot_be_counted_is_refused),
        TEST(the_count_is_not_kept_behind_a_link),
        TEST(grants_give_a_single_certificate),
        TEST(stat_shows_the_policy),
        TEST(the_table_of_explain_agrees_with_the_decision),
        TEST(control_roles_come_from_the_policy),
        TEST(a_reload_does_not_disturb_decisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
