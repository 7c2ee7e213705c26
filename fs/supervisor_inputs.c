/* See fs/supervisor_inputs.h. */
#include "fs/supervisor_inputs.h"

#include "base/log.h"
#include "base/memfd.h"
#include "fs/access_policy.h"
#include "fs/audit.h"
#include "fs/delivery.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_files.h"
#include "fs/supervisor_state.h"
#include "fs/trust_files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void supervisor_complain(void *context, const char *file, int line, const char *text)
{
    (void)context;
    if (line > 0)
        log_error("%s:%d: %s", file, line, text);
    else
        log_error("%s: %s", file, text);
}

int supervisor_read_trust(const struct config_trust *config, int *ret_fd)
{
    _cleanup_buffer_ struct buffer bundle = {0};
    int r = trust_files_read(config, supervisor_complain, NULL, &bundle);
    if (r == 0)
        r = memfd_of("trust", bundle.data, bundle.size, ret_fd);
    return r;
}

int supervisor_read_lists(const struct config_trust *config, int *ret_fd)
{
    _cleanup_buffer_ struct buffer bundle = {0};
    int r = trust_files_read_lists(config, supervisor_complain, NULL, &bundle);
    if (r == 0)
        r = memfd_of("revocation lists", bundle.data, bundle.size, ret_fd);
    return r;
}

int supervisor_read_policy(const char *path, int *ret_fd)
{
    _cleanup_free_ struct access_policy *policy = calloc(1, sizeof *policy);
    if (!policy)
        return -ENOMEM;
    int r = access_policy_read(path, supervisor_complain, NULL, policy);
    if (r == 0)
        r = memfd_of("access-policy", policy, sizeof *policy, ret_fd);
    return r;
}

/* Without a path, which a waiver allows, an empty file. */
static int read_pem(const char *path, int *ret_fd)
{
    _cleanup_buffer_ struct buffer content = {0};
    if (*path == '\0')
        return memfd_of("certificates", "", 0, ret_fd);
    int r =
        supervisor_read_file(path, SUPERVISOR_PEM_MAX, true, supervisor_complain, NULL, &content);
    if (r == 0)
        r = memfd_of("certificates", content.data, content.size, ret_fd);
    return r;
}

static int read_profile(const char *path, struct link_profile *ret_profile)
{
    link_profile_default(ret_profile);
    return *path ? link_profile_read(path, supervisor_complain, NULL, ret_profile) : 0;
}

/* The hook runs with our rights: nobody else may be able to change it. */
static int check_hook(const char *path)
{
    struct stat status;
    const char *wrong = NULL;
    if (*path == '\0')
        return 0;
    if (stat(path, &status) < 0 || access(path, X_OK) < 0)
        wrong = strerror(errno);
    else if (!S_ISREG(status.st_mode))
        wrong = "is not a program";
    else if ((status.st_uid != 0 && status.st_uid != geteuid()) || (status.st_mode & 022) != 0)
        wrong = "can be changed by others than root and whoever starts kosekifs";
    if (!wrong)
        return 0;
    supervisor_complain(NULL, path, 0, wrong);
    return -EINVAL;
}

/* Configurations name keys and programs: who can write one can choose them. */
static int check_config_file(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return 0; /* config_read() says it better */
    if (status.st_uid != 0 && status.st_uid != geteuid())
        supervisor_complain(NULL, path, 0,
                            "belongs neither to root nor to whoever starts kosekifs");
    else if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        supervisor_complain(NULL, path, 0, "can be written by group or others (chmod 0644)");
    else
        return 0;
    return -EINVAL;
}

static bool read_named_files(struct supervisor_inputs *inputs)
{
    const struct config *config = &inputs->config;
    int results[] = {
        supervisor_keys_open(config, getenv("CREDENTIALS_DIRECTORY"), inputs->config_path,
                             supervisor_complain, NULL, &inputs->keys),
        read_profile(config->link.profile, &inputs->profile),
        read_pem(config->link.ca_file, &inputs->ca_fd),
        read_pem(config->link.certificate_file, &inputs->certificate_fd),
        supervisor_read_trust(&config->trust, &inputs->trust_fd),
        supervisor_read_lists(&config->trust, &inputs->lists_fd),
        supervisor_read_policy(config->mount.access_policy, &inputs->policy_fd),
        audit_config_check(&config->audit, inputs->config_path, supervisor_complain, NULL),
        check_hook(config->alerts.hook),
        supervisor_accounts_find(config, inputs->config_path, supervisor_complain, NULL,
                                 &inputs->accounts),
    };
    bool good = true;
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        good = good && results[i] == 0;
    return good;
}

