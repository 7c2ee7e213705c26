/*
 * Damages a closed store, for system tests: flips a bit in the middle of the first row of a table
 * whose key begins with an inode number, or is a name.
 * usage: damage-store DIRECTORY TABLE INODE|NAME
 */
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(int result, const char *what)
{
    if (result == 0)
        return;
    fprintf(stderr, "damage-store: %s: %s\n", what, mdb_strerror(result));
    exit(1);
}

int main(int argc, char **argv)
{
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_cursor *cursor;
    MDB_dbi table;
    if (argc != 4)
        return 64;
    char *rest;
    uint32_t inode = (uint32_t)strtoul(argv[3], &rest, 10);
    uint8_t start[4] = {(uint8_t)(inode >> 24), (uint8_t)(inode >> 16), (uint8_t)(inode >> 8),
                        (uint8_t)inode};
    MDB_val key = {.mv_size = sizeof start, .mv_data = start}, value;
    if (*rest)
        key = (MDB_val){.mv_size = strlen(argv[3]), .mv_data = argv[3]};
    const MDB_val wanted = key;
    require(mdb_env_create(&environment), "environment");
    require(mdb_env_set_mapsize(environment, (size_t)1 << 30), "map size");
    require(mdb_env_set_maxdbs(environment, 16), "tables");
    require(mdb_env_open(environment, argv[1], 0, 0600), argv[1]);
    require(mdb_txn_begin(environment, NULL, 0, &transaction), "transaction");
    require(mdb_dbi_open(transaction, argv[2], 0, &table), argv[2]);
    require(mdb_cursor_open(transaction, table, &cursor), "cursor");
    require(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE), "row");
    if (key.mv_size < wanted.mv_size || memcmp(key.mv_data, wanted.mv_data, wanted.mv_size) != 0) {
        fprintf(stderr, "damage-store: no row of %s in %s\n", argv[3], argv[2]);
        return 1;
    }
    uint8_t *changed = malloc(value.mv_size);
    if (!changed)
        return 1;
    memcpy(changed, value.mv_data, value.mv_size);
    changed[value.mv_size / 2] ^= 1;
    MDB_val replaced = {.mv_size = value.mv_size, .mv_data = changed};
    require(mdb_cursor_put(cursor, &key, &replaced, MDB_CURRENT), "put");
    require(mdb_txn_commit(transaction), "commit");
    mdb_env_close(environment);
    free(changed);
    return 0;
}
