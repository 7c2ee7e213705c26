/* Grants: kept over a restart, void for who got the uid later, refused when the file is damaged. */
#include "fs/grants.h"

#include "scratch_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

/* The machine's users, as the test wants them. */
struct users {
    const char *name_of_1001; /* NULL: no such user */
    int asked;
};

static int user_name(void *context, uid_t uid, char *out, size_t out_size)
{
    struct users *users = context;
    users->asked++;
    if (uid != 1001 || !users->name_of_1001)
        return -ENOENT;
    snprintf(out, out_size, "%s", users->name_of_1001);
    return 0;
}

static struct certname name_of(const char *text)
{
    struct certname name;
    assert_true(certname_parse(text, &name));
    return name;
}

static struct grant grant_of(const char *name)
{
    return (struct grant){.name = name_of(name),
                          .user = "yamada",
                          .uid = 1001,
                          .given_at_s = 100,
                          .given_by = 0,
                          .reason = "\xe7\x94\xb3\xe7\xab\x8b \"12\""};
}

static void grants_are_kept(void **state)
{
    (void)state;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    assert_int_equal(scratch_dir_open(&dir), 0);
    struct users users = {.name_of_1001 = "yamada"};
    _cleanup_grants_ struct grants *grants = NULL;
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    uint64_t first, second, third;
    struct grant grant = grant_of("A.pdf");
    assert_int_equal(grants_add(grants, &grant, &first), 0);
    grant = grant_of("B.xml");
    grant.until_s = 500;
    assert_int_equal(grants_add(grants, &grant, &second), 0);
    grant = grant_of("C.pdf");
    assert_int_equal(grants_add(grants, &grant, &third), 0);
    struct certname name = name_of("C.pdf");
    assert_int_equal(grants_revoke(grants, 1001, &name), 0);
    assert_int_equal(grants_revoke(grants, 1001, &name), -ENOENT);
    assert_int_equal(grants_revoke(grants, 1002, &(struct certname){"A.pdf"}), -ENOENT);

    grants = grants_close(grants);
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    struct grant found;
    bool is_void = true;
    assert_true(grants_next(grants, 0, &found, &is_void));
    assert_int_equal(found.id, first);
    assert_false(is_void);
    assert_string_equal(found.reason, "\xe7\x94\xb3\xe7\xab\x8b \"12\"");
    assert_true(grants_next(grants, first, &found, &is_void));
    assert_int_equal(found.id, second);
    assert_false(grants_next(grants, second, &found, &is_void));
    name = name_of("B.xml");
    assert_true(grants_find(grants, 1001, &name, 499, &found));
    assert_false(grants_find(grants, 1001, &name, 500, &found));
    uid_t uids[4];
    assert_int_equal(grants_users(grants, &name, 499, uids, 4), 1);
    assert_int_equal(grants_users(grants, &name, 499, uids, 0), 0);

    /* Ids are not given twice, also after a revocation and a restart. */
    grant = grant_of("C.pdf");
    assert_int_equal(grants_add(grants, &grant, &first), 0);
    assert_true(first > third);
    /* The same grant again replaces the first. */
    assert_int_equal(grants_add(grants, &grant, &second), 0);
    name = name_of("C.pdf");
    assert_int_equal(grants_revoke(grants, 1001, &name), 0);
    assert_false(grants_find(grants, 1001, &name, 0, &found));
}

static void a_uid_used_again_inherits_nothing(void **state)
{
    (void)state;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    assert_int_equal(scratch_dir_open(&dir), 0);
    struct users users = {.name_of_1001 = "yamada"};
    struct grants *grants = NULL;
    uint64_t id;
    struct grant grant = grant_of("A.pdf"), found;
    struct certname name = name_of("A.pdf");
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    assert_int_equal(grants_add(grants, &grant, &id), 0);
    assert_true(grants_find(grants, 1001, &name, 0, &found));
    int asked = users.asked;
    assert_true(grants_find(grants, 1001, &name, 0, &found)); /* not asked for each open */
    assert_int_equal(users.asked, asked);
    grants_close(grants);

    static const char *const names[] = {NULL, "suzuki", "", "yamada2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        users.name_of_1001 = names[i];
        assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
        assert_false(grants_find(grants, 1001, &name, 0, &found));
        uid_t uid;
        assert_int_equal(grants_users(grants, &name, 0, &uid, 1), 0);
        bool is_void = false;
        assert_true(grants_next(grants, 0, &found, &is_void));
        assert_true(is_void);
        grants_close(grants);
    }
}

static void wrong_grants_are_refused(void **state)
{
    (void)state;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    assert_int_equal(scratch_dir_open(&dir), 0);
    struct users users = {.name_of_1001 = "yamada"};
    _cleanup_grants_ struct grants *grants = NULL;
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    uint64_t id = 77;
    struct grant grant = grant_of("A.pdf");
    strcpy(grant.user, "suzuki");
    assert_int_equal(grants_add(grants, &grant, &id), -EINVAL);
    grant = grant_of("A.pdf");
    grant.uid = 1002;
    assert_int_equal(grants_add(grants, &grant, &id), -EINVAL);
    grant = grant_of("A.pdf");
    strcpy(grant.reason, "\xff");
    assert_int_equal(grants_add(grants, &grant, &id), -EINVAL);
    grant = grant_of("A.pdf");
    strcpy(grant.name.text, "../x");
    assert_int_equal(grants_add(grants, &grant, &id), -EINVAL);
    assert_int_equal(id, 77);
    struct grant found;
    bool is_void;
    assert_false(grants_next(grants, 0, &found, &is_void));
}