int supervisor_inputs_read(const char *config_path, struct supervisor_inputs *ret_inputs)
{
    struct supervisor_inputs inputs = {.config_path = config_path,
                                       .ca_fd = -1,
                                       .certificate_fd = -1,
                                       .trust_fd = -1,
                                       .lists_fd = -1,
                                       .policy_fd = -1,
                                       .state_fd = -1,
                                       .open_files_fd = -1,
                                       .ledger_fd = -1,
                                       .replica_fd = -1,
                                       .control.fd = -1};
    bool trusted = check_config_file(config_path) == 0;
    if (config_read(config_path, supervisor_complain, NULL, &inputs.config) < 0)
        return EXIT_CONFIG;
    if (!read_named_files(&inputs) || !trusted) {
        supervisor_inputs_done(&inputs);
        return EXIT_CONFIG;
    }
    *ret_inputs = inputs;
    return 0;
}

/* A directory of its own on another disk. On the same one it would fail together with the store:
 * told, since a demo or a test has no second disk. */
static int claim_copy(const struct supervisor_inputs *inputs, const char *path, int *ret_fd)
{
    struct stat ours, theirs;
    int fd;
    if (*path == '\0')
        return 0;
    int code = supervisor_state_open(path, &inputs->accounts.rooms[ROOM_MOUNT], &fd);
    if (code != 0)
        return code;
    *ret_fd = fd;
    if (fstat(inputs->state_fd, &ours) == 0 && fstat(fd, &theirs) == 0 &&
        ours.st_dev == theirs.st_dev)
        log_warning("%s is on the same disk as the store: it does not outlive that", path);
    return 0;
}

int supervisor_inputs_claim(struct supervisor_inputs *inputs)
{
    const struct config_mount *mount = &inputs->config.mount;
    int code = supervisor_state_open(mount->state_directory, &inputs->accounts.rooms[ROOM_MOUNT],
                                     &inputs->state_fd);
    if (code == 0)
        code = claim_copy(inputs, inputs->config.backup.ledger, &inputs->ledger_fd);
    if (code == 0)
        code = claim_copy(inputs, inputs->config.replica.path, &inputs->replica_fd);
    if (code == 0 && inputs->control.fd < 0)
        code = control_socket_open(mount->control_socket, inputs->accounts.control_group,
                                   &inputs->control);
    if (code == 0 && inputs->open_files_fd < 0)
        inputs->open_files_fd = delivery_table_new();
    if (code == 0 && inputs->open_files_fd < 0) {
        log_error("no memory file for the open files: %s", strerror(-inputs->open_files_fd));
        code = EXIT_OSERR;
    }
    return code;
}

int supervisor_inputs_pretend(struct supervisor_inputs *inputs)
{
    const char *const directories[] = {inputs->config.mount.state_directory,
                                       inputs->config.backup.ledger, inputs->config.replica.path};
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        int code = *directories[i]
                       ? supervisor_state_check(directories[i], &inputs->accounts.rooms[ROOM_MOUNT])
                       : 0;
        if (code != 0)
            return code;
    }
    inputs->state_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    inputs->open_files_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    inputs->control.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return inputs->state_fd < 0 || inputs->open_files_fd < 0 || inputs->control.fd < 0 ? EXIT_OSERR
                                                                                       : 0;
}

void supervisor_inputs_done(struct supervisor_inputs *inputs)
{
    int *const fds[] = {&inputs->ca_fd,         &inputs->certificate_fd, &inputs->trust_fd,
                        &inputs->lists_fd,      &inputs->policy_fd,      &inputs->state_fd,
                        &inputs->open_files_fd, &inputs->ledger_fd,      &inputs->replica_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        cleanup_close(fds[i]);
        *fds[i] = -1;
    }
    supervisor_keys_close(&inputs->keys);
    control_socket_remove(&inputs->control);
}
