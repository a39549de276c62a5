#include "master/store/durable/durable_env.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "master/store/durable/durable_format.h"
#include "master/store/durable/durable_pages.h"
#include "master/store/durable/durable_repair.h"
#include "master/store/durable/durable_sum.h"
#include "shm/live/live_room.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    UNSAFE_FLAGS = MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP,
    DISK_FULL_BELOW = 1 << 20
};

struct durable_env {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *transaction; /* the open one */
    MDB_txn *reader;      /* at rest, for live_room.c */
    int folder_fd;        /* holds the lock */
    bool is_writing;
    int error;        /* what spoiled the transaction */
    unsigned changes; /* of the transaction */
    uint64_t pages_written;
    struct durable_pages pages;
    struct live_room room;
    const char *folder;
    uint64_t size_max;
};

static int failure(struct durable_env *env, int code)
{
    struct statvfs fs;
    if (code == 0)
        return 0;
    if (code == MDB_NOTFOUND)
        return -ENOENT;
    if (code == MDB_MAP_FULL || code == MDB_TXN_FULL)
        return -ENOSPC;
    /* LMDB gives EIO where a write came out short. */
    if (code == EIO && fstatvfs(env->folder_fd, &fs) == 0 &&
        (uint64_t)fs.f_bavail * fs.f_frsize < DISK_FULL_BELOW)
        return -ENOSPC;
    if (code == MDB_VERSION_MISMATCH)
        return -EPROTO; /* a later LMDB made it */
    return code > 0 ? -code : -EUCLEAN;
}

static MDB_val to_value(struct bytes b)
{
    union {
        const uint8_t *in;
        void *out;
    } data = {.in = b.data}; /* LMDB does not write through keys and values */
    return (MDB_val){.mv_size = b.size, .mv_data = data.out};
}

static struct bytes to_bytes(const MDB_val *value)
{
    return (struct bytes){value->mv_data, value->mv_size};
}

/* -- rows -- */

int durable_env_get(struct durable_env *env, const struct durable_key *key,
                    struct bytes *ret_content)
{
    MDB_val at = to_value(durable_key_bytes(key));
    MDB_val value;
    check(env->transaction != NULL);
    int r = mdb_get(env->transaction, env->dbi, &at, &value);
    return r != 0 ? failure(env, r)
                  : durable_sum_open(durable_key_bytes(key), to_bytes(&value), ret_content);
}

bool durable_env_has(struct durable_env *env, const struct durable_key *key)
{
    MDB_val at = to_value(durable_key_bytes(key));
    MDB_val value;
    check(env->transaction != NULL);
    return mdb_get(env->transaction, env->dbi, &at, &value) == 0;
}

static bool is_at(const MDB_val *at, struct bytes key)
{
    return bytes_equal(key, (struct bytes){at->mv_data, at->mv_size});
}

/* 0; -ENOENT: the row is none of those with this prefix; or -EIO. */
static int move_key(struct durable_key *key, const MDB_val *at, size_t prefix)
{
    if (at->mv_size < prefix || memcmp(at->mv_data, key->bytes, prefix) != 0)
        return -ENOENT;
    if (at->mv_size > DURABLE_KEY_MAX)
        return -EIO; /* no version of ours wrote it */
    key->size = (uint8_t)at->mv_size;
    memcpy(key->bytes, at->mv_data, at->mv_size);
    return 0;
}

/* Puts a cursor on the first row of a walk. 0 or an error of LMDB. */
static int set_out(MDB_cursor *cursor, const struct durable_key *key, bool is_backward, MDB_val *at,
                   MDB_val *value)
{
    struct bytes from = durable_key_bytes(key);
    *at = to_value(from);
    int r = mdb_cursor_get(cursor, at, value, MDB_SET_RANGE);
    if (is_backward)
        return mdb_cursor_get(cursor, at, value, r == 0 ? MDB_PREV : MDB_LAST);
    return r == 0 && is_at(at, from) ? mdb_cursor_get(cursor, at, value, MDB_NEXT) : r;
}

