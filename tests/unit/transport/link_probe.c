/*
 * Supervisor and kosekifs-mount for one kosekifs-link, driven by lines on standard input, for
 * test_link_*.py. Settings come as NAME=VALUE arguments:
 *
 *   link=PROGRAM keys=PROGRAM|absent|mute|garbage|refuse url= ca= cert= key= master= pin= tls_min=
 *   connect_timeout= low_speed_bytes= low_speed_time= connections_max= resume_max= few_files=
 *   profile= http= resolve= source_address= interface= address_family= breaker_failures=
 *   breaker_time= requests_per_second= bytes_per_second= waive_authentication= waive_encryption=
 *
 * Commands: see command_table. Each event is printed as a JSON object; a request's memory file is
 * sealed and digested once it is done.
 */
#include "tests/unit/transport/probe_rooms.h"

#include "base/crypto.h"
#include "base/ipc.h"
#include "base/json.h"
#include "base/memfd.h"
#include "base/sign.h"
#include "base/keys_setup.h"
#include "transport/link_client.h"
#include "transport/link_message.h"
#include "transport/link_setup.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { IDS_MAX = 8192, LINE_SIZE = 4096, WORDS_MAX = 12 };

struct probe {
    struct link_setup setup;
    const char *profile;
    const char *link_program;
    const char *keys_program;
    const char *tls_key;
    const char *master_key;
    struct probe_room link;
    struct probe_room keys;
    int mount_fd;
    int sign_fd; /* of a stand-in for kosekifs-keys */
    bool deaf;   /* does not read events */
    rlim_t few_files;
    int memfds[IDS_MAX];
};

static void print_json(struct json *json)
{
    _cleanup_free_ char *line = json_print(json);
    if (!line)
        probe_die("json", ENOMEM);
    puts(line);
    fflush(stdout);
    json_free(json);
}

static struct json *event_new(const char *kind)
{
    struct json *json = json_object_new();
    if (!json || json_set_text(json, "event", kind) < 0)
        probe_die("json", ENOMEM);
    return json;
}

/* Digest of a finished body; seals the file first, which shows that nobody holds a mapping. */
static void add_body(struct json *json, int memfd)
{
    _cleanup_mapping_ struct mapping mapping = {0};
    uint8_t digest[SHA256_SIZE];
    int r = memfd_seal(memfd);
    if (r == 0)
        r = mapping_open(memfd, LINK_BODY_MAX, &mapping);
    if (r == 0)
        r = sha256(mapping.data, mapping.size, digest);
    if (r < 0)
        probe_die("body", r);
    if (json_set_hex(json, "sha256", digest, sizeof digest) < 0 ||
        json_set_integer(json, "held", (int64_t)mapping.size) < 0)
        probe_die("json", ENOMEM);
}

static void print_endpoint(const struct link_event *event)
{
    const struct link_endpoint_state *state = &event->endpoint;
    struct json *json = event_new("endpoint");
    int r = json_set_integer(json, "index", (int64_t)event->id);
    r |= json_set_text(json, "address", state->address);
    r |= json_set_bool(json, "open", state->open);
    r |= json_set_integer(json, "answers", (int64_t)state->answers);
    r |= json_set_integer(json, "opened", (int64_t)state->opened);
    for (unsigned i = 0; i < LINK_FAILURE_COUNT; i++)
        r |= json_set_integer(json, link_failure_text(i), (int64_t)state->failures[i]);
    if (r < 0)
        probe_die("json", ENOMEM);
    print_json(json);
}