static void a_damaged_file_is_not_half_believed(void **state)
{
    (void)state;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    assert_int_equal(scratch_dir_open(&dir), 0);
    struct users users = {.name_of_1001 = "yamada"};
    struct grants *grants = NULL;
    uint64_t id;
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    struct grant grant = grant_of("A.pdf");
    assert_int_equal(grants_add(grants, &grant, &id), 0);
    grant = grant_of("B.pdf");
    assert_int_equal(grants_add(grants, &grant, &id), 0);
    grants = grants_close(grants);

    char file[4096];
    ssize_t size = scratch_read(dir.fd, "grants", file, sizeof file);
    assert_true(size > 100);
    for (ssize_t cut = 0; cut < size; cut++) {
        assert_int_equal(scratch_write(dir.fd, "grants", file, (size_t)cut), 0);
        assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), -EBADMSG);
    }
    static const char *const texts[] = {
        "\n",
        "{}\n",
        "[]\n",
        "{\"grants\":1,\"next_id\":2}\n{}\n",
        "{\"grants\":4097,\"next_id\":2}\n",
        "{\"grants\":-1,\"next_id\":2}\n",
        "{\"grants\":0,\"next_id\":0}\n",
        "{\"grants\":0,\"next_id\":1}\nx",
        "{\"grants\":1,\"next_id\":2}\n{\"id\":2,\"name\":\"A.pdf\",\"user\":\"u\",\"uid\":1,"
        "\"given_at\":0,\"given_by\":0,\"until\":0,\"reason\":\"\"}\n",
        "{\"grants\":1,\"next_id\":3}\n{\"id\":2,\"name\":\"A.doc\",\"user\":\"u\",\"uid\":1,"
        "\"given_at\":0,\"given_by\":0,\"until\":0,\"reason\":\"\"}\n",
        "{\"grants\":1,\"next_id\":3}\n{\"id\":2,\"name\":\"A.pdf\",\"user\":\"u\",\"uid\":-1,"
        "\"given_at\":0,\"given_by\":0,\"until\":0,\"reason\":\"\"}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(scratch_write(dir.fd, "grants", texts[i], strlen(texts[i])), 0);
        assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), -EBADMSG);
    }
    assert_null(grants);
    assert_int_equal(scratch_write(dir.fd, "grants", file, (size_t)size), 0);
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    grants_close(grants);
}

static void there_is_a_ceiling(void **state)
{
    (void)state;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    assert_int_equal(scratch_dir_open(&dir), 0);
    static char file[GRANTS_MAX * 128];
    size_t used = (size_t)snprintf(file, sizeof file, "{\"grants\":%d,\"next_id\":%d}\n",
                                   GRANTS_MAX, GRANTS_MAX + 1);
    for (int i = 1; i <= GRANTS_MAX; i++)
        used += (size_t)snprintf(file + used, sizeof file - used,
                                 "{\"id\":%d,\"name\":\"N%d.pdf\",\"user\":\"yamada\",\"uid\":1001,"
                                 "\"given_at\":0,\"given_by\":0,\"until\":0,\"reason\":\"\"}\n",
                                 i, i);
    assert_int_equal(scratch_write(dir.fd, "grants", file, used), 0);
    struct users users = {.name_of_1001 = "yamada"};
    _cleanup_grants_ struct grants *grants = NULL;
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    struct grant grant = grant_of("One-more.pdf"), found;
    uint64_t id;
    assert_int_equal(grants_add(grants, &grant, &id), -ENOSPC);
    struct certname name = name_of("N4096.pdf");
    assert_true(grants_find(grants, 1001, &name, 0, &found));
    assert_int_equal(grants_revoke(grants, 1001, &name), 0);
    assert_int_equal(grants_add(grants, &grant, &id), 0);
}

/* All but the last step of writing works: the descriptor only names the directory. */
static void a_failure_does_not_come_with_the_next_start(void **state)
{
    (void)state;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    struct users users = {.name_of_1001 = "yamada"};
    struct grants *grants = NULL;
    struct grant grant = grant_of("A.pdf"), found;
    struct certname name = name_of("A.pdf");
    uint64_t id;
    assert_int_equal(scratch_dir_open(&dir), 0);
    _cleanup_close_ int named = open(dir.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(grants_open(named, user_name, &users, &grants), 0);
    assert_int_equal(grants_add(grants, &grant, &id), -EBADF);
    assert_false(grants_find(grants, 1001, &name, 0, &found));
    grants_close(grants);
    assert_int_equal(grants_open(dir.fd, user_name, &users, &grants), 0);
    assert_false(grants_find(grants, 1001, &name, 0, &found));
    grants_close(grants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_are_kept),
        cmocka_unit_test(a_uid_used_again_inherits_nothing),
        cmocka_unit_test(wrong_grants_are_refused),
        cmocka_unit_test(a_damaged_file_is_not_half_believed),
        cmocka_unit_test(there_is_a_ceiling),
        cmocka_unit_test(a_failure_does_not_come_with_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
