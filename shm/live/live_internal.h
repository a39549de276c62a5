#ifndef COURTIER_SHM_LIVE_LIVE_INTERNAL_H
#define COURTIER_SHM_LIVE_LIVE_INTERNAL_H

/*
 * Records of the live environment, for the files of this folder alone. All live
 * in one unnamed LMDB database, so that a renewal copies one root and a commit
 * one path; the first byte of the key says what a record is:
 *
 *   LIVE_META                               format, hash key, first unused node id
 *   LIVE_TRIE     parent id, level name     a node of the subscription trie
 *   LIVE_GROUP    node id, group id         members of a shared group
 *   LIVE_RETAIN   parent id, level name     a node of the retained topics
 *   LIVE_MESSAGE  node id                   a retained message
 *   LIVE_EXPIRY   time, node id             empty: index of messages that expire
 *   LIVE_WILL     worker, client            a will
 *   LIVE_SERIAL   worker                    serial of its last record that is done
 *
 * Everybody reads in the writer's open transaction or in the reader's snapshot.
 * Values are structs in the machine's own form, not aligned: copy them out.
 */

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "shm/live/live.h"

#include <stddef.h>
#include <stdint.h>

enum live_kind {
    LIVE_META = 1,
    LIVE_TRIE,
    LIVE_GROUP,
    LIVE_RETAIN,
    LIVE_MESSAGE,
    LIVE_EXPIRY,
    LIVE_WILL,
    LIVE_SERIAL
};

/* Value of a key, borrowed until the next write, live_renew() or live_rest().
 * 0, -ENOENT or -errno. */
int live_get(struct live *live, struct bytes key, struct bytes *ret_value);
/* The first record whose key is not before `key`; as live_get. */
int live_seek(struct live *live, struct bytes key, struct bytes *ret_key, struct bytes *ret_value);

/* Writers. Any error but -ENOENT makes the transaction unusable. */
int live_put(struct live *live, struct bytes key, struct bytes value);
/* Puts a value of `size` bytes that the caller fills in before its next call. */
int live_reserve(struct live *live, struct bytes key, size_t size, uint8_t **ret_memory);
int live_delete(struct live *live, struct bytes key);

/* To be asked before anything that grows, by as many bytes: -ENOSPC when too
 * little is left, which leaves the transaction as it is. Pages are held back
 * for those who don't ask, so that clearing works when all is full. */
int live_room(struct live *live, size_t size);
/* A node id that was never used before. */
int live_new_id(struct live *live, uint64_t *ret_id);

/* Key for names too long to stand in a record's key. */
const struct hash_key *live_hash_key(const struct live *live);

#endif
