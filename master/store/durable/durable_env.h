#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_ENV_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_ENV_H

/*
 * The durable environment: LMDB on a disk, synced at every commit (default flags,
 * which is checked), so that a power cut leaves the last commit. Each value ends in
 * a checksum over key and value; a damaged row is reported and never used.
 *
 * One process, which locks the folder, and one thread at a time. At most one
 * transaction is open, for reading or for writing; none is kept over a commit,
 * because LMDB runs without its table of readers (it would be written for every
 * transaction).
 */

#include "common/base/bytes.h"
#include "master/store/durable/durable_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct durable_env;

/* Opens, or makes, the environment in `folder`, which exists and
 * is borrowed. LMDB trusts what is there:
 * see rescue.h. `size_max` is the most that it may take, in bytes. 0 or -errno (-EBUSY:
 * another broker uses it; -EPROTO: another version made it, nothing was touched;
 * -EUCLEAN: it is damaged as a whole). */
int durable_env_open(struct durable_env **ret_env, const char *folder, uint64_t size_max);
void durable_env_close(struct durable_env *env);

int durable_env_begin_read(struct durable_env *env);
int durable_env_begin(struct durable_env *env);
/* Ends either without effect. */
void durable_env_abort(struct durable_env *env);
/* On disk when it returns 0; else -errno, and nothing has happened (-ENOSPC: map or
 * disk is full). Without a change it writes nothing. */
int durable_env_commit(struct durable_env *env);
/* Has this transaction changed anything? */
bool durable_env_is_changed(const struct durable_env *env);

/* The content of a row, borrowed until the next write or the transaction's end. 0,
 * -ENOENT, -EBADMSG (this row is damaged) or -errno (-EUCLEAN: the file is, and LMDB
 * has noticed). */
int durable_env_get(struct durable_env *env, const struct durable_key *key,
                    struct bytes *ret_content);
/* Is there such a row, damaged or not? */
bool durable_env_has(struct durable_env *env, const struct durable_key *key);
/* Moves *key on to the first row after it that shares its first `prefix` bytes.
 * Returns as durable_env_get(); a damaged row is moved to. */
int durable_env_next(struct durable_env *env, struct durable_key *key, size_t prefix,
                     struct bytes *ret_content);

/* Shows the rows behind *key (or before it) that share its first `prefix` bytes, and
 * moves *key along, until `show` returns false. `content` is NULL for a damaged row.
 * 0 when all were shown or it was enough; or -errno. Far quicker than
 * durable_env_next(), but nothing may be written meanwhile. */
typedef bool (*durable_env_row_fn)(const struct durable_key *key, const struct bytes *content,
                                   void *context);
struct durable_walk {
    size_t prefix;
    bool is_backward;
    durable_env_row_fn show;
    void *context;
};
int durable_env_walk(struct durable_env *env, struct durable_key *key,
                     const struct durable_walk *walk);

/* Inside durable_env_begin(). An error (but for -ENOENT) spoils the transaction: its
 * commit returns it. */
int durable_env_put(struct durable_env *env, const struct durable_key *key, struct bytes content);
/* Puts `size` bytes that the caller fills in at once, and then seals. */
int durable_env_reserve(struct durable_env *env, const struct durable_key *key, size_t size,
                        uint8_t **ret_memory);
void durable_env_seal(struct durable_env *env, const struct durable_key *key, uint8_t *memory,
                      size_t size);
int durable_env_delete(struct durable_env *env, const struct durable_key *key);

/* To be asked before anything that grows, by `size` bytes: 0, or -ENOSPC when too
 * little would be left for deletes; the transaction is as good as before. */
int durable_env_room(struct durable_env *env, size_t size);

/* Bytes that commits wrote since it was opened, and bytes of the file in use; pages. */
uint64_t durable_env_written(const struct durable_env *env);
uint64_t durable_env_used(const struct durable_env *env);
/* For tests: the stored bytes of a row, to be damaged; inside durable_env_begin(). */
int durable_env_put_raw(struct durable_env *env, const struct durable_key *key, struct bytes value);

#endif
