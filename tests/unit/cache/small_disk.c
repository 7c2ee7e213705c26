/* See store_fixture.h. */
#include "store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

/* <ext4.h> is not installed: EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. */
#define SHUTDOWN_REQUEST _IOR('X', 125, uint32_t)
enum { SHUTDOWN_NO_LOG_FLUSH = 2 };

static int home_fd = -1;
static char place[] = "small-disk-XXXXXX"; /* other tests have theirs beside it */

static bool attach(void)
{
    return system("mount -o loop small-disk.img small-disk") == 0;
}

static void remove_all(void)
{
    umount("small-disk");
    rmdir("small-disk");
    unlink("small-disk.img");
    if (chdir("..") == 0)
        rmdir(place);
}

static bool make(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        print_message("not tested: a small disk needs root and mount namespaces\n");
        return false;
    }
    if (!mkdtemp(place) || chdir(place) < 0)
        return false;
    if (mkdir("small-disk", 0700) == 0 &&
        system("truncate -s 24M small-disk.img && mkfs.ext4 -q -F -m 0 small-disk.img") == 0 &&
        attach() && mkdir("small-disk/in", 0700) == 0)
        return true;
    print_message("not tested: no loop device or no mkfs.ext4\n");
    remove_all();
    return false;
}

bool small_disk_enter(void)
{
    if (!make())
        return false;
    /* In the new namespace: a directory of the old one does not see the mount. */
    home_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(home_fd >= 0);
    assert_int_equal(chdir("small-disk/in"), 0);
    return true;
}

void small_disk_cut(void)
{
    uint32_t flags = SHUTDOWN_NO_LOG_FLUSH;
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (ioctl(fd, SHUTDOWN_REQUEST, &flags) < 0)
        fail_msg("EXT4_IOC_SHUTDOWN: %s", strerror(errno));
    close(fd);
}

void small_disk_reboot(void)
{
    assert_int_equal(fchdir(home_fd), 0);
    if (umount("small-disk") < 0)
        fail_msg("umount: %s", strerror(errno));
    assert_true(attach());
    assert_int_equal(chdir("small-disk/in"), 0);
}

int small_disk_image(void)
{
    return openat(home_fd, "small-disk.img", O_RDONLY | O_CLOEXEC);
}

void small_disk_leave(void)
{
    assert_int_equal(fchdir(home_fd), 0);
    close(home_fd);
    remove_all();
}
