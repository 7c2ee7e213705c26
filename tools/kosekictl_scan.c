/* See kosekictl_scan.h. */
#include "tools/kosekictl_scan.h"

#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int kosekictl_scan(struct asking *asking, int argc, char **argv)
{
    bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
    int result = 0;
    if (argc < 2 || (!all && argv[1][0] == '-'))
        return asking_usage("scan NAME ... | --all");
    if (all)
        return json_set_bool(asking->request, "all", true) < 0 ? asking_out_of_memory()
                                                               : asking_print(asking, NULL);
    for (int i = 1; i < argc; i++) {
        if (json_set_text(asking->request, "name", argv[i]) < 0)
            return asking_out_of_memory();
        if (!asking->options->json)
            printf("%s ", argv[i]);
        fflush(stdout);
        int status = asking_print(asking, NULL);
        result = result ? result : status;
    }
    return result;
}
