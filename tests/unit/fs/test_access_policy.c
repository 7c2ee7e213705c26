/* The policy file: what it says, every mistake with its line, patterns, hours, and policies out of
 * a message that nobody may send. */
#include "fs/access_policy.h"

#include "base/clock.h"
#include "policy_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define HEAD "[policy]\nversion = 1\nutc_offset = +09:00\n"

static void a_whole_file_is_read(void **state)
{
    (void)state;
    struct policy_file *read = policy_file_read(
        "# who may read\n[policy]\nversion = 2026-04-01.1\nutc_offset = +09:00\n"
        "[roles]\nbackup = @backup, 4242\nscanner = @nogroup\nscanner_access = backup\n"
        "root = backup\nviewer = @daemon\nauditor = 77\nsecond_person = purge export\n"
        "[affair juminhyo]\nreaders = daemon @adm\n  bin\nids = A* B-?\nids = C[0-9]*\n"
        "formats = pdf\nhours = mon-fri 08:00-20:00 sat,sun 10:00-24:00\n"
        "valid_from = 2026-04-01\nvalid_to = 2027-03-31\nopens_per_day = 500\n"
        "purpose = \xe5\x85\xac\xe7\x94\xa8 (\xe4\xbd\x8f\xe6\xb0\x91\xe7\xa5\xa8)\n"
        "[affair \xe4\xba\x8b\xe5\x8b\x99]\nreaders = @4711\nids = *\n");
    assert_string_equal(read->mistakes, "");
    assert_int_equal(read->r, 0);
    const struct access_policy *policy = read->policy;
    assert_true(access_policy_valid(policy));
    assert_string_equal(policy->version, "2026-04-01.1");
    assert_int_equal(policy->utc_offset_s, 9 * 3600);
    assert_int_equal(policy->root_as, ACCESS_AS_BACKUP);
    assert_int_equal(policy->scanner_as, ACCESS_AS_BACKUP);
    assert_int_equal(policy->backup.count, 2);
    assert_true(policy->backup.list[0].is_group);
    assert_int_equal(policy->backup.list[1].id, 4242);
    assert_int_equal(policy->control[0].count, 1);
    assert_int_equal(policy->control[3].list[0].id, 77);
    assert_int_equal(policy->command_count, 2);
    assert_string_equal(policy->second_person[1], "export");

    assert_int_equal(policy->affair_count, 2);
    const struct access_affair *affair = &policy->affairs[0];
    assert_string_equal(affair->name, "juminhyo");
    assert_int_equal(affair->readers.count, 3);
    assert_string_equal(affair->readers.list[1].name, "adm");
    assert_int_equal(affair->readers.list[2].id, 2); /* bin */
    assert_int_equal(affair->pattern_count, 3);
    assert_int_equal(affair->formats, 1u << CERTFORMAT_PDF);
    assert_int_equal(affair->window_count, 2);
    assert_int_equal(affair->windows[1].days, 0x60);
    assert_int_equal(affair->windows[1].end, 1440);
    assert_int_equal(affair->opens_per_day, 500);
    int64_t at;
    assert_true(rfc3339_parse("2026-04-01T00:00:00+09:00", &at));
    assert_true(affair->valid_from_s == at);
    assert_true(rfc3339_parse("2027-04-01T00:00:00+09:00", &at)); /* the last day is within */
    assert_true(affair->valid_until_s == at);

    affair = &policy->affairs[1];
    assert_int_equal(affair->formats, 1u << CERTFORMAT_PDF | 1u << CERTFORMAT_XML);
    assert_true(affair->valid_from_s == INT64_MIN && affair->valid_until_s == INT64_MAX);
}

static void all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    struct policy_file *read =
        policy_file_read("[policy]\nversoin = 1\n[roles]\nroot = admin\nbackup = @no-such-group\n"
                         "[affair a]\nreaders = no-such-user\nids = a/b\ncolour = red\n");
    assert_int_equal(read->r, -EINVAL);
    static const char *const expected[] = {"2: versoin: unknown key",
                                           "4: root: is none, backup or reader",
                                           "5: backup: there is no group \"no-such-group\"",
                                           "7: readers: there is no user \"no-such-user\"",
                                           "8: ids: \"a/b\" is no pattern",
                                           "9: colour: unknown key",
                                           "0: [policy] version is missing"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (!strstr(read->mistakes, expected[i]))
            fail_msg("not told: %s\ntold:\n%s", expected[i], read->mistakes);
    }
    assert_int_equal(read->mistake_count, 7);
    assert_int_equal(read->policy->affair_count, 0xa5a5a5a5); /* untouched */
}

#define AFFAIR HEAD "[affair a]\nreaders = daemon\nids = *\n"

