/* Alerts: each kind is found in the events and only then; told once, kept, acknowledged. */
#include "fs/alerts.h"

#include "trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct fixture {
    struct scratch_dir dir;
    struct config_alerts config;
    struct alerts *alerts;
    int told;
    struct alert last;
};

static int hook(void *context, const struct alert_message *message)
{
    struct fixture *fixture = context;
    assert_true(alert_message_valid(message));
    fixture->told++;
    fixture->last = message->alert;
    return 0;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture.config = (struct config_alerts){.window = 600000,
                                            .denials = 20,
                                            .enumeration = 30,
                                            .opens = 100,
                                            .verification = 5,
                                            .root = true,
                                            .quiet = 3600000,
                                            .told_max = 60};
    *state = &fixture;
    assert_int_equal(scratch_dir_open(&fixture.dir), 0);
    return alerts_new(fixture.dir.fd, &fixture.config, hook, &fixture, &fixture.alerts);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    alerts_free(fixture->alerts);
    scratch_dir_close(&fixture->dir);
    return 0;
}

static void observe(struct fixture *fixture, enum audit_kind kind, enum audit_result result,
                    uid_t uid, const char *name, const char *role, const char *reason)
{
    struct caller caller;
    caller_of_groups(uid, 1, NULL, 0, &caller);
    const struct audit_event event = {.kind = kind,
                                      .result = result,
                                      .caller = &caller,
                                      .name = name,
                                      .role = role,
                                      .reason = reason};
    alerts_observe(fixture->alerts, &event, 0);
}

static uint64_t raised(struct fixture *fixture, enum alert_kind kind)
{
    struct alerts_counts counts;
    alerts_counts(fixture->alerts, &counts);
    return counts.raised[kind];
}

static void denials_become_an_alert(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 1; i < 20; i++) {
        observe(fixture, AUDIT_OPEN, AUDIT_DENIED, 1001, "A.pdf", "none", "not_reader");
        observe(fixture, AUDIT_OPEN, AUDIT_DENIED, 400, "A.pdf", "scanner", "scanner_excluded");
        observe(fixture, AUDIT_OPEN, AUDIT_OK, 1002, "A.pdf", "reader", "affair");
        observe(fixture, AUDIT_FETCH, AUDIT_FAILED, 1003, "A.pdf", NULL, NULL);
    }
    assert_int_equal(fixture->told, 0);
    observe(fixture, AUDIT_LOOKUP, AUDIT_DENIED, 1001, "A.pdf", "none", "not_reader");
    assert_int_equal(fixture->told, 1);
    assert_int_equal(fixture->last.kind, ALERT_DENIALS);
    assert_string_equal(fixture->last.subject, "uid 1001");
    assert_true(strlen(fixture->last.action) > 10);
    for (int i = 0; i < 100; i++) { /* goes on: counted, not told */
        observe(fixture, AUDIT_OPEN, AUDIT_DENIED, 1001, "A.pdf", "none", "not_reader");
        observe(fixture, AUDIT_OPEN, AUDIT_DENIED, 400, "A.pdf", "scanner", "scanner_excluded");
    }
    assert_int_equal(fixture->told, 1);
    assert_int_equal(raised(fixture, ALERT_DENIALS), 101);
    struct alert alert;
    assert_true(alerts_next(fixture->alerts, 0, &alert));
    assert_int_equal(alert.count, 101);
    assert_false(alerts_next(fixture->alerts, alert.id, &alert));
}

