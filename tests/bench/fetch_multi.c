/*
 * The reference of link_bench.py: what libcurl's multi interface fetches when nothing else has to
 * be done. As many kept connections as transfers, HTTP/1.1 and mutual TLS as kosekifs-link has
 * them, handles that are used again, one GET a file, bodies into memory that is used again:
 * nothing is written, verified, stored or handed on.
 *
 * With a DIRECTORY each body is written to a file of its own there and synced, as a program has to
 * that must not lose what it fetched; the loop waits meanwhile.
 *
 * The first URL is fetched on each connection before the time begins, so that no handshake is in
 * it. Prints "WALL CPU", seconds, for the URLs after it.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { TRANSFERS_MAX = 64, BODY_MAX = 32 * 1024 * 1024, RECEIVE_BUFFER = 256 * 1024 };

struct fetch {
    CURL *easy;
    char *body;
    size_t size, room;
};

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static size_t take(char *data, size_t size, size_t count, void *user)
{
    struct fetch *fetch = user;
    size *= count;
    if (size > BODY_MAX - fetch->size)
        return 0;
    if (fetch->size + size > fetch->room) {
        fetch->room = fetch->size + size > 2 * fetch->room ? fetch->size + size : 2 * fetch->room;
        fetch->body = realloc(fetch->body, fetch->room);
        if (!fetch->body)
            fail("memory is short");
    }
    memcpy(fetch->body + fetch->size, data, size);
    fetch->size += size;
    return size;
}

static void prepare(struct fetch *fetch, char **arguments)
{
    fetch->easy = curl_easy_init();
    if (!fetch->easy || curl_easy_setopt(fetch->easy, CURLOPT_CAINFO, arguments[0]) ||
        curl_easy_setopt(fetch->easy, CURLOPT_SSLCERT, arguments[1]) ||
        curl_easy_setopt(fetch->easy, CURLOPT_SSLKEY, arguments[2]) ||
        curl_easy_setopt(fetch->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ||
        curl_easy_setopt(fetch->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) ||
        curl_easy_setopt(fetch->easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER) ||
        curl_easy_setopt(fetch->easy, CURLOPT_WRITEFUNCTION, take) ||
        curl_easy_setopt(fetch->easy, CURLOPT_WRITEDATA, fetch) ||
        curl_easy_setopt(fetch->easy, CURLOPT_PRIVATE, fetch))
        fail("libcurl does not take the options");
}

static void begin(CURLM *multi, struct fetch *fetch, const char *url)
{
    fetch->size = 0;
    if (curl_easy_setopt(fetch->easy, CURLOPT_URL, url) ||
        curl_multi_add_handle(multi, fetch->easy))
        fail("a fetch cannot begin");
}

/* The next fetch that has come to its end, whole. */
static struct fetch *finish(CURLM *multi)
{
    for (;;) {
        int running, left;
        if (curl_multi_perform(multi, &running))
            fail("libcurl");
        CURLMsg *message = curl_multi_info_read(multi, &left);
        struct fetch *fetch = NULL;
        long status = 0;
        if (!message) {
            if (curl_multi_poll(multi, NULL, 0, 1000, NULL))
                fail("libcurl");
            continue;
        }
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        if (message->data.result || status != 200)
            fail(message->data.result ? curl_easy_strerror(message->data.result) : "status");
        if (curl_multi_remove_handle(multi, fetch->easy))
            fail("libcurl");
        return fetch;
    }
}

static void keep(const struct fetch *fetch, const char *directory)
{
    static unsigned long number;
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/%lu", directory, number++);
    int fd =
        size < (int)sizeof path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || write(fd, fetch->body, fetch->size) != (ssize_t)fetch->size || fsync(fd) < 0)
        fail("a body cannot be kept");
    close(fd);
}

/* false at the end of the list. */
static int next_url(char *url, int size)
{
    if (!fgets(url, size, stdin))
        return 0;
    url[strcspn(url, "\n")] = '\0';
    return 1;
}

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    static struct fetch fetches[TRANSFERS_MAX];
    char url[4096];
    const char *directory = argc == 6 ? argv[5] : NULL;
    int transfers = argc == 5 || argc == 6 ? atoi(argv[4]) : 0, active = 0;
    CURLM *multi = curl_multi_init();
    if (transfers < 1 || transfers > TRANSFERS_MAX || !multi ||
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)transfers)) {
        fprintf(stderr, "usage: fetch-multi CA CERTIFICATE KEY TRANSFERS [DIRECTORY] <URLS\n");
        return 64;
    }
    if (!next_url(url, sizeof url))
        fail("no URL");
    for (int i = 0; i < transfers; i++) {
        prepare(&fetches[i], argv + 1);
        begin(multi, &fetches[i], url);
    }
    for (int i = 0; i < transfers; i++)
        (void)finish(multi);
    double began = wall(), began_cpu = cpu();
    while (active < transfers && next_url(url, sizeof url))
        begin(multi, &fetches[active++], url);
    while (active > 0) {
        struct fetch *fetch = finish(multi);
        if (directory)
            keep(fetch, directory);
        if (next_url(url, sizeof url))
            begin(multi, fetch, url);
        else
            active--;
    }
    printf("%f %f\n", wall() - began, cpu() - began_cpu);
    return 0;
}
