/* See fs/supervisor_schema.h. */
#include "fs/supervisor_schema.h"

#include "base/memfd.h"
#include "base/trust.h"
#include "fs/supervisor_processes.h"

#include <signal.h>

static bool bundle_has_schema(int trust_fd)
{
    _cleanup_mapping_ struct mapping mapping = {0};
    struct trust_item item;
    size_t offset = 0;
    if (mapping_open(trust_fd, TRUST_BUNDLE_MAX, &mapping) < 0)
        return false;
    while (trust_bundle_next(bytes_of(mapping.data, mapping.size), &offset, &item) == 1) {
        if (item.kind == TRUST_SCHEMA)
            return true;
    }
    return false;
}

int rooms_schema_start(struct rooms *rooms, struct child *schema)
{
    struct child *verify = rooms_find(rooms, ROOM_VERIFY, schema->index);
    const struct room_peer peer = {.role = ROOM_SCHEMA, .index = schema->index};
    if (!rooms->schema_in_use || schema->state != CHILD_ABSENT || verify->state != CHILD_READY)
        return 0;
    confine_foresee_program(rooms->inputs->config.sandbox.landlock_abi_max, &schema->report);
    int r = child_start(schema, &rooms->inputs->accounts.rooms[ROOM_SCHEMA], KOSEKIFS_LIBEXECDIR,
                        rooms->log_fd);
    if (r < 0)
        return r;
    schema->state = CHILD_READY;
    schema->deadline_ms = 0;
    rooms_tell_processes(rooms);
    rooms_send(verify, ROOM_PEER, &peer, sizeof peer, schema->room_fd);
    cleanup_close(&schema->room_fd);
    schema->room_fd = -1;
    return 0;
}

void rooms_schema_start_for(struct rooms *rooms, const struct child *verify)
{
    struct child *schema = rooms_find(rooms, ROOM_SCHEMA, verify->index);
    if (schema->state == CHILD_ABSENT && schema->deadline_ms == 0 &&
        rooms_schema_start(rooms, schema) < 0)
        rooms_schedule_restart(schema, SIGABRT);
}

void rooms_schema_end_for(struct rooms *rooms, const struct child *verify)
{
    struct child *schema = rooms_find(rooms, ROOM_SCHEMA, verify->index);
    child_kill(schema);
    schema->condemned = false; /* it goes because another went */
}

void rooms_schema_follow_trust(struct rooms *rooms)
{
    rooms->schema_in_use = bundle_has_schema(rooms->inputs->trust_fd);
    for (uint32_t i = 0; i < rooms->inputs->config.mount.verify_workers; i++) {
        const struct child *verify = rooms_find(rooms, ROOM_VERIFY, i);
        if (rooms->schema_in_use)
            rooms_schema_start_for(rooms, verify);
        else
            rooms_schema_end_for(rooms, verify);
    }
}