static void trying_out_ids_becomes_an_alert(void **state)
{
    struct fixture *fixture = *state;
    char name[32];
    for (int i = 0; i < 200; i++) /* the same few names again and again are no search */
        alerts_observe_missing(fixture->alerts, 1001, i % 2 ? "desktop.pdf" : "folder.pdf");
    assert_int_equal(fixture->told, 0);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "T-%04d.pdf", i);
        alerts_observe_missing(fixture->alerts, 1002, name);
    }
    assert_int_equal(fixture->told, 1);
    assert_int_equal(fixture->last.kind, ALERT_ENUMERATION);
    assert_string_equal(fixture->last.subject, "uid 1002");
    for (int i = 0; i < 40; i++) { /* refused ones count as well */
        snprintf(name, sizeof name, "T-%04d.pdf", i);
        observe(fixture, AUDIT_LOOKUP, AUDIT_DENIED, 1003, name, "none", "not_reader");
    }
    assert_true(raised(fixture, ALERT_ENUMERATION) >= 2);
}

static void many_opens_become_an_alert(void **state)
{
    struct fixture *fixture = *state;
    for (uid_t uid = 2000; uid < 2100; uid++) /* of many users: no */
        observe(fixture, AUDIT_OPEN, AUDIT_OK, uid, "A.pdf", "reader", "affair");
    for (int i = 0; i < 99; i++)
        observe(fixture, AUDIT_OPEN, AUDIT_OK, 1001, "A.pdf", "reader", "affair");
    assert_int_equal(fixture->told, 0);
    observe(fixture, AUDIT_OPEN, AUDIT_OK, 1001, "A.pdf", "reader", "affair");
    assert_int_equal(fixture->told, 1);
    assert_int_equal(fixture->last.kind, ALERT_VOLUME);
}

static void single_events_that_are_alerts(void **state)
{
    struct fixture *fixture = *state;
    observe(fixture, AUDIT_OPEN, AUDIT_DENIED, 1001, "A.pdf", "none", "out_of_hours");
    assert_int_equal(fixture->last.kind, ALERT_OUT_OF_HOURS);
    observe(fixture, AUDIT_LOOKUP, AUDIT_DENIED, 0, "A.pdf", "root", "root_excluded");
    assert_int_equal(raised(fixture, ALERT_ROOT_ACCESS), 0); /* ls as root is none */
    observe(fixture, AUDIT_OPEN, AUDIT_DENIED, 0, "A.pdf", "scanner", "scanner_excluded");
    assert_int_equal(raised(fixture, ALERT_ROOT_ACCESS), 0);
    observe(fixture, AUDIT_OPEN, AUDIT_DENIED, 0, "A.pdf", "root", "root_excluded");
    assert_int_equal(fixture->last.kind, ALERT_ROOT_ACCESS);
    assert_int_equal(fixture->last.severity, ALERT_NOTICE);

    struct audit_event event = {.kind = AUDIT_CLOCK, .reason = "synchronised"};
    alerts_observe(fixture->alerts, &event, 0);
    assert_int_equal(raised(fixture, ALERT_CLOCK), 0);
    event.reason = "unsynchronised";
    alerts_observe(fixture->alerts, &event, 0);
    assert_int_equal(raised(fixture, ALERT_CLOCK), 1);
    event = (struct audit_event){.kind = AUDIT_CLOCK,
                                 .result = AUDIT_FAILED,
                                 .reason = "jump",
                                 .detail = {{"milliseconds", "-5000"}}};
    alerts_observe(fixture->alerts, &event, 0);
    assert_int_equal(raised(fixture, ALERT_CLOCK), 2);

    event = (struct audit_event){.kind = AUDIT_OPEN};
    alerts_observe(fixture->alerts, &event, -ENOSPC);
    assert_int_equal(fixture->last.kind, ALERT_AUDIT);
    assert_int_equal(fixture->last.severity, ALERT_CRITICAL);
    event = (struct audit_event){.kind = AUDIT_CHECKPOINT, .result = AUDIT_FAILED, .error = EIO};
    alerts_observe(fixture->alerts, &event, 0);
    assert_int_equal(raised(fixture, ALERT_AUDIT), 2);

    event = (struct audit_event){.kind = AUDIT_VERDICT, .result = AUDIT_FAILED};
    for (int i = 0; i < 4; i++)
        alerts_observe(fixture->alerts, &event, 0);
    assert_int_equal(raised(fixture, ALERT_VERIFICATION), 0);
    alerts_observe(fixture->alerts, &event, 0);
    assert_int_equal(raised(fixture, ALERT_VERIFICATION), 1);
    event.result = AUDIT_OK;
    alerts_observe(fixture->alerts, &event, 0);
    assert_int_equal(raised(fixture, ALERT_VERIFICATION), 1);

    /* An alert that cannot be recorded raises no alert about that. */
    event = (struct audit_event){.kind = AUDIT_ALERT};
    alerts_observe(fixture->alerts, &event, -ENOSPC);
    assert_int_equal(raised(fixture, ALERT_AUDIT), 2);
}

