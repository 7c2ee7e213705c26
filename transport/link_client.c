/* kosekifs-mount's end of the connection; the form of the messages is in link_message.c. */
#include "transport/link_client.h"

#include "transport/link_message.h"

#include <string.h>

int link_client_request(int fd, uint64_t id, const struct link_request *request, int memfd)
{
    return link_message_send_request(fd, id, request, memfd);
}

int link_client_request_list(int fd, uint64_t id, const char *url, uint32_t timeout_ms, int memfd)
{
    struct link_list_request request = {.timeout_ms = timeout_ms};
    size_t size = strlen(url);
    if (size >= sizeof request.url)
        return -EINVAL;
    memcpy(request.url, url, size);
    return ipc_send(fd, LINK_LIST, id, &request, sizeof request, &memfd, 1);
}

int link_client_test(int fd, uint64_t id, unsigned endpoint, const struct certname *name,
                     uint32_t timeout_ms)
{
    struct link_test_request request;
    memset(&request, 0, sizeof request);
    request.endpoint = endpoint;
    request.timeout_ms = timeout_ms;
    if (name)
        request.name = *name;
    return ipc_send(fd, LINK_TEST, id, &request, sizeof request, NULL, 0);
}

int link_client_cancel(int fd, uint64_t id)
{
    return ipc_send(fd, LINK_CANCEL, id, NULL, 0, NULL, 0);
}

int link_client_receive(int fd, struct link_event *ret_event)
{
    struct ipc_message message;
    int r = ipc_receive(fd, &message);
    if (r != 0)
        return r;
    r = link_message_read_event(&message, ret_event);
    ipc_message_done(&message);
    return r;
}

const char *link_result_text(enum link_result result)
{
    static const char *const texts[LINK_RESULT_COUNT] = {
        [LINK_OK] = "ok",
        [LINK_NOT_FOUND] = "not-found",
        [LINK_GONE] = "gone",
        [LINK_FORBIDDEN] = "forbidden",
        [LINK_NOT_READY] = "not-ready",
        [LINK_BUSY] = "busy",
        [LINK_UNREACHABLE] = "unreachable",
        [LINK_TLS_FAILED] = "tls-failed",
        [LINK_TIMED_OUT] = "timed-out",
        [LINK_TOO_LARGE] = "too-large",
        [LINK_PROTOCOL] = "protocol",
        [LINK_CHANGED] = "changed",
        [LINK_CANCELLED] = "cancelled",
        [LINK_INTERNAL] = "internal",
    };
    return (unsigned)result < LINK_RESULT_COUNT ? texts[result] : "?";
}

const char *link_failure_text(enum link_failure failure)
{
    static const char *const texts[LINK_FAILURE_COUNT] = {
        [LINK_FAILED_NAME] = "name",
        [LINK_FAILED_CONNECT] = "connect",
        [LINK_FAILED_TLS] = "tls",
        [LINK_FAILED_HTTP] = "http",
    };
    return (unsigned)failure < LINK_FAILURE_COUNT ? texts[failure] : "?";
}
