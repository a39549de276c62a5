#ifndef COURTIER_SHM_LIVE_LIVE_ROOM_H
#define COURTIER_SHM_LIVE_LIVE_ROOM_H

/*
 * How much room is left in the live environment, part of live.c. LMDB copies
 * each page that it changes, so a delete needs free pages too, and a full map
 * could never be emptied. What grows must therefore ask first and is refused
 * while some pages are left.
 *
 * The file is allocated ahead of its use by as many pages: on a tmpfs that
 * others fill up, LMDB would see that only at the commit.
 */

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct live_room {
    MDB_env *env;
    MDB_txn *reader; /* at rest between calls: reads LMDB's list of free pages */
    size_t page_size;
    size_t map_pages;
    size_t reserve; /* pages held back */
    size_t backed;  /* pages of the file that are allocated */
    /* of the transaction: */
    size_t end;        /* pages in use at its begin, free ones among them */
    size_t free_pages; /* those of them that it may reuse */
    bool free_known;
    size_t small; /* pages that its small writes may take */
    size_t large; /* pages that its large values take */
};

/* 0 or -errno (-EINVAL: the map is too small to hold anything back). */
int live_room_init(struct live_room *room, MDB_env *env, MDB_txn *reader);
void live_room_begin(struct live_room *room);
/* Takes room for `size` bytes: 0 or -ENOSPC. */
int live_room_take(struct live_room *room, MDB_txn *transaction, MDB_dbi dbi, size_t size);

/* Commits that the oldest reader is behind. */
uint64_t live_room_lag(MDB_env *env);
/* Bytes in use in the snapshot of `reader`, and the size of the map. */
void live_room_usage(MDB_env *env, MDB_txn *reader, uint64_t *ret_used, uint64_t *ret_size_max);

#endif