static void the_list_is_kept_and_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    alerts_raise(fixture->alerts, ALERT_CRITICAL, ALERT_STORE, "store", "act\nnow",
                 "100%% \x01 \"x\"");
    alerts_raise(fixture->alerts, ALERT_NOTICE, ALERT_LINK, "link", "wait", "%s", "slow");
    assert_int_equal(fixture->told, 2);
    assert_int_equal(alerts_acknowledge(fixture->alerts, 1, 77), 0);
    assert_int_equal(alerts_acknowledge(fixture->alerts, 1, 77), -EALREADY);
    assert_int_equal(alerts_acknowledge(fixture->alerts, 99, 77), -ENOENT);

    alerts_free(fixture->alerts);
    assert_int_equal(alerts_new(fixture->dir.fd, &fixture->config, hook, fixture, &fixture->alerts),
                     0);
    struct alert alert;
    assert_true(alerts_next(fixture->alerts, 0, &alert));
    assert_true(alert.acknowledged);
    assert_int_equal(alert.acknowledged_by, 77);
    assert_string_equal(alert.text, "100%   \"x\"");
    assert_string_equal(alert.action, "act now");
    assert_true(alerts_next(fixture->alerts, 1, &alert));
    assert_false(alert.acknowledged);
    assert_false(alerts_next(fixture->alerts, 2, &alert));
    struct alerts_counts counts;
    alerts_counts(fixture->alerts, &counts);
    assert_int_equal(counts.open[ALERT_CRITICAL], 0);
    assert_int_equal(counts.open[ALERT_NOTICE], 1);

    /* Still quiet after the restart; an acknowledged one that comes again is new. */
    alerts_raise(fixture->alerts, ALERT_NOTICE, ALERT_LINK, "link", "wait", "slow");
    assert_int_equal(fixture->told, 2);
    alerts_raise(fixture->alerts, ALERT_CRITICAL, ALERT_STORE, "store", "act", "again");
    assert_int_equal(fixture->told, 3);
    assert_int_equal(fixture->last.id, 3);
}

static void the_list_and_the_telling_have_ceilings(void **state)
{
    struct fixture *fixture = *state;
    char subject[32];
    for (int i = 0; i < ALERTS_MAX + 50; i++) {
        snprintf(subject, sizeof subject, "subject %d", i);
        alerts_raise(fixture->alerts, ALERT_WARNING, ALERT_LINK, subject, "a", "t");
        if (i == 5)
            assert_int_equal(alerts_acknowledge(fixture->alerts, 6, 0), 0);
    }
    assert_int_equal(fixture->told, 60);
    struct alerts_counts counts;
    alerts_counts(fixture->alerts, &counts);
    assert_int_equal(counts.untold, ALERTS_MAX + 50 - 60);
    assert_int_equal(counts.open[ALERT_WARNING], ALERTS_MAX);
    struct alert alert = {0};
    int count = 0;
    for (; alerts_next(fixture->alerts, alert.id, &alert); count++)
        assert_int_not_equal(alert.id, 6);
    assert_int_equal(count, ALERTS_MAX);
    assert_int_equal(alert.id, ALERTS_MAX + 50);

    alerts_free(fixture->alerts); /* a full list is read back */
    assert_int_equal(alerts_new(fixture->dir.fd, &fixture->config, hook, fixture, &fixture->alerts),
                     0);
    alerts_counts(fixture->alerts, &counts);
    assert_int_equal(counts.open[ALERT_WARNING], ALERTS_MAX);
}

