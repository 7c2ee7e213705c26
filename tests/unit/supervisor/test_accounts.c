/* Whom the rooms become; needs root, since others change no user. */
#include "fs/supervisor_accounts.h"

#include "fs/supervisor_exit.h"
#include "scratch_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct config *with(const char *mount, const char *link, const char *verify,
                           const char *keys, const char *group)
{
    static struct config config;
    memset(&config, 0, sizeof config);
    strcpy(config.users.mount, mount);
    strcpy(config.users.link, link);
    strcpy(config.users.verify, verify);
    strcpy(config.users.keys, keys);
    strcpy(config.users.schema, "63005");
    strcpy(config.mount.control_group, group);
    return &config;
}

static int find(struct scratch *scratch, const struct config *config,
                struct supervisor_accounts *accounts)
{
    scratch->mistakes[0] = '\0';
    return supervisor_accounts_find(config, "c", scratch_note, scratch, accounts);
}

static void numbers_and_names(void **state)
{
    struct scratch *scratch = *state;
    struct supervisor_accounts accounts;
    if (geteuid() != 0)
        skip();
    assert_int_equal(find(scratch, with("63001", "63002", "63003", "daemon", "63009"), &accounts),
                     0);
    assert_true(accounts.rooms[ROOM_MOUNT].change);
    assert_int_equal(accounts.rooms[ROOM_MOUNT].uid, 63001);
    assert_int_equal(accounts.rooms[ROOM_MOUNT].gid, 63001);
    assert_int_equal(accounts.rooms[ROOM_KEYS].uid, 1);
    assert_int_equal(accounts.control_group, 63009);
    assert_int_equal(find(scratch, with("1", "2", "3", "4", ""), &accounts), 0);
    assert_int_equal(accounts.control_group, 0);
}

static void bad_accounts_are_refused(void **state)
{
    struct scratch *scratch = *state;
    static const struct {
        const char *mount, *link, *verify, *keys, *group, *words;
    } cases[] = {
        {"1", "2", "3", "no-such-user-x", "", "[users] keys: there is no user no-such-user-x"},
        {"0", "2", "3", "4", "", "[users] mount: 0 is root"},
        {"root", "2", "3", "4", "", "[users] mount: root is root"},
        {"00", "2", "3", "4", "", "is root"},
        {"1", "1", "3", "4", "", "mount and link share uid 1"},
        {"1", "2", "3", "daemon", "", "mount and keys share uid 1"},
        {"1", "2", "3", "63005", "", "keys and schema share uid 63005"},
        {"1", "2", "3", "4294967295", "", "there is no user 4294967295"},
        {"1", "2", "3", "4294967296", "", "there is no user"},
        {"1", "2", "3", "-1", "", "there is no user"},
        {"1", "2", "3", "1K", "", "there is no user"},
        {"1", "2", "3", "4", "no-such-group-x", "there is no group"},
        {"1", "2", "3", "4", "4294967295", "there is no group"},
    };
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct supervisor_accounts accounts = {.control_group = 77};
        const struct config *config =
            with(cases[i].mount, cases[i].link, cases[i].verify, cases[i].keys, cases[i].group);
        assert_int_equal(find(scratch, config, &accounts), EXIT_CONFIG);
        assert_int_equal(accounts.control_group, 77);
        if (!strstr(scratch->mistakes, cases[i].words))
            fail_msg("\"%s\" lacks \"%s\"", scratch->mistakes, cases[i].words);
    }
}

#define ACCOUNT_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_open, scratch_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCOUNT_TEST(numbers_and_names),
        ACCOUNT_TEST(bad_accounts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
