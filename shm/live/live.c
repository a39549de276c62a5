#include "shm/live/live.h"

#include "common/base/check.h"
#include "shm/live/live_internal.h"
#include "shm/live/live_room.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    FORMAT = 1,
    READERS_MAX = 1024,  /* two slots per reader, and those of the dead */
    RENEW_TRIES = 10000, /* each failed one means that a commit came between */
    ID_BLOCK = 4096,     /* node ids taken per write of the meta record */
    PAGE_4K = 4096,
    DISK_FULL_BELOW = 1 << 20
};

/* Value of the LIVE_META record. */
struct meta {
    uint32_t format;
    uint32_t reserved;
    uint64_t id_limit;
    struct hash_key hash_key;
};

struct live {
    MDB_env *env;
    MDB_dbi dbi;
    bool is_writer;
    bool has_snapshot;    /* reader: renewed and not at rest */
    MDB_txn *transaction; /* writer: the open one */
    MDB_txn *snapshot;    /* kept for life, so that its slot is */
    MDB_txn *witness;     /* reader: proves a renewal sound */
    int error;            /* writer: what made the transaction unusable */
    uint64_t next_id;
    uint64_t id_limit; /* ids from here on are not taken yet, on record */
    struct hash_key hash_key;
    struct live_room room;
};

static const uint8_t meta_key[] = {LIVE_META};

static const struct bytes meta_key_bytes = {meta_key, sizeof meta_key};

/* LMDB gives EIO where a write to a full tmpfs came out short. */
static bool disk_is_full(struct live *live)
{
    int fd;
    struct statvfs fs;
    if (mdb_env_get_fd(live->env, &fd) != 0 || fstatvfs(fd, &fs) != 0)
        return false;
    return (uint64_t)fs.f_bavail * fs.f_frsize < DISK_FULL_BELOW;
}

/* LMDB's result as 0 or -errno. */
static int result(struct live *live, int code)
{
    switch (code) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
        return -EBUSY;
    case MDB_BAD_VALSIZE:
        return -EINVAL;
    case EIO:
        return disk_is_full(live) ? -ENOSPC : -EIO;
    default:
        return code > 0 ? -code : -EBADMSG;
    }
}

/* -- open and close -- */

static int check_library(void)
{
    int major;
    int minor;
    int patch;
    (void)mdb_version(&major, &minor, &patch);
    bool splits_large_pages = major > 0 || minor > 9 || (minor == 9 && patch >= 30);
    if (sysconf(_SC_PAGESIZE) > PAGE_4K && !splits_large_pages)
        return -ENOTSUP;
    return 0;
}

/* A reading transaction at rest, which keeps its slot. */
static int make_reader(struct live *live, MDB_txn **ret_txn)
{
    int r = mdb_txn_begin(live->env, NULL, MDB_RDONLY, ret_txn);
    if (r == MDB_READERS_FULL) {
        live_reap_readers(live);
        r = mdb_txn_begin(live->env, NULL, MDB_RDONLY, ret_txn);
    }
    if (r == 0)
        mdb_txn_reset(*ret_txn);
    return result(live, r);
}