static void each_mistake_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *mistake;
    } table[] = {
        {"", "0: [policy] version is missing"},
        {"version = 1\n", "1: sections are"},
        {HEAD "[Affair a]\nreaders = daemon\n", "5: sections are"},
        {HEAD "[affair]\nreaders = daemon\n", "5: sections are"},
        {HEAD "version = 2\n", "4: version is there twice"},
        {"[policy]\nversion =\n", "2: version: is empty"},
        {"[policy]\nversion = \xff\n", "2: version: is not UTF-8"},
        {"[policy]\nversion = \xed\xa0\x80\n", "2: version: is not UTF-8"},
        {"[policy]\nversion = 1\nutc_offset = 9\n", "3: utc_offset: an offset"},
        {"[policy]\nversion = 1\nutc_offset = +09:60\n", "3: utc_offset: an offset"},
        {"[policy]\nversion = 1\nutc_offset = +15:00\n", "3: utc_offset: an offset"},
        {"[policy]\nversion = 1\nutc_offset =\n", "3: utc_offset: an offset"},
        {HEAD "[roles]\nscanner_access = reader\n", "5: scanner_access: is none or backup"},
        {HEAD "[roles]\nroot = none\nroot = none\n", "6: root is there twice"},
        {HEAD "[roles]\nbackup = @\n", "5: backup: \"@\" is no name"},
        {HEAD "[roles]\nbackup = daemon daemon\n", "5: backup: user \"daemon\" is there twice"},
        {HEAD "[roles]\nbackup = 4294967295\n", "5: backup: there is no user"},
        {HEAD "[roles]\nbackup = 12x\n", "5: backup: there is no user"},
        {HEAD "[roles]\nbackup = -1\n", "5: backup: there is no user"},
        {HEAD "[roles]\nbackup = bin\nroot = none\nbackup = daemon\n", "7: backup is there twice"},
        {HEAD "[roles]\nsecond_person = Purge\n", "5: second_person: a command"},
        {HEAD "[roles]\nsecond_person = abcdefghijklmnopqrstuvwxyz\n", "5: second_person: a comm"},
        {HEAD "[affair a]\nids = *\n", "5: [affair a] has no readers"},
        {HEAD "[affair a]\nreaders = daemon\n", "5: [affair a] has no ids"},
        {HEAD "[affair a]\nreaders =\nids = *\n", "5: [affair a] has no readers"},
        {HEAD "[affair a]\nreaders = daemon\nids =\n", "5: [affair a] has no ids"},
        {HEAD "[affair a]\nreaders = root\nids = *\n", "5: [affair a] names root, but"},
        {AFFAIR "[affair b]\nreaders = daemon\nids = *\n[affair a]\nids = *\n",
         "11: [affair a] is there twice"},
        {HEAD "[affair a b]\nreaders = daemon\n", "5: [affair a b]: a name has"},
        {HEAD "[affair a\"]\nreaders = daemon\n", "5: [affair a\"]: a name has"},
        {HEAD "[affair aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nids = *\n", "a name has"},
        {AFFAIR "formats = doc\n", "7: formats: formats are pdf and xml"},
        {AFFAIR "formats =\n", "7: formats: formats are pdf and xml"},
        {AFFAIR "formats = pdfpdfpdf\n", "7: formats: formats are pdf and xml"},
        {AFFAIR "hours = 08:00-20:00\n", "7: hours: hours are written"},
        {AFFAIR "hours = mon\n", "7: hours: hours are written"},
        {AFFAIR "hours = fri-mon 08:00-20:00\n", "7: hours: days are"},
        {AFFAIR "hours = mon- 08:00-20:00\n", "7: hours: days are"},
        {AFFAIR "hours = monday 08:00-20:00\n", "7: hours: days are"},
        {AFFAIR "hours = mon 20:00-08:00\n", "7: hours: hours end before"},
        {AFFAIR "hours = mon 08:00-08:00\n", "7: hours: hours end before"},
        {AFFAIR "hours = mon 08:00-24:01\n", "7: hours: times are"},
        {AFFAIR "hours = mon 8:00-9:00\n", "7: hours: times are"},
        {AFFAIR "hours = mon 08:00-09:00x\n", "7: hours: times are"},
        {AFFAIR "valid_from = 2026-02-30\n", "7: valid_from: a time is"},
        {AFFAIR "valid_from = 2026-4-1\n", "7: valid_from: a time is"},
        {AFFAIR "valid_from = 01-04-2026\n", "7: valid_from: a time is"},
        {AFFAIR "valid_from = 2026-04-01T09:00\n", "7: valid_from: a time is"},
        {AFFAIR "valid_from = 2026-04-02\nvalid_to = 2026-04-01\n", "5: [affair a] ends before"},
        {AFFAIR "opens_per_day = 0\n", "7: opens_per_day: not a number"},
        {AFFAIR "opens_per_day = -1\n", "7: opens_per_day: not a number"},
        {AFFAIR "opens_per_day = 1000001\n", "7: opens_per_day: not a number"},
        {AFFAIR "opens_per_day = 18446744073709551617\n", "7: opens_per_day: not a number"},
        {AFFAIR "purpose = a\npurpose = b\n", "8: purpose is there twice"},
        {"[policy]\nversion = 1\n[affair a]\nreaders = daemon\nids = *\nhours = mon 08:00-09:00\n",
         "0: [policy] utc_offset is missing"},
        {"[policy]\nversion = 1\n[affair a]\nreaders = daemon\nids = *\nopens_per_day = 1\n",
         "0: [policy] utc_offset is missing"},
        {HEAD "nonsense\n", "4: "},
        {HEAD "[affair a\n", "4: "},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct policy_file *read = policy_file_read(table[i].text);
        if (read->r != -EINVAL || !strstr(read->mistakes, table[i].mistake))
            fail_msg("for\n%s\nexpected: %s\ntold (%d): %s", table[i].text, table[i].mistake,
                     read->r, read->mistakes);
    }
}

