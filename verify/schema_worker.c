/*
 * Asking the XSD 1.1 process, and starting it for programs that have no supervisor.
 */
#include "verify/schema_worker.h"

#include "base/ipc.h"
#include "base/memfd.h"
#include "verify/schema_confine.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { NOBODY = 65534, MEMORY_MAX = 1024 * 1024 * 1024 };

struct schema_worker {
    char *program;
    int timeout_ms;
    int fd; /* -1 = not running */
    pid_t pid;
    uint64_t next_id;
    struct schema_hook hook;
};

static int take_reply(const struct ipc_message *message, uint64_t id,
                      struct schema_answer *ret_answer)
{
    struct schema_reply reply;

    if (message->type != SCHEMA_REPLY || message->id != id)
        return -EBADMSG;
    int r = ipc_message_take(message, &reply, sizeof reply, 0);
    if (r < 0)
        return r;
    if (reply.outcome < SCHEMA_VALID || reply.outcome > SCHEMA_REFUSED ||
        !memchr(reply.text, '\0', sizeof reply.text))
        return -EBADMSG;
    ret_answer->outcome = (enum schema_outcome)reply.outcome;
    memcpy(ret_answer->text, reply.text, sizeof ret_answer->text);
    return 0;
}

int schema_worker_ask(int fd, uint64_t id, struct bytes schemas, struct bytes document,
                      int timeout_ms, struct schema_answer *ret_answer)
{
    struct schema_request request;
    _cleanup_close_ int document_fd = -1, bundle_fd = -1;
    _cleanup_free_ struct ipc_message *message = malloc(sizeof *message);

    if (!message)
        return -ENOMEM;
    int r = sha256(schemas.data, schemas.size, request.bundle_sha256);
    if (r == 0)
        r = memfd_of("schema-document", document.data, document.size, &document_fd);
    if (r == 0)
        r = memfd_of("schema-bundle", schemas.data, schemas.size, &bundle_fd);
    if (r < 0)
        return r;
    int fds[] = {document_fd, bundle_fd};
    r = ipc_send(fd, SCHEMA_REQUEST, id, &request, sizeof request, fds, 2);
    if (r == 0)
        r = ipc_receive_timeout(fd, timeout_ms, message);
    if (r < 0)
        return r;
    if (r == IPC_CLOSED)
        return -EPIPE;
    r = take_reply(message, id, ret_answer);
    ipc_message_done(message);
    return r;
}

/* In the child, between fork and exec: only system calls. */

/* An administrator's kosekictl must not lend root to Python. */
static bool drop_root(void)
{
    return geteuid() != 0 || (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                              setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

/* Descriptors: 3 the socket, 4 the program, which nobody's path may not lead to. */
_Noreturn static void child_run(const char *program, int fd)
{
    char *const environment[] = {(char[]){"PATH=/usr/bin"}, (char[]){"LC_ALL=C.UTF-8"},
                                 (char[]){"TZ=UTC0"}, NULL};
    char *const arguments[] = {(char[]){SCHEMA_PYTHON}, (char[]){"-I"}, (char[]){"-B"},
                               (char[]){"/dev/fd/4"}, NULL};
    struct confine_report level;
    int null_fd = open("/dev/null", O_RDWR), program_fd = open(program, O_RDONLY);

    /* Out of the way first: they may be among the numbers to be given. */
    null_fd = fcntl(null_fd, F_DUPFD, 16);
    program_fd = fcntl(program_fd, F_DUPFD, 16);
    fd = fcntl(fd, F_DUPFD, 16);
    if (null_fd < 0 || program_fd < 0 || fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
        dup2(null_fd, 2) < 0 || dup2(fd, SCHEMA_SOCKET_FD) < 0 ||
        dup2(program_fd, SCHEMA_PROGRAM_FD) < 0 || close_range(SCHEMA_PROGRAM_FD + 1, ~0U, 0) < 0)
        _exit(127);
    schema_confine_network();
    /* PDEATHSIG is reset when the user changes, so it comes last. */
    if (!drop_root() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        _exit(127);
    confine_foresee_program(LANDLOCK_ABI_FULL, &level);
    if (schema_confine(MEMORY_MAX, &level) < 0)
        _exit(127);
    execve(SCHEMA_PYTHON, arguments, environment);
    _exit(127);
}

static int worker_start(struct schema_worker *worker)
{
    int pair[2];
    int r = ipc_pair(pair);

    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid == 0)
        child_run(worker->program, pair[1]);
    close(pair[1]);
    if (pid < 0) {
        r = -errno;
        close(pair[0]);
        return r;
    }
    worker->fd = pair[0];
    worker->pid = pid;
    return 0;
}

static void worker_stop(struct schema_worker *worker)
{
    if (worker->fd < 0)
        return;
    close(worker->fd);
    worker->fd = -1;
    kill(worker->pid, SIGKILL);
    while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int worker_validate(void *context, struct bytes schemas, struct bytes document,
                           struct schema_answer *ret_answer)
{
    struct schema_worker *worker = context;
    int r = worker->fd < 0 ? worker_start(worker) : 0;

    if (r == 0)
        r = schema_worker_ask(worker->fd, worker->next_id++, schemas, document, worker->timeout_ms,
                              ret_answer);
    if (r < 0)
        worker_stop(worker);
    return r;
}

struct schema_worker *schema_worker_new(const char *program, int timeout_ms)
{
    struct schema_worker *worker = calloc(1, sizeof *worker);

    if (!worker)
        return NULL;
    worker->program = strdup(program);
    if (!worker->program) {
        free(worker);
        return NULL;
    }
    worker->timeout_ms = timeout_ms;
    worker->fd = -1;
    worker->hook = (struct schema_hook){.validate = worker_validate, .context = worker};
    return worker;
}

/* schema_worker.py is installed with the daemon's programs; in a build directory it is below them.
 */
struct schema_worker *schema_worker_new_installed(int timeout_ms)
{
    char path[PATH_MAX], self[PATH_MAX - 32];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

    if (size > 0) {
        self[size] = '\0';
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
        snprintf(path, sizeof path, "%s/verify/schema_worker.py", self);
        if (access(path, R_OK) == 0)
            return schema_worker_new(path, timeout_ms);
    }
    return schema_worker_new(KOSEKIFS_LIBEXECDIR "/schema_worker.py", timeout_ms);
}

struct schema_worker *schema_worker_free(struct schema_worker *worker)
{
    if (worker) {
        worker_stop(worker);
        free(worker->program);
        free(worker);
    }
    return NULL;
}

const struct schema_hook *schema_worker_hook(struct schema_worker *worker)
{
    return &worker->hook;
}
