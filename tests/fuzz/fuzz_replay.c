/*
 * Runs a fuzz entry over files and directories of files: the corpus in `meson test`, without
 * libFuzzer. With --hex it takes the value of /Contents out of each PDF file, for fuzz_cms.
 */
#include "fuzz_trust.h"

#include "base/bytes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

static int hex;
static unsigned long runs;

/* The longest run of hexadecimal digits. */
static void run_contents(const struct buffer *content)
{
    const char *text = content->data ? (const char *)content->data : "";
    size_t best = 0, best_start = 0, start = 0;

    for (size_t i = 0; i <= content->size; i++) {
        if (i < content->size && memchr("0123456789abcdefABCDEF", text[i], 22))
            continue;
        if (i - start > best) {
            best = i - start;
            best_start = start;
        }
        start = i + 1;
    }
    uint8_t *token = malloc(best / 2 + 1);
    if (token && hex_decode(text + best_start, best / 2 * 2, token, best / 2))
        LLVMFuzzerTestOneInput(token, best / 2);
    free(token);
}

static int run_file(const char *path)
{
    _cleanup_fclose_ FILE *stream = fopen(path, "rb");
    _cleanup_buffer_ struct buffer content;
    uint8_t piece[4096];
    size_t got;

    buffer_init(&content, FILE_MAX);
    if (!stream)
        return -1;
    while ((got = fread(piece, 1, sizeof piece, stream)) > 0) {
        if (buffer_append(&content, piece, got) < 0)
            return -1;
    }
    runs++;
    if (hex)
        run_contents(&content);
    else
        LLVMFuzzerTestOneInput(content.data ? content.data : (const uint8_t *)"", content.size);
    return 0;
}

static int run_path(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    DIR *directory = opendir(path);
    if (!directory)
        return -1;
    const struct dirent *entry;
    int r = 0;
    while (r == 0 && (entry = readdir(directory))) {
        char inside[4096];
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_REG)
            r = run_file(inside);
    }
    closedir(directory);
    return r;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--hex") == 0) {
            hex = 1;
        } else if (run_path(argv[i]) < 0) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 1;
        }
    }
    printf("%lu inputs\n", runs);
    return runs ? 0 : 1;
}