static void print_event(struct probe *probe, const struct link_event *event)
{
    if (event->kind == LINK_ENDPOINT) {
        print_endpoint(event);
        return;
    }
    struct json *json = event_new(event->kind == LINK_DONE ? "done" : "progress");
    int r = json_set_integer(json, "id", (int64_t)event->id);
    r |= json_set_text(json, "result", link_result_text(event->result));
    r |= json_set_integer(json, "size", (int64_t)event->size);
    r |= json_set_integer(json, "status", event->status);
    r |= json_set_integer(json, "resumed", event->resumed);
    r |= json_set_integer(json, "retry_after", event->retry_after_s);
    r |= json_set_integer(json, "date", event->date_s);
    r |= json_set_text(json, "etag", event->validator.etag);
    r |= json_set_integer(json, "last_modified", event->validator.last_modified_s);
    r |= json_set_text(json, "detail", event->detail);
    if (r < 0)
        probe_die("json", ENOMEM);
    if (event->kind == LINK_DONE && event->id < IDS_MAX && probe->memfds[event->id] > 0) {
        add_body(json, probe->memfds[event->id]);
        close(probe->memfds[event->id]);
        probe->memfds[event->id] = 0;
    }
    print_json(json);
}

/* kosekifs-mount never waits for kosekifs-link to take a request, or both could wait for ever. */
static void connect_mount(struct probe *probe)
{
    int fds[2];
    if (ipc_pair(fds) < 0)
        probe_die("socketpair", errno);
    probe_room_peer(&probe->link, ROOM_MOUNT, fds[1]);
    close(fds[1]);
    probe->mount_fd = fds[0];
    if (fcntl(probe->mount_fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
        probe_die("fcntl", errno);
}

static void read_event(struct probe *probe)
{
    struct link_event event;
    int r = link_client_receive(probe->mount_fd, &event);
    if (r == -EAGAIN)
        return;
    if (r != 0)
        probe_die("event", r < 0 ? r : EPIPE);
    print_event(probe, &event);
}

static void start_real_keys(struct probe *probe, int fd)
{
    char text[ROOM_TEXT_MAX + 1];
    const struct keys_setup setup = {
        .keys = {.master_key = "/master",
                 .tls_key = "/tls",
                 .signatures_per_second = 200,
                 .signatures_burst = 400},
        .tls12 = strcmp(probe->setup.link.tls_min, "1.2") == 0,
    };
    int files[3] = {probe_sealed_file(probe->setup.link.certificate_file),
                    open(probe->master_key, O_RDONLY | O_CLOEXEC),
                    open(probe->tls_key, O_RDONLY | O_CLOEXEC)};
    if (files[1] < 0 || files[2] < 0)
        probe_die("key file", errno);
    probe_room_start(probe->keys_program, &probe->keys);
    probe_room_setup(&probe->keys, &setup, sizeof setup, files, 3);
    if (!probe_room_answer(&probe->keys, text)) {
        fprintf(stderr, "link_probe: kosekifs-keys: %s\n", text);
        exit(2);
    }
    close(files[1]);
    close(files[2]);
    probe_room_peer(&probe->keys, ROOM_LINK, fd);
}

static void connect_keys(struct probe *probe)
{
    int fds[2];
    if (strcmp(probe->keys_program, "absent") == 0)
        return;
    if (ipc_pair(fds) < 0)
        probe_die("socketpair", errno);
    if (strchr(probe->keys_program, '/')) {
        start_real_keys(probe, fds[0]);
        close(fds[0]);
    } else {
        probe->sign_fd = fds[0];
    }
    probe_room_peer(&probe->link, ROOM_KEYS, fds[1]);
    close(fds[1]);
}

/* A kosekifs-keys that was taken over, or hangs. */
static void answer_signature(struct probe *probe)
{
    _cleanup_ipc_message_ struct ipc_message message = {0};
    struct sign_request request;
    struct sign_reply reply = {0};
    if (ipc_receive(probe->sign_fd, &message) != 0) {
        close(probe->sign_fd);
        probe->sign_fd = -1;
        return;
    }
    if (message.type != SIGN_REQUEST || ipc_message_take(&message, &request, sizeof request, 0) < 0)
        probe_die("signature request", EBADMSG);
    struct json *json = event_new("sign");
    if (json_set_integer(json, "scheme", request.scheme) < 0 ||
        json_set_integer(json, "content_size", request.content_size) < 0)
        probe_die("json", ENOMEM);
    print_json(json);
    if (strcmp(probe->keys_program, "mute") == 0)
        return;
    if (strcmp(probe->keys_program, "refuse") == 0)
        reply.error = -EPERM;
    else if (strcmp(probe->keys_program, "endless") == 0)
        reply.signature_size = UINT32_MAX;
    else if (random_bytes(reply.signature, sizeof reply.signature) == 0)
        reply.signature_size = 256;
    if (ipc_send(probe->sign_fd, SIGN_REPLY, message.id, &reply, sizeof reply, NULL, 0) < 0)
        probe_die("signature reply", errno);
}

static void send_request(struct probe *probe, uint64_t id, const struct link_request *request,
                         int memfd)
{
    int r;
    while ((r = link_client_request(probe->mount_fd, id, request, memfd)) == -EAGAIN) {
        struct pollfd ready = {.fd = probe->mount_fd, .events = POLLIN | POLLOUT};
        if (poll(&ready, 1, -1) < 0)
            probe_die("poll", errno);
        if (ready.revents & POLLIN)
            read_event(probe);
    }
    if (r < 0)
        probe_die("request", r);
}

static int request_memfd(struct probe *probe, uint64_t id)
{
    int memfd;
    if (id >= IDS_MAX || memfd_new("body", &memfd) < 0)
        probe_die("memfd", EMFILE);
    if (probe->memfds[id] > 0)
        close(probe->memfds[id]);
    probe->memfds[id] = memfd;
    return memfd;
}

/* head ID NAME TIMEOUT_MS */
static void command_head(struct probe *probe, char **words)
{
    struct link_request request = {.head = true,
                                   .timeout_ms = (uint32_t)strtoul(words[3], NULL, 10),
                                   .expected_size = UINT64_MAX};
    if (!certname_parse(words[2], &request.name))
        probe_die(words[2], EINVAL);
    send_request(probe, strtoull(words[1], NULL, 10), &request, -1);
}

/* get ID NAME TIMEOUT_MS SIZE_MAX EXPECTED_SIZE|- ETAG|- LAST_MODIFIED */
static void command_get(struct probe *probe, char **words)
{
    struct link_request request = {
        .timeout_ms = (uint32_t)strtoul(words[3], NULL, 10),
        .size_max = strtoull(words[4], NULL, 10),
        .expected_size = strcmp(words[5], "-") == 0 ? UINT64_MAX : strtoull(words[5], NULL, 10),
    };
    uint64_t id = strtoull(words[1], NULL, 10);
    if (!certname_parse(words[2], &request.name) || strlen(words[6]) >= LINK_ETAG_MAX)
        probe_die(words[2], EINVAL);
    if (strcmp(words[6], "-") != 0)
        memcpy(request.expected.etag, words[6], strlen(words[6]));
    request.expected.last_modified_s = strtoll(words[7], NULL, 10);
    send_request(probe, id, &request, request_memfd(probe, id));
}

/* cancel ID */
static void command_cancel(struct probe *probe, char **words)
{
    if (link_client_cancel(probe->mount_fd, strtoull(words[1], NULL, 10)) < 0)
        probe_die("cancel", errno);
}

static int hostile_fd(const char *what)
{
    int fd = -1;
    if (strcmp(what, "regular") == 0)
        return open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (strcmp(what, "socket") == 0)
        return dup(0);
    if (memfd_new("hostile", &fd) < 0)
        probe_die("memfd", errno);
    if (strcmp(what, "sealed") == 0 && memfd_seal(fd) < 0)
        probe_die("seal", errno);
    if (strcmp(what, "half-sealed") == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
        probe_die("seal", errno);
    if (strcmp(what, "filled") == 0 && pwrite(fd, "x", 1, 0) != 1)
        probe_die("write", errno);
    if (strcmp(what, "append") == 0 && fcntl(fd, F_SETFL, O_APPEND) < 0)
        probe_die("append", errno);
    if (strcmp(what, "read-only") == 0) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int reopened = open(path, O_RDONLY | O_CLOEXEC);
        close(fd);
        fd = reopened;
    }
    return fd;
}

/* hostile ID WHAT: a GET whose file or message is not as it must be. */
static void command_hostile(struct probe *probe, char **words)
{
    uint64_t id = strtoull(words[1], NULL, 10);
    const char *what = words[2];
    struct link_request request = {
        .timeout_ms = 1000, .size_max = 1000, .expected_size = UINT64_MAX};
    if (!certname_parse("hostile.pdf", &request.name))
        probe_die("name", EINVAL);
    if (strcmp(what, "name") == 0)
        memcpy(request.name.text, "../etc/x.pdf", sizeof "../etc/x.pdf");
    if (strcmp(what, "etag") == 0)
        memset(request.expected.etag, 'x', sizeof request.expected.etag);
    if (strcmp(what, "time") == 0)
        request.timeout_ms = UINT32_MAX;
    if (strcmp(what, "size") == 0)
        request.size_max = UINT64_MAX;
    if (strcmp(what, "short") == 0 || strcmp(what, "type") == 0) {
        uint32_t type = strcmp(what, "type") == 0 ? 77 : (uint32_t)LINK_REQUEST;
        if (ipc_send(probe->mount_fd, type, id, "x", 1, NULL, 0) < 0)
            probe_die("send", errno);
        return;
    }
    if (strcmp(what, "packet") == 0) {
        if (send(probe->mount_fd, "rubbish", 7, MSG_NOSIGNAL) != 7)
            probe_die("send", errno);
        return;
    }
    _cleanup_close_ int fd = hostile_fd(what);
    send_request(probe, id, &request, fd);
}

/* hostile-test ID WHAT: a LINK_TEST that is not as it must be. */
static void command_hostile_test(struct probe *probe, char **words)
{
    const char *what = words[2];
    struct link_test_request request = {.timeout_ms = 1000};
    size_t size = sizeof request;
    if (strcmp(what, "name") == 0)
        memcpy(request.name.text, "../etc/x.pdf", sizeof "../etc/x.pdf");
    if (strcmp(what, "behind-name") == 0)
        request.name.text[CERTNAME_MAX - 1] = 'x';
    if (strcmp(what, "endpoint") == 0)
        request.endpoint = 1;
    if (strcmp(what, "no-time") == 0)
        request.timeout_ms = 0;
    if (strcmp(what, "time") == 0)
        request.timeout_ms = UINT32_MAX;
    if (strcmp(what, "tail") == 0)
        request.zero[2] = 1;
    if (strcmp(what, "short") == 0)
        size--;
    bool file = strcmp(what, "file") == 0;
    if (ipc_send(probe->mount_fd, LINK_TEST, strtoull(words[1], NULL, 10), &request, size,
                 &probe->mount_fd, file) < 0)
        probe_die("send", errno);
}

/* remount: this kosekifs-mount dies and another comes. */
static void command_remount(struct probe *probe, char **words)
{
    (void)words;
    close(probe->mount_fd);
    connect_mount(probe);
    for (size_t i = 0; i < IDS_MAX; i++) {
        if (probe->memfds[i] > 0)
            close(probe->memfds[i]);
        probe->memfds[i] = 0;
    }
}

/* keys-kill; keys-start: kosekifs-keys dies; another comes. */
static void command_keys_kill(struct probe *probe, char **words)
{
    (void)words;
    probe_room_stop(&probe->keys);
    print_json(event_new("keys-stopped"));
}

static void command_keys_start(struct probe *probe, char **words)
{
    (void)words;
    connect_keys(probe);
    print_json(event_new("keys-started"));
}

/* deaf; listen: events are left unread; are read again. */
static void command_deaf(struct probe *probe, char **words)
{
    (void)words;
    probe->deaf = true;
    print_json(event_new("deaf"));
}

static void command_listen(struct probe *probe, char **words)
{
    (void)words;
    probe->deaf = false;
}

static const struct {
    const char *word;
    int word_count;
    void (*run)(struct probe *probe, char **words);
} command_table[] = {
    {"head", 4, command_head},
    {"get", 8, command_get},
    {"cancel", 2, command_cancel},
    {"hostile", 3, command_hostile},
    {"hostile-test", 3, command_hostile_test},
    {"remount", 1, command_remount},
    {"keys-kill", 1, command_keys_kill},
    {"keys-start", 1, command_keys_start},
    {"deaf", 1, command_deaf},
    {"listen", 1, command_listen},
};

static void run_command(struct probe *probe, char *line)
{
    char *words[WORDS_MAX] = {NULL};
    int count = 0;
    char *rest = line;
    char *word;
    while (count < WORDS_MAX && (word = strtok_r(rest, " \n", &rest)))
        words[count++] = word;
    for (size_t i = 0; i < sizeof command_table / sizeof command_table[0]; i++) {
        if (count == command_table[i].word_count && strcmp(words[0], command_table[i].word) == 0) {
            command_table[i].run(probe, words);
            return;
        }
    }
    if (count > 0)
        probe_die(words[0], EINVAL);
}

/* Commands may come in pieces; standard input is read without stdio's buffer, for poll. */
static bool read_commands(struct probe *probe)
{
    static char buffer[LINE_SIZE * 16];
    static size_t size;
    ssize_t n = read(0, buffer + size, sizeof buffer - 1 - size);
    if (n <= 0)
        return false;
    size += (size_t)n;
    buffer[size] = '\0';
    char *line = buffer;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        run_command(probe, line);
    }
    size -= (size_t)(line - buffer);
    memmove(buffer, line, size);
    return true;
}

static void serve(struct probe *probe)
{
    for (;;) {
        struct pollfd fds[4] = {
            {.fd = 0, .events = POLLIN},
            {.fd = probe->deaf ? -1 : probe->mount_fd, .events = POLLIN},
            {.fd = probe->sign_fd, .events = POLLIN},
            {.fd = probe->link.fd, .events = POLLIN},
        };
        if (poll(fds, 4, -1) < 0)
            probe_die("poll", errno);
        if (fds[1].revents)
            read_event(probe);
        if (fds[2].revents)
            answer_signature(probe);
        if (fds[3].revents)
            probe_die("kosekifs-link has ended", EPIPE);
        if (fds[0].revents && !read_commands(probe))
            return;
    }
}

static void take_text(char *out, size_t out_size, const char *value)
{
    if (strlen(value) >= out_size)
        probe_die(value, ENAMETOOLONG);
    memcpy(out, value, strlen(value) + 1);
}

static void take_setting(struct probe *probe, char *argument)
{
    char *value = strchr(argument, '=');
    if (!value)
        probe_die(argument, EINVAL);
    *value++ = '\0';
    struct config_link *config = &probe->setup.link;
    if (strcmp(argument, "link") == 0)
        probe->link_program = value;
    else if (strcmp(argument, "keys") == 0)
        probe->keys_program = value;
    else if (strcmp(argument, "key") == 0)
        probe->tls_key = value;
    else if (strcmp(argument, "master") == 0)
        probe->master_key = value;
    else if (strcmp(argument, "url") == 0)
        take_text(config->url, sizeof config->url, value);
    else if (strcmp(argument, "ca") == 0)
        take_text(config->ca_file, sizeof config->ca_file, value);
    else if (strcmp(argument, "cert") == 0)
        take_text(config->certificate_file, sizeof config->certificate_file, value);
    else if (strcmp(argument, "pin") == 0)
        take_text(config->server_pin, sizeof config->server_pin, value);
    else if (strcmp(argument, "tls_min") == 0)
        take_text(config->tls_min, sizeof config->tls_min, value);
    else if (strcmp(argument, "connect_timeout") == 0)
        config->connect_timeout = atoll(value);
    else if (strcmp(argument, "low_speed_bytes") == 0)
        config->low_speed_bytes = atoll(value);
    else if (strcmp(argument, "low_speed_time") == 0)
        config->low_speed_time = atoll(value);
    else if (strcmp(argument, "connections_max") == 0)
        config->connections_max = atoll(value);
    else if (strcmp(argument, "breaker_failures") == 0)
        config->breaker_failures = atoll(value);
    else if (strcmp(argument, "breaker_time") == 0)
        config->breaker_time = atoll(value);
    else if (strcmp(argument, "requests_per_second") == 0)
        config->requests_per_second = atoll(value);
    else if (strcmp(argument, "bytes_per_second") == 0)
        config->bytes_per_second = atoll(value);
    else if (strcmp(argument, "http") == 0)
        take_text(config->http, sizeof config->http, value);
    else if (strcmp(argument, "resolve") == 0)
        take_text(config->resolve, sizeof config->resolve, value);
    else if (strcmp(argument, "source_address") == 0)
        take_text(config->source_address, sizeof config->source_address, value);
    else if (strcmp(argument, "interface") == 0)
        take_text(config->interface, sizeof config->interface, value);
    else if (strcmp(argument, "address_family") == 0)
        take_text(config->address_family, sizeof config->address_family, value);
    else if (strcmp(argument, "profile") == 0)
        probe->profile = value;
    else if (strcmp(argument, "waive_authentication") == 0)
        take_text(probe->setup.waivers.link_authentication,
                  sizeof probe->setup.waivers.link_authentication, value);
    else if (strcmp(argument, "waive_encryption") == 0)
        take_text(probe->setup.waivers.link_encryption, sizeof probe->setup.waivers.link_encryption,
                  value);
    else if (strcmp(argument, "few_files") == 0)
        probe->few_files = strtoul(value, NULL, 10);
    else if (strcmp(argument, "resume_max") == 0)
        config->resume_max = atoll(value);
    else
        probe_die(argument, EINVAL);
}

static void print_mistake(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "link_probe: %s:%d: %s\n", file, line, text);
}

