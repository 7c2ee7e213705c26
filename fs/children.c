/* Fork, shed everything that is not the child's, exec; see fs/children.h. */
#include "fs/children.h"

#include "base/clock.h"
#include "base/log.h"
#include "verify/schema_confine.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { FIRST_FREE_FD = ROOM_FD + 1, SAFE_FD = 10, SCHEMA_MEMORY_MAX = 512 * 1024 * 1024 };

_Static_assert((int)SCHEMA_SOCKET_FD == (int)ROOM_FD, "one place for a child's connection");

/* What the child says through a pipe when it cannot become its program. */
struct start_failure {
    int error;
    char step[48];
};

void child_init(struct child *child, enum room_role role, uint32_t index)
{
    *child = (struct child){.role = role, .index = index, .room_fd = -1};
}

const char *child_name(const struct child *child)
{
    static char name[48];
    if (child->role == ROOM_VERIFY || child->role == ROOM_SCHEMA)
        snprintf(name, sizeof name, "kosekifs-%s[%u]", room_role_name(child->role), child->index);
    else
        snprintf(name, sizeof name, "kosekifs-%s", room_role_name(child->role));
    return name;
}

/* Of the programs, and of the schema process's script. */
bool child_find_program(enum room_role role, const char *program_directory, char out[PATH_MAX])
{
    char self[PATH_MAX], name[48];
    bool script = role == ROOM_SCHEMA;
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (script)
        snprintf(name, sizeof name, "schema_worker.py");
    else
        snprintf(name, sizeof name, "kosekifs-%s", room_role_name(role));
    if (size > 0) {
        self[size] = '\0';
        *strrchr(self, '/') = '\0';
        int length = snprintf(out, PATH_MAX, "%s/%s%s", self, script ? "verify/" : "", name);
        if (length < PATH_MAX && access(out, script ? R_OK : X_OK) == 0)
            return true;
    }
    int length = snprintf(out, PATH_MAX, "%s/%s", program_directory, name);
    return length < PATH_MAX && access(out, script ? R_OK : X_OK) == 0;
}

_Noreturn static void give_up(int failure_fd, const char *step)
{
    struct start_failure failure = {.error = errno};
    snprintf(failure.step, sizeof failure.step, "%s", step);
    ssize_t written = write(failure_fd, &failure, sizeof failure);
    _exit(written < 0 ? 127 : 126);
}

/* Leaves CAP_DAC_READ_SEARCH (or nothing) until exec, which drops it: a checkout below /root can
 * then be executed by users who may not walk there. */
static int keep_search_only(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    uint32_t kept = data[0].permitted & (1u << CAP_DAC_READ_SEARCH);
    memset(data, 0, sizeof data);
    data[0].permitted = kept;
    data[0].effective = kept;
    return (int)syscall(SYS_capset, &header, data);
}

static void become(const struct child_identity *identity, int failure_fd)
{
    if (!identity->change)
        return;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) < 0)
        give_up(failure_fd, "change user and group");
    if (keep_search_only() < 0)
        give_up(failure_fd, "drop capabilities");
}