static void a_damaged_list_is_put_aside(void **state)
{
    struct fixture *fixture = *state;
    static const char *const texts[] = {"", "{}x", "[{}]", "[1]", "[", "[{\"id\":1}]"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        fixture->alerts = alerts_free(fixture->alerts);
        assert_int_equal(scratch_write(fixture->dir.fd, "alerts", texts[i], strlen(texts[i])), 0);
        assert_int_equal(
            alerts_new(fixture->dir.fd, &fixture->config, hook, fixture, &fixture->alerts), 0);
        struct alert alert;
        assert_true(alerts_next(fixture->alerts, 0, &alert));
        assert_int_equal(alert.kind, ALERT_DISK);
        assert_false(alerts_next(fixture->alerts, alert.id, &alert));
    }
}

static void a_message_to_the_hook_is_checked(void **state)
{
    (void)state;
    const struct alert_message good = {.alert = {.subject = "s", .text = "t", .action = "a"}};
    struct alert_message bad;
    assert_true(alert_message_valid(&good));
#define REFUSED(change)                                                                            \
    bad = good;                                                                                    \
    change;                                                                                        \
    assert_false(alert_message_valid(&bad))
    REFUSED(bad.alert.severity = ALERT_SEVERITY_COUNT);
    REFUSED(bad.alert.kind = ALERT_KIND_COUNT);
    REFUSED(memset(bad.alert.subject, 'x', ALERT_SUBJECT_SIZE));
    REFUSED(memset(bad.alert.text, 'x', ALERT_TEXT_SIZE));
    REFUSED(memset(bad.alert.action, 'x', ALERT_TEXT_SIZE));
    REFUSED(bad.alert.text[0] = '\n');
    REFUSED(bad.alert.subject[0] = '\x1b');
    REFUSED(bad.alert.action[0] = '\x7f');
#undef REFUSED
}

static void alerts_are_in_the_trail(void **state)
{
    struct fixture *fixture = *state;
    struct config_audit config = trail_config();
    struct audit *audit = NULL;
    assert_int_equal(audit_open(fixture->dir.fd, &config, alerts_observe, fixture->alerts, &audit),
                     0);
    alerts_set_audit(fixture->alerts, audit);
    struct caller root;
    caller_of_groups(0, 0, NULL, 0, &root);
    const struct audit_event event = {.kind = AUDIT_OPEN,
                                      .result = AUDIT_DENIED,
                                      .caller = &root,
                                      .name = "A.pdf",
                                      .role = "root"};
    assert_int_equal(audit_write(audit, &event), 0);
    assert_int_equal(audit_write(audit, &event), 0);
    alerts_set_audit(fixture->alerts, NULL);
    audit_close(audit);
    struct trail_check check;
    assert_int_equal(trail_check_files(fixture->dir.fd, &check), 0);
    assert_string_equal(check.faults, "");
    assert_int_equal(check.verified.records, 1 + 2 + 1);
    char text[8192];
    ssize_t size =
        scratch_read(fixture->dir.fd, "audit/trail-00000001.jsonl", text, sizeof text - 1);
    assert_true(size > 0);
    text[size] = '\0';
    assert_non_null(strstr(text, "\"kind\":\"alert\",\"reason\":\"root_access\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(denials_become_an_alert),           TEST(trying_out_ids_becomes_an_alert),
        TEST(many_opens_become_an_alert),        TEST(single_events_that_are_alerts),
        TEST(the_list_is_kept_and_acknowledged), TEST(the_list_and_the_telling_have_ceilings),
        TEST(a_damaged_list_is_put_aside),       cmocka_unit_test(a_message_to_the_hook_is_checked),
        TEST(alerts_are_in_the_trail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