static void patterns_have_a_grammar(void **state)
{
    (void)state;
    static const char *const bad[] = {"a.b", "a/b",   "[",         "[]",   "[!]",  "a]",      "[a",
                                      "!a",  "[a[b]", "*?*?*?*?*", "a b]", "[a*]", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, HEAD "[affair a]\nreaders = daemon\nids = %s\n", bad[i]);
        struct policy_file *read = policy_file_read(text);
        if (read->r != -EINVAL || !strstr(read->mistakes, "is no pattern"))
            fail_msg("%s was taken: %s", bad[i], read->mistakes);
    }
}

static void patterns_match_whole_ids(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *id;
        bool match;
    } table[] = {
        {"*", "A", true},
        {"A*", "A", true},
        {"A*", "B", false},
        {"A*Z", "AZ", true},
        {"A*Z", "AxZyZ", true},
        {"A*Z", "AxZy", false},
        {"A?", "A", false},
        {"A?", "AB", true},
        {"A?", "ABC", false},
        {"[0-9]*", "7a", true},
        {"[0-9]*", "a7", false},
        {"[!0-9]", "a", true},
        {"[!0-9]", "5", false},
        {"[abc-]x", "-x", true},
        {"[a-]x", "bx", false},
        {"", "A", false},
        {"A", "", false},
        {"a", "A", false},
        {"2026-*-*", "2026-1-2", true},
        {"2026-*-*", "2026-1", false},
        {"*a*a*a*", "aa", false},
        {"*a*a*a*", "xaxaxax", true},
        {"A**", "A", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (access_pattern_match(table[i].pattern, table[i].id, strlen(table[i].id)) !=
            table[i].match)
            fail_msg("%s against %s", table[i].pattern, table[i].id);
    }
}