static int open_env(struct live *live, const char *folder, unsigned flags)
{
    int r = mdb_env_set_maxreaders(live->env, READERS_MAX);
    if (r == 0)
        r = mdb_env_open(live->env, folder, flags | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    return result(live, r);
}

static int read_meta(struct live *live)
{
    struct bytes value = {NULL, 0};
    int r = live_get(live, meta_key_bytes, &value);
    if (r != 0)
        return r;
    struct meta meta;
    if (value.size != sizeof meta)
        return -EPROTO;
    memcpy(&meta, value.data, sizeof meta);
    if (meta.format != FORMAT)
        return -EPROTO;
    live->hash_key = meta.hash_key;
    live->next_id = meta.id_limit;
    live->id_limit = meta.id_limit;
    return 0;
}

static int write_meta(struct live *live, uint64_t id_limit)
{
    struct meta meta = {.format = FORMAT, .id_limit = id_limit, .hash_key = live->hash_key};
    struct bytes value = {(const uint8_t *)&meta, sizeof meta};
    return live_put(live, meta_key_bytes, value);
}

/* The first transaction: opens the database, and makes the meta record of a
 * new one. */
static int start_writing(struct live *live)
{
    int r = live_begin(live);
    if (r != 0)
        return r;
    r = result(live, mdb_dbi_open(live->transaction, NULL, 0, &live->dbi));
    if (r == 0)
        r = read_meta(live);
    if (r == -ENOENT) {
        hash_make_key(&live->hash_key);
        live->next_id = 1;
        live->id_limit = 1;
        r = write_meta(live, live->id_limit);
    }
    if (r == 0)
        return live_commit(live);
    live_abort(live);
    return r;
}

static int start_reading(struct live *live)
{
    int r = make_reader(live, &live->witness);
    if (r == 0)
        r = live_renew(live);
    if (r != 0)
        return r;
    r = result(live, mdb_dbi_open(live->snapshot, NULL, 0, &live->dbi));
    if (r == 0)
        r = read_meta(live);
    live_rest(live);
    return r;
}

static int make(struct live **ret_live, bool is_writer)
{
    struct live *live = calloc(1, sizeof *live);
    if (live == NULL)
        return -ENOMEM;
    live->is_writer = is_writer;
    int r = result(live, mdb_env_create(&live->env));
    if (r != 0) {
        free(live);
        return r;
    }
    *ret_live = live;
    return 0;
}

int live_open_writer(struct live **ret_live, const char *folder, size_t size_max)
{
    int r = check_library();
    if (r != 0)
        return r;
    struct live *live;
    r = make(&live, true);
    if (r != 0)
        return r;
    r = result(live, mdb_env_set_mapsize(live->env, size_max));
    /* Memory of LMDB is wiped before it becomes a page (no MDB_NOMEMINIT): other
     * processes read the file, and this one's memory holds secrets. */
    if (r == 0)
        r = open_env(live, folder, MDB_NOSYNC);
    if (r == 0)
        r = make_reader(live, &live->snapshot);
    if (r == 0)
        r = live_room_init(&live->room, live->env, live->snapshot);
    if (r == 0)
        r = start_writing(live);
    if (r != 0) {
        live_close(live);
        return r;
    }
    *ret_live = live;
    return 0;
}

int live_open_reader(struct live **ret_live, const char *folder)
{
    struct live *live;
    int r = make(&live, false);
    if (r != 0)
        return r;
    r = open_env(live, folder, MDB_RDONLY);
    if (r == -EBADF)
        r = -ENOENT; /* a file still empty, which LMDB tried to fill */
    if (r == 0)
        r = make_reader(live, &live->snapshot);
    if (r == 0)
        r = start_reading(live);
    if (r != 0) {
        live_close(live);
        return r;
    }
    *ret_live = live;
    return 0;
}

void live_close(struct live *live)
{
    if (live == NULL)
        return;
    if (live->transaction != NULL)
        mdb_txn_abort(live->transaction);
    if (live->snapshot != NULL)
        mdb_txn_abort(live->snapshot);
    if (live->witness != NULL)
        mdb_txn_abort(live->witness);
    mdb_env_close(live->env);
    free(live);
}

/* -- snapshots -- */

/* Renews one transaction; follows a map that was made larger. */
static int renew(struct live *live, MDB_txn *txn)
{
    int r = mdb_txn_renew(txn);
    if (r != MDB_MAP_RESIZED)
        return r;
    live_rest(live);
    mdb_txn_reset(live->witness);
    r = mdb_env_set_mapsize(live->env, 0);
    return r != 0 ? r : EAGAIN;
}

/* LMDB's renewal takes the number N of the last commit and then copies the root
 * from the page of meta data that N shares with N + 2. When two commits pass in
 * between, it may copy a mixture. It also writes N into its slot without a fence,
 * so the writer might not see the slot in time (x86 and arm64 alike).
 *
 * So a second transaction bears witness. If it still finds N to be the last
 * commit after the first has copied, N + 1 was not finished then, N + 2 not
 * begun, and the copy is whole; the fence between the two also makes the slot
 * visible before that look. (Comparing with mdb_env_info() would do as well, but
 * that reads N + 1 from the meta page a moment before the commit is finished, and
 * for as long as no successor has come when the writer dies in that moment.) */
int live_renew(struct live *live)
{
    check(!live->is_writer);
    live_rest(live);
    for (unsigned i = 0; i < RENEW_TRIES; i++) {
        int r = renew(live, live->snapshot);
        if (r == EAGAIN)
            continue;
        if (r != 0)
            return result(live, r);
        live->has_snapshot = true;
        atomic_thread_fence(memory_order_seq_cst);
        r = renew(live, live->witness);
        bool sound = r == 0 && mdb_txn_id(live->witness) == mdb_txn_id(live->snapshot);
        mdb_txn_reset(live->witness);
        if (sound)
            return 0;
        live_rest(live);
        if (r != 0 && r != EAGAIN)
            return result(live, r);
    }
    return -EAGAIN;
}

void live_rest(struct live *live)
{
    if (!live->has_snapshot)
        return;
    mdb_txn_reset(live->snapshot);
    live->has_snapshot = false;
}

/* -- transactions -- */

int live_begin(struct live *live)
{
    check(live->is_writer);
    check(live->transaction == NULL);
    int r = mdb_txn_begin(live->env, NULL, 0, &live->transaction);
    if (r != 0) {
        live->transaction = NULL;
        return result(live, r);
    }
    live->error = 0;
    live_room_begin(&live->room);
    return 0;
}

int live_commit(struct live *live)
{
    check(live->transaction != NULL);
    int r = live->error;
    if (r != 0) {
        live_abort(live);
        return r;
    }
    r = result(live, mdb_txn_commit(live->transaction));
    live->transaction = NULL;
    if (r != 0)
        live->id_limit = live->next_id;
    return r;
}

void live_abort(struct live *live)
{
    check(live->transaction != NULL);
    mdb_txn_abort(live->transaction);
    live->transaction = NULL;
    /* The block of ids may have been taken in this transaction. */
    live->id_limit = live->next_id;
}

/* -- records -- */

static MDB_txn *current(struct live *live)
{
    if (live->is_writer) {
        check(live->transaction != NULL);
        return live->transaction;
    }
    check(live->has_snapshot);
    return live->snapshot;
}

/* LMDB's structure has no const; it does not write through keys and values. */
static MDB_val to_value(struct bytes b)
{
    union {
        const uint8_t *in;
        void *out;
    } data = {.in = b.data};
    return (MDB_val){.mv_size = b.size, .mv_data = data.out};
}

static struct bytes from_value(const MDB_val *value)
{
    return (struct bytes){value->mv_data, value->mv_size};
}

int live_get(struct live *live, struct bytes key, struct bytes *ret_value)
{
    MDB_val wanted = to_value(key);
    MDB_val value;
    int r = mdb_get(current(live), live->dbi, &wanted, &value);
    if (r != 0)
        return result(live, r);
    *ret_value = from_value(&value);
    return 0;
}

int live_seek(struct live *live, struct bytes key, struct bytes *ret_key, struct bytes *ret_value)
{
    MDB_cursor *cursor;
    int r = mdb_cursor_open(current(live), live->dbi, &cursor);
    if (r != 0)
        return result(live, r);
    MDB_val at = to_value(key);
    MDB_val value;
    r = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    if (r != 0)
        return result(live, r);
    *ret_key = from_value(&at);
    *ret_value = from_value(&value);
    return 0;
}

/* Result of a write: LMDB can't go on in this transaction after an error. */
static int written(struct live *live, int code)
{
    int r = result(live, code);
    if (r != 0 && r != -ENOENT && live->error == 0)
        live->error = r;
    return live->error != 0 ? live->error : r;
}

int live_put(struct live *live, struct bytes key, struct bytes value)
{
    check(live->transaction != NULL);
    MDB_val at = to_value(key);
    MDB_val data = to_value(value);
    return written(live, mdb_put(live->transaction, live->dbi, &at, &data, 0));
}

int live_reserve(struct live *live, struct bytes key, size_t size, uint8_t **ret_memory)
{
    check(live->transaction != NULL);
    MDB_val at = to_value(key);
    MDB_val data = {.mv_size = size};
    int r = written(live, mdb_put(live->transaction, live->dbi, &at, &data, MDB_RESERVE));
    if (r != 0)
        return r;
    *ret_memory = data.mv_data;
    return 0;
}

int live_delete(struct live *live, struct bytes key)
{
    check(live->transaction != NULL);
    MDB_val at = to_value(key);
    return written(live, mdb_del(live->transaction, live->dbi, &at, NULL));
}

int live_room(struct live *live, size_t size)
{
    check(live->transaction != NULL);
    return live_room_take(&live->room, live->transaction, live->dbi, size);
}

int live_new_id(struct live *live, uint64_t *ret_id)
{
    if (live->next_id == live->id_limit) {
        int r = write_meta(live, live->id_limit + ID_BLOCK);
        if (r != 0)
            return r;
        live->id_limit += ID_BLOCK;
    }
    *ret_id = live->next_id++;
    return 0;
}

const struct hash_key *live_hash_key(const struct live *live)
{
    return &live->hash_key;
}

/* -- watching -- */

void live_reap_readers(struct live *live)
{
    (void)mdb_reader_check(live->env, NULL);
}

uint64_t live_reader_lag(struct live *live)
{
    return live_room_lag(live->env);
}

void live_usage(struct live *live, uint64_t *ret_used, uint64_t *ret_size_max)
{
    *ret_used = 0;
    *ret_size_max = 0;
    bool was_resting = !live->has_snapshot;
    /* A writer keeps this slot for such looks; nobody commits under them. */
    int r = 0;
    if (was_resting)
        r = live->is_writer ? mdb_txn_renew(live->snapshot) : live_renew(live);
    if (r != 0)
        return;
    live_room_usage(live->env, live->snapshot, ret_used, ret_size_max);
    if (was_resting)
        mdb_txn_reset(live->snapshot);
    if (was_resting)
        live->has_snapshot = false;
}
