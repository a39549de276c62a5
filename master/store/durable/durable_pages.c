#include "master/store/durable/durable_pages.h"

#include <string.h>

enum {
    FREE_LIST = 0, /* LMDB's own database of free pages */
    META_PAGES = 2,
    META_WRITTEN = 1 /* per commit */
};

static uint64_t tree_pages(MDB_txn *reader, MDB_dbi dbi)
{
    MDB_stat stat = {0};
    (void)mdb_stat(reader, dbi, &stat);
    return (uint64_t)stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

/* Pages that the last commit set free: a list that begins with its length, under the
 * number of the commit. */
static uint64_t freed_pages(MDB_txn *reader)
{
    MDB_cursor *cursor; /* mdb_get() does not lead into that database */
    size_t commit = mdb_txn_id(reader);
    size_t length = 0;
    MDB_val key = {.mv_size = sizeof commit, .mv_data = &commit};
    MDB_val list;
    if (mdb_cursor_open(reader, FREE_LIST, &cursor) != 0)
        return 0;
    if (mdb_cursor_get(cursor, &key, &list, MDB_SET_KEY) == 0 && list.mv_size >= sizeof length)
        memcpy(&length, list.mv_data, sizeof length);
    mdb_cursor_close(cursor);
    return length;
}

uint64_t durable_pages_look(struct durable_pages *pages, MDB_txn *reader, MDB_dbi dbi)
{
    uint64_t before = pages->in_use;
    if (mdb_txn_renew(reader) != 0)
        return META_WRITTEN;
    pages->in_use = META_PAGES + tree_pages(reader, FREE_LIST) + tree_pages(reader, dbi);
    uint64_t copied = freed_pages(reader);
    mdb_txn_reset(reader);
    uint64_t sum = copied + pages->in_use;
    return META_WRITTEN + (sum > before ? sum - before : 0);
}