/* 0, 1, 2 and ROOM_FD become ours; everything else closes with exec. */
static void arrange_descriptors(int room_fd, int log_fd, int *failure_fd)
{
    int room = fcntl(room_fd, F_DUPFD_CLOEXEC, SAFE_FD);
    int log = fcntl(log_fd, F_DUPFD_CLOEXEC, SAFE_FD);
    int failure = fcntl(*failure_fd, F_DUPFD_CLOEXEC, SAFE_FD);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (room < 0 || log < 0 || failure < 0 || null < 0)
        give_up(*failure_fd, "open descriptors");
    *failure_fd = failure;
    if (dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0 || dup2(room, ROOM_FD) < 0 ||
        close_range(FIRST_FREE_FD, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        give_up(failure, "arrange descriptors");
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
}

/* Between becoming its user and exec. */
static void confine_schema(const struct confine_report *level, int failure_fd)
{
    /* Stopped, it would not see that its socket is closed. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        give_up(failure_fd, "end with the supervisor");
    if (schema_confine(SCHEMA_MEMORY_MAX, level) < 0)
        give_up(failure_fd, "lock it in");
}

/* The script is opened before the user changes. */
static void arrange_script(const char *path, int failure_fd)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0 || (fd != SCHEMA_PROGRAM_FD && (dup2(fd, SCHEMA_PROGRAM_FD) < 0 || close(fd) < 0)))
        give_up(failure_fd, "open its program");
    schema_confine_network();
}

_Noreturn static void run_program(const struct child *child, const char *path,
                                  const struct child_identity *identity, int room_fd, int log_fd,
                                  int failure_fd)
{
    enum room_role role = child->role;
    char *const room[] = {strrchr(path, '/') + 1, NULL};
    char python[] = SCHEMA_PYTHON, isolated[] = "-I", unwritten[] = "-B", script[] = "/dev/fd/4";
    char *const schema[] = {python, isolated, unwritten, script, NULL};
    char journal[128];
    /* Children log through the same descriptor: they must know if the journal is at its end. */
    const char *stream = getenv("JOURNAL_STREAM");
    snprintf(journal, sizeof journal, "JOURNAL_STREAM=%.100s", stream ? stream : "");
    char path_variable[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char zone[] = "TZ=UTC0"; /* else the C library looks for /etc/localtime */
    char language[] = "LANG=C.UTF-8";
    char *const environment[] = {path_variable, zone, language, stream ? journal : NULL, NULL};
    const struct rlimit no_core = {0};

    arrange_descriptors(room_fd, log_fd, &failure_fd);
    /* A session of its own: Ctrl-C reaches the supervisor alone, who ends things in order. */
    if (setsid() < 0 || chdir("/") < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
        give_up(failure_fd, "leave the session");
    umask(077);
    if (role == ROOM_SCHEMA)
        arrange_script(path, failure_fd);
    become(identity, failure_fd);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        give_up(failure_fd, "forbid new privileges");
    reset_signals();
    if (role == ROOM_SCHEMA)
        confine_schema(&child->report, failure_fd);
    execve(role == ROOM_SCHEMA ? python : path, role == ROOM_SCHEMA ? schema : room, environment);
    give_up(failure_fd, "execute the program");
}

/* Nothing comes if exec succeeded, since that closes the pipe. */
static int await_exec(const struct child *child, int failure_fd)
{
    struct start_failure failure;
    ssize_t size;
    do
        size = read(failure_fd, &failure, sizeof failure);
    while (size < 0 && errno == EINTR);
    if (size != (ssize_t)sizeof failure)
        return 0;
    log_error("%s cannot be started: %.48s: %s", child_name(child), failure.step,
              strerror(failure.error));
    return failure.error > 0 ? -failure.error : -EIO;
}

int child_start(struct child *child, const struct child_identity *identity,
                const char *program_directory, int log_fd)
{
    char path[PATH_MAX];
    if (!child_find_program(child->role, program_directory, path)) {
        log_error("%s is neither beside kosekifs nor in %s", child_name(child), program_directory);
        return -ENOENT;
    }

    int room[2] = {-1, -1};
    int failure[2] = {-1, -1};
    int r = ipc_pair(room);
    /* That of a schema process goes to a verify worker, who waits on it. */
    int flags = child->role == ROOM_SCHEMA ? 0 : O_NONBLOCK;
    if (r == 0 && (fcntl(room[0], F_SETFL, flags) < 0 || pipe2(failure, O_CLOEXEC) < 0))
        r = -errno;
    _cleanup_close_ int ours = room[0];
    _cleanup_close_ int theirs = room[1];
    _cleanup_close_ int failure_read = failure[0];
    _cleanup_close_ int failure_write = failure[1];
    pid_t pid = r < 0 ? -1 : fork();
    if (pid < 0) {
        r = r < 0 ? r : -errno;
        log_error("%s cannot be started: %s", child_name(child), strerror(-r));
        return r;
    }
    if (pid == 0)
        run_program(child, path, identity, theirs, log_fd, failure_write);

    cleanup_close(&failure_write);
    failure_write = -1;
    r = await_exec(child, failure_read);
    if (r < 0) {
        waitpid(pid, NULL, 0);
        return r;
    }
    child->pid = pid;
    child->room_fd = steal_fd(&ours);
    child->state = CHILD_STARTED;
    child->told = false;
    child->retired = false;
    child->condemned = false;
    child->started_ms = clock_monotonic_ms();
    return 0;
}

bool child_reap(struct child *child, int *ret_status)
{
    int status = 0;
    if (child->pid <= 0)
        return false;
    pid_t pid;
    do
        pid = waitpid(child->pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return false;
    cleanup_close(&child->room_fd);
    child->room_fd = -1;
    child->pid = 0;
    child->was_ready = child->state == CHILD_READY;
    child->state = CHILD_ABSENT;
    child->deadline_ms = 0;
    *ret_status = status;
    return true;
}

const char *child_status_text(int status)
{
    static char text[64];
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "ended by signal %d (%s)", WTERMSIG(status),
                 sigdescr_np(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "ended with status %d", WEXITSTATUS(status));
    return text;
}

void child_kill(struct child *child)
{
    if (child->pid > 0 && kill(child->pid, SIGKILL) == 0)
        child->condemned = true;
}
