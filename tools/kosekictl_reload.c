/* See kosekictl_reload.h. When all processes are replaced, this waits for those that answer next.
 */
#include "tools/kosekictl_reload.h"

#include "base/clock.h"
#include "base/json.h"
#include "tools/control_client.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

/* The process that answered has ended when it closes the connection. */
static void await_end(int fd)
{
    char byte;
    while (read(fd, &byte, 1) > 0)
        ;
}

/* The listening socket is there all the time: whoever comes next takes the request from it. */
static int await_next(const struct asking *asking)
{
    int64_t began_ms = clock_monotonic_ms();
    _cleanup_json_ struct json *request = json_object_new();
    _cleanup_json_ struct json *reply = NULL;
    if (!request || json_set_text(request, "command", "status") < 0)
        return asking_out_of_memory();
    await_end(asking->fd);
    _cleanup_close_ int fd = control_client_connect(asking->options->socket);
    int error = fd < 0 ? fd : control_client_ask(fd, request, &reply);
    if (error < 0) {
        fprintf(stderr, "kosekictl: the new processes do not answer: %s\n", strerror(-error));
        return EX_UNAVAILABLE;
    }
    if (!asking->options->json)
        printf("answers again after: %" PRId64 " ms\n", clock_monotonic_ms() - began_ms);
    return 0;
}

int kosekictl_reload(struct asking *asking, int argc, char **argv)
{
    int status;
    if (argc != 1)
        return asking_usage(argv[0]);
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    const char *state = json_get_text(reply, "state");
    if (asking->options->json) {
        _cleanup_free_ char *printed = json_print(reply);
        puts(printed ? printed : "{}");
    } else {
        printf("%s\n", state ? state : "done");
    }
    fflush(stdout);
    return state && strstr(state, "replaced") ? await_next(asking) : 0;
}
