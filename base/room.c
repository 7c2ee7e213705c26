/* A child's first and last words to the supervisor; see base/room.h. */
#include "base/room.h"

#include "base/log.h"

#include <stdarg.h>
#include <string.h>

const char *room_role_name(enum room_role role)
{
    static const char *const names[ROOM_ROLE_COUNT] = {
        [ROOM_SUPERVISOR] = "supervisor", [ROOM_MOUNT] = "mount", [ROOM_LINK] = "link",
        [ROOM_VERIFY] = "verify",         [ROOM_KEYS] = "keys",   [ROOM_SCHEMA] = "schema",
    };
    return (unsigned)role < ROOM_ROLE_COUNT ? names[role] : "?";
}

int room_receive_setup(size_t size, struct ipc_message *ret_message)
{
    int r = ipc_receive(ROOM_FD, ret_message);
    if (r < 0)
        return r;
    if (r == IPC_CLOSED)
        return -EPIPE;
    if (ret_message->type != ROOM_SETUP || ret_message->size != size) {
        ipc_message_done(ret_message);
        return -EBADMSG;
    }
    return 0;
}

int room_send_ready(const struct confine_report *report)
{
    return ipc_send(ROOM_FD, ROOM_READY, 0, report, sizeof *report, NULL, 0);
}

void room_answer_alive(const struct ipc_message *message, const void *payload, size_t size)
{
    if (ipc_send(ROOM_FD, ROOM_ALIVE, message->id, payload, size, NULL, 0) < 0)
        log_debug("the supervisor does not hear that we are alive");
}

_printf_(1, 0) static void tell_failure(const char *format, va_list arguments)
{
    char text[ROOM_TEXT_MAX + 1];
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    if (ipc_send(ROOM_FD, ROOM_FAILED, 0, text, strlen(text), NULL, 0) < 0)
        log_error("%s", text); /* nobody listens there any more */
}

void room_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell_failure(format, arguments);
    va_end(arguments);
    exit(1);
}

void room_fail_for_good(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell_failure(format, arguments);
    va_end(arguments);
    _exit(ROOM_EXIT_FINAL); /* no exit handler of a library may change the status */
}
