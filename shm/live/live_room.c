#include "shm/live/live_room.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MAP_PAGES_MIN = 64,
    RESERVE_PART = 16, /* of the map, within these bounds: */
    RESERVE_MIN = 48,
    RESERVE_MAX = 256,
    STEP = 64,       /* pages by which the allocated part grows */
    SMALL_WRITE = 2, /* pages that a small write changes, parents shared with others */
    BLOCK = 512,     /* unit of st_blocks */
    FREE_LIST = 0    /* LMDB's own database of free pages */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

int live_room_init(struct live_room *room, MDB_env *env, MDB_txn *reader)
{
    MDB_envinfo info;
    MDB_stat stat;
    int fd;
    struct stat file;
    (void)mdb_env_info(env, &info);
    (void)mdb_env_stat(env, &stat);
    (void)mdb_env_get_fd(env, &fd);
    if (fstat(fd, &file) != 0)
        return -errno;
    *room = (struct live_room){.env = env, .reader = reader, .page_size = stat.ms_psize};
    room->map_pages = info.me_mapsize / room->page_size;
    if (room->map_pages < MAP_PAGES_MIN)
        return -EINVAL;
    room->reserve = larger(smaller(room->map_pages / RESERVE_PART, RESERVE_MAX), RESERVE_MIN);
    room->reserve = smaller(room->reserve, room->map_pages / 2);
    /* Of a file that had a larger limit before, no more than the map has counts. */
    room->backed = (size_t)((uint64_t)file.st_blocks * BLOCK / room->page_size);
    room->backed = smaller(room->backed, room->map_pages);
    return 0;
}

void live_room_begin(struct live_room *room)
{
    MDB_envinfo info;
    (void)mdb_env_info(room->env, &info);
    room->end = info.me_last_pgno + 1;
    room->free_known = false;
    room->small = 0;
    room->large = 0;
}

/* Takes the oldest number from the lines of the reader table:
 * "pid thread transaction"; a reader at rest shows "-". */
static int note_reader(const char *line, void *context)
{
    uint64_t *oldest = context;
    uint64_t id;
    if (sscanf(line, "%*s %*s %" SCNu64, &id) == 1 && id < *oldest)
        *oldest = id;
    return 0;
}

/* The oldest commit that is still being read, or the last one. */
static uint64_t oldest_commit(MDB_env *env, uint64_t last)
{
    uint64_t oldest = last;
    (void)mdb_reader_list(env, note_reader, &oldest);
    return oldest;
}

uint64_t live_room_lag(MDB_env *env)
{
    MDB_envinfo info;
    (void)mdb_env_info(env, &info);
    return info.me_last_txnid - oldest_commit(env, info.me_last_txnid);
}

/* Pages that were freed by commits before `limit`. */
static size_t count_free(MDB_txn *reader, uint64_t limit)
{
    MDB_cursor *cursor;
    if (mdb_cursor_open(reader, FREE_LIST, &cursor) != 0)
        return 0;
    size_t count = 0;
    MDB_val key;
    MDB_val list;
    while (mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0) {
        size_t commit;
        size_t length; /* a list of page numbers begins with its length */
        memcpy(&commit, key.mv_data, sizeof commit);
        if (commit >= limit)
            break;
        memcpy(&length, list.mv_data, sizeof length);
        count += length;
    }
    mdb_cursor_close(cursor);
    return count;
}

/* Free pages that no reader needs any more. */
static size_t usable_pages(struct live_room *room)
{
    if (room->free_known)
        return room->free_pages;
    room->free_pages = 0;
    if (mdb_txn_renew(room->reader) == 0) {
        uint64_t last = mdb_txn_id(room->reader);
        room->free_pages = count_free(room->reader, oldest_commit(room->env, last));
        mdb_txn_reset(room->reader);
    }
    room->free_known = true;
    return room->free_pages;
}

static bool allocate(struct live_room *room, size_t end)
{
    int fd;
    (void)mdb_env_get_fd(room->env, &fd);
    off_t from = (off_t)room->backed * (off_t)room->page_size;
    off_t size = (off_t)(end - room->backed) * (off_t)room->page_size;
    while (fallocate(fd, 0, from, size) != 0) {
        if (errno == EOPNOTSUPP)
            break; /* we learn at the commit */
        if (errno != EINTR)
            return false;
    }
    room->backed = end;
    return true;
}

/* Allocates the file up to this page. */
static bool back(struct live_room *room, size_t end)
{
    size_t target = smaller((end + STEP - 1) / STEP * STEP, room->map_pages);
    if (target > room->backed && !allocate(room, target))
        return false;
    return end <= room->backed;
}

int live_room_take(struct live_room *room, MDB_txn *transaction, MDB_dbi dbi, size_t size)
{
    size_t small = room->small + SMALL_WRITE;
    size_t large = room->large + size / room->page_size;
    MDB_stat stat;
    (void)mdb_stat(transaction, dbi, &stat);
    /* Small writes can't take more pages than the tree has. */
    size_t copied = smaller(small, stat.ms_branch_pages + stat.ms_leaf_pages + SMALL_WRITE);
    size_t need = copied + large + room->reserve;
    if (!back(room, room->end + need)) {
        size_t in_use = room->end - smaller(usable_pages(room), room->end);
        if (in_use + need > room->backed)
            return -ENOSPC;
    }
    room->small = small;
    room->large = large;
    return 0;
}

void live_room_usage(MDB_env *env, MDB_txn *reader, uint64_t *ret_used, uint64_t *ret_size_max)
{
    MDB_envinfo info;
    MDB_stat stat;
    (void)mdb_env_info(env, &info);
    (void)mdb_env_stat(env, &stat);
    size_t end = info.me_last_pgno + 1;
    size_t used = end - smaller(count_free(reader, UINT64_MAX), end);
    *ret_used = (uint64_t)used * stat.ms_psize;
    *ret_size_max = info.me_mapsize;
}
