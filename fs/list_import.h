/*
 * `kosekictl crl import FILE`: revocation lists that a person brings, in a sealed memory file. They
 * go the way of those from files and answer for themselves: the person hears of each whether it is
 * in force, or why not, once what is in force is in the store.
 *
 * Thread rule: control_crl_import() on the control socket's thread, list_import_hear() on the loop
 * thread; own lock.
 */
#ifndef FS_LIST_IMPORT_H
#define FS_LIST_IMPORT_H

#include "fs/control.h"

enum { LIST_IMPORT_MAX = 32 * 1024 * 1024, LIST_IMPORT_FILE_MAX = 128 };

struct list_import;
struct list_news;

struct list_import *list_import_new(struct mountfs *fs); /* NULL when memory is short */
struct list_import *list_import_free(struct list_import *import);

/* "file" names it for the record, "sha256" is that of the descriptor's content: what a second
 * person confirmed is what is imported. One at a time. */
struct json *control_crl_import(const struct control_call *call, bool *ret_later);

/* What became of a list that was imported. */
void list_import_hear(struct list_import *import, const struct list_news *news);

#endif