static void hours_are_those_of_the_offset(void **state)
{
    (void)state;
    struct policy_file *read =
        policy_file_read(AFFAIR "hours = mon-fri 08:30-20:00 sun 00:00-24:00\n");
    assert_int_equal(read->r, 0);
    static const struct {
        const char *time;
        bool open;
    } table[] = {
        {"2026-11-20T08:29:59+09:00", false}, /* a Friday */
        {"2026-11-20T08:30:00+09:00", true},
        {"2026-11-20T19:59:59+09:00", true},
        {"2026-11-20T20:00:00+09:00", false},
        {"2026-11-19T23:30:00Z", true}, /* 08:30 in Japan, the day after */
        {"2026-11-20T12:00:00Z", false},
        {"2026-11-21T12:00:00+09:00", false}, /* Saturday */
        {"2026-11-21T23:59:59+09:00", false},
        {"2026-11-22T00:00:00+09:00", true},
        {"2026-11-22T23:59:59+09:00", true},
        {"2026-11-23T00:00:00+09:00", false},
        {"1969-12-31T23:45:00Z", true}, /* 1970-01-01 08:45, a Thursday */
        {"1969-12-28T12:00:00+09:00", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int64_t at;
        assert_true(rfc3339_parse(table[i].time, &at));
        if (access_affair_in_hours(read->policy, &read->policy->affairs[0], at) != table[i].open)
            fail_msg("%s", table[i].time);
    }
}

static void a_file_that_others_may_change_is_refused(void **state)
{
    (void)state;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    assert_int_equal(scratch_dir_open(&dir), 0);
    assert_int_equal(scratch_write(dir.fd, "p", HEAD, strlen(HEAD)), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/p", dir.path);
    static struct access_policy policy;
    for (int i = 0; i < 2; i++) {
        struct policy_file read = {0};
        assert_int_equal(fchmodat(dir.fd, "p", i ? 0602 : 0620, 0), 0);
        assert_int_equal(access_policy_read(path, policy_file_note, &read, &policy), -EINVAL);
        assert_non_null(strstr(read.mistakes, "can be changed by others"));
    }
    assert_int_equal(fchmodat(dir.fd, "p", 0644, 0), 0);
    struct policy_file read = {0};
    assert_int_equal(access_policy_read(path, policy_file_note, &read, &policy), 0);
    if (geteuid() == 0) {
        assert_int_equal(fchownat(dir.fd, "p", 1, 0, 0), 0);
        assert_int_equal(access_policy_read(path, policy_file_note, &read, &policy), -EINVAL);
        assert_non_null(strstr(read.mistakes, "must belong to root"));
    }
    snprintf(path, sizeof path, "%s/absent", dir.path);
    assert_int_equal(access_policy_read(path, policy_file_note, &read, &policy), -ENOENT);
    assert_int_not_equal(access_policy_read(dir.path, policy_file_note, &read, &policy), 0);
}

static void a_policy_from_a_message_is_checked(void **state)
{
    (void)state;
    assert_int_equal(policy_file_read(AFFAIR "hours = mon 08:00-09:00\n")->r, 0);
    static struct access_policy policy;
    struct policy_file *read = policy_file_read(AFFAIR "hours = mon 08:00-09:00\n");
#define REFUSED(change)                                                                            \
    memcpy(&policy, read->policy, sizeof policy);                                                  \
    assert_true(access_policy_valid(&policy));                                                     \
    change;                                                                                        \
    assert_false(access_policy_valid(&policy))
    REFUSED(policy.affair_count = ACCESS_AFFAIRS_MAX + 1);
    REFUSED(policy.affair_count = 2); /* an affair without a name */
    REFUSED(policy.command_count = ACCESS_COMMANDS_MAX + 1);
    REFUSED(policy.root_as = 3);
    REFUSED(policy.scanner_as = ACCESS_AS_READER);
    REFUSED(policy.utc_offset_s = INT32_MAX);
    REFUSED(policy.utc_offset_s = -15 * 3600);
    REFUSED(policy.backup.count = ACCESS_SUBJECTS_MAX + 1);
    REFUSED(policy.control[3].count = UINT32_MAX);
    REFUSED(memset(policy.version, 'x', sizeof policy.version));
    REFUSED(policy.affairs[0].readers.count = ACCESS_SUBJECTS_MAX + 1);
    REFUSED(policy.affairs[0].readers.list[0].is_group = 2);
    REFUSED(memset(policy.affairs[0].readers.list[0].name, 'x', ACCESS_USER_SIZE));
    REFUSED(policy.affairs[0].pattern_count = ACCESS_PATTERNS_MAX + 1);
    REFUSED(memset(policy.affairs[0].patterns[0], '*', ACCESS_PATTERN_SIZE));
    REFUSED(policy.affairs[0].window_count = ACCESS_WINDOWS_MAX + 1);
    REFUSED(policy.affairs[0].windows[0].end = 1441);
    REFUSED(policy.affairs[0].opens_per_day = ACCESS_OPENS_MAX + 1);
    REFUSED(memset(policy.affairs[0].purpose, 'x', ACCESS_PURPOSE_SIZE));
#undef REFUSED
}

static void more_than_the_ceilings_is_refused(void **state)
{
    (void)state;
    static char text[128 * 1024];
    size_t used = (size_t)snprintf(text, sizeof text, HEAD);
    for (int i = 0; i <= ACCESS_AFFAIRS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "[affair a%d]\nreaders = daemon\nids = *\n", i);
    struct policy_file *read = policy_file_read(text);
    assert_int_equal(read->r, -EINVAL);
    assert_non_null(strstr(read->mistakes, "more than 256 affairs"));

    used = (size_t)snprintf(text, sizeof text, HEAD "[affair a]\nids = *\nreaders =");
    for (int i = 0; i <= ACCESS_SUBJECTS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, " %d", 5000 + i);
    read = policy_file_read(text);
    assert_non_null(strstr(read->mistakes, "too many users and groups"));

    used = (size_t)snprintf(text, sizeof text, HEAD "[affair a]\nreaders = daemon\nids =");
    for (int i = 0; i <= ACCESS_PATTERNS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, " %d", i);
    read = policy_file_read(text);
    assert_non_null(strstr(read->mistakes, "too many patterns"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(each_mistake_is_told_with_its_line),
        cmocka_unit_test(patterns_have_a_grammar),
        cmocka_unit_test(patterns_match_whole_ids),
        cmocka_unit_test(hours_are_those_of_the_offset),
        cmocka_unit_test(a_file_that_others_may_change_is_refused),
        cmocka_unit_test(a_policy_from_a_message_is_checked),
        cmocka_unit_test(more_than_the_ceilings_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
