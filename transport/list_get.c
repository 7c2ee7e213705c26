/* See transport/list_get.h. */
#include "transport/list_get.h"

#include "base/log.h"
#include "transport/link_message.h"

#include <string.h>

struct list_get {
    CURL *easy;
    int memfd;
    uint64_t id;
    uint64_t size, size_max;
    bool too_large, over;
    struct link_event event;
    char error[CURL_ERROR_SIZE];
};

void list_gets_init(struct list_gets *gets, CURLM *multi, const struct config_link *config)
{
    *gets = (struct list_gets){.multi = multi, .config = config};
}

static struct list_get *get_free(struct list_gets *gets, struct list_get *get)
{
    if (!get)
        return NULL;
    if (get->easy) {
        curl_multi_remove_handle(gets->multi, get->easy);
        curl_easy_cleanup(get->easy);
    }
    cleanup_close(&get->memfd);
    free(get);
    return NULL;
}

void list_gets_abandon(struct list_gets *gets)
{
    for (unsigned i = 0; i < LIST_GETS_MAX; i++)
        gets->slots[i] = get_free(gets, gets->slots[i]);
}

bool list_get_allowed(const char *hosts, const char *url)
{
    char item[256];
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *host = url + sizeof scheme - 1;
    size_t size = strcspn(host, "/?#");
    if (size == 0 || memchr(host, '@', size) || memchr(host, '\\', size))
        return false;
    while (config_list_next(&hosts, item, sizeof item)) {
        if (strlen(item) == size && strncasecmp(item, host, size) == 0)
            return true;
    }
    return false;
}

static size_t on_body(char *data, size_t one, size_t size, void *user)
{
    struct list_get *get = user;
    size_t done = 0;
    (void)one;
    if (get->size + size > get->size_max) {
        get->too_large = true;
        return 0;
    }
    while (done < size) {
        ssize_t written = pwrite(get->memfd, data + done, size - done, (off_t)(get->size + done));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return 0;
        done += (size_t)written;
    }
    get->size += size;
    return size;
}

#define LIST_SET(option, value)                                                                    \
    do {                                                                                           \
        if (curl_easy_setopt(get->easy, option, value) != CURLE_OK)                                \
            return -ENOMEM;                                                                        \
    } while (0)

static int set_up(const struct list_gets *gets, struct list_get *get,
                  const struct link_list_request *request)
{
    LIST_SET(CURLOPT_URL, request->url);
    LIST_SET(CURLOPT_PROTOCOLS_STR, "http");
    LIST_SET(CURLOPT_FOLLOWLOCATION, 0L);
    LIST_SET(CURLOPT_PROXY, "");
    LIST_SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    LIST_SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    LIST_SET(CURLOPT_HTTP09_ALLOWED, 0L);
    LIST_SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    LIST_SET(CURLOPT_NOSIGNAL, 1L);
    LIST_SET(CURLOPT_NOPROGRESS, 1L);
    LIST_SET(CURLOPT_QUICK_EXIT, 1L);
    LIST_SET(CURLOPT_FAILONERROR, 1L);
    LIST_SET(CURLOPT_FORBID_REUSE, 1L);
    LIST_SET(CURLOPT_USERAGENT, "kosekifs/" KOSEKIFS_VERSION);
    LIST_SET(CURLOPT_CONNECTTIMEOUT_MS, (long)gets->config->connect_timeout);
    LIST_SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    LIST_SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)get->size_max);
    LIST_SET(CURLOPT_ERRORBUFFER, get->error);
    LIST_SET(CURLOPT_WRITEFUNCTION, on_body);
    LIST_SET(CURLOPT_WRITEDATA, get);
    return curl_multi_add_handle(gets->multi, get->easy) == CURLM_OK ? 0 : -ENOMEM;
}

static void conclude(struct list_get *get, enum link_result result, const char *detail)
{
    get->event = (struct link_event){.kind = LINK_DONE, .id = get->id, .result = result};
    if (result == LINK_OK)
        get->event.size = get->size;
    link_detail_set(get->event.detail, "%s", detail);
    get->over = true;
}

static struct list_get **free_slot(struct list_gets *gets)
{
    for (unsigned i = 0; i < LIST_GETS_MAX; i++) {
        if (!gets->slots[i])
            return &gets->slots[i];
    }
    return NULL;
}

static void refuse(int mount_fd, uint64_t id, enum link_result result, const char *detail)
{
    struct link_event event = {.kind = LINK_DONE, .id = id, .result = result};
    link_detail_set(event.detail, "%s", detail);
    if (link_message_send_event(mount_fd, &event) < 0)
        log_warning("kosekifs-mount could not be told of a revocation list");
}

void list_gets_take(struct list_gets *gets, int mount_fd, struct ipc_message *message)
{
    struct link_list_request request;
    struct list_get **slot = free_slot(gets);
    if (ipc_message_take(message, &request, sizeof request, 1) < 0 ||
        !ipc_text_ok(request.url, sizeof request.url) || request.zero != 0 ||
        request.timeout_ms == 0 || request.timeout_ms > LINK_TIMEOUT_MAX_MS) {
        refuse(mount_fd, message->id, LINK_INTERNAL, "malformed request");
        return;
    }
    if (!list_get_allowed(gets->config->crl_hosts, request.url)) {
        refuse(mount_fd, message->id, LINK_FORBIDDEN, "its host is not in [link] crl_hosts");
        return;
    }
    struct list_get *get = slot ? calloc(1, sizeof *get) : NULL;
    if (!get) {
        refuse(mount_fd, message->id, LINK_BUSY, "too many lists at one time");
        return;
    }
    get->memfd = steal_fd(&message->fds[0]);
    get->id = message->id;
    get->size_max = LINK_LIST_MAX;
    get->easy = curl_easy_init();
    *slot = get;
    if (!get->easy || set_up(gets, get, &request) < 0)
        conclude(get, LINK_INTERNAL, "memory is short");
}

static enum link_result result_of(const struct list_get *get, CURLcode code, long status)
{
    if (get->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return LINK_TOO_LARGE;
    switch (code) {
    case CURLE_OK:
        return status == 200 ? LINK_OK : LINK_PROTOCOL;
    case CURLE_HTTP_RETURNED_ERROR:
        return status == 404 ? LINK_NOT_FOUND : LINK_PROTOCOL;
    case CURLE_OPERATION_TIMEDOUT:
        return LINK_TIMED_OUT;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR:
        return LINK_INTERNAL;
    default:
        return LINK_UNREACHABLE;
    }
}

bool list_gets_ended(struct list_gets *gets, CURL *easy, CURLcode code)
{
    for (unsigned i = 0; i < LIST_GETS_MAX; i++) {
        struct list_get *get = gets->slots[i];
        long status = 0;
        if (!get || get->easy != easy)
            continue;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        enum link_result result = result_of(get, code, status);
        if (result == LINK_OK)
            conclude(get, result, "");
        else if (code == CURLE_OK)
            conclude(get, result, "the answer is not 200");
        else
            conclude(get, result, get->error[0] ? get->error : curl_easy_strerror(code));
        if (status >= 100 && status <= 599)
            get->event.status = (uint32_t)status;
        return true;
    }
    return false;
}

void list_gets_tell(struct list_gets *gets, int mount_fd)
{
    for (unsigned i = 0; i < LIST_GETS_MAX; i++) {
        struct list_get *get = gets->slots[i];
        if (!get || !get->over)
            continue;
        if (mount_fd >= 0 && link_message_send_event(mount_fd, &get->event) == -EAGAIN)
            return;
        gets->slots[i] = get_free(gets, get);
    }
}
