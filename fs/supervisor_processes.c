/* See fs/supervisor_processes.h. */
#include "fs/supervisor_processes.h"

static struct child *ready_mount(struct rooms *rooms)
{
    struct child *mount = rooms_find(rooms, ROOM_MOUNT, 0);
    return mount->state == CHILD_READY ? mount : NULL;
}

void rooms_tell_processes(struct rooms *rooms)
{
    struct room_process list[ROOM_PROCESS_MAX] = {{.role = ROOM_SUPERVISOR, .pid = getpid()}};
    size_t count = 1;
    struct child *mount = ready_mount(rooms);
    if (!mount)
        return;
    for (unsigned i = 0; i < rooms->count; i++) {
        const struct child *child = &rooms->list[i];
        if (child->state == CHILD_READY)
            list[count++] = (struct room_process){.role = child->role,
                                                  .index = child->index,
                                                  .pid = child->pid,
                                                  .report = child->report};
    }
    rooms_send_plain(mount, ROOM_PROCESSES, list, count * sizeof list[0]);
}

void rooms_tell_ended(struct rooms *rooms, const struct child *child, int status)
{
    const struct room_ended ended = {.peer = {.role = child->role, .index = child->index},
                                     .status = status,
                                     .retired = child->retired};
    struct child *mount = ready_mount(rooms);
    if (mount)
        rooms_send_plain(mount, ROOM_ENDED, &ended, sizeof ended);
}

void rooms_retire(struct child *worker, bool trying)
{
    worker->retired = true;
    if (trying)
        return;
    child_kill(worker);
    worker->condemned = false;
}
