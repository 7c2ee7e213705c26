/* A sealed file changes no more; anything else is refused. */
#include "base/memfd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <cmocka.h>

static void sealed_bytes_are_read_back(void **state)
{
    (void)state;
    _cleanup_close_ int fd = -1;
    _cleanup_mapping_ struct mapping mapping = {0};
    assert_int_equal(memfd_of("test", "koseki", 6, &fd), 0);
    assert_int_equal(mapping_open(fd, 6, &mapping), 0);
    assert_int_equal(mapping.size, 6);
    assert_memory_equal(mapping.data, "koseki", 6);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void empty_file_has_a_pointer(void **state)
{
    (void)state;
    _cleanup_close_ int fd = -1;
    _cleanup_mapping_ struct mapping mapping = {0};
    assert_int_equal(memfd_of("test", NULL, 0, &fd), 0);
    assert_int_equal(mapping_open(fd, 0, &mapping), 0);
    assert_int_equal(mapping.size, 0);
    assert_non_null(mapping.data);
}

static void sealed_file_cannot_change(void **state)
{
    (void)state;
    _cleanup_close_ int fd = -1;
    assert_int_equal(memfd_of("test", "x", 1, &fd), 0);
    assert_int_equal(pwrite(fd, "y", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 2), -1);
    assert_ptr_equal(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(memfd_seal(fd), -EPERM);
}

static void unsealed_and_half_sealed_are_refused(void **state)
{
    (void)state;
    static const int partial[] = {
        0,
        F_SEAL_WRITE,
        F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK,
        F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
    };
    for (size_t i = 0; i < sizeof partial / sizeof partial[0]; i++) {
        _cleanup_close_ int fd = -1;
        size_t size = 77;
        struct mapping mapping = {0};
        assert_int_equal(memfd_new("test", &fd), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, partial[i]), 0);
        assert_int_equal(memfd_check_sealed(fd, 100, &size), -EPERM);
        assert_int_equal(mapping_open(fd, 100, &mapping), -EPERM);
        assert_int_equal(size, 77);
    }
}

static void other_kinds_of_files_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"/dev/null", "/", "/proc/self/exe"};
    size_t size;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        _cleanup_close_ int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(memfd_check_sealed(fd, SIZE_MAX, &size), -EPERM);
    }
    assert_int_equal(memfd_check_sealed(-1, SIZE_MAX, &size), -EPERM);
}

static void too_large_is_refused(void **state)
{
    (void)state;
    _cleanup_close_ int fd = -1;
    size_t size;
    struct mapping mapping = {0};
    assert_int_equal(memfd_of("test", "abc", 3, &fd), 0);
    assert_int_equal(memfd_check_sealed(fd, 2, &size), -EFBIG);
    assert_int_equal(mapping_open(fd, 2, &mapping), -EFBIG);
    assert_int_equal(memfd_check_sealed(fd, 3, &size), 0);
}

static void writable_mapping_prevents_sealing(void **state)
{
    (void)state;
    _cleanup_close_ int fd = -1;
    assert_int_equal(memfd_new("test", &fd), 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    void *held = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(held, MAP_FAILED);
    assert_int_equal(memfd_seal(fd), -EBUSY);
    size_t size;
    assert_int_equal(memfd_check_sealed(fd, 4096, &size), -EPERM);
    munmap(held, 4096);
    assert_int_equal(memfd_seal(fd), 0);
    assert_int_equal(memfd_check_sealed(fd, 4096, &size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_bytes_are_read_back),
        cmocka_unit_test(empty_file_has_a_pointer),
        cmocka_unit_test(sealed_file_cannot_change),
        cmocka_unit_test(unsealed_and_half_sealed_are_refused),
        cmocka_unit_test(other_kinds_of_files_are_refused),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(writable_mapping_prevents_sealing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
