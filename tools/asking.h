/*
 * One command of kosekictl that the running daemon carries out: a request is filled in, sent, and
 * the reply printed, as text or as it is.
 */
#ifndef TOOLS_ASKING_H
#define TOOLS_ASKING_H

#include "tools/kosekictl_daemon.h"

struct json;

struct asking {
    const struct kosekictl_options *options;
    int fd;               /* connected to the control socket */
    struct json *request; /* has its "command" already */
    int fds[2];           /* that go with it; stay the caller's */
    unsigned fd_count;
};

/* The reply of a command that was carried out; NULL after a message, *ret_exit is set then. The
 * caller frees. */
struct json *asking_send(struct asking *asking, int *ret_exit);

/* Sends, and prints the member `rows` as a table; NULL: all members. An exit status. */
int asking_print(struct asking *asking, const char *rows);
void asking_print_rows(const struct json *rows);

/* True, after saying so, if the command waits for a second person; `then` is added to that. The
 * exit status is EX_TEMPFAIL. */
bool asking_pending(const struct json *reply, const char *then);

/* Say so and yield the exit status. */
int asking_usage(const char *text);
int asking_out_of_memory(void);

#endif