int main(int argc, char **argv)
{
    static struct probe probe = {
        .setup.link = {.tls_min = "1.3",
                       .http = "1.1",
                       .address_family = "any",
                       .connect_timeout = 5000,
                       .low_speed_bytes = 1024,
                       .low_speed_time = 10000,
                       .connections_max = 8,
                       .resume_max = 100,
                       .breaker_time = 5000},
        .keys_program = "absent",
        .keys = {.fd = -1},
        .sign_fd = -1,
    };
    char text[ROOM_TEXT_MAX + 1];
    struct rlimit files_max;
    for (int i = 1; i < argc; i++)
        take_setting(&probe, argv[i]);
    if (getrlimit(RLIMIT_NOFILE, &files_max) < 0)
        probe_die("getrlimit", errno);
    if (probe.few_files) /* for kosekifs-link */
        files_max.rlim_max = probe.few_files;
    files_max.rlim_cur = files_max.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files_max) < 0)
        probe_die("setrlimit", errno);

    const struct config_link *link = &probe.setup.link;
    int files[LINK_FD_COUNT] = {
        [LINK_FD_ISSUERS] = probe_sealed_file(*link->ca_file ? link->ca_file : "/dev/null"),
        [LINK_FD_CERTIFICATES] =
            probe_sealed_file(*link->certificate_file ? link->certificate_file : "/dev/null")};
    link_profile_default(&probe.setup.profile);
    if (probe.profile &&
        link_profile_read(probe.profile, print_mistake, NULL, &probe.setup.profile) < 0)
        return 3;
    probe_room_start(probe.link_program, &probe.link);
    probe_room_setup(&probe.link, &probe.setup, sizeof probe.setup, files, LINK_FD_COUNT);
    if (!probe_room_answer(&probe.link, text)) {
        struct json *json = event_new("failed");
        if (json_set_text(json, "text", text) < 0)
            probe_die("json", ENOMEM);
        print_json(json);
        return probe_room_stop(&probe.link) == 0x100 ? 0 : 2;
    }
    connect_mount(&probe);
    connect_keys(&probe);
    print_json(event_new("ready"));
    serve(&probe);

    int status = probe_room_stop(&probe.link);
    if (probe.keys.fd >= 0)
        probe_room_stop(&probe.keys);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