int durable_env_walk(struct durable_env *env, struct durable_key *key,
                     const struct durable_walk *walk)
{
    MDB_cursor *cursor;
    MDB_val at;
    MDB_val value;
    check(env->transaction != NULL && walk->prefix <= key->size);
    int r = mdb_cursor_open(env->transaction, env->dbi, &cursor);
    if (r != 0)
        return failure(env, r);
    r = failure(env, set_out(cursor, key, walk->is_backward, &at, &value));
    while (r == 0 && (r = move_key(key, &at, walk->prefix)) == 0) {
        struct bytes content;
        bool is_damaged = durable_sum_open(durable_key_bytes(key), to_bytes(&value), &content) != 0;
        if (!walk->show(key, is_damaged ? NULL : &content, walk->context))
            break;
        MDB_cursor_op on = walk->is_backward ? MDB_PREV : MDB_NEXT;
        r = failure(env, mdb_cursor_get(cursor, &at, &value, on));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

/* The first row of a walk. */
struct first {
    bool is_found;
    bool is_damaged;
    struct bytes content;
};

static bool take_first(const struct durable_key *key, const struct bytes *content, void *context)
{
    struct first *first = context;
    (void)key;
    first->is_found = true;
    first->is_damaged = content == NULL;
    if (content != NULL)
        first->content = *content;
    return false;
}

int durable_env_next(struct durable_env *env, struct durable_key *key, size_t prefix,
                     struct bytes *ret_content)
{
    struct first first = {0};
    const struct durable_walk walk = {.prefix = prefix, .show = take_first, .context = &first};
    int r = durable_env_walk(env, key, &walk);
    *ret_content = first.content;
    if (r < 0 || !first.is_found)
        return r < 0 ? r : -ENOENT;
    return first.is_damaged ? -EBADMSG : 0;
}

/* Result of a write. */
static int written(struct durable_env *env, int code)
{
    int r = failure(env, code);
    if (r != 0 && r != -ENOENT && env->error == 0)
        env->error = r;
    env->changes += r == 0;
    return env->error != 0 ? env->error : r;
}

int durable_env_reserve(struct durable_env *env, const struct durable_key *key, size_t size,
                        uint8_t **ret_memory)
{
    MDB_val at = to_value(durable_key_bytes(key));
    MDB_val data = {.mv_size = size + DURABLE_SUM_SIZE};
    check(env->is_writing);
    int r = written(env, mdb_put(env->transaction, env->dbi, &at, &data, MDB_RESERVE));
    if (r == 0)
        *ret_memory = data.mv_data;
    return r;
}

void durable_env_seal(struct durable_env *env, const struct durable_key *key, uint8_t *memory,
                      size_t size)
{
    check(env->is_writing);
    durable_sum_seal(durable_key_bytes(key), memory, size);
}

int durable_env_put(struct durable_env *env, const struct durable_key *key, struct bytes content)
{
    uint8_t *memory;
    int r = durable_env_reserve(env, key, content.size, &memory);
    if (r != 0)
        return r;
    if (content.size > 0)
        memcpy(memory, content.data, content.size);
    durable_env_seal(env, key, memory, content.size);
    return 0;
}

int durable_env_put_raw(struct durable_env *env, const struct durable_key *key, struct bytes value)
{
    MDB_val at = to_value(durable_key_bytes(key));
    MDB_val data = to_value(value);
    check(env->is_writing);
    return written(env, mdb_put(env->transaction, env->dbi, &at, &data, 0));
}

int durable_env_delete(struct durable_env *env, const struct durable_key *key)
{
    MDB_val at = to_value(durable_key_bytes(key));
    check(env->is_writing);
    return written(env, mdb_del(env->transaction, env->dbi, &at, NULL));
}

int durable_env_room(struct durable_env *env, size_t size)
{
    check(env->is_writing);
    return live_room_take(&env->room, env->transaction, env->dbi, size);
}

/* -- transactions -- */

static int reopen(struct durable_env *env);

/* 0 or an error of LMDB. */
static int begin_once(struct durable_env *env, unsigned flags)
{
    int r = mdb_txn_begin(env->env, NULL, flags, &env->transaction);
    if (r != 0)
        env->transaction = NULL;
    env->is_writing = r == 0 && (flags & MDB_RDONLY) == 0;
    env->error = 0;
    env->changes = 0;
    return r;
}

/* After an error in the last write of a commit LMDB does not go on, as it can't know
 * what is on disk: it has to look. */
static int begin(struct durable_env *env, unsigned flags)
{
    check(env->transaction == NULL);
    int r = env->env == NULL ? MDB_PANIC : begin_once(env, flags);
    if (r != MDB_PANIC)
        return failure(env, r);
    r = reopen(env);
    return r < 0 ? r : failure(env, begin_once(env, flags));
}

int durable_env_begin_read(struct durable_env *env)
{
    return begin(env, MDB_RDONLY);
}

int durable_env_begin(struct durable_env *env)
{
    int r = begin(env, 0);
    if (r == 0)
        live_room_begin(&env->room);
    return r;
}

void durable_env_abort(struct durable_env *env)
{
    check(env->transaction != NULL);
    mdb_txn_abort(env->transaction);
    env->transaction = NULL;
    env->is_writing = false;
}

int durable_env_commit(struct durable_env *env)
{
    int r = env->error;
    if (r != 0 || env->changes == 0) {
        durable_env_abort(env);
        return r;
    }
    r = mdb_txn_commit(env->transaction);
    env->transaction = NULL;
    env->is_writing = false;
    if (r == 0 && env->reader != NULL)
        env->pages_written += durable_pages_look(&env->pages, env->reader, env->dbi);
    return failure(env, r);
}

bool durable_env_is_changed(const struct durable_env *env)
{
    return env->changes > 0;
}

/* -- open and close -- */

static int lock_folder(struct durable_env *env, const char *folder)
{
    env->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (env->folder_fd < 0)
        return -errno;
    if (flock(env->folder_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    return 0;
}

static int open_lmdb(struct durable_env *env, const char *folder, uint64_t size_max)
{
    unsigned flags = 0;
    int r = mdb_env_create(&env->env);
    if (r != 0)
        return failure(env, r);
    r = mdb_env_set_mapsize(env->env, size_max > SIZE_MAX ? SIZE_MAX : (size_t)size_max);
    if (r == 0)
        r = mdb_env_open(env->env, folder, MDB_NOTLS | MDB_NOLOCK | MDB_NORDAHEAD, 0600);
    if (r == 0)
        r = mdb_env_get_flags(env->env, &flags);
    if (r != 0)
        return failure(env, r);
    check((flags & UNSAFE_FLAGS) == 0);
    return fsync(env->folder_fd) != 0 ? -errno : 0; /* the new file's name */
}

static int open_again(struct durable_env *env, const char *folder, uint64_t size_max)
{
    mdb_env_close(env->env);
    env->env = NULL;
    return open_lmdb(env, folder, size_max);
}

/* A damaged meta page has a sister, which leads to the commit before. */
static int open_or_repair(struct durable_env *env, const char *folder, uint64_t size_max)
{
    int r = open_lmdb(env, folder, size_max);
    for (unsigned good = 0; good < 2 && r == -EUCLEAN; good++) {
        if (durable_repair(env->folder_fd, good) < 0)
            continue;
        r = open_again(env, folder, size_max);
        if (r == 0)
            log_error("The database in %s was damaged at its beginning, and repaired: the last "
                      "commit may be missing. The old file is data.mdb.damaged.",
                      folder);
    }
    if (r == -EUCLEAN && durable_repair_unborn(env->folder_fd) == 0)
        r = open_again(env, folder, size_max);
    return r;
}

/* 0; -ENOENT: a new environment; -EPROTO: of another version. */
static int check_format(struct durable_env *env)
{
    MDB_stat stat;
    MDB_val value;
    struct durable_key key = durable_key_of(DURABLE_FORMAT);
    MDB_val at = to_value(durable_key_bytes(&key));
    int r = mdb_env_stat(env->env, &stat);
    if (r == 0 && stat.ms_entries == 0)
        return -ENOENT;
    r = durable_env_begin_read(env);
    if (r == 0)
        r = failure(env, mdb_dbi_open(env->transaction, NULL, 0, &env->dbi));
    if (r == 0)
        r = failure(env, mdb_get(env->transaction, env->dbi, &at, &value));
    if (r == 0)
        r = durable_format_judge(to_bytes(&value));
    if (env->transaction != NULL)
        durable_env_abort(env);
    return r;
}

static int write_format(struct durable_env *env)
{
    uint8_t memory[DURABLE_FORMAT_SIZE];
    struct durable_key key = durable_key_of(DURABLE_FORMAT);
    durable_format_write(memory);
    int r = begin(env, 0);
    if (r == 0)
        r = failure(env, mdb_dbi_open(env->transaction, NULL, 0, &env->dbi));
    if (r == 0)
        r = durable_env_put_raw(env, &key, (struct bytes){memory, sizeof memory});
    if (r == 0)
        return durable_env_commit(env);
    if (env->transaction != NULL)
        durable_env_abort(env);
    return r;
}

static int open_room(struct durable_env *env)
{
    int r = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &env->reader);
    if (r != 0)
        return failure(env, r);
    mdb_txn_reset(env->reader);
    (void)durable_pages_look(&env->pages, env->reader, env->dbi);
    return live_room_init(&env->room, env->env, env->reader);
}

static void close_lmdb(struct durable_env *env)
{
    if (env->transaction != NULL)
        mdb_txn_abort(env->transaction);
    if (env->reader != NULL)
        mdb_txn_abort(env->reader);
    if (env->env != NULL)
        mdb_env_close(env->env);
    env->transaction = NULL;
    env->reader = NULL;
    env->env = NULL;
}

static int reopen(struct durable_env *env)
{
    close_lmdb(env);
    int r = open_lmdb(env, env->folder, env->size_max);
    if (r == 0)
        r = check_format(env);
    if (r == 0)
        r = open_room(env);
    if (r != 0)
        close_lmdb(env);
    return r;
}

int durable_env_open(struct durable_env **ret_env, const char *folder, uint64_t size_max)
{
    struct durable_env *env = calloc(1, sizeof *env);
    if (env == NULL)
        return -ENOMEM;
    env->folder = folder;
    env->size_max = size_max;
    int r = lock_folder(env, folder);
    if (r == 0)
        r = open_or_repair(env, folder, size_max);
    if (r == 0)
        r = check_format(env);
    if (r == -ENOENT && env->env != NULL)
        r = write_format(env);
    if (r == 0)
        r = open_room(env);
    if (r != 0) {
        durable_env_close(env);
        return r;
    }
    *ret_env = env;
    return 0;
}

void durable_env_close(struct durable_env *env)
{
    if (env == NULL)
        return;
    close_lmdb(env);
    if (env->folder_fd >= 0)
        close(env->folder_fd);
    free(env);
}

uint64_t durable_env_written(const struct durable_env *env)
{
    return env->pages_written * env->room.page_size;
}

uint64_t durable_env_used(const struct durable_env *env)
{
    return env->pages.in_use * env->room.page_size;
}
